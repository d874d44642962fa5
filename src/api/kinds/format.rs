//! Rules that several kinds share: closed sets, amounts, what does not change.

use serde_json::Value;

use super::field::Field;
use super::internal;
use crate::api::error::FieldError;
use crate::schema::quantity::Quantity;

/// The members of a structure that must not be empty texts.
pub(super) fn require_all(field: &Field<'_, '_>, members: &[&str], errors: &mut Vec<FieldError>) {
    for member in members {
        field.at(member).require(errors);
    }
}

/// A text of a closed set, there or not.
pub(super) fn member_of(field: &Field<'_, '_>, set: &[&str], errors: &mut Vec<FieldError>) {
    if !set.contains(&field.text()) {
        let shown = Value::from(field.text());
        errors.push(FieldError::unsupported(field.to_string(), &shown, set));
    }
}

/// The amount; nothing when there is none.
pub(super) fn amount(value: &Value) -> Quantity {
    value.as_str().and_then(|text| Quantity::parse(text).ok()).unwrap_or_else(|| Quantity::whole(0))
}

/// An amount that is not less than nothing.
pub(super) fn not_negative(field: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if amount(field.value()).is_negative() {
        errors.push(field.invalid("must be greater than or equal to 0"));
    }
}

/// An amount that is more than nothing.
pub(super) fn positive(field: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let amount = amount(field.value());
    if amount.is_negative() || amount.is_zero() {
        errors.push(field.invalid("must be greater than zero"));
    }
}

/// An amount whose whole units are not less than nothing.
pub(super) fn basic(field: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let units = amount(field.value()).value();
    if units < 0 {
        errors.push(FieldError::invalid(field.to_string(), &Value::from(units), "must be a valid resource quantity"));
    }
}

/// A value that does not change. An absent pointer is null, and what is empty is absent.
pub(super) fn fixed(field: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    if !same(field.value(), old) {
        errors.push(FieldError::invalid(field.to_string(), field.value(), IMMUTABLE));
    }
}

/// The same for a structure that refusals print as Go has it.
pub(super) fn fixed_as(field: &Field<'_, '_>, kind: &str, old: &Value, errors: &mut Vec<FieldError>) {
    if !same(field.value(), old) {
        errors.push(invalid_as(field, kind, IMMUTABLE));
    }
}

/// `path: Invalid value: value: detail`, the value as the structure that it is in Go.
pub(super) fn invalid_as(field: &Field<'_, '_>, kind: &str, detail: &str) -> FieldError {
    let shown = if field.is_absent() { "null".to_owned() } else { internal::print(kind, field.value()) };
    FieldError { field: field.to_string(), reason: "FieldValueInvalid", body: format!("Invalid value: {shown}: {detail}") }
}

/// `path: Internal error: detail`
pub(super) fn internal_error(field: &Field<'_, '_>, detail: &str) -> FieldError {
    FieldError { field: field.to_string(), reason: "InternalError", body: format!("Internal error: {detail}") }
}

/// Whether two values mean the same: amounts by their worth, and nothing is as good as an empty list or map.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    let nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    one == other || nothing(one) && nothing(other)
}

/// The texts of a list.
pub(super) fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The labels of nodes that have a newer name, and what to say about that.
pub(super) fn deprecated_label(key: &str) -> Option<&'static str> {
    DEPRECATED.iter().find(|(known, _)| *known == key).map(|(_, text)| *text)
}

/// What is said of what changes and must not.
pub(super) const IMMUTABLE: &str = "field is immutable";

const DEPRECATED: [(&str, &str); 5] = [
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/instance-type", "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    ("failure-domain.beta.kubernetes.io/region", "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"),
    ("failure-domain.beta.kubernetes.io/zone", "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts() {
        for (text, faults) in [("1", 0), ("0", 1), ("-1", 3), ("1m", 0)] {
            let value = Value::from(text);
            let field = Field::new(&value, "x");
            let mut errors = Vec::new();
            not_negative(&field, &mut errors);
            positive(&field, &mut errors);
            basic(&field, &mut errors);
            assert_eq!(errors.len(), faults, "{text}");
        }
    }

    #[test]
    fn what_does_not_change() {
        let (value, nothing) = (json!({"a": []}), Value::Null);
        let field = Field::new(&value, "");
        let mut errors = Vec::new();
        fixed(&field.at("a"), &nothing, &mut errors);
        fixed(&field.at("b"), &json!("x"), &mut errors);
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["b: Invalid value: null: field is immutable"]);
    }
}

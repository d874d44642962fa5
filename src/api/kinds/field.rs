//! Small rules that many kinds share, each with its fault in kube-apiserver's words.

use std::net::IpAddr;

use serde_json::Value;

use crate::api::error::FieldError;

/// A text that must be there; its value.
pub(super) fn required<'a>(value: &'a Value, path: &str, errors: &mut Vec<FieldError>) -> &'a str {
    let text = value.as_str().unwrap_or("");
    if text.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    text
}

/// A text that, when it is there, is one of a closed set.
pub(super) fn one_of(value: &Value, path: &str, set: &[&str], errors: &mut Vec<FieldError>) {
    let text = value.as_str().unwrap_or("");
    if !text.is_empty() && !set.contains(&text) {
        errors.push(FieldError::unsupported(path, value, set));
    }
}

/// A value that does not change.
pub(super) fn immutable(new: &Value, old: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if new != old {
        errors.push(FieldError::invalid(path, new, "field is immutable"));
    }
}

/// A number that, when it is there, is not negative.
pub(super) fn not_negative(value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if value.as_i64().is_some_and(|number| number < 0) {
        errors.push(FieldError::invalid(path, value, "must be greater than or equal to 0"));
    }
}

/// A number that, when it is there, is greater than nothing.
pub(super) fn positive(value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if value.as_i64().is_some_and(|number| number <= 0) {
        errors.push(FieldError::invalid(path, value, "must be greater than 0"));
    }
}

/// A port's number.
pub(super) fn port(value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if !value.as_i64().is_some_and(|number| (1..=65535).contains(&number)) {
        errors.push(FieldError::invalid(path, value, "must be between 1 and 65535, inclusive"));
    }
}

/// A port's number, or its name in a container.
pub(super) fn port_or_name(value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::Null => {}
        Value::String(own) => {
            errors.extend(crate::api::meta::name::port(own).iter().map(|fault| FieldError::invalid_text(path, own, fault)));
        }
        number => port(number, path, errors),
    }
}

/// Why an address cannot be that of an endpoint.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    let local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let local_multicast = match address {
        IpAddr::V4(address) => address.octets().starts_with(&[224, 0, 0]),
        IpAddr::V6(address) => address.segments()[0] & 0xff0f == 0xff02,
    };
    if address.is_unspecified() {
        Some("may not be unspecified (0.0.0.0 or ::)")
    } else if address.is_loopback() {
        Some("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    } else if local {
        Some("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    } else if local_multicast {
        Some("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    } else {
        None
    }
}

/// The items of a list, with the path of each.
pub(super) fn items<'a>(list: &'a Value, path: &str) -> impl Iterator<Item = (String, &'a Value)> {
    let path = path.to_owned();
    list.as_array().into_iter().flatten().enumerate().map(move |(index, item)| (format!("{path}[{index}]"), item))
}

/// The members of a map.
pub(super) fn entries(map: &Value) -> impl Iterator<Item = (&String, &Value)> {
    map.as_object().into_iter().flatten()
}

/// Whether a number is absent or nothing.
pub(super) fn is_zero(value: &Value) -> bool {
    value.as_i64().unwrap_or(0) == 0
}

/// Whether a value is absent or says nothing.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The faults of a label selector.
pub(super) fn selector(selector: &Value, path: &str, errors: &mut Vec<FieldError>) {
    crate::api::meta::check_labels(&selector["matchLabels"], &format!("{path}.matchLabels"), errors);
    for (path, term) in items(&selector["matchExpressions"], &format!("{path}.matchExpressions")) {
        let values = !is_empty(&term["values"]);
        match term["operator"].as_str().unwrap_or("") {
            "In" | "NotIn" if !values => {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(format!("{path}.values"), detail));
            }
            "Exists" | "DoesNotExist" if values => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(format!("{path}.values"), detail));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => {
                let detail = "not a valid selector operator";
                errors.push(FieldError::invalid(format!("{path}.operator"), &term["operator"], detail));
            }
        }
        let key = term["key"].as_str().unwrap_or("");
        let faults = crate::api::meta::name::qualified(key);
        errors.extend(faults.iter().map(|fault| FieldError::invalid_text(format!("{path}.key"), key, fault)));
    }
}

/// Whether a label selector selects these labels.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let terms = selector["matchExpressions"].as_array().into_iter().flatten();
    entries(&selector["matchLabels"]).all(|(key, value)| &labels[key] == value) && { terms }.all(|term| matches(term, labels))
}

fn matches(term: &Value, labels: &Value) -> bool {
    let own = term["key"].as_str().map_or(&Value::Null, |key| &labels[key]);
    let listed = term["values"].as_array().is_some_and(|values| values.contains(own));
    match term["operator"].as_str().unwrap_or("") {
        "In" => !own.is_null() && listed,
        "NotIn" => own.is_null() || !listed,
        "Exists" => !own.is_null(),
        "DoesNotExist" => own.is_null(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_select() {
        let labels = json!({"a": "1", "b": "2"});
        for (selector, expected) in [
            (json!({}), true),
            (json!({"matchLabels": {"a": "1"}}), true),
            (json!({"matchLabels": {"a": "2"}}), false),
            (json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "3"]}]}), true),
            (json!({"matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["1"]}]}), true),
            (json!({"matchExpressions": [{"key": "c", "operator": "Exists"}]}), false),
            (json!({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}), false),
        ] {
            assert_eq!(selects(&selector, &labels), expected, "{selector}");
        }
    }
}

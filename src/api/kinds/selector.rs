//! Selectors of objects and nodes, and conditions, as many kinds have them alike.

use serde_json::Value;

use super::field::Field;
use crate::api::error::FieldError;
use crate::api::meta::name;

/// Whether the values of a label selector must be labels' values: what is stored already may be worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    Labels,
    Any,
}

/// The faults of a label selector; an absent one has none.
pub(super) fn check(selector: &Field<'_, '_>, values: Values, errors: &mut Vec<FieldError>) {
    selector.at("matchLabels").labels(errors);
    for term in selector.at("matchExpressions").items() {
        check_term(&term, &["In", "NotIn", "Exists", "DoesNotExist"], errors);
        if values == Values::Labels {
            term.at("values").items().for_each(|value| label_value(&value, errors));
        }
    }
}

/// Whether a label selector has a fault.
pub(super) fn is_faulty(selector: &Value) -> bool {
    let mut errors = Vec::new();
    check(&Field::new(selector, ""), Values::Labels, &mut errors);
    !errors.is_empty()
}

/// The faults of a label's key that stands in a field.
pub(super) fn label_key(key: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    errors.extend(name::qualified(key.text()).iter().map(|fault| key.invalid(fault)));
}

/// The faults of a label's value that stands in a field.
pub(super) fn label_value(value: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    errors.extend(name::label_value(value.text()).iter().map(|fault| value.invalid(fault)));
}

/// The faults of a selector of nodes.
pub(super) fn nodes(selector: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let terms = selector.at("nodeSelectorTerms");
    if terms.is_empty() {
        errors.push(terms.required("must have at least one node selector term"));
        return;
    }
    for term in terms.items() {
        for expression in term.at("matchExpressions").items() {
            check_term(&expression, &["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"], errors);
            expression.at("values").items().for_each(|value| label_value(&value, errors));
        }
        term.at("matchFields").items().for_each(|field| check_node_field(&field, errors));
    }
}

fn check_term(term: &Field<'_, '_>, operators: &[&str], errors: &mut Vec<FieldError>) {
    let (operator, values) = (term.at("operator"), term.at("values"));
    match operator.text() {
        known if !operators.contains(&known) => errors.push(operator.invalid("not a valid selector operator")),
        "In" | "NotIn" if values.is_empty() => {
            errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            errors.push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        }
        "Gt" | "Lt" if values.len() != 1 => {
            errors.push(values.required("must be specified single value when `operator` is 'Lt' or 'Gt'"));
        }
        _ => {}
    }
    label_key(&term.at("key"), errors);
}

fn check_node_field(term: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (operator, values, key) = (term.at("operator"), term.at("values"), term.at("key"));
    match operator.text() {
        "In" | "NotIn" if values.len() != 1 => {
            errors.push(values.required("must be only one value when `operator` is 'In' or 'NotIn' for node field selector"));
        }
        "In" | "NotIn" => {}
        _ => errors.push(operator.invalid("not a valid selector operator")),
    }
    if key.text() != "metadata.name" {
        errors.push(key.invalid("not a valid field selector key"));
        return;
    }
    for value in values.items() {
        errors.extend(name::subdomain(value.text()).iter().map(|fault| value.invalid(fault)));
    }
}

/// The faults of a list of conditions.
pub(super) fn conditions(conditions: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let mut seen = std::collections::HashSet::new();
    for condition in conditions.items() {
        if !seen.insert(condition.at("type").text()) {
            errors.push(condition.at("type").duplicate());
        }
        check_condition(&condition, errors);
    }
}

fn check_condition(condition: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    label_key(&condition.at("type"), errors);
    if !["False", "True", "Unknown"].contains(&condition.at("status").text()) {
        errors.push(condition.at("status").unsupported(&["False", "True", "Unknown"]));
    }
    if condition.at("observedGeneration").count() < 0 {
        errors.push(condition.at("observedGeneration").invalid("must be greater than or equal to zero"));
    }
    if condition.at("lastTransitionTime").is_empty() {
        errors.push(condition.at("lastTransitionTime").required("must be set"));
    }
    let reason = condition.at("reason");
    if reason.is_empty() {
        errors.push(reason.required("must be set"));
    } else {
        if !is_reason(reason.text()) {
            errors.push(reason.invalid(REASON));
        }
        reason.at_most_bytes(1024, errors);
    }
    condition.at("message").at_most_bytes(32 * 1024, errors);
}

fn is_reason(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().last().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || matches!(byte, b',' | b':'))
}

const REASON: &str = "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric \
                      characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or \
                      'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is \
                      '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";

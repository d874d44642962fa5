//! Selectors of nodes and of topologies.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::api::error::{self, FieldError};
use crate::api::kinds::field::{Field, is_full};
use crate::api::kinds::format;
use crate::api::meta::name;

type Errors = Vec<FieldError>;

/// The faults of a selector of nodes.
pub(super) fn check_nodes(field: &Field<'_, '_>, errors: &mut Errors) {
    let terms = field.at("nodeSelectorTerms");
    if terms.is_empty() {
        errors.push(terms.required("must have at least one node selector term"));
    }
    for term in terms.items() {
        term.at("matchExpressions").items().for_each(|own| check_label(&own, errors));
        term.at("matchFields").items().for_each(|own| check_field(&own, errors));
    }
}

/// Warnings of labels that have a newer name.
pub(super) fn warn_nodes(field: &Field<'_, '_>, warnings: &mut Vec<String>) {
    for term in field.at("nodeSelectorTerms").items() {
        for own in term.at("matchExpressions").items() {
            let key = own.at("key");
            warnings.extend(format::deprecated_label(key.text()).map(|text| format!("{key}: {} is {text}", key.text())));
        }
    }
}

/// The faults of terms of topology: none says what another says.
pub(super) fn check_topologies(list: &Field<'_, '_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for term in list.items() {
        let own = check_topology(&term, errors);
        // kube-apiserver compares with as many empty terms as there are terms.
        let twins = if own.is_empty() { list.len().min(error::MOST) } else { 0 } + usize::from(seen.contains(&own));
        for _ in 0..twins {
            let path = term.at("matchLabelExpressions").to_string();
            errors.push(FieldError::duplicate(path, &Value::from("")));
        }
        seen.insert(own);
        if is_full(errors) {
            return;
        }
    }
}

fn check_topology<'v>(term: &Field<'v, '_>, errors: &mut Errors) -> BTreeMap<&'v str, BTreeSet<&'v str>> {
    let mut known = BTreeMap::new();
    for own in term.at("matchLabelExpressions").items() {
        let (key, values) = (own.at("key"), own.at("values"));
        let mut set = BTreeSet::new();
        if values.is_empty() {
            errors.push(values.required(""));
        }
        for value in values.items() {
            if !set.insert(value.text()) {
                errors.push(value.duplicate());
            }
        }
        key.formed(name::qualified, errors);
        if known.insert(key.text(), set).is_some() {
            errors.push(key.duplicate());
        }
    }
    known
}

fn check_label(term: &Field<'_, '_>, errors: &mut Errors) {
    let (operator, values) = (term.at("operator"), term.at("values"));
    match (operator.text(), values.len()) {
        ("In" | "NotIn", 0) => errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'")),
        ("Exists" | "DoesNotExist", 1..) => {
            errors.push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        }
        ("Gt" | "Lt", 0 | 2..) => {
            errors.push(values.required("must be specified single value when `operator` is 'Lt' or 'Gt'"));
        }
        ("In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt", _) => {}
        _ => errors.push(operator.invalid("not a valid selector operator")),
    }
    term.at("key").formed(name::qualified, errors);
    values.items().for_each(|value| value.formed(name::label_value, errors));
}

fn check_field(term: &Field<'_, '_>, errors: &mut Errors) {
    let (key, operator, values) = (term.at("key"), term.at("operator"), term.at("values"));
    match operator.text() {
        "In" | "NotIn" if values.len() != 1 => {
            let fault = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            errors.push(values.required(fault));
        }
        "In" | "NotIn" => {}
        _ => errors.push(operator.invalid("not a valid selector operator")),
    }
    if key.text() == "metadata.name" {
        values.items().for_each(|value| value.formed(name::subdomain, errors));
    } else {
        errors.push(key.invalid("not a valid field selector key"));
    }
}

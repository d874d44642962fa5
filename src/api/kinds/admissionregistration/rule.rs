//! Rules: which requests are meant; and the conditions that narrow them.

use std::collections::HashSet;

use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::meta::name;

/// The faults of a rule with its operations.
pub(super) fn check(rule: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let operations = rule.at("operations");
    some(&operations, errors);
    alone(&operations, "operations", errors);
    for operation in operations.items() {
        if !OPERATIONS.contains(&operation.text()) {
            errors.push(operation.unsupported(&OPERATIONS));
        }
    }
    some(&rule.at("apiGroups"), errors);
    alone(&rule.at("apiGroups"), "API groups", errors);
    let versions = rule.at("apiVersions");
    some(&versions, errors);
    alone(&versions, "API versions", errors);
    for version in versions.items() {
        version.require(errors);
    }
    check_resources(&rule.at("resources"), errors);
    let scope = rule.at("scope");
    if !scope.is_absent() && !["*", "Cluster", "Namespaced"].contains(&scope.text()) {
        errors.push(scope.unsupported(&["*", "Cluster", "Namespaced"]));
    }
}

/// The same for a rule that may name resources by name.
pub(super) fn check_named(rule: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for own in rule.at("resourceNames").items() {
        errors.extend(name::segment(own.text()).iter().map(|fault| own.invalid(fault)));
        if !seen.insert(own.text()) {
            errors.push(own.duplicate());
        }
    }
    check(rule, errors);
}

/// The faults of match conditions.
pub(super) fn check_conditions(conditions: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    conditions.at_most(64, errors);
    let mut seen = HashSet::new();
    for condition in conditions.items() {
        expression(&condition.at("expression"), "", errors);
        let own = condition.at("name");
        own.require(errors);
        own.named(name::qualified, errors);
        if !own.is_empty() && !seen.insert(own.text()) {
            errors.push(own.duplicate());
        }
    }
}

/// An expression that must be there.
pub(super) fn expression(expression: &Field<'_, '_>, detail: &str, errors: &mut Vec<FieldError>) {
    if expression.text().trim().is_empty() {
        errors.push(expression.required(detail));
    }
}

fn check_resources(resources: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    some(resources, errors);
    let (mut whole, mut any): (HashSet<&str>, HashSet<&str>) = (HashSet::new(), HashSet::new());
    let (mut double, mut single, mut plain) = (false, false, false);
    for resource in resources.items() {
        let text = resource.text();
        double |= text == "*/*";
        single |= text == "*";
        let Some((own, sub)) = text.split_once('/') else {
            if text.is_empty() {
                errors.push(resource.required(""));
            } else {
                plain = text != "*";
            }
            continue;
        };
        if whole.contains(own) {
            errors.push(resource.invalid(&format!("if '{own}/*' is present, must not specify {text}")));
        }
        if any.contains(sub) {
            errors.push(resource.invalid(&format!("if '*/{sub}' is present, must not specify {text}")));
        }
        if sub == "*" {
            whole.insert(own);
        }
        if own == "*" {
            any.insert(sub);
        }
    }
    if resources.len() > 1 && double {
        errors.push(resources.invalid("if '*/*' is present, must not specify other resources"));
    }
    if single && plain {
        errors.push(resources.invalid("if '*' is present, must not specify other resources without subresources"));
    }
}

fn some(list: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if list.is_empty() {
        errors.push(list.required(""));
    }
}

fn alone(list: &Field<'_, '_>, what: &str, errors: &mut Vec<FieldError>) {
    if list.len() > 1 && list.texts().any(|text| text == "*") {
        errors.push(list.invalid(&format!("if '*' is present, must not specify other {what}")));
    }
}

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];

//! When pods of a job count as failed or as enough.

use std::collections::HashSet;

use super::index;
use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, is_full};
use crate::api::kinds::internal;
use crate::api::meta::name;

/// `podFailurePolicy`, `successPolicy` and `podReplacementPolicy`
pub(super) fn check(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (failure, success) = (spec.at("podFailurePolicy"), spec.at("successPolicy"));
    if !failure.is_absent() {
        check_failure(spec, &failure, errors);
    }
    if !success.is_absent() {
        if spec.at("completionMode").text() == "Indexed" {
            check_success(spec, &success.at("rules"), errors);
        } else {
            let printed = internal::print("SuccessPolicy", success.value());
            errors.push(success.invalid_as(&printed, "requires indexed completion mode"));
        }
    }
    let replacement = spec.at("podReplacementPolicy");
    let known: &[&str] = if failure.is_absent() { &["Failed", "TerminatingOrFailed"] } else { &["Failed"] };
    if !replacement.is_absent() && !known.contains(&replacement.text()) {
        errors.push(replacement.unsupported(known));
    }
}

fn check_failure(spec: &Field<'_, '_>, policy: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let rules = policy.at("rules");
    rules.at_most(20, errors);
    let template = &spec.value()["template"]["spec"];
    let containers = ["containers", "initContainers"].into_iter();
    let names: HashSet<&str> = containers
        .flat_map(|list| template[list].as_array().into_iter().flatten())
        .filter_map(|container| container["name"].as_str())
        .collect();
    for rule in rules.items() {
        if is_full(errors) {
            return;
        }
        let action = rule.at("action");
        match action.text() {
            "" => errors.push(action.required(&valid(&ACTIONS))),
            "FailIndex" if spec.at("backoffLimitPerIndex").is_absent() => {
                errors.push(action.invalid("requires the backoffLimitPerIndex to be set"));
            }
            text if ACTIONS.contains(&text) => {}
            _ => errors.push(action.unsupported(&ACTIONS)),
        }
        let (codes, conditions) = (rule.at("onExitCodes"), rule.at("onPodConditions"));
        if !codes.is_absent() {
            check_codes(&codes, &names, errors);
        }
        check_conditions(&conditions, errors);
        match (codes.is_absent(), conditions.is_empty()) {
            (false, false) => {
                errors.push(rule.invalid_plain("specifying both OnExitCodes and OnPodConditions is not supported"));
            }
            (true, true) => errors.push(rule.invalid_plain("specifying one of OnExitCodes and OnPodConditions is required")),
            _ => {}
        }
    }
}

fn check_conditions(list: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    list.at_most(20, errors);
    for pattern in list.items() {
        if is_full(errors) {
            return;
        }
        pattern.at("type").formed(name::qualified, errors);
        let status = pattern.at("status");
        match status.text() {
            "" => errors.push(status.required(&valid(&STATES))),
            text if STATES.contains(&text) => {}
            _ => errors.push(status.unsupported(&STATES)),
        }
    }
}

fn check_codes(codes: &Field<'_, '_>, names: &HashSet<&str>, errors: &mut Vec<FieldError>) {
    let (operator, container, values) = (codes.at("operator"), codes.at("containerName"), codes.at("values"));
    match operator.text() {
        "" => errors.push(operator.required(&valid(&["In", "NotIn"]))),
        "In" | "NotIn" => {}
        _ => errors.push(operator.unsupported(&["In", "NotIn"])),
    }
    if !container.is_absent() && !names.contains(container.text()) {
        errors.push(container.invalid("must be one of the container or initContainer names in the pod template"));
    }
    if values.is_empty() {
        let printed = if values.is_absent() { "null" } else { "[]" };
        errors.push(values.invalid_as(printed, "at least one value is required"));
    }
    values.at_most(255, errors);
    let mut seen = HashSet::new();
    let mut ordered = true;
    let mut last = None;
    for value in values.items() {
        if is_full(errors) {
            return;
        }
        let own = value.count();
        if operator.text() == "In" && own == 0 {
            errors.push(value.invalid("must not be 0 for the In operator"));
        }
        if !seen.insert(own) {
            errors.push(value.duplicate());
        }
        ordered &= last.is_none_or(|last| last <= own);
        last = Some(own);
    }
    if !ordered {
        errors.push(values.invalid("must be ordered"));
    }
}

fn check_success(spec: &Field<'_, '_>, rules: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if rules.is_empty() {
        errors.push(rules.required("at least one rules must be specified when the successPolicy is specified"));
    }
    rules.at_most(20, errors);
    let completions = spec.at("completions").count();
    for rule in rules.items() {
        if is_full(errors) {
            return;
        }
        let (count, indexes) = (rule.at("succeededCount"), rule.at("succeededIndexes"));
        if count.is_absent() && indexes.is_absent() {
            errors.push(rule.required("at least one of succeededCount or succeededIndexes must be specified"));
        }
        let mut total = 0;
        if !indexes.is_absent() {
            if indexes.text().len() > 64 * 1024 {
                errors.push(indexes.too_long(64 * 1024));
            }
            match index::count(indexes.text(), completions) {
                Ok(count) => total = count,
                Err(fault) => errors.push(indexes.invalid(&format!("error parsing succeededIndexes: {fault}"))),
            }
        }
        count.not_negative(errors);
        if count.count() > completions {
            let fault = format!("must be less than or equal to {completions} (the number of specified completions)");
            errors.push(count.invalid(&fault));
        }
        if !indexes.is_absent() && count.count() > total {
            let fault =
                format!("must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)");
            errors.push(count.invalid(&fault));
        }
    }
}

fn valid(set: &[&str]) -> String {
    let quoted: Vec<String> = set.iter().map(|value| format!("\"{value}\"")).collect();
    format!("valid values: [{}]", quoted.join(" "))
}

const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const STATES: [&str; 3] = ["False", "True", "Unknown"];

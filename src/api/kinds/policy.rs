//! PodDisruptionBudgets.

use serde_json::Value;

use super::Part;
use super::field::Field;
use super::internal;
use super::selector::{self, Values};
use super::write::Write;
use crate::api::error::FieldError;
use crate::api::meta::name;

pub(super) fn check(write: &Write<'_>, errors: &mut Vec<FieldError>) {
    let root = write.root();
    if write.part == Part::Status {
        check_status(&root.at("status"), errors);
        return;
    }
    let spec = root.at("spec");
    if !spec.at("minAvailable").is_absent() && !spec.at("maxUnavailable").is_absent() {
        let shown = internal::print("PodDisruptionBudgetSpec", spec.value());
        errors.push(spec.invalid_as(&shown, "minAvailable and maxUnavailable cannot be both set"));
    }
    share(&spec.at("minAvailable"), errors);
    share(&spec.at("maxUnavailable"), errors);
    let old = &write.old["spec"];
    let values = if has_bad_value(&old["selector"]) { Values::Any } else { Values::Labels };
    selector::check(&spec.at("selector"), values, errors);
    let policy = spec.at("unhealthyPodEvictionPolicy");
    if !policy.is_absent() && !POLICIES.contains(&policy.text()) {
        errors.push(policy.unsupported(&POLICIES));
    }
}

/// The faults of a count or a percentage.
fn share(amount: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let Value::String(text) = amount.value() else {
        amount.not_negative(errors);
        return;
    };
    match text.strip_suffix('%').filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())) {
        None => errors.push(amount.invalid(PERCENT)),
        Some(digits)
            if digits.trim_start_matches('0').parse::<u64>().unwrap_or(if digits.contains(|c| c != '0') { 101 } else { 0 })
                > 100 =>
        {
            errors.push(amount.invalid("must not be greater than 100%"));
        }
        Some(_) => {}
    }
}

fn check_status(status: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    selector::conditions(&status.at("conditions"), errors);
    for member in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
        status.at(member).not_negative(errors);
    }
}

/// Whether a stored selector compares with what can be no label's value.
pub(super) fn has_bad_value(selector: &Value) -> bool {
    let terms = selector["matchExpressions"].as_array().into_iter().flatten();
    let values = terms.flat_map(|term| term["values"].as_array().into_iter().flatten());
    values.filter_map(Value::as_str).any(|value| !name::label_value(value).is_empty())
}

const POLICIES: [&str; 2] = ["AlwaysAllow", "IfHealthyBudget"];

const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for \
                       validation is '[0-9]+%')";

//! Nodes: taints, and the addresses of their pods, which are set once.

use serde_json::Value;

use super::field::{is_empty, items, one_of, required};
use crate::api::error::FieldError;
use crate::api::meta::name;

pub(super) fn check(new: &Value, errors: &mut Vec<FieldError>) {
    let mut seen: Vec<(&Value, &Value)> = Vec::new();
    for (path, taint) in items(&new["spec"]["taints"], "spec.taints") {
        let key = required(&taint["key"], &format!("{path}.key"), errors);
        if !key.is_empty() {
            let faults = name::qualified(key);
            errors.extend(faults.iter().map(|fault| FieldError::invalid_text(format!("{path}.key"), key, fault)));
        }
        let value = taint["value"].as_str().unwrap_or("");
        let faults = name::label_value(value);
        errors.extend(faults.iter().map(|fault| FieldError::invalid_text(format!("{path}.value"), value, fault)));
        if is_empty(&taint["effect"]) {
            errors.push(FieldError::required(format!("{path}.effect"), ""));
        }
        one_of(&taint["effect"], &format!("{path}.effect"), &["NoSchedule", "PreferNoSchedule", "NoExecute"], errors);
        let this = (&taint["key"], &taint["effect"]);
        if seen.contains(&this) {
            errors.push(FieldError::duplicate(path, taint));
        }
        seen.push(this);
    }
}

pub(super) fn check_change(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    for (member, fault) in [
        ("podCIDRs", "node updates may not change podCIDR except from \"\" to valid"),
        ("providerID", "node updates may not change providerID except from \"\" to valid"),
    ] {
        let (own, stored) = (&new["spec"][member], &old["spec"][member]);
        if !is_empty(stored) && own != stored {
            errors.push(FieldError::forbidden(format!("spec.{member}"), fault));
        }
    }
}

//! Small kinds: priority and runtime classes, API services, priority levels.

use serde_json::Value;

use super::field::{immutable, one_of, required};
use crate::api::error::FieldError;
use crate::api::meta;

pub(super) fn check_priority(new: &Value, errors: &mut Vec<FieldError>) {
    let name = meta::text(new, "name");
    let value = new["value"].as_i64().unwrap_or(0);
    if name.starts_with("system-") {
        if !SYSTEM.contains(&(name, value)) {
            let fault = "priority class names with 'system-' prefix are reserved for system use only. error: value of \
                         the class is not that of the system";
            errors.push(FieldError::forbidden("metadata.name", fault));
        }
    } else if value > 1_000_000_000 {
        let fault = "maximum allowed value of a user defined priority is 1000000000";
        errors.push(FieldError::forbidden("value", fault));
    }
    one_of(&new["preemptionPolicy"], "preemptionPolicy", &["Never", "PreemptLowerPriority"], errors);
}

pub(super) fn check_priority_change(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if new["value"] != old["value"] {
        errors.push(FieldError::forbidden("value", "may not be changed in an update."));
    }
    immutable(&new["preemptionPolicy"], &old["preemptionPolicy"], "preemptionPolicy", errors);
}

pub(super) fn check_runtime(new: &Value, errors: &mut Vec<FieldError>) {
    let handler = required(&new["handler"], "handler", errors);
    if !handler.is_empty() {
        let faults = meta::name::label(handler);
        errors.extend(faults.iter().map(|fault| FieldError::invalid_text("handler", handler, fault)));
    }
}

pub(super) fn check_api_service(new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let wanted = format!("{}.{}", spec["version"].as_str().unwrap_or(""), spec["group"].as_str().unwrap_or(""));
    let name = meta::text(new, "name");
    if name != wanted {
        let fault = "must be `spec.version+\".\"+spec.group`: ".to_owned() + &format!("{wanted:?}");
        errors.push(FieldError::invalid_text("metadata.name", name, &fault));
    }
    required(&spec["version"], "spec.version", errors);
    for (member, most) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1_000)] {
        let value = spec[member].as_i64().unwrap_or(0);
        if value <= 0 || value > most {
            let fault = format!("must be positive and less than {most}");
            errors.push(FieldError::invalid(format!("spec.{member}"), &Value::from(value), &fault));
        }
    }
}

pub(super) fn check_level(new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    if spec["type"] == "Limited" {
        let kind = Value::from(spec["limited"]["limitResponse"]["type"].as_str().unwrap_or(""));
        if kind != "Queue" && kind != "Reject" {
            errors.push(FieldError::unsupported("spec.limited.limitResponse.type", &kind, &["Queue", "Reject"]));
        }
    }
    one_of(&spec["type"], "spec.type", &["Exempt", "Limited"], errors);
}

const SYSTEM: [(&str, i64); 2] = [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

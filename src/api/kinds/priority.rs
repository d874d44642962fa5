//! PriorityClasses: the system's own names, and what does not change.

use super::field::Field;
use super::write::Write;
use crate::api::error::FieldError;
use crate::api::meta::{self, name};

pub(super) fn check(write: &Write<'_>, errors: &mut Vec<FieldError>) {
    let root = write.root();
    let (value, policy) = (root.at("value"), root.at("preemptionPolicy"));
    if !write.is_create() {
        write.change(errors);
        if value.count() != write.old["value"].as_i64().unwrap_or(0) {
            errors.push(value.forbidden("may not be changed in an update."));
        }
        policy.immutable(&write.old["preemptionPolicy"], errors);
        return;
    }
    write.metadata(name::subdomain, errors);
    let own = meta::text(write.new, "name");
    if own.starts_with("system-") {
        if let Some(fault) = system_fault(&root, own) {
            let fault = format!("priority class names with 'system-' prefix are reserved for system use only. error: {fault}");
            errors.push(root.at("metadata").at("name").forbidden(&fault));
        }
    } else if value.count() > HIGHEST {
        errors.push(value.forbidden(&format!("maximum allowed value of a user defined priority is {HIGHEST}")));
    }
    if !policy.is_absent() {
        policy.require_one_of(&["PreemptLowerPriority", "Never"], errors);
    }
}

fn system_fault(class: &Field<'_, '_>, own: &str) -> Option<String> {
    let Some((_, value)) = SYSTEM.iter().find(|(known, _)| *known == own) else {
        return Some(format!("{own} is not a known system priority class"));
    };
    if class.at("value").count() != *value {
        return Some(format!("value of {own} PriorityClass must be {value}"));
    }
    class.at("globalDefault").is_true().then(|| format!("globalDefault of {own} PriorityClass must be false"))
}

const HIGHEST: i64 = 1_000_000_000;
const SYSTEM: [(&str, i64); 2] = [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

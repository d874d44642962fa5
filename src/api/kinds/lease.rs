//! Leases.

use serde_json::Value;

use super::field::Field;
use crate::api::error::FieldError;
use crate::api::meta::name;

/// Takes away what only coordinated elections know.
pub(super) fn prepare(new: &mut Value, old: Option<&Value>) {
    for member in ["strategy", "preferredHolder"] {
        let used = old.is_some_and(|old| !old["spec"][member].is_null());
        if let Some(spec) = new.get_mut("spec").and_then(Value::as_object_mut).filter(|_| !used) {
            spec.remove(member);
        }
    }
}

/// The faults of a lease.
pub(super) fn check(new: &Value, errors: &mut Vec<FieldError>) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    spec.at("leaseDurationSeconds").positive(errors);
    spec.at("leaseTransitions").not_negative(errors);
    let (strategy, holder) = (spec.at("strategy"), spec.at("preferredHolder"));
    if !strategy.is_absent() {
        let told = strategy.at("strategy");
        if strategy.text().contains('/') {
            strategy.as_at("strategy").formed(name::qualified, errors);
        } else if strategy.text() != "OldestEmulationVersion" {
            errors.push(FieldError::unsupported(told.to_string(), strategy.value(), &["OldestEmulationVersion"]));
        }
    }
    if !holder.text().is_empty() && strategy.text().is_empty() {
        errors.push(holder.forbidden("may only be specified if `strategy` is defined"));
    }
}

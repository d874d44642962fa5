//! Namespaces: their own finalizers, their phase, their two-step end (contract 8.10).

use serde_json::{Value, json};

use super::field::Field;
use crate::api::catalog::Kind;
use crate::api::error::FieldError;
use crate::api::meta::{self, name};
use crate::api::removal::{Plan, finalizers_for};
use crate::request::DeleteOptions;

pub(super) fn prepare_create(new: &mut Value) {
    let mut finalizers = new["spec"]["finalizers"].as_array().cloned().unwrap_or_default();
    if !finalizers.iter().any(|name| name == "kubernetes") {
        finalizers.push(Value::from("kubernetes"));
    }
    new["spec"]["finalizers"] = Value::from(finalizers);
    new["status"] = json!({"phase": "Active"});
    label(new);
}

pub(super) fn prepare_update(new: &mut Value, old: &Value) {
    new["spec"] = old["spec"].clone();
    label(new);
}

/// The faults of a namespace.
pub(super) fn check(new: &Value, errors: &mut Vec<FieldError>) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    let list = spec.at("finalizers");
    let path = list.to_string();
    list.items().for_each(|own| check_finalizer(&Field::new(own.value(), &path), errors));
}

/// The faults of a change of its own finalizers.
pub(super) fn check_finalizers(new: &Value, errors: &mut Vec<FieldError>) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    spec.at("finalizers").items().for_each(|own| check_finalizer(&own, errors));
}

/// The faults of a new phase.
pub(super) fn check_status(new: &Value, errors: &mut Vec<FieldError>) {
    let phase = new["status"]["phase"].as_str().unwrap_or("");
    let fault = match (meta::is_deleting(new), phase) {
        (false, "Active") | (true, "Terminating") => return,
        (false, _) => "may only be 'Active' if `deletionTimestamp` is empty",
        (true, _) => "may only be 'Terminating' if `deletionTimestamp` is not empty",
    };
    errors.push(FieldError::invalid_text("status.Phase", phase, fault));
}

/// Whether its own finalizers are gone.
pub(super) fn is_finalized(object: &Value) -> bool {
    super::field::is_empty(&object["spec"]["finalizers"])
}

/// The first deletion marks it; later ones wait for its finalizers. `None` once nothing but the generic way is left.
pub(super) fn plan_deletion(kind: &Kind, options: &DeleteOptions, old: &Value) -> Option<Plan> {
    if meta::is_deleting(old) {
        return (!is_finalized(old)).then_some(Plan::Wait);
    }
    let mut new = old.clone();
    meta::set(&mut new, "deletionTimestamp", &meta::now());
    new["status"]["phase"] = Value::from("Terminating");
    if let Some(finalizers) = finalizers_for(kind, options, old) {
        meta::set_finalizers(&mut new, &finalizers);
    }
    Some(Plan::Mark(new))
}

fn check_finalizer(own: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    own.formed(name::qualified, errors);
    if !own.text().contains('/') && !["kubernetes", meta::ORPHAN, meta::FOREGROUND].contains(&own.text()) {
        errors.push(own.invalid("name is neither a standard finalizer name nor is it fully qualified"));
    }
}

fn label(new: &mut Value) {
    let name = meta::text(new, "name").to_owned();
    new["metadata"]["labels"]["kubernetes.io/metadata.name"] = Value::from(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_and_finalizers() {
        let told = |check: fn(&Value, &mut Vec<FieldError>), namespace: Value| {
            let mut errors = Vec::new();
            check(&namespace, &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let active = "may only be 'Active' if `deletionTimestamp` is empty";
        let ending = "may only be 'Terminating' if `deletionTimestamp` is not empty";
        for (namespace, expected) in [
            (json!({"metadata": {}, "status": {"phase": "Active"}}), String::new()),
            (json!({"metadata": {}, "status": {"phase": "Other"}}), format!("status.Phase: Invalid value: \"Other\": {active}")),
            (
                json!({"metadata": {"deletionTimestamp": "t"}, "status": {"phase": "Active"}}),
                format!("status.Phase: Invalid value: \"Active\": {ending}"),
            ),
        ] {
            assert_eq!(told(check_status, namespace), expected);
        }
        for (name, expected) in [
            ("kubernetes", ""),
            ("example.com/a", ""),
            (
                "other",
                "spec.finalizers[0]: Invalid value: \"other\": name is neither a standard finalizer name nor is it fully qualified",
            ),
        ] {
            assert_eq!(told(check_finalizers, json!({"spec": {"finalizers": [name]}})), expected);
        }
    }
}

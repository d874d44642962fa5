//! Namespaces: their own finalizers, their phase, their two-step end (contract 8.10).

use serde_json::{Value, json};

use crate::api::catalog::Kind;
use crate::api::meta;
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

fn label(new: &mut Value) {
    let name = meta::text(new, "name").to_owned();
    new["metadata"]["labels"]["kubernetes.io/metadata.name"] = Value::from(name);
}

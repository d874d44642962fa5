//! The defaults that kube-apiserver fills into every object of a kind (contract 7.4), and what its decoding makes equal (`serviceAccount`
//! and `serviceAccountName`, `stringData` and `data`). Pure functions on a body that has been read, before it is normalised.
//!
//! Not here: what admission, allocation and a resource's strategy set.

use serde_json::Value;

use crate::api::catalog::Kind;

mod cluster;
mod core;
mod image;
mod member;
mod pod;
mod policy;
mod resource;
mod volume;
mod workload;

pub(super) fn fill(kind: &Kind, value: &mut Value) {
    of((&kind.group, &kind.version, &kind.kind), value);
}

/// What the containers of a pod's spec need at once of each resource: name and printed amount. `which` is `requests` or `limits`.
pub(super) fn sum(spec: &Value, which: &str) -> Vec<(String, String)> {
    resource::sum_of(spec, which)
}

/// Fills the defaults of a group, version and kind.
fn of(kind: (&str, &str, &str), value: &mut Value) {
    let Value::Object(object) = value else { return };
    match kind {
        ("", "v1", name) => core::fill(name, object),
        ("apps" | "batch" | "autoscaling", version, name) => workload::fill((version, name), object),
        ("admissionregistration.k8s.io" | "flowcontrol.apiserver.k8s.io" | "rbac.authorization.k8s.io", _, name) => {
            policy::fill(name, object);
        }
        (_, _, name) => cluster::fill(name, object),
    }
}

#[cfg(test)]
mod tests;

//! RuntimeClass: what a class costs, and where its pods may run.

use serde_json::Value;

use super::{Operation, Review};
use crate::api::Api;
use crate::api::kinds::is_empty;
use crate::status::Status;

pub(super) fn admit(api: &Api, review: &Review<'_>, pod: &mut Value) -> Result<(), Status> {
    let name = pod["spec"]["runtimeClassName"].as_str().unwrap_or("").to_owned();
    if !review.is("", "pods", Operation::Create) || name.is_empty() {
        return Ok(());
    }
    let kind = api.catalog.find("node.k8s.io", "v1", "runtimeclasses");
    let Some(class) = kind.and_then(|kind| api.seen(kind, "", &name)) else {
        let cause = format!("pod rejected: RuntimeClass {} not found", crate::api::error::quoted(&name));
        return Err(review.forbid(pod, cause));
    };
    let class = class.value();
    let overhead = &class["overhead"]["podFixed"];
    let own = &pod["spec"]["overhead"];
    if !is_empty(own) && own != overhead {
        return Err(review.forbid(pod, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"));
    }
    if !is_empty(overhead) {
        pod["spec"]["overhead"] = overhead.clone();
    }
    for (key, value) in class["scheduling"]["nodeSelector"].as_object().into_iter().flatten() {
        let own = &mut pod["spec"]["nodeSelector"][key];
        if !own.is_null() && own != value {
            let cause =
                format!("conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {own}");
            return Err(review.forbid(pod, cause));
        }
        *own = value.clone();
    }
    let mut tolerations = pod["spec"]["tolerations"].as_array().cloned().unwrap_or_default();
    for toleration in class["scheduling"]["tolerations"].as_array().into_iter().flatten() {
        if !tolerations.contains(toleration) {
            tolerations.push(toleration.clone());
        }
    }
    if !tolerations.is_empty() {
        pod["spec"]["tolerations"] = Value::from(tolerations);
    }
    Ok(())
}

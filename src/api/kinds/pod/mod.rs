//! Pods: their first status, their class of service, what they may be and what may change (contract 3.5, 3.9, 7.5).

mod affinity;
mod annotation;
mod change;
mod check;
mod claim;
mod container;
mod environment;
#[cfg(test)]
mod flood;
mod mount;
mod prepare;
mod probe;
mod projection;
mod resize;
mod resource;
mod schedule;
mod security;
mod source;
mod status;
#[cfg(test)]
mod tests;
mod volume;
mod warn;
mod windows;

use serde_json::Value;

use super::quantity::nanos;

pub(super) use change::check_update;
pub(super) use check::{check_create, check_labels, check_template};
pub(super) use prepare::{drop_disabled, prepare_create, prepare_update};
pub(super) use resize::keep_all_but_resources;
pub(super) use resource::check_overhead;
pub(super) use schedule::check_tolerations;
pub(super) use warn::{warn, warn_of_claim, warn_of_name, warn_of_template};

/// Everything but `spec.ephemeralContainers` stays.
pub(super) fn keep_all_but_ephemeral(new: &mut Value, old: &Value) {
    let wished = new["spec"]["ephemeralContainers"].take();
    restore(new, old);
    new["spec"]["ephemeralContainers"] = wished;
}

/// The class of service that the resources of a pod, or else of its containers, make.
pub(crate) fn qos(spec: &Value) -> &'static str {
    let amount = |value: &Value| value.as_str().and_then(nanos).filter(|amount| *amount > 0);
    let (mut best_effort, mut guaranteed) = (true, true);
    let mut count = |resources: &Value| {
        for name in ["cpu", "memory"] {
            let (request, limit) = (amount(&resources["requests"][name]), amount(&resources["limits"][name]));
            best_effort &= request.is_none() && limit.is_none();
            guaranteed &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
        }
    };
    if spec["resources"].is_object() {
        count(&spec["resources"]);
    } else {
        let lists = ["containers", "initContainers"].into_iter();
        lists.flat_map(|list| spec[list].as_array().into_iter().flatten()).for_each(|container| count(&container["resources"]));
    }
    match (best_effort, guaranteed) {
        (true, _) => "BestEffort",
        (false, true) => "Guaranteed",
        (false, false) => "Burstable",
    }
}

fn restore(new: &mut Value, old: &Value) {
    let mut metadata = new["metadata"].take();
    for member in ["deletionTimestamp", "generation", "labels", "annotations", "finalizers", "ownerReferences"] {
        match &old["metadata"][member] {
            Value::Null => drop(metadata.as_object_mut().and_then(|metadata| metadata.remove(member))),
            value => metadata[member] = value.clone(),
        }
    }
    *new = old.clone();
    new["metadata"] = metadata;
}

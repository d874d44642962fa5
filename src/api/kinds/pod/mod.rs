//! Pods: their first status, their class of service, what may change (contract 3.5, 3.9).

mod change;
mod check;

use serde_json::{Value, json};

use super::Part;
use super::quantity::nanos;
use crate::api::error::FieldError;
use crate::api::meta;

pub(super) use change::check_change;
pub(super) use check::{check, check_template};

pub(super) fn prepare_create(new: &mut Value) {
    let mut status = json!({"phase": "Pending", "qosClass": qos(&new["spec"])});
    if !super::field::is_empty(&new["spec"]["schedulingGates"]) {
        let message = "Scheduling is blocked due to non-empty scheduling gates";
        status["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": message,
            "lastProbeTime": null, "lastTransitionTime": meta::now()}]);
    }
    new["status"] = status;
}

pub(super) fn prepare_update(part: Part, new: &mut Value, old: &Value) {
    if part != Part::Status {
        return;
    }
    if new["status"]["qosClass"].as_str().is_none_or(str::is_empty) {
        new["status"]["qosClass"] = old["status"]["qosClass"].clone();
    }
    if new["status"]["observedGeneration"].as_i64().unwrap_or(0) == 0 && old["status"]["observedGeneration"].is_number() {
        new["status"]["observedGeneration"] = old["status"]["observedGeneration"].clone();
    }
}

/// Everything but `spec.ephemeralContainers` stays.
pub(super) fn keep_all_but_ephemeral(new: &mut Value, old: &Value) {
    let wished = new["spec"]["ephemeralContainers"].take();
    restore(new, old);
    if !wished.is_null() {
        new["spec"]["ephemeralContainers"] = wished;
    }
}

/// Everything but the containers' resources and resize policies stays.
pub(super) fn keep_all_but_resources(new: &mut Value, old: &Value) {
    let wished = new["spec"].take();
    restore(new, old);
    for list in ["containers", "initContainers"] {
        let Some(containers) = new["spec"].get_mut(list).and_then(Value::as_array_mut) else { continue };
        for (own, wish) in containers.iter_mut().zip(wished[list].as_array().into_iter().flatten()) {
            for member in ["resources", "resizePolicy"] {
                if own["name"] == wish["name"] && !wish[member].is_null() {
                    own[member] = wish[member].clone();
                }
            }
        }
    }
}

/// The class of service that the resources of a pod's containers make.
pub(crate) fn qos(spec: &Value) -> &'static str {
    let containers = ["containers", "initContainers"].into_iter().flat_map(|list| spec[list].as_array().into_iter().flatten());
    let amount = |value: &Value| value.as_str().and_then(nanos).filter(|amount| *amount > 0);
    let (mut best_effort, mut guaranteed) = (true, true);
    for container in containers {
        let resources = &container["resources"];
        for name in ["cpu", "memory"] {
            let (request, limit) = (amount(&resources["requests"][name]), amount(&resources["limits"][name]));
            best_effort &= request.is_none() && limit.is_none();
            guaranteed &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
        }
    }
    match (best_effort, guaranteed) {
        (true, _) => "BestEffort",
        (false, true) => "Guaranteed",
        (false, false) => "Burstable",
    }
}

pub(super) fn warn(new: &Value, warnings: &mut Vec<String>) {
    let grace = &new["spec"]["terminationGracePeriodSeconds"];
    if grace.as_i64().is_some_and(|seconds| seconds < 0) {
        warnings.push(
            "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1".to_owned(),
        );
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

/// Faults of the names of a list's items: there, of the right form, and only once.
fn check_names(list: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let mut seen: Vec<&str> = Vec::new();
    for (path, item) in super::field::items(list, path) {
        let own = item["name"].as_str().unwrap_or("");
        let path = format!("{path}.name");
        if own.is_empty() {
            errors.push(FieldError::required(&path, ""));
            continue;
        }
        errors.extend(meta::name::label(own).iter().map(|fault| FieldError::invalid_text(&path, own, fault)));
        if seen.contains(&own) {
            errors.push(FieldError::duplicate(&path, &item["name"]));
        }
        seen.push(own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_service() {
        let with = |resources: Value| json!({"containers": [{"resources": resources}]});
        for (spec, expected) in [
            (with(json!({})), "BestEffort"),
            (with(json!({"requests": {"cpu": "1"}})), "Burstable"),
            (with(json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1Gi"}})), "Guaranteed"),
            (with(json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "1Gi"}})), "Burstable"),
            (with(json!({"limits": {"cpu": "1"}})), "Burstable"),
            (with(json!({"limits": {"example.com/x": "1"}})), "BestEffort"),
        ] {
            assert_eq!(qos(&spec), expected, "{spec}");
        }
    }

    #[test]
    fn resizing_changes_resources_only() {
        let old =
            json!({"metadata": {"resourceVersion": "1"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}});
        let mut new = json!({"metadata": {"resourceVersion": "1", "labels": {"x": "y"}},
            "spec": {"nodeName": "m", "containers": [{"name": "c", "image": "other", "resources": {"limits": {"cpu": "1"}}}]}});
        keep_all_but_resources(&mut new, &old);
        let mut expected = old.clone();
        expected["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "1"}});
        assert_eq!(new, expected);
    }
}

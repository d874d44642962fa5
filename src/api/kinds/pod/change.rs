//! What may change of a pod (contract 3.9).

use serde_json::Value;

use crate::api::error::FieldError;
use crate::api::kinds::Part;
use crate::api::kinds::field::{is_empty, items};
use crate::api::kinds::internal;

/// The rules of a change of a pod's spec.
pub(in crate::api::kinds) fn check_change(part: Part, new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    match part {
        Part::Whole => check_whole(&new["spec"], &old["spec"], errors),
        Part::Ephemeral => check_ephemeral(&new["spec"], &old["spec"], errors),
        _ => {}
    }
}

fn check_whole(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let containers = |spec: &Value, list: &str| spec[list].as_array().map_or(0, Vec::len);
    for list in ["containers", "initContainers"] {
        if containers(new, list) != containers(old, list) {
            let fault = "pod updates may not add or remove containers";
            errors.push(FieldError::forbidden(format!("spec.{list}"), fault));
            return;
        }
    }
    check_deadline(&new["activeDeadlineSeconds"], &old["activeDeadlineSeconds"], errors);
    check_tolerations(&new["tolerations"], &old["tolerations"], errors);
    let mut munged = new.clone();
    for list in ["containers", "initContainers"] {
        for (own, stored) in pairs(munged.get_mut(list), &old[list]) {
            own["image"] = stored["image"].clone();
        }
    }
    for member in ["activeDeadlineSeconds", "tolerations"] {
        restore(&mut munged, old, member);
    }
    let grace = |spec: &Value| spec["terminationGracePeriodSeconds"].as_i64();
    if grace(new) == Some(1) && grace(old).is_some_and(|seconds| seconds < 0) {
        restore(&mut munged, old, "terminationGracePeriodSeconds");
    }
    loosen_gates(&mut munged, old);
    if munged != *old {
        errors.push(FieldError::forbidden("spec", &format!("{ALLOWED}\n{}", internal::difference("PodSpec", old, &munged))));
    }
}

/// Scheduling gates may go; while there are some, the pod's wishes may become narrower.
fn loosen_gates(munged: &mut Value, old: &Value) {
    let gates = |spec: &Value| spec["schedulingGates"].as_array().cloned().unwrap_or_default();
    let known = gates(old);
    if gates(munged).iter().any(|gate| !known.contains(gate)) {
        return;
    }
    restore(munged, old, "schedulingGates");
    if known.is_empty() {
        return;
    }
    let own = old["nodeSelector"].as_object().cloned().unwrap_or_default();
    if own.iter().all(|(key, value)| munged["nodeSelector"][key] == *value) {
        restore(munged, old, "nodeSelector");
    }
    if is_empty(&old["affinity"]) {
        restore(munged, old, "affinity");
    }
}

fn check_deadline(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let path = "spec.activeDeadlineSeconds";
    match (new.as_i64(), old.as_i64()) {
        (Some(new_seconds), Some(seconds)) if new_seconds > seconds => {
            errors.push(FieldError::invalid(path, new, "must be less than or equal to previous value"));
        }
        (None, Some(_)) => {
            errors.push(FieldError::invalid(path, new, "must not update from a positive integer to nil value"));
        }
        _ => {}
    }
}

fn check_tolerations(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let list = new.as_array().cloned().unwrap_or_default();
    if old.as_array().into_iter().flatten().any(|toleration| !list.contains(toleration)) {
        let fault = "existing toleration can not be modified except its tolerationSeconds";
        let same_but_seconds = |old: &Value| {
            list.iter().any(|new| ["key", "operator", "value", "effect"].iter().all(|member| new[*member] == old[*member]))
        };
        if !old.as_array().into_iter().flatten().all(same_but_seconds) {
            errors.push(FieldError::forbidden("spec.tolerations", fault));
        }
    }
}

fn check_ephemeral(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let path = "spec.ephemeralContainers";
    for (_, stored) in items(&old["ephemeralContainers"], path) {
        let name = stored["name"].as_str().unwrap_or("");
        let own = new["ephemeralContainers"].as_array().into_iter().flatten().find(|own| own["name"] == stored["name"]);
        match own {
            None => {
                errors.push(FieldError::forbidden(path, &format!("existing ephemeral containers {name:?} may not be removed")))
            }
            Some(own) if own != stored => {
                errors.push(FieldError::forbidden(path, &format!("existing ephemeral containers {name:?} may not be changed")));
            }
            Some(_) => {}
        }
    }
}

fn pairs<'a>(new: Option<&'a mut Value>, old: &'a Value) -> impl Iterator<Item = (&'a mut Value, &'a Value)> {
    new.and_then(Value::as_array_mut).into_iter().flatten().zip(old.as_array().into_iter().flatten())
}

fn restore(new: &mut Value, old: &Value, member: &str) {
    match &old[member] {
        Value::Null => {
            if let Some(members) = new.as_object_mut() {
                members.remove(member);
            }
        }
        value => new[member] = value.clone(),
    }
}

const ALLOWED: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` \
(allow it to be set to 1 if it was previously negative)";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_may_change() {
        let old = json!({"containers": [{"name": "c", "image": "i"}], "tolerations": [{"key": "a", "operator": "Exists"}]});
        let change = |path: &str, value: Value| {
            let mut new = old.clone();
            *new.pointer_mut(path).expect("a place") = value;
            new
        };
        let mut gated = old.clone();
        gated["schedulingGates"] = json!([{"name": "g"}]);
        let rows = [
            (old.clone(), old.clone(), ""),
            (change("/containers/0/image", json!("j")), old.clone(), ""),
            (change("/containers/0/name", json!("d")), old.clone(), "pod updates may not change fields other than"),
            (change("/containers", json!([])), old.clone(), "pod updates may not add or remove containers"),
            (change("/tolerations", json!([])), old.clone(), "existing toleration can not be modified"),
            (
                change("/tolerations", json!([{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}])),
                old.clone(),
                "",
            ),
            (old.clone(), gated.clone(), ""),
            (gated, old.clone(), "pod updates may not change fields other than"),
        ];
        for (new, old, expected) in rows {
            let mut errors = Vec::new();
            check_change(Part::Whole, &json!({"spec": new}), &json!({"spec": old}), &mut errors);
            let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(all.is_empty(), expected.is_empty(), "{all:?}");
            assert!(all.join(" ").contains(expected), "{all:?}");
        }
    }
}

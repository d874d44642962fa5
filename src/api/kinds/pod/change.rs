//! What may change of a pod (contract 3.9).

use serde_json::Value;

use super::{annotation, check, resize, schedule, status};
use crate::api::error::FieldError;
use crate::api::kinds::Part;
use crate::api::kinds::field::{Field, is_empty};
use crate::api::kinds::internal;
use crate::api::meta;

/// The faults of an updated pod, after those that are the same for every kind.
pub(in crate::api::kinds) fn check_update(part: Part, (new, old): (&Value, &Value), errors: &mut Vec<FieldError>) {
    errors.extend(meta::check_change(new, old));
    match part {
        Part::Status => status::check_update((new, old), errors),
        Part::Ephemeral => check_ephemeral((new, old), errors),
        Part::Resize => {
            check::check_pod(new, errors);
            resize::check((new, old), errors);
        }
        _ => {
            check::check_pod(new, errors);
            check_annotations((new, old), errors);
            check_whole(&Field::new(new, "").at("spec"), &old["spec"], errors);
        }
    }
}

/// What does not change of the annotations, and then once more what they may be.
pub(super) fn check_annotations((new, old): (&Value, &Value), errors: &mut Vec<FieldError>) {
    let root = Field::new(new, "");
    let metadata = root.at("metadata");
    let annotations = metadata.at("annotations");
    annotation::check_change(&annotations, &old["metadata"]["annotations"], errors);
    annotation::check(&annotations, &root.at("spec"), errors);
}

fn check_whole(new: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    for list in ["containers", "initContainers"] {
        let own = new.at(list);
        if own.len() != old[list].as_array().map_or(0, Vec::len) {
            errors.push(own.forbidden("pod updates may not add or remove containers"));
            return;
        }
        for container in own.items() {
            let image = container.at("image");
            image.require(errors);
            if image.text().trim() != image.text() {
                errors.push(image.invalid("must not have leading or trailing whitespace"));
            }
        }
    }
    if check_deadline(&new.at("activeDeadlineSeconds"), &old["activeDeadlineSeconds"], errors) == Deadline::Refused {
        return;
    }
    check_tolerations(&new.at("tolerations"), &old["tolerations"], errors);
    check_gates(&new.at("schedulingGates"), &old["schedulingGates"], errors);
    if new.value() == old {
        return;
    }
    let mut munged = new.value().clone();
    for list in ["containers", "initContainers"] {
        for (own, stored) in pairs(munged.get_mut(list), &old[list]) {
            restore(own, stored, "image");
        }
    }
    for member in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        restore(&mut munged, old, member);
    }
    let grace = |spec: &Value| spec["terminationGracePeriodSeconds"].as_i64();
    if grace(&munged) == Some(1) && grace(old).is_some_and(|seconds| seconds < 0) {
        restore(&mut munged, old, "terminationGracePeriodSeconds");
    }
    if !is_empty(&old["schedulingGates"]) {
        narrow(new, &mut munged, old, errors);
    }
    if munged != *old {
        errors.push(new.forbidden(&format!("{ALLOWED}\n{}", internal::difference("PodSpec", old, &munged))));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deadline {
    Borne,
    /// Nothing else is looked at.
    Refused,
}

fn check_deadline(new: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) -> Deadline {
    match (new.number(), old.as_i64()) {
        (Some(seconds), _) if !(0..=2_147_483_647).contains(&seconds) => {
            errors.push(new.invalid("must be between 0 and 2147483647, inclusive"));
        }
        (Some(seconds), Some(stored)) if seconds > stored => {
            errors.push(new.invalid("must be less than or equal to previous value"));
        }
        (None, Some(_)) => {
            errors.push(new.invalid_text("null", "must not update from a positive integer to nil value"));
            return Deadline::Borne;
        }
        _ => return Deadline::Borne,
    }
    Deadline::Refused
}

/// Tolerations may come, and their seconds change.
fn check_tolerations(new: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    let kind = |item: &Value| ["key", "operator", "value", "effect"].map(|member| item[member].as_str().unwrap_or("").to_owned());
    let list: std::collections::HashSet<[String; 4]> = new.items().map(|item| kind(item.value())).collect();
    if old.as_array().into_iter().flatten().any(|toleration| !list.contains(&kind(toleration))) {
        errors.push(new.forbidden("existing toleration can not be modified except its tolerationSeconds"));
        return;
    }
    schedule::check_tolerations(new, errors);
}

/// Gates may go.
fn check_gates(new: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    let known: std::collections::HashSet<&str> =
        old.as_array().into_iter().flatten().filter_map(|gate| gate["name"].as_str()).collect();
    for gate in new.items().filter(|gate| !known.contains(gate.at("name").text())) {
        let own = gate.at("name");
        errors.push(own.forbidden(&format!("only deletion is allowed, but found new scheduling gate '{}'", own.text())));
    }
}

/// While there are gates the pod's wishes about nodes may become narrower.
fn narrow(new: &Field<'_, '_>, munged: &mut Value, old: &Value, errors: &mut Vec<FieldError>) {
    let fault = "only additions are allowed (no mutations or deletions)";
    if munged["nodeSelector"] != old["nodeSelector"] {
        let own = old["nodeSelector"].as_object().into_iter().flatten();
        if own.into_iter().any(|(key, value)| munged["nodeSelector"][key] != *value) {
            errors.push(match new.at("nodeSelector").value() {
                Value::Null => new.at("nodeSelector").invalid_as("null", fault),
                _ => new.at("nodeSelector").invalid(fault),
            });
        }
        restore(munged, old, "nodeSelector");
    }
    let stored = &old["affinity"]["nodeAffinity"];
    if munged["affinity"]["nodeAffinity"] == *stored {
        return;
    }
    let affinity = new.at("affinity");
    check_terms(&affinity.at("nodeAffinity"), stored, errors);
    match (munged["affinity"].is_null(), old["affinity"].is_null()) {
        (true, _) => munged["affinity"] = serde_json::json!({"nodeAffinity": stored}),
        (false, true) if is_bare(&munged["affinity"]) => restore(munged, old, "affinity"),
        _ => restore(&mut munged["affinity"], &old["affinity"], "nodeAffinity"),
    }
}

/// Whether an affinity is one to nodes only.
fn is_bare(affinity: &Value) -> bool {
    affinity["podAffinity"].is_null() && affinity["podAntiAffinity"].is_null()
}

fn check_terms(new: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    let required = new.at("requiredDuringSchedulingIgnoredDuringExecution");
    let terms = required.at("nodeSelectorTerms");
    let stored = old["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"].as_array();
    let Some(stored) = stored.filter(|stored| !stored.is_empty()) else { return };
    let printed = |term: &Value| internal::print("NodeSelectorTerm", term);
    if stored.len() != terms.len() {
        let list: Vec<String> = terms.items().map(|term| printed(term.value())).collect();
        let list = if terms.is_absent() { "null".to_owned() } else { format!("[{}]", list.join(",")) };
        errors.push(terms.invalid_as(&list, "no additions/deletions to non-empty NodeSelectorTerms list are allowed"));
        return;
    }
    for (term, old) in terms.items().zip(stored) {
        if !only_adds(term.value(), old) {
            errors.push(term.invalid_as(&printed(term.value()), "only additions are allowed (no mutations or deletions)"));
        }
    }
}

fn only_adds(new: &Value, old: &Value) -> bool {
    let list = |term: &Value, member: &str| term[member].as_array().cloned().unwrap_or_default();
    let members = ["matchExpressions", "matchFields"];
    // An empty term selects nothing: whatever comes to it makes it wider.
    if members.iter().all(|member| list(old, member).is_empty()) {
        return members.iter().all(|member| list(new, member).is_empty());
    }
    members.iter().all(|member| list(new, member).starts_with(&list(old, member)))
}

fn check_ephemeral((new, old): (&Value, &Value), errors: &mut Vec<FieldError>) {
    if annotation::is_mirror(old) {
        errors.clear();
        errors.push(FieldError::forbidden("", "static pods do not support ephemeral containers"));
        return;
    }
    check::check_pod(new, errors);
    check_annotations((new, old), errors);
    let root = Field::new(new, "");
    let spec = root.at("spec");
    let list = spec.at("ephemeralContainers");
    let known: std::collections::HashMap<&str, &Value> =
        list.items().map(|container| (container.at("name").text(), container.value())).collect();
    for stored in old["spec"]["ephemeralContainers"].as_array().into_iter().flatten() {
        let name = stored["name"].as_str().unwrap_or("");
        let quoted = crate::api::error::quoted(name);
        match known.get(name) {
            None => errors.push(list.forbidden(&format!("existing ephemeral containers {quoted} may not be removed\n"))),
            Some(own) if *own != stored => {
                let difference = internal::difference("EphemeralContainer", stored, own);
                errors.push(list.forbidden(&format!("existing ephemeral containers {quoted} may not be changed\n{difference}")));
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
        let old = json!({"containers": [{"name": "c", "image": "i"}], "tolerations": [{"key": "a", "operator": "Exists"}],
            "nodeSelector": {"a": "b"}, "activeDeadlineSeconds": 5});
        let change = |path: &str, value: Value| {
            let mut new = old.clone();
            *new.pointer_mut(path).expect("a place") = value;
            new
        };
        let mut gated = old.clone();
        gated["schedulingGates"] = json!([{"name": "g"}]);
        let mut narrower = gated.clone();
        narrower["nodeSelector"]["c"] = json!("d");
        let mut wider = gated.clone();
        wider["nodeSelector"] = json!({"c": "d"});
        let mut turned = gated.clone();
        turned["affinity"] = json!({"nodeAffinity": {}});
        let rows = [
            (old.clone(), old.clone(), ""),
            (change("/containers/0/image", json!("j")), old.clone(), ""),
            (
                change("/containers/0/name", json!("d")),
                old.clone(),
                "spec: Forbidden: pod updates may not change fields other than",
            ),
            (
                change("/containers", json!([])),
                old.clone(),
                "spec.containers: Forbidden: pod updates may not add or remove containers",
            ),
            (
                change("/tolerations", json!([])),
                old.clone(),
                "spec.tolerations: Forbidden: existing toleration can not be modified",
            ),
            (
                change("/tolerations", json!([{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}])),
                old.clone(),
                "",
            ),
            (
                change("/activeDeadlineSeconds", json!(6)),
                old.clone(),
                "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value",
            ),
            (old.clone(), gated.clone(), ""),
            (
                gated.clone(),
                old.clone(),
                "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'g'",
            ),
            (narrower, gated.clone(), ""),
            (wider, gated.clone(), "spec.nodeSelector: Invalid value: {\"c\":\"d\"}: only additions are allowed"),
            (turned, gated, ""),
        ];
        for (new, old, expected) in rows {
            let mut errors = Vec::new();
            check_whole(&Field::new(&new, "spec"), &old, &mut errors);
            let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(all.is_empty(), expected.is_empty(), "{all:?}");
            assert!(all.join(" ").starts_with(expected), "{all:?}");
        }
    }
}

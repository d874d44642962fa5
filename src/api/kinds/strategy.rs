//! What most kinds have in common: the status apart from the rest, and the count of generations (contract 3.4, 3.5).

use serde_json::Value;

use super::Part;
use crate::api::catalog::Kind;
use crate::api::meta;

/// Sets the first generation and takes away a status that clients may not choose.
pub(super) fn prepare_create(kind: &Kind, new: &mut Value) {
    if kind.habits.generation && kind.plural != "csidrivers" {
        meta::members(new).insert("generation".to_owned(), Value::from(1));
    }
    // A kubelet registers with its status.
    if has_status(kind) && kind.plural != "nodes" {
        remove(new, "status");
    }
}

/// The main resource does not change the status.
pub(super) fn keep_status(kind: &Kind, new: &mut Value, old: &Value) {
    if has_status(kind) {
        restore(new, old, "status");
    }
}

/// The status subresource changes nothing but the status and, for most kinds, metadata.
pub(super) fn keep_all_but_status(kind: &Kind, new: &mut Value, old: &Value) {
    for member in members_of(new, old) {
        if !matches!(member.as_str(), "status" | "metadata") {
            restore(new, old, &member);
        }
    }
    let kept: &[&str] = match (kind.group.as_str(), kind.plural.as_str()) {
        ("apps", "deployments") => &["labels"],
        ("", "pods") => &["ownerReferences", "deletionTimestamp", "deletionGracePeriodSeconds"],
        ("storage.k8s.io", "volumeattachments")
        | ("networking.k8s.io", "servicecidrs")
        | ("resource.k8s.io", "resourceclaims")
        | ("apiregistration.k8s.io", "apiservices")
        | (
            "apiextensions.k8s.io" | "storagemigration.k8s.io" | "internal.apiserver.k8s.io" | "admissionregistration.k8s.io",
            _,
        ) => &["labels", "annotations", "finalizers", "ownerReferences", "deletionTimestamp"],
        ("flowcontrol.apiserver.k8s.io", _) => {
            let (version, managed) = (new["metadata"]["resourceVersion"].clone(), new["metadata"]["managedFields"].clone());
            new["metadata"] = old["metadata"].clone();
            new["metadata"]["resourceVersion"] = version;
            if !managed.is_null() {
                new["metadata"]["managedFields"] = managed;
            }
            &[]
        }
        _ => &[],
    };
    for member in kept {
        match &old["metadata"][*member] {
            Value::Null => meta::members(new).remove(*member),
            value => meta::members(new).insert((*member).to_owned(), value.clone()),
        };
    }
}

/// Counts a generation when what the owner wishes has changed.
pub(super) fn count(kind: &Kind, part: Part, new: &mut Value, old: &Value) {
    if !kind.habits.generation || !matches!(part, Part::Whole | Part::Scale | Part::Ephemeral | Part::Resize) {
        return;
    }
    if kind.plural == "priorityclasses" {
        return;
    }
    kind.schema.normalise(new);
    let differs = |member: &str| new["metadata"][member] != old["metadata"][member];
    let more = match (kind.group.as_str(), kind.plural.as_str()) {
        ("apps", "deployments") => differs("annotations"),
        ("discovery.k8s.io", "endpointslices") => differs("labels"),
        _ => false,
    };
    let wish = |member: &String| !matches!(member.as_str(), "metadata" | "status" | "kind" | "apiVersion");
    if more || members_of(new, old).iter().filter(|member| wish(member)).any(|member| new[member] != old[member]) {
        let generation = meta::generation(old) + 1;
        meta::members(new).insert("generation".to_owned(), Value::from(generation));
    }
}

/// Kinds that keep a status which their main resource does not change.
fn has_status(kind: &Kind) -> bool {
    kind.habits.status
}

fn members_of(new: &Value, old: &Value) -> Vec<String> {
    let mut members: Vec<String> =
        [new, old].into_iter().filter_map(Value::as_object).flat_map(|object| object.keys().cloned()).collect();
    members.sort_unstable();
    members.dedup();
    members
}

fn restore(new: &mut Value, old: &Value, member: &str) {
    match &old[member] {
        Value::Null => remove(new, member),
        value => new[member] = value.clone(),
    }
}

fn remove(new: &mut Value, member: &str) {
    if let Some(members) = new.as_object_mut() {
        members.remove(member);
    }
}

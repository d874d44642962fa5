//! What may change of a job.

use serde_json::Value;

use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, is_empty};
use crate::api::kinds::internal;

/// The rules of a change of the spec.
pub(super) fn check(new: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    let stored = &old["spec"];
    check_completions(new, stored, errors);
    new.at("selector").immutable(&stored["selector"], errors);
    check_template(new, old, errors);
    new.at("completionMode").immutable(&stored["completionMode"], errors);
    for (member, structure) in [
        ("podFailurePolicy", "PodFailurePolicy"),
        ("backoffLimitPerIndex", ""),
        ("managedBy", ""),
        ("successPolicy", "SuccessPolicy"),
    ] {
        let own = new.at(member);
        if structure.is_empty() || own.is_absent() {
            own.immutable(&stored[member], errors);
        } else if *own.value() != stored[member] {
            errors.push(own.invalid_as(&internal::print(structure, own.value()), "field is immutable"));
        }
    }
}

fn check_completions(new: &Field<'_, '_>, stored: &Value, errors: &mut Vec<FieldError>) {
    let own = new.at("completions");
    if new.at("completionMode").text() != "Indexed" {
        own.immutable(&stored["completions"], errors);
        return;
    }
    if *own.value() == stored["completions"] || own.is_absent() {
        return;
    }
    if own.count() != new.at("parallelism").count() {
        errors.push(own.invalid("can only be modified in tandem with spec.parallelism"));
    }
}

/// A template stays; but of a job that has never begun it may be told where its pods go, and of one that is suspended what they
/// need.
fn check_template(new: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    let own = new.at("template");
    let stored = &old["spec"]["template"];
    if own.value() == stored {
        return;
    }
    let mut allowed = stored.clone();
    let suspended = old["spec"]["suspend"] == true;
    if suspended && old["status"]["startTime"].is_null() {
        allow_directions(&mut allowed, own.value());
    }
    if suspended {
        allow_resources(&mut allowed["spec"], &own.value()["spec"]);
    }
    if *own.value() != allowed {
        errors.push(own.invalid_as(&internal::print("PodTemplateSpec", own.value()), "field is immutable"));
    }
}

fn allow_directions(allowed: &mut Value, new: &Value) {
    for member in ["nodeSelector", "tolerations", "schedulingGates"] {
        copy(&mut allowed["spec"], &new["spec"], member);
    }
    for member in ["labels", "annotations"] {
        copy(&mut allowed["metadata"], &new["metadata"], member);
    }
    if is_empty(&allowed["metadata"]) && new["metadata"].is_null() {
        copy(allowed, new, "metadata");
    }
    let wished = &new["spec"]["affinity"];
    let affinity = &mut allowed["spec"]["affinity"];
    if affinity.is_null() && wished.is_null() {
        copy(&mut allowed["spec"], &new["spec"], "affinity");
        return;
    }
    copy(affinity, wished, "nodeAffinity");
    if is_empty(affinity) && wished.is_null() {
        copy(&mut allowed["spec"], &new["spec"], "affinity");
    }
}

fn allow_resources(allowed: &mut Value, new: &Value) {
    for list in ["containers", "initContainers"] {
        let wished = new[list].as_array().map_or(&[][..], Vec::as_slice);
        let Some(own) = allowed.get_mut(list).and_then(Value::as_array_mut).filter(|own| own.len() == wished.len()) else {
            continue;
        };
        for (own, wished) in own.iter_mut().zip(wished) {
            if own["name"] == wished["name"] {
                copy(own, wished, "resources");
            }
        }
    }
}

fn copy(to: &mut Value, from: &Value, member: &str) {
    match &from[member] {
        Value::Null => {
            if let Some(members) = to.as_object_mut() {
                members.remove(member);
            }
        }
        value => to[member] = value.clone(),
    }
}

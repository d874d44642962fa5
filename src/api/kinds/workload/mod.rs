//! Deployments, ReplicaSets, StatefulSets, DaemonSets, ReplicationControllers and their revisions: selectors, templates, strategies.

mod status;
mod strategy;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::field::{Field, is_empty, selects};
use super::{Part, pod};
use crate::api::catalog::Kind;
use crate::api::error::FieldError;
use crate::api::meta::{self, name};

/// A DaemonSet also counts the generations of its template.
pub(super) fn prepare_daemon(new: &mut Value, old: Option<&Value>) {
    let key = "deprecated.daemonset.template.generation";
    let count = match old {
        None => 1,
        Some(old) => {
            let stored = old["metadata"]["annotations"][key].as_str().and_then(|count| count.parse::<i64>().ok()).unwrap_or(0);
            stored + i64::from(new["spec"]["template"] != old["spec"]["template"])
        }
    };
    new["metadata"]["annotations"][key] = Value::from(count.to_string());
}

/// How many pods of a StatefulSet may be away at once is off by default in 1.36.
pub(super) fn prepare_stateful(new: &mut Value, old: &Value) {
    let place = "/spec/updateStrategy/rollingUpdate";
    let used = |set: &Value| set.pointer(place).is_some_and(|rolling| !rolling["maxUnavailable"].is_null());
    if let Some(rolling) = new.pointer_mut(place).and_then(Value::as_object_mut).filter(|_| !used(old)) {
        rolling.remove("maxUnavailable");
    }
}

/// The faults of one of these kinds by itself, after those of its metadata.
pub(super) fn check(kind: &Kind, new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    match kind.kind.as_str() {
        "Deployment" => check_deployment(&spec, errors),
        "ReplicaSet" => check_replicas(&spec, errors),
        "DaemonSet" => check_daemon(&spec, errors),
        "StatefulSet" => check_stateful(&spec, old, errors),
        "ReplicationController" => check_controller(&spec, errors),
        "ControllerRevision" => {
            if root.at("data").is_absent() {
                errors.push(root.at("data").required("data is mandatory"));
            }
            root.at("revision").not_negative(errors);
        }
        _ => pod::check_template(&root.at("template"), errors),
    }
}

/// The faults of an updated object, after those that are the same for every kind.
pub(super) fn check_update(kind: &Kind, part: Part, (new, old): (&Value, &Value), errors: &mut Vec<FieldError>) {
    if part == Part::Status && !matches!(kind.kind.as_str(), "PodTemplate" | "ControllerRevision") {
        // Only a StatefulSet is looked at before its metadata.
        if kind.kind != "StatefulSet" {
            errors.extend(meta::check_change(new, old));
        }
        status::check(kind, (new, old), errors);
        return;
    }
    errors.extend(meta::check_change(new, old));
    let root = Field::new(new, "");
    match kind.kind.as_str() {
        "ControllerRevision" => {
            errors.extend(meta::check(new, name::subdomain, true));
            check(kind, new, Some(old), errors);
            root.at("data").immutable(&old["data"], errors);
        }
        "StatefulSet" => {
            check(kind, new, Some(old), errors);
            check_fixed(&root.at("spec"), &old["spec"], errors);
        }
        "ReplicationController" | "PodTemplate" => check(kind, new, Some(old), errors),
        _ => {
            check(kind, new, Some(old), errors);
            root.at("spec").at("selector").immutable(&old["spec"]["selector"], errors);
        }
    }
}

/// What a client should know.
pub(super) fn warn(kind: &Kind, new: &Value, old: Option<&Value>, warnings: &mut Vec<String>) {
    if old.is_some_and(|old| meta::generation(new) == meta::generation(old)) {
        return;
    }
    let root = Field::new(new, "");
    let spec = root.at("spec");
    match kind.kind.as_str() {
        "PodTemplate" => return pod::warn_of_template(&root.at("template"), warnings),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "ReplicationController" if old.is_none() => {
            pod::warn_of_name(new, "Pod names and hostnames", warnings);
        }
        "Deployment" | "ReplicaSet" | "StatefulSet" | "ReplicationController" | "DaemonSet" => {}
        _ => return,
    }
    pod::warn_of_template(&spec.at("template"), warnings);
    for claim in spec.at("volumeClaimTemplates").items() {
        let mut told = Vec::new();
        pod::warn_of_claim(&claim.at("spec"), &mut told);
        // The template is told without its `spec`.
        warnings.extend(told.iter().map(|text| text.replacen("].spec.", "].", 1)));
    }
}

fn check_deployment(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    spec.at("replicas").not_negative(errors);
    check_selector(spec, "empty selector is invalid for deployment", errors);
    check_chosen(spec, "invalid label selector", errors, |template, errors| check_always(template, "ReplicaSet", errors));
    strategy::check_deployment(&spec.at("strategy"), errors);
    spec.at("minReadySeconds").not_negative(errors);
    spec.at("revisionHistoryLimit").not_negative(errors);
    let deadline = spec.at("progressDeadlineSeconds");
    deadline.not_negative(errors);
    if deadline.number().is_some_and(|deadline| deadline <= spec.at("minReadySeconds").count()) {
        errors.push(deadline.invalid("must be greater than minReadySeconds"));
    }
}

fn check_replicas(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    spec.at("replicas").not_negative(errors);
    spec.at("minReadySeconds").not_negative(errors);
    check_selector(spec, "empty selector is invalid for deployment", errors);
    check_chosen(spec, "invalid label selector", errors, |template, errors| check_always(template, "ReplicaSet", errors));
}

fn check_daemon(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (selector, template) = (spec.at("selector"), spec.at("template"));
    selector.selector(errors);
    if is_sound(&selector)
        && !(selector.value().is_object() && selects(selector.value(), &template.value()["metadata"]["labels"]))
    {
        errors.push(unchosen(&template));
    }
    if !selector.is_absent() && is_blank(selector.value()) {
        errors.push(selector.invalid("empty selector is invalid for daemonset"));
    }
    check_always(&template, "DaemonSet", errors);
    spec.at("minReadySeconds").not_negative(errors);
    strategy::check_daemon(&spec.at("updateStrategy"), errors);
    spec.at("revisionHistoryLimit").not_negative(errors);
}

fn check_stateful(spec: &Field<'_, '_>, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let policy = spec.at("podManagementPolicy");
    match policy.text() {
        "" => errors.push(policy.required("")),
        "OrderedReady" | "Parallel" => {}
        _ => errors.push(policy.invalid("must be 'OrderedReady' or 'Parallel'")),
    }
    strategy::check_stateful(&spec.at("updateStrategy"), errors);
    let retention = spec.at("persistentVolumeClaimRetentionPolicy");
    if !retention.is_absent() {
        for member in ["whenDeleted", "whenScaled"] {
            if !["Retain", "Delete"].contains(&retention.at(member).text()) {
                errors.push(retention.at(member).unsupported(&["Retain", "Delete"]));
            }
        }
    }
    spec.at("replicas").not_negative(errors);
    spec.at("minReadySeconds").not_negative(errors);
    spec.at("ordinals").at("start").not_negative(errors);
    // What older servers took stays.
    let before = |member: &str| old.is_some_and(|old| old["spec"][member] == spec.value()[member]);
    if !before("revisionHistoryLimit") {
        spec.at("revisionHistoryLimit").not_negative(errors);
    }
    check_selector(spec, "empty selector is invalid for statefulset", errors);
    if !before("serviceName") {
        spec.at("serviceName").named(name::label, errors);
    }
    check_chosen(spec, "", errors, |template, errors| {
        pod::check_labels(template, errors);
    });
    let template = spec.at("template");
    let template = template.at("spec");
    let policy = template.at("restartPolicy");
    if policy.text() != "Always" {
        errors.push(policy.unsupported(&["Always"]));
    }
    let deadline = template.at("activeDeadlineSeconds");
    if !deadline.is_absent() {
        errors.push(deadline.forbidden("activeDeadlineSeconds in StatefulSet is not Supported"));
    }
}

fn check_controller(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    spec.at("minReadySeconds").not_negative(errors);
    let (selector, replicas, template) = (spec.at("selector"), spec.at("replicas"), spec.at("template"));
    if selector.is_empty() {
        errors.push(selector.required(""));
    }
    if replicas.is_absent() {
        errors.push(replicas.required(""));
    }
    replicas.not_negative(errors);
    if template.is_absent() {
        errors.push(template.required(""));
        return;
    }
    let chosen = selects(&json!({"matchLabels": selector.value()}), &template.value()["metadata"]["labels"]);
    if !selector.is_empty() && !chosen {
        errors.push(unchosen(&template));
    }
    check_always(&template, "ReplicationController", errors);
}

/// A selector that must be there and select something.
fn check_selector(spec: &Field<'_, '_>, fault: &str, errors: &mut Vec<FieldError>) {
    let selector = spec.at("selector");
    if selector.is_absent() {
        errors.push(selector.required(""));
        return;
    }
    selector.selector(errors);
    if is_blank(selector.value()) {
        errors.push(selector.invalid(fault));
    }
}

/// The template, when the selector can be read: it is what the selector selects, and `check` finds nothing in it.
fn check_chosen(
    spec: &Field<'_, '_>,
    fault: &str,
    errors: &mut Vec<FieldError>,
    check: fn(&Field<'_, '_>, &mut Vec<FieldError>),
) {
    let (selector, template) = (spec.at("selector"), spec.at("template"));
    if !is_sound(&selector) {
        errors.push(selector.invalid(fault));
        return;
    }
    // No selector at all selects nothing; an empty one everything.
    let chosen = match selector.value() {
        Value::Null => false,
        own => selects(own, &template.value()["metadata"]["labels"]),
    };
    if !chosen {
        errors.push(unchosen(&template));
    }
    check(&template, errors);
}

/// A template whose pods run for ever.
fn check_always(template: &Field<'_, '_>, owner: &str, errors: &mut Vec<FieldError>) {
    pod::check_template(template, errors);
    let spec = template.at("spec");
    let policy = spec.at("restartPolicy");
    if policy.text() != "Always" {
        errors.push(policy.unsupported(&["Always"]));
    }
    let deadline = spec.at("activeDeadlineSeconds");
    if !deadline.is_absent() {
        errors.push(deadline.forbidden(&format!("activeDeadlineSeconds in {owner} is not Supported")));
    }
}

/// The fault of a template that its owner does not select.
pub(super) fn unchosen(template: &Field<'_, '_>) -> FieldError {
    let metadata = template.at("metadata");
    let labels = metadata.at("labels");
    FieldError::invalid(labels.to_string(), labels.value(), "`selector` does not match template `labels`")
}

/// Whether a selector can be read at all.
pub(super) fn is_sound(selector: &Field<'_, '_>) -> bool {
    let mut errors = Vec::new();
    selector.selector(&mut errors);
    errors.is_empty()
}

fn is_blank(selector: &Value) -> bool {
    is_empty(&selector["matchLabels"]) && is_empty(&selector["matchExpressions"])
}

/// Most of a StatefulSet does not change.
fn check_fixed(new: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    let members = |spec: &Value| spec.as_object().cloned().unwrap_or_default();
    let (own, stored) = (members(new.value()), members(old));
    let differs = |(own, stored): (&serde_json::Map<String, Value>, &serde_json::Map<String, Value>)| {
        own.iter().any(|(member, value)| !STATEFUL.contains(&member.as_str()) && stored.get(member) != Some(value))
    };
    if differs((&own, &stored)) || differs((&stored, &own)) {
        let fault = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
                     'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        errors.push(new.forbidden(fault));
    }
}

const STATEFUL: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

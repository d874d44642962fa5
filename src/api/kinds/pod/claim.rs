//! The rules of a claim's template inside a pod.

use serde_json::Value;

use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::kinds::quantity::nanos;
use crate::api::meta::name;

/// The template of a claim that is made for an ephemeral volume.
pub(super) fn check_template(template: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let metadata = template.at("metadata");
    metadata.at("annotations").annotations(errors);
    metadata.at("labels").labels(errors);
    for (member, told) in UNWANTED {
        if !metadata.at(member).is_empty() {
            errors.push(metadata.at(told).forbidden("cannot be set"));
        }
    }
    check_spec(&template.at("spec"), errors);
}

/// The wishes of a claim.
pub(super) fn check_spec(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let modes = spec.at("accessModes");
    if modes.is_empty() {
        errors.push(modes.required("at least 1 access mode is required"));
    }
    spec.at("selector").selector(errors);
    for mode in modes.texts().filter(|mode| !MODES.contains(mode)) {
        errors.push(FieldError::unsupported(modes.to_string(), &Value::from(mode), &MODES));
    }
    let alone = modes.texts().any(|mode| mode == "ReadWriteOncePod");
    if alone && modes.texts().any(|mode| mode != "ReadWriteOncePod" && MODES.contains(&mode)) {
        errors.push(modes.forbidden("may not use ReadWriteOncePod with other access modes"));
    }
    let resources = spec.at("resources");
    let storage = &resources.value()["requests"]["storage"];
    match storage.as_str() {
        None => errors.push(resources.key("storage").required("")),
        Some(size) if nanos(size).is_some_and(|size| size <= 0) => {
            errors.push(resources.key("storage").invalid_text(size, "must be greater than zero"));
        }
        Some(_) => {}
    }
    spec.at("storageClassName").named(name::subdomain, errors);
    spec.at("volumeMode").one_of(&["Block", "Filesystem"], errors);
    check_sources(spec, errors);
    spec.at("volumeAttributesClassName").named(name::subdomain, errors);
}

fn check_sources(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (source, reference) = (spec.at("dataSource"), spec.at("dataSourceRef"));
    for own in [&source, &reference] {
        if own.is_absent() {
            continue;
        }
        own.at("name").require(errors);
        own.at("kind").require(errors);
        let group = own.at("apiGroup");
        if group.is_empty() && own.at("kind").text() != "PersistentVolumeClaim" {
            errors.push(
                own.invalid_text(own.at("kind").text(), "must be 'PersistentVolumeClaim' when referencing the default apiGroup"),
            );
        }
        group.named(name::subdomain, errors);
        let namespace = own.at("namespace");
        namespace.named(name::label, errors);
    }
    if source.is_absent() || reference.is_absent() {
        return;
    }
    // The value that kube-apiserver tells is its own path type, which has nothing to print.
    let told = "{}";
    if !reference.at("namespace").is_empty() {
        errors.push(spec.invalid_as(told, "may not be specified when dataSourceRef.namespace is specified"));
    } else if ["apiGroup", "kind", "name"].iter().any(|member| source.at(member).value() != reference.at(member).value()) {
        errors.push(spec.invalid_as(told, "must match dataSourceRef"));
    }
}

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// Metadata that a claim's template cannot have, in the order of Go's structure, and as it is told.
const UNWANTED: [(&str, &str); 11] = [
    ("name", "name"),
    ("generateName", "generateName"),
    ("namespace", "namespace"),
    ("selfLink", "selfLink"),
    ("uid", "uID"),
    ("resourceVersion", "resourceVersion"),
    ("generation", "generation"),
    ("deletionGracePeriodSeconds", "deletionGracePeriodSeconds"),
    ("ownerReferences", "ownerReferences"),
    ("finalizers", "finalizers"),
    ("managedFields", "managedFields"),
];

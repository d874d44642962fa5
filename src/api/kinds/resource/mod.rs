//! `resource.k8s.io`: classes of devices, claims for them, the templates of claims, and the slices that drivers publish.

mod capacity;
mod claim;
mod device;
mod form;
mod slice;
mod status;

use serde_json::Value;

use super::Part;
use super::field::Field;
use super::internal;
use super::write::{Write, same};
use crate::api::error::FieldError;
use crate::api::meta::{self, name};

pub(super) use slice::prepare;
pub(super) use status::prepare as prepare_status;

pub(super) fn check(write: &Write<'_>, errors: &mut Vec<FieldError>) {
    let root = write.root();
    let spec = root.at("spec");
    match write.kind.plural.as_str() {
        "resourceclaims" if write.part == Part::Status => {
            write.change(errors);
            status::check(write, errors);
        }
        "resourceclaims" => {
            write.metadata(name::subdomain, errors);
            if write.is_create() {
                return claim::check(&spec.at("devices"), errors);
            }
            write.change(errors);
            unchanged(&spec, &write.old["spec"], "ResourceClaimSpec", errors);
        }
        "resourceclaimtemplates" if write.is_create() => {
            write.metadata(name::subdomain, errors);
            check_template(&spec.at("metadata"), errors);
            claim::check(&spec.at("spec").at("devices"), errors);
        }
        "resourceclaimtemplates" => {
            write.change(errors);
            unchanged(&spec, &write.old["spec"], "ResourceClaimTemplateSpec", errors);
        }
        "deviceclasses" => {
            write.metadata(name::subdomain, errors);
            write.change(errors);
            check_class(&spec, &write.old["spec"], errors);
        }
        _ => {
            if write.is_create() {
                write.metadata(name::subdomain, errors)
            } else {
                write.change(errors)
            }
            slice::check(&spec, &write.old["spec"], errors);
        }
    }
}

/// A structure that does not change.
fn unchanged(field: &Field<'_, '_>, old: &Value, name: &str, errors: &mut Vec<FieldError>) {
    if !same(field.value(), old) {
        errors.push(field.invalid_as(&internal::print(name, field.value()), "field is immutable"));
    }
}

fn check_class(spec: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    let stored = |member: &str| !old.is_null() && same(spec.at(member).value(), &old[member]);
    claim::check_selectors(&spec.at("selectors"), stored("selectors"), errors);
    let config = spec.at("config");
    if form::fits(&config, 32, errors) {
        config.items().for_each(|item| claim::check_opaque(&item.at("opaque"), stored("config"), errors));
    }
    let extended = spec.at("extendedResourceName");
    if !extended.is_absent() && !is_extended(extended.text()) {
        errors.push(extended.invalid("must be a valid extended resource name"));
    }
}

/// Whether this is the name of a resource of neither Kubernetes nor a quota.
fn is_extended(text: &str) -> bool {
    let native = !text.contains('/') || text.contains("kubernetes.io/");
    !native && !text.starts_with("requests.") && name::qualified(&format!("requests.{text}")).is_empty()
}

/// The metadata of a template has labels and annotations, nothing else.
fn check_template(metadata: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if metadata.is_empty() {
        return;
    }
    meta::check_annotations(metadata.at("annotations").value(), &metadata.at("annotations").to_string(), errors);
    metadata.at("labels").labels(errors);
    for (member, told) in TEMPLATE {
        if !metadata.at(member).is_empty() {
            errors.push(metadata.at(told).forbidden("cannot be set"));
        }
    }
}

const TEMPLATE: [(&str, &str); 12] = [
    ("name", "name"),
    ("generateName", "generateName"),
    ("namespace", "namespace"),
    ("selfLink", "selfLink"),
    ("uid", "uID"),
    ("resourceVersion", "resourceVersion"),
    ("generation", "generation"),
    ("creationTimestamp", "creationTimestamp"),
    ("deletionTimestamp", "deletionTimestamp"),
    ("deletionGracePeriodSeconds", "deletionGracePeriodSeconds"),
    ("ownerReferences", "ownerReferences"),
    ("finalizers", "finalizers"),
];

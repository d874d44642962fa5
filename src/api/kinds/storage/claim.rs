//! PersistentVolumeClaims.

use serde_json::{Value, json};

use super::volume;
use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, is_empty};
use crate::api::kinds::{format, internal};
use crate::api::meta::name;

type Errors = Vec<FieldError>;

/// Makes a claim what it is to be: the data that it begins with is told in both ways.
pub(in crate::api::kinds) fn prepare(new: &mut Value, old: Option<&Value>) {
    if old.is_none() {
        new["status"] = json!({"phase": "Pending"});
    }
    let stored = old.map_or(&Value::Null, |old| &old["spec"]);
    let Some(spec) = new.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    // Data of another namespace is not to be had.
    if !is_empty(&spec["dataSourceRef"]["namespace"]) && stored["dataSourceRef"].is_null() {
        spec["dataSourceRef"] = Value::Null;
    }
    let (source, reference) = (spec["dataSource"].clone(), spec["dataSourceRef"].clone());
    let had = !stored["dataSource"].is_null() || !stored["dataSourceRef"].is_null();
    if !had && reference.is_null() && !is_familiar(&source) {
        spec["dataSource"] = Value::Null;
    } else if reference.is_null() && !source.is_null() {
        spec["dataSourceRef"] = source;
    } else if source.is_null() && !reference.is_null() && is_empty(&reference["namespace"]) {
        spec["dataSource"] = reference;
        if let Some(members) = spec["dataSource"].as_object_mut() {
            members.remove("namespace");
        }
    }
}

/// The faults of a claim; a group that `old` tells may stay as it is.
pub(in crate::api::kinds) fn check(new: &Value, old: Option<&Value>, errors: &mut Errors) {
    let root = Field::new(new, "");
    check_spec(&root.at("spec"), old.map(|old| &old["spec"]), errors);
}

/// The faults of the spec of a claim, or of a claim's template.
pub(in crate::api::kinds) fn check_spec(spec: &Field<'_, '_>, old: Option<&Value>, errors: &mut Errors) {
    let modes = spec.at("accessModes");
    if modes.is_empty() {
        errors.push(modes.required("at least 1 access mode is required"));
    }
    spec.at("selector").selector(errors);
    volume::check_known(&modes, errors);
    check_size(spec, errors);
    spec.at("storageClassName").named(name::subdomain, errors);
    let mode = spec.at("volumeMode");
    if !mode.is_absent() {
        format::member_of(&mode, &["Block", "Filesystem"], errors);
    }
    let group = |member: &str| old.is_some_and(|old| !old[member]["apiGroup"].is_null());
    let lax = group("dataSource") || group("dataSourceRef");
    let (source, reference) = (spec.at("dataSource"), spec.at("dataSourceRef"));
    check_source(&source, lax, errors);
    check_source(&reference, lax, errors);
    reference.at("namespace").named(name::label, errors);
    if !source.is_absent() && !reference.is_absent() {
        let elsewhere = !is_empty(&reference.value()["namespace"]);
        let differs = ["apiGroup", "kind", "name"].iter().any(|member| source.value()[*member] != reference.value()[*member]);
        let fault = match (elsewhere, differs) {
            (true, _) => Some("may not be specified when dataSourceRef.namespace is specified"),
            (false, true) => Some("must match dataSourceRef"),
            (false, false) => None,
        };
        errors.extend(fault.map(|fault| FieldError::invalid(spec.to_string(), &json!({}), fault)));
    }
    spec.at("volumeAttributesClassName").named(name::subdomain, errors);
}

/// The faults of a change.
pub(in crate::api::kinds) fn check_change(new: &Value, old: &Value, errors: &mut Errors) {
    let annotation = |claim: &Value| claim["metadata"]["annotations"][CLASS].as_str().unwrap_or("").to_owned();
    let (own, stored) = (annotation(new), annotation(old));
    if own != stored && !(own.is_empty() && new["spec"]["storageClassName"] == *stored) {
        let path = format!("metadata.annotations.{CLASS}");
        errors.push(FieldError::invalid_text(path, &own, format::IMMUTABLE));
    }
    let (before, after) = (wished(old, new), granted(new, old));
    let printed = |value: &Value| internal::print(SPEC, value);
    if before != after && printed(&before) != printed(&after) {
        let difference = internal::difference(SPEC, &before, &after);
        let fault = format!(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{difference}"
        );
        errors.push(FieldError::forbidden("spec", &fault));
    }
    let size = |spec: &Value| format::amount(&spec["resources"]["requests"]["storage"]);
    if size(&new["spec"]) < size(&old["spec"]) && size(&new["spec"]) <= format::amount(&old["status"]["capacity"]["storage"]) {
        let fault = "field can not be less than status.capacity";
        errors.push(FieldError::forbidden("spec.resources.requests.storage", fault));
    }
    format::fixed(&Field::new(&new["spec"]["volumeMode"], "volumeMode"), &old["spec"]["volumeMode"], errors);
    let root = Field::new(new, "");
    let spec = root.at("spec");
    let class = spec.at("volumeAttributesClassName");
    if !old["spec"]["volumeAttributesClassName"].is_null() {
        if class.is_absent() {
            errors.push(class.forbidden("update from non-nil value to nil is forbidden"));
        } else if class.text().is_empty() {
            errors.push(class.forbidden("update from non-nil value to an empty string is forbidden"));
        }
    }
}

/// The faults of a new state.
pub(in crate::api::kinds) fn check_status(new: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    let status = root.at("status");
    if is_empty(&new["spec"]["accessModes"]) {
        errors.push(FieldError::required("Spec.accessModes", ""));
    }
    status.at("capacity").entries().for_each(|(_, size)| format::basic(&size, errors));
    let states = status.at_as("allocatedResourceStatuses", "allocatedResourceStatus");
    for (key, state) in states.entries() {
        check_resource(&states, key, errors);
        if !RESIZING.contains(&state.text()) {
            errors.push(FieldError::unsupported(states.to_string(), &Value::from(key), &RESIZING));
        }
    }
    let sizes = status.at("allocatedResources");
    for (key, size) in sizes.entries() {
        let before = errors.len();
        check_resource(&sizes, key, errors);
        if errors.len() == before {
            format::basic(&size, errors);
        }
        if errors.len() == before {
            format::not_negative(&size, errors);
        }
    }
}

/// What a client should know of a claim that is taken.
pub(in crate::api::kinds) fn warn(new: &Value, warnings: &mut Vec<String>) {
    volume::warn_annotation(new, warnings);
    for list in ["requests", "limits"] {
        let size = &new["spec"]["resources"][list]["storage"];
        if format::amount(size).thousandths().is_some_and(|thousandths| thousandths % 1000 != 0) {
            warnings.push(format!("spec.resources.{list}[storage]: fractional byte value {size} is invalid, must be an integer"));
        }
    }
}

/// Data that could be told before there was a reference: of another claim, or of a snapshot.
fn is_familiar(source: &Value) -> bool {
    let group = source["apiGroup"].as_str().unwrap_or("");
    let kind = source["kind"].as_str().unwrap_or("");
    matches!((group, kind), ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot"))
}

fn check_size(spec: &Field<'_, '_>, errors: &mut Errors) {
    let resources = spec.at("resources");
    let path = format!("{resources}[storage]");
    let value = &resources.value()["requests"]["storage"];
    if value.is_null() {
        errors.push(FieldError::required(path, ""));
    } else {
        format::positive(&Field::new(value, &path), errors);
    }
}

fn check_source(source: &Field<'_, '_>, lax: bool, errors: &mut Errors) {
    if source.is_absent() {
        return;
    }
    format::require_all(source, &["name", "kind"], errors);
    let (group, kind) = (source.at("apiGroup"), source.at("kind"));
    if group.text().is_empty() {
        if kind.text() != "PersistentVolumeClaim" {
            let fault = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
            errors.push(FieldError::invalid_text(source.to_string(), kind.text(), fault));
        }
    } else if !lax {
        group.formed(name::subdomain, errors);
    }
}

fn check_resource(list: &Field<'_, '_>, key: &str, errors: &mut Errors) {
    let faults = name::qualified(key);
    let native = !key.contains('/') || key.contains("kubernetes.io/");
    if faults.is_empty() && native && key != "storage" {
        errors.push(FieldError::unsupported(list.to_string(), &Value::from(key), &["storage"]));
    }
    errors.extend(faults.iter().map(|fault| FieldError::invalid_text(list.to_string(), key, fault)));
}

/// The stored spec, with the volume that may be named once, and a class that may come once.
fn wished(old: &Value, new: &Value) -> Value {
    let mut spec = old["spec"].clone();
    if is_empty(&spec["volumeName"]) {
        spec["volumeName"] = new["spec"]["volumeName"].clone();
    }
    let told = old["metadata"]["annotations"].get(CLASS);
    let class = &new["spec"]["storageClassName"];
    if spec["storageClassName"].is_null() && told.is_none_or(|told| told == class) {
        spec["storageClassName"] = class.clone();
    }
    spec
}

/// The new spec, without what a bound claim may change.
fn granted(new: &Value, old: &Value) -> Value {
    let mut spec = new["spec"].clone();
    if new["status"]["phase"] != "Bound" {
        return spec;
    }
    if spec["resources"]["requests"].is_object() {
        spec["resources"]["requests"]["storage"] = old["spec"]["resources"]["requests"]["storage"].clone();
    }
    if !spec["volumeAttributesClassName"].is_null() {
        spec["volumeAttributesClassName"] = old["spec"]["volumeAttributesClassName"].clone();
    }
    spec
}

const SPEC: &str = "PersistentVolumeClaimSpec";
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const RESIZING: [&str; 5] = [
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
];

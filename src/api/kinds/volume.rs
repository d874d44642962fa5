//! PersistentVolumes and their claims.

use serde_json::{Value, json};

use super::field::{entries, is_empty, items, one_of};
use super::quantity::nanos;
use crate::api::error::FieldError;
use crate::api::meta;

pub(super) fn prepare_create(new: &mut Value) {
    new["status"] = json!({"phase": "Pending", "lastPhaseTransitionTime": meta::now()});
}

/// A new phase bears its time.
pub(super) fn stamp_phase(new: &mut Value, old: &Value) {
    let stamp = &new["status"]["lastPhaseTransitionTime"];
    if new["status"]["phase"] != old["status"]["phase"] && (stamp.is_null() || *stamp == old["status"]["lastPhaseTransitionTime"])
    {
        new["status"]["lastPhaseTransitionTime"] = Value::from(meta::now());
    }
}

pub(super) fn check(new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    check_modes(&spec["accessModes"], "spec.accessModes", errors);
    if is_empty(&spec["capacity"]) {
        errors.push(FieldError::required("spec.capacity", ""));
    } else if spec["capacity"]["storage"].is_null() {
        errors.push(FieldError::unsupported("spec.capacity", &spec["capacity"], &["storage"]));
    }
    let policies = ["Delete", "Recycle", "Retain"];
    one_of(&spec["persistentVolumeReclaimPolicy"], "spec.persistentVolumeReclaimPolicy", &policies, errors);
    if !entries(spec).any(|(member, source)| !PLAIN.contains(&member.as_str()) && source.is_object()) {
        errors.push(FieldError::required("spec", "must specify a volume type"));
    }
}

/// The rules of a claim's spec at `path`.
pub(super) fn check_claim(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    check_modes(&spec["accessModes"], &format!("{path}.accessModes"), errors);
    let path = format!("{path}.resources[storage]");
    match spec["resources"]["requests"]["storage"].as_str() {
        None => errors.push(FieldError::required(path, "")),
        Some(size) if nanos(size).is_none_or(|size| size <= 0) => {
            errors.push(FieldError::invalid_text(path, size, "must be greater than zero"));
        }
        Some(_) => {}
    }
}

pub(super) fn check_claim_change(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let size = |claim: &Value| claim["spec"]["resources"]["requests"]["storage"].as_str().and_then(nanos);
    let fixed = |claim: &Value| {
        let mut spec = claim["spec"].clone();
        for member in ["volumeName", "volumeAttributesClassName"] {
            spec[member] = Value::Null;
        }
        spec["resources"]["requests"]["storage"] = Value::Null;
        spec
    };
    let bound = old["status"]["phase"] == "Bound";
    let named = !is_empty(&old["spec"]["volumeName"]) && new["spec"]["volumeName"] != old["spec"]["volumeName"];
    if fixed(new) != fixed(old) || named || (!bound && size(new) != size(old)) {
        let fault = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        errors.push(FieldError::forbidden("spec", fault));
    } else if size(new) < size(old) {
        let fault = "field can not be less than status.capacity";
        errors.push(FieldError::forbidden("spec.resources.requests.storage", fault));
    }
}

fn check_modes(modes: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if is_empty(modes) {
        errors.push(FieldError::required(path, "at least 1 access mode is required"));
    }
    for (_, mode) in items(modes, path) {
        one_of(mode, path, &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"], errors);
    }
}

/// Members of a volume's spec that are objects and no source.
const PLAIN: [&str; 3] = ["capacity", "claimRef", "nodeAffinity"];

//! Defaults of volumes: those of pods, persistent ones and claims.

use serde_json::json;

use super::member::{Members, each, is_absent, make, object, put, put_zero, text};
use super::{image, resource};

/// A volume of a pod.
pub(super) fn fill(volume: &mut Members) {
    if volume.iter().all(|(name, value)| name == "name" || value.is_null()) {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    fill_source(volume);
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = object(volume, source) {
            put(source, "defaultMode", 0o644);
        }
    }
    if let Some(downward) = object(volume, "downwardAPI") {
        each(downward, "items", fill_field);
    }
    if let Some(projected) = object(volume, "projected") {
        each(projected, "sources", fill_projection);
    }
    if let Some(image) = object(volume, "image") {
        let policy = image::pull_policy(text(image, "reference"));
        put_zero(image, "pullPolicy", policy);
    }
    let template = object(volume, "ephemeral").and_then(|ephemeral| object(ephemeral, "volumeClaimTemplate"));
    if let Some(spec) = template.and_then(|template| make(template, "spec")) {
        fill_claim_spec(spec);
    }
}

/// What volumes of pods and persistent volumes have in common.
pub(super) fn fill_source(volume: &mut Members) {
    if let Some(path) = object(volume, "hostPath") {
        put(path, "type", "");
    }
    if let Some(iscsi) = object(volume, "iscsi") {
        put_zero(iscsi, "iscsiInterface", "default");
    }
    if let Some(rbd) = object(volume, "rbd") {
        put_zero(rbd, "pool", "rbd");
        put_zero(rbd, "user", "admin");
        put_zero(rbd, "keyring", "/etc/ceph/keyring");
    }
    if let Some(disk) = object(volume, "azureDisk") {
        put(disk, "cachingMode", "ReadWrite");
        put(disk, "kind", "Shared");
        put(disk, "fsType", "ext4");
        put(disk, "readOnly", false);
    }
    if let Some(scale) = object(volume, "scaleIO") {
        put_zero(scale, "storageMode", "ThinProvisioned");
        put_zero(scale, "fsType", "xfs");
    }
}

/// `spec` of a PersistentVolumeClaim.
pub(super) fn fill_claim_spec(spec: &mut Members) {
    put(spec, "volumeMode", "Filesystem");
    resource::round_requirements(spec, "resources");
}

/// A PersistentVolumeClaim, or the template of one.
pub(super) fn fill_claim(claim: &mut Members) {
    if let Some(spec) = make(claim, "spec") {
        fill_claim_spec(spec);
    }
    if let Some(status) = make(claim, "status") {
        put_zero(status, "phase", "Pending");
        resource::round(status, "capacity");
        resource::round(status, "allocatedResources");
    }
}

/// What has a `fieldRef`.
pub(super) fn fill_field(item: &mut Members) {
    if let Some(field) = object(item, "fieldRef") {
        put_zero(field, "apiVersion", "v1");
    }
}

fn fill_projection(source: &mut Members) {
    if let Some(downward) = object(source, "downwardAPI") {
        each(downward, "items", fill_field);
    }
    if let Some(token) = object(source, "serviceAccountToken").filter(|token| is_absent(token, "expirationSeconds")) {
        put(token, "expirationSeconds", 3600);
    }
}

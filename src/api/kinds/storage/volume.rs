//! PersistentVolumes.

use serde_json::{Map, Value, json};

use super::{selector, source};
use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::kinds::{format, internal};
use crate::api::meta::{self, name};

type Errors = Vec<FieldError>;

/// A new volume waits.
pub(in crate::api::kinds) fn prepare_create(new: &mut Value) {
    new["status"] = json!({"phase": "Pending", "lastPhaseTransitionTime": meta::now()});
}

/// A new phase bears its time.
pub(in crate::api::kinds) fn stamp_phase(new: &mut Value, old: &Value) {
    let stamp = &new["status"]["lastPhaseTransitionTime"];
    if new["status"]["phase"] != old["status"]["phase"] && (stamp.is_null() || *stamp == old["status"]["lastPhaseTransitionTime"])
    {
        new["status"]["lastPhaseTransitionTime"] = Value::from(meta::now());
    }
}

/// The faults of a volume.
pub(in crate::api::kinds) fn check(new: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    check_modes(&spec.at("accessModes"), "", errors);
    check_capacity(&spec.at("capacity"), errors);
    spec.at("persistentVolumeReclaimPolicy").one_of(&["Delete", "Recycle", "Retain"], errors);
    let affinity = spec.at("nodeAffinity");
    if !affinity.is_absent() {
        let required = affinity.at("required");
        if required.is_absent() {
            errors.push(required.required("must specify required node constraints"));
        } else {
            selector::check_nodes(&required, errors);
        }
    }
    source::check(&spec, meta::text(new, "name"), errors);
    check_root(&spec, errors);
    spec.at("storageClassName").named(name::subdomain, errors);
    let mode = spec.at("volumeMode");
    if !mode.is_absent() {
        format::member_of(&mode, &["Block", "Filesystem"], errors);
    }
    let class = spec.at("volumeAttributesClassName");
    if !class.is_absent() {
        if class.text().is_empty() {
            errors.push(class.required("an empty string is disallowed"));
        }
        class.named(name::subdomain, errors);
        if spec.at("csi").is_absent() {
            errors.push(spec.at("csi").required("has to be specified when using volumeAttributesClassName"));
        }
    }
}

/// The faults of a volume that an attachment describes in itself.
pub(super) fn check_inline(spec: &Field<'_, '_>, errors: &mut Errors) {
    for member in ["claimRef", "capacity"] {
        if !spec.at(member).is_empty() {
            errors.push(spec.at(member).forbidden(INLINE));
        }
    }
    if spec.at("csi").is_absent() {
        errors.push(spec.at("csi").required("has to be specified in the context of inline volumes"));
    }
    check_modes(&spec.at("accessModes"), "", errors);
    let policy = spec.at("persistentVolumeReclaimPolicy");
    if !matches!(policy.text(), "" | "Retain") {
        errors.push(policy.forbidden("may only be Retain in the context of inline volumes"));
    }
    if !spec.at("nodeAffinity").is_absent() {
        errors.push(spec.at("nodeAffinity").forbidden(INLINE));
    }
    source::check(spec, "", errors);
    check_root(spec, errors);
    if !spec.at("storageClassName").text().is_empty() {
        errors.push(spec.at("storageClassName").forbidden(INLINE));
    }
    let mode = spec.at("volumeMode");
    if !mode.is_absent() && mode.text() != "Filesystem" {
        errors.push(mode.forbidden("may not specify volumeMode other than Filesystem in the context of inline volumes"));
    }
}

/// The faults of a change.
pub(in crate::api::kinds) fn check_change(new: &Value, old: &Value, errors: &mut Errors) {
    let (mut own, stored) = (sources(new), sources(old));
    // A secret for growing may come later.
    let secret = "controllerExpandSecretRef";
    if stored["csi"].is_object() && stored["csi"][secret].is_null() && own["csi"][secret].is_object() {
        own["csi"][secret] = Value::Null;
    }
    let printed = |value: &Value| internal::print(SOURCE, value);
    if own != stored && printed(&own) != printed(&stored) {
        let difference = internal::difference(SOURCE, &stored, &own);
        let fault = format!("spec.persistentvolumesource is immutable after creation\n{difference}");
        errors.push(FieldError::forbidden("spec.persistentvolumesource", &fault));
    }
    let root = Field::new(new, "");
    let spec = root.at("spec");
    let mode = Field::new(&new["spec"]["volumeMode"], "volumeMode");
    format::fixed(&mode, &old["spec"]["volumeMode"], errors);
    check_affinity(&new["spec"]["nodeAffinity"], &old["spec"]["nodeAffinity"], errors);
    let class = spec.at("volumeAttributesClassName");
    if class.is_absent() && !old["spec"]["volumeAttributesClassName"].is_null() {
        errors.push(class.forbidden("update from non-nil value to nil is forbidden"));
    }
}

/// What a client should know of a volume that is taken.
pub(in crate::api::kinds) fn warn(new: &Value, warnings: &mut Vec<String>) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    warn_annotation(new, warnings);
    let policy = spec.at("persistentVolumeReclaimPolicy");
    if policy.text() == "Recycle" {
        warnings.push(format!(
            "{policy}: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."
        ));
    }
    selector::warn_nodes(&spec.at("nodeAffinity").at("required"), warnings);
    for (member, shown, text) in DEPRECATED {
        if !spec.at(member).is_absent() {
            warnings.push(format!("spec.{shown}: {text}"));
        }
    }
}

/// The class told in the old way.
pub(super) fn warn_annotation(new: &Value, warnings: &mut Vec<String>) {
    if new["metadata"]["annotations"].get(CLASS).is_some() {
        let text = "deprecated since v1.8; use \"storageClassName\" attribute instead";
        warnings.push(format!("metadata.annotations[{CLASS}]: {text}"));
    }
}

/// The faults of how a volume may be used; `detail` tells why there must be one.
pub(super) fn check_modes(modes: &Field<'_, '_>, detail: &str, errors: &mut Errors) {
    if modes.is_empty() {
        errors.push(modes.required(detail));
    }
    check_known(modes, errors);
}

/// The faults of ways that there are not, and of one that must be alone.
pub(super) fn check_known(modes: &Field<'_, '_>, errors: &mut Errors) {
    for mode in modes.items().filter(|mode| !MODES.contains(&mode.text())) {
        errors.push(FieldError::unsupported(modes.to_string(), mode.value(), &MODES));
    }
    let has = |other: fn(&str) -> bool| modes.items().any(|mode| MODES.contains(&mode.text()) && other(mode.text()));
    if has(|mode| mode == "ReadWriteOncePod") && has(|mode| mode != "ReadWriteOncePod") {
        errors.push(modes.forbidden("may not use ReadWriteOncePod with other access modes"));
    }
}

fn check_capacity(capacity: &Field<'_, '_>, errors: &mut Errors) {
    if capacity.is_empty() {
        errors.push(capacity.required(""));
    }
    if capacity.value()["storage"].is_null() || capacity.len() > 1 {
        errors.push(FieldError::unsupported(capacity.to_string(), capacity.value(), &["storage"]));
    }
    for (_, size) in capacity.entries() {
        format::basic(&size, errors);
        format::positive(&size, errors);
    }
}

/// The root of a host is not to be cleared.
fn check_root(spec: &Field<'_, '_>, errors: &mut Errors) {
    let policy = spec.at("persistentVolumeReclaimPolicy");
    if policy.text() == "Recycle" && source::is_root(&spec.value()["hostPath"]["path"]) {
        errors.push(policy.forbidden("may not be 'recycle' for a hostPath mount of '/'"));
    }
}

/// Only a label that has a newer name may change to it.
fn check_affinity(new: &Value, old: &Value, errors: &mut Errors) {
    if old.is_null() {
        return;
    }
    let renamed = |key: &Value, stored: &Value| {
        let newer = stored.as_str().and_then(format::deprecated_label);
        key.as_str().is_some_and(|key| newer.is_some_and(|text| text.contains(&format!("\"{key}\""))))
    };
    let mut masked = old.clone();
    let terms = masked["required"]["nodeSelectorTerms"].as_array_mut().into_iter().flatten().enumerate();
    for (at, term) in terms {
        for list in ["matchExpressions", "matchFields"] {
            let own = &new["required"]["nodeSelectorTerms"][at][list];
            let requirements = term.get_mut(list).and_then(Value::as_array_mut);
            for (index, requirement) in requirements.into_iter().flatten().enumerate() {
                if renamed(&own[index]["key"], &requirement["key"]) {
                    requirement["key"] = own[index]["key"].clone();
                }
            }
        }
    }
    if *new != masked {
        let fault = "field is immutable, except for updating from beta label to GA";
        errors.push(format::invalid_as(&Field::new(new, "nodeAffinity"), "VolumeNodeAffinity", fault));
    }
}

/// The sources of a volume alone.
fn sources(volume: &Value) -> Value {
    let spec = &volume["spec"];
    let sources: Map<String, Value> =
        source::members().filter_map(|member| Some((member.to_owned(), spec.get(member)?.clone()))).collect();
    Value::Object(sources)
}

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const INLINE: &str = "may not be specified in the context of inline volumes";
const SOURCE: &str = "PersistentVolumeSource";
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const DEPRECATED: [(&str, &str, &str); 6] = [
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

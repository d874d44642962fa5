//! The rules of a pod's volumes: their names, and that each has exactly one source.

use std::collections::HashMap;

use serde_json::Value;

use super::source;
use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, is_full};
use crate::api::meta::name;

/// A pod's sound volumes by name.
pub(super) type Volumes<'v> = HashMap<&'v str, &'v Value>;

/// The faults of the volumes, and those that have none. `pod` is the pod's name, empty in a template.
pub(super) fn check<'v>(volumes: &Field<'v, '_>, pod: &str, errors: &mut Vec<FieldError>) -> Volumes<'v> {
    let made = |claim: &str| {
        let own = claim.strip_prefix(pod).and_then(|rest| rest.strip_prefix('-'));
        !pod.is_empty() && own.is_some_and(|own| ephemeral(volumes.value(), own))
    };
    let mut sound = Volumes::new();
    for volume in volumes.items() {
        if is_full(errors) {
            break;
        }
        let before = errors.len();
        check_source(&volume, pod, errors);
        let own = volume.at("name");
        own.require_named(name::label, errors);
        if sound.contains_key(own.text()) {
            errors.push(own.duplicate());
        }
        if errors.len() == before {
            sound.insert(own.text(), volume.value());
        }
        let claim = volume.at("persistentVolumeClaim");
        let claim = claim.at("claimName");
        if !claim.is_absent() && made(claim.text()) {
            errors.push(claim.invalid("must not reference a PVC that gets created for an ephemeral volume"));
        }
    }
    sound
}

/// Whether a volume is one of a claim, which alone can be a block device.
pub(super) fn is_claimed(volume: &Value) -> bool {
    !volume["persistentVolumeClaim"].is_null() || !volume["ephemeral"].is_null()
}

fn ephemeral(volumes: &Value, name: &str) -> bool {
    volumes.as_array().into_iter().flatten().any(|volume| volume["name"] == name && !volume["ephemeral"].is_null())
}

fn check_source(volume: &Field<'_, '_>, pod: &str, errors: &mut Vec<FieldError>) {
    let mut count = 0;
    for (member, told, check) in source::ALL {
        let source = volume.at(member);
        if source.is_absent() {
            continue;
        }
        count += 1;
        if count > 1 {
            errors.push(volume.at(told).forbidden("may not specify more than 1 volume type"));
        } else {
            check(&source, errors);
            if *member == "ephemeral" {
                check_claim_name(volume, pod, errors);
            }
        }
        if *member == "iscsi" {
            check_iscsi_name(volume, &source, errors);
        }
    }
    if count == 0 {
        errors.push(volume.required("must specify a volume type"));
    }
}

fn check_claim_name(volume: &Field<'_, '_>, pod: &str, errors: &mut Vec<FieldError>) {
    let own = volume.at("name");
    if pod.is_empty() || own.text().is_empty() {
        return;
    }
    let claim = format!("{pod}-{}", own.text());
    for fault in name::subdomain(&claim) {
        errors.push(own.invalid(&format!("PVC name {}: {fault}", crate::api::error::quoted(&claim))));
    }
}

fn check_iscsi_name(volume: &Field<'_, '_>, source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let own = volume.at("name");
    let portal = source.at("targetPortal");
    if !source.at("initiatorName").is_absent() && own.text().len() + 1 + portal.text().len() > 64 {
        errors.push(own.invalid_text(
            own.text(),
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.",
        ));
    }
}

//! CSIDrivers, CSINodes and CSIStorageCapacities.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::source;
use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::kinds::format;
use crate::api::meta::name;

type Errors = Vec<FieldError>;

/// Takes away what is not served yet.
pub(in crate::api::kinds) fn prepare(new: &mut Value, old: Option<&Value>) {
    let member = "preventPodSchedulingIfMissing";
    let used = old.is_some_and(|old| !old["spec"][member].is_null());
    if let Some(spec) = new.get_mut("spec").and_then(Value::as_object_mut).filter(|_| !used) {
        spec.remove(member);
    }
}

/// The faults of a CSIDriver.
pub(in crate::api::kinds) fn check(new: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    for (member, shown) in
        [("attachRequired", "attachedRequired"), ("podInfoOnMount", "podInfoOnMount"), ("storageCapacity", "storageCapacity")]
    {
        if spec.at(member).is_absent() {
            errors.push(spec.at(shown).required(""));
        }
    }
    let policy = spec.at("fsGroupPolicy");
    if !policy.is_absent() {
        format::member_of(&policy, &["File", "None", "ReadWriteOnceWithFSType"], errors);
    }
    let tokens = spec.at("tokenRequests");
    check_tokens(&tokens, errors);
    let modes = spec.at("volumeLifecycleModes");
    let known = ["Persistent", "Ephemeral"];
    let strange = modes.items().filter(|mode| !known.contains(&mode.text()));
    errors.extend(strange.map(|mode| FieldError::unsupported(modes.to_string(), mode.value(), &known)));
    if spec.at("seLinuxMount").is_absent() {
        errors.push(spec.at("seLinuxMount").required(""));
    }
    let period = spec.at("nodeAllocatableUpdatePeriodSeconds");
    if period.number().is_some_and(|period| period < 10) {
        errors.push(period.invalid("must be greater than or equal to 10 seconds"));
    }
    let secret = spec.at("serviceAccountTokenInSecrets");
    if !secret.is_absent() && tokens.is_empty() {
        errors.push(secret.invalid("serviceAccountTokenInSecrets is set but no tokenRequests are specified"));
    }
}

/// The faults of a CSIDriver's change.
pub(in crate::api::kinds) fn check_change(new: &Value, old: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    format::fixed(&spec.at_as("attachRequired", "attachedRequired"), &old["spec"]["attachRequired"], errors);
    format::fixed(&spec.at("volumeLifecycleModes"), &old["spec"]["volumeLifecycleModes"], errors);
}

/// The faults of a CSINode.
pub(in crate::api::kinds) fn check_node(new: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    let mut names = HashSet::new();
    for driver in spec.at("drivers").items() {
        let (own, id) = (driver.at("name"), driver.at("nodeID"));
        source::check_driver(&own, errors);
        id.require(errors);
        if id.text().len() > NODE_ID {
            errors.push(id.invalid(&format!("must be {NODE_ID} characters or less")));
        }
        driver.at("allocatable").at("count").not_negative(errors);
        if !names.insert(own.text()) {
            errors.push(own.duplicate());
        }
        check_keys(&driver, errors);
    }
}

/// The faults of a CSINode's change: a driver stays as it is, but for how much there is room for.
pub(in crate::api::kinds) fn check_node_change(new: &Value, old: &Value, errors: &mut Errors) {
    let plain = |driver: &Value| {
        let mut driver = driver.clone();
        driver["allocatable"] = Value::Null;
        driver
    };
    let list = new["spec"]["drivers"].as_array().into_iter().flatten();
    let mut drivers: HashMap<&str, Vec<&Value>> = HashMap::new();
    for own in list {
        drivers.entry(own["name"].as_str().unwrap_or("")).or_default().push(own);
    }
    for stored in old["spec"]["drivers"].as_array().into_iter().flatten() {
        let key = stored["name"].as_str().unwrap_or("");
        let stored = plain(stored);
        for own in drivers.get(key).into_iter().flatten().map(|own| plain(own)).filter(|own| *own != stored) {
            errors.push(format::invalid_as(&Field::new(&own, "spec.drivers"), "CSINodeDriver", format::IMMUTABLE));
        }
    }
}

/// The faults of a CSIStorageCapacity.
pub(in crate::api::kinds) fn check_capacity(new: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    root.at("nodeTopology").selector(errors);
    root.at("storageClassName").formed(name::subdomain, errors);
    format::not_negative(&root.at("capacity"), errors);
}

/// The faults of a CSIStorageCapacity's change.
pub(in crate::api::kinds) fn check_capacity_change(new: &Value, old: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    format::fixed(&root.at("nodeTopology"), &old["nodeTopology"], errors);
    format::fixed(&root.at("storageClassName"), &old["storageClassName"], errors);
}

fn check_tokens(tokens: &Field<'_, '_>, errors: &mut Errors) {
    let mut audiences = HashSet::new();
    for token in tokens.items() {
        let (audience, seconds) = (token.at("audience"), token.at("expirationSeconds"));
        if !audiences.insert(audience.text()) {
            errors.push(FieldError::duplicate(audience.to_string(), &Value::from(audience.text())));
            continue;
        }
        let Some(number) = seconds.number() else { continue };
        if number < 600 {
            errors.push(seconds.invalid("may not specify a duration less than 10 minutes"));
        }
        if number > 1 << 32 {
            errors.push(seconds.invalid("may not specify a duration larger than 2^32 seconds"));
        }
    }
}

fn check_keys(driver: &Field<'_, '_>, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for key in format::texts(&driver.value()["topologyKeys"]) {
        if key.is_empty() {
            errors.push(driver.required(""));
        }
        if !seen.insert(key) {
            errors.push(FieldError::duplicate(driver.to_string(), &Value::from(key)));
        }
        errors.extend(name::qualified(key).iter().map(|fault| FieldError::invalid_text(driver.to_string(), key, fault)));
    }
}

const NODE_ID: usize = 256;

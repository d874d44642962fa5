//! StorageClasses and VolumeAttributesClasses.

use serde_json::Value;

use super::selector;
use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::kinds::format;
use crate::api::meta::name;

type Errors = Vec<FieldError>;

/// The faults of a StorageClass.
pub(in crate::api::kinds) fn check(new: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    check_provisioner(&root.at("provisioner"), errors);
    check_parameters(&root.at("parameters"), errors);
    root.at("reclaimPolicy").one_of(&["Delete", "Retain"], errors);
    let mode = root.at("volumeBindingMode");
    if mode.is_absent() {
        errors.push(mode.required(""));
    } else {
        format::member_of(&mode, &["Immediate", "WaitForFirstConsumer"], errors);
    }
    selector::check_topologies(&root.at("allowedTopologies"), errors);
}

/// The faults of a StorageClass' change.
pub(in crate::api::kinds) fn check_change(new: &Value, old: &Value, errors: &mut Errors) {
    check_kept(&["parameters", "provisioner", "reclaimPolicy"], (new, old), errors);
    let root = Field::new(new, "");
    format::fixed(&root.at("volumeBindingMode"), &old["volumeBindingMode"], errors);
}

/// What a client should know of a StorageClass that is taken.
pub(in crate::api::kinds) fn warn(new: &Value, warnings: &mut Vec<String>) {
    let root = Field::new(new, "");
    for term in root.at("allowedTopologies").items() {
        for own in term.at("matchLabelExpressions").items() {
            let key = own.at("key");
            warnings.extend(format::deprecated_label(key.text()).map(|text| format!("{key}: {text}")));
        }
    }
}

/// The faults of a VolumeAttributesClass.
pub(in crate::api::kinds) fn check_attributes(new: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    check_provisioner(&root.at("driverName"), errors);
    let parameters = root.at("parameters");
    check_parameters(&parameters, errors);
    if parameters.is_empty() {
        errors.push(parameters.required("must contain at least one key/value pair"));
    }
}

/// The faults of a VolumeAttributesClass' change.
pub(in crate::api::kinds) fn check_attributes_change(new: &Value, old: &Value, errors: &mut Errors) {
    check_kept(&["driverName", "parameters"], (new, old), errors);
}

fn check_kept(members: &[&str], (new, old): (&Value, &Value), errors: &mut Errors) {
    for member in members.iter().filter(|member| !format::same(&new[**member], &old[**member])) {
        errors.push(FieldError::forbidden(*member, &format!("updates to {member} are forbidden.")));
    }
}

fn check_provisioner(field: &Field<'_, '_>, errors: &mut Errors) {
    if field.require(errors).is_empty() {
        return;
    }
    let text = field.text().to_lowercase();
    let faults = name::qualified(&text);
    errors.extend(faults.iter().map(|fault| FieldError::invalid_text(field.to_string(), &text, fault)));
}

fn check_parameters(field: &Field<'_, '_>, errors: &mut Errors) {
    if field.len() > PARAMETERS {
        errors.push(FieldError::too_long(field.to_string(), PARAMETERS));
        return;
    }
    let mut size = 0;
    for (key, value) in field.entries() {
        if key.is_empty() {
            errors.push(FieldError::invalid_text(field.to_string(), key, "field can not be empty."));
        }
        size += key.len() + value.text().len();
    }
    if size > SIZE {
        errors.push(FieldError::too_long(field.to_string(), SIZE));
    }
}

const PARAMETERS: usize = 512;
const SIZE: usize = 256 * 1024;

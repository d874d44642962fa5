//! ConfigMaps: keys, size, immutability.

use serde_json::Value;

use super::field::Field;
use super::format;
use crate::api::error::FieldError;
use crate::api::meta::name;

type Errors = Vec<FieldError>;

/// The faults of a ConfigMap.
pub(super) fn check(new: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    let (texts, bytes) = (root.at("data"), root.at("binaryData"));
    let mut size = 0;
    for (key, entry) in texts.entries() {
        check_key(&entry, key, errors);
        if bytes.value().get(key).is_some() {
            errors.push(FieldError::invalid_text(entry.to_string(), key, "duplicate of key present in binaryData"));
        }
        size += entry.text().len();
    }
    for (key, entry) in bytes.entries() {
        check_key(&entry, key, errors);
        size += decoded_length(entry.value());
    }
    if size > MOST {
        errors.push(FieldError::too_long("[]", MOST));
    }
}

/// The faults of a change.
pub(super) fn check_change(new: &Value, old: &Value, errors: &mut Errors) {
    frozen((new, old), &["data", "binaryData"], errors);
}

/// The faults of a key.
pub(super) fn check_key(entry: &Field<'_, '_>, key: &str, errors: &mut Errors) {
    let faults = name::config_key(key);
    errors.extend(faults.iter().map(|fault| FieldError::invalid_text(entry.to_string(), key, fault)));
}

/// Members that do not change once `immutable` is set.
pub(super) fn frozen((new, old): (&Value, &Value), members: &[&str], errors: &mut Errors) {
    if old["immutable"] != true {
        return;
    }
    let fault = "field is immutable when `immutable` is set";
    if new["immutable"] != true {
        errors.push(FieldError::forbidden("immutable", fault));
    }
    for member in members.iter().filter(|member| !format::same(&new[**member], &old[**member])) {
        errors.push(FieldError::forbidden(*member, fault));
    }
}

/// The bytes that a base64 text stands for.
pub(super) fn decoded_length(value: &Value) -> usize {
    let text = value.as_str().unwrap_or("").trim_end_matches('=');
    text.len() * 3 / 4
}

/// Bytes of all values together.
pub(super) const MOST: usize = 1024 * 1024;

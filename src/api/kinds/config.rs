//! ConfigMaps: keys, size, immutability.

use serde_json::Value;

use super::field::entries;
use crate::api::error::FieldError;
use crate::api::meta::name;

pub(super) fn check(new: &Value, errors: &mut Vec<FieldError>) {
    let mut size = 0;
    for (member, other) in [("data", "binaryData"), ("binaryData", "data")] {
        for (key, value) in entries(&new[member]) {
            let path = format!("{member}[{key}]");
            errors.extend(name::config_key(key).iter().map(|fault| FieldError::invalid_text(&path, key, fault)));
            if new[other].get(key).is_some() {
                errors.push(FieldError::invalid_text(&path, key, &format!("duplicate of key present in {other}")));
            }
            let length = value.as_str().map_or(0, str::len);
            size += if member == "data" { length } else { decoded_length(value) };
        }
    }
    if size > MOST {
        errors.push(FieldError::too_long("[]", MOST));
    }
}

pub(super) fn check_change(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    frozen(new, old, &["data", "binaryData"], errors);
}

/// Members that do not change once `immutable` is set.
pub(super) fn frozen(new: &Value, old: &Value, members: &[&str], errors: &mut Vec<FieldError>) {
    if old["immutable"] != true {
        return;
    }
    let fault = "field is immutable when `immutable` is set";
    if new["immutable"] != true {
        errors.push(FieldError::forbidden("immutable", fault));
    }
    for member in members {
        let differs = |value: &Value| if super::field::is_empty(value) { Value::Null } else { value.clone() };
        if differs(&new[*member]) != differs(&old[*member]) {
            errors.push(FieldError::forbidden(*member, fault));
        }
    }
}

/// The bytes that a base64 text stands for.
pub(super) fn decoded_length(value: &Value) -> usize {
    let text = value.as_str().unwrap_or("").trim_end_matches('=');
    text.len() * 3 / 4
}

/// Bytes of all values together.
pub(super) const MOST: usize = 1024 * 1024;

//! Secrets: `stringData`, what a type requires, size, immutability.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::config::{MOST, decoded_length, frozen};
use super::field::{entries, immutable};
use crate::api::error::FieldError;
use crate::api::meta::name;

/// `stringData` goes over into `data`; a type left out of an update stays.
pub(super) fn prepare(new: &mut Value, old: Option<&Value>) {
    let texts = new.as_object_mut().and_then(|members| members.remove("stringData"));
    if let Some(Value::Object(texts)) = texts {
        for (key, text) in texts {
            new["data"][key] = Value::from(STANDARD.encode(text.as_str().unwrap_or("")));
        }
    }
    if let Some(old) = old.filter(|_| new["type"].as_str().is_none_or(str::is_empty)) {
        new["type"] = old["type"].clone();
    }
}

pub(super) fn check(new: &Value, errors: &mut Vec<FieldError>) {
    let data = &new["data"];
    let mut size = 0;
    for (key, value) in entries(data) {
        let path = format!("data[{key}]");
        errors.extend(name::config_key(key).iter().map(|fault| FieldError::invalid_text(&path, key, fault)));
        size += decoded_length(value);
    }
    if size > MOST {
        errors.push(FieldError::too_long("data", MOST));
    }
    let mut needs = |key: &str| {
        if data.get(key).is_none() {
            errors.push(FieldError::required(format!("data[{key}]"), ""));
        }
    };
    match new["type"].as_str().unwrap_or("") {
        "kubernetes.io/tls" => ["tls.crt", "tls.key"].into_iter().for_each(needs),
        "kubernetes.io/ssh-auth" => needs("ssh-privatekey"),
        "kubernetes.io/basic-auth" if data.get("username").is_none() && data.get("password").is_none() => {
            ["username", "password"].into_iter().for_each(needs);
        }
        "kubernetes.io/dockercfg" => check_json(data, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => check_json(data, ".dockerconfigjson", errors),
        "kubernetes.io/service-account-token" => {
            let key = "kubernetes.io/service-account.name";
            if new["metadata"]["annotations"][key].as_str().is_none_or(str::is_empty) {
                errors.push(FieldError::required(format!("metadata.annotations[{key}]"), ""));
            }
        }
        _ => {}
    }
}

pub(super) fn check_change(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    immutable(&new["type"], &old["type"], "type", errors);
    frozen(new, old, &["data"], errors);
}

fn check_json(data: &Value, key: &str, errors: &mut Vec<FieldError>) {
    let path = format!("data[{key}]");
    let Some(value) = data.get(key) else {
        errors.push(FieldError::required(path, ""));
        return;
    };
    let bytes = STANDARD.decode(value.as_str().unwrap_or("")).unwrap_or_default();
    if let Err(cause) = serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes) {
        errors.push(FieldError::invalid_text(path, "<secret contents redacted>", &cause.to_string()));
    }
}

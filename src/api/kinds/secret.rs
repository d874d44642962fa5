//! Secrets: `stringData`, what a type requires, size, immutability.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::config::{MOST, check_key, decoded_length, frozen};
use super::field::Field;
use super::format;
use crate::api::error::FieldError;
use crate::schema;

type Errors = Vec<FieldError>;

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

/// The faults of a secret.
pub(super) fn check(new: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    let data = root.at("data");
    let mut size = 0;
    for (key, entry) in data.entries() {
        check_key(&entry, key, errors);
        size += decoded_length(entry.value());
    }
    if size > MOST {
        errors.push(FieldError::too_long(data.to_string(), MOST));
    }
    check_kind(&root, &data, errors);
}

/// The faults of a change.
pub(super) fn check_change(new: &Value, old: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    format::fixed(&root.at("type"), &old["type"], errors);
    frozen((new, old), &["data"], errors);
}

/// What a client should know of a secret that is taken: a certificate and a key that are none.
pub(super) fn warn(new: &Value, warnings: &mut Vec<String>) {
    if new["type"] != "kubernetes.io/tls" {
        return;
    }
    let blocks = |key: &str| {
        let bytes = STANDARD.decode(new["data"][key].as_str().unwrap_or("")).unwrap_or_default();
        kinds_of_blocks(&String::from_utf8_lossy(&bytes))
    };
    let (certificate, key) = (blocks("tls.crt"), blocks("tls.key"));
    let list = |kinds: &[String]| format!("[{}]", kinds.join(" "));
    let is_key = |kind: &String| kind == "PRIVATE KEY" || kind.ends_with(" PRIVATE KEY");
    let text = match (certificate.as_slice(), key.as_slice()) {
        ([], _) => "tls: failed to find any PEM data in certificate input".to_owned(),
        ([one], _) if one.ends_with("PRIVATE KEY") => {
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been \
             switched"
                .to_owned()
        }
        (kinds, _) if !kinds.iter().any(|kind| kind == "CERTIFICATE") => format!(
            "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following types: {}",
            list(kinds)
        ),
        (_, []) => "tls: failed to find any PEM data in key input".to_owned(),
        (_, [one]) if one == "CERTIFICATE" => {
            "tls: found a certificate rather than a key in the PEM for the private key".to_owned()
        }
        (_, kinds) if !kinds.iter().any(is_key) => format!(
            "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of the \
             following types: {}",
            list(kinds)
        ),
        _ => return,
    };
    warnings.push(text);
}

fn check_kind(root: &Field<'_, '_>, data: &Field<'_, '_>, errors: &mut Errors) {
    let has = |key: &str| data.value().get(key).is_some();
    let mut needs = |keys: &[&str]| {
        for key in keys.iter().filter(|key| !has(key)) {
            errors.push(data.key(key).required(""));
        }
    };
    match root.value()["type"].as_str().unwrap_or("") {
        "kubernetes.io/tls" => needs(&["tls.crt", "tls.key"]),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => needs(&["username", "password"]),
        "kubernetes.io/ssh-auth" => {
            data.key("ssh-privatekey").require(errors);
        }
        "kubernetes.io/dockercfg" => check_json(&data.key(".dockercfg"), errors),
        "kubernetes.io/dockerconfigjson" => check_json(&data.key(".dockerconfigjson"), errors),
        "kubernetes.io/service-account-token" => {
            let metadata = root.at("metadata");
            metadata.at("annotations").key("kubernetes.io/service-account.name").require(errors);
        }
        _ => {}
    }
}

/// The document must be an object; its contents are not told.
fn check_json(field: &Field<'_, '_>, errors: &mut Errors) {
    if field.is_absent() {
        errors.push(field.required(""));
        return;
    }
    let bytes = STANDARD.decode(field.text()).unwrap_or_default();
    let kind = match schema::parse(&bytes) {
        Ok(Value::Object(_) | Value::Null) => return,
        Ok(Value::Bool(_)) => "bool",
        Ok(Value::Number(_)) => "number",
        Ok(Value::String(_)) => "string",
        Ok(Value::Array(_)) => "array",
        Err(cause) => {
            let fault = cause.to_string();
            errors.push(FieldError::invalid_text(field.to_string(), REDACTED, &fault));
            return;
        }
    };
    let fault = format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}");
    errors.push(FieldError::invalid_text(field.to_string(), REDACTED, &fault));
}

/// The kinds of the blocks between `-----BEGIN x-----` and `-----END x-----`.
fn kinds_of_blocks(text: &str) -> Vec<String> {
    let mut kinds = Vec::new();
    let mut rest = text;
    for _ in 0..BLOCKS {
        let Some((_, after)) = rest.split_once("-----BEGIN ") else { break };
        let Some((kind, body)) = after.split_once("-----") else { break };
        match body.split_once(&format!("-----END {kind}-----")) {
            Some((_, after)) => {
                kinds.push(kind.to_owned());
                rest = after;
            }
            None => rest = body,
        }
    }
    kinds
}

/// Blocks that are looked for: a chain of certificates is not longer.
const BLOCKS: usize = 64;
const REDACTED: &str = "<secret contents redacted>";

//! CertificateSigningRequests: who asks, and who may say what about it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Part;
use super::field::{is_empty, items};
use crate::api::error::FieldError;
use crate::api::meta;
use crate::policy::Permit;

/// The requester is who the server knows it to be.
pub(super) fn prepare_create(permit: &Permit, new: &mut Value) {
    for member in ["username", "uid", "groups", "extra"] {
        if let Some(spec) = new["spec"].as_object_mut() {
            spec.remove(member);
        }
    }
    if let Some(identity) = permit.identity() {
        let spec = &mut new["spec"];
        spec["username"] = json!(identity.user());
        spec["groups"] = json!(identity.groups());
        if !identity.uid().is_empty() {
            spec["uid"] = json!(identity.uid());
        }
        if !identity.extra().is_empty() {
            spec["extra"] = json!(identity.extra());
        }
    }
}

/// The approval subresource changes the conditions Approved and Denied, and metadata.
pub(super) fn keep_all_but_approval(new: &mut Value, old: &Value) {
    let conditions = new["status"]["conditions"].take();
    new["spec"] = old["spec"].clone();
    new["status"] = old["status"].clone();
    if !conditions.is_null() {
        new["status"]["conditions"] = conditions;
    }
}

/// Conditions bear their times; the status subresource keeps what the approval said.
pub(super) fn prepare_update(part: Part, new: &mut Value, old: &Value) {
    if part == Part::Whole {
        return;
    }
    if part == Part::Status {
        let decided = |condition: &&Value| matches!(condition["type"].as_str(), Some("Approved" | "Denied"));
        let stored: Vec<Value> = old["status"]["conditions"].as_array().into_iter().flatten().filter(decided).cloned().collect();
        let mut conditions = new["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.retain(|condition| !decided(&condition));
        conditions.splice(0..0, stored);
        if !conditions.is_empty() {
            new["status"]["conditions"] = Value::from(conditions);
        }
    }
    let now = meta::now();
    let known = old["status"]["conditions"].as_array().cloned().unwrap_or_default();
    for condition in new["status"]["conditions"].as_array_mut().into_iter().flatten() {
        if is_empty(&condition["lastUpdateTime"]) {
            condition["lastUpdateTime"] = Value::from(now.as_str());
        }
        if is_empty(&condition["lastTransitionTime"]) {
            let same = known.iter().find(|known| known["type"] == condition["type"] && known["status"] == condition["status"]);
            condition["lastTransitionTime"] =
                same.map_or_else(|| Value::from(now.as_str()), |known| known["lastTransitionTime"].clone());
        }
    }
}

pub(super) fn check(new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    if is_empty(&spec["signerName"]) {
        errors.push(FieldError::required("spec.signerName", ""));
    } else if !spec["signerName"].as_str().is_some_and(|name| name.contains('/')) {
        let fault = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        errors.push(FieldError::invalid("spec.signerName", &spec["signerName"], fault));
    }
    if is_empty(&spec["usages"]) {
        errors.push(FieldError::required("spec.usages", "usages must be provided"));
    }
    if let Some(fault) = request_fault(spec["request"].as_str().unwrap_or("")) {
        errors.push(FieldError::invalid("spec.request", &spec["request"], &fault));
    }
    let seconds = &spec["expirationSeconds"];
    if seconds.as_i64().is_some_and(|seconds| seconds < 600) {
        errors.push(FieldError::invalid(
            "spec.expirationSeconds",
            seconds,
            "may not specify a duration less than 600 seconds (10 minutes)",
        ));
    }
    let mut decided: Vec<&str> = Vec::new();
    for (path, condition) in items(&new["status"]["conditions"], "status.conditions") {
        let kind = condition["type"].as_str().unwrap_or("");
        if kind.is_empty() {
            errors.push(FieldError::required(format!("{path}.type"), ""));
        }
        if matches!(kind, "Approved" | "Denied" | "Failed") && condition["status"] != "True" {
            errors.push(FieldError::unsupported(format!("{path}.status"), &condition["status"], &["True"]));
        }
        if matches!(kind, "Approved" | "Denied") {
            decided.push(kind);
        }
    }
    if decided.contains(&"Approved") && decided.contains(&"Denied") {
        let fault = "Approved and Denied conditions are mutually exclusive";
        errors.push(FieldError::invalid_text("status.conditions", "Denied", fault));
    }
}

/// What is wrong with the outer form of a request: PEM of one block, in it one DER sequence.
fn request_fault(encoded: &str) -> Option<String> {
    let pem = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let (head, tail) = ("-----BEGIN CERTIFICATE REQUEST-----", "-----END CERTIFICATE REQUEST-----");
    let body = pem.split_once(head).and_then(|(_, rest)| rest.split_once(tail)).map(|(body, _)| body);
    let Some(body) = body else { return Some("PEM block type must be CERTIFICATE REQUEST".to_owned()) };
    let text: String = body.split_whitespace().collect();
    let Ok(der) = STANDARD.decode(text) else { return Some("PEM block type must be CERTIFICATE REQUEST".to_owned()) };
    let length = match der.as_slice() {
        [0x30, length, ..] if *length < 0x80 => 2 + usize::from(*length),
        [0x30, 0x81, length, ..] => 3 + usize::from(*length),
        [0x30, 0x82, high, low, ..] => 4 + (usize::from(*high) << 8 | usize::from(*low)),
        _ => return Some("asn1: structure error: tags don't match".to_owned()),
    };
    (length > der.len()).then(|| "asn1: syntax error: data truncated".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_a_form() {
        let pem = |der: &[u8]| {
            let body = STANDARD.encode(der);
            STANDARD.encode(format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n"))
        };
        for (encoded, expected) in [
            (pem(&[0x30, 1, 0]), None),
            (pem(&[0x30, 9, 0]), Some("asn1: syntax error: data truncated")),
            (STANDARD.encode("x"), Some("PEM block type must be CERTIFICATE REQUEST")),
        ] {
            assert_eq!(request_fault(&encoded).as_deref(), expected);
        }
    }

    #[test]
    fn the_status_keeps_the_approval() {
        let old = json!({"status": {"conditions": [{"type": "Approved", "status": "True", "lastUpdateTime": "t", "lastTransitionTime": "t"}]}});
        let mut new = json!({"status": {"certificate": "x"}});
        prepare_update(Part::Status, &mut new, &old);
        assert_eq!(new["status"]["conditions"], old["status"]["conditions"]);
    }
}

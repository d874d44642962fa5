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
        new["spec"] = old["spec"].clone();
        return;
    }
    if part == Part::Status {
        preserve(new, old);
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
    if let Some(fault) = request_fault(spec["request"].as_str().unwrap_or("")) {
        errors.push(FieldError::invalid("spec.request", &spec["request"], &fault));
    }
    check_usages(&spec["usages"], errors);
    check_signer(&spec["signerName"], errors);
    let seconds = &spec["expirationSeconds"];
    if seconds.as_i64().is_some_and(|seconds| seconds < 600) {
        errors.push(FieldError::invalid(
            "spec.expirationSeconds",
            seconds,
            "may not specify a duration less than 600 seconds (10 minutes)",
        ));
    }
    check_conditions(&new["status"]["conditions"], errors);
    if let Some(fault) = certificate_fault(new["status"]["certificate"].as_str().unwrap_or("")) {
        errors.push(FieldError::invalid_text("status.certificate", "<certificate data>", &fault));
    }
}

/// Conditions of the three decisions stay; who may not decide adds and changes none; a certificate is set once, by the signer.
pub(super) fn check_change(part: Part, new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let path = "status.conditions";
    for kind in ["Approved", "Denied", "Failed"] {
        if of_kind(new, kind).len() < of_kind(old, kind).len() {
            errors.push(FieldError::forbidden(path, &format!("updates may not remove a condition of type \"{kind}\"")));
        }
    }
    for kind in ["Approved", "Denied"].into_iter().filter(|_| part != Part::Approval) {
        let (own, stored) = (of_kind(new, kind), of_kind(old, kind));
        if own.len() > stored.len() {
            errors.push(FieldError::forbidden(path, &format!("updates may not add a condition of type \"{kind}\"")));
        } else if own.len() == stored.len() && own != stored {
            errors.push(FieldError::forbidden(path, &format!("updates may not modify a condition of type \"{kind}\"")));
        }
    }
    let (own, stored) = (&new["status"]["certificate"], &old["status"]["certificate"]);
    if own == stored || is_empty(own) && is_empty(stored) {
        return;
    }
    if part != Part::Status {
        errors.push(FieldError::forbidden("status.certificate", "updates may not set certificate content"));
    }
    if !is_empty(stored) {
        errors.push(FieldError::forbidden("status.certificate", "updates may not modify existing certificate content"));
    }
}

fn check_usages(usages: &Value, errors: &mut Vec<FieldError>) {
    let path = "spec.usages";
    if is_empty(usages) {
        errors.push(FieldError::required(path, "usages must be provided"));
    }
    for (path, usage) in items(usages, path) {
        if !USAGES.contains(&usage.as_str().unwrap_or("")) {
            errors.push(FieldError::unsupported(path, usage, &USAGES));
        }
    }
    let mut seen: Vec<&Value> = Vec::new();
    for (path, usage) in items(usages, path) {
        if seen.contains(&usage) {
            errors.push(FieldError::duplicate(path, usage));
        } else {
            seen.push(usage);
        }
    }
}

/// A signer is a domain and a path.
fn check_signer(signer: &Value, errors: &mut Vec<FieldError>) {
    let path = "spec.signerName";
    let own = signer.as_str().unwrap_or("");
    let segments: Vec<&str> = own.split('/').collect();
    let (domain, place) = match segments.as_slice() {
        _ if own == "kubernetes.io/legacy-unknown" => {
            errors.push(FieldError::invalid(path, signer, "the legacy signerName is not allowed via this API version"));
            return;
        }
        [""] => {
            errors.push(FieldError::required(path, ""));
            return;
        }
        [domain, place] => (*domain, *place),
        _ => {
            let fault = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
            errors.push(FieldError::invalid(path, signer, fault));
            return;
        }
    };
    if domain.len() > 253 {
        errors.push(FieldError::too_long(path, 253));
    }
    check_labels(domain, meta::name::label, errors);
    if !domain.contains('.') {
        let fault = "should be a domain with at least two segments separated by dots";
        errors.push(FieldError::invalid_text(path, domain, fault));
    }
    check_labels(place, meta::name::subdomain, errors);
    if own.len() > 253 + 1 + 253 + 1 + 63 {
        errors.push(FieldError::too_long(path, 571));
    }
}

/// The first bad label of a part tells enough.
fn check_labels(part: &str, rule: fn(&str) -> Vec<String>, errors: &mut Vec<FieldError>) {
    let mut labels = part.split('.').map(|label| (label, rule(label)));
    let Some((label, faults)) = labels.find(|(_, faults)| !faults.is_empty()) else { return };
    for fault in faults {
        let fault = format!("validating label {}: {fault}", crate::api::error::quoted(label));
        errors.push(FieldError::invalid_text("spec.signerName", part, &fault));
    }
}

fn check_conditions(conditions: &Value, errors: &mut Vec<FieldError>) {
    let mut seen: Vec<&str> = Vec::new();
    for (path, condition) in items(conditions, "status.conditions") {
        let kind = condition["type"].as_str().unwrap_or("");
        if kind.is_empty() {
            errors.push(FieldError::required(format!("{path}.type"), ""));
        }
        let decides = matches!(kind, "Approved" | "Denied" | "Failed");
        let allowed: &[&str] = if decides { &["True"] } else { &["False", "True", "Unknown"] };
        match condition["status"].as_str().unwrap_or("") {
            "" => errors.push(FieldError::required(format!("{path}.status"), "")),
            status if allowed.contains(&status) => {}
            _ => errors.push(FieldError::unsupported(format!("{path}.status"), &condition["status"], allowed)),
        }
        let opposite = match kind {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "-",
        };
        if seen.contains(&opposite) {
            let fault = "Approved and Denied conditions are mutually exclusive";
            errors.push(FieldError::invalid_text(format!("{path}.type"), kind, fault));
        }
        if seen.contains(&kind) {
            errors.push(FieldError::duplicate(format!("{path}.type"), &condition["type"]));
        }
        seen.push(kind);
    }
}

/// The conditions of one type, in order.
fn of_kind<'a>(request: &'a Value, kind: &str) -> Vec<&'a Value> {
    let all = request["status"]["conditions"].as_array().into_iter().flatten();
    all.filter(|condition| condition["type"] == kind).collect()
}

/// Decisions in a status that has as many of them are the stored ones.
fn preserve(new: &mut Value, old: &Value) {
    for kind in ["Approved", "Denied"] {
        let stored: Vec<Value> = of_kind(old, kind).into_iter().cloned().collect();
        if of_kind(new, kind).len() != stored.len() {
            continue;
        }
        let own = new["status"].get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten();
        own.filter(|condition| condition["type"] == kind).zip(stored).for_each(|(own, stored)| *own = stored);
    }
}

/// What is wrong with the outer form of certificates: PEM blocks of DER sequences, nothing else.
fn certificate_fault(encoded: &str) -> Option<String> {
    if encoded.is_empty() {
        return None;
    }
    let pem = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let (mut rest, mut blocks) = (pem.as_str(), 0);
    while let Some((kind, body, after)) = block(rest) {
        if kind != "CERTIFICATE" {
            return Some(format!("only CERTIFICATE PEM blocks are allowed, found {}", crate::api::error::quoted(kind)));
        }
        if body.contains(':') {
            return Some("no PEM block headers are permitted".to_owned());
        }
        let text: String = body.split_whitespace().collect();
        match STANDARD.decode(text).ok().as_deref() {
            Some([]) => return Some("found CERTIFICATE PEM block containing 0 certificates".to_owned()),
            Some([0x30, ..]) => {}
            _ => return Some("x509: malformed certificate".to_owned()),
        }
        blocks += 1;
        rest = after;
    }
    (blocks == 0).then(|| "must contain at least one CERTIFICATE PEM block".to_owned())
}

/// The next PEM block: its type, its body, what follows.
fn block(pem: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (kind, rest) = rest.split_once("-----")?;
    let end = format!("-----END {kind}-----");
    let (body, after) = rest.split_once(end.as_str())?;
    Some((kind, body, after))
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

const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

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
        let approved = json!({"type": "Approved", "status": "True", "lastUpdateTime": "t", "lastTransitionTime": "t"});
        let old = json!({"status": {"conditions": [approved]}});
        let mut new =
            json!({"status": {"certificate": "x", "conditions": [{"type": "Approved", "status": "True", "message": "other"}]}});
        prepare_update(Part::Status, &mut new, &old);
        assert_eq!(new["status"]["conditions"], old["status"]["conditions"]);
    }

    #[test]
    fn decisions_stay() {
        let with = |kinds: &[&str], certificate: &str| {
            let conditions: Vec<Value> = kinds.iter().map(|kind| json!({"type": kind, "status": "True"})).collect();
            json!({"status": {"conditions": conditions, "certificate": certificate}})
        };
        #[rustfmt::skip]
        let rows = [
            (Part::Approval, with(&["Approved"], ""), with(&[], ""), ""),
            (Part::Approval, with(&[], ""), with(&["Denied"], ""), "status.conditions: Forbidden: updates may not remove a condition of type \"Denied\""),
            (Part::Status, with(&["Approved"], ""), with(&[], ""), "status.conditions: Forbidden: updates may not add a condition of type \"Approved\""),
            (Part::Status, with(&[], "x"), with(&[], ""), ""),
            (Part::Status, with(&[], "y"), with(&[], "x"), "status.certificate: Forbidden: updates may not modify existing certificate content"),
            (Part::Approval, with(&[], "x"), with(&[], ""), "status.certificate: Forbidden: updates may not set certificate content"),
        ];
        for (part, new, old, expected) in rows {
            let mut errors = Vec::new();
            check_change(part, &new, &old, &mut errors);
            assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "), expected);
        }
    }

    #[test]
    fn conditions_have_a_form() {
        let condition = |kind: &str, status: &str| json!({"type": kind, "status": status});
        #[rustfmt::skip]
        let rows = [
            (json!([condition("Approved", "True")]), ""),
            (json!([condition("Approved", "False")]), "status.conditions[0].status: Unsupported value: \"False\": supported values: \"True\""),
            (json!([condition("x", "")]), "status.conditions[0].status: Required value"),
            (json!([condition("Approved", "True"), condition("Denied", "True")]), "status.conditions[1].type: Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive"),
            (json!([condition("x", "True"), condition("x", "True")]), "status.conditions[1].type: Duplicate value: \"x\""),
        ];
        for (conditions, expected) in rows {
            let mut errors = Vec::new();
            check_conditions(&conditions, &mut errors);
            assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "), expected);
        }
    }

    #[test]
    fn signers_and_usages() {
        let told = |check: fn(&Value, &mut Vec<FieldError>), value: Value| {
            let mut errors = Vec::new();
            check(&value, &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        for (signer, expected) in [
            ("example.com/a", ""),
            ("kubernetes.io/kubelet-serving", ""),
            ("", "spec.signerName: Required value"),
            ("a/b", "spec.signerName: Invalid value: \"a\": should be a domain with at least two segments separated by dots"),
        ] {
            assert_eq!(told(check_signer, json!(signer)), expected);
        }
        assert!(told(check_signer, json!("a.b/c/d")).ends_with("of the form 'example.com/signer-name'"));
        assert!(told(check_signer, json!("A.b/c")).contains("\"A.b\": validating label \"A\": "));
        assert_eq!(told(check_usages, json!(["any", "any"])), "spec.usages[1]: Duplicate value: \"any\"");
        assert!(
            told(check_usages, json!(["x"])).starts_with("spec.usages[0]: Unsupported value: \"x\": supported values: \"any\", ")
        );
        assert_eq!(told(check_usages, json!([])), "spec.usages: Required value: usages must be provided");
    }

    #[test]
    fn certificates_have_a_form() {
        let pem = |kind: &str, body: &str| STANDARD.encode(format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"));
        for (encoded, expected) in [
            (String::new(), None),
            (pem("CERTIFICATE", "MAMCAQA="), None),
            (pem("PRIVATE KEY", "MAMCAQA="), Some("only CERTIFICATE PEM blocks are allowed, found \"PRIVATE KEY\"")),
            (pem("CERTIFICATE", "a: b\n\nMAMCAQA="), Some("no PEM block headers are permitted")),
            (STANDARD.encode("x"), Some("must contain at least one CERTIFICATE PEM block")),
        ] {
            assert_eq!(certificate_fault(&encoded).as_deref(), expected);
        }
    }
}

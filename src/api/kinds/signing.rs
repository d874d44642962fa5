//! CertificateSigningRequests: who asks, and who may say what about it.

use std::collections::{HashMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Part;
use super::field::{Field, is_empty};
use super::write::{Write, same};
use crate::api::error::{FieldError, quoted};
use crate::api::meta::{self, NameRule, name};
use crate::identity;
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
    let known = old["status"]["conditions"].as_array().into_iter().flatten();
    let known: HashMap<_, _> = known.rev().map(|known| (told(known), known["lastTransitionTime"].clone())).collect();
    for condition in new["status"]["conditions"].as_array_mut().into_iter().flatten() {
        if is_empty(&condition["lastUpdateTime"]) {
            condition["lastUpdateTime"] = Value::from(now.as_str());
        }
        if is_empty(&condition["lastTransitionTime"]) {
            let since = known.get(&told(condition)).cloned();
            condition["lastTransitionTime"] = since.unwrap_or_else(|| Value::from(now.as_str()));
        }
    }
}

/// What a condition says.
fn told(condition: &Value) -> (String, String) {
    let text = |member: &str| condition[member].as_str().unwrap_or("").to_owned();
    (text("type"), text("status"))
}

pub(super) fn check(write: &Write<'_>, errors: &mut Vec<FieldError>) {
    let (root, old) = (write.root(), Old::of(write));
    if write.is_create() {
        write.metadata(|_| Vec::new(), errors)
    } else {
        write.change(errors)
    }
    check_spec(&root.at("spec"), &old, errors);
    let status = root.at("status");
    check_conditions(&status.at("conditions"), &old, errors);
    let (certificate, stored) = (status.at("certificate"), &write.old["status"]["certificate"]);
    let kept = same(certificate.value(), stored);
    let fault = certificate_fault(certificate.text());
    if let Some(fault) =
        fault.filter(|_| write.is_create() || !kept && certificate_fault(stored.as_str().unwrap_or("")).is_none())
    {
        errors.push(certificate.invalid_text("<certificate data>", &fault));
    }
    if write.is_create() {
        return;
    }
    check_decisions(write, &status.at("conditions"), errors);
    if !kept && write.part != Part::Status {
        errors.push(certificate.forbidden("updates may not set certificate content"));
    } else if !kept && !is_empty(stored) {
        errors.push(certificate.forbidden("updates may not modify existing certificate content"));
    }
}

/// Conditions of the three decisions stay, and who may not decide adds and changes none.
fn check_decisions(write: &Write<'_>, conditions: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    for kind in ONLY_TRUE {
        if of_kind(write.new, kind).len() < of_kind(write.old, kind).len() {
            errors.push(conditions.forbidden(&format!("updates may not remove a condition of type {}", quoted(kind))));
        }
    }
    for kind in ["Approved", "Denied"].into_iter().filter(|_| write.part != Part::Approval) {
        let (own, stored) = (of_kind(write.new, kind), of_kind(write.old, kind));
        if own.len() > stored.len() {
            errors.push(conditions.forbidden(&format!("updates may not add a condition of type {}", quoted(kind))));
        } else if own.len() == stored.len() && own != stored {
            errors.push(conditions.forbidden(&format!("updates may not modify a condition of type {}", quoted(kind))));
        }
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

/// What is stored already and would be refused today.
struct Old {
    both: bool,
    doubled: bool,
    nameless: bool,
    usages: bool,
    usages_doubled: bool,
    legacy: bool,
}

impl Old {
    fn of(write: &Write<'_>) -> Self {
        let texts = |list: &Value, member: Option<&str>| -> Vec<String> {
            let own = |item: &Value| member.map_or(item, |member| &item[member]).as_str().unwrap_or("").to_owned();
            list.as_array().into_iter().flatten().map(own).collect()
        };
        let conditions = texts(&write.old["status"]["conditions"], Some("type"));
        let usages = texts(&write.old["spec"]["usages"], None);
        let has = |kind: &str| conditions.iter().any(|condition| condition == kind);
        let doubled = |all: &[String]| all.iter().collect::<HashSet<_>>().len() < all.len();
        Self {
            both: has("Approved") && has("Denied"),
            doubled: doubled(&conditions),
            nameless: has(""),
            usages: usages.iter().any(|usage| !USAGES.contains(&usage.as_str())),
            usages_doubled: doubled(&usages),
            legacy: write.old["spec"]["signerName"] == LEGACY,
        }
    }
}

fn check_spec(spec: &Field<'_, '_>, old: &Old, errors: &mut Vec<FieldError>) {
    let (request, usages, signer) = (spec.at("request"), spec.at("usages"), spec.at("signerName"));
    if let Some(fault) = request_fault(request.text()) {
        errors.push(request.invalid(fault));
    }
    if usages.is_empty() {
        errors.push(usages.required(""));
    }
    if !old.usages {
        errors.extend(usages.items().filter(|usage| !USAGES.contains(&usage.text())).map(|usage| usage.unsupported(&USAGES)));
    }
    let mut seen = HashSet::new();
    for usage in usages.items() {
        if !seen.insert(usage.text()) && !old.usages_doubled {
            errors.push(usage.duplicate());
        }
    }
    if signer.text() == LEGACY && !old.legacy {
        errors.push(signer.invalid("the legacy signerName is not allowed via this API version"));
    } else {
        check_signer(&signer, errors);
    }
    if spec.at("expirationSeconds").number().is_some_and(|seconds| seconds < 600) {
        let fault = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.push(spec.at("expirationSeconds").invalid(fault));
    }
}

/// The faults of a signer's name: a domain and a path.
fn check_signer(signer: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if signer.require(errors).is_empty() {
        return;
    }
    let parts = signer.text().split_once('/').filter(|(_, path)| !path.contains('/'));
    let Some((domain, path)) = parts else {
        errors.push(signer.invalid("must be a fully qualified domain and path of the form 'example.com/signer-name'"));
        return;
    };
    if domain.len() > 253 {
        errors.push(FieldError::too_long(signer.to_string(), 253));
    }
    let rules: [(&str, NameRule); 2] = [(domain, name::label), (path, name::subdomain)];
    for (part, rule) in rules {
        for label in part.split('.') {
            let told = |fault: String| signer.invalid_text(part, &format!("validating label {}: {fault}", quoted(label)));
            errors.extend(rule(label).into_iter().map(told));
        }
        if part == domain && !domain.contains('.') {
            errors.push(signer.invalid_text(domain, "should be a domain with at least two segments separated by dots"));
        }
    }
    signer.at_most_bytes(571, errors);
}

fn check_conditions(conditions: &Field<'_, '_>, old: &Old, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for condition in conditions.items() {
        let (kind, status) = (condition.at("type"), condition.at("status"));
        if !old.nameless {
            kind.require(errors);
        }
        let allowed: &[&str] = if ONLY_TRUE.contains(&kind.text()) { &["True"] } else { &["False", "True", "Unknown"] };
        status.require_one_of(allowed, errors);
        let other = match kind.text() {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "",
        };
        if !other.is_empty() && seen.contains(other) && !old.both {
            errors.push(conditions.invalid_text(kind.text(), "Approved and Denied conditions are mutually exclusive"));
        }
        if !seen.insert(kind.text()) && !old.doubled {
            errors.push(kind.duplicate());
        }
    }
}

/// Why a request cannot be signed: PEM of one block, in it a request that its own key has signed.
fn request_fault(encoded: &str) -> Option<&'static str> {
    let pem = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    match Block::first(&pem) {
        Some((Block { kind: "CERTIFICATE REQUEST", der, .. }, _)) => identity::request_fault(&der),
        _ => Some("PEM block type must be CERTIFICATE REQUEST"),
    }
}

/// Why this is no chain of certificates; none at all is fine.
fn certificate_fault(encoded: &str) -> Option<String> {
    let pem = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let mut rest = pem.as_str();
    let mut blocks = 0;
    while let Some((block, after)) = Block::first(rest) {
        if block.kind != "CERTIFICATE" {
            return Some(format!("only CERTIFICATE PEM blocks are allowed, found {}", quoted(block.kind)));
        }
        if block.headers {
            return Some("no PEM block headers are permitted".to_owned());
        }
        if !identity::is_certificate(&block.der) {
            return Some("x509: malformed certificate".to_owned());
        }
        (blocks, rest) = (blocks + 1, after);
    }
    (blocks == 0 && !encoded.is_empty()).then(|| "must contain at least one CERTIFICATE PEM block".to_owned())
}

/// A block of PEM.
struct Block<'a> {
    kind: &'a str,
    headers: bool,
    der: Vec<u8>,
}

impl<'a> Block<'a> {
    /// The first block, and what follows it; what is none is passed over.
    fn first(text: &'a str) -> Option<(Self, &'a str)> {
        let mut rest = text;
        loop {
            let begin = if rest.starts_with(BEGIN) { 0 } else { rest.find(LINE).map(|at| at + 1)? };
            let after = &rest[begin + BEGIN.len()..];
            rest = after;
            let Some((kind, body)) = after.split_once("-----") else { continue };
            let end = format!("-----END {kind}-----");
            if let Some((body, tail)) = body.split_once(end.as_str()).filter(|_| !kind.contains('\n')) {
                let (headers, body): (Vec<&str>, Vec<&str>) = body.lines().partition(|line| line.contains(':'));
                let body: String = body.concat().split_whitespace().collect();
                if let Ok(der) = STANDARD.decode(body) {
                    return Some((Self { kind, headers: !headers.is_empty(), der }, tail));
                }
            }
        }
    }
}

const BEGIN: &str = "-----BEGIN ";
const LINE: &str = "\n-----BEGIN ";
const LEGACY: &str = "kubernetes.io/legacy-unknown";

/// Conditions that are true, or not there.
const ONLY_TRUE: [&str; 3] = ["Approved", "Denied", "Failed"];

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
            (pem(&[0x30, 1, 0]), Some("asn1: structure error: sequence tag mismatch")),
            (pem(&[0x30, 9, 0]), Some("asn1: syntax error: data truncated")),
            (STANDARD.encode("x"), Some("PEM block type must be CERTIFICATE REQUEST")),
        ] {
            assert_eq!(request_fault(&encoded), expected);
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
        let catalog = crate::api::catalog::Catalog::builtin();
        let kind = catalog.find("certificates.k8s.io", "v1", "certificatesigningrequests").unwrap();
        let with = |kinds: &[&str]| {
            let conditions: Vec<Value> = kinds.iter().map(|kind| json!({"type": kind, "status": "True"})).collect();
            json!({"status": {"conditions": conditions}})
        };
        let reason = |mut object: Value| {
            object["status"]["conditions"][0]["reason"] = "r".into();
            object
        };
        #[rustfmt::skip]
        let rows = [
            (Part::Approval, with(&["Approved"]), with(&[]), ""),
            (Part::Approval, with(&[]), with(&["Denied"]), "status.conditions: Forbidden: updates may not remove a condition of type \"Denied\""),
            (Part::Status, with(&["Approved"]), with(&[]), "status.conditions: Forbidden: updates may not add a condition of type \"Approved\""),
            (Part::Status, reason(with(&["Denied"])), with(&["Denied"]), "status.conditions: Forbidden: updates may not modify a condition of type \"Denied\""),
            (Part::Status, with(&["Failed"]), with(&[]), ""),
        ];
        for (part, new, old, expected) in rows {
            let write = Write { kind, part, new: &new, old: &old };
            let (root, mut errors) = (write.root(), Vec::new());
            check_decisions(&write, &root.at("status").at("conditions"), &mut errors);
            assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "), expected);
        }
    }
}

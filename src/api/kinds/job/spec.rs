//! The rules of a job's spec.

use serde_json::{Value, json};

use super::{Labels, NAME, OLD_NAME, OLD_UID, UID, policy};
use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, selects};
use crate::api::kinds::{pod, workload};
use crate::api::meta::{self, name};

/// The labels and the selector that the server made.
pub(super) fn check_generated(root: &Field<'_, '_>, labels: Labels, errors: &mut Vec<FieldError>) {
    let spec = root.at("spec");
    let selector = spec.at("selector");
    if spec.at("manualSelector").is_true() || selector.is_absent() {
        return;
    }
    let (own, uid) = (meta::text(root.value(), "name"), meta::text(root.value(), "uid"));
    if uid.is_empty() {
        errors.push(root.at("metadata").at("uid").required(""));
    }
    let template = spec.at("template");
    let metadata = template.at("metadata");
    let mut expected = json!({});
    for (key, value, old) in [(OLD_UID, uid, true), (OLD_NAME, own, true), (UID, uid, false), (NAME, own, false)] {
        if !old && labels == Labels::Old {
            continue;
        }
        expected[key] = Value::from(value);
        let all = metadata.at("labels");
        let label = all.key(key);
        if label.is_absent() {
            errors.push(label.required(&format!("must be '{value}'")));
        } else if label.text() != value {
            errors.push(FieldError::invalid(label.to_string(), all.value(), &format!("must be '{value}'")));
        }
    }
    if workload::is_sound(&selector) && !selects(selector.value(), &expected) {
        errors.push(selector.invalid("`selector` not auto-generated"));
    }
}

/// The name that the last pod of an indexed job will have.
pub(super) fn check_host_names(root: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let spec = root.at("spec");
    let completions = spec.at("completions").count();
    if spec.at("completionMode").text() != "Indexed" || completions <= 0 {
        return;
    }
    let metadata = root.at("metadata");
    let own = metadata.at("name");
    let last = format!("{}-{}", own.text(), completions - 1);
    if !name::label(&last).is_empty() {
        errors.push(own.invalid(&format!("will not able to create pod with invalid DNS label: {last}")));
    }
}

/// The spec of a job, which has a selector.
pub(super) fn check_whole(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    check(spec, errors);
    let (selector, template) = (spec.at("selector"), spec.at("template"));
    if selector.is_absent() {
        errors.push(selector.required(""));
        errors.push(workload::unchosen(&template));
        return;
    }
    selector.selector(errors);
    if workload::is_sound(&selector) && !selects(selector.value(), &template.value()["metadata"]["labels"]) {
        errors.push(workload::unchosen(&template));
    }
}

/// What the specs of jobs and of templates of jobs have in common.
pub(super) fn check(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    for member in COUNTS {
        spec.at(member).not_negative(errors);
    }
    let limit = spec.at("backoffLimitPerIndex");
    if !spec.at("maxFailedIndexes").is_absent() && limit.is_absent() {
        errors.push(limit.required("when maxFailedIndexes is specified"));
    }
    check_manager(&spec.at("managedBy"), errors);
    let mode = spec.at("completionMode");
    if !mode.is_absent() && !["NonIndexed", "Indexed"].contains(&mode.text()) {
        errors.push(mode.unsupported(&["NonIndexed", "Indexed"]));
    }
    match mode.text() {
        "Indexed" => check_indexed(spec, errors),
        "" | "NonIndexed" => {
            for member in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                if !spec.at(member).is_absent() {
                    errors.push(spec.at(member).invalid("requires indexed completion mode"));
                }
            }
        }
        _ => {}
    }
    policy::check(spec, errors);
    let template = spec.at("template");
    pod::check_template(&template, errors);
    let template = template.at("spec");
    let restart = template.at("restartPolicy");
    match restart.text() {
        "Always" | "" => errors.push(restart.required("valid values: \"OnFailure\", \"Never\"")),
        "OnFailure" if !spec.at("podFailurePolicy").is_absent() => {
            errors.push(restart.invalid("only \"Never\" is supported when podFailurePolicy is specified"));
        }
        "OnFailure" | "Never" => {}
        _ => errors.push(restart.unsupported(&["OnFailure", "Never"])),
    }
}

fn check_indexed(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (completions, parallelism) = (spec.at("completions"), spec.at("parallelism"));
    let (limit, most) = (spec.at("backoffLimitPerIndex"), spec.at("maxFailedIndexes"));
    if completions.is_absent() {
        errors.push(completions.required("when completion mode is Indexed"));
    }
    if parallelism.count() > 100_000 {
        errors.push(parallelism.invalid("must be less than or equal to 100000 when completion mode is Indexed"));
    }
    if !completions.is_absent() && most.count() > completions.count() {
        errors.push(most.invalid("must be less than or equal to completions"));
    }
    if most.count() > 100_000 {
        errors.push(most.invalid("must be less than or equal to 100000"));
    }
    if completions.count() <= 100_000 || limit.is_absent() {
        return;
    }
    if most.is_absent() {
        errors.push(most.required("must be specified when completions is above 100000"));
    }
    for count in [&parallelism, &most] {
        if count.count() > 10_000 {
            let fault =
                "must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index";
            errors.push(count.invalid(fault));
        }
    }
}

/// Who else cares for the job: `acme.io/foo`.
fn check_manager(own: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if own.is_absent() {
        return;
    }
    match own.text().split_once('/') {
        _ if own.text().is_empty() => errors.push(own.required("")),
        Some((host, path)) if !host.is_empty() && !path.is_empty() => {
            errors.extend(name::subdomain(host).iter().map(|fault| own.invalid_text(host, fault)));
            if !path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte)) {
                let fault = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
                errors.push(own.invalid_text(path, fault));
            }
        }
        _ => errors.push(own.invalid("must be a domain-prefixed path (such as \"acme.io/foo\")")),
    }
    if own.text().len() > 63 {
        errors.push(own.too_long(63));
    }
}

const COUNTS: [&str; 7] = [
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
];

//! The annotations of pods that mean something: mirrors, tolerations, costs, and profiles from before there were fields for them.

use serde_json::Value;

use super::container;
use super::schedule;
use super::source::check_descending;
use crate::api::error::{self, FieldError};
use crate::api::kinds::field::Field;

/// The annotations of a pod or a template. `told` is where they are told, `spec` is the pod's.
pub(super) fn check(told: &Field<'_, '_>, spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if told.is_empty() {
        return;
    }
    let mirror = told.key(MIRROR);
    if !mirror.is_absent() && spec.at("nodeName").is_empty() {
        errors.push(mirror.invalid("must set spec.nodeName if mirror pod annotation is set"));
    }
    check_tolerations(told, errors);
    let cost = told.key(COST);
    if !cost.is_absent() && !is_cost(cost.text()) {
        errors.push(cost.invalid("must be a 32bit integer"));
    }
    check_seccomp(told, errors);
    check_armor(told, spec, errors);
}

/// What of the annotations does not change.
pub(super) fn check_change(told: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    for (key, value) in old.as_object().into_iter().flatten() {
        if told.value()[key] == *value {
            continue;
        }
        if key.starts_with(ARMOR) {
            errors.push(told.key(key).forbidden("may not remove or update AppArmor annotations"));
        }
        if key == MIRROR {
            errors.push(told.key(key).forbidden("may not remove or update mirror pod annotation"));
        }
    }
    for (key, value) in told.entries().filter(|(key, _)| old[*key].is_null()) {
        if key.starts_with(ARMOR) {
            errors.push(value.forbidden("may not add AppArmor annotations"));
        }
        if key == MIRROR {
            errors.push(value.forbidden("may not add mirror pod annotation"));
        }
    }
}

/// Whether a pod mirrors one that its node was told of otherwise.
pub(super) fn is_mirror(pod: &Value) -> bool {
    !pod["metadata"]["annotations"][MIRROR].is_null()
}

/// Annotations and fields of a profile that stand side by side say the same.
pub(super) fn check_agreement(annotations: &Value, spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if annotations.is_null() {
        return;
    }
    let context = spec.at("securityContext");
    let profile = context.at("seccompProfile");
    if let Some(told) = annotations[SECCOMP].as_str().filter(|_| !profile.is_absent()) {
        compare(&profile, profile.value(), ("seccomp", told), errors);
    }
    container::each(spec, |container| {
        let context = container.at("securityContext");
        let profile = context.at("seccompProfile");
        let told = annotations[format!("{SECCOMP_OF}{}", container.at("name").text())].as_str();
        if let Some(told) = told.filter(|_| !profile.is_absent()) {
            compare(&profile, profile.value(), ("seccomp", told), errors);
        }
    });
    if spec.value()["os"]["name"] == "windows" {
        return;
    }
    let of_pod = context.at("appArmorProfile");
    container::each(spec, |container| {
        let context = container.at("securityContext");
        let own = context.at("appArmorProfile");
        let profile = if own.is_absent() { of_pod.value() } else { own.value() };
        let told = annotations[format!("{ARMOR}{}", container.at("name").text())].as_str();
        if let Some(told) = told.filter(|_| !profile.is_null()) {
            compare(&own, profile, ("apparmor", told), errors);
        }
    });
}

fn compare(told: &Field<'_, '_>, profile: &Value, (what, annotation): (&str, &str), errors: &mut Vec<FieldError>) {
    let (default, other) = match what {
        "seccomp" => ("runtime/default", "docker/default"),
        _ => ("runtime/default", "runtime/default"),
    };
    let same = match profile["type"].as_str() {
        Some("Unconfined") => annotation == "unconfined",
        Some("RuntimeDefault") => annotation == default || annotation == other,
        Some("Localhost") => annotation.starts_with("localhost/"),
        _ => return,
    };
    if !same {
        errors.push(told.at("type").forbidden(&format!("{what} type in annotation and field must match")));
    } else if profile["type"] == "Localhost" && profile["localhostProfile"].as_str() != annotation.strip_prefix("localhost/") {
        let fault = format!("{what} profile in annotation and field must match");
        errors.push(told.at("localhostProfile").forbidden(&fault));
    }
}

fn check_tolerations(told: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let own = told.key(TOLERATIONS);
    if own.is_empty() {
        return;
    }
    match serde_json::from_str::<Value>(own.text()) {
        Ok(list) => schedule::check_tolerations(&told.at(TOLERATIONS).with(&list), errors),
        Err(cause) => errors.push(told.invalid_text(TOLERATIONS, &cause.to_string())),
    }
}

/// An int32 as Go writes it.
fn is_cost(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = digits == "0" || !digits.starts_with('0');
    plain && canonical && text != "-0" && text.parse::<i32>().is_ok()
}

fn check_seccomp(told: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let own = told.at(SECCOMP);
    if !own.is_absent() {
        check_profile(&own, errors);
    }
    for (key, _) in told.entries().filter(|(key, _)| key.starts_with(SECCOMP_OF)) {
        check_profile(&told.at(key), errors);
    }
}

fn check_profile(own: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    match (own.text(), own.text().strip_prefix("localhost/")) {
        ("runtime/default" | "docker/default" | "unconfined", _) => {}
        (_, Some(path)) => check_descending(own, path, errors),
        _ => errors.push(own.invalid("must be a valid seccomp profile")),
    }
}

fn check_armor(told: &Field<'_, '_>, spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    for (key, own) in told.entries() {
        let Some(title) = key.strip_prefix(ARMOR) else { continue };
        let mut known = false;
        container::each(spec, |container| known |= container.at("name").text() == title);
        if !known {
            errors.push(own.invalid_text(title, "container not found"));
        }
        let sound = matches!(own.text(), "" | "runtime/default" | "unconfined") || own.text().starts_with("localhost/");
        if !sound {
            errors.push(own.invalid(&format!("invalid AppArmor profile name: {}", error::quoted(own.text()))));
        }
    }
}

/// The pod's profile before there was a field for it.
pub(super) const SECCOMP: &str = "seccomp.security.alpha.kubernetes.io/pod";
/// The same of a container, whose name follows.
pub(super) const SECCOMP_OF: &str = "container.seccomp.security.alpha.kubernetes.io/";
/// The AppArmor profile of a container, whose name follows.
pub(super) const ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const MIRROR: &str = "kubernetes.io/config.mirror";
const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/tolerations";

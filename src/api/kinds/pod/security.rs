//! The rules of security contexts, of pods and of containers.

use super::source::check_descending;
use super::windows;
use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, is_full};
use crate::api::kinds::internal;

/// The context of a container.
pub(super) fn check(context: &Field<'_, '_>, host_users: bool, errors: &mut Vec<FieldError>) {
    if context.is_absent() {
        return;
    }
    check_id(&context.at("runAsUser"), errors);
    check_id(&context.at("runAsGroup"), errors);
    let mount = context.at("procMount");
    if !mount.is_absent() {
        if !["Default", "Unmasked"].contains(&mount.text()) {
            errors.push(mount.unsupported(&["Default", "Unmasked"]));
        }
        if host_users && mount.text() == "Unmasked" {
            errors.push(mount.invalid("`hostUsers` must be false to use `Unmasked`"));
        }
    }
    check_seccomp(&context.at("seccompProfile"), errors);
    check_escalation(context, errors);
    windows::check_options(&context.at("windowsOptions"), errors);
    check_armor(&context.at("appArmorProfile"), errors);
}

/// The context of a pod.
pub(super) fn check_pod(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let context = spec.at("securityContext");
    if context.is_absent() {
        return;
    }
    for member in ["fsGroup", "runAsUser", "runAsGroup"] {
        check_id(&context.at(member), errors);
    }
    for group in context.at("supplementalGroups").items() {
        if is_full(errors) {
            return;
        }
        check_id(&group, errors);
    }
    // What a pod shares with its node stands with the context in kube-apiserver's own structure.
    if spec.at("shareProcessNamespace").is_true() && spec.at("hostPID").is_true() {
        let told = context.at("shareProcessNamespace");
        errors.push(told.invalid_as("true", "ShareProcessNamespace and HostPID cannot both be enabled"));
    }
    check_sysctls(spec, &context.at("sysctls"), errors);
    check_set(&context.at("fsGroupChangePolicy"), &["Always", "OnRootMismatch"], errors);
    check_seccomp(&context.at("seccompProfile"), errors);
    windows::check_options(&context.at("windowsOptions"), errors);
    check_armor(&context.at("appArmorProfile"), errors);
    check_set(&context.at("supplementalGroupsPolicy"), &["Merge", "Strict"], errors);
    check_set(&context.at("seLinuxChangePolicy"), &["MountOption", "Recursive"], errors);
}

/// A closed set in which nothing is no value either.
fn check_set(value: &Field<'_, '_>, set: &[&str], errors: &mut Vec<FieldError>) {
    if !value.is_absent() && !set.contains(&value.text()) {
        errors.push(value.unsupported(set));
    }
}

fn check_id(id: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    id.within(0..=2_147_483_647, errors);
}

fn check_escalation(context: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if context.at("allowPrivilegeEscalation").value() != false {
        return;
    }
    let mut tell = |fault: &str| errors.push(context.invalid_as(&internal::print("SecurityContext", context.value()), fault));
    if context.at("privileged").is_true() {
        tell("cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    }
    let added = context.value()["capabilities"]["add"].as_array();
    if added.is_some_and(|added| added.iter().any(|capability| capability == "CAP_SYS_ADMIN")) {
        tell("cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
    }
}

fn check_seccomp(profile: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if profile.is_absent() {
        return;
    }
    let (kind, file) = (profile.at("type"), profile.at("localhostProfile"));
    match kind.text() {
        "" => errors.push(kind.required("type is required when seccompProfile is set")),
        text if PROFILES.contains(&text) => {}
        _ => errors.push(kind.unsupported(&PROFILES)),
    }
    match (kind.text() == "Localhost", file.is_absent()) {
        (true, true) => errors.push(file.required("must be set when seccomp type is Localhost")),
        (true, false) => check_descending(&file, file.text(), errors),
        (false, true) => {}
        (false, false) => {
            let printed = internal::print("SeccompProfile", profile.value());
            errors.push(file.invalid_as(&printed, "can only be set when seccomp type is Localhost"));
        }
    }
}

fn check_armor(profile: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if profile.is_absent() {
        return;
    }
    let (kind, file) = (profile.at("type"), profile.at("localhostProfile"));
    match kind.text() {
        "Localhost" if file.is_empty() => errors.push(file.required("must be set when AppArmor type is Localhost")),
        "Localhost" => {
            if file.text().trim() != file.text() {
                errors.push(file.invalid("must not be padded with whitespace"));
            }
            if file.text().len() > 4095 {
                errors.push(file.too_long(4095));
            }
        }
        "RuntimeDefault" | "Unconfined" => {
            if !file.is_absent() {
                errors.push(file.invalid("can only be set when AppArmor type is Localhost"));
            }
        }
        "" => errors.push(kind.required("type is required when appArmorProfile is set")),
        _ => errors.push(kind.unsupported(&PROFILES)),
    }
}

fn check_sysctls(spec: &Field<'_, '_>, list: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let mut seen = std::collections::HashSet::new();
    for sysctl in list.items() {
        if is_full(errors) {
            return;
        }
        let own = sysctl.at("name");
        if own.is_empty() {
            errors.push(own.required(""));
        } else if !is_sysctl(own.text()) {
            errors.push(own.invalid(&format!("must have at most 253 characters and match regex ^{SYSCTL}$")));
        } else if seen.contains(own.text()) {
            errors.push(own.duplicate());
        }
        match namespace(own.text()) {
            Some("net") if spec.at("hostNetwork").is_true() => {
                errors.push(own.invalid("may not be specified when 'hostNetwork' is true"));
            }
            Some("ipc") if spec.at("hostIPC").is_true() => {
                errors.push(own.invalid("may not be specified when 'hostIPC' is true"));
            }
            _ => {}
        }
        seen.insert(own.text());
    }
}

fn is_sysctl(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let segment = |segment: &str| {
        let bytes = segment.as_bytes();
        bytes.first().is_some_and(|byte| word(*byte))
            && bytes.last().is_some_and(|byte| word(*byte))
            && bytes.iter().all(|byte| word(*byte) || matches!(byte, b'-' | b'_'))
    };
    text.len() <= 253 && text.split(['.', '/']).all(segment)
}

/// What of the kernel a setting belongs to.
fn namespace(text: &str) -> Option<&'static str> {
    // The first separator tells which of the two is one.
    let text = match text.find(['.', '/']).map(|at| text.as_bytes()[at]) {
        Some(b'/') => text.replace(['.', '/'], " ").replace(' ', "."),
        _ => text.to_owned(),
    };
    match text.as_str() {
        "kernel.sem" | "kernel.shmall" | "kernel.shmmax" | "kernel.shmmni" | "kernel.shm_rmid_forced" => Some("ipc"),
        other if other.starts_with("kernel.msg") || other.starts_with("fs.mqueue.") => Some("ipc"),
        other if other.starts_with("net.") => Some("net"),
        _ => None,
    }
}

const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
const SYSCTL: &str = "([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?";

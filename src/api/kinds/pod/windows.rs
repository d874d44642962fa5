//! The rules of operating systems: what only Windows has, and what it has not.

use super::container;
use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::meta::name;

/// `windowsOptions` of a security context.
pub(super) fn check_options(options: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let title = options.at("gmsaCredentialSpecName");
    if !title.is_absent() {
        title.formed(name::subdomain, errors);
    }
    let content = options.at("gmsaCredentialSpec");
    if !content.is_absent() {
        match content.text().len() {
            0 => errors.push(content.invalid("gmsaCredentialSpec cannot be an empty string")),
            65_537.. => errors.push(content.invalid("gmsaCredentialSpec size must be under 64 KiB")),
            _ => {}
        }
    }
    let user = options.at("runAsUserName");
    if !user.is_absent() {
        errors.extend(faults_of_user(user.text()).iter().map(|fault| user.invalid(fault)));
    }
}

/// Faults of a user, with a domain before a backslash or without.
fn faults_of_user(text: &str) -> Vec<&'static str> {
    if text.is_empty() {
        return vec!["runAsUserName cannot be an empty string"];
    }
    if text.chars().any(|character| character.is_ascii_control()) {
        return vec!["runAsUserName cannot contain control characters"];
    }
    let parts: Vec<&str> = text.splitn(4, '\\').collect();
    let (domain, user) = match parts.as_slice() {
        [user] => (None, *user),
        [domain, user] => (Some(*domain), *user),
        _ => return vec!["runAsUserName cannot contain more than one backslash"],
    };
    let mut faults = Vec::new();
    if domain.is_some_and(|domain| domain.len() >= 256) {
        faults.push("runAsUserName's Domain length must be under 256 characters");
    }
    if domain.is_some_and(|domain| !is_net_bios(domain) && !is_domain(domain)) {
        faults.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
    }
    match user.len() {
        0 => faults.push("runAsUserName's User cannot be empty"),
        105.. => faults.push("runAsUserName's User length must not be longer than 104 characters"),
        _ => {}
    }
    if !user.is_empty() && user.chars().all(|character| matches!(character, '.' | ' ')) {
        faults.push("runAsUserName's User cannot contain only periods or spaces");
    }
    if user.contains(['"', '/', '\\', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']']) {
        faults.push("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
    }
    faults
}

fn is_net_bios(domain: &str) -> bool {
    let count = domain.chars().count();
    (1..=15).contains(&count) && !domain.starts_with('.') && !domain.contains(['\\', '/', ':', '*', '?', '"', '<', '>', '|'])
}

fn is_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        let bytes = label.as_bytes();
        let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        bytes.len() <= 63
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    })
}

/// Containers that are processes of a Windows host: all of a pod, or none.
pub(super) fn check_host_processes(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let of_pod = spec.value()["securityContext"]["windowsOptions"]["hostProcess"].as_bool();
    let (mut count, mut of_host) = (0, 0);
    container::each(spec, |container| {
        count += 1;
        let own = container.value()["securityContext"]["windowsOptions"]["hostProcess"].as_bool();
        if let (Some(whole), Some(own)) = (of_pod, own)
            && whole != own
        {
            let fault = format!("pod hostProcess value must be identical if both are specified, was {whole}");
            let context = container.at("securityContext");
            errors.push(context.at("windowsOptions").at("hostProcess").invalid(&fault));
        }
        of_host += usize::from(own.or(of_pod).unwrap_or(false));
    });
    if of_host == 0 {
        return;
    }
    if of_host != count {
        let fault = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.push(spec.invalid_text("", fault));
    }
    if !spec.at("hostNetwork").is_true() {
        let fault = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.push(spec.at("hostNetwork").invalid_as("false", fault));
    }
}

/// `os`, and what goes with it.
pub(super) fn check_os(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let os = spec.at("os");
    if os.is_absent() {
        return;
    }
    match os.at("name").text() {
        "" => errors.push(os.at("name").required("")),
        "linux" => check_linux(spec, errors),
        "windows" => check_windows(spec, errors),
        _ => errors.push(os.with(os.at("name").value()).unsupported(&["linux", "windows"])),
    }
}

fn check_linux(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let fault = "windows options cannot be set for a linux pod";
    let context = spec.at("securityContext");
    if !context.at("windowsOptions").is_absent() {
        errors.push(context.at("windowsOptions").forbidden(fault));
    }
    container::each(spec, |container| {
        let context = container.at("securityContext");
        if !context.at("windowsOptions").is_absent() {
            errors.push(context.at("windowsOptions").forbidden(fault));
        }
    });
}

fn check_windows(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let fault = "cannot be set for a windows pod";
    let context = spec.at("securityContext");
    for member in OF_PODS {
        let (own, at_spec) = match *member {
            "hostUsers" | "hostPID" | "hostIPC" | "shareProcessNamespace" => (spec.at(member), true),
            _ => (context.at(member), false),
        };
        let wanted = match *member {
            "hostPID" | "hostIPC" => own.is_true(),
            "sysctls" => !own.is_empty(),
            _ => !own.is_absent(),
        };
        if wanted && (!at_spec || !context.is_absent()) {
            errors.push(own.forbidden(fault));
        }
    }
    container::each(spec, |container| {
        let context = container.at("securityContext");
        for member in OF_CONTAINERS {
            if !context.at(member).is_absent() {
                errors.push(context.at(member).forbidden(fault));
            }
        }
    });
}

const OF_PODS: &[&str] = &[
    "appArmorProfile",
    "seLinuxOptions",
    "hostUsers",
    "hostPID",
    "hostIPC",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "shareProcessNamespace",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
];

const OF_CONTAINERS: &[&str] = &[
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

//! The rules of a container's environment: its variables and where their values come from.

use std::collections::HashMap;

use super::container;
use super::source::check_steps;
use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, is_full};
use crate::api::kinds::quantity::nanos;
use crate::api::meta::name;

/// `env`
pub(super) fn check(list: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    for variable in list.items() {
        if is_full(errors) {
            return;
        }
        variable.at("name").require_named(name::variable, errors);
        let from = variable.at("valueFrom");
        if !from.is_absent() {
            check_from(&from, variable.at("value").is_empty(), errors);
        }
    }
}

/// `envFrom`. kube-apiserver tells what is missing at the list.
pub(super) fn check_sources(list: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    for source in list.items() {
        if is_full(errors) {
            return;
        }
        source.at("prefix").named(name::variable, errors);
        let mut count = 0;
        for member in ["configMapRef", "secretRef"] {
            let own = source.at(member);
            if !own.is_absent() {
                count += 1;
                own.at("name").require_named(name::subdomain, errors);
            }
        }
        match count {
            0 => errors.push(list.invalid_text("", "must specify one of: `configMapRef` or `secretRef`")),
            1 => {}
            _ => errors.push(list.invalid_text("", "may not have more than one field specified at a time")),
        }
    }
}

/// Files that hold variables are in volumes of a certain kind.
pub(super) fn check_files(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let mut sources: Option<HashMap<&str, bool>> = None;
    container::each(spec, |container| {
        for variable in container.at("env").items() {
            let reference = variable.at("valueFrom");
            let reference = reference.at("fileKeyRef");
            if reference.is_absent() || is_full(errors) {
                continue;
            }
            let sources = sources.get_or_insert_with(|| {
                let volumes = spec.value()["volumes"].as_array().into_iter().flatten();
                volumes.map(|own| (own["name"].as_str().unwrap_or(""), !own["emptyDir"].is_null())).collect()
            });
            let volume = reference.at("volumeName");
            match sources.get(volume.text()) {
                None => errors.push(volume.not_found()),
                Some(false) => errors.push(volume.invalid("referenced volume must be of type emptyDir")),
                Some(true) => {}
            }
        }
    });
}

fn check_from(from: &Field<'_, '_>, alone: bool, errors: &mut Vec<FieldError>) {
    let mut count = 0;
    for member in ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"] {
        let own = from.at(member);
        if own.is_absent() {
            continue;
        }
        count += 1;
        match member {
            "fieldRef" => check_object_field(&own, &FIELDS, errors),
            "resourceFieldRef" => check_container_resource(&own, false, errors),
            "fileKeyRef" => check_file_key(&own, errors),
            _ => check_key(&own, errors),
        }
    }
    let fault = match count {
        0 => "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        _ if !alone => "may not be specified when `value` is not empty",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    errors.push(from.invalid_text("", fault));
}

fn check_key(own: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    own.at("name").formed(name::subdomain, errors);
    own.at("key").require_named(name::config_key, errors);
}

fn check_file_key(own: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    own.at("key").require_named(name::variable, errors);
    own.at("volumeName").require_named(name::label, errors);
    let path = own.at("path");
    if !path.require(errors).is_empty() {
        check_steps(&path, path.text(), errors);
    }
}

/// A field of the pod, one of `known` or a label or annotation.
pub(super) fn check_object_field(own: &Field<'_, '_>, known: &[&str], errors: &mut Vec<FieldError>) {
    let (version, path) = (own.at("apiVersion"), own.at("fieldPath"));
    if version.require(errors).is_empty() || path.require(errors).is_empty() {
        return;
    }
    let text = path.text();
    let fault = |fault: String| path.invalid(&format!("error converting fieldPath: {fault}"));
    if version.text() != "v1" {
        errors.push(fault(format!("unsupported pod version: {}", version.text())));
        return;
    }
    match subscript(text) {
        Some(("metadata.annotations", key)) => {
            let key = key.to_lowercase();
            errors.extend(name::qualified(&key).iter().map(|fault| own.invalid_text(&key, fault)));
        }
        Some(("metadata.labels", key)) => {
            errors.extend(name::qualified(key).iter().map(|fault| own.invalid_text(key, fault)));
        }
        Some(_) => errors.push(fault(format!("field label does not support subscript: {text}"))),
        None if text == "spec.host" && known.contains(&"spec.nodeName") => {}
        None if !CONVERTED.contains(&text) => errors.push(fault(format!("field label not supported: {text}"))),
        None if !known.contains(&text) => errors.push(path.unsupported(known)),
        None => {}
    }
}

/// `metadata.labels['a']` taken apart.
fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['").filter(|(path, _)| !path.is_empty())
}

/// A resource of a container; a volume must name the container.
pub(super) fn check_container_resource(own: &Field<'_, '_>, volume: bool, errors: &mut Vec<FieldError>) {
    let (container, resource) = (own.at("containerName"), own.at("resource"));
    let text = resource.text();
    let huge = ["requests.hugepages-", "limits.hugepages-"].iter().any(|prefix| text.starts_with(prefix));
    if volume && container.is_empty() {
        errors.push(container.required(""));
    } else if text.is_empty() {
        errors.push(resource.required(""));
    } else if !RESOURCES.contains(&text) && !huge {
        errors.push(resource.unsupported(&RESOURCES));
    }
    let divisor = own.at("divisor");
    if nanos(divisor.text()).is_none_or(|divisor| divisor == 0) {
        return;
    }
    let (known, fault): (&[&str], _) = match text {
        "limits.cpu" | "requests.cpu" => (&["1m", "1"], "1m and 1 are supported with the cpu resource".to_owned()),
        "limits.memory" | "requests.memory" => (&UNITS, units("memory")),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => (&UNITS, units("local ephemeral storage")),
        _ if huge => (&UNITS, units("hugepages")),
        _ => return,
    };
    if !known.contains(&divisor.text()) {
        errors.push(divisor.invalid_text(text, &format!("only divisor's values {fault}")));
    }
}

fn units(resource: &str) -> String {
    format!("{} are supported with the {resource} resource", UNITS.join(", "))
}

/// Fields of a pod that a file can hold.
pub(super) const VOLUME_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Fields that kube-apiserver can convert at all.
const CONVERTED: [&str; 14] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

const RESOURCES: [&str; 6] =
    ["limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"];

const UNITS: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

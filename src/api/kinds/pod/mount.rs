//! The rules of where a container sees volumes: mounts and block devices.

use std::collections::{HashMap, HashSet};

use super::source::{check_descending, check_steps};
use super::volume::{self, Volumes};
use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, is_full};

/// The names and paths of mounts or devices: of several with one name the last counts.
struct Places<'v> {
    names: HashMap<&'v str, &'v str>,
    paths: HashSet<&'v str>,
}

impl<'v> Places<'v> {
    fn of(list: &Field<'v, '_>, path: &str) -> Self {
        let names: HashMap<&str, &str> = list.items().map(|item| (item.at("name").text(), item.at(path).text())).collect();
        let paths = names.values().copied().collect();
        Self { names, paths }
    }
}

/// `volumeMounts` and `volumeDevices` of a container.
pub(super) fn check<'v>(container: &Field<'v, '_>, volumes: &Volumes<'v>, errors: &mut Vec<FieldError>) {
    let (mounts, devices) = (container.at("volumeMounts"), container.at("volumeDevices"));
    if !mounts.is_empty() {
        let others = Places::of(&devices, "devicePath");
        check_mounts(container, (&mounts, &others), volumes, errors);
    }
    if !devices.is_empty() {
        let others = Places::of(&mounts, "mountPath");
        check_devices((&devices, &others), volumes, errors);
    }
}

fn check_mounts<'v>(
    container: &Field<'v, '_>,
    (mounts, devices): (&Field<'v, '_>, &Places<'v>),
    volumes: &Volumes<'v>,
    errors: &mut Vec<FieldError>,
) {
    let privileged = container.at("securityContext");
    let privileged = privileged.at("privileged").is_true();
    let mut seen = HashSet::new();
    for mount in mounts.items() {
        if is_full(errors) {
            return;
        }
        let (own, path) = (mount.at("name"), mount.at("mountPath"));
        own.require(errors);
        if !volumes.contains_key(own.text()) {
            errors.push(own.not_found());
        }
        path.require(errors);
        if !seen.insert(path.text()) {
            errors.push(path.invalid("must be unique"));
        }
        if devices.names.contains_key(own.text()) {
            errors.push(own.invalid("must not already exist in volumeDevices"));
        }
        if devices.paths.contains(path.text()) {
            errors.push(path.invalid("must not already exist as a path in volumeDevices"));
        }
        check_parts(mounts, &mount, errors);
        check_propagation(mounts, &mount, privileged, errors);
        check_recursion(mounts, &mount, errors);
    }
}

/// A part of a volume. kube-apiserver tells its path at the list.
fn check_parts(mounts: &Field<'_, '_>, mount: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (part, expression) = (mount.at("subPath"), mount.at("subPathExpr"));
    if !part.is_empty() {
        check_descending(&mounts.at("subPath"), part.text(), errors);
    }
    if !expression.is_empty() {
        if !part.is_empty() {
            errors.push(expression.invalid("subPathExpr and subPath are mutually exclusive"));
        }
        check_descending(&mounts.at("subPathExpr"), expression.text(), errors);
    }
}

fn check_propagation(mounts: &Field<'_, '_>, mount: &Field<'_, '_>, privileged: bool, errors: &mut Vec<FieldError>) {
    let own = mount.at("mountPropagation");
    if own.is_absent() {
        return;
    }
    let told = mounts.at("mountPropagation");
    let told = told.with(own.value());
    if !["Bidirectional", "HostToContainer", "None"].contains(&own.text()) {
        errors.push(told.unsupported(&["Bidirectional", "HostToContainer", "None"]));
    }
    if own.text() == "Bidirectional" && !privileged {
        errors.push(told.forbidden("Bidirectional mount propagation is available only to privileged containers"));
    }
}

fn check_recursion(mounts: &Field<'_, '_>, mount: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let own = mount.at("recursiveReadOnly");
    if own.is_absent() {
        return;
    }
    let told = mounts.at("recursiveReadOnly");
    let told = told.with(own.value());
    match own.text() {
        "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if !mount.at("readOnly").is_true() {
                errors.push(told.forbidden("may only be specified when readOnly is true"));
            }
            let propagation = mount.at("mountPropagation");
            if !propagation.is_absent() && propagation.text() != "None" {
                errors.push(told.forbidden("may only be specified when mountPropagation is None or not specified"));
            }
        }
        _ => errors.push(told.unsupported(&["Disabled", "Enabled", "IfPossible"])),
    }
}

fn check_devices<'v>((devices, mounts): (&Field<'v, '_>, &Places<'v>), volumes: &Volumes<'v>, errors: &mut Vec<FieldError>) {
    let (mut names, mut paths) = (HashSet::new(), HashSet::new());
    for device in devices.items() {
        if is_full(errors) {
            return;
        }
        let (own, path) = (device.at("name"), device.at("devicePath"));
        own.require(errors);
        if names.contains(own.text()) {
            errors.push(own.invalid("must be unique"));
        }
        match volumes.get(own.text()) {
            None => errors.push(own.not_found()),
            Some(volume) if !volume::is_claimed(volume) => {
                errors.push(own.invalid("can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"));
            }
            Some(_) => {}
        }
        path.require(errors);
        if paths.contains(path.text()) {
            errors.push(path.invalid("must be unique"));
        }
        let mut steps = Vec::new();
        check_steps(&path, path.text(), &mut steps);
        if steps.is_empty() {
            paths.insert(path.text());
        } else {
            errors.push(path.invalid("can not contain backsteps ('..')"));
        }
        if mounts.names.contains_key(own.text()) {
            errors.push(own.invalid("must not already exist in volumeMounts"));
        }
        if mounts.paths.contains(path.text()) {
            errors.push(path.invalid("must not already exist as a path in volumeMounts"));
        }
        if !own.is_empty() {
            names.insert(own.text());
        }
    }
}

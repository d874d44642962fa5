//! The rules of each source of a volume.

use super::environment::{VOLUME_FIELDS, check_container_resource, check_object_field};
use super::{claim, projection};
use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, is_full};
use crate::api::kinds::quantity::nanos;
use crate::api::meta::name;

type Check = fn(&Field<'_, '_>, &mut Vec<FieldError>);

/// Sources in the order in which kube-apiserver looks for them: the member, the name under which a second source is refused, the rule.
pub(super) const ALL: &[(&str, &str, Check)] = &[
    ("emptyDir", "emptyDir", empty_dir),
    ("hostPath", "hostPath", host_path),
    ("gitRepo", "gitRepo", git),
    ("gcePersistentDisk", "gcePersistentDisk", gce),
    ("awsElasticBlockStore", "awsElasticBlockStore", aws),
    ("secret", "secret", secret),
    ("nfs", "nfs", nfs),
    ("iscsi", "iscsi", iscsi),
    ("glusterfs", "glusterfs", |source, errors| need(source, &["endpoints", "path"], errors)),
    ("flocker", "flocker", flocker),
    ("persistentVolumeClaim", "persistentVolumeClaim", |source, errors| need(source, &["claimName"], errors)),
    ("rbd", "rbd", |source, errors| need(source, &["monitors", "image"], errors)),
    ("cinder", "cinder", cinder),
    ("cephfs", "cephFS", |source, errors| need(source, &["monitors"], errors)),
    ("quobyte", "quobyte", quobyte),
    ("downwardAPI", "downwarAPI", downward),
    ("fc", "fc", fibre),
    ("flexVolume", "flexVolume", flex),
    ("configMap", "configMap", config),
    ("azureFile", "azureFile", |source, errors| need(source, &["secretName", "shareName"], errors)),
    ("vsphereVolume", "vsphereVolume", |source, errors| need(source, &["volumePath"], errors)),
    ("photonPersistentDisk", "photonPersistentDisk", |source, errors| need(source, &["pdID"], errors)),
    ("portworxVolume", "portworxVolume", |source, errors| need(source, &["volumeID"], errors)),
    ("azureDisk", "azureDisk", azure_disk),
    ("storageos", "storageos", storage_os),
    ("projected", "projected", projection::check),
    ("scaleIO", "scaleIO", |source, errors| need(source, &["gateway", "system", "volumeName"], errors)),
    ("csi", "csi", csi),
    ("ephemeral", "ephemeral", ephemeral),
    ("image", "image", image),
];

/// The bits of a file's mode.
pub(super) fn check_mode(mode: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if mode.number().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        errors.push(mode.invalid("must be a number between 0 and 0777 (octal), both inclusive"));
    }
}

/// A key of a config map or secret, and the file that it becomes.
pub(super) fn check_item(item: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    need(item, &["key", "path"], errors);
    check_local_path(&item.at("path"), item.at("path").text(), errors);
    check_mode(&item.at("mode"), errors);
}

/// A file of the downward API. kube-apiserver reports it at the list's owner.
pub(super) fn check_file(file: &Field<'_, '_>, told: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let told = told.with(file.value());
    need(&told, &["path"], errors);
    check_local_path(&told.at("path"), told.at("path").text(), errors);
    let (field, resource) = (told.at("fieldRef"), told.at("resourceFieldRef"));
    match (field.is_absent(), resource.is_absent()) {
        (false, alone) => {
            check_object_field(&field, &VOLUME_FIELDS, errors);
            if !alone {
                errors.push(told.invalid_text("resource", "fieldRef and resourceFieldRef can not be specified simultaneously"));
            }
        }
        (true, false) => check_container_resource(&resource, true, errors),
        (true, true) => errors.push(told.required("one of fieldRef and resourceFieldRef is required")),
    }
    check_mode(&told.at("mode"), errors);
}

/// A path that stays below where it begins.
pub(super) fn check_descending(path: &Field<'_, '_>, text: &str, errors: &mut Vec<FieldError>) {
    if text.starts_with('/') {
        errors.push(path.invalid_text(text, "must be a relative path"));
    }
    check_steps(path, text, errors);
}

/// A path without `..`.
pub(super) fn check_steps(path: &Field<'_, '_>, text: &str, errors: &mut Vec<FieldError>) {
    if text.split('/').any(|step| step == "..") {
        errors.push(path.invalid_text(text, "must not contain '..'"));
    }
}

/// A path below where it begins that is not one of the kubelet's own.
pub(super) fn check_local_path(path: &Field<'_, '_>, text: &str, errors: &mut Vec<FieldError>) {
    check_descending(path, text, errors);
    if text.starts_with("..") && !text.starts_with("../") {
        errors.push(path.invalid_text(text, "must not start with '..'"));
    }
}

/// Members that must be there.
pub(super) fn need(owner: &Field<'_, '_>, members: &[&str], errors: &mut Vec<FieldError>) {
    for member in members {
        owner.at(member).require(errors);
    }
}

fn empty_dir(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let size = source.at("sizeLimit");
    if nanos(size.text()).is_some_and(|size| size < 0) {
        errors.push(size.forbidden("SizeLimit field must be a valid resource quantity"));
    }
}

fn host_path(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let path = source.at("path");
    if path.require(errors).is_empty() {
        return;
    }
    check_steps(&path, path.text(), errors);
    let kinds = ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
    source.at("type").one_of(&kinds, errors);
}

fn git(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    need(source, &["repository"], errors);
    let directory = source.at("directory");
    check_descending(&directory, directory.text(), errors);
}

/// kube-apiserver calls the source `persistentDisk` here.
fn gce(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let told = source.renamed("persistentDisk");
    need(&told, &["pdName"], errors);
    check_partition(&told.at("partition"), errors);
}

fn aws(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    need(source, &["volumeID"], errors);
    check_partition(&source.at("partition"), errors);
}

fn check_partition(partition: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if !(0..=255).contains(&partition.count()) {
        errors.push(partition.invalid("must be between 1 and 255, inclusive"));
    }
}

fn secret(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    need(source, &["secretName"], errors);
    check_items(source, errors);
}

fn config(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    need(source, &["name"], errors);
    check_items(source, errors);
}

fn check_items(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    check_mode(&source.at("defaultMode"), errors);
    for item in source.at("items").items() {
        if is_full(errors) {
            return;
        }
        check_item(&item, errors);
    }
}

fn nfs(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    need(source, &["server", "path"], errors);
    let path = source.at("path");
    if !path.text().starts_with('/') {
        errors.push(path.invalid_text(path.text(), "must be an absolute path"));
    }
}

fn iscsi(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    need(source, &["targetPortal"], errors);
    let iqn = source.at("iqn");
    if !iqn.require(errors).is_empty() {
        check_initiator(&iqn, iqn.text(), errors);
    }
    source.at("lun").within(0..=255, errors);
    let challenged = source.at("chapAuthDiscovery").is_true() || source.at("chapAuthSession").is_true();
    if challenged && source.at("secretRef").is_absent() {
        errors.push(source.at("secretRef").required(""));
    }
    let initiator = source.at("initiatorName");
    if !initiator.is_absent() {
        check_initiator(&source.at("initiatorname"), initiator.text(), errors);
    }
}

fn check_initiator(told: &Field<'_, '_>, text: &str, errors: &mut Vec<FieldError>) {
    let sound = match text.get(..3) {
        Some("iqn") => is_qualified_initiator(text),
        Some("eui") => is_worldwide(text, 16),
        Some("naa") => is_worldwide(text, 32),
        _ => return errors.push(told.invalid_text(text, "must be valid format starting with iqn, eui, or naa")),
    };
    if !sound {
        errors.push(told.invalid_text(text, "must be valid format"));
    }
}

/// `iqn.2021-12.com.example:storage`
fn is_qualified_initiator(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("iqn.") else { return false };
    let bytes = rest.as_bytes();
    let dated = bytes.len() > 8
        && bytes[..8].iter().enumerate().all(|(at, byte)| match at {
            4 => *byte == b'-',
            7 => *byte == b'.',
            _ => byte.is_ascii_digit(),
        });
    let Some((authority, own)) = dated.then(|| rest[8..].split_once(':')).flatten() else { return false };
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    !authority.is_empty()
        && plain(authority)
        && !own.is_empty()
        && !own.contains(|character: char| character.is_ascii_whitespace() || ",;*&$|".contains(character))
}

/// `eui.` or `naa.` and a number of so many digits.
fn is_worldwide(text: &str, digits: usize) -> bool {
    let mut rest = text.chars().skip(3);
    rest.next().is_some() && {
        let rest: Vec<char> = rest.collect();
        rest.len() == digits && rest.iter().all(char::is_ascii_alphanumeric)
    }
}

fn flocker(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (own, uuid) = (source.at("datasetName"), source.at("datasetUUID"));
    if own.is_empty() && uuid.is_empty() {
        errors.push(source.required("one of datasetName and datasetUUID is required"));
    }
    if !own.is_empty() && !uuid.is_empty() {
        errors.push(source.invalid_text("resource", "datasetName and datasetUUID can not be specified simultaneously"));
    }
    if own.text().contains('/') {
        errors.push(own.invalid("must not contain '/'"));
    }
}

fn cinder(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    need(source, &["volumeID"], errors);
    check_secret(&source.at("secretRef"), errors);
}

fn check_secret(secret: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if !secret.is_absent() {
        need(secret, &["name"], errors);
    }
}

fn quobyte(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let registry = source.at("registry");
    let form = "must be a host:port pair or multiple pairs separated by commas";
    if registry.is_empty() {
        errors.push(registry.required(form));
    } else if source.at("tenant").text().len() >= 65 {
        errors.push(source.at("tenant").required("must be a UUID and may not exceed a length of 64 characters"));
    } else {
        let bad = registry.text().split(',').filter(|pair| !is_host_and_port(pair)).take(100);
        errors.extend(bad.map(|_| registry.invalid(form)));
    }
    need(source, &["volume"], errors);
}

fn is_host_and_port(pair: &str) -> bool {
    match pair.rsplit_once(':') {
        Some((host, port)) if host.starts_with('[') => host.ends_with(']') && !port.contains(['[', ']']),
        Some((host, port)) => !host.contains([':', '[', ']']) && !port.contains(['[', ']']),
        None => false,
    }
}

fn downward(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    check_mode(&source.at("defaultMode"), errors);
    for file in source.at("items").items() {
        if is_full(errors) {
            return;
        }
        check_file(&file, source, errors);
    }
}

fn fibre(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (targets, ids, lun) = (source.at("targetWWNs"), source.at("wwids"), source.at("lun"));
    if targets.is_empty() && ids.is_empty() {
        errors.push(targets.required("must specify either targetWWNs or wwids, but not both"));
    }
    if !targets.is_empty() && !ids.is_empty() {
        errors.push(targets.invalid("targetWWNs and wwids can not be specified simultaneously"));
    }
    if !targets.is_empty() {
        if lun.is_absent() {
            errors.push(lun.required("lun is required if targetWWNs is specified"));
        }
        lun.within(0..=255, errors);
    }
}

fn flex(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    need(source, &["driver"], errors);
    for (key, value) in source.at("options").entries() {
        let namespace = key.split_once('/').map_or(key, |(namespace, _)| namespace).to_lowercase();
        let namespace = format!(".{namespace}");
        if namespace.ends_with(".kubernetes.io") || namespace.ends_with(".k8s.io") {
            errors.push(value.invalid_text(key, "kubernetes.io and k8s.io namespaces are reserved"));
        }
    }
}

fn azure_disk(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    need(source, &["diskName", "diskURI"], errors);
    source.at("cachingMode").one_of(&["None", "ReadOnly", "ReadWrite"], errors);
    let kind = source.at("kind");
    kind.one_of(&["Dedicated", "Managed", "Shared"], errors);
    let address = source.at("diskURI");
    let managed = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
    let blob = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
    match kind.text() {
        "" => {}
        "Managed" if !address.text().starts_with("/subscriptions/") => errors.push(address.unsupported(&[managed])),
        "Managed" => {}
        _ if !address.text().starts_with("https://") => errors.push(address.unsupported(&[blob])),
        _ => {}
    }
}

fn storage_os(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    source.at("volumeName").require_named(name::label, errors);
    source.at("volumeNamespace").named(name::label, errors);
    check_secret(&source.at("secretRef"), errors);
}

fn csi(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let driver = source.at("driver");
    driver.require(errors);
    if driver.text().len() > 63 {
        errors.push(driver.too_long(63));
    }
    let lower = driver.text().to_lowercase();
    errors.extend(name::subdomain(&lower).iter().map(|fault| driver.invalid_text(driver.text(), fault)));
    let secret = source.at("nodePublishSecretRef");
    if secret.is_absent() {
        return;
    }
    let own = secret.at("name");
    if !own.require(errors).is_empty() {
        errors.extend(name::subdomain(own.text()).iter().map(|fault| source.at("name").invalid_text(own.text(), fault)));
    }
}

fn ephemeral(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let template = source.at("volumeClaimTemplate");
    if template.is_absent() {
        errors.push(template.required(""));
        return;
    }
    claim::check_template(&template, errors);
}

fn image(source: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    // The reference may be empty only in templates, where it is filled in by whoever makes pods of them.
    if source.is_of_pod() {
        need(source, &["reference"], errors);
    }
    source.at("pullPolicy").require_one_of(&["Always", "IfNotPresent", "Never"], errors);
}

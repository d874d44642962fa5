//! Where the data of a persistent volume lies: one source, and what each needs.

use serde_json::Value;

use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::kinds::format;
use crate::api::meta::name;

type Errors = Vec<FieldError>;

/// A member of the spec, the name under which its faults are told, that under which it is refused beside another, and its rules.
type Source = (&'static str, &'static str, &'static str, fn(&Field<'_, '_>, &mut Errors));

/// The faults of the sources in a spec.
pub(super) fn check(spec: &Field<'_, '_>, volume: &str, errors: &mut Errors) {
    let mut found = false;
    for (member, shown, refused, rule) in SOURCES {
        let source = spec.at_as(member, shown);
        if source.is_absent() {
            continue;
        }
        // A flexVolume may stand beside another.
        if found && *member != "flexVolume" {
            errors.push(spec.at_as(member, refused).forbidden("may not specify more than 1 volume type"));
            continue;
        }
        found = true;
        if *member == "iscsi" {
            check_iscsi(&source, volume, errors);
        } else {
            rule(&source, errors);
        }
        if *member == "local" && spec.at("nodeAffinity").is_absent() {
            errors.push(spec.at("nodeAffinity").required("Local volume requires node affinity"));
        }
    }
    if !found {
        errors.push(spec.required("must specify a volume type"));
    }
}

/// The members of a spec that are sources.
pub(super) fn members() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|(member, ..)| *member)
}

/// The faults of a driver's name.
pub(super) fn check_driver(field: &Field<'_, '_>, errors: &mut Errors) {
    let text = field.text();
    if text.is_empty() {
        errors.push(field.required(""));
    }
    if text.len() > DRIVER {
        errors.push(FieldError::too_long(field.to_string(), DRIVER));
    }
    let faults = name::subdomain(&text.to_lowercase());
    errors.extend(faults.iter().map(|fault| FieldError::invalid_text(field.to_string(), text, fault)));
}

fn check_host_path(source: &Field<'_, '_>, errors: &mut Errors) {
    let (path, kind) = (source.at("path"), source.at("type"));
    if path.require(errors).is_empty() {
        return;
    }
    check_steps(&path, errors);
    if !kind.is_absent() {
        format::member_of(&kind, &HOST_PATHS, errors);
    }
}

/// No step of a path leads back.
fn check_steps(path: &Field<'_, '_>, errors: &mut Errors) {
    if path.text().split('/').any(|step| step == "..") {
        errors.push(path.invalid("must not contain '..'"));
    }
}

fn check_disk(source: &Field<'_, '_>, errors: &mut Errors) {
    source.at("pdName").require(errors);
    check_partition(source, errors);
}

fn check_elastic(source: &Field<'_, '_>, errors: &mut Errors) {
    source.at("volumeID").require(errors);
    check_partition(source, errors);
}

fn check_partition(source: &Field<'_, '_>, errors: &mut Errors) {
    let partition = source.at("partition");
    if partition.number().is_some_and(|number| !(0..=255).contains(&number)) {
        errors.push(partition.invalid("must be between 1 and 255, inclusive"));
    }
}

fn check_gluster(source: &Field<'_, '_>, errors: &mut Errors) {
    format::require_all(source, &["endpoints", "path"], errors);
    let namespace = source.at("endpointsNamespace");
    if namespace.value() == "" {
        errors.push(namespace.invalid("if the endpointnamespace is set, it must be a valid namespace name"));
    } else {
        namespace.named(name::label, errors);
    }
}

fn check_flocker(source: &Field<'_, '_>, errors: &mut Errors) {
    let (own, id) = (source.at("datasetName"), source.at("datasetUUID"));
    match (own.text().is_empty(), id.text().is_empty()) {
        (true, true) => errors.push(source.required("one of datasetName and datasetUUID is required")),
        (false, false) => {
            let fault = "datasetName and datasetUUID can not be specified simultaneously";
            errors.push(FieldError::invalid_text(source.to_string(), "resource", fault));
        }
        _ => {}
    }
    if own.text().contains('/') {
        errors.push(own.invalid("must not contain '/'"));
    }
}

fn check_nfs(source: &Field<'_, '_>, errors: &mut Errors) {
    format::require_all(source, &["server", "path"], errors);
    let path = source.at("path");
    if !path.text().starts_with('/') {
        errors.push(path.invalid("must be an absolute path"));
    }
}

fn check_rbd(source: &Field<'_, '_>, errors: &mut Errors) {
    format::require_all(source, &["monitors", "image"], errors);
}

fn check_quobyte(source: &Field<'_, '_>, errors: &mut Errors) {
    let (registry, tenant) = (source.at("registry"), source.at("tenant"));
    let pairs = "must be a host:port pair or multiple pairs separated by commas";
    if registry.text().is_empty() {
        errors.push(registry.required(pairs));
    } else if tenant.text().len() >= 65 {
        errors.push(tenant.required("must be a UUID and may not exceed a length of 64 characters"));
    } else {
        let bad = registry.text().split(',').filter(|pair| !is_host_and_port(pair));
        errors.extend(bad.map(|_| registry.invalid(pairs)));
    }
    source.at("volume").require(errors);
}

/// What Go's `SplitHostPort` takes.
fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host = match host.strip_prefix('[') {
        Some(rest) => match rest.strip_suffix(']') {
            Some(inner) => inner,
            None => return false,
        },
        None if host.contains(':') => return false,
        None => host,
    };
    !host.contains(['[', ']']) && !port.contains(['[', ']'])
}

fn check_ceph(source: &Field<'_, '_>, errors: &mut Errors) {
    source.at("monitors").require(errors);
}

fn check_iscsi(source: &Field<'_, '_>, volume: &str, errors: &mut Errors) {
    let (portal, initiator, secret) = (source.at("targetPortal"), source.at("initiatorName"), source.at("secretRef"));
    portal.require(errors);
    if !initiator.is_absent() && volume.len() + 1 + portal.text().len() > 64 {
        let fault = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is \
                     specified.";
        errors.push(source.at_as("targetPortal", "targetportal").invalid(fault));
    }
    let own = source.at("iqn");
    if !own.require(errors).is_empty() && !is_initiator(own.text()) {
        errors.push(own.invalid("must be valid format"));
    }
    let unit = source.at("lun");
    if unit.number().is_some_and(|number| !(0..=255).contains(&number)) {
        errors.push(unit.invalid("must be between 0 and 255, inclusive"));
    }
    let authenticates = ["chapAuthDiscovery", "chapAuthSession"].iter().any(|member| source.value()[*member] == true);
    if secret.is_absent() {
        errors.extend(authenticates.then(|| secret.required("")));
    } else {
        secret.at("name").require(errors);
    }
    if !initiator.is_absent() && !is_initiator(initiator.text()) {
        errors.push(source.at_as("initiatorName", "initiatorname").invalid("must be valid format"));
    }
}

/// `iqn.2004-10.com.example:x`, `eui.` and 16 or `naa.` and 32 letters and digits.
fn is_initiator(text: &str) -> bool {
    let word = |rest: &str, length: usize| {
        let mut letters = rest.chars();
        letters.next().is_some()
            && letters.as_str().len() == length
            && letters.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    match (text.get(..3), text.get(3..)) {
        (Some("iqn"), _) => text.match_indices("iqn.").any(|(at, head)| is_qualified(&text[at + head.len()..])),
        (Some("eui"), Some(rest)) => word(rest, 16),
        (Some("naa"), Some(rest)) => word(rest, 32),
        _ => false,
    }
}

/// What follows `iqn.`: a month, a name, and after a colon what the authority says.
fn is_qualified(text: &str) -> bool {
    let Some((date, rest)) = text.split_at_checked(8) else { return false };
    let month = date.bytes().enumerate().all(|(at, byte)| match at {
        4 => byte == b'-',
        7 => byte == b'.',
        _ => byte.is_ascii_digit(),
    });
    let Some((own, tail)) = rest.split_once(':') else { return false };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let free = |character: char| !matches!(character, ',' | ';' | '*' | '&' | '$' | '|' | ' ' | '\t'..='\r');
    month && !own.is_empty() && own.bytes().all(plain) && !tail.is_empty() && tail.chars().all(free)
}

fn check_cinder(source: &Field<'_, '_>, errors: &mut Errors) {
    source.at("volumeID").require(errors);
    check_secret(source, errors);
}

/// A secret must be told with its namespace.
fn check_secret(source: &Field<'_, '_>, errors: &mut Errors) {
    let secret = source.at("secretRef");
    if !secret.is_absent() {
        format::require_all(&secret, &["name", "namespace"], errors);
    }
}

fn check_fibre(source: &Field<'_, '_>, errors: &mut Errors) {
    let (names, ids, unit) = (source.at("targetWWNs"), source.at("wwids"), source.at("lun"));
    match (names.len(), ids.len()) {
        (0, 0) => errors.push(names.required("must specify either targetWWNs or wwids, but not both")),
        (1.., 1..) => errors.push(names.invalid("targetWWNs and wwids can not be specified simultaneously")),
        _ => {}
    }
    if names.is_empty() {
        return;
    }
    match unit.number() {
        None => errors.push(unit.required("lun is required if targetWWNs is specified")),
        Some(number) if !(0..=255).contains(&number) => errors.push(unit.invalid("must be between 0 and 255, inclusive")),
        Some(_) => {}
    }
}

fn check_flex(source: &Field<'_, '_>, errors: &mut Errors) {
    source.at("driver").require(errors);
    for (key, option) in source.at("options").entries() {
        let space = format!(".{}", key.split('/').next().unwrap_or(key).to_lowercase());
        if space.ends_with(".kubernetes.io") || space.ends_with(".k8s.io") {
            let fault = "kubernetes.io and k8s.io namespaces are reserved";
            errors.push(FieldError::invalid_text(option.to_string(), key, fault));
        }
    }
}

fn check_azure_file(source: &Field<'_, '_>, errors: &mut Errors) {
    format::require_all(source, &["secretName", "shareName"], errors);
    let namespace = source.at("secretNamespace");
    if namespace.value() == "" {
        errors.push(namespace.required(""));
    }
}

fn check_vsphere(source: &Field<'_, '_>, errors: &mut Errors) {
    source.at("volumePath").require(errors);
}

fn check_photon(source: &Field<'_, '_>, errors: &mut Errors) {
    source.at("pdID").require(errors);
}

fn check_portworx(source: &Field<'_, '_>, errors: &mut Errors) {
    source.at("volumeID").require(errors);
}

fn check_azure_disk(source: &Field<'_, '_>, errors: &mut Errors) {
    format::require_all(source, &["diskName", "diskURI"], errors);
    let (address, caching, kind) = (source.at("diskURI"), source.at("cachingMode"), source.at("kind"));
    if !caching.is_absent() {
        format::member_of(&caching, &["None", "ReadOnly", "ReadWrite"], errors);
    }
    if kind.is_absent() {
        return;
    }
    format::member_of(&kind, &["Dedicated", "Managed", "Shared"], errors);
    let (start, form) = if kind.text() == "Managed" {
        let form = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
        ("/subscriptions/", form)
    } else {
        ("https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd")
    };
    if !address.text().starts_with(start) {
        errors.push(address.unsupported(&[form]));
    }
}

fn check_scale(source: &Field<'_, '_>, errors: &mut Errors) {
    format::require_all(source, &["gateway", "system", "volumeName"], errors);
}

fn check_local(source: &Field<'_, '_>, errors: &mut Errors) {
    let path = source.at("path");
    if !path.require(errors).is_empty() {
        check_steps(&path, errors);
    }
}

fn check_storage_os(source: &Field<'_, '_>, errors: &mut Errors) {
    source.at("volumeName").require_named(name::label, errors);
    source.at("volumeNamespace").named(name::label, errors);
    check_secret(source, errors);
}

fn check_csi(source: &Field<'_, '_>, errors: &mut Errors) {
    check_driver(&source.at("driver"), errors);
    source.at("volumeHandle").require(errors);
    for member in ["controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"] {
        let secret = source.at(member);
        if !secret.is_absent() {
            secret.at("name").require_named(name::subdomain, errors);
            secret.at("namespace").require_named(name::label, errors);
        }
    }
}

/// Whether a path is the root, once its steps are followed.
pub(super) fn is_root(path: &Value) -> bool {
    let text = path.as_str().unwrap_or("");
    let depth = text.split('/').filter(|step| !matches!(*step, "" | ".")).fold(0_usize, |depth, step| match step {
        ".." => depth.saturating_sub(1),
        _ => depth + 1,
    });
    text.starts_with('/') && depth == 0
}

/// In the order in which kube-apiserver looks at them. `iscsi` is checked with the volume's name.
const SOURCES: &[Source] = &[
    ("hostPath", "hostPath", "hostPath", check_host_path),
    ("gcePersistentDisk", "persistentDisk", "gcePersistentDisk", check_disk),
    ("awsElasticBlockStore", "awsElasticBlockStore", "awsElasticBlockStore", check_elastic),
    ("glusterfs", "glusterfs", "glusterfs", check_gluster),
    ("flocker", "flocker", "flocker", check_flocker),
    ("nfs", "nfs", "nfs", check_nfs),
    ("rbd", "rbd", "rbd", check_rbd),
    ("quobyte", "quobyte", "quobyte", check_quobyte),
    ("cephfs", "cephfs", "cephFS", check_ceph),
    ("iscsi", "iscsi", "iscsi", |_, _| {}),
    ("cinder", "cinder", "cinder", check_cinder),
    ("fc", "fc", "fc", check_fibre),
    ("flexVolume", "flexVolume", "flexVolume", check_flex),
    ("azureFile", "azureFile", "azureFile", check_azure_file),
    ("vsphereVolume", "vsphereVolume", "vsphereVolume", check_vsphere),
    ("photonPersistentDisk", "photonPersistentDisk", "photonPersistentDisk", check_photon),
    ("portworxVolume", "portworxVolume", "portworxVolume", check_portworx),
    ("azureDisk", "azureDisk", "azureDisk", check_azure_disk),
    ("scaleIO", "scaleIO", "scaleIO", check_scale),
    ("local", "local", "local", check_local),
    ("storageos", "storageos", "storageos", check_storage_os),
    ("csi", "csi", "csi", check_csi),
];

const HOST_PATHS: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
const DRIVER: usize = 63;

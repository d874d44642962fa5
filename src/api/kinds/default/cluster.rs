//! Defaults of the groups with few of them: networking, storage, discovery, scheduling, devices, extensions.

use serde_json::{Value, json};

use super::member::{Members, each, is_zero, make, object, put, put_zero, text};
use super::{resource, volume};

/// A kind of these groups.
pub(super) fn fill(kind: &str, object: &mut Members) {
    match kind {
        "EndpointSlice" => each(object, "ports", |port| {
            put(port, "name", "");
            put(port, "protocol", "TCP");
        }),
        "NetworkPolicy" => fill_network_policy(object),
        "IngressClass" => fill_ingress_class(object),
        "StorageClass" => {
            put(object, "reclaimPolicy", "Delete");
            put(object, "volumeBindingMode", "Immediate");
        }
        "CSIDriver" => fill_driver(object),
        "VolumeAttachment" => fill_attachment(object),
        "PriorityClass" => put(object, "preemptionPolicy", "PreemptLowerPriority"),
        "RuntimeClass" => fill_runtime(object),
        "ResourceClaim" => fill_claim(object),
        "ResourceClaimTemplate" => fill_claim_template(object),
        "ResourceSlice" => fill_slice(object),
        "APIService" => fill_port(object, &["spec", "service"]),
        "CustomResourceDefinition" => fill_definition(object),
        "TokenRequest" => fill_token(object),
        _ => {}
    }
}

fn fill_network_policy(policy: &mut Members) {
    let Some(spec) = make(policy, "spec") else { return };
    let types = if is_zero(spec, "egress") { json!(["Ingress"]) } else { json!(["Ingress", "Egress"]) };
    put_zero(spec, "policyTypes", types);
    for rules in ["ingress", "egress"] {
        each(spec, rules, |rule| each(rule, "ports", |port| put(port, "protocol", "TCP")));
    }
}

fn fill_ingress_class(class: &mut Members) {
    if let Some(parameters) = object(class, "spec").and_then(|spec| object(spec, "parameters")) {
        put(parameters, "scope", "Cluster");
    }
}

fn fill_driver(driver: &mut Members) {
    let Some(spec) = make(driver, "spec") else { return };
    put(spec, "attachRequired", true);
    put(spec, "podInfoOnMount", false);
    put(spec, "storageCapacity", false);
    put(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    put_zero(spec, "volumeLifecycleModes", json!(["Persistent"]));
    put(spec, "requiresRepublish", false);
    put(spec, "seLinuxMount", false);
}

fn fill_attachment(attachment: &mut Members) {
    let source = object(attachment, "spec").and_then(|spec| object(spec, "source"));
    if let Some(inline) = source.and_then(|source| object(source, "inlineVolumeSpec")) {
        resource::round(inline, "capacity");
        volume::fill_source(inline);
    }
}

fn fill_runtime(class: &mut Members) {
    if let Some(overhead) = object(class, "overhead") {
        resource::round(overhead, "podFixed");
    }
}

fn fill_claim(claim: &mut Members) {
    if let Some(spec) = object(claim, "spec") {
        fill_claim_spec(spec);
    }
    let allocation = object(claim, "status").and_then(|status| object(status, "allocation"));
    if let Some(devices) = allocation.and_then(|allocation| object(allocation, "devices")) {
        each(devices, "results", fill_tolerations);
    }
}

fn fill_claim_template(template: &mut Members) {
    if let Some(spec) = object(template, "spec").and_then(|template| object(template, "spec")) {
        fill_claim_spec(spec);
    }
}

fn fill_claim_spec(spec: &mut Members) {
    let Some(devices) = object(spec, "devices") else { return };
    each(devices, "requests", |request| {
        object(request, "exactly").into_iter().for_each(fill_request);
        each(request, "firstAvailable", fill_request);
    });
}

fn fill_request(request: &mut Members) {
    put_zero(request, "allocationMode", "ExactCount");
    if text(request, "allocationMode") == "ExactCount" {
        put_zero(request, "count", 1);
    }
    fill_tolerations(request);
}

fn fill_tolerations(request: &mut Members) {
    each(request, "tolerations", |toleration| put_zero(toleration, "operator", "Equal"));
}

/// A taint without a time is of now.
fn fill_slice(slice: &mut Members) {
    let Some(spec) = object(slice, "spec") else { return };
    each(spec, "devices", |device| {
        each(device, "taints", |taint| {
            let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second());
            put(taint, "timeAdded", now.map(|now| now.to_string()).unwrap_or_default());
        });
    });
}

fn fill_definition(definition: &mut Members) {
    let Some(spec) = make(definition, "spec") else { return };
    if let Some(names) = make(spec, "names") {
        let kind = text(names, "kind").to_owned();
        put_zero(names, "singular", kind.to_lowercase());
        if !kind.is_empty() {
            put_zero(names, "listKind", format!("{kind}List"));
        }
    }
    put(spec, "conversion", json!({"strategy": "None"}));
    fill_port(spec, &["conversion", "webhook", "clientConfig", "service"]);
    let versions = spec.get("versions").and_then(Value::as_array);
    let stored = versions.into_iter().flatten().find(|version| version["storage"] == true);
    let stored = stored.map(|version| version.get("name").cloned().unwrap_or_else(|| "".into()));
    if let (Some(stored), Some(status)) = (stored, make(definition, "status")) {
        put_zero(status, "storedVersions", json!([stored]));
    }
}

/// The port of a reference to a service.
fn fill_port(members: &mut Members, path: &[&str]) {
    if let Some(service) = path.iter().try_fold(members, |members, name| object(members, name)) {
        put(service, "port", 443);
    }
}

fn fill_token(request: &mut Members) {
    if let Some(spec) = make(request, "spec") {
        put(spec, "expirationSeconds", 3600);
    }
}

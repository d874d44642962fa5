//! Defaults of the core group.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::member::{Members, each, is_absent, is_zero, make, object, put, put_zero, text};
use super::{pod, resource, volume, workload};

/// A kind of the core group.
pub(super) fn fill(kind: &str, object: &mut Members) {
    match kind {
        "Pod" => pod::fill(object),
        "PodTemplate" => pod::fill_template(object, "template"),
        "ReplicationController" => fill_controller(object),
        "Service" => fill_service(object),
        "Endpoints" => each(object, "subsets", |subset| each(subset, "ports", |port| put_zero(port, "protocol", "TCP"))),
        "Namespace" => fill_namespace(object),
        "Node" => fill_node(object),
        "Secret" => fill_secret(object),
        "PersistentVolume" => fill_volume(object),
        "PersistentVolumeClaim" => volume::fill_claim(object),
        "LimitRange" => fill_limits(object),
        "ResourceQuota" => fill_quota(object),
        _ => {}
    }
}

fn fill_controller(controller: &mut Members) {
    let Some(spec) = make(controller, "spec") else { return };
    put(spec, "replicas", 1);
    let mut labels = None;
    if object(spec, "template").is_some() {
        pod::fill_template(spec, "template");
        labels = object(spec, "template").and_then(workload::template_labels);
    }
    if let Some(labels) = &labels {
        put_zero(spec, "selector", labels.clone());
    }
    workload::label_like(controller, labels);
}

fn fill_service(service: &mut Members) {
    let Some(spec) = make(service, "spec") else { return };
    fill_affinity(spec);
    put_zero(spec, "type", "ClusterIP");
    each(spec, "ports", fill_service_port);
    let kind = text(spec, "type").to_owned();
    let exposed = match kind.as_str() {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !is_zero(spec, "externalIPs"),
        _ => false,
    };
    if exposed {
        put_zero(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        put(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        put(spec, "allocateLoadBalancerNodePorts", true);
        let balancer = object(service, "status").and_then(|status| object(status, "loadBalancer"));
        if let Some(balancer) = balancer {
            each(balancer, "ingress", |ingress| {
                if !is_zero(ingress, "ip") {
                    put(ingress, "ipMode", "VIP");
                }
            });
        }
    }
}

fn fill_affinity(spec: &mut Members) {
    put_zero(spec, "sessionAffinity", "None");
    match text(spec, "sessionAffinity") {
        "None" => drop(spec.remove("sessionAffinityConfig")),
        "ClientIP" => {
            let client = object(spec, "sessionAffinityConfig").and_then(|config| object(config, "clientIP"));
            if client.is_none_or(|client| is_absent(client, "timeoutSeconds")) {
                spec.insert("sessionAffinityConfig".to_owned(), json!({"clientIP": {"timeoutSeconds": 10800}}));
            }
        }
        _ => {}
    }
}

fn fill_service_port(port: &mut Members) {
    put_zero(port, "protocol", "TCP");
    if let Some(number) = port.get("port").cloned() {
        put_zero(port, "targetPort", number);
    }
}

fn fill_namespace(namespace: &mut Members) {
    if let Some(metadata) = make(namespace, "metadata") {
        let name = text(metadata, "name").to_owned();
        if let Some(labels) = make(metadata, "labels").filter(|_| !name.is_empty()) {
            labels.insert("kubernetes.io/metadata.name".to_owned(), name.into());
        }
    }
    if let Some(status) = make(namespace, "status") {
        put_zero(status, "phase", "Active");
    }
}

fn fill_node(node: &mut Members) {
    if let Some(spec) = object(node, "spec") {
        pod::First { single: "podCIDR", list: "podCIDRs", member: "" }.agree(spec);
    }
    if let Some(status) = object(node, "status") {
        resource::copy_list(status, "capacity", "allocatable");
        resource::round(status, "capacity");
        resource::round(status, "allocatable");
    }
}

/// `stringData` is written into `data` and never kept.
fn fill_secret(secret: &mut Members) {
    put_zero(secret, "type", "Opaque");
    let Some(Value::Object(texts)) = secret.remove("stringData") else { return };
    if texts.is_empty() {
        return;
    }
    let Some(data) = make(secret, "data") else { return };
    for (name, text) in texts {
        if let Value::String(text) = text {
            data.insert(name, STANDARD.encode(text).into());
        }
    }
}

fn fill_volume(persistent: &mut Members) {
    if let Some(spec) = make(persistent, "spec") {
        put_zero(spec, "persistentVolumeReclaimPolicy", "Retain");
        put(spec, "volumeMode", "Filesystem");
        resource::round(spec, "capacity");
        volume::fill_source(spec);
    }
    if let Some(status) = make(persistent, "status") {
        put_zero(status, "phase", "Pending");
    }
}

fn fill_limits(range: &mut Members) {
    let Some(spec) = object(range, "spec") else { return };
    each(spec, "limits", |item| {
        if text(item, "type") == "Container" {
            fill_missing(item, ("max", "default"));
            fill_missing(item, ("default", "defaultRequest"));
            fill_missing(item, ("min", "defaultRequest"));
        }
        for list in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
            resource::round(item, list);
        }
    });
}

/// What one list says and the other does not, the other says too.
fn fill_missing(item: &mut Members, (from, to): (&str, &str)) {
    let known = object(item, from).cloned().unwrap_or_default();
    let Some(list) = make(item, to) else { return };
    for (name, value) in known {
        put(list, &name, value);
    }
}

fn fill_quota(quota: &mut Members) {
    if let Some(spec) = object(quota, "spec") {
        resource::round(spec, "hard");
    }
    if let Some(status) = object(quota, "status") {
        resource::round(status, "hard");
        resource::round(status, "used");
    }
}

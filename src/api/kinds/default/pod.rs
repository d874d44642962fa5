//! Defaults of pods and of all that has a template of one.

use serde_json::{Value, json};

use super::member::{Members, each, is_absent, is_zero, make, object, put, put_zero, text};
use super::{image, resource, volume};

/// A Pod.
pub(super) fn fill(pod: &mut Members) {
    if let Some(spec) = make(pod, "spec") {
        fill_only_pods(spec);
        fill_spec(spec);
    }
    if let Some(status) = object(pod, "status") {
        resource::round_status(status);
        lists_begin_with(status, "podIP", ("podIPs", |ip| json!({ "ip": ip }), |first| text_of(first.get("ip"))));
    }
}

/// A PodTemplateSpec in a value field.
pub(super) fn fill_template(owner: &mut Members, name: &str) {
    if let Some(spec) = make(owner, name).and_then(|template| make(template, "spec")) {
        fill_spec(spec);
    }
}

/// A single value and a list of which it is the first: a differing single one wins, as old clients know nothing else.
pub(super) fn lists_begin_with(
    members: &mut Members,
    single: &str,
    (list, wrap, unwrap): (&str, fn(&str) -> Value, fn(&Value) -> String),
) {
    let first = members.get(list).and_then(Value::as_array).and_then(|items| items.first()).map(unwrap);
    let value = text(members, single).to_owned();
    match first {
        Some(first) if value.is_empty() => drop(members.insert(single.to_owned(), first.into())),
        Some(first) if first == value => {}
        _ if value.is_empty() => {}
        _ => drop(members.insert(list.to_owned(), Value::Array(vec![wrap(&value)]))),
    }
}

/// What templates do not get.
fn fill_only_pods(spec: &mut Members) {
    each(spec, "containers", resource::request_limits);
    each(spec, "initContainers", resource::request_limits);
    resource::fill_pod(spec);
    put(spec, "enableServiceLinks", true);
    if !is_zero(spec, "hostNetwork") {
        each(spec, "containers", fill_host_ports);
        each(spec, "initContainers", fill_host_ports);
    }
}

fn fill_host_ports(container: &mut Members) {
    each(container, "ports", |port| {
        if let Some(number) = port.get("containerPort").cloned() {
            put_zero(port, "hostPort", number);
        }
    });
}

fn fill_spec(spec: &mut Members) {
    put_zero(spec, "dnsPolicy", "ClusterFirst");
    put_zero(spec, "restartPolicy", "Always");
    put(spec, "securityContext", json!({}));
    put(spec, "terminationGracePeriodSeconds", 30);
    put_zero(spec, "schedulerName", "default-scheduler");
    mirror_service_account(spec);
    each(spec, "volumes", volume::fill);
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        each(spec, list, fill_container);
    }
    resource::round(spec, "overhead");
    resource::round_requirements(spec, "resources");
}

/// `serviceAccount` is the old name of `serviceAccountName`, and always shown.
pub(super) fn mirror_service_account(spec: &mut Members) {
    let (old, new) = (text(spec, "serviceAccount").to_owned(), text(spec, "serviceAccountName").to_owned());
    let name = if new.is_empty() { old } else { new };
    if !name.is_empty() {
        spec.insert("serviceAccount".to_owned(), name.clone().into());
        spec.insert("serviceAccountName".to_owned(), name.into());
    }
}

fn fill_container(container: &mut Members) {
    let policy = image::pull_policy(text(container, "image"));
    put_zero(container, "imagePullPolicy", policy);
    put_zero(container, "terminationMessagePath", "/dev/termination-log");
    put_zero(container, "terminationMessagePolicy", "File");
    each(container, "ports", |port| put_zero(port, "protocol", "TCP"));
    each(container, "env", |variable| {
        if let Some(from) = object(variable, "valueFrom") {
            volume::fill_field(from);
        }
    });
    resource::round_requirements(container, "resources");
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = object(container, probe) {
            fill_probe(probe);
        }
    }
    if let Some(lifecycle) = object(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            object(lifecycle, hook).into_iter().for_each(fill_action);
        }
    }
}

fn fill_probe(probe: &mut Members) {
    put_zero(probe, "timeoutSeconds", 1);
    put_zero(probe, "periodSeconds", 10);
    put_zero(probe, "successThreshold", 1);
    put_zero(probe, "failureThreshold", 3);
    if let Some(grpc) = object(probe, "grpc").filter(|grpc| is_absent(grpc, "service")) {
        put(grpc, "service", "");
    }
    fill_action(probe);
}

fn fill_action(handler: &mut Members) {
    if let Some(get) = object(handler, "httpGet") {
        put_zero(get, "path", "/");
        put_zero(get, "scheme", "HTTP");
    }
}

fn text_of(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

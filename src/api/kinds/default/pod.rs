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
        First { single: "podIP", list: "podIPs", member: "ip" }.agree(status);
    }
}

/// A PodTemplateSpec in a value field.
pub(super) fn fill_template(owner: &mut Members, name: &str) {
    if let Some(spec) = make(owner, name).and_then(|template| make(template, "spec")) {
        fill_spec(spec);
    }
}

/// A single value and a list that begins with it.
pub(super) struct First {
    /// `podIP`
    pub(super) single: &'static str,
    /// `podIPs`
    pub(super) list: &'static str,
    /// The member of the list's items that is the value; empty where the items are the values.
    pub(super) member: &'static str,
}

impl First {
    /// Where they differ the single value wins, as old clients know nothing else.
    pub(super) fn agree(&self, members: &mut Members) {
        let first = members.get(self.list).and_then(Value::as_array).and_then(|items| items.first());
        let first = first.map(|first| if self.member.is_empty() { Some(first) } else { first.get(self.member) });
        let first = first.map(|first| first.and_then(Value::as_str).unwrap_or_default().to_owned());
        let single = text(members, self.single).to_owned();
        match first {
            Some(first) if single.is_empty() => drop(members.insert(self.single.to_owned(), first.into())),
            Some(first) if first == single => {}
            _ if single.is_empty() => {}
            _ => {
                let item = if self.member.is_empty() { json!(single) } else { json!({ self.member: single }) };
                members.insert(self.list.to_owned(), json!([item]));
            }
        }
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

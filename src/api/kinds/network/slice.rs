//! EndpointSlices.

use std::collections::HashSet;

use serde_json::Value;

use crate::api::error::FieldError;
use crate::api::kinds::address::{self, Known};
use crate::api::kinds::field::Field;
use crate::api::kinds::format;
use crate::api::meta::name;

type Errors = Vec<FieldError>;

/// The faults of a slice; addresses that `old` has may stay as they are.
pub(in crate::api::kinds) fn check(new: &Value, old: Option<&Value>, errors: &mut Errors) {
    let root = Field::new(new, "");
    let kind = root.at("addressType");
    kind.require_one_of(&["FQDN", "IPv4", "IPv6"], errors);
    let endpoints = root.at("endpoints");
    endpoints.at_most(ENDPOINTS, errors);
    if endpoints.len() <= ENDPOINTS {
        let known = old.map(addresses).unwrap_or_default();
        endpoints.items().for_each(|endpoint| check_endpoint(&endpoint, (kind.text(), &known), errors));
    }
    check_ports(&root.at("ports"), errors);
}

/// Old topology labels are not taken any more; those of endpoints that do not change stay.
pub(in crate::api::kinds) fn drop_topology(new: &mut Value, old: Option<&Value>) {
    if old.is_some_and(|old| old["endpoints"] == new["endpoints"]) {
        return;
    }
    let endpoints = new.get_mut("endpoints").and_then(Value::as_array_mut).into_iter().flatten();
    for endpoint in endpoints.filter_map(Value::as_object_mut) {
        endpoint.remove("deprecatedTopology");
    }
}

/// What a client should know of a slice that is taken.
pub(in crate::api::kinds) fn warn(new: &Value, warnings: &mut Vec<String>) {
    if new["addressType"] == "FQDN" {
        warnings.push("spec.addressType: FQDN endpoints are deprecated".to_owned());
        return;
    }
    let manager = new["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"].as_str().unwrap_or("");
    if ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"].contains(&manager) {
        return;
    }
    let root = Field::new(new, "");
    for endpoint in root.at("endpoints").items() {
        endpoint.at("addresses").items().for_each(|own| address::warn(&own, warnings));
    }
}

fn check_endpoint(endpoint: &Field<'_, '_>, (kind, known): (&str, &Known<'_>), errors: &mut Errors) {
    let list = endpoint.at("addresses");
    if list.is_empty() {
        errors.push(list.required("must contain at least 1 address"));
    }
    list.at_most(ADDRESSES, errors);
    for own in list.items() {
        match kind {
            "IPv4" | "IPv6" => check_address(&own, (kind, known), errors),
            "FQDN" => check_host(&own, errors),
            _ => {}
        }
    }
    let (node, host) = (endpoint.at("nodeName"), endpoint.at("hostname"));
    if !node.is_absent() {
        node.formed(name::subdomain, errors);
    }
    let topology = endpoint.at("deprecatedTopology");
    topology.at_most(LABELS, errors);
    topology.labels(errors);
    if !host.is_absent() {
        host.formed(name::label, errors);
    }
    let hints = endpoint.at("hints");
    let zones = hints.at("forZones");
    check_hints(&zones, name::label_value, errors);
    if zones.len() <= HINTS {
        check_hints(&hints.at("forNodes"), name::subdomain, errors);
    }
}

fn check_address(own: &Field<'_, '_>, (kind, known): (&str, &Known<'_>), errors: &mut Errors) {
    let before = errors.len();
    address::legacy(own, known, errors);
    if errors.len() > before {
        return;
    }
    if address::is_six(own.text()) != (kind == "IPv6") {
        errors.push(own.invalid(&format!("must be an {kind} address")));
    }
    address::endpoint(own, errors);
}

/// A name of two labels at least; the last may end with a dot.
fn check_host(own: &Field<'_, '_>, errors: &mut Errors) {
    let text = own.text();
    if text.is_empty() {
        errors.push(own.required(""));
        return;
    }
    let plain = text.strip_suffix('.').unwrap_or(text);
    let faults = name::subdomain(plain);
    let mut refuse = |part: &str, fault: &str| errors.push(FieldError::invalid_text(own.to_string(), part, fault));
    if !faults.is_empty() {
        refuse(plain, &faults.join(","));
    } else if !plain.contains('.') {
        refuse(plain, "should be a domain with at least two segments separated by dots");
    } else if let Some((part, faults)) =
        plain.split('.').map(|part| (part, name::label(part))).find(|(_, faults)| !faults.is_empty())
    {
        refuse(part, &faults.join(","));
    }
}

fn check_hints(list: &Field<'_, '_>, rule: fn(&str) -> Vec<String>, errors: &mut Errors) {
    list.at_most(HINTS, errors);
    if list.len() > HINTS {
        return;
    }
    let mut seen = HashSet::new();
    for hint in list.items() {
        let own = hint.at("name");
        if !seen.insert(own.text()) {
            errors.push(FieldError::duplicate(own.to_string(), &Value::from(own.text())));
        }
        own.formed(rule, errors);
    }
}

fn check_ports(ports: &Field<'_, '_>, errors: &mut Errors) {
    ports.at_most(PORTS, errors);
    if ports.len() > PORTS {
        return;
    }
    let mut names = HashSet::new();
    for port in ports.items() {
        let (own, protocol) = (port.at("name"), port.at("appProtocol"));
        own.named(name::label, errors);
        if !names.insert(own.text()) {
            errors.push(FieldError::duplicate(own.to_string(), &Value::from(own.text())));
        }
        let transport = port.at("protocol");
        if transport.is_absent() {
            errors.push(transport.required(""));
        } else {
            format::member_of(&transport, &["SCTP", "TCP", "UDP"], errors);
        }
        if !protocol.is_absent() {
            protocol.formed(name::qualified, errors);
        }
    }
}

fn addresses(old: &Value) -> Known<'_> {
    let endpoints = old["endpoints"].as_array().into_iter().flatten();
    endpoints.flat_map(|endpoint| format::texts(&endpoint["addresses"])).collect()
}

const ENDPOINTS: usize = 1000;
const ADDRESSES: usize = 100;
const PORTS: usize = 20_000;
const LABELS: usize = 16;
const HINTS: usize = 8;

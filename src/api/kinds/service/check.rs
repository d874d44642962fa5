//! What is refused of a service by itself.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{is_exposed, needs_health_check};
use crate::api::error::FieldError;
use crate::api::kinds::address::{self, Known};
use crate::api::kinds::field::Field;
use crate::api::kinds::{format, internal};
use crate::api::meta::name;

type Errors = Vec<FieldError>;

/// The faults of a service; addresses that `old` has may stay as they are.
pub(in crate::api::kinds) fn check(new: &Value, old: Option<&Value>, errors: &mut Errors) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    check_annotations(&root, errors);
    check_type(&spec, errors);
    check_ports(&spec, errors);
    spec.at("selector").labels(errors);
    check_affinity(&spec, errors);
    if kind(&spec) != "ExternalName" {
        addresses(&spec, &former(old, "clusterIPs"), errors);
    }
    let known = former(old, "externalIPs");
    for own in spec.at("externalIPs").items() {
        let before = errors.len();
        address::legacy(&own, &known, errors);
        if errors.len() == before {
            address::endpoint(&own, errors);
        }
    }
    spec.at("type").require_one_of(&["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], errors);
    check_numbers(&spec, errors);
    check_ranges(&root, &former(old, "loadBalancerSourceRanges"), errors);
    check_balancer(&spec, errors);
    check_traffic(&spec, errors);
}

/// The faults of the state that a load balancer reports.
pub(in crate::api::kinds) fn check_status(new: &Value, old: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    let (status, spec) = (root.at("status"), root.at("spec"));
    let balancer = status.at("loadBalancer");
    let list = balancer.at("ingress");
    if kind(&spec) != "LoadBalancer" && !list.is_empty() {
        errors.push(list.forbidden("may only be used when `spec.type` is 'LoadBalancer'"));
        return;
    }
    let known = ingress_addresses(old);
    for item in list.items() {
        let (ip, mode) = (item.at("ip"), item.at("ipMode"));
        if !ip.is_empty() {
            address::legacy(&ip, &known, errors);
        }
        match (ip.is_empty(), mode.is_absent()) {
            (false, true) => errors.push(mode.required("must be specified when `ip` is set")),
            (true, false) => errors.push(mode.forbidden("may not be specified when `ip` is not set")),
            (false, false) => format::member_of(&mode, &["Proxy", "VIP"], errors),
            (true, true) => {}
        }
        check_host(&item.at("hostname"), errors);
    }
}

/// The addresses that a load balancer has reported.
pub(in crate::api::kinds) fn ingress_addresses(old: &Value) -> Known<'_> {
    let list = old["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
    list.filter_map(|item| item["ip"].as_str()).collect()
}

/// A load balancer's host: a name and no address.
pub(in crate::api::kinds) fn check_host(host: &Field<'_, '_>, errors: &mut Errors) {
    if host.text().is_empty() {
        return;
    }
    host.formed(name::subdomain, errors);
    if address::is_address(host.text()) {
        errors.push(host.invalid("must be a DNS name, not an IP address"));
    }
}

/// The faults of addresses, families and their policy among each other.
pub(super) fn addresses(spec: &Field<'_, '_>, known: &Known<'_>, errors: &mut Errors) {
    let (single, all) = (spec.at("clusterIP"), spec.at("clusterIPs"));
    let list = format::texts(all.value());
    match (single.text(), list.first()) {
        ("", Some(_)) => errors.push(all.invalid("must be empty when `clusterIP` is not specified")),
        ("", None) => {}
        (_, None) => errors.push(all.required("")),
        (own, Some(first)) if *first != own => errors.push(all.invalid("first value must match `clusterIP`")),
        _ => {}
    }
    check_families(spec, errors);
    let before = errors.len();
    for (at, own) in all.items().enumerate() {
        if at == 0 && own.text() == "None" {
            if list.len() > 1 {
                errors.push(all.invalid("'None' must be the first and only value"));
            }
        } else {
            address::legacy(&own, known, errors);
        }
    }
    let sound = errors.len() == before;
    if list.len() > 2 {
        errors.push(all.invalid("may only hold up to 2 values"));
    }
    if !sound {
        return;
    }
    if list.len() > 1 && list.iter().all(|own| address::is_six(own) == address::is_six(list[0])) {
        errors.push(all.invalid("may specify no more than one IP for each IP family"));
    }
    if list == ["None"] {
        return;
    }
    for (at, (own, family)) in all.items().zip(spec.at("ipFamilies").items()).enumerate() {
        let wanted = family.text();
        if matches!(wanted, "IPv4" | "IPv6") && (wanted == "IPv6") != address::is_six(own.text()) {
            errors.push(own.invalid(&format!("expected an {wanted} value as indicated by `ipFamilies[{at}]`")));
        }
    }
}

fn check_families(spec: &Field<'_, '_>, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for own in spec.at("ipFamilies").items() {
        format::member_of(&own, &["IPv4", "IPv6"], errors);
        if !seen.insert(own.text()) {
            errors.push(own.duplicate());
        }
    }
    let policy = spec.at("ipFamilyPolicy");
    if !policy.is_absent() {
        format::member_of(&policy, &["PreferDualStack", "RequireDualStack", "SingleStack"], errors);
    }
}

fn check_annotations(root: &Field<'_, '_>, errors: &mut Errors) {
    let metadata = root.at("metadata");
    let annotations = metadata.at("annotations");
    let (mode, hints) = (annotations.key(MODE), annotations.key(HINTS));
    if !mode.is_absent() && !hints.is_absent() && mode.text() != hints.text() {
        errors.push(mode.invalid(&format!("must match annotations[{HINTS}] when both are specified")));
    }
}

fn check_type(spec: &Field<'_, '_>, errors: &mut Errors) {
    let ports = spec.at("ports");
    let headless = is_headless(spec);
    if ports.is_empty() && !headless && kind(spec) != "ExternalName" {
        errors.push(ports.required(""));
    }
    match kind(spec) {
        "LoadBalancer" | "NodePort" if headless => {
            let fault = format!("may not be set to 'None' for {} services", kind(spec));
            errors.extend(spec.at("clusterIPs").items().map(|own| own.invalid(&fault)));
        }
        "ExternalName" => check_external(spec, errors),
        _ => {}
    }
}

fn check_external(spec: &Field<'_, '_>, errors: &mut Errors) {
    for member in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        let own = spec.at(member);
        if !own.is_empty() || own.value().is_string() {
            errors.push(own.forbidden("may not be set for ExternalName services"));
        }
    }
    let host = spec.at("externalName");
    let plain = host.text().strip_suffix('.').unwrap_or(host.text());
    if plain.is_empty() {
        errors.push(host.required(""));
    } else {
        let faults = name::subdomain(plain);
        errors.extend(faults.iter().map(|fault| FieldError::invalid_text(host.to_string(), plain, fault)));
    }
}

fn check_ports(spec: &Field<'_, '_>, errors: &mut Errors) {
    let ports = spec.at("ports");
    let mut names = HashSet::new();
    for port in ports.items() {
        let own = port.at("name");
        if !own.text().is_empty() {
            own.formed(name::label, errors);
            if !names.insert(own.text()) {
                errors.push(own.duplicate());
            }
        } else if ports.len() > 1 {
            errors.push(own.required(""));
        }
        port.at("port").port(errors);
        port.at("protocol").require_one_of(&["SCTP", "TCP", "UDP"], errors);
        port.at("targetPort").port_or_name(errors);
        let protocol = port.at("appProtocol");
        if !protocol.is_absent() {
            protocol.formed(name::qualified, errors);
        }
    }
}

/// Node ports where there can be none, and numbers that stand twice.
fn check_numbers(spec: &Field<'_, '_>, errors: &mut Errors) {
    let ports = spec.at("ports");
    let has_number = |port: &Field<'_, '_>| port.value()["nodePort"].as_i64().is_some_and(|number| number != 0);
    if kind(spec) == "ClusterIP" {
        for port in ports.items().filter(has_number) {
            errors.push(port.at("nodePort").forbidden("may not be used when `type` is 'ClusterIP'"));
        }
    }
    let mut taken = HashSet::new();
    for port in ports.items().filter(has_number) {
        let number = port.at("nodePort");
        if !taken.insert((port.at("protocol").text(), number.number())) {
            errors.push(number.duplicate());
        }
    }
    let mut taken = HashSet::new();
    for port in ports.items() {
        let (protocol, number) = (port.at("protocol"), port.at("port"));
        if !taken.insert((protocol.text(), number.number())) {
            let key = json!({"protocol": protocol.value(), "port": number.value()});
            errors.push(FieldError::duplicate_of(port.to_string(), &internal::print("ServicePort", &key)));
        }
    }
}

fn check_affinity(spec: &Field<'_, '_>, errors: &mut Errors) {
    let (affinity, config) = (spec.at("sessionAffinity"), spec.at("sessionAffinityConfig"));
    affinity.require_one_of(&["ClientIP", "None"], errors);
    if affinity.text() == "None" && !config.is_absent() {
        errors.push(config.forbidden("must not be set when session affinity is None"));
    }
    if affinity.text() != "ClientIP" {
        return;
    }
    let client = config.at("clientIP");
    let seconds = client.at("timeoutSeconds");
    if let Some(missing) = [&config, &client, &seconds].into_iter().find(|field| field.is_absent()) {
        errors.push(missing.required("when session affinity type is ClientIP"));
    } else if !seconds.number().is_some_and(|seconds| (1..=86_400).contains(&seconds)) {
        errors.push(seconds.invalid("must be greater than 0 and less than 86400"));
    }
}

fn check_ranges(root: &Field<'_, '_>, known: &Known<'_>, errors: &mut Errors) {
    let (spec, metadata) = (root.at("spec"), root.at("metadata"));
    let (annotations, ranges) = (metadata.at("annotations"), spec.at_as("loadBalancerSourceRanges", "LoadBalancerSourceRanges"));
    let annotation = annotations.key(RANGES);
    let field = if !ranges.is_empty() { &ranges } else { &annotation };
    if field.is_absent() {
        return;
    }
    if kind(&spec) != "LoadBalancer" {
        errors.push(field.forbidden(ONLY_BALANCERS));
    }
    for range in ranges.items() {
        address::legacy_network(&range, range.text().trim(), known, errors);
    }
    let listed = annotation.text().trim();
    if ranges.is_empty() && !listed.is_empty() {
        for range in listed.split(',') {
            address::legacy_network(&annotation, range.trim(), known, errors);
        }
    }
}

fn check_balancer(spec: &Field<'_, '_>, errors: &mut Errors) {
    let own_ports = spec.at("allocateLoadBalancerNodePorts");
    match (kind(spec) == "LoadBalancer", own_ports.is_absent()) {
        (false, false) => errors.push(own_ports.forbidden(ONLY_BALANCERS)),
        (true, true) => errors.push(FieldError::required("allocateLoadBalancerNodePorts", "")),
        _ => {}
    }
    check_class(spec, errors);
}

/// The class of a load balancer.
pub(super) fn check_class(spec: &Field<'_, '_>, errors: &mut Errors) {
    let class = spec.at("loadBalancerClass");
    match (kind(spec) == "LoadBalancer", class.is_absent()) {
        (true, false) => class.formed(name::qualified, errors),
        (false, false) => errors.push(class.forbidden(ONLY_BALANCERS)),
        _ => {}
    }
}

fn check_traffic(spec: &Field<'_, '_>, errors: &mut Errors) {
    let policy = spec.at("externalTrafficPolicy");
    if is_exposed(spec.value()) {
        policy.require_one_of(&["Cluster", "Local"], errors);
    } else if !policy.text().is_empty() {
        errors.push(policy.invalid("may only be set for externally-accessible services"));
    }
    let check = spec.at("healthCheckNodePort");
    match (needs_health_check(spec.value()), check.number().unwrap_or(0)) {
        (false, 0) => {}
        (false, _) => {
            let fault = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.push(check.invalid(fault));
        }
        (true, 0) => errors.push(check.required("")),
        (true, _) => check.port(errors),
    }
    let policy = spec.at("internalTrafficPolicy");
    if !policy.is_absent() {
        format::member_of(&policy, &["Cluster", "Local"], errors);
    } else if matches!(kind(spec), "NodePort" | "LoadBalancer" | "ClusterIP") {
        errors.push(policy.required(""));
    }
    let distribution = spec.at("trafficDistribution");
    if !distribution.is_absent() {
        format::member_of(&distribution, &["PreferClose", "PreferSameZone", "PreferSameNode"], errors);
    }
}

/// Whether it has no address on purpose.
pub(super) fn is_headless(spec: &Field<'_, '_>) -> bool {
    let all = &spec.value()["clusterIPs"];
    all[0] == "None" && all[1].is_null()
}

fn kind<'v>(spec: &Field<'v, '_>) -> &'v str {
    spec.value()["type"].as_str().unwrap_or("")
}

/// What a list of texts in `spec` was.
fn former<'v>(old: Option<&'v Value>, member: &str) -> Known<'v> {
    old.map(|old| format::texts(&old["spec"][member])).into_iter().flatten().collect()
}

const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const MODE: &str = "service.kubernetes.io/topology-mode";
const RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const ONLY_BALANCERS: &str = "may only be used when `type` is 'LoadBalancer'";

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

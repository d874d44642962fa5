//! What is refused of a service by itself, and of its change.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{family, is_exposed, needs_health_check};
use crate::api::error::FieldError;
use crate::api::kinds::field::{self, is_empty, items, one_of, port};
use crate::api::kinds::internal;
use crate::api::meta::{self, name};

/// The faults of a service.
pub(in crate::api::kinds) fn check(new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let headless = spec["clusterIPs"][0] == "None";
    let kind = spec["type"].as_str().unwrap_or("");
    if is_empty(&spec["ports"]) && kind != "ExternalName" && !headless {
        errors.push(FieldError::required("spec.ports", ""));
    }
    match kind {
        "LoadBalancer" => {
            for (path, item) in items(&spec["ports"], "spec.ports").filter(|(_, item)| item["port"] == KUBELET) {
                let fault = format!("may not expose port {KUBELET} externally since it is used by kubelet");
                errors.push(FieldError::invalid(path, &item["port"], &fault));
            }
        }
        "ExternalName" => check_external(spec, errors),
        _ => {}
    }
    if headless && matches!(kind, "LoadBalancer" | "NodePort") {
        let fault = format!("may not be set to 'None' for {kind} services");
        errors.push(FieldError::invalid("spec.clusterIPs[0]", &spec["clusterIPs"][0], &fault));
    }
    check_ports(spec, kind, errors);
    meta::check_labels(&spec["selector"], "spec.selector", errors);
    check_affinity(spec, errors);
    if kind != "ExternalName" {
        addresses(spec, errors);
    }
    for (path, address) in items(&spec["externalIPs"], "spec.externalIPs") {
        check_external_address(address.as_str().unwrap_or(""), &path, errors);
    }
    one_of(&spec["type"], "spec.type", &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], errors);
    check_balancer(spec, kind == "LoadBalancer", errors);
    check_traffic(spec, errors);
}

/// The faults of a change.
pub(in crate::api::kinds) fn check_change(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (own, stored) = (&new["spec"], &old["spec"]);
    let balancers = own["type"] == "LoadBalancer" && stored["type"] == "LoadBalancer";
    if balancers && own["loadBalancerClass"] != stored["loadBalancerClass"] {
        errors.push(FieldError::invalid("spec.loadBalancerClass", &own["loadBalancerClass"], "may not change once set"));
    }
    if own["type"] == "ExternalName" || stored["type"] == "ExternalName" {
        return;
    }
    if own["clusterIPs"][0] == "None" && stored["clusterIPs"][0] == "None" {
        return;
    }
    check_list_change((own, stored), ("clusterIPs", "clusterIP"), errors);
    check_list_change((own, stored), ("ipFamilies", "ipFamily"), errors);
}

/// The first address stays; a second comes and goes with the policy.
fn check_list_change((own, stored): (&Value, &Value), (member, one): (&str, &str), errors: &mut Vec<FieldError>) {
    let list = |spec: &Value| spec[member].as_array().cloned().unwrap_or_default();
    let (new, old) = (list(own), list(stored));
    let changed = "may not change once set";
    let mut fault = |at: usize, fault: &str| {
        errors.push(FieldError::invalid(format!("spec.{member}[{at}]"), &json!(new), fault));
    };
    if new.is_empty() && !old.is_empty() {
        fault(0, &format!("primary {one} can not be unset"));
        return;
    }
    for (at, (new, old)) in new.iter().zip(&old).enumerate() {
        if new != old {
            fault(at, changed);
        }
    }
    let policy = &own["ipFamilyPolicy"];
    let path = "spec.ipFamilyPolicy";
    if new.len() < old.len() && policy != "SingleStack" && member == "clusterIPs" {
        let fault = "must be set to 'SingleStack' when releasing the secondary clusterIP";
        errors.push(FieldError::invalid(path, policy, fault));
    }
    if new.len() > old.len() && !old.is_empty() && policy == "SingleStack" && member == "clusterIPs" {
        let fault = "must be set to 'PreferDualStack' or 'RequireDualStack' when adding a secondary clusterIP";
        errors.push(FieldError::invalid(path, policy, fault));
    }
}

/// The faults of addresses, families and their policy among each other.
pub(super) fn addresses(spec: &Value, errors: &mut Vec<FieldError>) {
    let (single, all) = (spec["clusterIP"].as_str().unwrap_or(""), &spec["clusterIPs"]);
    let list: Vec<&str> = all.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(first) = list.first() {
        if single.is_empty() {
            errors.push(FieldError::invalid("spec.clusterIPs", all, "must be empty when `clusterIP` is not specified"));
        } else if *first != single {
            errors.push(FieldError::invalid("spec.clusterIPs", all, "first value must match `clusterIP`"));
        }
    }
    let before = errors.len();
    let mut seen: Vec<&Value> = Vec::new();
    for (path, own) in items(&spec["ipFamilies"], "spec.ipFamilies") {
        one_of(own, &path, &["IPv4", "IPv6"], errors);
        if seen.contains(&own) {
            errors.push(FieldError::duplicate(path, own));
        }
        seen.push(own);
    }
    let known = errors.len() == before;
    one_of(&spec["ipFamilyPolicy"], "spec.ipFamilyPolicy", &["PreferDualStack", "RequireDualStack", "SingleStack"], errors);
    let before = errors.len();
    for (at, address) in list.iter().enumerate() {
        if *address == "None" && at == 0 {
            if list.len() > 1 {
                errors.push(FieldError::invalid("spec.clusterIPs", all, "'None' must be the first and only value"));
            }
        } else if address.parse::<IpAddr>().is_err() {
            errors.push(FieldError::invalid_text(format!("spec.clusterIPs[{at}]"), address, ADDRESS));
        }
    }
    if list.len() > 2 {
        errors.push(FieldError::invalid("spec.clusterIPs", all, "may only hold up to 2 values"));
    }
    if errors.len() > before || list.first() == Some(&"None") {
        return;
    }
    if let [one, other] = list.as_slice()
        && family::of(one) == family::of(other)
    {
        let fault = "may specify no more than one IP for each IP family";
        errors.push(FieldError::invalid("spec.clusterIPs", all, fault));
    }
    for (at, (address, own)) in list.iter().zip(spec["ipFamilies"].as_array().into_iter().flatten()).enumerate() {
        if known && own != family::of(address) {
            let fault = format!("expected an {} value as indicated by `ipFamilies[{at}]`", own.as_str().unwrap_or(""));
            errors.push(FieldError::invalid_text(format!("spec.clusterIPs[{at}]"), address, &fault));
        }
    }
}

fn check_external(spec: &Value, errors: &mut Vec<FieldError>) {
    for member in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if !is_empty(&spec[member]) {
            errors.push(FieldError::forbidden(format!("spec.{member}"), "may not be set for ExternalName services"));
        }
    }
    let host = spec["externalName"].as_str().unwrap_or("");
    let plain = host.strip_suffix('.').unwrap_or(host);
    if plain.is_empty() {
        errors.push(FieldError::required("spec.externalName", ""));
    } else {
        errors.extend(name::subdomain(plain).iter().map(|fault| FieldError::invalid_text("spec.externalName", plain, fault)));
    }
}

fn check_ports(spec: &Value, kind: &str, errors: &mut Vec<FieldError>) {
    let several = spec["ports"].as_array().is_some_and(|ports| ports.len() > 1);
    let (mut names, mut node_ports, mut own_ports) = (Vec::new(), Vec::new(), Vec::new());
    for (path, item) in items(&spec["ports"], "spec.ports") {
        check_port(item, (&path, several), &mut names, errors);
        let node_port = &item["nodePort"];
        if kind == "ClusterIP" && !field::is_zero(node_port) {
            errors.push(FieldError::forbidden(format!("{path}.nodePort"), "may not be used when `type` is 'ClusterIP'"));
        }
        let key = (&item["protocol"], node_port);
        if !field::is_zero(node_port) && node_ports.contains(&key) {
            errors.push(FieldError::duplicate(format!("{path}.nodePort"), node_port));
        }
        node_ports.push(key);
        let key = (&item["protocol"], &item["port"]);
        if own_ports.contains(&key) {
            let shown = internal::print("ServicePort", &json!({"protocol": key.0, "port": key.1}));
            errors.push(FieldError::duplicate_of(&path, &shown));
        }
        own_ports.push(key);
    }
}

fn check_port<'a>(item: &'a Value, (path, several): (&str, bool), names: &mut Vec<&'a str>, errors: &mut Vec<FieldError>) {
    let path_of = |member: &str| format!("{path}.{member}");
    match item["name"].as_str().unwrap_or("") {
        "" if several => errors.push(FieldError::required(path_of("name"), "")),
        "" => {}
        own => {
            errors.extend(name::label(own).iter().map(|fault| FieldError::invalid_text(path_of("name"), own, fault)));
            if names.contains(&own) {
                errors.push(FieldError::duplicate(path_of("name"), &item["name"]));
            }
            names.push(own);
        }
    }
    port(&item["port"], &path_of("port"), errors);
    one_of(&item["protocol"], &path_of("protocol"), &["SCTP", "TCP", "UDP"], errors);
    field::port_or_name(&item["targetPort"], &path_of("targetPort"), errors);
    if let Some(protocol) = item["appProtocol"].as_str() {
        let faults = name::qualified(protocol);
        errors.extend(faults.iter().map(|fault| FieldError::invalid_text(path_of("appProtocol"), protocol, fault)));
    }
}

fn check_affinity(spec: &Value, errors: &mut Vec<FieldError>) {
    one_of(&spec["sessionAffinity"], "spec.sessionAffinity", &["ClientIP", "None"], errors);
    let config = &spec["sessionAffinityConfig"];
    if spec["sessionAffinity"] == "None" && !config.is_null() {
        let fault = "must not be set when session affinity is None";
        errors.push(FieldError::forbidden("spec.sessionAffinityConfig", fault));
    }
    let seconds = &config["clientIP"]["timeoutSeconds"];
    if spec["sessionAffinity"] == "ClientIP" && !seconds.as_i64().is_some_and(|seconds| (1..=86_400).contains(&seconds)) {
        let fault = "must be greater than 0 and less than 86400";
        errors.push(FieldError::invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, fault));
    }
}

fn check_balancer(spec: &Value, balancer: bool, errors: &mut Vec<FieldError>) {
    let only = "may only be used when `type` is 'LoadBalancer'";
    if !is_empty(&spec["loadBalancerSourceRanges"]) {
        if !balancer {
            errors.push(FieldError::forbidden("spec.loadBalancerSourceRanges", only));
        }
        for (path, range) in items(&spec["loadBalancerSourceRanges"], "spec.loadBalancerSourceRanges") {
            let text = range.as_str().unwrap_or("").trim();
            if text.parse::<ipnet::IpNet>().is_err() {
                let fault = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
                errors.push(FieldError::invalid_text(path, text, fault));
            }
        }
    }
    for member in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
        if !balancer && !spec[member].is_null() {
            errors.push(FieldError::forbidden(format!("spec.{member}"), only));
        }
    }
    if let Some(class) = spec["loadBalancerClass"].as_str().filter(|_| balancer) {
        let faults = name::qualified(class);
        errors.extend(faults.iter().map(|fault| FieldError::invalid_text("spec.loadBalancerClass", class, fault)));
    }
}

fn check_traffic(spec: &Value, errors: &mut Vec<FieldError>) {
    let policy = &spec["externalTrafficPolicy"];
    if is_exposed(spec) {
        if is_empty(policy) {
            errors.push(FieldError::required("spec.externalTrafficPolicy", ""));
        }
        one_of(policy, "spec.externalTrafficPolicy", &["Cluster", "Local"], errors);
    } else if !is_empty(policy) {
        let fault = "may only be set for externally-accessible services";
        errors.push(FieldError::invalid("spec.externalTrafficPolicy", policy, fault));
    }
    let check = &spec["healthCheckNodePort"];
    match (needs_health_check(spec), field::is_zero(check)) {
        (false, false) => {
            let fault = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.push(FieldError::invalid("spec.healthCheckNodePort", check, fault));
        }
        (true, true) => errors.push(FieldError::required("spec.healthCheckNodePort", "")),
        _ => {}
    }
    one_of(&spec["internalTrafficPolicy"], "spec.internalTrafficPolicy", &["Cluster", "Local"], errors);
    let near = ["PreferClose", "PreferSameNode", "PreferSameZone"];
    one_of(&spec["trafficDistribution"], "spec.trafficDistribution", &near, errors);
}

fn check_external_address(text: &str, path: &str, errors: &mut Vec<FieldError>) {
    match text.parse::<IpAddr>() {
        Err(_) => errors.push(FieldError::invalid_text(path, text, ADDRESS)),
        Ok(address) => errors.extend(field::special(address).map(|fault| FieldError::invalid_text(path, text, fault))),
    }
}

const ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const KUBELET: i64 = 10250;

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(spec: Value) -> String {
        let mut errors = Vec::new();
        check(&json!({"spec": spec}), &mut errors);
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn of_a_service() {
        let rows = [
            (json!({"ports": [{"port": 80}]}), ""),
            (json!({}), "spec.ports: Required value"),
            (json!({"clusterIP": "None", "clusterIPs": ["None"]}), ""),
            (json!({"type": "ExternalName"}), "spec.externalName: Required value"),
            (
                json!({"type": "ExternalName", "externalName": "a.b.", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}),
                "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
            ),
            (json!({"ports": [{"port": 80}, {"port": 81, "name": "b"}]}), "spec.ports[0].name: Required value"),
            (
                json!({"ports": [{"port": 80, "name": "b"}, {"port": 81, "name": "b"}]}),
                "spec.ports[1].name: Duplicate value: \"b\"",
            ),
            (
                json!({"ports": [{"port": 80, "name": "a", "protocol": "TCP"}, {"port": 80, "name": "b", "protocol": "TCP"}]}),
                "spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,\"TargetPort\":0,\"NodePort\":0}",
            ),
            (
                json!({"type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30080}]}),
                "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
            ),
            (
                json!({"type": "ClusterIP", "ports": [{"port": 80}], "externalTrafficPolicy": "Local"}),
                "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
            ),
            (
                json!({"ports": [{"port": 80}], "externalIPs": ["127.0.0.1", "x"]}),
                "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128); \
                 spec.externalIPs[1]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ),
            (
                json!({"ports": [{"port": 80}], "loadBalancerClass": "a/b"}),
                "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
            ),
        ];
        for (spec, expected) in rows {
            assert_eq!(faults(spec.clone()), expected, "{spec}");
        }
    }

    #[test]
    fn of_a_change() {
        let with =
            |addresses: Value| json!({"spec": {"type": "ClusterIP", "clusterIPs": addresses, "ipFamilyPolicy": "SingleStack"}});
        for (new, old, expected) in [
            (
                json!(["10.0.0.8"]),
                json!(["10.0.0.9"]),
                "spec.clusterIPs[0]: Invalid value: [\"10.0.0.8\"]: may not change once set",
            ),
            (json!(["10.0.0.8"]), json!(["None"]), "spec.clusterIPs[0]: Invalid value: [\"10.0.0.8\"]: may not change once set"),
            (json!(["None"]), json!(["None"]), ""),
            (json!(["10.0.0.8"]), json!(["10.0.0.8", "fd00::1"]), ""),
            (json!([]), json!(["10.0.0.8"]), "spec.clusterIPs[0]: Invalid value: []: primary clusterIP can not be unset"),
        ] {
            let mut errors = Vec::new();
            check_change(&with(new), &with(old), &mut errors);
            assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "), expected);
        }
    }
}

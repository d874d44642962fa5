//! Endpoints, EndpointSlices, Ingresses and NetworkPolicies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::field::{is_empty, items, one_of, port, required, selector};
use crate::api::error::FieldError;
use crate::api::meta::name;

pub(super) fn check_endpoints(new: &Value, errors: &mut Vec<FieldError>) {
    for (path, subset) in items(&new["subsets"], "subsets") {
        if is_empty(&subset["addresses"]) && is_empty(&subset["notReadyAddresses"]) {
            errors.push(FieldError::required(&path, "must specify `addresses` or `notReadyAddresses`"));
        }
        for list in ["addresses", "notReadyAddresses"] {
            for (path, address) in items(&subset[list], &format!("{path}.{list}")) {
                check_address(address["ip"].as_str().unwrap_or(""), &format!("{path}.ip"), errors);
            }
        }
        for (path, item) in items(&subset["ports"], &format!("{path}.ports")) {
            port(&item["port"], &format!("{path}.port"), errors);
            one_of(&item["protocol"], &format!("{path}.protocol"), &["SCTP", "TCP", "UDP"], errors);
        }
    }
}

pub(super) fn check_slice(new: &Value, errors: &mut Vec<FieldError>) {
    let family = required(&new["addressType"], "addressType", errors);
    one_of(&new["addressType"], "addressType", &["FQDN", "IPv4", "IPv6"], errors);
    too_many(&new["endpoints"], "endpoints", 1000, errors);
    too_many(&new["ports"], "ports", 20_000, errors);
    for (path, endpoint) in items(&new["endpoints"], "endpoints") {
        if is_empty(&endpoint["addresses"]) {
            errors.push(FieldError::required(format!("{path}.addresses"), "must contain at least 1 endpoint address"));
        }
        for (path, address) in items(&endpoint["addresses"], &format!("{path}.addresses")) {
            let text = address.as_str().unwrap_or("");
            match family {
                "IPv4" if text.parse::<Ipv4Addr>().is_err() => {
                    errors.push(FieldError::invalid_text(path, text, "must be a valid IPv4 address"));
                }
                "IPv6" if text.parse::<Ipv6Addr>().is_err() => {
                    errors.push(FieldError::invalid_text(path, text, "must be a valid IPv6 address"));
                }
                _ => {}
            }
        }
    }
}

pub(super) fn check_ingress(new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    if is_empty(&spec["rules"]) && spec["defaultBackend"].is_null() {
        errors.push(FieldError::invalid(
            "spec",
            &Value::Array(Vec::new()),
            "either `defaultBackend` or `rules` must be specified",
        ));
    }
    for (path, rule) in items(&spec["rules"], "spec.rules") {
        let host = rule["host"].as_str().unwrap_or("");
        if !host.is_empty() && !host.starts_with("*.") {
            let faults = name::subdomain(host);
            errors.extend(faults.iter().map(|fault| FieldError::invalid_text(format!("{path}.host"), host, fault)));
        }
        for (path, item) in items(&rule["http"]["paths"], &format!("{path}.http.paths")) {
            if is_empty(&item["pathType"]) {
                errors.push(FieldError::required(format!("{path}.pathType"), "pathType must be specified"));
            }
            one_of(&item["pathType"], &format!("{path}.pathType"), &["Exact", "ImplementationSpecific", "Prefix"], errors);
            let own = item["path"].as_str().unwrap_or("");
            if matches!(item["pathType"].as_str(), Some("Exact" | "Prefix")) && !own.starts_with('/') {
                errors.push(FieldError::invalid_text(format!("{path}.path"), own, "must be an absolute path"));
            }
        }
    }
}

pub(super) fn check_policy(new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    selector(&spec["podSelector"], "spec.podSelector", errors);
    for (path, kind) in items(&spec["policyTypes"], "spec.policyTypes") {
        one_of(kind, &path, &["Egress", "Ingress"], errors);
    }
}

fn check_address(text: &str, path: &str, errors: &mut Vec<FieldError>) {
    let Ok(address) = text.parse::<IpAddr>() else {
        let fault = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        errors.push(FieldError::invalid_text(path, text, fault));
        return;
    };
    let fault = if address.is_unspecified() {
        "may not be unspecified (127.0.0.0)"
    } else if address.is_loopback() {
        "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    } else if address.is_multicast() {
        "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
    } else {
        return;
    };
    errors.push(FieldError::invalid_text(path, text, fault));
}

fn too_many(list: &Value, path: &str, most: usize, errors: &mut Vec<FieldError>) {
    let count = list.as_array().map_or(0, Vec::len);
    if count > most {
        errors.push(FieldError::too_many(path, count, most));
    }
}

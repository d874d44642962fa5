//! Endpoints.

use serde_json::Value;

use crate::api::error::FieldError;
use crate::api::kinds::address::{self, Known};
use crate::api::kinds::field::Field;
use crate::api::meta::name;

type Errors = Vec<FieldError>;

/// The faults of endpoints; addresses that `old` has may stay as they are.
pub(in crate::api::kinds) fn check(new: &Value, old: Option<&Value>, errors: &mut Errors) {
    let root = Field::new(new, "");
    let known = old.map(addresses).unwrap_or_default();
    for subset in root.at("subsets").items() {
        let (ready, waiting, ports) = (subset.at("addresses"), subset.at("notReadyAddresses"), subset.at("ports"));
        if ready.is_empty() && waiting.is_empty() {
            errors.push(subset.required("must specify `addresses` or `notReadyAddresses`"));
        }
        for own in ready.items().chain(waiting.items()) {
            check_address(&own, &known, errors);
        }
        for port in ports.items() {
            check_port(&port, ports.len() > 1, errors);
        }
    }
}

/// What a client should know of endpoints that are taken.
pub(in crate::api::kinds) fn warn(new: &Value, warnings: &mut Vec<String>) {
    let root = Field::new(new, "");
    for subset in root.at("subsets").items() {
        for list in ["addresses", "notReadyAddresses"] {
            subset.at(list).items().for_each(|own| address::warn(&own.at("ip"), warnings));
        }
    }
}

fn check_address(own: &Field<'_, '_>, known: &Known<'_>, errors: &mut Errors) {
    let (ip, host, node) = (own.at("ip"), own.at("hostname"), own.at("nodeName"));
    address::legacy(&ip, known, errors);
    host.named(name::label, errors);
    if !node.is_absent() {
        node.formed(name::subdomain, errors);
    }
    address::endpoint(&ip, errors);
}

fn check_port(port: &Field<'_, '_>, several: bool, errors: &mut Errors) {
    let (own, protocol) = (port.at("name"), port.at("appProtocol"));
    if own.text().is_empty() && several {
        errors.push(own.required(""));
    }
    own.named(name::label, errors);
    port.at("port").port(errors);
    port.at("protocol").require_one_of(&["SCTP", "TCP", "UDP"], errors);
    if !protocol.is_absent() {
        protocol.formed(name::qualified, errors);
    }
}

fn addresses(old: &Value) -> Known<'_> {
    let subsets = old["subsets"].as_array().into_iter().flatten();
    let lists = subsets.flat_map(|subset| [&subset["addresses"], &subset["notReadyAddresses"]]);
    lists.flat_map(|list| list.as_array().into_iter().flatten()).filter_map(|own| own["ip"].as_str()).collect()
}

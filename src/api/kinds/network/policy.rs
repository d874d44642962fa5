//! NetworkPolicies.

use serde_json::Value;

use crate::api::error::FieldError;
use crate::api::kinds::address::{self, Known, Network};
use crate::api::kinds::field::Field;
use crate::api::kinds::format;
use crate::api::meta::name;

type Errors = Vec<FieldError>;

/// The faults of a policy; networks that `old` has may stay as they are.
pub(in crate::api::kinds) fn check(new: &Value, old: Option<&Value>, errors: &mut Errors) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    let known = old.map(networks).unwrap_or_default();
    spec.at("podSelector").selector(errors);
    for (direction, peers) in DIRECTIONS {
        for rule in spec.at(direction).items() {
            rule.at("ports").items().for_each(|port| check_port(&port, errors));
            rule.at(peers).items().for_each(|peer| check_peer(&peer, &known, errors));
        }
    }
    let types = spec.at("policyTypes");
    if types.len() > 2 {
        errors.push(types.invalid("may not specify more than two policyTypes"));
        return;
    }
    types.items().for_each(|kind| format::member_of(&kind, &["Ingress", "Egress"], errors));
}

/// What a client should know of a policy that is taken.
pub(in crate::api::kinds) fn warn(new: &Value, warnings: &mut Vec<String>) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    for (direction, peers) in DIRECTIONS {
        for rule in spec.at(direction).items() {
            for peer in rule.at(peers).items() {
                let block = peer.at("ipBlock");
                address::warn_network(&block.at("cidr"), warnings);
                block.at("except").items().for_each(|own| address::warn_network(&own, warnings));
            }
        }
    }
}

fn check_port(item: &Field<'_, '_>, errors: &mut Errors) {
    let (protocol, port, end) = (item.at("protocol"), item.at("port"), item.at("endPort"));
    if !protocol.is_absent() {
        format::member_of(&protocol, &["TCP", "UDP", "SCTP"], errors);
    }
    if port.is_absent() {
        if !end.is_absent() {
            errors.push(end.invalid("may not be specified when `port` is not specified"));
        }
    } else if let Some(first) = port.number() {
        port.port(errors);
        if end.number().is_some_and(|end| end < first) {
            errors.push(end.invalid("must be greater than or equal to `port`"));
        }
        if !end.is_absent() {
            end.port(errors);
        }
    } else {
        if !end.is_absent() {
            errors.push(end.invalid("may not be specified when `port` is non-numeric"));
        }
        port.formed(name::port, errors);
    }
}

fn check_peer(peer: &Field<'_, '_>, known: &Known<'_>, errors: &mut Errors) {
    let mut count = 0;
    for member in ["podSelector", "namespaceSelector"] {
        let selector = peer.at(member);
        if !selector.is_absent() {
            count += 1;
            selector.selector(errors);
        }
    }
    let block = peer.at("ipBlock");
    if !block.is_absent() {
        check_block(&block, known, errors);
    }
    match (count, block.is_absent()) {
        (0, true) => errors.push(peer.required("must specify a peer")),
        (1.., false) => errors.push(peer.forbidden("may not specify both ipBlock and another peer")),
        _ => {}
    }
}

fn check_block(block: &Field<'_, '_>, known: &Known<'_>, errors: &mut Errors) {
    let whole = block.at("cidr");
    if whole.text().is_empty() {
        errors.push(whole.required(""));
        return;
    }
    let check = |field: &Field<'_, '_>, errors: &mut Errors| {
        address::legacy_network(field, field.text(), known, errors);
        Network::read(field.text())
    };
    let Some(network) = check(&whole, errors) else { return };
    for part in block.at("except").items() {
        if check(&part, errors).is_some_and(|part| !network.strictly_contains(part)) {
            errors.push(part.invalid("must be a strict subset of `cidr`"));
        }
    }
}

fn networks(old: &Value) -> Known<'_> {
    let rules = DIRECTIONS.iter().flat_map(|(direction, peers)| {
        let rules = old["spec"][*direction].as_array().into_iter().flatten();
        rules.flat_map(|rule| rule[*peers].as_array().into_iter().flatten())
    });
    let blocks = rules.map(|peer| &peer["ipBlock"]);
    blocks.flat_map(|block| block["cidr"].as_str().into_iter().chain(format::texts(&block["except"]))).collect()
}

const DIRECTIONS: [(&str, &str); 2] = [("ingress", "from"), ("egress", "to")];

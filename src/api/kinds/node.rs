//! Nodes: taints, what they have room for, and the addresses of their pods, which are set once.

use std::collections::HashSet;

use serde_json::Value;

use super::address::{self, Known, Network};
use super::field::Field;
use super::{format, internal, quota};
use crate::api::error::FieldError;
use crate::api::meta::name;

type Errors = Vec<FieldError>;

/// Where a kubelet finds its configuration is not told by its node any more.
pub(super) fn prepare(new: &mut Value, old: Option<&Value>) {
    let in_use = |part: &str, member: &str| old.is_some_and(|old| !old[part][member].is_null());
    for (part, member) in [("spec", "configSource"), ("status", "config")] {
        let used = in_use(part, member);
        if let Some(members) = new.get_mut(part).and_then(Value::as_object_mut).filter(|_| !used) {
            members.remove(member);
        }
    }
}

/// The faults of a node.
pub(super) fn check(new: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    // kube-apiserver tells the taints' faults so.
    check_taints(&Field::new(&new["spec"]["taints"], "metadata.taints"), errors);
    check_resources(&root, errors);
    let spec = root.at("spec");
    check_networks(&spec.at("podCIDRs"), errors);
}

/// The faults of a change of a node, or of its state.
pub(super) fn check_change(new: &Value, old: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    let (spec, status) = (root.at("spec"), root.at("status"));
    check_resources(&root, errors);
    let mut seen = HashSet::new();
    for own in status.at("addresses").items() {
        if !seen.insert((own.at("type").text(), own.at("address").text())) {
            errors.push(FieldError::duplicate_of(own.to_string(), &internal::print("NodeAddress", own.value())));
        }
    }
    let (before, after) = (format::texts(&old["spec"]["podCIDRs"]), format::texts(&new["spec"]["podCIDRs"]));
    let changes = if before.is_empty() {
        0
    } else if before.len() != after.len() {
        1
    } else {
        before.iter().zip(&after).filter(|(before, after)| before != after).count()
    };
    for _ in 0..changes {
        errors.push(spec.at("podCIDRs").forbidden("node updates may not change podCIDR except from \"\" to valid"));
    }
    let provider = old["spec"]["providerID"].as_str().unwrap_or("");
    if !provider.is_empty() && spec.at("providerID").text() != provider {
        let fault = "node updates may not change providerID except from \"\" to valid";
        errors.push(spec.at("providerID").forbidden(fault));
    }
    check_source(&spec.at("configSource"), errors);
    check_taints(&Field::new(&new["spec"]["taints"], "metadata.taints"), errors);
    if spec.at("externalID").text() != old["spec"]["externalID"].as_str().unwrap_or("") {
        errors.push(spec.at("externalID").forbidden("may not be updated"));
    }
}

/// What a client should know of a node that is taken.
pub(super) fn warn(new: &Value, warnings: &mut Vec<String>) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    if !spec.at("externalID").text().is_empty() {
        warnings.push("spec.externalID: this field is deprecated, and is unused by Kubernetes".to_owned());
    }
    spec.at("podCIDRs").items().for_each(|own| address::warn_network(&own, warnings));
}

fn check_taints(taints: &Field<'_, '_>, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for taint in taints.items() {
        let (key, value, effect) = (taint.at("key"), taint.at("value"), taint.at("effect"));
        key.formed(name::qualified, errors);
        let faults = name::label_value(value.text());
        if !faults.is_empty() {
            errors.push(value.invalid(&faults.join(";")));
        }
        effect.require_one_of(&["NoSchedule", "PreferNoSchedule", "NoExecute"], errors);
        if !seen.insert((key.text(), effect.text())) {
            let shown = internal::print("Taint", taint.value());
            let detail = "taints must be unique by key and effect pair";
            errors.push(FieldError::duplicate_of(taint.to_string(), &format!("{shown}: {detail}")));
        }
    }
}

fn check_resources(root: &Field<'_, '_>, errors: &mut Errors) {
    let status = root.at("status");
    for list in ["capacity", "allocatable"] {
        let list = status.at(list);
        for (resource, amount) in list.entries() {
            // kube-apiserver writes this path with a dot.
            let path = format!("{list}.{resource}");
            quota::check_amount(&Field::new(amount.value(), &path), resource, errors);
        }
    }
}

fn check_networks(list: &Field<'_, '_>, errors: &mut Errors) {
    let known = Known::new();
    list.items().for_each(|own| address::legacy_network(&own, own.text(), &known, errors));
    if list.len() < 2 {
        return;
    }
    let networks: Option<Vec<Network>> = list.items().map(|own| Network::read(own.text())).collect();
    if networks.is_none() {
        let bad = list.items().find(|own| Network::read(own.text()).is_none()).map_or("", |own| own.text());
        let detail = format!(
            "invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[{bad}]: invalid CIDR address: {bad}"
        );
        errors.push(format::internal_error(list, &detail));
    }
    let both = networks.is_some_and(|all| all.iter().any(|one| one.is_six()) && all.iter().any(|one| !one.is_six()));
    if !both || list.len() > 2 {
        errors.push(list.invalid("may specify no more than one CIDR for each IP family"));
    }
    let mut seen = HashSet::new();
    errors.extend(list.items().filter(|own| !seen.insert(own.text().to_owned())).map(|own| own.duplicate()));
}

fn check_source(source: &Field<'_, '_>, errors: &mut Errors) {
    if source.is_absent() {
        return;
    }
    let map = source.at("configMap");
    if map.is_absent() {
        errors.push(format::invalid_as(source, "NodeConfigSource", "exactly one reference subfield must be non-nil"));
        return;
    }
    for member in ["uid", "resourceVersion"] {
        if !map.at(member).text().is_empty() {
            errors.push(map.at(member).forbidden(&format!("{member} must not be set in spec")));
        }
    }
    for (member, rule) in
        [("namespace", name::label as fn(&str) -> Vec<String>), ("name", name::subdomain), ("kubeletConfigKey", name::config_key)]
    {
        let own = map.at(member);
        if own.text().is_empty() {
            errors.push(own.required(&format!("{member} must be set")));
        }
        own.named(rule, errors);
    }
}

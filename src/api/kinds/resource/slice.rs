//! What a driver publishes: a pool, the nodes that reach it, and devices or the counters they share.

use std::collections::HashMap;

use serde_json::Value;

use super::{device, form};
use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::kinds::{internal, selector};
use crate::api::meta::name;

/// Takes away what needs a feature that is off, unless it is stored already.
pub(in crate::api::kinds) fn prepare(new: &mut Value, old: &Value) {
    let devices = |slice: &Value| slice["spec"]["devices"].as_array().cloned().unwrap_or_default();
    let stored = devices(old);
    let mapped = stored.iter().any(|device| !device["nodeAllocatableResourceMappings"].is_null());
    let attributes = |device: &Value| device["attributes"].as_object().cloned().unwrap_or_default();
    let listed = stored.iter().flat_map(attributes).any(|(_, value)| device::LISTS.iter().any(|list| !value[*list].is_null()));
    for device in new["spec"]["devices"].as_array_mut().into_iter().flatten() {
        let Some(members) = device.as_object_mut() else { continue };
        if !mapped {
            members.remove("nodeAllocatableResourceMappings");
        }
        let attributes = members.get_mut("attributes").and_then(Value::as_object_mut);
        for attribute in attributes.into_iter().flat_map(|all| all.values_mut()).filter_map(Value::as_object_mut) {
            if !listed {
                attribute.retain(|member, _| !device::LISTS.contains(&member.as_str()));
            }
        }
    }
}

pub(super) fn check(spec: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    form::driver(&spec.at("driver"), errors);
    check_pool(&spec.at("pool"), errors);
    if !old.is_null() {
        let pool = spec.at("pool");
        pool.at("name").immutable(&old["pool"]["name"], errors);
        spec.at("driver").immutable(&old["driver"], errors);
        immutable_name(&spec.at("nodeName"), &old["nodeName"], errors);
    }
    check_nodes(spec, errors);
    let (devices, counters) = (spec.at("devices"), spec.at("sharedCounters"));
    if !devices.is_absent() && !counters.is_absent() {
        errors.push(spec.invalid_text("", "only one of `sharedCounters` or `devices` is allowed"));
    }
    let advanced = |device: Field<'_, '_>| !device.at("taints").is_empty() || !device.at("consumesCounters").is_empty();
    let most = if devices.items().any(advanced) { 64 } else { 128 };
    if form::fits(&devices, most, errors) {
        let stored: HashMap<&str, &Value> = named(old);
        for own in devices.items() {
            let old = stored.get(own.at("name").text()).copied().unwrap_or(&Value::Null);
            device::check(&own, old, spec, errors);
        }
        form::unique(&devices, |device| device.at("name").text().to_owned(), errors);
    }
    if form::fits(&counters, 8, errors) {
        counters.items().for_each(|set| device::check_counters(&set, "name", errors));
        form::unique(&counters, |set| set.at("name").text().to_owned(), errors);
    }
}

fn named(spec: &Value) -> HashMap<&str, &Value> {
    let devices = spec["devices"].as_array().into_iter().flatten();
    devices.filter_map(|device| Some((device["name"].as_str()?, device))).collect()
}

fn immutable_name(field: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    if field.value() != old {
        let shown = if field.is_absent() { "null".to_owned() } else { crate::api::error::printed(field.value()) };
        errors.push(field.invalid_as(&shown, "field is immutable"));
    }
}

fn check_pool(pool: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    form::pool(&pool.at("name"), errors);
    if pool.at("resourceSliceCount").count() <= 0 {
        errors.push(pool.at("resourceSliceCount").invalid_number("must be greater than zero"));
    }
    if pool.at("generation").count() < 0 {
        errors.push(pool.at("generation").invalid("must be greater than or equal to zero"));
    }
}

/// Exactly one way in which nodes are told.
fn check_nodes(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let mut set = Vec::new();
    let own = spec.at("nodeName");
    if !own.is_absent() && own.text().is_empty() {
        errors.push(own.invalid("must be either unset or set to a non-empty string"));
    } else if !own.is_absent() {
        set.push("`nodeName`");
        own.named(name::subdomain, errors);
    }
    let nodes = spec.at("nodeSelector");
    if !nodes.is_absent() {
        set.push("`nodeSelector`");
        selector::nodes(&nodes, errors);
        let terms = nodes.at("nodeSelectorTerms");
        if terms.len() != 1 {
            let shown: Vec<String> = terms.items().map(|term| internal::print("NodeSelectorTerm", term.value())).collect();
            let shown = if terms.is_absent() { "null".to_owned() } else { format!("[{}]", shown.join(",")) };
            errors.push(terms.invalid_as(&shown, "must have exactly one node selector term"));
        }
    }
    for (member, told) in [("allNodes", "`allNodes`"), ("perDeviceNodeSelection", "`perDeviceNodeSelection`")] {
        if spec.at(member).is_true() {
            set.push(told);
        } else if !spec.at(member).is_absent() {
            errors.push(spec.at(member).invalid("must be either unset or set to true"));
        }
    }
    let one = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    match set.len() {
        0 => errors.push(spec.required(one)),
        1 => {}
        _ => errors.push(spec.invalid_text(&format!("{{{}}}", set.join(", ")), &format!("{one}, but multiple fields are set"))),
    }
}

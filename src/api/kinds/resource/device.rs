//! A device: its attributes, capacity, taints, the counters it takes from, and the conditions under which it is bound.

use std::collections::HashSet;

use serde_json::Value;

use super::{capacity, claim, form};
use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::kinds::write::same;
use crate::api::kinds::{internal, selector};
use crate::api::meta::name;

pub(super) fn check(device: &Field<'_, '_>, old: &Value, spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    form::label(&device.at("name"), errors);
    let (attributes, amounts) = (device.at("attributes"), device.at("capacity"));
    let count = attributes.len() + amounts.len();
    if count > 32 {
        let detail = "the total number of attributes and capacities must not exceed 32";
        errors.push(device.invalid_as(&count.to_string(), detail));
    }
    for (key, _) in attributes.entries() {
        form::qualified(&attributes, key, errors);
        check_attribute(&attributes.key(&form::shortened(key, KEY)).with(&attributes.value()[key]), errors);
    }
    for (key, _) in amounts.entries() {
        form::qualified(&amounts, key, errors);
        let short = form::shortened(key, KEY);
        let own = amounts.key(&short).with(&amounts.value()[key]);
        capacity::check(&own, device.at("allowMultipleAllocations").is_true(), errors);
    }
    let taints = device.at("taints");
    if (old.is_null() || !same(taints.value(), &old["taints"])) && form::fits(&taints, 16, errors) {
        taints.items().for_each(|taint| check_taint(&taint, errors));
    }
    let counters = device.at("consumesCounters");
    if form::fits(&counters, 2, errors) {
        counters.items().for_each(|set| check_counters(&set, "counterSet", errors));
        form::unique(&counters, |set| set.at("counterSet").text().to_owned(), errors);
    }
    check_nodes(device, spec.at("perDeviceNodeSelection").is_true(), errors);
    check_binding(device, errors);
}

/// The faults of a set of counters, or of what is taken from one.
pub(super) fn check_counters(set: &Field<'_, '_>, own: &str, errors: &mut Vec<FieldError>) {
    form::required_label(&set.at(own), errors);
    let counters = set.at("counters");
    if counters.is_empty() {
        errors.push(counters.required(""));
    } else if form::fits(&counters, 32, errors) {
        for (key, _) in counters.entries() {
            errors.extend(name::label(key).iter().map(|fault| counters.invalid_text(key, fault)));
        }
    }
}

/// The conditions that a device waits for, and those that end the wait.
pub(super) fn check_binding(device: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (conditions, failures) = (device.at("bindingConditions"), device.at("bindingFailureConditions"));
    for list in [&conditions, &failures] {
        if form::fits(list, 4, errors) {
            list.items().for_each(|condition| selector::label_key(&condition, errors));
        }
    }
    let mut waited = HashSet::new();
    for condition in conditions.items() {
        if !waited.insert(condition.text()) {
            errors.push(condition.duplicate());
        }
    }
    let mut ended = HashSet::new();
    for condition in failures.items() {
        if !ended.insert(condition.text()) {
            errors.push(condition.duplicate());
        }
        if waited.contains(condition.text()) {
            errors.push(condition.invalid("bindingFailureConditions must not overlap with bindingConditions"));
        }
    }
    if conditions.is_empty() && !failures.is_empty() {
        let shown = if conditions.is_absent() { "null" } else { "[]" };
        errors.push(conditions.invalid_as(shown, "bindingConditions are required to use bindingFailureConditions"));
    }
    if failures.is_empty() && !conditions.is_empty() {
        let shown = if failures.is_absent() { "null" } else { "[]" };
        errors.push(failures.invalid_as(shown, "bindingFailureConditions are required to use bindingConditions"));
    }
}

/// The faults of a taint.
fn check_taint(taint: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    selector::label_key(&taint.at("key"), errors);
    if !taint.at("value").is_empty() {
        selector::label_value(&taint.at("value"), errors);
    }
    taint.at("effect").require_one_of(&claim::EFFECTS, errors);
}

fn check_attribute(attribute: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    attribute.at("string").at_most_bytes(64, errors);
    if !attribute.at("version").is_absent() {
        check_version(&attribute.at("version"), errors);
    }
    for member in LISTS {
        let list = attribute.at(member);
        if !list.is_absent() && list.is_empty() {
            errors.push(list.invalid_as("[]", "must not be empty if specified"));
        }
        for item in list.items() {
            match member {
                "strings" => item.at_most_bytes(64, errors),
                "versions" => check_version(&item, errors),
                _ => {}
            }
        }
    }
    let values = ["bool", "int", "string", "version"].iter().chain(&LISTS);
    match values.filter(|member| !attribute.at(member).is_absent()).count() {
        0 => errors.push(attribute.invalid_text("", "exactly one value must be specified")),
        1 => {}
        _ => errors.push(
            attribute.invalid_as(&internal::print("DeviceAttribute", attribute.value()), "exactly one value must be specified"),
        ),
    }
}

fn check_version(version: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if !is_version(version.text()) {
        errors.push(version.invalid("must be a string compatible with semver.org spec 2.0.0"));
    }
    version.at_most_bytes(64, errors);
}

fn is_version(text: &str) -> bool {
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, before) = rest.split_once('-').map_or((rest, None), |(core, before)| (core, Some(before)));
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let number = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'))
    };
    let identifier = |part: &str| word(part) && (!part.bytes().all(|byte| byte.is_ascii_digit()) || number(part));
    core.split('.').count() == 3
        && core.split('.').all(number)
        && before.is_none_or(|before| before.split('.').all(identifier))
        && build.is_none_or(|build| build.split('.').all(word))
}

/// The nodes of a device by itself: only where the slice leaves it to its devices.
fn check_nodes(device: &Field<'_, '_>, own: bool, errors: &mut Vec<FieldError>) {
    let (node, nodes, all) = (device.at("nodeName"), device.at("nodeSelector"), device.at("allNodes"));
    if !own {
        if [&node, &nodes, &all].iter().any(|field| !field.is_absent()) {
            let detail = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the \
                          ResourceSlice spec";
            errors.push(device.invalid_as("null", detail));
        }
        return;
    }
    let mut set = Vec::new();
    if !node.is_absent() && node.text().is_empty() {
        errors.push(node.invalid("must not be empty"));
    } else if !node.is_absent() {
        set.push("`nodeName`");
        node.named(name::subdomain, errors);
    }
    if !nodes.is_absent() {
        set.push("`nodeSelector`");
        selector::nodes(&nodes, errors);
    }
    if all.is_true() {
        set.push("`allNodes`");
    } else if !all.is_absent() {
        errors.push(all.invalid("must be either unset or set to true"));
    }
    let detail = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the \
                  ResourceSlice spec";
    match set.len() {
        0 => errors.push(device.required(detail)),
        1 => {}
        _ => errors.push(device.invalid_text(&format!("{{{}}}", set.join(", ")), detail)),
    }
}

/// Attributes with many values, which need a feature that is off.
pub(super) const LISTS: [&str; 4] = ["bools", "ints", "strings", "versions"];

/// The longest key of an attribute.
const KEY: usize = 63 + 1 + 32;

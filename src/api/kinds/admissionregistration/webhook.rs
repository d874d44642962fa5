//! Webhooks: their names, where they are called, and what is believed of them. What is stored already may break later rules.

use std::collections::HashSet;

use serde_json::Value;

use super::rule;
use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::kinds::selector::{self, Values};
use crate::api::kinds::url;
use crate::api::kinds::write::Write;
use crate::api::meta::name;

/// What the stored webhooks keep to, and so all that come.
struct Kept {
    effects: bool,
    versions: bool,
    names: bool,
    values: Values,
    conditions: bool,
}

pub(super) fn check(write: &Write<'_>, errors: &mut Vec<FieldError>) {
    let (root, kept) = (write.root(), Kept::of(write));
    let mut names = HashSet::new();
    for hook in root.at("webhooks").items() {
        check_hook(&hook, &kept, errors);
        check_versions(&hook.at("admissionReviewVersions"), &kept, errors);
        let own = hook.at("name");
        if kept.names && !own.is_empty() && !names.insert(own.text()) {
            errors.push(own.duplicate());
        }
    }
}

impl Kept {
    fn of(write: &Write<'_>) -> Self {
        let hooks = |object: &'_ Value| object["webhooks"].as_array().cloned().unwrap_or_default();
        let old = hooks(write.old);
        let mut names = HashSet::new();
        let known = |hook: &Value| {
            let versions = hook["admissionReviewVersions"].as_array().map_or(&[][..], Vec::as_slice);
            versions.is_empty() || versions.iter().any(|version| VERSIONS.iter().any(|known| version == known))
        };
        let faulty = |hook: &Value| ["namespaceSelector", "objectSelector"].iter().any(|own| selector::is_faulty(&hook[*own]));
        let conditions = |hooks: &[Value]| -> Vec<Value> { hooks.iter().map(|hook| hook["matchConditions"].clone()).collect() };
        Self {
            effects: old.iter().all(|hook| EFFECTS.iter().any(|known| hook["sideEffects"] == *known)),
            versions: old.iter().all(known),
            names: old.iter().all(|hook| names.insert(hook["name"].as_str().unwrap_or(""))),
            values: if old.iter().any(faulty) { Values::Any } else { Values::Labels },
            conditions: write.is_create() || conditions(&old) != conditions(&hooks(write.new)),
        }
    }
}

fn check_hook(hook: &Field<'_, '_>, kept: &Kept, errors: &mut Vec<FieldError>) {
    check_name(&hook.at("name"), errors);
    hook.at("rules").items().for_each(|own| rule::check(&own, errors));
    for (member, set) in [("failurePolicy", ["Fail", "Ignore"]), ("matchPolicy", ["Equivalent", "Exact"])] {
        listed(&hook.at(member), &set, errors);
    }
    let effects = hook.at("sideEffects");
    let allowed: &[&str] = if kept.effects { &EFFECTS } else { &["None", "NoneOnDryRun", "Some", "Unknown"] };
    if effects.is_absent() {
        errors.push(effects.required(&format!("must specify one of {}", allowed.join(", "))));
    }
    listed(&effects, allowed, errors);
    let timeout = hook.at("timeoutSeconds");
    if timeout.number().is_some_and(|seconds| !(1..=30).contains(&seconds)) {
        errors.push(timeout.invalid("the timeout value must be between 1 and 30 seconds"));
    }
    selector::check(&hook.at("namespaceSelector"), kept.values, errors);
    selector::check(&hook.at("objectSelector"), kept.values, errors);
    listed(&hook.at("reinvocationPolicy"), &["IfNeeded", "Never"], errors);
    let client = hook.at("clientConfig");
    match (client.at("url").is_absent(), client.at("service").is_absent()) {
        (false, true) => url::check(&client.at("url"), errors),
        (true, false) => url::check_service(&client.at("service"), errors),
        _ => errors.push(client.required("exactly one of url or service is required")),
    }
    if kept.conditions {
        rule::check_conditions(&hook.at("matchConditions"), errors);
    }
}

/// A name of at least three parts.
fn check_name(own: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if own.require(errors).is_empty() {
        return;
    }
    let faults = name::subdomain(own.text());
    if !faults.is_empty() {
        errors.push(own.invalid(&faults.join(",")));
    } else if own.text().split('.').count() < 3 {
        errors.push(own.invalid("should be a domain with at least three segments separated by dots"));
    }
}

fn check_versions(versions: &Field<'_, '_>, kept: &Kept, errors: &mut Vec<FieldError>) {
    if versions.is_empty() {
        errors.push(versions.required("must specify one of v1, v1beta1"));
        return;
    }
    let mut seen = HashSet::new();
    for version in versions.items() {
        if !seen.insert(version.text()) {
            errors.push(version.invalid("duplicate version"));
            continue;
        }
        errors.extend(name::label_1035(version.text()).iter().map(|fault| version.invalid(fault)));
    }
    if kept.versions && !VERSIONS.iter().any(|known| seen.contains(known)) {
        errors.push(versions.invalid("must include at least one of v1, v1beta1"));
    }
}

/// A value of a closed set, if it is there.
fn listed(value: &Field<'_, '_>, set: &[&str], errors: &mut Vec<FieldError>) {
    if !value.is_absent() && !set.contains(&value.text()) {
        errors.push(value.unsupported(set));
    }
}

const EFFECTS: [&str; 2] = ["None", "NoneOnDryRun"];
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

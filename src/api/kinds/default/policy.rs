//! Defaults of what decides about requests: `rbac.authorization.k8s.io`, `admissionregistration.k8s.io`, `flowcontrol.apiserver.k8s.io`.

use serde_json::json;

use super::member::{Members, each, make, object, put, put_zero, text};

/// A kind of these groups.
pub(super) fn fill(kind: &str, object: &mut Members) {
    match kind {
        "RoleBinding" | "ClusterRoleBinding" => fill_binding(object),
        "ValidatingWebhookConfiguration" => each(object, "webhooks", fill_webhook),
        "MutatingWebhookConfiguration" => each(object, "webhooks", |webhook| {
            fill_webhook(webhook);
            put(webhook, "reinvocationPolicy", "Never");
        }),
        "ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy" => fill_admission_policy(object),
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => fill_match(object, "matchResources"),
        "FlowSchema" => fill_flow(object),
        "PriorityLevelConfiguration" => fill_level(object),
        _ => {}
    }
}

fn fill_binding(binding: &mut Members) {
    if let Some(role) = make(binding, "roleRef") {
        put_zero(role, "apiGroup", RBAC);
    }
    each(binding, "subjects", |subject| {
        if matches!(text(subject, "kind"), "User" | "Group") {
            put_zero(subject, "apiGroup", RBAC);
        }
    });
}

fn fill_webhook(webhook: &mut Members) {
    put(webhook, "failurePolicy", "Fail");
    fill_selectors(webhook);
    put(webhook, "timeoutSeconds", 10);
    each(webhook, "rules", |rule| put(rule, "scope", "*"));
    if let Some(service) = object(webhook, "clientConfig").and_then(|client| object(client, "service")) {
        put(service, "port", 443);
    }
}

fn fill_selectors(members: &mut Members) {
    put(members, "matchPolicy", "Equivalent");
    put(members, "namespaceSelector", json!({}));
    put(members, "objectSelector", json!({}));
}

fn fill_admission_policy(policy: &mut Members) {
    if let Some(spec) = make(policy, "spec") {
        put(spec, "failurePolicy", "Fail");
    }
    fill_match(policy, "matchConstraints");
}

fn fill_match(policy: &mut Members, name: &str) {
    let Some(resources) = object(policy, "spec").and_then(|spec| object(spec, name)) else { return };
    fill_selectors(resources);
    for rules in ["resourceRules", "excludeResourceRules"] {
        each(resources, rules, |rule| put(rule, "scope", "*"));
    }
}

fn fill_flow(flow: &mut Members) {
    if let Some(spec) = make(flow, "spec") {
        put_zero(spec, "matchingPrecedence", 1000);
    }
}

fn fill_level(level: &mut Members) {
    let Some(spec) = object(level, "spec") else { return };
    for (name, shares) in [("limited", 30), ("exempt", 0)] {
        let Some(members) = object(spec, name) else { continue };
        put(members, "nominalConcurrencyShares", shares);
        put(members, "lendablePercent", 0);
        if let Some(queuing) = object(members, "limitResponse").and_then(|response| object(response, "queuing")) {
            put_zero(queuing, "queues", 64);
            put_zero(queuing, "handSize", 8);
            put_zero(queuing, "queueLengthLimit", 50);
        }
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";

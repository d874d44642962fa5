//! Nobody grants what he does not hold: roles and bindings (contract 6.3).
//!
//! kube-apiserver does this in the storage of RBAC; it comes here because it is the last word before validation there too.

use serde_json::{Value, json};

use super::{Operation, Review};
use crate::api::error::{self, Subject};
use crate::api::{Api, refusal};
use crate::policy::rbac::{self, Rule};
use crate::policy::{Ask, Decision, User};
use crate::request::{Resource, Target};
use crate::status::Status;

pub(super) fn admit(api: &Api, review: &Review<'_>, object: &Value) -> Result<(), Status> {
    if review.kind.group != GROUP || !review.subresource.is_empty() || review.operation == Operation::Delete {
        return Ok(());
    }
    let Some(identity) = review.permit.identity() else { return Ok(()) };
    if identity.is_in(MASTERS) || review.old.is_some_and(|old| only_for_the_collector(object, old)) {
        return Ok(());
    }
    match review.kind.plural.as_str() {
        "roles" | "clusterroles" => role(api, review, object),
        "rolebindings" | "clusterrolebindings" => binding(api, review, object),
        _ => Ok(()),
    }
}

fn role(api: &Api, review: &Review<'_>, role: &Value) -> Result<(), Status> {
    // A create names nothing in its URL.
    let name = if review.operation == Operation::Create { "" } else { review.name };
    if may(api, review, "escalate", (&review.kind.plural, name))? {
        return Ok(());
    }
    refuse_wider(api, review, (role, &rules(&role["rules"])))?;
    let aggregates = |role: &Value| !role["aggregationRule"].is_null();
    if !aggregates(role) && !review.old.is_some_and(aggregates) {
        return Ok(());
    }
    let everything = rules(&json!([
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]}
    ]));
    refuse_wider(api, review, (role, &everything))
        .map_err(|_| review.forbid(role, "must have cluster-admin privileges to use the aggregationRule"))
}

fn binding(api: &Api, review: &Review<'_>, binding: &Value) -> Result<(), Status> {
    let text = |member: &str| binding["roleRef"][member].as_str().unwrap_or("");
    let (plural, namespace) = match text("kind") {
        "Role" => ("roles", review.namespace),
        "ClusterRole" => ("clusterroles", ""),
        // What binds nothing is refused by validation.
        _ => return Ok(()),
    };
    let name = text("name");
    if may(api, review, "bind", (plural, name))? {
        return Ok(());
    }
    let kind = api.catalog.find(GROUP, "v1", plural).ok_or_else(refusal::no_route)?;
    let missing = || error::not_found(Subject { group: GROUP, what: plural, name });
    let role = api.seen(kind, namespace, name).ok_or_else(missing)?.value();
    refuse_wider(api, review, (binding, &rules(&role["rules"])))
}

/// 403 unless the caller's own rules cover the others.
fn refuse_wider(api: &Api, review: &Review<'_>, (object, wanted): (&Value, &[Rule])) -> Result<(), Status> {
    let Some(identity) = review.permit.identity() else { return Ok(()) };
    let held = api.asking()?.authorizer.rules(&User::from(identity), review.namespace);
    let missing = rbac::uncovered(&held.rules, wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let mut lines: Vec<String> = compact(missing).iter().map(describe).collect();
    lines.sort();
    lines.dedup();
    let mut cause = format!(
        "user {} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        error::quoted(identity.user()),
        list(identity.groups()),
        lines.join("\n")
    );
    if !held.errors.is_empty() {
        cause += &format!("; resolution errors: [{}]", held.errors.join(" "));
    }
    Err(review.forbid(object, cause))
}

fn may(api: &Api, review: &Review<'_>, verb: &str, (plural, name): (&str, &str)) -> Result<bool, Status> {
    let target = Target::Resource(Resource {
        group: GROUP.to_owned(),
        version: "v1".to_owned(),
        resource: plural.to_owned(),
        namespace: review.namespace.to_owned(),
        name: name.to_owned(),
        ..Resource::default()
    });
    let decision = api.asking()?.authorizer.decide_for(review.permit, &Ask::new(verb, &target));
    Ok(matches!(decision, Decision::Allow { .. }))
}

/// An update that changes nothing but what the garbage collector needs grants nothing.
fn only_for_the_collector(new: &Value, old: &Value) -> bool {
    let stripped = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for member in ["ownerReferences", "finalizers", "managedFields", "resourceVersion"] {
                metadata.remove(member);
            }
        }
        object
    };
    stripped(new) == stripped(old)
}

fn rules(value: &Value) -> Vec<Rule> {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

/// Joins rules on one resource that differ in their verbs.
fn compact(parts: Vec<Rule>) -> Vec<Rule> {
    let mut joined: Vec<Rule> = Vec::new();
    for part in parts {
        let same = |rule: &&mut Rule| {
            rule.non_resource_urls.is_empty()
                && (&rule.api_groups, &rule.resources, &rule.resource_names)
                    == (&part.api_groups, &part.resources, &part.resource_names)
        };
        match joined.iter_mut().find(same) {
            Some(rule) if part.non_resource_urls.is_empty() => rule.verbs.extend(part.verbs),
            _ => joined.push(part),
        }
    }
    joined
}

/// `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`
fn describe(rule: &Rule) -> String {
    let parts = [
        ("APIGroups", &rule.api_groups),
        ("Resources", &rule.resources),
        ("NonResourceURLs", &rule.non_resource_urls),
        ("ResourceNames", &rule.resource_names),
        ("Verbs", &rule.verbs),
    ];
    let parts = parts.iter().filter(|(_, items)| !items.is_empty());
    let parts: Vec<String> = parts.map(|(name, items)| format!("{name}:{}", list(items))).collect();
    format!("{{{}}}", parts.join(", "))
}

/// Go's `%q` of a list.
fn list(items: &[String]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| error::quoted(item)).collect();
    format!("[{}]", quoted.join(" "))
}

const GROUP: &str = "rbac.authorization.k8s.io";
const MASTERS: &str = "system:masters";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_as_go_prints_them() {
        let wanted = rules(&json!([
            {"apiGroups": [""], "resources": ["pods", "secrets"], "verbs": ["get", "list"]},
            {"nonResourceURLs": ["*"], "verbs": ["*"]},
            {"apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"], "verbs": ["get"]},
        ]));
        let lines: Vec<String> = compact(rbac::uncovered(&[], &wanted)).iter().map(describe).collect();
        assert_eq!(
            lines,
            [
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}"#,
                r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}"#,
                r#"{NonResourceURLs:["*"], Verbs:["*"]}"#,
                r#"{APIGroups:[""], Resources:["pods"], ResourceNames:["a"], Verbs:["get"]}"#,
            ]
        );
    }

    #[test]
    fn what_the_collector_changes() {
        let old = json!({"metadata": {"name": "a", "finalizers": ["x/y"]}, "rules": []});
        for (new, expected) in [
            (json!({"metadata": {"name": "a"}, "rules": []}), true),
            (json!({"metadata": {"name": "a", "ownerReferences": [1]}, "rules": []}), true),
            (json!({"metadata": {"name": "a"}, "rules": [1]}), false),
            (json!({"metadata": {"name": "a", "labels": {"a": "b"}}, "rules": []}), false),
        ] {
            assert_eq!(only_for_the_collector(&new, &old), expected, "{new}");
        }
    }
}

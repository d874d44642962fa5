//! Roles and bindings: the form of rules and subjects, and the role of a binding, which does not change.

use serde_json::{Value, json};

use super::field::{is_empty, items, one_of, required};
use crate::api::catalog::Kind;
use crate::api::error::FieldError;

pub(super) fn check(kind: &Kind, new: &Value, errors: &mut Vec<FieldError>) {
    match kind.plural.as_str() {
        "roles" | "clusterroles" => {
            for (path, rule) in items(&new["rules"], "rules") {
                check_rule(rule, &path, kind.namespaced, errors);
            }
        }
        _ => check_binding(new, kind.namespaced, errors),
    }
}

pub(super) fn check_change(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (own, stored) = (&new["roleRef"], &old["roleRef"]);
    if own != stored {
        let shown = json!({"APIGroup": own["apiGroup"], "Kind": own["kind"], "Name": own["name"]});
        errors.push(FieldError::invalid("roleRef", &shown, "cannot change roleRef"));
    }
}

fn check_rule(rule: &Value, path: &str, namespaced: bool, errors: &mut Vec<FieldError>) {
    if is_empty(&rule["verbs"]) {
        errors.push(FieldError::required(format!("{path}.verbs"), "verbs must contain at least one value"));
    }
    let resources = ["apiGroups", "resources", "resourceNames"].iter().any(|member| !is_empty(&rule[*member]));
    if !is_empty(&rule["nonResourceURLs"]) {
        let path = format!("{path}.nonResourceURLs");
        if namespaced {
            let fault = "namespaced rules cannot apply to non-resource URLs";
            errors.push(FieldError::invalid(&path, &rule["nonResourceURLs"], fault));
        }
        if resources {
            let fault = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(FieldError::invalid(&path, &rule["nonResourceURLs"], fault));
        }
        return;
    }
    for (member, detail) in [
        ("apiGroups", "resource rules must supply at least one api group"),
        ("resources", "resource rules must supply at least one resource"),
    ] {
        if is_empty(&rule[member]) {
            errors.push(FieldError::required(format!("{path}.{member}"), detail));
        }
    }
}

fn check_binding(new: &Value, namespaced: bool, errors: &mut Vec<FieldError>) {
    let role = &new["roleRef"];
    if role["apiGroup"] != GROUP {
        errors.push(FieldError::unsupported("roleRef.apiGroup", &role["apiGroup"], &[GROUP]));
    }
    let kinds: &[&str] = if namespaced { &["ClusterRole", "Role"] } else { &["ClusterRole"] };
    if !kinds.iter().any(|kind| role["kind"] == *kind) {
        errors.push(FieldError::unsupported("roleRef.kind", &Value::from(role["kind"].as_str().unwrap_or("")), kinds));
    }
    required(&role["name"], "roleRef.name", errors);
    for (path, subject) in items(&new["subjects"], "subjects") {
        required(&subject["name"], &format!("{path}.name"), errors);
        let group = subject["apiGroup"].as_str().unwrap_or("");
        match subject["kind"].as_str().unwrap_or("") {
            "ServiceAccount" => {
                if !group.is_empty() {
                    errors.push(FieldError::unsupported(format!("{path}.apiGroup"), &subject["apiGroup"], &[""]));
                }
                if is_empty(&subject["namespace"]) && !namespaced {
                    errors.push(FieldError::required(format!("{path}.namespace"), ""));
                }
            }
            "User" | "Group" => one_of(&subject["apiGroup"], &format!("{path}.apiGroup"), &[GROUP], errors),
            _ => {
                let kinds = ["Group", "ServiceAccount", "User"];
                let kind = Value::from(subject["kind"].as_str().unwrap_or(""));
                errors.push(FieldError::unsupported(format!("{path}.kind"), &kind, &kinds));
            }
        }
    }
}

const GROUP: &str = "rbac.authorization.k8s.io";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let rows = [
            (json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}), true, ""),
            (json!({"verbs": ["get"], "nonResourceURLs": ["/x"]}), false, ""),
            (json!({"apiGroups": [""], "resources": ["pods"]}), true, "verbs must contain at least one value"),
            (json!({"verbs": ["get"], "resources": ["pods"]}), true, "at least one api group"),
            (json!({"verbs": ["get"], "nonResourceURLs": ["/x"]}), true, "namespaced rules cannot apply"),
        ];
        for (rule, namespaced, expected) in rows {
            let mut errors = Vec::new();
            check_rule(&rule, "rules[0]", namespaced, &mut errors);
            let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(all.is_empty(), expected.is_empty(), "{all:?}");
            assert!(all.join(" ").contains(expected), "{all:?}");
        }
    }
}

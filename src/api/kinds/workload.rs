//! Deployments, ReplicaSets, StatefulSets, DaemonSets and ReplicationControllers: selectors and their templates.

use serde_json::{Value, json};

use super::field::{immutable, is_empty, not_negative, one_of, selector, selects};
use super::pod;
use crate::api::catalog::Kind;
use crate::api::error::FieldError;

/// A DaemonSet also counts the generations of its template.
pub(super) fn prepare_daemon(new: &mut Value, old: Option<&Value>) {
    let key = "deprecated.daemonset.template.generation";
    let count = match old {
        None => 1,
        Some(old) => {
            let stored = old["metadata"]["annotations"][key].as_str().and_then(|count| count.parse::<i64>().ok()).unwrap_or(0);
            stored + i64::from(new["spec"]["template"] != old["spec"]["template"])
        }
    };
    new["metadata"]["annotations"][key] = Value::from(count.to_string());
}

pub(super) fn check(kind: &Kind, new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    for member in ["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        not_negative(&spec[member], &format!("spec.{member}"), errors);
    }
    match (spec["progressDeadlineSeconds"].as_i64(), spec["minReadySeconds"].as_i64().unwrap_or(0)) {
        (Some(deadline), ready) if deadline <= ready => {
            let path = "spec.progressDeadlineSeconds";
            errors.push(FieldError::invalid(path, &spec["progressDeadlineSeconds"], "must be greater than minReadySeconds"));
        }
        _ => {}
    }
    let fault = match kind.kind.as_str() {
        "StatefulSet" => "empty selector is invalid for statefulset",
        "DaemonSet" => "empty selector is invalid for daemonset",
        _ => "empty selector is invalid for deployment",
    };
    match &spec["selector"] {
        Value::Null => errors.push(FieldError::required("spec.selector", "")),
        own => {
            selector(own, "spec.selector", errors);
            if is_empty(&own["matchLabels"]) && is_empty(&own["matchExpressions"]) {
                errors.push(FieldError::invalid("spec.selector", own, fault));
            } else {
                check_labels(&spec["template"], selects(own, &spec["template"]["metadata"]["labels"]), errors);
            }
        }
    }
    check_template(&spec["template"], errors);
    if kind.kind == "StatefulSet" {
        one_of(&spec["podManagementPolicy"], "spec.podManagementPolicy", &["OrderedReady", "Parallel"], errors);
    }
    if kind.kind == "Deployment" {
        one_of(&spec["strategy"]["type"], "spec.strategy.type", &["Recreate", "RollingUpdate"], errors);
        if spec["strategy"]["type"] == "Recreate" && !spec["strategy"]["rollingUpdate"].is_null() {
            let fault = "may not be specified when strategy `type` is 'Recreate'";
            errors.push(FieldError::forbidden("spec.strategy.rollingUpdate", fault));
        }
    }
}

pub(super) fn check_controller(new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    for member in ["replicas", "minReadySeconds"] {
        not_negative(&spec[member], &format!("spec.{member}"), errors);
    }
    if is_empty(&spec["selector"]) {
        errors.push(FieldError::required("spec.selector", ""));
    }
    if spec["template"].is_null() {
        errors.push(FieldError::required("spec.template", ""));
        return;
    }
    let chosen = selects(&json!({"matchLabels": spec["selector"]}), &spec["template"]["metadata"]["labels"]);
    check_labels(&spec["template"], chosen || is_empty(&spec["selector"]), errors);
    check_template(&spec["template"], errors);
}

pub(super) fn check_change(kind: &Kind, new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (own, stored) = (&new["spec"], &old["spec"]);
    if kind.kind != "StatefulSet" {
        immutable(&own["selector"], &stored["selector"], "spec.selector", errors);
        return;
    }
    let fixed = |spec: &Value| {
        let mut spec = spec.clone();
        if let Some(members) = spec.as_object_mut() {
            members.retain(|member, _| !STATEFUL.contains(&member.as_str()));
        }
        spec
    };
    if fixed(own) != fixed(stored) {
        let fault = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
                     'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        errors.push(FieldError::forbidden("spec", fault));
    }
}

fn check_labels(template: &Value, chosen: bool, errors: &mut Vec<FieldError>) {
    if !chosen {
        let labels = match &template["metadata"]["labels"] {
            Value::Null => json!(null),
            labels => labels.clone(),
        };
        let fault = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid("spec.template.metadata.labels", &labels, fault));
    }
}

fn check_template(template: &Value, errors: &mut Vec<FieldError>) {
    pod::check_template(template, "spec.template", errors);
    let policy = &template["spec"]["restartPolicy"];
    if matches!(policy.as_str(), Some("OnFailure" | "Never")) {
        errors.push(FieldError::unsupported("spec.template.spec.restartPolicy", policy, &["Always"]));
    }
    if template["spec"]["activeDeadlineSeconds"].is_number() {
        let fault = "activeDeadlineSeconds in ReplicaSet is not Supported";
        errors.push(FieldError::forbidden("spec.template.spec.activeDeadlineSeconds", fault));
    }
}

const STATEFUL: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::catalog::Catalog;

    #[test]
    fn selectors_and_templates() {
        let catalog = Catalog::builtin();
        let kind = catalog.find("apps", "v1", "deployments").expect("deployments");
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let rows = [
            (json!({"selector": {"matchLabels": {"a": "b"}}, "template": template}), ""),
            (json!({"template": template}), "spec.selector: Required value"),
            (
                json!({"selector": {}, "template": template}),
                "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
            ),
            (
                json!({"selector": {"matchLabels": {"a": "x"}}, "template": template}),
                "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
            ),
        ];
        for (spec, expected) in rows {
            let mut errors = Vec::new();
            check(kind, &json!({"spec": spec}), &mut errors);
            let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(all.join("; "), expected);
        }
    }

    #[test]
    fn selectors_stay() {
        let catalog = Catalog::builtin();
        let kind = catalog.find("apps", "v1", "replicasets").expect("replicasets");
        let with = |value: &str| json!({"spec": {"selector": {"matchLabels": {"a": value}}}});
        let mut errors = Vec::new();
        check_change(kind, &with("2"), &with("1"), &mut errors);
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(all, ["spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"2\"}}: field is immutable"]);
    }
}

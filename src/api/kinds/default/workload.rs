//! Defaults of `apps`, `batch` and `autoscaling`.

use serde_json::{Value, json};

use super::member::{Members, each, is_absent, is_zero, make, object, put, put_zero, text};
use super::{pod, volume};

/// A kind of these groups.
pub(super) fn fill((version, kind): (&str, &str), object: &mut Members) {
    match (version, kind) {
        ("v1", "Deployment") => fill_with(object, fill_deployment),
        ("v1", "ReplicaSet") => fill_with(object, |spec| put(spec, "replicas", 1)),
        ("v1", "DaemonSet") => fill_with(object, fill_daemon_set),
        ("v1", "StatefulSet") => fill_with(object, fill_stateful_set),
        ("v1", "Job") => fill_job(object),
        ("v1", "CronJob") => fill_cron_job(object),
        ("v1", "HorizontalPodAutoscaler") => fill_autoscaler_v1(object),
        ("v2", "HorizontalPodAutoscaler") => fill_autoscaler(object),
        _ => {}
    }
}

/// A kind whose spec has a template.
fn fill_with(object: &mut Members, fill: fn(&mut Members)) {
    if let Some(spec) = make(object, "spec") {
        fill(spec);
        pod::fill_template(spec, "template");
    }
}

fn fill_deployment(spec: &mut Members) {
    put(spec, "replicas", 1);
    put(spec, "revisionHistoryLimit", 10);
    put(spec, "progressDeadlineSeconds", 600);
    let rolling = json!({"maxSurge": "25%", "maxUnavailable": "25%"});
    fill_rolling(spec, "strategy", rolling);
}

fn fill_daemon_set(spec: &mut Members) {
    put(spec, "revisionHistoryLimit", 10);
    fill_rolling(spec, "updateStrategy", json!({"maxSurge": 0, "maxUnavailable": 1}));
}

fn fill_rolling(spec: &mut Members, name: &str, defaults: Value) {
    let Some(strategy) = make(spec, name) else { return };
    put_zero(strategy, "type", "RollingUpdate");
    if text(strategy, "type") != "RollingUpdate" {
        return;
    }
    let (Some(rolling), Value::Object(defaults)) = (make(strategy, "rollingUpdate"), defaults) else { return };
    for (name, value) in defaults {
        put(rolling, &name, value);
    }
}

fn fill_stateful_set(spec: &mut Members) {
    put(spec, "replicas", 1);
    put(spec, "revisionHistoryLimit", 10);
    put_zero(spec, "podManagementPolicy", "OrderedReady");
    if let Some(strategy) = make(spec, "updateStrategy") {
        if is_zero(strategy, "type") {
            put_zero(strategy, "type", "RollingUpdate");
            put(strategy, "rollingUpdate", json!({}));
        }
        let rolling = text(strategy, "type") == "RollingUpdate";
        if let Some(update) = object(strategy, "rollingUpdate").filter(|_| rolling) {
            put(update, "partition", 0);
        }
    }
    if let Some(retention) = make(spec, "persistentVolumeClaimRetentionPolicy") {
        put_zero(retention, "whenDeleted", "Retain");
        put_zero(retention, "whenScaled", "Retain");
    }
    each(spec, "volumeClaimTemplates", |claim| {
        claim.insert("apiVersion".to_owned(), "v1".into());
        claim.insert("kind".to_owned(), "PersistentVolumeClaim".into());
        volume::fill_claim(claim);
    });
}

fn fill_job(job: &mut Members) {
    let labels = make(job, "spec").and_then(|spec| {
        fill_job_spec(spec);
        pod::fill_template(spec, "template");
        object(spec, "template").and_then(template_labels)
    });
    label_like(job, labels);
}

fn fill_job_spec(spec: &mut Members) {
    if is_absent(spec, "completions") && is_absent(spec, "parallelism") {
        put(spec, "completions", 1);
    }
    put(spec, "parallelism", 1);
    let retries = if is_absent(spec, "backoffLimitPerIndex") { 6 } else { i32::MAX };
    put(spec, "backoffLimit", retries);
    put(spec, "completionMode", "NonIndexed");
    put(spec, "suspend", false);
    put(spec, "manualSelector", false);
    let policy = object(spec, "podFailurePolicy");
    let replacement = if policy.is_some() { "Failed" } else { "TerminatingOrFailed" };
    if let Some(policy) = policy {
        fill_failures(policy);
    }
    put(spec, "podReplacementPolicy", replacement);
}

/// A `podFailurePolicy`.
fn fill_failures(policy: &mut Members) {
    each(policy, "rules", |rule| each(rule, "onPodConditions", |condition| put_zero(condition, "status", "True")));
}

fn fill_cron_job(job: &mut Members) {
    let Some(spec) = make(job, "spec") else { return };
    put_zero(spec, "concurrencyPolicy", "Allow");
    put(spec, "suspend", false);
    put(spec, "successfulJobsHistoryLimit", 3);
    put(spec, "failedJobsHistoryLimit", 1);
    if let Some(spec) = make(spec, "jobTemplate").and_then(|template| make(template, "spec")) {
        object(spec, "podFailurePolicy").into_iter().for_each(fill_failures);
        pod::fill_template(spec, "template");
    }
}

fn fill_autoscaler(autoscaler: &mut Members) {
    let Some(spec) = make(autoscaler, "spec") else { return };
    put(spec, "minReplicas", 1);
    let target = json!({"type": "Utilization", "averageUtilization": 80});
    put_zero(spec, "metrics", json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]));
    let Some(behavior) = object(spec, "behavior") else { return };
    let policies =
        [json!({"type": "Pods", "value": 4, "periodSeconds": 15}), json!({"type": "Percent", "value": 100, "periodSeconds": 15})];
    if let Some(up) = make(behavior, "scaleUp") {
        put(up, "stabilizationWindowSeconds", 0);
        fill_scaling(up, &policies);
    }
    if let Some(down) = make(behavior, "scaleDown") {
        fill_scaling(down, &policies[1..]);
    }
}

fn fill_scaling(rules: &mut Members, policies: &[Value]) {
    put(rules, "selectPolicy", "Max");
    put(rules, "policies", policies);
}

/// Version 1 keeps other metrics in an annotation; the default is for autoscalers without any.
fn fill_autoscaler_v1(autoscaler: &mut Members) {
    let annotations = object(autoscaler, "metadata").and_then(|metadata| object(metadata, "annotations"));
    let others = annotations.map(|annotations| text(annotations, OTHER_METRICS).trim().to_owned()).unwrap_or_default();
    let Some(spec) = make(autoscaler, "spec") else { return };
    put(spec, "minReplicas", 1);
    if matches!(others.as_str(), "" | "[]" | "null") {
        put(spec, "targetCPUUtilizationPercentage", 80);
    }
}

/// The labels of a template.
pub(super) fn template_labels(template: &mut Members) -> Option<Value> {
    object(template, "metadata")?.get("labels").filter(|labels| labels.is_object()).cloned()
}

/// An object without labels gets these.
pub(super) fn label_like(object: &mut Members, labels: Option<Value>) {
    if let (Some(labels), Some(metadata)) = (labels, make(object, "metadata")) {
        put_zero(metadata, "labels", labels);
    }
}

const OTHER_METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";

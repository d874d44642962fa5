//! Between the versions of one resource: the stored form and the served one.
//!
//! Knows the two resources that are served in two forms: events, and horizontal pod autoscalers with a CPU target. What the other form
//! has no field for travels in an annotation.

use serde_json::{Map, Value, json};

use crate::schema::Schema;

/// Group, version and kind.
pub(super) type Gvk<'a> = (&'a str, &'a str, &'a str);

/// Turns an object of one version into another.
///
/// # Errors
/// When there is no way from one to the other.
pub(super) fn convert(from: Gvk<'_>, to: Gvk<'_>, value: &mut Value) -> Result<(), String> {
    match (from, to) {
        _ if from == to => return Ok(()),
        (("", "v1", "Event"), ("events.k8s.io", "v1", "Event")) => rename(value, |(core, new)| (core, new)),
        (("events.k8s.io", "v1", "Event"), ("", "v1", "Event")) => rename(value, |(core, new)| (new, core)),
        (("autoscaling", "v2", SCALER), ("autoscaling", "v1", SCALER)) => to_target(value),
        (("autoscaling", "v1", SCALER), ("autoscaling", "v2", SCALER)) => to_metrics(value),
        _ => return Err(format!("{}/{} {} cannot be read as {}/{} {}", from.0, from.1, from.2, to.0, to.1, to.2)),
    }
    value["apiVersion"] = crate::api::catalog::api_version(to.0, to.1).into();
    if let Some(schema) = Schema::builtin(to.0, to.1, to.2) {
        schema.normalise(value);
    }
    Ok(())
}

fn rename(value: &mut Value, way: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str)) {
    let Some(members) = value.as_object_mut() else { return };
    for (from, to) in EVENT.map(way) {
        if let Some(member) = members.remove(from) {
            members.insert(to.to_owned(), member);
        }
    }
}

/// v2 to v1: the first CPU utilisation becomes the target.
fn to_target(value: &mut Value) {
    let mut kept = Map::new();
    let mut metrics = list(&mut value["spec"], "metrics");
    if let Some(target) = take(&mut metrics, |metric| &metric["resource"]["target"]["averageUtilization"]) {
        value["spec"]["targetCPUUtilizationPercentage"] = target;
    }
    let mut current = list(&mut value["status"], "currentMetrics");
    if let Some(now) = take(&mut current, |metric| &metric["resource"]["current"]["averageUtilization"]) {
        value["status"]["currentCPUUtilizationPercentage"] = now;
    }
    kept.insert(METRICS.to_owned(), metrics.into());
    kept.insert(CURRENT.to_owned(), current.into());
    kept.insert(CONDITIONS.to_owned(), list(&mut value["status"], "conditions").into());
    if let Some(behavior) = value["spec"].as_object_mut().and_then(|spec| spec.remove("behavior")) {
        kept.insert(BEHAVIOR.to_owned(), behavior);
    }
    for (annotation, what) in kept.into_iter().filter(|(_, what)| what.as_array().is_none_or(|list| !list.is_empty())) {
        value["metadata"]["annotations"][annotation] = what.to_string().into();
    }
}

/// v1 to v2, and back out of the annotations.
fn to_metrics(value: &mut Value) {
    let mut kept = |name: &str| {
        let annotations = value["metadata"]["annotations"].as_object_mut()?;
        let text = annotations.remove(name)?;
        serde_json::from_str::<Value>(text.as_str()?).ok()
    };
    let (metrics, current, conditions, behavior) = (kept(METRICS), kept(CURRENT), kept(CONDITIONS), kept(BEHAVIOR));
    let cpu = |member: &str, percent: Value| match member {
        "target" => {
            json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}})
        }
        _ => json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}}),
    };
    let mut wanted = metrics.and_then(|list| list.as_array().cloned()).unwrap_or_default();
    let mut seen = current.and_then(|list| list.as_array().cloned()).unwrap_or_default();
    let mut number = |part: &str, name: &str| value[part].as_object_mut()?.remove(name).filter(Value::is_number);
    if let Some(percent) = number("spec", "targetCPUUtilizationPercentage") {
        wanted.insert(0, cpu("target", percent));
    }
    if let Some(percent) = number("status", "currentCPUUtilizationPercentage") {
        seen.insert(0, cpu("current", percent));
    }
    let lists = [("spec", "metrics", wanted), ("status", "currentMetrics", seen)];
    for (part, name, list) in lists.into_iter().filter(|(_, _, list)| !list.is_empty()) {
        value[part][name] = list.into();
    }
    if let Some(conditions) = conditions {
        value["status"]["conditions"] = conditions;
    }
    if let Some(behavior) = behavior {
        value["spec"]["behavior"] = behavior;
    }
    let emptied = value["metadata"]["annotations"].as_object().is_some_and(Map::is_empty);
    if let Some(metadata) = value["metadata"].as_object_mut().filter(|_| emptied) {
        metadata.remove("annotations");
    }
}

/// Takes a list out of an object.
fn list(of: &mut Value, name: &str) -> Vec<Value> {
    match of.as_object_mut().and_then(|members| members.remove(name)) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// Takes the first CPU metric with this number out of a list.
fn take(metrics: &mut Vec<Value>, number: impl Fn(&Value) -> &Value) -> Option<Value> {
    let is_cpu =
        |metric: &Value| metric["type"] == "Resource" && metric["resource"]["name"] == "cpu" && number(metric).is_number();
    let at = metrics.iter().position(is_cpu)?;
    Some(number(&metrics.remove(at)).clone())
}

const SCALER: &str = "HorizontalPodAutoscaler";
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// The core group's names of an event's fields, and those of `events.k8s.io`.
const EVENT: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_again() {
        let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": {"name": "p"}, "message": "m", "count": 2, "reportingComponent": "r"});
        let scaler = json!({
            "apiVersion": "autoscaling/v2", "kind": SCALER, "metadata": {"name": "s"},
            "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"}, "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}},
                {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
            ]},
            "status": {"desiredReplicas": 1, "currentMetrics": null},
        });
        let rows = [
            (event, ("", "v1", "Event"), ("events.k8s.io", "v1", "Event"), "/regarding/name", json!("p")),
            (
                scaler,
                ("autoscaling", "v2", SCALER),
                ("autoscaling", "v1", SCALER),
                "/spec/targetCPUUtilizationPercentage",
                json!(80),
            ),
        ];
        for (mut value, from, to, pointer, wanted) in rows {
            if let Some(schema) = Schema::builtin(from.0, from.1, from.2) {
                schema.normalise(&mut value);
            }
            let mut other = value.clone();
            convert(from, to, &mut other).expect("a way");
            assert_eq!(other.pointer(pointer), Some(&wanted));
            convert(to, from, &mut other).expect("a way back");
            assert_eq!(other, value);
        }
        assert!(convert(("", "v1", "Pod"), ("", "v2", "Pod"), &mut json!({})).is_err());
    }
}

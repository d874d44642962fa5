//! Between the versions of one resource: the stored form and the served one.
//!
//! Knows the two resources that are served in two forms: events, and horizontal pod autoscalers with a CPU target. What the other form
//! has no field for travels in an annotation.

use serde_json::Value;

use crate::schema::Schema;

mod line;
mod scaler;

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
        (("autoscaling", "v2", SCALER), ("autoscaling", "v1", SCALER)) => scaler::to_v1(value),
        (("autoscaling", "v1", SCALER), ("autoscaling", "v2", SCALER)) => scaler::to_v2(value),
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

const SCALER: &str = "HorizontalPodAutoscaler";
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
    use serde_json::json;

    use super::*;

    #[test]
    fn there_and_back_again() {
        let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": {"name": "p"}, "message": "m", "count": 2, "reportingComponent": "r"});
        let scaler = json!({
            "apiVersion": "autoscaling/v2", "kind": SCALER, "metadata": {"name": "s"},
            "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"}, "metrics": [
                {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}},
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

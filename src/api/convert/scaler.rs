//! HorizontalPodAutoscalers as v1 and as v2: v1 has a CPU target only, and keeps everything else in annotations.
//!
//! What stands there is what kube-apiserver writes, byte by byte: metrics and conditions in the form of v1, the behaviour in that of
//! its own memory.

use serde_json::{Map, Value, json};

use super::line::{Line, text};

/// v2 to v1.
pub(super) fn to_v1(value: &mut Value) {
    let metrics = take(&mut value["spec"], "metrics");
    let current = take(&mut value["status"], "currentMetrics");
    let conditions = take(&mut value["status"], "conditions");
    let behavior = value["spec"].as_object_mut().and_then(|spec| spec.remove("behavior"));
    drop_notes(value);
    if let Some(target) = metrics.iter().find(|metric| is_cpu(metric)) {
        value["spec"]["targetCPUUtilizationPercentage"] = target["resource"]["target"]["averageUtilization"].clone();
    }
    let now = current.iter().filter(|metric| metric["type"] == "Resource" && metric["resource"]["name"] == "cpu");
    if let Some(now) = now.map(|metric| &metric["resource"]["current"]["averageUtilization"]).rfind(|now| now.is_number()) {
        value["status"]["currentCPUUtilizationPercentage"] = now.clone();
    }
    let metrics: Vec<String> = metrics.iter().filter(|metric| !is_cpu(metric)).map(metric).collect();
    let current: Vec<String> = current.iter().map(status).collect();
    let conditions: Vec<String> = conditions.iter().map(condition).collect();
    for (note, lines) in [(METRICS, metrics), (CURRENT, current), (CONDITIONS, conditions)] {
        if !lines.is_empty() {
            value["metadata"]["annotations"][note] = Value::from(format!("[{}]", lines.join(",")));
        }
    }
    if let Some(behavior) = behavior.filter(Value::is_object) {
        let rules = |side: &str| rules(&behavior[side]);
        let line = Line::new().put("ScaleUp", rules("scaleUp")).put("ScaleDown", rules("scaleDown"));
        value["metadata"]["annotations"][BEHAVIOR] = Value::from(line.end());
    }
}

/// v1 to v2.
pub(super) fn to_v2(value: &mut Value) {
    let note = |name: &str| -> Option<Value> { serde_json::from_str(value["metadata"]["annotations"][name].as_str()?).ok() };
    let list = |name: &str| note(name).and_then(|list| list.as_array().cloned()).unwrap_or_default();
    let (metrics, current, conditions, behavior) = (list(METRICS), list(CURRENT), list(CONDITIONS), note(BEHAVIOR));
    drop_notes(value);
    let mut number = |part: &str, name: &str| value[part].as_object_mut()?.remove(name).filter(Value::is_number);
    let target = number("spec", "targetCPUUtilizationPercentage");
    let now = number("status", "currentCPUUtilizationPercentage");
    let mut wanted: Vec<Value> = metrics.iter().map(metric_back).collect();
    // Without any metric there is one after all.
    let target = target.or_else(|| wanted.is_empty().then(|| Value::from(80)));
    wanted.extend(target.map(|percent| {
        json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}})
    }));
    value["spec"]["metrics"] = Value::from(wanted);
    let mut seen: Vec<Value> = current.iter().map(status_back).collect();
    if seen.is_empty() {
        seen.extend(
            now.map(
                |percent| json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}}),
            ),
        );
    }
    for (name, list) in [("currentMetrics", seen), ("conditions", conditions)] {
        if !list.is_empty() {
            value["status"][name] = Value::from(list);
        }
    }
    if let Some(behavior) = behavior.as_ref().and_then(behavior_back) {
        value["spec"]["behavior"] = behavior;
    }
}

/// Takes away the four annotations, and the map when nothing is left in it.
fn drop_notes(value: &mut Value) {
    let Some(annotations) = value["metadata"]["annotations"].as_object_mut() else {
        if let Some(metadata) = value["metadata"].as_object_mut() {
            metadata.remove("annotations");
        }
        return;
    };
    for note in [METRICS, CURRENT, CONDITIONS, BEHAVIOR] {
        annotations.remove(note);
    }
    if annotations.is_empty()
        && let Some(metadata) = value["metadata"].as_object_mut()
    {
        metadata.remove("annotations");
    }
}

fn is_cpu(metric: &Value) -> bool {
    let resource = &metric["resource"];
    metric["type"] == "Resource" && resource["name"] == "cpu" && resource["target"]["averageUtilization"].is_number()
}

fn take(of: &mut Value, name: &str) -> Vec<Value> {
    match of.as_object_mut().and_then(|members| members.remove(name)) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// A metric as v1 writes it.
fn metric(metric: &Value) -> String {
    let source = |of: &str, fill: fn(&Value) -> Line| metric[of].is_object().then(|| fill(&metric[of]).end());
    Line::new()
        .put("type", text(&metric["type"]))
        .some(
            "object",
            source("object", |own| {
                let target = &own["target"];
                named_object(own)
                    .put("targetValue", quantity(&target["value"]))
                    .some("selector", selector(&own["metric"]["selector"]))
                    .given("averageValue", &target["averageValue"])
            }),
        )
        .some(
            "pods",
            source("pods", |own| {
                named_metric(own)
                    .put("targetAverageValue", quantity(&own["target"]["averageValue"]))
                    .some("selector", selector(&own["metric"]["selector"]))
            }),
        )
        .some("resource", source("resource", |own| resource(own, "target")))
        .some(
            "containerResource",
            source("containerResource", |own| resource(own, "target").put("container", text(&own["container"]))),
        )
        .some(
            "external",
            source("external", |own| {
                named_metric(own)
                    .some("metricSelector", selector(&own["metric"]["selector"]))
                    .given("targetValue", &own["target"]["value"])
                    .given("targetAverageValue", &own["target"]["averageValue"])
            }),
        )
        .end()
}

/// A measured metric as v1 writes it.
fn status(metric: &Value) -> String {
    let source = |of: &str, fill: fn(&Value) -> Line| metric[of].is_object().then(|| fill(&metric[of]).end());
    let measured = |own: &Value| {
        let current = &own["current"];
        Line::new()
            .put("name", text(&own["name"]))
            .given("currentAverageUtilization", &current["averageUtilization"])
            .put("currentAverageValue", quantity(&current["averageValue"]))
    };
    Line::new()
        .put("type", text(&metric["type"]))
        .some(
            "object",
            source("object", |own| {
                named_object(own)
                    .put("currentValue", quantity(&own["current"]["value"]))
                    .some("selector", selector(&own["metric"]["selector"]))
                    .given("averageValue", &own["current"]["averageValue"])
            }),
        )
        .some(
            "pods",
            source("pods", |own| {
                named_metric(own)
                    .put("currentAverageValue", quantity(&own["current"]["averageValue"]))
                    .some("selector", selector(&own["metric"]["selector"]))
            }),
        )
        .some("resource", metric["resource"].is_object().then(|| measured(&metric["resource"]).end()))
        .some("containerResource", {
            let own = &metric["containerResource"];
            own.is_object().then(|| measured(own).put("container", text(&own["container"])).end())
        })
        .some(
            "external",
            source("external", |own| {
                named_metric(own)
                    .some("metricSelector", selector(&own["metric"]["selector"]))
                    .put("currentValue", quantity(&own["current"]["value"]))
                    .given("currentAverageValue", &own["current"]["averageValue"])
            }),
        )
        .end()
}

fn named_object(own: &Value) -> Line {
    let object = &own["describedObject"];
    let target = Line::new()
        .put("kind", text(&object["kind"]))
        .put("name", text(&object["name"]))
        .given("apiVersion", &object["apiVersion"]);
    Line::new().put("target", target.end()).put("metricName", text(&own["metric"]["name"]))
}

fn named_metric(own: &Value) -> Line {
    Line::new().put("metricName", text(&own["metric"]["name"]))
}

fn resource(own: &Value, side: &str) -> Line {
    Line::new()
        .put("name", text(&own["name"]))
        .given("targetAverageUtilization", &own[side]["averageUtilization"])
        .given("targetAverageValue", &own[side]["averageValue"])
}

/// A quantity that v1 always writes.
fn quantity(value: &Value) -> String {
    if value.is_null() { "\"0\"".to_owned() } else { value.to_string() }
}

fn selector(selector: &Value) -> Option<String> {
    let line =
        Line::new().given("matchLabels", &selector["matchLabels"]).given("matchExpressions", &selector["matchExpressions"]);
    selector.is_object().then(|| line.end())
}

fn condition(condition: &Value) -> String {
    Line::new()
        .put("type", text(&condition["type"]))
        .put("status", text(&condition["status"]))
        .put("lastTransitionTime", condition["lastTransitionTime"].to_string())
        .given("reason", &condition["reason"])
        .given("message", &condition["message"])
        .end()
}

/// The rules of one direction under the names of kube-apiserver's memory.
fn rules(rules: &Value) -> String {
    if !rules.is_object() {
        return "null".to_owned();
    }
    let policies = rules["policies"].as_array().map(|policies| {
        let line = |policy: &Value| {
            Line::new()
                .put("Type", text(&policy["type"]))
                .put("Value", policy["value"].to_string())
                .put("PeriodSeconds", policy["periodSeconds"].to_string())
                .end()
        };
        format!("[{}]", policies.iter().map(line).collect::<Vec<_>>().join(","))
    });
    Line::new()
        .put("StabilizationWindowSeconds", rules["stabilizationWindowSeconds"].to_string())
        .put("SelectPolicy", rules["selectPolicy"].to_string())
        .put("Policies", policies.unwrap_or_else(|| "null".to_owned()))
        .put("Tolerance", rules["tolerance"].to_string())
        .end()
}

/// The metric of a v1 annotation in the form of v2.
fn metric_back(metric: &Value) -> Value {
    let resource = |own: &Value| {
        let kind = if own["targetAverageUtilization"].is_null() { "AverageValue" } else { "Utilization" };
        json!({"name": own["name"], "container": own["container"], "target": {"type": kind,
            "averageUtilization": own["targetAverageUtilization"], "averageValue": own["targetAverageValue"]}})
    };
    let named = |own: &Value, selector: &str| json!({"name": own["metricName"], "selector": own[selector]});
    let mut out = json!({"type": metric["type"]});
    for (name, own) in sources(metric) {
        out[name] = match name {
            "object" => {
                let kind = if own["averageValue"].is_null() { "Value" } else { "AverageValue" };
                json!({"describedObject": own["target"], "metric": named(own, "selector"),
                    "target": {"type": kind, "value": own["targetValue"], "averageValue": own["averageValue"]}})
            }
            "pods" => json!({"metric": named(own, "selector"),
                "target": {"type": "AverageValue", "averageValue": own["targetAverageValue"]}}),
            "external" => {
                let kind = if own["targetValue"].is_null() { "AverageValue" } else { "Value" };
                json!({"metric": named(own, "metricSelector"),
                    "target": {"type": kind, "value": own["targetValue"], "averageValue": own["targetAverageValue"]}})
            }
            _ => resource(own),
        };
    }
    bare(out)
}

fn status_back(metric: &Value) -> Value {
    let named = |own: &Value, selector: &str| json!({"name": own["metricName"], "selector": own[selector]});
    let mut out = json!({"type": metric["type"]});
    for (name, own) in sources(metric) {
        out[name] = match name {
            "object" => json!({"describedObject": own["target"], "metric": named(own, "selector"),
                "current": {"value": own["currentValue"], "averageValue": own["averageValue"]}}),
            "pods" => {
                json!({"metric": named(own, "selector"), "current": {"averageValue": own["currentAverageValue"]}})
            }
            "external" => json!({"metric": named(own, "metricSelector"),
                "current": {"value": own["currentValue"], "averageValue": own["currentAverageValue"]}}),
            _ => json!({"name": own["name"], "container": own["container"], "current": {
                "averageUtilization": own["currentAverageUtilization"], "averageValue": own["currentAverageValue"]}}),
        };
    }
    bare(out)
}

fn sources(metric: &Value) -> impl Iterator<Item = (&'static str, &Value)> {
    let all = ["object", "pods", "resource", "containerResource", "external"];
    all.into_iter().map(|name| (name, &metric[name])).filter(|(_, own)| own.is_object())
}

/// The behaviour in the form of v2; nothing when it says nothing.
fn behavior_back(behavior: &Value) -> Option<Value> {
    let side = |rules: &Value| {
        let policies = rules["Policies"].as_array().map(|policies| {
            let policy = |own: &Value| json!({"type": own["Type"], "value": own["Value"], "periodSeconds": own["PeriodSeconds"]});
            Value::from(policies.iter().map(policy).collect::<Vec<_>>())
        });
        let own = json!({"stabilizationWindowSeconds": rules["StabilizationWindowSeconds"], "selectPolicy": rules["SelectPolicy"],
            "policies": policies, "tolerance": rules["Tolerance"]});
        if rules.is_object() { own } else { Value::Null }
    };
    let both = bare(json!({"scaleUp": side(&behavior["ScaleUp"]), "scaleDown": side(&behavior["ScaleDown"])}));
    both.as_object().is_some_and(|sides| !sides.is_empty()).then_some(both)
}

/// Without members that are null, at any depth.
fn bare(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, own)| !own.is_null()).map(|(name, own)| (name, bare(own)));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(bare).collect(),
        other => other,
    }
}

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(name: &str, target: Value) -> Value {
        json!({"type": "Resource", "resource": {"name": name, "target": target}})
    }

    #[test]
    fn what_stands_in_the_annotations() {
        let memory = resource("memory", json!({"type": "AverageValue", "averageValue": "1Gi"}));
        let share = resource("memory", json!({"type": "Utilization", "averageUtilization": 60}));
        let pods = json!({"type": "Pods", "pods": {"metric": {"name": "m", "selector": {"matchLabels": {"a": "b"}}},
            "target": {"type": "AverageValue", "averageValue": "10"}}});
        let object = json!({"type": "Object", "object": {"describedObject": {"kind": "Ingress", "name": "i", "apiVersion": "networking.k8s.io/v1"},
            "metric": {"name": "r"}, "target": {"type": "Value", "value": "2k"}}});
        let external = json!({"type": "External", "external": {"metric": {"name": "q"}, "target": {"type": "AverageValue", "averageValue": "30"}}});
        let inner = json!({"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c",
            "target": {"type": "Utilization", "averageUtilization": 70}}});
        #[rustfmt::skip]
        let rows = [
            (&memory, r#"[{"type":"Resource","resource":{"name":"memory","targetAverageValue":"1Gi"}}]"#),
            (&share, r#"[{"type":"Resource","resource":{"name":"memory","targetAverageUtilization":60}}]"#),
            (&pods, r#"[{"type":"Pods","pods":{"metricName":"m","targetAverageValue":"10","selector":{"matchLabels":{"a":"b"}}}}]"#),
            (&object, r#"[{"type":"Object","object":{"target":{"kind":"Ingress","name":"i","apiVersion":"networking.k8s.io/v1"},"metricName":"r","targetValue":"2k"}}]"#),
            (&external, r#"[{"type":"External","external":{"metricName":"q","targetAverageValue":"30"}}]"#),
            (&inner, r#"[{"type":"ContainerResource","containerResource":{"name":"cpu","targetAverageUtilization":70,"container":"c"}}]"#),
        ];
        for (metric, expected) in rows {
            let mut value = json!({"metadata": {}, "spec": {"metrics": [metric]}, "status": {}});
            to_v1(&mut value);
            assert_eq!(value["metadata"]["annotations"][METRICS], expected);
            to_v2(&mut value);
            assert_eq!(value["spec"]["metrics"], json!([metric]));
            assert!(value["metadata"]["annotations"].is_null());
        }
    }

    #[test]
    fn the_target_the_behaviour_and_the_state() {
        let cpu = resource("cpu", json!({"type": "Utilization", "averageUtilization": 50}));
        let mut value = json!({"metadata": {}, "spec": {"metrics": [cpu], "behavior": {"scaleDown": {"selectPolicy": "Max",
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}}},
            "status": {"currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 7, "averageValue": "3m"}}}],
                "conditions": [{"type": "AbleToScale", "status": "True", "lastTransitionTime": "t", "reason": "R"}]}});
        let before = value.clone();
        to_v1(&mut value);
        assert_eq!(value["spec"], json!({"targetCPUUtilizationPercentage": 50}));
        assert_eq!(value["status"], json!({"currentCPUUtilizationPercentage": 7}));
        let notes = &value["metadata"]["annotations"];
        let down = r#"{"StabilizationWindowSeconds":null,"SelectPolicy":"Max","Policies":[{"Type":"Percent","Value":100,"PeriodSeconds":15}],"Tolerance":null}"#;
        assert_eq!(notes[BEHAVIOR], format!(r#"{{"ScaleUp":null,"ScaleDown":{down}}}"#));
        assert_eq!(
            notes[CURRENT],
            r#"[{"type":"Resource","resource":{"name":"cpu","currentAverageUtilization":7,"currentAverageValue":"3m"}}]"#
        );
        assert_eq!(notes[CONDITIONS], r#"[{"type":"AbleToScale","status":"True","lastTransitionTime":"t","reason":"R"}]"#);
        assert!(notes[METRICS].is_null());
        to_v2(&mut value);
        assert_eq!(value, before);
    }

    #[test]
    fn without_metrics_there_is_one() {
        let mut value = json!({"metadata": {}, "spec": {}, "status": {}});
        to_v2(&mut value);
        assert_eq!(value["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 80);
    }
}

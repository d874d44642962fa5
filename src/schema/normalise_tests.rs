use serde_json::json;

use super::super::{Encoding, Schema, tests::shared};
use super::*;

#[test]
fn prints_as_go() {
    let rows = [
        ("", "ConfigMap", json!({"data": {}, "immutable": false}), json!({"immutable": false, "metadata": {}})),
        (
            "",
            "Pod",
            json!({"metadata": {"creationTimestamp": null, "labels": {}, "name": "", "generation": 0},
                "spec": {"containers": [{"name": "a", "stdin": false}]}}),
            json!({"metadata": {}, "spec": {"containers": [{"name": "a", "resources": {}}]}, "status": {}}),
        ),
        ("", "Pod", json!({"spec": {}}), json!({"metadata": {}, "spec": {"containers": null}, "status": {}})),
        ("", "Pod", json!({"spec": {"containers": []}}), json!({"metadata": {}, "spec": {"containers": null}, "status": {}})),
        (
            "",
            "Event",
            json!({"firstTimestamp": "2026-01-01T01:00:00.5+01:00", "eventTime": "2026-01-01T01:00:00.123456+01:00"}),
            json!({"metadata": {}, "involvedObject": {}, "source": {}, "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": null,
                "eventTime": "2026-01-01T00:00:00.123456Z", "reportingComponent": "", "reportingInstance": ""}),
        ),
        (
            "apps",
            "DaemonSet",
            json!({"metadata": {"creationTimestamp": "0001-01-01T00:00:00Z"}}),
            json!({"metadata": {}, "spec": {"selector": null, "template": {"metadata": {}, "spec": {"containers": null}}, "updateStrategy": {}},
                "status": {"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0}}),
        ),
        (
            "",
            "Pod",
            json!({"spec": {"containers": [{"name": "a", "env": [{"name": "x", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}],
                "resources": {"limits": {"cpu": "1000m"}}}], "terminationGracePeriodSeconds": 0}}),
            json!({"metadata": {}, "spec": {"containers": [{"name": "a",
                "env": [{"name": "x", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}}}],
                "resources": {"limits": {"cpu": "1"}}}], "terminationGracePeriodSeconds": 0}, "status": {}}),
        ),
        ("", "PodList", json!({"items": []}), json!({"items": [], "metadata": {}})),
        ("rbac.authorization.k8s.io", "Role", json!({"rules": []}), json!({"metadata": {}, "rules": null})),
        ("apps", "ControllerRevision", json!({}), json!({"data": null, "metadata": {}, "revision": 0})),
        ("", "ConfigMap", json!({"nope": 1}), json!({"metadata": {}})),
    ];
    for (group, kind, mut value, wanted) in rows {
        Schema::builtin(group, "v1", kind).unwrap().normalise(&mut value);
        assert_eq!(value, wanted, "{kind}");
    }
}

/// What kube-apiserver answered must be what we would print.
#[test]
fn recorded_answers_are_in_normal_form() {
    let Some(folder) = shared("oracle/recorded") else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let scenario = folder.with_file_name("scenarios").join(path.with_extension("http").file_name().unwrap());
        let scenario = std::fs::read_to_string(scenario).unwrap();
        let answers: Vec<Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for answer in answers {
            let mut found = Vec::new();
            objects(&answer, &mut found);
            for before in found {
                let Some(mut object) = normalised(&before) else { continue };
                without_placeholders(&before, &mut object);
                for pointer in ignored(&scenario, answer["note"].as_str().unwrap_or_default()) {
                    if before.pointer(pointer).is_none() {
                        remove(&mut object, pointer);
                    }
                }
                assert_eq!(object, before, "{path:?} {}", answer["note"]);
                seen += 1;
            }
        }
    }
    assert!(seen > 300, "{seen}");
}

fn normalised(object: &Value) -> Option<Value> {
    let (api_version, kind) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    // Reviews are never stored, so that their empty lists are not null.
    if kind == "Status" || kind.ends_with("Review") {
        return None;
    }
    let mut object = object.clone();
    Schema::builtin(group, version, kind)?.normalise(&mut object);
    Some(object)
}

/// What a scenario left out of the recording of an answer, as JSON pointers.
fn ignored<'s>(scenario: &'s str, note: &str) -> impl Iterator<Item = &'s str> {
    let after = scenario.lines().skip_while(move |line| line.strip_prefix("### ") != Some(note)).skip(1);
    let ignores: Vec<_> =
        after.take_while(|line| line.starts_with('@')).filter_map(|line| line.strip_prefix("@ignore ")).collect();
    ignores.into_iter().flat_map(str::split_whitespace)
}

fn remove(value: &mut Value, pointer: &str) {
    if let Some((parent, name)) = pointer.rsplit_once('/')
        && let Some(Value::Object(map)) = value.pointer_mut(parent)
    {
        map.remove(name);
    }
}

/// All objects with a kind, from the recordings.
fn objects(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(map) if ["apiVersion", "kind", "metadata"].iter().all(|name| map.contains_key(*name)) => {
            found.push(value.clone());
        }
        Value::Object(map) => map.values().for_each(|value| objects(value, found)),
        Value::Array(list) => list.iter().for_each(|value| objects(value, found)),
        _ => {}
    }
}

/// Recordings have `<time>` where a time was, and leave out what is never the same: neither is a difference.
fn without_placeholders(before: &Value, after: &mut Value) {
    match (before, after) {
        (Value::String(text), after) if text.starts_with('<') => *after = before.clone(),
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before {
                match after.get_mut(name) {
                    Some(after) => without_placeholders(value, after),
                    None if value.as_str().is_some_and(|text| text.starts_with('<')) => {
                        drop(after.insert(name.clone(), value.clone()))
                    }
                    None => {}
                }
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            before.iter().zip(after).for_each(|(before, after)| without_placeholders(before, after));
        }
        _ => {}
    }
}

#[test]
fn vectors_come_back_as_they_were() {
    let Some(folder) = shared("vectors/api-testdata") else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "json") {
            continue;
        }
        let text = std::fs::read(&path).unwrap();
        let wanted: Value = serde_json::from_slice(&text).unwrap();
        let api_version = wanted["apiVersion"].as_str().unwrap();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let schema = Schema::builtin(group, version, wanted["kind"].as_str().unwrap()).unwrap();
        let mut reading = schema.read(&text, Encoding::Json).unwrap();
        assert_eq!(reading.faults[..], [] as [&str; 0], "{path:?}");
        schema.normalise(&mut reading.value);
        assert_eq!(reading.value, wanted, "{path:?}");
        seen += 1;
    }
    assert_eq!(seen, 50);
}

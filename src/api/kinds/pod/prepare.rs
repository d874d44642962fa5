//! What the server makes of a pod before it is checked: its first status, and fields whose feature is off by default in 1.36 taken away.

use serde_json::{Value, json};

use super::annotation::ARMOR;
use super::qos;
use crate::api::kinds::Part;
use crate::api::kinds::field::is_empty;
use crate::api::meta;

/// A new pod.
pub(in crate::api::kinds) fn prepare_create(new: &mut Value) {
    let mut status = json!({"phase": "Pending", "qosClass": qos(&new["spec"])});
    if !is_empty(&new["spec"]["schedulingGates"]) {
        let message = "Scheduling is blocked due to non-empty scheduling gates";
        status["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": message,
            "lastProbeTime": null, "lastTransitionTime": meta::now()}]);
    }
    new["status"] = status;
    drop_disabled(&mut new["spec"], &Value::Null);
    select_by_keys(new);
    agree_on_armor(new);
}

/// An updated pod.
pub(in crate::api::kinds) fn prepare_update(part: Part, new: &mut Value, old: &Value) {
    if part != Part::Status {
        drop_disabled(&mut new["spec"], &old["spec"]);
        return;
    }
    if new["status"]["qosClass"].as_str().is_none_or(str::is_empty) {
        new["status"]["qosClass"] = old["status"]["qosClass"].clone();
    }
    if new["status"]["observedGeneration"].as_i64().unwrap_or(0) == 0 && old["status"]["observedGeneration"].is_number() {
        new["status"]["observedGeneration"] = old["status"]["observedGeneration"].clone();
    }
}

/// Takes fields away whose feature is off, unless the old spec has them.
pub(in crate::api::kinds) fn drop_disabled(spec: &mut Value, old: &Value) {
    if old["schedulingGroup"].is_null() {
        remove(spec, "schedulingGroup");
    }
    let projections = |spec: &Value, member: &str| {
        let volumes = spec["volumes"].as_array().into_iter().flatten();
        volumes
            .flat_map(|volume| volume["projected"]["sources"].as_array().into_iter().flatten())
            .any(|own| !own[member].is_null())
    };
    for member in ["clusterTrustBundle", "podCertificate"] {
        if !projections(spec, member) || projections(old, member) {
            continue;
        }
        for volume in list(spec, "volumes") {
            let projected = volume.get_mut("projected").and_then(|projected| projected.get_mut("sources"));
            projected.and_then(Value::as_array_mut).into_iter().flatten().for_each(|source| remove(source, member));
        }
    }
    drop_signals(spec, old);
}

const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

fn drop_signals(spec: &mut Value, old: &Value) {
    let signals = |spec: &Value| {
        let containers = LISTS.iter().flat_map(|list| spec[*list].as_array().into_iter().flatten());
        containers.into_iter().any(|container| !container["lifecycle"]["stopSignal"].is_null())
    };
    if !signals(spec) || signals(old) {
        return;
    }
    for name in LISTS {
        for container in list(spec, name) {
            if let Some(lifecycle) = container.get_mut("lifecycle") {
                remove(lifecycle, "stopSignal");
                if is_empty(lifecycle) {
                    remove(container, "lifecycle");
                }
            }
        }
    }
}

/// The pod's own labels, where affinity and spreading name their keys, become part of the selectors.
fn select_by_keys(pod: &mut Value) {
    let labels = pod["metadata"]["labels"].clone();
    let spec = &mut pod["spec"];
    for constraint in list(spec, "topologySpreadConstraints") {
        select(constraint, &labels);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let Some(own) = spec.get_mut("affinity").and_then(|affinity| affinity.get_mut(kind)) else { continue };
        list(own, "requiredDuringSchedulingIgnoredDuringExecution").for_each(|term| select(term, &labels));
        for term in list(own, "preferredDuringSchedulingIgnoredDuringExecution") {
            if let Some(term) = term.get_mut("podAffinityTerm") {
                select(term, &labels);
            }
        }
    }
}

fn select(term: &mut Value, labels: &Value) {
    if !term["labelSelector"].is_object() {
        return;
    }
    for (member, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        let keys = term.get(member).and_then(Value::as_array).cloned().unwrap_or_default();
        for key in keys.iter().filter_map(Value::as_str).filter(|key| labels[*key].is_string()) {
            let expression = json!({"key": key, "operator": operator, "values": [labels[key]]});
            match &mut term["labelSelector"]["matchExpressions"] {
                Value::Array(list) => list.push(expression),
                other => *other = json!([expression]),
            }
        }
    }
}

/// AppArmor profiles stand in annotations, where old nodes look for them, and in fields.
fn agree_on_armor(pod: &mut Value) {
    if pod["spec"]["os"]["name"] == "windows" {
        return;
    }
    let of_pod = pod["spec"]["securityContext"]["appArmorProfile"].clone();
    let mut annotations = pod["metadata"]["annotations"].clone();
    let before = annotations.clone();
    for name in LISTS {
        for container in list(&mut pod["spec"], name) {
            let key = format!("{ARMOR}{}", container["name"].as_str().unwrap_or(""));
            let own = container.get("securityContext").map_or(Value::Null, |context| context["appArmorProfile"].clone());
            match annotations[&key].as_str() {
                None => {
                    if let Some(text) = annotation_of(if own.is_null() { &of_pod } else { &own }) {
                        annotations[key] = Value::from(text);
                    }
                }
                Some(text) if own.is_null() => {
                    if let Some(profile) = profile_of(text).filter(|profile| *profile != of_pod) {
                        container["securityContext"]["appArmorProfile"] = profile;
                    }
                }
                Some(_) => {}
            }
        }
    }
    if annotations != before {
        pod["metadata"]["annotations"] = annotations;
    }
}

fn annotation_of(profile: &Value) -> Option<String> {
    match profile["type"].as_str()? {
        "Unconfined" => Some("unconfined".to_owned()),
        "RuntimeDefault" => Some("runtime/default".to_owned()),
        "Localhost" => profile["localhostProfile"].as_str().map(|file| format!("localhost/{file}")),
        _ => None,
    }
}

fn profile_of(annotation: &str) -> Option<Value> {
    match annotation {
        "unconfined" => Some(json!({"type": "Unconfined"})),
        "runtime/default" => Some(json!({"type": "RuntimeDefault"})),
        other => {
            let file = other.strip_prefix("localhost/").filter(|file| !file.is_empty() && file.trim() == *file)?;
            Some(json!({"type": "Localhost", "localhostProfile": file}))
        }
    }
}

fn list<'a>(owner: &'a mut Value, member: &str) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    owner.get_mut(member).and_then(Value::as_array_mut).into_iter().flatten()
}

fn remove(value: &mut Value, member: &str) {
    if let Some(members) = value.as_object_mut() {
        members.remove(member);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_without_a_feature_go() {
        let mut spec = json!({"schedulingGroup": {"podGroupName": "g"}, "containers": [{"lifecycle": {"stopSignal": "SIGTERM"}}],
            "volumes": [{"projected": {"sources": [{"clusterTrustBundle": {"path": "a"}}, {"secret": {}}]}}]});
        let old = spec.clone();
        drop_disabled(&mut spec, &old);
        assert_eq!(spec, old);
        drop_disabled(&mut spec, &Value::Null);
        assert_eq!(spec, json!({"containers": [{}], "volumes": [{"projected": {"sources": [{}, {"secret": {}}]}}]}));
    }

    #[test]
    fn labels_become_part_of_selectors() {
        let mut pod = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"topologySpreadConstraints": [
            {"labelSelector": {"matchLabels": {"x": "y"}}, "matchLabelKeys": ["a", "c"]}, {"matchLabelKeys": ["a"]}]}});
        prepare_create(&mut pod);
        let terms = &pod["spec"]["topologySpreadConstraints"];
        assert_eq!(terms[0]["labelSelector"]["matchExpressions"], json!([{"key": "a", "operator": "In", "values": ["b"]}]));
        assert!(terms[1]["labelSelector"].is_null());
    }

    #[test]
    fn profiles_stand_in_both_places() {
        let mut pod = json!({"metadata": {"annotations": {format!("{ARMOR}a"): "unconfined"}}, "spec": {"containers": [
            {"name": "a"}, {"name": "b", "securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}}]}});
        prepare_create(&mut pod);
        assert_eq!(pod["spec"]["containers"][0]["securityContext"]["appArmorProfile"]["type"], "Unconfined");
        assert_eq!(pod["metadata"]["annotations"][format!("{ARMOR}b")], "runtime/default");
    }

    #[test]
    fn classes_of_service() {
        let with = |resources: Value| json!({"containers": [{"resources": resources}]});
        for (spec, expected) in [
            (with(json!({})), "BestEffort"),
            (with(json!({"requests": {"cpu": "1"}})), "Burstable"),
            (with(json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1Gi"}})), "Guaranteed"),
            (with(json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "1Gi"}})), "Burstable"),
            (with(json!({"limits": {"cpu": "1"}})), "Burstable"),
            (with(json!({"limits": {"example.com/x": "1"}})), "BestEffort"),
            (json!({"containers": [{}], "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}), "Guaranteed"),
        ] {
            assert_eq!(qos(&spec), expected, "{spec}");
        }
    }
}

//! The resize subresource: containers' resources and resize policies, and nothing else.

use serde_json::{Value, json};

use super::{annotation, qos};
use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, is_empty};

/// Everything but the containers' resources and resize policies stays. What was added or put elsewhere stays to be refused.
pub(in crate::api::kinds) fn keep_all_but_resources(new: &mut Value, old: &Value) {
    let wished = new["spec"].take();
    super::restore(new, old);
    for list in ["containers", "initContainers"] {
        let stored = old["spec"][list].as_array().into_iter().flatten();
        let stored: std::collections::HashMap<&str, &Value> =
            stored.filter_map(|container| Some((container["name"].as_str()?, container))).collect();
        let Some(containers) = wished[list].as_array() else { continue };
        let kept = containers.iter().map(|wish| {
            let Some(own) = wish["name"].as_str().and_then(|name| stored.get(name)) else { return wish.clone() };
            let mut own = (*own).clone();
            for member in ["resources", "resizePolicy"] {
                own[member] = wish[member].clone();
            }
            own
        });
        new["spec"][list] = kept.collect();
    }
}

/// The rules of a resize, after those of the pod.
pub(super) fn check((new, old): (&Value, &Value), errors: &mut Vec<FieldError>) {
    let whole = |pod: &Value| !is_empty(&pod["spec"]["resources"]["requests"]) || !is_empty(&pod["spec"]["resources"]["limits"]);
    let refusal = if whole(old) || whole(new) {
        Some("pods with pod-level resources cannot be resized")
    } else if annotation::is_mirror(old) {
        Some("static pods cannot be resized")
    } else if old["spec"]["os"]["name"] == "windows" {
        Some("windows pods cannot be resized")
    } else {
        None
    };
    if let Some(refusal) = refusal {
        errors.clear();
        errors.push(FieldError::forbidden("", refusal));
        return;
    }
    let root = Field::new(new, "");
    let spec = root.at("spec");
    if old["status"]["qosClass"].as_str().unwrap_or_else(|| qos(&old["spec"])) != qos(&new["spec"]) {
        let class = new["status"]["qosClass"].as_str().unwrap_or("");
        errors.push(spec.invalid_text(class, "Pod QOS Class may not change as a result of resizing"));
    }
    let running = |status: &&Value| !status["state"]["running"].is_null();
    let first = old["status"]["containerStatuses"].as_array().into_iter().flatten().find(running);
    if first.is_some_and(|status| status["resources"].is_null()) {
        errors.push(spec.forbidden("Pod running on node without support for resize"));
    }
    if check_order(&spec, &old["spec"], errors) == Order::Changed {
        return;
    }
    check_removals(&spec, &old["spec"], errors);
    check_amounts(&spec, &old["spec"], errors);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Kept,
    Changed,
}

fn check_order(spec: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) -> Order {
    let before = errors.len();
    for list in ["containers", "initContainers"] {
        let own = spec.at(list);
        let stored = old[list].as_array().map_or(&[][..], Vec::as_slice);
        if own.len() != stored.len() {
            errors.push(own.forbidden(&format!("{list} may not be added or removed on resize")));
            continue;
        }
        for (own, stored) in own.items().zip(stored) {
            if own.value()["name"] != stored["name"] {
                errors.push(own.at("name").forbidden(&format!("{list} may not be renamed or reordered on resize")));
            }
        }
    }
    if errors.len() == before { Order::Kept } else { Order::Changed }
}

fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

fn check_removals(spec: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    for list in ["initContainers", "containers"] {
        let containers = spec.at(list);
        for (own, stored) in containers.items().zip(old[list].as_array().into_iter().flatten()) {
            if list == "initContainers" && !is_sidecar(stored) {
                continue;
            }
            let resources = own.at("resources");
            for which in ["requests", "limits"] {
                let removed = |name: &String| resources.value()[which][name].is_null();
                if stored["resources"][which].as_object().is_some_and(|list| list.keys().any(removed)) {
                    errors.push(resources.at(which).forbidden(&format!("resource {which} cannot be removed")));
                }
            }
        }
    }
}

fn check_amounts(spec: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    for list in ["containers", "initContainers"] {
        let containers = spec.at(list);
        for (own, stored) in containers.items().zip(old[list].as_array().into_iter().flatten()) {
            let (changed, fault) = match (list, is_sidecar(own.value())) {
                ("containers", _) => (differs(own.value(), stored), "only cpu and memory resources are mutable"),
                (_, true) => (differs(own.value(), stored), "only cpu and memory resources for sidecar containers are mutable"),
                (_, false) => (own.value() != stored, "resources for non-sidecar init containers are immutable"),
            };
            if changed {
                errors.push(spec.forbidden(fault));
            }
        }
    }
}

/// Whether containers differ in more than their processors and memory.
fn differs(new: &Value, old: &Value) -> bool {
    let bare = |container: &Value| {
        let mut bare = container.clone();
        let stored = &old["resources"];
        let mut resources = json!({});
        for which in ["limits", "requests"] {
            let Some(list) = container["resources"][which].as_object() else { continue };
            if stored[which].is_null() {
                continue;
            }
            let mut list = list.clone();
            list.retain(|name, _| !matches!(name.as_str(), "cpu" | "memory"));
            resources[which] = Value::Object(list);
        }
        resources["claims"] = stored["claims"].clone();
        bare["resources"] = resources;
        bare
    };
    bare(new) != bare(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resizing_changes_resources_only() {
        let old =
            json!({"metadata": {"resourceVersion": "1"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}});
        let mut new = json!({"metadata": {"resourceVersion": "1", "labels": {"x": "y"}},
            "spec": {"nodeName": "m", "containers": [{"name": "c", "image": "other", "resources": {"limits": {"cpu": "1"}}}]}});
        keep_all_but_resources(&mut new, &old);
        let mut expected = old.clone();
        expected["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "1"}});
        expected["spec"]["containers"][0]["resizePolicy"] = Value::Null;
        assert_eq!(new, expected);
    }

    #[test]
    fn what_cannot_be_resized() {
        let with = |resources: Value| {
            let class = qos(&json!({"containers": [{"resources": resources}]}));
            json!({"metadata": {}, "spec": {"containers": [{"name": "c", "resources": resources}]}, "status": {"qosClass": class}})
        };
        let old = with(json!({"requests": {"cpu": "1", "example.com/a": "1"}}));
        let rows = [
            (with(json!({"requests": {"cpu": "2", "example.com/a": "1"}})), ""),
            (
                with(json!({"requests": {"cpu": "2"}})),
                "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed; \
                 spec: Forbidden: only cpu and memory resources are mutable",
            ),
            (
                with(json!({"requests": {"cpu": "2", "example.com/a": "2"}})),
                "spec: Forbidden: only cpu and memory resources are mutable",
            ),
            (
                with(json!({"requests": {"example.com/a": "1"}})),
                "spec: Invalid value: \"BestEffort\": Pod QOS Class may not change as a result of resizing; \
                 spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
            ),
            (
                json!({"spec": {"containers": []}}),
                "spec: Invalid value: \"\": Pod QOS Class may not change as a result of resizing; \
                 spec.containers: Forbidden: containers may not be added or removed on resize",
            ),
        ];
        for (new, expected) in rows {
            let mut errors = Vec::new();
            check((&new, &old), &mut errors);
            let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(all.join("; "), expected);
        }
    }
}

//! The rules of a pod's spec, alone or in a template (contract 7.5).

use serde_json::Value;

use super::check_names;
use crate::api::error::FieldError;
use crate::api::kinds::field::{entries, is_empty, items, not_negative, one_of, port, required};
use crate::api::kinds::quantity::nanos;
use crate::api::meta::{self, name};

/// The rules of a pod.
pub(in crate::api::kinds) fn check(new: &Value, errors: &mut Vec<FieldError>) {
    check_spec(&new["spec"], "spec", errors);
}

/// The rules of a pod template at `path`.
pub(in crate::api::kinds) fn check_template(template: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let metadata = &template["metadata"];
    meta::check_labels(&metadata["labels"], &format!("{path}.labels"), errors);
    meta::check_annotations(&metadata["annotations"], &format!("{path}.annotations"), errors);
    check_spec(&template["spec"], &format!("{path}.spec"), errors);
}

/// The rules of a pod's spec at `path`.
fn check_spec(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    check_volumes(&spec["volumes"], &format!("{path}.volumes"), errors);
    check_containers(spec, path, errors);
    one_of(&spec["restartPolicy"], &format!("{path}.restartPolicy"), &["Always", "OnFailure", "Never"], errors);
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    one_of(&spec["dnsPolicy"], &format!("{path}.dnsPolicy"), &policies, errors);
    one_of(&spec["preemptionPolicy"], &format!("{path}.preemptionPolicy"), &["PreemptLowerPriority", "Never"], errors);
    for (member, rule) in [
        ("serviceAccountName", name::subdomain as fn(&str) -> Vec<String>),
        ("nodeName", name::subdomain),
        ("hostname", name::label),
        ("subdomain", name::label),
    ] {
        let text = spec[member].as_str().unwrap_or("");
        if !text.is_empty() {
            let path = format!("{path}.{member}");
            errors.extend(rule(text).iter().map(|fault| FieldError::invalid_text(&path, text, fault)));
        }
    }
    meta::check_labels(&spec["nodeSelector"], &format!("{path}.nodeSelector"), errors);
    let deadline = &spec["activeDeadlineSeconds"];
    if deadline.as_i64().is_some_and(|seconds| !(1..=2_147_483_647).contains(&seconds)) {
        errors.push(FieldError::invalid(
            format!("{path}.activeDeadlineSeconds"),
            deadline,
            "must be between 1 and 2147483647, inclusive",
        ));
    }
    check_tolerations(&spec["tolerations"], &format!("{path}.tolerations"), errors);
}

fn check_containers(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if is_empty(&spec["containers"]) {
        errors.push(FieldError::required(format!("{path}.containers"), ""));
    }
    let volumes: Vec<&str> =
        spec["volumes"].as_array().into_iter().flatten().filter_map(|volume| volume["name"].as_str()).collect();
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        let path = format!("{path}.{list}");
        check_names(&spec[list], &path, errors);
        for (path, container) in items(&spec[list], &path) {
            check_container(container, &path, &volumes, errors);
        }
    }
    let mains: Vec<&Value> = spec["containers"].as_array().into_iter().flatten().map(|container| &container["name"]).collect();
    for (path, container) in items(&spec["initContainers"], &format!("{path}.initContainers")) {
        if mains.contains(&&container["name"]) {
            errors.push(FieldError::duplicate(format!("{path}.name"), &container["name"]));
        }
    }
}

fn check_container(container: &Value, path: &str, volumes: &[&str], errors: &mut Vec<FieldError>) {
    let image = required(&container["image"], &format!("{path}.image"), errors);
    if image.trim() != image {
        let fault = "must not have leading or trailing whitespace";
        errors.push(FieldError::invalid_text(format!("{path}.image"), image, fault));
    }
    one_of(&container["imagePullPolicy"], &format!("{path}.imagePullPolicy"), &["Always", "IfNotPresent", "Never"], errors);
    let policy = format!("{path}.terminationMessagePolicy");
    one_of(&container["terminationMessagePolicy"], &policy, &["File", "FallbackToLogsOnError"], errors);
    for (path, item) in items(&container["ports"], &format!("{path}.ports")) {
        check_port(item, &path, errors);
    }
    for (path, item) in items(&container["env"], &format!("{path}.env")) {
        let own = required(&item["name"], &format!("{path}.name"), errors);
        if !own.is_empty() {
            let faults = name::variable(own);
            errors.extend(faults.iter().map(|fault| FieldError::invalid_text(format!("{path}.name"), own, fault)));
        }
        if !is_empty(&item["value"]) && !item["valueFrom"].is_null() {
            let fault = "may not be specified when `value` is not empty";
            errors.push(FieldError::invalid_text(format!("{path}.valueFrom"), "", fault));
        }
    }
    check_mounts(&container["volumeMounts"], &format!("{path}.volumeMounts"), volumes, errors);
    check_resources(&container["resources"], &format!("{path}.resources"), errors);
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        check_probe(&container[probe], &format!("{path}.{probe}"), errors);
    }
}

fn check_port(item: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let own = item["name"].as_str().unwrap_or("");
    if !own.is_empty() {
        let faults = name::port(own);
        errors.extend(faults.iter().map(|fault| FieldError::invalid_text(format!("{path}.name"), own, fault)));
    }
    match item["containerPort"].as_i64() {
        None | Some(0) => errors.push(FieldError::required(format!("{path}.containerPort"), "")),
        Some(_) => port(&item["containerPort"], &format!("{path}.containerPort"), errors),
    }
    if item["hostPort"].as_i64().is_some_and(|number| number != 0) {
        port(&item["hostPort"], &format!("{path}.hostPort"), errors);
    }
    one_of(&item["protocol"], &format!("{path}.protocol"), &["SCTP", "TCP", "UDP"], errors);
}

fn check_mounts(mounts: &Value, path: &str, volumes: &[&str], errors: &mut Vec<FieldError>) {
    let mut seen: Vec<&str> = Vec::new();
    for (path, mount) in items(mounts, path) {
        let own = required(&mount["name"], &format!("{path}.name"), errors);
        if !own.is_empty() && !volumes.contains(&own) {
            errors.push(FieldError::not_found(format!("{path}.name"), &mount["name"]));
        }
        let target = required(&mount["mountPath"], &format!("{path}.mountPath"), errors);
        if seen.contains(&target) {
            errors.push(FieldError::invalid_text(format!("{path}.mountPath"), target, "must be unique"));
        }
        seen.push(target);
    }
}

/// Requests and limits of a container.
fn check_resources(resources: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let limits = &resources["limits"];
    for (kind, list) in [("limits", limits), ("requests", &resources["requests"])] {
        for (own, amount) in entries(list) {
            let path = format!("{path}.{kind}[{own}]");
            errors.extend(name::qualified(own).iter().map(|fault| FieldError::invalid_text(&path, own, fault)));
            if amount.as_str().and_then(nanos).is_some_and(|amount| amount < 0) {
                errors.push(FieldError::invalid(path, amount, "must be greater than or equal to 0"));
            }
        }
    }
    for (own, request) in entries(&resources["requests"]) {
        let Some(limit) = limits[own].as_str() else { continue };
        if request.as_str().and_then(nanos) > nanos(limit) {
            let fault = format!("must be less than or equal to {own} limit of {limit}");
            errors.push(FieldError::invalid(format!("{path}.requests"), request, &fault));
        }
    }
}

fn check_probe(probe: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if probe.is_null() {
        return;
    }
    let handlers: Vec<&str> =
        ["exec", "httpGet", "tcpSocket", "grpc"].into_iter().filter(|handler| !probe[*handler].is_null()).collect();
    match handlers.as_slice() {
        [] => errors.push(FieldError::required(path, "must specify a handler type")),
        [_] => {}
        [_, others @ ..] => {
            for other in others {
                errors.push(FieldError::forbidden(format!("{path}.{other}"), "may not specify more than 1 handler type"));
            }
        }
    }
    for member in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        not_negative(&probe[member], &format!("{path}.{member}"), errors);
    }
}

fn check_volumes(volumes: &Value, path: &str, errors: &mut Vec<FieldError>) {
    check_names(volumes, path, errors);
    for (path, volume) in items(volumes, path) {
        let sources: Vec<&String> =
            entries(volume).filter(|(member, source)| *member != "name" && !source.is_null()).map(|(member, _)| member).collect();
        match sources.as_slice() {
            [] => errors.push(FieldError::required(path, "must specify a volume type")),
            [_] => {}
            [_, others @ ..] => {
                for other in others {
                    errors.push(FieldError::forbidden(format!("{path}.{other}"), "may not specify more than 1 volume type"));
                }
            }
        }
    }
}

fn check_tolerations(tolerations: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for (path, item) in items(tolerations, path) {
        let (key, operator) = (item["key"].as_str().unwrap_or(""), item["operator"].as_str().unwrap_or(""));
        if !key.is_empty() {
            let faults = name::qualified(key);
            errors.extend(faults.iter().map(|fault| FieldError::invalid_text(format!("{path}.key"), key, fault)));
        } else if operator != "Exists" {
            let fault = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.push(FieldError::invalid_text(format!("{path}.operator"), operator, fault));
        }
        if item["tolerationSeconds"].is_number() && item["effect"] != "NoExecute" {
            let fault = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.push(FieldError::invalid(
                format!("{path}.effect"),
                &Value::from(item["effect"].as_str().unwrap_or("")),
                fault,
            ));
        }
        if operator == "Exists" && !is_empty(&item["value"]) {
            let fault = "value must be empty when `operator` is 'Exists'";
            errors.push(FieldError::invalid(format!("{path}.operator"), &item["value"], fault));
        }
        one_of(&item["effect"], &format!("{path}.effect"), &["NoSchedule", "PreferNoSchedule", "NoExecute"], errors);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn faults_of_a_spec() {
        let container = json!({"name": "c", "image": "i"});
        let with = |more: Value| {
            let mut own = container.clone();
            for (key, value) in entries(&more) {
                own[key] = value.clone();
            }
            json!({"containers": [own]})
        };
        let rows = [
            (with(json!({})), ""),
            (json!({}), "spec.containers: Required value"),
            (json!({"containers": [{"image": "i"}]}), "spec.containers[0].name: Required value"),
            (json!({"containers": [{"name": "c"}]}), "spec.containers[0].image: Required value"),
            (json!({"containers": [container, container]}), "spec.containers[1].name: Duplicate value: \"c\""),
            (
                with(json!({"volumeMounts": [{"name": "x", "mountPath": "/x"}]})),
                "spec.containers[0].volumeMounts[0].name: Not found: \"x\"",
            ),
            (
                with(json!({"ports": [{"containerPort": 70000}]})),
                "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            ),
            (
                with(json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}})),
                "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            ),
            (
                json!({"containers": [container], "restartPolicy": "Sometimes"}),
                "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            ),
            (
                json!({"containers": [container], "volumes": [{"name": "v"}]}),
                "spec.volumes[0]: Required value: must specify a volume type",
            ),
        ];
        for (spec, expected) in rows {
            let mut errors = Vec::new();
            check_spec(&spec, "spec", &mut errors);
            let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(all.join("; "), expected);
        }
    }
}

//! PodSecurity: what pods may ask of their node, by the labels of their namespace.

mod check;
mod label;

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Operation, Review, within};
use crate::api::error::{self, Subject};
use crate::api::kinds::is_empty;
use crate::api::{Api, meta};
use crate::status::Status;
use check::{Finding, Pod};
use label::{Level, Policy, Standard};

pub(super) fn check(api: &Api, review: &Review<'_>, object: Option<&Value>, warnings: &mut Vec<String>) -> Result<(), Status> {
    let Some(object) = object.filter(|_| review.operation != Operation::Delete) else { return Ok(()) };
    match (review.kind.group.as_str(), review.kind.plural.as_str(), review.subresource) {
        ("", "namespaces", "") => check_namespace(api, review, object, warnings),
        ("", "pods", "" | "ephemeralcontainers" | "resize") => check_pod(api, review, object, warnings),
        ("", "podtemplates", "") => warn(api, review, &object["template"], warnings),
        ("batch", "cronjobs", "") => warn(api, review, &object["spec"]["jobTemplate"]["spec"]["template"], warnings),
        ("apps" | "batch", "deployments" | "replicasets" | "statefulsets" | "daemonsets" | "jobs", "")
        | ("", "replicationcontrollers", "") => warn(api, review, &object["spec"]["template"], warnings),
        _ => Ok(()),
    }
}

/// Labels must be readable; pods that a stricter one would not let in are told of.
fn check_namespace(api: &Api, review: &Review<'_>, new: &Value, warnings: &mut Vec<String>) -> Result<(), Status> {
    let own = Policy::of(&new["metadata"]["labels"]);
    let before = review.old.map(|old| Policy::of(&old["metadata"]["labels"]));
    let refused = !own.faults.is_empty() && before.as_ref().is_none_or(|before| before.faults != own.faults);
    if refused {
        return Err(error::invalid(Subject::kind(review.kind, meta::text(new, "name")), &own.faults));
    }
    let Some(before) = before else { return Ok(()) };
    let looser = own.enforce.version == before.enforce.version && own.enforce.level <= before.enforce.level;
    if own.enforce != before.enforce && own.enforce.level != Level::Privileged && !looser {
        warnings.extend(existing(api, meta::text(new, "name"), own.enforce));
    }
    Ok(())
}

fn check_pod(api: &Api, review: &Review<'_>, pod: &Value, warnings: &mut Vec<String>) -> Result<(), Status> {
    let Some(policy) = policy(api, review) else { return Ok(()) };
    let same = review.operation == Operation::Update && review.old.is_some_and(|old| !differs(pod, old));
    if same || policy.faults.is_empty() && policy.is_open() {
        return Ok(());
    }
    let pod_or_template = Pod::of(pod);
    let found = check::all(policy.enforce, &pod_or_template);
    if !found.is_empty() {
        return Err(review.forbid(pod, format!("violates PodSecurity \"{}\": {}", policy.enforce, details(&found))));
    }
    warnings.extend(would_violate(policy.warn, &pod_or_template));
    Ok(())
}

/// What makes pods is only warned of.
fn warn(api: &Api, review: &Review<'_>, template: &Value, warnings: &mut Vec<String>) -> Result<(), Status> {
    if !is_empty(&template["spec"])
        && let Some(policy) = policy(api, review)
    {
        warnings.extend(would_violate(policy.warn, &Pod::of(template)));
    }
    Ok(())
}

fn would_violate(standard: Standard, pod: &Pod<'_>) -> Option<String> {
    let found = check::all(standard, pod);
    (!found.is_empty()).then(|| format!("would violate PodSecurity \"{standard}\": {}", details(&found)))
}

fn policy(api: &Api, review: &Review<'_>) -> Option<Policy> {
    let namespace = api.seen(api.catalog.find("", "v1", "namespaces")?, "", review.namespace)?;
    Some(Policy::of(&namespace.value()["metadata"]["labels"]))
}

/// Whether an update changes what is worth a second look: images, containers that come or go, profiles in annotations.
fn differs(new: &Value, old: &Value) -> bool {
    let list = |pod: &Value, list: &str| pod["spec"][list].as_array().cloned().unwrap_or_default();
    let other = |own: &Value, stored: &Value| {
        let key = format!("{PROFILE}{}", own["name"].as_str().unwrap_or(""));
        own["image"] != stored["image"] || new["metadata"]["annotations"][&key] != old["metadata"]["annotations"][&key]
    };
    for containers in ["containers", "initContainers"] {
        let (own, stored) = (list(new, containers), list(old, containers));
        if own.len() != stored.len() || own.iter().zip(&stored).any(|(own, stored)| other(own, stored)) {
            return true;
        }
    }
    let known = list(old, "ephemeralContainers");
    list(new, "ephemeralContainers").iter().any(|own| {
        let stored = known.iter().find(|stored| stored["name"] == own["name"]);
        stored.is_none_or(|stored| other(own, stored))
    })
}

/// What to say of the pods that are there already.
fn existing(api: &Api, namespace: &str, standard: Standard) -> Vec<String> {
    let Some(kind) = api.catalog.find("", "v1", "pods") else { return Vec::new() };
    let pods = prioritised(within(api, kind, namespace).iter().map(|pod| pod.value()).collect());
    let mut by_reason: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for pod in pods.iter().take(MOST) {
        let found = check::all(standard, &Pod::of(pod));
        if !found.is_empty() {
            let reasons: Vec<&str> = found.iter().map(|finding| finding.reason.as_str()).collect();
            let known = by_reason.entry(reasons.join(", ")).or_insert_with(|| (meta::text(pod, "name").to_owned(), 0));
            known.1 += 1;
        }
    }
    let mut told = Vec::new();
    if pods.len() > MOST {
        let all = pods.len();
        told.push(format!("new PodSecurity enforce level only checked against the first {MOST} of {all} existing pods"));
    }
    if !by_reason.is_empty() {
        let quoted = error::quoted(namespace);
        told.push(format!("existing pods in namespace {quoted} violate the new PodSecurity enforce level \"{standard}\""));
    }
    let mut lines: Vec<String> = by_reason.into_iter().map(|(reason, (pod, count))| line(&reason, &pod, count)).collect();
    lines.sort_unstable();
    told.extend(lines);
    told
}

fn line(reason: &str, pod: &str, count: usize) -> String {
    match count {
        1 => format!("{pod}: {reason}"),
        2 => format!("{pod} (and 1 other pod): {reason}"),
        more => format!("{pod} (and {} other pods): {reason}", more - 1),
    }
}

/// One pod of each controller comes first.
fn prioritised(pods: Vec<Value>) -> Vec<Value> {
    let mut seen: Vec<String> = Vec::new();
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for pod in pods {
        let mut owners = pod["metadata"]["ownerReferences"].as_array().into_iter().flatten();
        let owner = owners.find(|owner| owner["controller"] == true).and_then(|owner| owner["uid"].as_str()).map(str::to_owned);
        match owner {
            Some(owner) if seen.contains(&owner) => later.push(pod),
            Some(owner) => {
                seen.push(owner);
                first.push(pod);
            }
            None => first.push(pod),
        }
    }
    first.append(&mut later);
    first
}

fn details(found: &[Finding]) -> String {
    found.iter().map(|finding| format!("{} ({})", finding.reason, finding.detail)).collect::<Vec<_>>().join(", ")
}

const PROFILE: &str = "container.seccomp.security.alpha.kubernetes.io/";
/// Pods that a new label is tried on.
const MOST: usize = 3000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_looked_at_again() {
        let pod = |image: &str| json!({"metadata": {}, "spec": {"containers": [{"name": "c", "image": image}]}});
        let mut labelled = pod("i");
        labelled["metadata"]["labels"] = json!({"a": "b"});
        let mut debugged = pod("i");
        debugged["spec"]["ephemeralContainers"] = json!([{"name": "e", "image": "i"}]);
        let mut noted = pod("i");
        noted["metadata"]["annotations"] = json!({format!("{PROFILE}c"): "unconfined"});
        for (new, expected) in [(pod("i"), false), (pod("j"), true), (labelled, false), (debugged, true), (noted, true)] {
            assert_eq!(differs(&new, &pod("i")), expected, "{new}");
        }
    }
}

//! PodSecurity: the standard that a namespace's labels demand of its pods, and warn of.

mod check;

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Operation, Review};
use crate::api::error::{self, FieldError, Subject, quoted};
use crate::api::object::Object;
use crate::api::{Api, meta};
use crate::status::Status;
use check::{Pod, Violation, violations};

/// How much a pod may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// A level in the words of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Standard {
    level: Level,
    /// `latest` or `v1.30`
    version: String,
}

/// What the labels of a namespace say.
struct Policy {
    enforce: Standard,
    warn: Standard,
    faults: Vec<FieldError>,
}

/// Refuses pods below the standard; what comes back warns of those below another.
pub(super) fn check(api: &Api, review: &Review<'_>, object: Option<&Value>) -> Result<Vec<String>, Status> {
    let Some(object) = object else { return Ok(Vec::new()) };
    match (review.kind.group.as_str(), review.kind.plural.as_str()) {
        ("", "namespaces") if review.subresource.is_empty() => namespace(api, review, object),
        ("", "pods") if !IGNORED.contains(&review.subresource) => pod(api, review, object),
        _ if review.subresource.is_empty() => Ok(template(review, object)
            .map_or_else(Vec::new, |pod| policy(api, review.namespace).map_or_else(Vec::new, |policy| warnings(&policy, &pod)))),
        _ => Ok(Vec::new()),
    }
}

fn pod(api: &Api, review: &Review<'_>, object: &Value) -> Result<Vec<String>, Status> {
    if review.operation == Operation::Update && !review.old.is_none_or(|old| matters(object, old)) {
        return Ok(Vec::new());
    }
    let Some(policy) = policy(api, review.namespace) else { return Ok(Vec::new()) };
    let pod = Pod { metadata: &object["metadata"], spec: &object["spec"] };
    let found = policy.enforce.violations(&pod);
    if !found.is_empty() {
        let cause = format!("violates PodSecurity {}: {}", quoted(&policy.enforce.to_string()), details(&found));
        return Err(review.forbid(object, cause));
    }
    Ok(warnings(&policy, &pod))
}

/// Labels that say nothing are refused; a stricter standard is held against the pods that are there.
fn namespace(api: &Api, review: &Review<'_>, new: &Value) -> Result<Vec<String>, Status> {
    let own = Policy::of(|key| new["metadata"]["labels"][key].as_str().map(str::to_owned));
    let old = review.old.unwrap_or(&Value::Null);
    let before = Policy::of(|key| old["metadata"]["labels"][key].as_str().map(str::to_owned));
    if !own.faults.is_empty() && own.faults != before.faults {
        return Err(error::invalid(Subject::kind(review.kind, review.name), &own.faults));
    }
    let relaxed = own.enforce.version == before.enforce.version && own.enforce.level <= before.enforce.level;
    if review.operation == Operation::Create || own.enforce == before.enforce || relaxed {
        return Ok(Vec::new());
    }
    Ok(of_pods(api, review.name, &own.enforce))
}

/// Which pods of a namespace are below a standard.
fn of_pods(api: &Api, namespace: &str, standard: &Standard) -> Vec<String> {
    let pods = super::content(api, ("", "pods"), namespace);
    let mut met: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for pod in pods.iter().take(MOST).map(|pod| pod.value()) {
        let found = standard.violations(&Pod { metadata: &pod["metadata"], spec: &pod["spec"] });
        if found.is_empty() {
            continue;
        }
        let reasons: Vec<&str> = found.iter().map(|one| one.reason.as_str()).collect();
        let (_, count) = met.entry(reasons.join(", ")).or_insert_with(|| (meta::text(&pod, "name").to_owned(), 0));
        *count += 1;
    }
    let mut warnings = Vec::new();
    if pods.len() > MOST {
        let all = pods.len();
        warnings.push(format!("new PodSecurity enforce level only checked against the first {MOST} of {all} existing pods"));
    }
    if !met.is_empty() {
        let (own, level) = (quoted(namespace), quoted(&standard.to_string()));
        warnings.push(format!("existing pods in namespace {own} violate the new PodSecurity enforce level {level}"));
    }
    let mut lines: Vec<String> = met
        .into_iter()
        .map(|(reasons, (name, count))| match count {
            1 => format!("{name}: {reasons}"),
            2 => format!("{name} (and 1 other pod): {reasons}"),
            more => format!("{name} (and {} other pods): {reasons}", more - 1),
        })
        .collect();
    lines.sort();
    warnings.extend(lines);
    warnings
}

fn warnings(policy: &Policy, pod: &Pod<'_>) -> Vec<String> {
    let found = policy.warn.violations(pod);
    if found.is_empty() {
        return Vec::new();
    }
    vec![format!("would violate PodSecurity {}: {}", quoted(&policy.warn.to_string()), details(&found))]
}

fn details(found: &[Violation]) -> String {
    let one = |violation: &Violation| format!("{} ({})", violation.reason, violation.detail);
    found.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The template of pods that an object holds.
fn template<'a>(review: &Review<'_>, object: &'a Value) -> Option<Pod<'a>> {
    let template = match (review.kind.group.as_str(), review.kind.plural.as_str()) {
        ("", "podtemplates") => &object["template"],
        ("", "replicationcontrollers")
        | ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets")
        | ("batch", "jobs") => &object["spec"]["template"],
        ("batch", "cronjobs") => &object["spec"]["jobTemplate"]["spec"]["template"],
        _ => return None,
    };
    template.is_object().then(|| Pod { metadata: &template["metadata"], spec: &template["spec"] })
}

/// What the namespace demands; `None` when it is nothing.
fn policy(api: &Api, namespace: &str) -> Option<Policy> {
    let kind = api.catalog.find("", "v1", "namespaces")?;
    let namespace: std::sync::Arc<Object> = api.seen(kind, "", namespace)?;
    let policy = Policy::of(|key| namespace.label(key).map(str::to_owned));
    (policy.enforce.level != Level::Privileged || policy.warn.level != Level::Privileged).then_some(policy)
}

/// Whether a change of a pod is one that the standards speak of: its images, its containers, its old annotations.
fn matters(new: &Value, old: &Value) -> bool {
    let shape = |pod: &Value| -> Vec<(String, Value)> {
        let lists = ["containers", "initContainers", "ephemeralContainers"].into_iter();
        let containers = lists.flat_map(|list| pod["spec"][list].as_array().into_iter().flatten());
        containers.map(|one| (one["name"].as_str().unwrap_or("").to_owned(), one["image"].clone())).collect()
    };
    let seccomp = |pod: &Value| -> BTreeMap<String, Value> {
        let annotations = pod["metadata"]["annotations"].as_object().into_iter().flatten();
        let own = annotations.filter(|(key, _)| key.contains("seccomp.security.alpha.kubernetes.io"));
        own.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    shape(new) != shape(old) || seccomp(new) != seccomp(old)
}

impl Policy {
    /// Reads labels. A level that cannot be read is the strictest.
    fn of(label: impl Fn(&str) -> Option<String>) -> Self {
        let mut faults = Vec::new();
        let mut standard = |mode: &str| {
            let key = format!("{PREFIX}{mode}");
            let level = label(&key).map_or(Level::Privileged, |text| {
                Level::parse(&text).unwrap_or_else(|| {
                    let fault = "must be one of privileged, baseline, restricted";
                    faults.push(FieldError::invalid_text(format!("metadata.labels[{key}]"), &text, fault));
                    Level::Restricted
                })
            });
            let key = format!("{key}-version");
            let version = label(&key).unwrap_or_else(|| LATEST.to_owned());
            if minor(&version).is_some() {
                return Standard { level, version };
            }
            let fault = "must be \"latest\" or \"v1.x\"";
            faults.push(FieldError::invalid_text(format!("metadata.labels[{key}]"), &version, fault));
            Standard { level, version: LATEST.to_owned() }
        };
        let enforce = standard("enforce");
        let warn = standard("warn");
        standard("audit");
        Self { enforce, warn, faults }
    }
}

impl Standard {
    fn violations(&self, pod: &Pod<'_>) -> Vec<Violation> {
        violations(pod, self.level, minor(&self.version).unwrap_or(u32::MAX))
    }
}

impl std::fmt::Display for Standard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let level = match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        };
        write!(f, "{level}:{}", self.version)
    }
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "privileged" => Some(Self::Privileged),
            "baseline" => Some(Self::Baseline),
            "restricted" => Some(Self::Restricted),
            _ => None,
        }
    }
}

/// The minor version; the latest is beyond all.
fn minor(version: &str) -> Option<u32> {
    if version == LATEST {
        return Some(u32::MAX);
    }
    let minor = version.strip_prefix("v1.")?;
    let plain = minor == "0" || !minor.starts_with('0') && minor.bytes().all(|byte| byte.is_ascii_digit());
    if plain { minor.parse().ok() } else { None }
}

const PREFIX: &str = "pod-security.kubernetes.io/";
const LATEST: &str = "latest";
const IGNORED: [&str; 8] = ["exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"];

/// Pods that a new standard is held against.
const MOST: usize = 3000;

#[cfg(test)]
mod tests;

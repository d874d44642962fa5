//! Cells of nodes, events, quotas, bindings, certificate requests and what else a cluster has.

use jiff::Timestamp;
use serde_json::Value;

use super::age;
use super::format::{count, items, none, number, text};

/// Which half of a quota.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Limit,
}

pub(super) fn node_status(node: &Value) -> String {
    let ready = items(&node["status"]["conditions"]).iter().find(|condition| condition["type"] == "Ready");
    let state = match ready {
        None => "Unknown",
        Some(condition) if condition["status"] == "True" => "Ready",
        Some(_) => "NotReady",
    };
    let held = if node["spec"]["unschedulable"] == true { ",SchedulingDisabled" } else { "" };
    format!("{state}{held}")
}

pub(super) fn node_roles(node: &Value) -> String {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let role = |(key, value): (&String, &Value)| match key.strip_prefix("node-role.kubernetes.io/") {
        Some(role) if !role.is_empty() => Some(role.to_owned()),
        _ if key == "kubernetes.io/role" => value.as_str().filter(|role| !role.is_empty()).map(str::to_owned),
        _ => None,
    };
    let mut roles: Vec<String> = labels.filter_map(role).collect();
    roles.sort_unstable();
    roles.dedup();
    none(roles.join(","))
}

pub(super) fn node_address(node: &Value, kind: &str) -> String {
    let address = items(&node["status"]["addresses"]).iter().find(|address| address["type"] == kind);
    none(address.map(|address| text(address, "address").to_owned()).unwrap_or_default())
}

pub(super) fn event_first(event: &Value, now: Timestamp) -> String {
    let first = &event["firstTimestamp"];
    age::since(if first.is_string() { first } else { &event["eventTime"] }, now)
}

pub(super) fn event_last(event: &Value, now: Timestamp) -> String {
    if event["series"].is_object() {
        return age::since(&event["series"]["lastObservedTime"], now);
    }
    let last = &event["lastTimestamp"];
    if last.is_string() { age::since(last, now) } else { event_first(event, now) }
}

pub(super) fn event_count(event: &Value) -> i64 {
    if event["series"].is_object() { number(&event["series"]["count"]) } else { number(&event["count"]).max(1) }
}

pub(super) fn event_object(event: &Value) -> String {
    let about = &event["involvedObject"];
    let kind = text(about, "kind").to_lowercase();
    let name = text(about, "name");
    if name.is_empty() { kind } else { format!("{kind}/{name}") }
}

pub(super) fn event_source(event: &Value) -> String {
    let either = |old: &'static str, new: &'static str| {
        let old = text(&event["source"], old);
        if old.is_empty() { text(event, new) } else { old }
    };
    let (component, host) = (either("component", "reportingComponent"), either("host", "reportingInstance"));
    if host.is_empty() { component.to_owned() } else { format!("{component}, {host}") }
}

/// `pods: 3/10, ...`; what begins with `limits.` is the other side.
pub(super) fn quota(quota: &Value, side: Side) -> String {
    let (hard, used) = (&quota["status"]["hard"], &quota["status"]["used"]);
    let here = hard.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("limits.") == (side == Side::Limit));
    let shown =
        here.map(|(name, most)| format!("{name}: {}/{}", used[name].as_str().unwrap_or("0"), most.as_str().unwrap_or_default()));
    shown.collect::<Vec<_>>().join(", ")
}

pub(super) fn subjects(binding: &Value, kind: &str) -> String {
    let name = |subject: &Value| match kind {
        "ServiceAccount" => format!("{}/{}", text(subject, "namespace"), text(subject, "name")),
        _ => text(subject, "name").to_owned(),
    };
    let subjects = items(&binding["subjects"]).iter().filter(|subject| subject["kind"] == kind);
    subjects.map(name).collect::<Vec<_>>().join(", ")
}

pub(super) fn csr_condition(request: &Value) -> String {
    let has = |kind: &str| items(&request["status"]["conditions"]).iter().any(|condition| condition["type"] == kind);
    let verdict = match (has("Denied"), has("Approved")) {
        (true, _) => "Denied",
        (false, true) => "Approved",
        (false, false) => "Pending",
    };
    let failed = if has("Failed") { ",Failed" } else { "" };
    let issued = if text(&request["status"], "certificate").is_empty() { "" } else { ",Issued" };
    format!("{verdict}{failed}{issued}")
}

pub(super) fn param_kind(policy: &Value) -> String {
    let kind = &policy["spec"]["paramKind"];
    if kind.is_object() { format!("{}/{}", text(kind, "apiVersion"), text(kind, "kind")) } else { "<unset>".to_owned() }
}

pub(super) fn param_ref(binding: &Value) -> String {
    let param = &binding["spec"]["paramRef"];
    match (text(param, "name"), text(param, "namespace")) {
        ("", _) if param["selector"].is_object() => written(&param["selector"]),
        ("", _) => "<unset>".to_owned(),
        (name, "") => format!("*/{name}"),
        (name, namespace) => format!("{namespace}/{name}"),
    }
}

/// A label selector as Go's generated code prints it.
fn written(selector: &Value) -> String {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let labels: String = labels.map(|(key, value)| format!("{key}: {},", value.as_str().unwrap_or_default())).collect();
    let expression = |of: &Value| {
        let values: Vec<&str> = items(&of["values"]).iter().filter_map(Value::as_str).collect();
        let (key, operator) = (text(of, "key"), text(of, "operator"));
        format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{}],}},", values.join(" "))
    };
    let expressions: String = items(&selector["matchExpressions"]).iter().map(expression).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
}

/// Whether a flow schema names a priority level that is not there.
pub(super) fn dangling(schema: &Value) -> String {
    let dangling = items(&schema["status"]["conditions"]).iter().find(|condition| condition["type"] == "Dangling");
    dangling.map_or("?", |condition| text(condition, "status")).to_owned()
}

pub(super) fn api_service(service: &Value) -> String {
    let of = &service["spec"]["service"];
    if of.is_object() { format!("{}/{}", text(of, "namespace"), text(of, "name")) } else { "Local".to_owned() }
}

pub(super) fn available(service: &Value) -> String {
    let condition = items(&service["status"]["conditions"]).iter().find(|condition| condition["type"] == "Available");
    match condition.map(|condition| (text(condition, "status"), text(condition, "reason"))) {
        None => "Unknown".to_owned(),
        Some(("True", _)) => "True".to_owned(),
        Some((status, reason)) => format!("{status} ({reason})"),
    }
}

/// A member of the healthy-condition of a component.
pub(super) fn health(component: &Value, member: &str) -> String {
    let condition = items(&component["conditions"]).iter().find(|condition| condition["type"] == "Healthy");
    let value = condition.map(|condition| text(condition, member)).unwrap_or_default();
    match (member, value) {
        ("status", "True") => "Healthy",
        ("status", "False") => "Unhealthy",
        ("status", _) => "Unknown",
        (_, value) => value,
    }
    .to_owned()
}

/// `allocated,reserved`
pub(super) fn claim_state(claim: &Value) -> String {
    let (allocated, deleted) = (claim["status"]["allocation"].is_object(), claim["metadata"]["deletionTimestamp"].is_string());
    let states = [
        (deleted, "deleted"),
        (!allocated && !deleted, "pending"),
        (allocated, "allocated"),
        (allocated && count(&claim["status"]["reservedFor"]) > 0, "reserved"),
    ];
    states.iter().filter(|(holds, _)| *holds).map(|(_, state)| *state).collect::<Vec<_>>().join(",")
}

//! Cells of what runs pods.

use jiff::Timestamp;
use serde_json::Value;

use super::age;
use super::format::{has_condition, items, number, text};

/// The pod spec inside: of the template, of the job template's template, or of the template that is the object itself.
pub(super) fn template(object: &Value) -> &Value {
    let spec = &object["spec"];
    if spec["jobTemplate"].is_object() {
        return &spec["jobTemplate"]["spec"]["template"]["spec"];
    }
    if spec["template"].is_object() { &spec["template"]["spec"] } else { &object["template"]["spec"] }
}

/// `daemonset.apps/agent`: who controls the object.
pub(super) fn controller(object: &Value) -> String {
    let Some(owner) = items(&object["metadata"]["ownerReferences"]).iter().find(|owner| owner["controller"] == true) else {
        return "<none>".to_owned();
    };
    let kind = text(owner, "kind").to_lowercase();
    match text(owner, "apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", text(owner, "name")),
        None => format!("{kind}/{}", text(owner, "name")),
    }
}

pub(super) fn job_status(job: &Value) -> &'static str {
    let has = |kind| has_condition(&job["status"]["conditions"], kind, "True");
    let deleting = job["metadata"]["deletionTimestamp"].is_string();
    let states = [
        (has("Complete"), "Complete"),
        (has("Failed"), "Failed"),
        (deleting, "Terminating"),
        (has("Suspended"), "Suspended"),
        (has("FailureTarget"), "FailureTarget"),
        (has("SuccessCriteriaMet"), "SuccessCriteriaMet"),
    ];
    states.iter().find(|(holds, _)| *holds).map_or("Running", |(_, state)| state)
}

pub(super) fn job_completions(job: &Value) -> String {
    let done = number(&job["status"]["succeeded"]);
    match (job["spec"]["completions"].as_i64(), number(&job["spec"]["parallelism"])) {
        (Some(wanted), _) => format!("{done}/{wanted}"),
        (None, parallel @ 2..) => format!("{done}/1 of {parallel}"),
        (None, _) => format!("{done}/1"),
    }
}

pub(super) fn job_duration(job: &Value, now: Timestamp) -> String {
    let (start, end) = (&job["status"]["startTime"], &job["status"]["completionTime"]);
    match (start.is_string(), end.is_string()) {
        (false, _) => String::new(),
        (true, false) => age::since(start, now),
        (true, true) => age::between(start, end).map(age::human).unwrap_or_default(),
    }
}

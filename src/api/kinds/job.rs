//! Jobs and CronJobs: the labels and selector that tie pods to their job (contract 3.13).

use serde_json::{Value, json};

use super::field::{entries, immutable, is_empty, not_negative, one_of, required, selector, selects};
use super::pod;
use crate::api::error::FieldError;
use crate::api::meta;

pub(super) fn prepare_create(new: &mut Value) {
    if new["spec"]["manualSelector"] == true {
        return;
    }
    let (name, uid) = (meta::text(new, "name").to_owned(), meta::text(new, "uid").to_owned());
    let labels = json!({NAME: name, "job-name": name, UID: uid, "controller-uid": uid});
    for (key, value) in entries(&labels) {
        new["spec"]["template"]["metadata"]["labels"][key] = value.clone();
    }
    // The labels of a job without any are its template's.
    let template = new["spec"]["template"]["metadata"]["labels"].clone();
    if is_empty(&new["metadata"]["labels"]) {
        new["metadata"]["labels"] = template;
    }
    new["spec"]["selector"]["matchLabels"][UID] = Value::from(uid);
}

/// The rules of a job's spec at `path`.
pub(super) fn check(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let counts = ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"];
    for member in counts {
        not_negative(&spec[member], &format!("{path}.{member}"), errors);
    }
    one_of(&spec["completionMode"], &format!("{path}.completionMode"), &["Indexed", "NonIndexed"], errors);
    if path == "spec" {
        match &spec["selector"] {
            Value::Null => errors.push(FieldError::required("spec.selector", "")),
            own => {
                selector(own, "spec.selector", errors);
                if !selects(own, &spec["template"]["metadata"]["labels"]) {
                    let labels = &spec["template"]["metadata"]["labels"];
                    let fault = "`selector` does not match template `labels`";
                    errors.push(FieldError::invalid("spec.template.metadata.labels", labels, fault));
                }
            }
        }
    }
    pod::check_template(&spec["template"], &format!("{path}.template"), errors);
    if !matches!(spec["template"]["spec"]["restartPolicy"].as_str(), Some("OnFailure" | "Never")) {
        let path = format!("{path}.template.spec.restartPolicy");
        errors.push(FieldError::required(path, "valid values: \"OnFailure\", \"Never\""));
    }
}

pub(super) fn check_cron(new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let schedule = required(&spec["schedule"], "spec.schedule", errors);
    let words = schedule.split_whitespace().count();
    if !schedule.is_empty() && !schedule.starts_with('@') && words != 5 {
        let fault =
            format!("expected exactly 5 fields, found {words}: [{}]", schedule.split_whitespace().collect::<Vec<_>>().join(" "));
        errors.push(FieldError::invalid_text("spec.schedule", schedule, &fault));
    }
    one_of(&spec["concurrencyPolicy"], "spec.concurrencyPolicy", &["Allow", "Forbid", "Replace"], errors);
    for member in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        not_negative(&spec[member], &format!("spec.{member}"), errors);
    }
    let name = meta::text(new, "name");
    if name.len() > 52 {
        errors.push(FieldError::invalid_text("metadata.name", name, "must be no more than 52 bytes"));
    }
    check(&spec["jobTemplate"]["spec"], "spec.jobTemplate.spec", errors);
}

pub(super) fn check_change(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (own, stored) = (&new["spec"], &old["spec"]);
    if own["completionMode"] != "Indexed" {
        immutable(&own["completions"], &stored["completions"], "spec.completions", errors);
    }
    immutable(&own["selector"], &stored["selector"], "spec.selector", errors);
    let waits = stored["suspend"] == true && old["status"]["startTime"].is_null();
    if !waits {
        immutable(&own["template"], &stored["template"], "spec.template", errors);
    }
    immutable(&own["completionMode"], &stored["completionMode"], "spec.completionMode", errors);
}

const NAME: &str = "batch.kubernetes.io/job-name";
const UID: &str = "batch.kubernetes.io/controller-uid";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_selects_its_own_pods() {
        let mut job = json!({"metadata": {"name": "j", "uid": "u"}, "spec": {"template": {"spec": {}}}});
        prepare_create(&mut job);
        assert_eq!(job["spec"]["selector"], json!({"matchLabels": {UID: "u"}}));
        assert_eq!(job["spec"]["template"]["metadata"]["labels"]["job-name"], "j");
        assert_eq!(job["metadata"]["labels"][NAME], "j");
    }
}

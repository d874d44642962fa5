//! Jobs and CronJobs: the labels and selector that tie pods to their job (contract 3.13), and what they may be.

mod change;
mod cron;
mod index;
mod policy;
mod schedule;
mod spec;
mod status;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::field::{Field, entries, is_empty};
use super::{Part, pod};
use crate::api::catalog::Kind;
use crate::api::error::FieldError;
use crate::api::meta;

pub(super) use cron::{check as check_cron, check_update as check_cron_update};

/// A new job: its pods bear its name and its uid.
pub(super) fn prepare_create(new: &mut Value) {
    if let Some(spec) = new.pointer_mut("/spec/template/spec") {
        pod::drop_disabled(spec, &Value::Null);
    }
    if new["spec"]["manualSelector"] == true {
        return;
    }
    let (name, uid) = (meta::text(new, "name").to_owned(), meta::text(new, "uid").to_owned());
    let labels = json!({NAME: name, OLD_NAME: name, UID: uid, OLD_UID: uid});
    // The labels of a job without any are its template's: in kube-apiserver they are one and the same map.
    let own = &new["metadata"]["labels"];
    let shared = is_empty(own) || *own == new["spec"]["template"]["metadata"]["labels"];
    for (key, value) in entries(&labels) {
        // What a client has set stays, and is refused if it is something else.
        let own = &mut new["spec"]["template"]["metadata"]["labels"][key];
        if own.is_null() {
            *own = value.clone();
        }
    }
    if shared {
        new["metadata"]["labels"] = new["spec"]["template"]["metadata"]["labels"].clone();
    }
    let own = &mut new["spec"]["selector"]["matchLabels"][UID];
    if own.is_null() {
        *own = Value::from(uid);
    }
}

/// A job by itself, its metadata included.
pub(super) fn check(new: &Value, errors: &mut Vec<FieldError>) {
    let root = Field::new(new, "");
    errors.extend(meta::check(new, meta::name::subdomain, true));
    spec::check_generated(&root, Labels::Both, errors);
    spec::check_whole(&root.at("spec"), errors);
    spec::check_host_names(&root, errors);
}

/// Which of the labels that tie pods to a job must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Labels {
    /// The old ones and those with a prefix.
    Both,
    /// The old ones: the job is from before there were others.
    Old,
}

/// The faults of an updated job, after those that are the same for every kind.
pub(super) fn check_update(part: Part, (new, old): (&Value, &Value), errors: &mut Vec<FieldError>) {
    if part == Part::Status {
        errors.extend(meta::check_change(new, old));
        status::check_update((new, old), errors);
        return;
    }
    let root = Field::new(new, "");
    let stored = &old["spec"]["template"]["metadata"]["labels"];
    let labels = if stored[NAME].is_null() || stored[UID].is_null() { Labels::Old } else { Labels::Both };
    errors.extend(meta::check(new, meta::name::subdomain, true));
    spec::check_generated(&root, labels, errors);
    spec::check_whole(&root.at("spec"), errors);
    spec::check_host_names(&root, errors);
    errors.extend(meta::check_change(new, old));
    spec::check_whole(&root.at("spec"), errors);
    change::check(&root.at("spec"), old, errors);
}

/// What a client should know.
pub(super) fn warn(kind: &Kind, new: &Value, old: Option<&Value>, warnings: &mut Vec<String>) {
    if old.is_some_and(|old| meta::generation(new) == meta::generation(old)) {
        return;
    }
    if old.is_none() {
        pod::warn_of_name(new, "Pod names and hostnames", warnings);
    }
    let root = Field::new(new, "");
    let spec = root.at("spec");
    if kind.kind == "Job" {
        warn_of_spec(&spec, warnings);
        return;
    }
    let template = spec.at("jobTemplate");
    warn_of_spec(&template.at("spec"), warnings);
    if spec.at("schedule").text().contains("TZ") {
        warnings.push(
            "CRON_TZ or TZ used in spec.schedule is not officially supported, see \
             https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
                .to_owned(),
        );
    }
}

fn warn_of_spec(spec: &Field<'_, '_>, warnings: &mut Vec<String>) {
    let many = spec.at("completions").count() > 100_000 && spec.at("parallelism").count() > 10_000;
    if spec.at("completionMode").text() == "Indexed" && many {
        warnings.push(format!(
            "{spec}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes \
             might not be able to track completedIndexes when a big number of indexes fail"
        ));
    }
    pod::warn_of_template(&spec.at("template"), warnings);
}

const NAME: &str = "batch.kubernetes.io/job-name";
const UID: &str = "batch.kubernetes.io/controller-uid";
const OLD_NAME: &str = "job-name";
const OLD_UID: &str = "controller-uid";

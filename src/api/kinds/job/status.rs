//! What controllers may say of a job's progress.

use std::collections::HashSet;

use serde_json::Value;

use super::index;
use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, is_full};
use crate::api::kinds::internal;

/// The rules of a change of the status: of each part only if that part has changed.
pub(super) fn check_update((new, old): (&Value, &Value), errors: &mut Vec<FieldError>) {
    let root = Field::new(new, "");
    let state = State { new, old, status: root.at("status"), spec: root.at("spec") };
    for member in ["active", "succeeded", "failed", "ready", "terminating"] {
        state.status.at(member).not_negative(errors);
    }
    state.check_uncounted(errors);
    state.check_end(errors);
    state.check_finished(errors);
    state.check_indexes(errors);
    state.check_enough(errors);
    state.check_history(errors);
}

/// A job's status, and what it was.
struct State<'a> {
    new: &'a Value,
    old: &'a Value,
    status: Field<'a, 'a>,
    spec: Field<'a, 'a>,
}

impl State<'_> {
    fn is(&self, condition: &str) -> bool {
        holds(self.new, condition)
    }

    fn is_finished(&self) -> bool {
        self.is("Complete") || self.is("Failed")
    }

    fn turned(&self, condition: &str) -> bool {
        holds(self.new, condition) != holds(self.old, condition)
    }

    fn ended(&self) -> bool {
        (holds(self.old, "Complete") || holds(self.old, "Failed")) != self.is_finished()
    }

    fn changed(&self, member: &str) -> bool {
        self.new["status"][member] != self.old["status"][member]
    }

    fn refuse(&self, fault: &str, errors: &mut Vec<FieldError>) {
        errors.push(self.status.at("conditions").invalid_plain(fault));
    }

    fn check_uncounted(&self, errors: &mut Vec<FieldError>) {
        let pods = self.status.at("uncountedTerminatedPods");
        let mut seen = HashSet::new();
        for member in ["succeeded", "failed"] {
            for uid in pods.at(member).items() {
                if is_full(errors) {
                    return;
                }
                if uid.is_empty() {
                    errors.push(uid.invalid("must not be empty"));
                } else if !seen.insert(uid.text()) {
                    errors.push(uid.duplicate());
                }
            }
        }
    }

    fn check_end(&self, errors: &mut Vec<FieldError>) {
        let (begun, ended) = (self.status.at("startTime"), self.status.at("completionTime"));
        let (complete, failed) = (self.is("Complete"), self.is("Failed"));
        if (self.turned("Complete") || self.turned("Failed")) && complete && failed {
            self.refuse("cannot set Complete=True and Failed=true conditions", errors);
        }
        if (self.turned("Complete") || self.turned("FailureTarget")) && complete && self.is("FailureTarget") {
            self.refuse("cannot set Complete=True and FailureTarget=true conditions", errors);
        }
        if self.turned("Complete") || self.changed("completionTime") {
            if !ended.is_absent() && !complete {
                errors.push(ended.invalid("cannot set completionTime when there is no Complete=True condition"));
            }
            if ended.is_absent() && complete {
                errors.push(ended.required("completionTime is required for Complete jobs"));
            }
        }
        let moved = self.changed("startTime") || self.changed("completionTime");
        // Times in one form sort as texts.
        if moved && !begun.is_absent() && !ended.is_absent() && ended.text() < begun.text() {
            errors.push(ended.invalid("must be equal to or after `startTime`"));
        }
        if (self.turned("Failed") || self.changed("failedIndexes")) && failed && !self.is("FailureTarget") {
            self.refuse("cannot set Failed=True condition without the FailureTarget=true condition", errors);
        }
        if (self.turned("Complete") || self.turned("SuccessCriteriaMet")) && complete && !self.is("SuccessCriteriaMet") {
            self.refuse("cannot set Complete=True condition without the SuccessCriteriaMet=true condition", errors);
        }
    }

    fn check_finished(&self, errors: &mut Vec<FieldError>) {
        if !self.is_finished() {
            return;
        }
        let (active, begun) = (self.status.at("active"), self.status.at("startTime"));
        let pods = self.status.at("uncountedTerminatedPods");
        if (self.ended() || self.changed("active")) && active.count() > 0 {
            errors.push(active.invalid("active>0 is invalid for finished job"));
        }
        if (self.ended() || self.changed("startTime")) && begun.is_absent() {
            errors.push(begun.required("startTime is required for finished job"));
        }
        let some = !pods.at("failed").is_empty() || !pods.at("succeeded").is_empty();
        if (self.ended() || self.changed("uncountedTerminatedPods")) && some {
            let printed = internal::print("UncountedTerminatedPods", pods.value());
            errors.push(pods.invalid_as(&printed, "must be empty for finished job"));
        }
    }

    fn check_indexes(&self, errors: &mut Vec<FieldError>) {
        let (done, failed) = (self.status.at("completedIndexes"), self.status.at("failedIndexes"));
        let completions = self.spec.at("completions").number();
        let limited = !self.spec.at("backoffLimitPerIndex").is_absent();
        let (done_changed, failed_changed) = (self.changed("completedIndexes"), self.changed("failedIndexes"));
        if let (true, Some(most)) = (done_changed, completions)
            && let Err(fault) = index::count(done.text(), most)
        {
            errors.push(done.invalid(&format!("error parsing completedIndexes: {fault}")));
        }
        if let (true, Some(most)) = (failed_changed && limited && !failed.is_absent(), completions)
            && let Err(fault) = index::count(failed.text(), most)
        {
            errors.push(failed.invalid(&format!("error parsing failedIndexes: {fault}")));
        }
        if done_changed && !done.is_empty() && self.spec.at("completionMode").text() != "Indexed" {
            errors.push(done.invalid("cannot set non-empty completedIndexes when non-indexed completion mode"));
        }
        if failed_changed && !limited && !failed.is_absent() {
            errors.push(failed.invalid("cannot set non-null failedIndexes when backoffLimitPerIndex is null"));
        }
        if let (true, Some(most)) = ((done_changed || failed_changed) && !failed.is_absent(), completions)
            && let Some(both) = index::shared(failed.text(), done.text(), most)
        {
            errors.push(failed.invalid(&format!("failedIndexes and completedIndexes overlap at index: {both}")));
        }
    }

    fn check_enough(&self, errors: &mut Vec<FieldError>) {
        let (terminating, ready) = (self.status.at("terminating"), self.status.at("ready"));
        if (self.ended() || self.changed("terminating")) && terminating.count() > 0 && self.is_finished() {
            errors.push(terminating.invalid("terminating>0 is invalid for finished job"));
        }
        if (self.changed("ready") || self.changed("active"))
            && !ready.is_absent()
            && ready.count() > self.status.at("active").count()
        {
            errors.push(ready.invalid("cannot set more ready pods than active"));
        }
        let met = self.is("SuccessCriteriaMet");
        if met && self.is("Failed") {
            self.refuse("cannot set SuccessCriteriaMet=True and Failed=true conditions", errors);
        }
        if met && self.is("FailureTarget") {
            self.refuse("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions", errors);
        }
        if !self.spec.at("successPolicy").is_absent() && !met && self.is("Complete") {
            self.refuse("cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True", errors);
        }
    }

    fn check_history(&self, errors: &mut Vec<FieldError>) {
        for condition in ["Failed", "Complete", "FailureTarget"] {
            if holds(self.old, condition) && !self.is(condition) {
                self.refuse(&format!("cannot disable the terminal {condition}=True condition"), errors);
            }
        }
        let before = |member: &str| self.old["status"][member].as_i64().unwrap_or(0);
        let elastic = self.spec.at("completionMode").text() == "Indexed"
            && self.spec.at("completions").value() == self.spec.at("parallelism").value();
        for (member, counts) in [("failed", true), ("succeeded", !elastic)] {
            let own = self.status.at(member);
            if counts && own.count() < before(member) {
                errors.push(own.invalid_as(&own.count().to_string(), &format!("cannot decrease the {member} counter")));
            }
        }
        let ended = self.status.at("completionTime");
        let stored = &self.old["status"];
        if !ended.is_absent() && !stored["completionTime"].is_null() && *ended.value() != stored["completionTime"] {
            errors.push(ended.invalid("field is immutable"));
        }
        if self.changed("startTime") && !stored["startTime"].is_null() && !self.spec.at("suspend").is_true() {
            errors.push(self.status.at("startTime").required("startTime cannot be removed for unsuspended job"));
        }
        let (met, was) = (self.is("SuccessCriteriaMet"), holds(self.old, "SuccessCriteriaMet"));
        if was && !met {
            self.refuse("cannot disable the SuccessCriteriaMet=True condition", errors);
        }
        if holds(self.old, "Complete") && !was && met {
            self.refuse("cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions", errors);
        }
    }
}

fn holds(job: &Value, condition: &str) -> bool {
    let mut conditions = job["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|own| own["type"] == condition && own["status"] == "True")
}

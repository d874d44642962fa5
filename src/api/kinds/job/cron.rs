//! The rules of CronJobs.

use serde_json::Value;

use super::{schedule, spec};
use crate::api::error::FieldError;
use crate::api::kinds::Part;
use crate::api::kinds::field::Field;
use crate::api::meta;

/// A new CronJob, after its metadata.
pub(in crate::api::kinds) fn check(new: &Value, errors: &mut Vec<FieldError>) {
    let root = Field::new(new, "");
    check_spec(&root.at("spec"), &Value::Null, errors);
    let metadata = root.at("metadata");
    let own = metadata.at("name");
    // Jobs are named after it, and after the minute: 11 characters more.
    if own.text().len() > 52 {
        errors.push(own.invalid("must be no more than 52 bytes"));
    }
}

/// The faults of an updated CronJob, after those that are the same for every kind.
pub(in crate::api::kinds) fn check_update(part: Part, (new, old): (&Value, &Value), errors: &mut Vec<FieldError>) {
    errors.extend(meta::check_change(new, old));
    if part != Part::Status {
        check_spec(&Field::new(new, "").at("spec"), &old["spec"], errors);
    }
}

fn check_spec(spec: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    let (own, zone) = (spec.at("schedule"), spec.at("timeZone"));
    if own.is_empty() {
        errors.push(own.required(""));
    } else {
        if let Err(fault) = schedule::parse(own.text()) {
            errors.push(own.invalid(&fault));
        }
        let zoned = own.text().contains("TZ");
        let borne = old["schedule"].as_str().is_some_and(|old| old.contains("TZ"));
        if zoned && !borne {
            errors.push(own.invalid("cannot use TZ or CRON_TZ in schedule, use timeZone field instead"));
        } else if zoned && !zone.is_absent() {
            errors.push(own.invalid("cannot use both timeZone field and TZ or CRON_TZ in schedule"));
        }
    }
    spec.at("startingDeadlineSeconds").not_negative(errors);
    if old.is_null() || *zone.value() != old["timeZone"] {
        check_zone(&zone, errors);
    }
    spec.at("concurrencyPolicy").require_one_of(&["Allow", "Forbid", "Replace"], errors);
    let template = spec.at("jobTemplate");
    let job = template.at("spec");
    spec::check(&job, errors);
    if !job.at("selector").is_absent() {
        errors.push(job.at("selector").invalid("`selector` will be auto-generated"));
    }
    if job.at("manualSelector").is_true() {
        errors.push(job.at("manualSelector").unsupported(&["nil", "false"]));
    }
    spec.at("successfulJobsHistoryLimit").not_negative(errors);
    spec.at("failedJobsHistoryLimit").not_negative(errors);
}

fn check_zone(zone: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if zone.is_absent() {
        return;
    }
    let text = zone.text();
    if text.is_empty() {
        errors.push(zone.invalid("timeZone must be nil or non-empty string"));
        return;
    }
    let sound = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+');
        (1..=14).contains(&part.len()) && part != "." && part != ".." && !part.starts_with('-') && part.bytes().all(plain)
    };
    if !text.split('/').all(sound) {
        errors.push(zone.invalid(&format!("unknown time zone {text}")));
        return;
    }
    if text.eq_ignore_ascii_case("local") {
        errors.push(zone.invalid("timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"));
    }
    if text != "Local" && !schedule::is_zone(text) {
        errors.push(zone.invalid(&format!("unknown time zone {text}")));
    }
}

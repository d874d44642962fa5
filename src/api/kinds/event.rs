//! Events, of the old API and of the new one: what they are about is in their namespace.

use serde_json::Value;

use super::field::{Field, is_empty};
use super::{format, internal};
use crate::api::catalog::Kind;
use crate::api::error::FieldError;
use crate::api::meta::{self, name};

type Errors = Vec<FieldError>;

/// The names that one API has for the members of an event.
struct Words {
    object: &'static str,
    message: &'static str,
    controller: &'static str,
    source: &'static str,
    first: &'static str,
    last: &'static str,
    count: &'static str,
}

/// The faults of an event.
pub(super) fn check(kind: &Kind, (new, old): (&Value, Option<&Value>), errors: &mut Errors) {
    let words = words(kind);
    let root = Field::new(new, "");
    let own = meta::text(new, "namespace");
    let about = new[words.object]["namespace"].as_str().unwrap_or("");
    let modern = !is_empty(&new["eventTime"]);
    let fits = match (about, modern) {
        ("", true) => matches!(own, "default" | "kube-system"),
        ("", false) => matches!(own, "" | "default"),
        (_, true) => true,
        (_, false) => own == about,
    };
    if !fits {
        errors.push(FieldError::invalid_text("involvedObject.namespace", about, "does not match event.namespace"));
    }
    if modern {
        check_modern(&root, words, errors);
    }
    let faults = name::subdomain(own);
    errors.extend(faults.iter().map(|fault| FieldError::invalid_text("namespace", own, fault)));
    if old.is_none() && !kind.group.is_empty() {
        check_create(kind, new, errors);
    }
}

/// The faults of a new event of the new API.
fn check_create(kind: &Kind, new: &Value, errors: &mut Errors) {
    let words = words(kind);
    check_series(new, errors);
    if is_empty(&new["eventTime"]) {
        errors.push(FieldError::required("eventTime", ""));
    }
    let class = new["type"].as_str().unwrap_or("");
    if !matches!(class, "Normal" | "Warning") {
        errors.push(FieldError::invalid_text("type", "", &format!("has invalid value: {class}")));
    }
    let source = &new[words.source];
    for (unset, path) in [
        (is_empty(&new[words.first]), "firstTimestamp"),
        (is_empty(&new[words.last]), "lastTimestamp"),
        (new[words.count].as_i64().unwrap_or(0) == 0, "count"),
        (is_empty(&source["component"]) && is_empty(&source["host"]), "source"),
    ] {
        if !unset {
            errors.push(FieldError::invalid_text(path, "", "needs to be unset"));
        }
    }
}

/// The faults of a change through the new API.
pub(super) fn check_change(kind: &Kind, (new, old): (&Value, &Value), errors: &mut Errors) {
    let words = words(kind);
    if new["series"] != old["series"] {
        check_series(new, errors);
    }
    let printed = |member: &str, of: &str, value: &Value| match of {
        "" if value.is_null() && member == "count" => "0".to_owned(),
        "" if value.is_null() && member.ends_with("Timestamp") => "null".to_owned(),
        "" if value.is_null() => "\"\"".to_owned(),
        "" => crate::api::error::printed(value),
        "*ObjectReference" if value.is_null() => "null".to_owned(),
        of => internal::print(of.trim_start_matches('*'), value),
    };
    for (path, member, of) in [
        ("involvedObject", words.object, "ObjectReference"),
        ("reason", "reason", ""),
        ("message", words.message, ""),
        ("source", words.source, "EventSource"),
        ("firstTimestamp", words.first, ""),
        ("lastTimestamp", words.last, ""),
        ("count", words.count, ""),
        ("reason", "reason", ""),
        ("type", "type", ""),
        ("eventTime", "eventTime", ""),
        ("action", "action", ""),
        ("related", "related", "*ObjectReference"),
        ("reportingController", words.controller, ""),
        ("reportingInstance", "reportingInstance", ""),
    ] {
        if !format::same(&new[member], &old[member]) {
            let body = format!("Invalid value: {}: {}", printed(path, of, &new[member]), format::IMMUTABLE);
            errors.push(FieldError { field: path.to_owned(), reason: "FieldValueInvalid", body });
        }
    }
}

fn check_modern(root: &Field<'_, '_>, words: &Words, errors: &mut Errors) {
    let controller = root.at(words.controller);
    controller.require(errors);
    controller.formed(name::qualified, errors);
    for member in ["reportingInstance", "action", "reason"] {
        let own = root.at(member);
        own.require(errors);
        check_length(own.text(), (member, 128), errors);
    }
    check_length(root.at(words.message).text(), ("message", 1024), errors);
}

fn check_length(text: &str, (path, most): (&str, usize), errors: &mut Errors) {
    if text.len() > most {
        errors.push(FieldError::invalid_text(path, "", &format!("can have at most {most} characters")));
    }
}

fn check_series(new: &Value, errors: &mut Errors) {
    let series = &new["series"];
    if series.is_null() {
        return;
    }
    if series["count"].as_i64().unwrap_or(0) < 2 {
        errors.push(FieldError::invalid_text("series.count", "", "should be at least 2"));
    }
    if is_empty(&series["lastObservedTime"]) {
        errors.push(FieldError::required("series.lastObservedTime", ""));
    }
}

fn words(kind: &Kind) -> &'static Words {
    if kind.group.is_empty() { &OLD } else { &NEW }
}

const OLD: Words = Words {
    object: "involvedObject",
    message: "message",
    controller: "reportingComponent",
    source: "source",
    first: "firstTimestamp",
    last: "lastTimestamp",
    count: "count",
};
const NEW: Words = Words {
    object: "regarding",
    message: "note",
    controller: "reportingController",
    source: "deprecatedSource",
    first: "deprecatedFirstTimestamp",
    last: "deprecatedLastTimestamp",
    count: "deprecatedCount",
};

//! Events: their namespace is their object's.

use serde_json::Value;

use super::field::{is_empty, required};
use crate::api::catalog::Kind;
use crate::api::error::FieldError;
use crate::api::meta;

pub(super) fn check(kind: &Kind, new: &Value, errors: &mut Vec<FieldError>) {
    let old_style = kind.group.is_empty();
    let member = if old_style { "involvedObject" } else { "regarding" };
    let (own, about) = (meta::text(new, "namespace"), new[member]["namespace"].as_str().unwrap_or(""));
    let fits = own == about || about.is_empty() && matches!(own, "default" | "kube-system");
    if !fits {
        let path = "involvedObject.namespace";
        errors.push(FieldError::invalid_text(path, about, "does not match event.namespace"));
    }
    if old_style && is_empty(&new["eventTime"]) {
        return;
    }
    if !old_style && is_empty(&new["eventTime"]) {
        errors.push(FieldError::required("eventTime", ""));
    }
    let reporter = if old_style { "reportingComponent" } else { "reportingController" };
    let shown = if old_style { "reportingComponent" } else { "reportingController" };
    required(&new[reporter], shown, errors);
    for member in ["reportingInstance", "action", "reason"] {
        required(&new[member], member, errors);
    }
}

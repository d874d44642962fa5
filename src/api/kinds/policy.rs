//! PodDisruptionBudgets and HorizontalPodAutoscalers.

use serde_json::Value;

use super::field::{is_empty, positive, required, selector};
use crate::api::error::FieldError;

pub(super) fn check_budget(new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        errors.push(FieldError::invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"));
    }
    for member in ["minAvailable", "maxUnavailable"] {
        let path = format!("spec.{member}");
        match &spec[member] {
            Value::Number(number) if number.as_i64().is_some_and(|number| number < 0) => {
                errors.push(FieldError::invalid(path, &spec[member], "must be greater than or equal to 0"));
            }
            Value::String(text) => check_percent(text, &path, errors),
            _ => {}
        }
    }
    selector(&spec["selector"], "spec.selector", errors);
}

pub(super) fn check_autoscaler(new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    if is_empty(&spec["maxReplicas"]) && !spec["maxReplicas"].is_number() {
        errors.push(FieldError::invalid("spec.maxReplicas", &Value::from(0), "must be greater than 0"));
    }
    positive(&spec["maxReplicas"], "spec.maxReplicas", errors);
    positive(&spec["minReplicas"], "spec.minReplicas", errors);
    if let (Some(least), Some(most)) = (spec["minReplicas"].as_i64(), spec["maxReplicas"].as_i64())
        && most < least
    {
        errors.push(FieldError::invalid(
            "spec.maxReplicas",
            &spec["maxReplicas"],
            "must be greater than or equal to `minReplicas`",
        ));
    }
    required(&spec["scaleTargetRef"]["kind"], "spec.scaleTargetRef.kind", errors);
    required(&spec["scaleTargetRef"]["name"], "spec.scaleTargetRef.name", errors);
}

fn check_percent(text: &str, path: &str, errors: &mut Vec<FieldError>) {
    let number = text.strip_suffix('%').and_then(|digits| digits.parse::<u32>().ok());
    match number {
        Some(number) if number <= 100 => {}
        Some(_) => errors.push(FieldError::invalid_text(path, text, "must not be greater than 100%")),
        None => {
            let fault = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used \
                         for validation is '[0-9]+%')";
            errors.push(FieldError::invalid_text(path, text, fault));
        }
    }
}

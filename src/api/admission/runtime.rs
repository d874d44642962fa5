//! RuntimeClass: what a class costs, and where its pods may run.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Operation, Review, amount};
use crate::api::Api;
use crate::api::kinds::is_empty;
use crate::status::Status;

pub(super) fn admit(api: &Api, review: &Review<'_>, pod: &mut Value) -> Result<(), Status> {
    let Some(class) = class(api, review, pod)? else { return Ok(()) };
    let overhead = &class["overhead"];
    if overhead.is_object() {
        let own = &pod["spec"]["overhead"];
        if !is_empty(own) && !costs_the_same(own, &overhead["podFixed"]) {
            return Err(review.forbid(pod, MISMATCH));
        }
        pod["spec"]["overhead"] = overhead["podFixed"].clone();
    }
    if class["scheduling"].is_object() {
        select(review, pod, &class["scheduling"]["nodeSelector"])?;
        tolerate(&mut pod["spec"], &class["scheduling"]["tolerations"]);
    }
    Ok(())
}

/// The overhead that a pod says is its class's; without a class there is none.
pub(super) fn check(api: &Api, review: &Review<'_>, pod: Option<&Value>) -> Result<(), Status> {
    let Some(pod) = pod.filter(|_| review.is("", "pods", Operation::Create)) else { return Ok(()) };
    let class = class(api, review, pod)?.unwrap_or_default();
    let (own, overhead) = (&pod["spec"]["overhead"], &class["overhead"]);
    if overhead.is_object() {
        return if costs_the_same(own, &overhead["podFixed"]) { Ok(()) } else { Err(review.forbid(pod, MISMATCH)) };
    }
    if own.is_object() {
        let cause = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";
        return Err(review.forbid(pod, cause));
    }
    Ok(())
}

/// The class that a new pod names.
fn class(api: &Api, review: &Review<'_>, pod: &Value) -> Result<Option<Value>, Status> {
    let name = pod["spec"]["runtimeClassName"].as_str().unwrap_or("");
    if !review.is("", "pods", Operation::Create) || name.is_empty() {
        return Ok(None);
    }
    let kind = api.catalog.find("node.k8s.io", "v1", "runtimeclasses");
    match kind.and_then(|kind| api.seen(kind, "", name)) {
        Some(class) => Ok(Some(class.value())),
        None => {
            let cause = format!("pod rejected: RuntimeClass {} not found", crate::api::error::quoted(name));
            Err(review.forbid(pod, cause))
        }
    }
}

fn costs_the_same(own: &Value, other: &Value) -> bool {
    let (own, other) = (amount::of(own), amount::of(other));
    own.len() == other.len()
        && own
            .iter()
            .all(|(name, amount)| other.get(name).is_some_and(|other| amount.partial_cmp(other) == Some(Ordering::Equal)))
}

fn select(review: &Review<'_>, pod: &mut Value, wanted: &Value) -> Result<(), Status> {
    for (key, value) in wanted.as_object().into_iter().flatten() {
        let own = &mut pod["spec"]["nodeSelector"][key];
        if !own.is_null() && own != value {
            let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
            let cause = format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {}; pod.spec.nodeSelector[{key}] = {}",
                text(value),
                text(own)
            );
            return Err(review.forbid(pod, cause));
        }
        *own = value.clone();
    }
    Ok(())
}

/// The tolerations of both, without those that another covers.
fn tolerate(spec: &mut Value, more: &Value) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let all = [list(&spec["tolerations"]), list(more)].concat();
    let mut merged: Vec<Value> = Vec::new();
    for (at, own) in all.iter().enumerate() {
        let later = all[at + 1..].iter().any(|other| other != own && covers(other, own));
        if !later && !merged.iter().any(|other| covers(other, own)) {
            merged.push(own.clone());
        }
    }
    if !merged.is_empty() {
        spec["tolerations"] = Value::from(merged);
    }
}

/// Whether everything that `own` tolerates is tolerated by `other`.
fn covers(other: &Value, own: &Value) -> bool {
    let text = |value: &Value, member: &str| value[member].as_str().unwrap_or("").to_owned();
    let operator = text(other, "operator");
    if other == own {
        return true;
    }
    if text(own, "key") != text(other, "key") && !(text(other, "key").is_empty() && operator == "Exists") {
        return false;
    }
    let effect = text(other, "effect");
    if !effect.is_empty() && text(own, "effect") != effect {
        return false;
    }
    if let Some(seconds) = other["tolerationSeconds"].as_i64().filter(|_| effect == "NoExecute")
        && own["tolerationSeconds"].as_i64().is_none_or(|own| own > seconds)
    {
        return false;
    }
    match operator.as_str() {
        "" | "Equal" => text(own, "operator") == "Equal" && text(own, "value") == text(other, "value"),
        "Exists" => true,
        _ => false,
    }
}

const MISMATCH: &str = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tolerations_are_merged() {
        let exists = |key: &str| json!({"key": key, "operator": "Exists"});
        let equal = |key: &str, value: &str| json!({"key": key, "operator": "Equal", "value": value});
        let seconds =
            |seconds: i64| json!({"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds});
        for (own, more, expected) in [
            (json!([exists("a")]), json!([exists("a")]), json!([exists("a")])),
            (json!([exists("a")]), json!([equal("a", "x")]), json!([exists("a")])),
            (json!([equal("a", "x")]), json!([exists("a")]), json!([exists("a")])),
            (json!([equal("a", "x")]), json!([equal("a", "y")]), json!([equal("a", "x"), equal("a", "y")])),
            (json!([exists("a"), exists("b")]), json!([{"operator": "Exists"}]), json!([{"operator": "Exists"}])),
            (json!([seconds(10)]), json!([seconds(20)]), json!([seconds(20)])),
        ] {
            let mut spec = json!({"tolerations": own});
            tolerate(&mut spec, &more);
            assert_eq!(spec["tolerations"], expected, "{own} {more}");
        }
    }

    #[test]
    fn quantities_are_compared_by_what_they_amount_to() {
        assert!(costs_the_same(&json!({"cpu": "1000m"}), &json!({"cpu": "1"})));
        assert!(!costs_the_same(&json!({"cpu": "1"}), &json!({})));
    }
}

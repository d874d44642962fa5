//! TaintNodesByCondition: a new node takes no pods before it is ready.

use serde_json::{Value, json};

use super::{Operation, Review};

pub(super) fn admit(review: &Review<'_>, node: &mut Value) {
    if !review.is("", "nodes", Operation::Create) {
        return;
    }
    let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
    match node["spec"]["taints"].as_array_mut() {
        Some(taints) if taints.iter().any(|own| own["key"] == taint["key"] && own["effect"] == taint["effect"]) => {}
        Some(taints) => taints.push(taint),
        None => node["spec"]["taints"] = json!([taint]),
    }
}

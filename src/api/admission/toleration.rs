//! DefaultTolerationSeconds: a pod stays five minutes on a node that is not ready or cannot be reached.

use serde_json::{Value, json};

use super::{Operation, Review};

pub(super) fn admit(review: &Review<'_>, pod: &mut Value) {
    if !review.is("", "pods", Operation::Create) && !review.is("", "pods", Operation::Update) {
        return;
    }
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covers = |own: &Value| {
            let word = |member: &str| own[member].as_str().unwrap_or("");
            (word("key") == key || word("key").is_empty()) && matches!(word("effect"), "" | "NoExecute")
        };
        let toleration = json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
        match pod["spec"]["tolerations"].as_array_mut() {
            Some(own) if own.iter().any(covers) => {}
            Some(own) => own.push(toleration),
            None => pod["spec"]["tolerations"] = json!([toleration]),
        }
    }
}

//! ServiceAccounts.

use serde_json::{Value, json};

/// Of the secrets of an account only the names count.
pub(super) fn prepare(new: &mut Value) {
    for secret in new.get_mut("secrets").and_then(Value::as_array_mut).into_iter().flatten() {
        *secret = match &secret["name"] {
            Value::Null => json!({}),
            name => json!({"name": name}),
        };
    }
}

/// What a client should know of an account that is taken.
pub(super) fn warn(new: &Value, old: Option<&Value>, warnings: &mut Vec<String>) {
    let has = |account: &Value| account["metadata"]["annotations"].get(ENFORCE).is_some();
    if has(new) && !old.is_some_and(has) {
        let text = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets";
        warnings.push(format!("metadata.annotations[{ENFORCE}]: {text}"));
    }
}

const ENFORCE: &str = "kubernetes.io/enforce-mountable-secrets";

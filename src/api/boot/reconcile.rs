//! What a role or binding lacks of what Kubernetes gives it. Nothing is ever taken away. Pure.

use serde_json::Value;

/// The object with what it lacks; `None` when it lacks nothing or its owner has said to leave it alone.
pub(super) fn completed(stored: &Value, wanted: &Value) -> Option<Value> {
    if stored["metadata"]["annotations"][AUTOUPDATE] == "false" {
        return None;
    }
    let mut new = stored.clone();
    for member in ["labels", "annotations"] {
        for (key, value) in wanted["metadata"][member].as_object().into_iter().flatten() {
            if new["metadata"].get(member).and_then(|own| own.get(key)).is_none() {
                new["metadata"][member][key] = value.clone();
            }
        }
    }
    // The rules of an aggregated role are the controller's.
    if wanted["aggregationRule"].is_null() {
        extend(&mut new, "rules", &wanted["rules"]);
    } else if stored["aggregationRule"].is_null() {
        new["aggregationRule"] = wanted["aggregationRule"].clone();
    } else {
        extend(&mut new["aggregationRule"], "clusterRoleSelectors", &wanted["aggregationRule"]["clusterRoleSelectors"]);
    }
    extend(&mut new, "subjects", &wanted["subjects"]);
    (new != *stored).then_some(new)
}

/// Whether a binding of this name binds another role: then it is made anew.
pub(super) fn binds_otherwise(stored: &Value, wanted: &Value) -> bool {
    let kept = stored["metadata"]["annotations"][AUTOUPDATE] == "false";
    !kept && !wanted["roleRef"].is_null() && stored["roleRef"] != wanted["roleRef"]
}

fn extend(object: &mut Value, member: &str, wanted: &Value) {
    for item in wanted.as_array().into_iter().flatten() {
        match object.get_mut(member).and_then(Value::as_array_mut) {
            Some(own) if own.contains(item) => {}
            Some(own) => own.push(item.clone()),
            None => object[member] = Value::from(vec![item.clone()]),
        }
    }
}

const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn adds_and_never_takes() {
        let wanted = json!({"metadata": {"labels": {"a": "b"}}, "rules": [{"verbs": ["get"]}]});
        let rows = [
            (wanted.clone(), None),
            (
                json!({"metadata": {"labels": {"a": "own"}}, "rules": [{"verbs": ["list"]}]}),
                Some(json!({"metadata": {"labels": {"a": "own"}}, "rules": [{"verbs": ["list"]}, {"verbs": ["get"]}]})),
            ),
            (json!({"metadata": {"annotations": {AUTOUPDATE: "false"}}, "rules": []}), None),
            (
                json!({"metadata": {"name": "x"}, "rules": null}),
                Some(json!({"metadata": {"name": "x", "labels": {"a": "b"}}, "rules": [{"verbs": ["get"]}]})),
            ),
        ];
        for (stored, expected) in rows {
            assert_eq!(completed(&stored, &wanted), expected, "{stored}");
        }
    }

    #[test]
    fn aggregated_rules_are_left_alone() {
        let wanted = json!({"metadata": {}, "aggregationRule": {"clusterRoleSelectors": [1]}, "rules": null});
        let stored = json!({"metadata": {}, "aggregationRule": {"clusterRoleSelectors": [1]}, "rules": [{"verbs": ["x"]}]});
        assert_eq!(completed(&stored, &wanted), None);
    }
}

//! What a stored object lacks of what the server wants. Pure.

use serde_json::Value;

use crate::policy::rbac::{self, Rule};

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
        cover(&mut new, &wanted["rules"]);
    } else if stored["aggregationRule"].is_null() {
        new["aggregationRule"] = wanted["aggregationRule"].clone();
    } else {
        extend(&mut new["aggregationRule"], "clusterRoleSelectors", &wanted["aggregationRule"]["clusterRoleSelectors"]);
    }
    extend(&mut new, "subjects", &wanted["subjects"]);
    (new != *stored).then_some(new)
}

/// The object with the content it should have; `None` when it has it, or when its owner has said to leave it alone. What labels and
/// annotations it has besides, and its status, stay.
pub(super) fn matched(stored: &Value, wanted: &Value) -> Option<Value> {
    let mandatory = matches!(wanted["metadata"]["name"].as_str(), Some("exempt" | "catch-all"));
    if !mandatory && stored["metadata"]["annotations"][AUTOUPDATE_SPEC] == "false" {
        return None;
    }
    let mut new = stored.clone();
    for member in ["labels", "annotations"] {
        for (key, value) in wanted["metadata"][member].as_object().into_iter().flatten() {
            new["metadata"][member][key] = value.clone();
        }
    }
    for (member, value) in wanted.as_object().into_iter().flatten() {
        if !matches!(member.as_str(), "metadata" | "status") {
            new[member] = value.clone();
        }
    }
    (new != *stored).then_some(new)
}

/// Whether a binding of this name binds another role: then it is made anew.
pub(super) fn binds_otherwise(stored: &Value, wanted: &Value) -> bool {
    let kept = stored["metadata"]["annotations"][AUTOUPDATE] == "false";
    !kept && !wanted["roleRef"].is_null() && stored["roleRef"] != wanted["roleRef"]
}

/// Adds the rules that those of the role do not cover, whole.
fn cover(role: &mut Value, wanted: &Value) {
    if role["rules"] == *wanted {
        return;
    }
    let held: Vec<Rule> = serde_json::from_value(role["rules"].clone()).unwrap_or_default();
    let uncovered = |rule: &&Value| match serde_json::from_value::<Rule>((*rule).clone()) {
        Ok(rule) => !rbac::uncovered(&held, std::slice::from_ref(&rule)).is_empty(),
        Err(_) => false,
    };
    let missing: Vec<Value> = wanted.as_array().into_iter().flatten().filter(uncovered).cloned().collect();
    extend(role, "rules", &Value::from(missing));
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
const AUTOUPDATE_SPEC: &str = "apf.kubernetes.io/autoupdate-spec";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(verb: &str) -> Value {
        json!({"verbs": [verb], "apiGroups": [""], "resources": ["pods"]})
    }

    #[test]
    fn adds_and_never_takes() {
        let wanted = json!({"metadata": {"labels": {"a": "b"}}, "rules": [rule("get")]});
        let rows = [
            (wanted.clone(), None),
            (json!({"metadata": {"labels": {"a": "own"}}, "rules": [rule("*")]}), None),
            (
                json!({"metadata": {"labels": {"a": "own"}}, "rules": [rule("list")]}),
                Some(json!({"metadata": {"labels": {"a": "own"}}, "rules": [rule("list"), rule("get")]})),
            ),
            (json!({"metadata": {"annotations": {AUTOUPDATE: "false"}}, "rules": []}), None),
            (
                json!({"metadata": {"name": "x"}, "rules": null}),
                Some(json!({"metadata": {"name": "x", "labels": {"a": "b"}}, "rules": [rule("get")]})),
            ),
        ];
        for (stored, expected) in rows {
            assert_eq!(completed(&stored, &wanted), expected, "{stored}");
        }
    }

    #[test]
    fn content_is_matched() {
        let wanted = json!({"metadata": {"name": "x", "labels": {"a": "b"}}, "spec": {"s": 1}, "status": {"new": 1}});
        let rows = [
            (json!({"metadata": {"name": "x", "labels": {"a": "b", "c": "d"}}, "spec": {"s": 1}, "status": {"old": 1}}), None),
            (
                json!({"metadata": {"name": "x", "labels": {"a": "b"}}, "spec": {"s": 2}, "status": {}}),
                Some(json!({"metadata": {"name": "x", "labels": {"a": "b"}}, "spec": {"s": 1}, "status": {}})),
            ),
            (json!({"metadata": {"name": "x", "annotations": {AUTOUPDATE_SPEC: "false"}}, "spec": {"s": 2}}), None),
        ];
        for (stored, expected) in rows {
            assert_eq!(matched(&stored, &wanted), expected, "{stored}");
        }
    }

    #[test]
    fn aggregated_rules_are_left_alone() {
        let wanted = json!({"metadata": {}, "aggregationRule": {"clusterRoleSelectors": [1]}, "rules": null});
        let stored = json!({"metadata": {}, "aggregationRule": {"clusterRoleSelectors": [1]}, "rules": [{"verbs": ["x"]}]});
        assert_eq!(completed(&stored, &wanted), None);
    }
}

//! JSON merge patch (RFC 7386). Knows no types.

use serde_json::{Map, Value};

use super::PatchError;

/// The patch applied to an object: a patch that is no object is refused, as it would replace the whole document.
pub(super) fn apply(old: &Value, patch: &Value) -> Result<Value, PatchError> {
    match patch {
        Value::Object(_) => Ok(merge(old.clone(), patch)),
        Value::Null => Err(PatchError::Malformed("Invalid JSON Patch".to_owned())),
        other => {
            let what = super::json::kind(other);
            let text =
                format!("error decoding patch: json: cannot unmarshal {what} into Go value of type map[string]interface {{}}");
            Err(PatchError::Malformed(text))
        }
    }
}

/// The RFC's MergePatch, for any two documents.
fn merge(target: Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else { return patch.clone() };
    let mut members = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
            continue;
        }
        let old = members.remove(name).unwrap_or_default();
        members.insert(name.clone(), merge(old, change));
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::PatchError;
    use super::{apply, merge};

    /// The examples of RFC 7386, appendix A.
    #[test]
    fn examples_of_the_rfc() {
        let rows = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), Value::Null, Value::Null),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (target, patch, expected) in rows {
            assert_eq!(merge(target.clone(), &patch), expected, "{target} with {patch}");
        }
    }

    #[test]
    fn only_objects_patch_objects() {
        assert_eq!(apply(&json!({"a": 1}), &json!({"a": null})).unwrap(), json!({}));
        for patch in [json!([]), json!(1), json!(null), json!("x")] {
            assert!(matches!(apply(&json!({}), &patch), Err(PatchError::Malformed(_))), "{patch}");
        }
    }
}

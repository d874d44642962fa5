use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_oneof, proptest};
use serde_json::{Value, json};

use super::super::{PatchError, shared};
use super::{apply, faults};

#[test]
fn vectors_of_others() {
    for name in ["vectors/json-patch-tests.json", "vectors/json-patch-spec-tests.json"] {
        let Some(tests) = shared(name) else { continue };
        let tests: Vec<Value> = serde_json::from_str(&tests).unwrap();
        let mut run = 0;
        for test in tests.iter().filter(|test| test["disabled"] != true && test.get("patch").is_some()) {
            let result = apply(&test["doc"], test["patch"].to_string().as_bytes());
            match (&result, test.get("error"), test.get("expected")) {
                (Ok(value), None, Some(expected)) => assert_eq!(value, expected, "{test}"),
                (Ok(_), None, None) | (Err(PatchError::Inapplicable(_)), Some(_), _) => {}
                _ => panic!("{result:?} for {test}"),
            }
            run += 1;
        }
        assert!(run > 15, "{name}: {run}");
    }
}

#[test]
fn operations() {
    let rows: &[(Value, Value, Option<Value>)] = &[
        (json!({"a": [1, 2]}), json!([{"op": "add", "path": "/a/1", "value": 9}]), Some(json!({"a": [1, 9, 2]}))),
        (json!({"a": [1, 2]}), json!([{"op": "add", "path": "/a/-", "value": 9}]), Some(json!({"a": [1, 2, 9]}))),
        (json!({"a": [1, 2]}), json!([{"op": "remove", "path": "/a/-"}]), None),
        (json!({"a/b~1": 1}), json!([{"op": "remove", "path": "/a~1b~01"}]), Some(json!({}))),
        (json!({"a": {"b": 1}}), json!([{"op": "move", "from": "/a", "path": "/a/c"}]), None),
        (json!({"a": {"b": 1}}), json!([{"op": "move", "from": "/a", "path": "/a"}]), Some(json!({"a": {"b": 1}}))),
        (json!({"a": 1.0}), json!([{"op": "test", "path": "/a", "value": 1}]), Some(json!({"a": 1.0}))),
        (json!({"a": 1}), json!([{"op": "test", "path": "/a", "value": "1"}]), None),
        (json!({"a": 1}), json!([{"op": "test", "path": "/b", "value": null}]), Some(json!({"a": 1}))),
        (json!({"a": 1}), json!([{"op": "test", "path": "/b/c", "value": null}]), None),
        (json!({"a": [1]}), json!([{"op": "test", "path": "/a/1", "value": null}]), None),
        (json!({"a": 1}), json!([{"op": "replace", "path": "/b", "value": 1}]), None),
        (json!({"a": 1}), json!([{"op": "add", "path": "", "value": 3}]), Some(json!(3))),
        (json!({"a": 1}), json!([{"path": "/a"}]), None),
    ];
    for (doc, patch, expected) in rows {
        match (apply(doc, patch.to_string().as_bytes()), expected) {
            (Ok(value), Some(expected)) => assert_eq!(&value, expected, "{patch}"),
            (Err(PatchError::Inapplicable(_)), None) => {}
            (other, _) => panic!("{other:?} for {patch}"),
        }
    }
}

#[test]
fn malformed_is_the_requests_fault() {
    let rows = [
        ("{}", "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        ("[1]", "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp"),
        (
            r#"[{"op":1}]"#,
            "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string",
        ),
        ("[", "error decoding patch: unexpected end of JSON input"),
    ];
    for (patch, text) in rows {
        match apply(&json!({}), patch.as_bytes()) {
            Err(PatchError::Malformed(message)) => assert_eq!(message, text),
            other => panic!("{other:?} for {patch}"),
        }
    }
}

#[test]
fn bounds() {
    let many = |count: usize| serde_json::to_vec(&vec![json!({"op": "test", "path": "", "value": {}}); count]).unwrap();
    assert!(apply(&json!({}), &many(10_000)).is_ok());
    assert!(matches!(apply(&json!({}), &many(10_001)), Err(PatchError::TooLarge(_))));
    let doc = json!({"a": "x".repeat(1 << 20)});
    let copies = |count: usize| {
        let copies: Vec<Value> = (0..count).map(|at| json!({"op": "copy", "from": "/a", "path": format!("/c{at}")})).collect();
        serde_json::to_vec(&copies).unwrap()
    };
    assert!(apply(&doc, &copies(2)).is_ok());
    assert!(matches!(apply(&doc, &copies(4)), Err(PatchError::TooLarge(_))));
}

#[test]
fn a_result_can_always_be_read_again() {
    let sink = |count: usize| {
        let moves: Vec<Value> = (0..count)
            .flat_map(|_| {
                [
                    json!({"op": "move", "from": "/a", "path": "/b"}),
                    json!({"op": "add", "path": "/a", "value": {}}),
                    json!({"op": "move", "from": "/b", "path": "/a/a"}),
                ]
            })
            .collect();
        serde_json::to_vec(&moves).unwrap()
    };
    let result = apply(&json!({"a": {}}), &sink(100)).unwrap();
    let _: Value = serde_json::from_str(&result.to_string()).unwrap();
    assert!(matches!(apply(&json!({"a": {}}), &sink(3_000)), Err(PatchError::Inapplicable(_))));
    let doubling: Vec<Value> = (0..200).map(|_| json!({"op": "copy", "from": "", "path": "/a"})).collect();
    let result = apply(&json!({}), text(&doubling).as_bytes());
    assert!(matches!(result, Err(PatchError::Inapplicable(_))), "{result:?}");
}

#[test]
fn moving_back_and_forth_does_not_count_as_depth() {
    let moves: Vec<Value> = (0..2_000)
        .flat_map(|_| [json!({"op": "move", "from": "/a", "path": "/x/a"}), json!({"op": "move", "from": "/x/a", "path": "/a"})])
        .collect();
    assert!(apply(&json!({"a": 1, "x": {}}), text(&moves).as_bytes()).is_ok());
}

#[test]
fn strict_faults() {
    let patch = r#"[{"op":"add","path":"/a","value":{"x":1,"x":2},"y":1},{"op":"add","op":"add"}]"#;
    assert_eq!(faults(patch.as_bytes()), [r#"json patch unknown field "[0].y""#, r#"json patch duplicate field "[1].op""#]);
    assert!(faults(b"[]").is_empty());
}

fn text(operations: &[Value]) -> String {
    serde_json::to_string(operations).unwrap()
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), (0..3).prop_map(Value::from)];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[ab~/]{0,2}", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_patch_has_an_answer(old in document(), patch in prop::collection::vec(
        ("add|remove|replace|move|copy|test|x", "(/([ab]|~0|~1|0|1|-|00|))*", "(/[ab01-])*", document()), 0..6,
    )) {
        let operations = patch.into_iter().map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}));
        let patch = Value::Array(operations.collect());
        match apply(&old, patch.to_string().as_bytes()) {
            Ok(new) => prop_assert!(serde_json::from_str::<Value>(&new.to_string()).is_ok()),
            Err(error) => prop_assert!(matches!(error, PatchError::Inapplicable(_)), "{:?}", error),
        }
    }
}

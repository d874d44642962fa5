use proptest::prelude::{Just, Strategy, prop, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

use super::super::PatchError;
use super::apply;
use crate::schema::Schema;

fn patched(kind: &str, old: &Value, patch: &Value) -> Result<Value, PatchError> {
    let (group, kind) = kind.split_once('/').unwrap_or(("", kind));
    apply(&Schema::builtin(group, "v1", kind).unwrap(), old, patch)
}

/// Pod specs: (old, patch, new).
#[test]
fn rows_of_pod_specs() {
    let containers = |items: Value| json!({"containers": items});
    let rows = [
        ("null deletes", json!({"nodeName": "n", "hostname": "h"}), json!({"nodeName": null}), json!({"hostname": "h"})),
        ("null of what is not there", json!({"hostname": "h"}), json!({"nodeName": null}), json!({"hostname": "h"})),
        (
            "a map is merged",
            json!({"nodeSelector": {"a": "1"}}),
            json!({"nodeSelector": {"b": "2"}}),
            json!({"nodeSelector": {"a": "1", "b": "2"}}),
        ),
        (
            "a map is replaced",
            json!({"nodeSelector": {"a": "1"}}),
            json!({"nodeSelector": {"$patch": "replace", "b": "2"}}),
            json!({"nodeSelector": {"b": "2"}}),
        ),
        (
            "a map is emptied",
            json!({"nodeSelector": {"a": "1"}}),
            json!({"nodeSelector": {"$patch": "delete"}}),
            json!({"nodeSelector": {}}),
        ),
        (
            "an atomic list is replaced",
            json!({"tolerations": [{"key": "a"}]}),
            json!({"tolerations": [{"key": "b"}]}),
            json!({"tolerations": [{"key": "b"}]}),
        ),
        (
            "items are merged by name",
            containers(json!([{"name": "a", "image": "1", "args": ["x"]}, {"name": "b"}])),
            containers(json!([{"name": "a", "image": "2"}])),
            containers(json!([{"name": "a", "image": "2", "args": ["x"]}, {"name": "b"}])),
        ),
        (
            "a new item goes in front of what the patch does not name",
            containers(json!([{"name": "a"}, {"name": "b"}])),
            containers(json!([{"name": "c"}])),
            containers(json!([{"name": "c"}, {"name": "a"}, {"name": "b"}])),
        ),
        (
            "items of the patch keep its order",
            containers(json!([{"name": "a"}, {"name": "b"}, {"name": "c"}])),
            containers(json!([{"name": "c", "image": "3"}, {"name": "a", "image": "1"}])),
            containers(json!([{"name": "b"}, {"name": "c", "image": "3"}, {"name": "a", "image": "1"}])),
        ),
        (
            "an item is deleted",
            containers(json!([{"name": "a"}, {"name": "b"}])),
            containers(json!([{"$patch": "delete", "name": "a"}])),
            containers(json!([{"name": "b"}])),
        ),
        (
            "a list is replaced",
            containers(json!([{"name": "a"}, {"name": "b"}])),
            containers(json!([{"$patch": "replace"}, {"name": "z"}])),
            containers(json!([{"name": "z"}])),
        ),
        (
            "environments merge by name, ports by containerPort",
            containers(
                json!([{"name": "a", "env": [{"name": "X", "value": "1"}], "ports": [{"containerPort": 80, "name": "w"}]}]),
            ),
            containers(
                json!([{"name": "a", "env": [{"name": "X", "value": "2"}], "ports": [{"containerPort": 80, "name": "v"}]}]),
            ),
            containers(
                json!([{"name": "a", "env": [{"name": "X", "value": "2"}], "ports": [{"containerPort": 80, "name": "v"}]}]),
            ),
        ),
    ];
    check_specs(rows);
}

#[test]
fn rows_of_directives() {
    let containers = |items: Value| json!({"containers": items});
    check_specs([
        (
            "the wanted order",
            containers(json!([{"name": "a"}, {"name": "b"}, {"name": "c"}])),
            json!({"$setElementOrder/containers": [{"name": "c"}, {"name": "d"}, {"name": "a"}], "containers": [{"name": "d"}]}),
            containers(json!([{"name": "b"}, {"name": "c"}, {"name": "d"}, {"name": "a"}])),
        ),
        (
            "an order alone",
            containers(json!([{"name": "a"}, {"name": "b"}])),
            json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}),
            containers(json!([{"name": "b"}, {"name": "a"}])),
        ),
        ("an order of what is not there", json!({}), json!({"$setElementOrder/volumes": [{"name": "b"}]}), json!({})),
        (
            "retainKeys within an item",
            json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
            json!({"volumes": [{"name": "v", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]}),
            json!({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}),
        ),
        (
            "directives do not become content",
            json!({}),
            json!({"volumes": [{"$patch": "delete", "name": "w"}, {"name": "v", "secret": null}]}),
            json!({"volumes": [{"name": "v"}]}),
        ),
        ("what is unknown passes through", json!({}), json!({"bogus": {"a": 1}}), json!({"bogus": {"a": 1}})),
        ("the type may change", json!({"hostname": "h"}), json!({"hostname": {"a": 1}}), json!({"hostname": {"a": 1}})),
    ]);
}

fn check_specs<const N: usize>(rows: [(&str, Value, Value, Value); N]) {
    for (name, old, patch, new) in rows {
        let result = patched("Pod", &json!({"spec": old}), &json!({"spec": patch}));
        assert_eq!(result.unwrap(), json!({"spec": new}), "{name}");
    }
}

#[test]
fn rows_of_other_kinds() {
    let rows = [
        (
            "the kubelet replaces its addresses",
            "Node",
            json!({"status": {"addresses": [{"type": "InternalIP", "address": "1.1.1.1"}, {"type": "Hostname", "address": "h"}]}}),
            json!({"status": {"addresses": [
                {"type": "InternalIP", "address": "2.2.2.2"}, {"type": "InternalIP", "address": "::2"}, {"$patch": "replace"},
            ]}}),
            json!({"status": {"addresses": [{"type": "InternalIP", "address": "2.2.2.2"}, {"type": "InternalIP", "address": "::2"}]}}),
        ),
        (
            "taints are replaced",
            "Node",
            json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}),
            json!({"spec": {"taints": [{"key": "b", "effect": "NoSchedule"}]}}),
            json!({"spec": {"taints": [{"key": "b", "effect": "NoSchedule"}]}}),
        ),
        (
            "conditions are merged by type",
            "Node",
            json!({"status": {"conditions": [{"type": "A", "status": "True", "reason": "r"}, {"type": "B", "status": "True"}]}}),
            json!({"status": {"$setElementOrder/conditions": [{"type": "A"}, {"type": "B"}], "conditions": [{"type": "A", "status": "False"}]}}),
            json!({"status": {"conditions": [{"type": "A", "status": "False", "reason": "r"}, {"type": "B", "status": "True"}]}}),
        ),
        (
            "finalizers are a set",
            "ConfigMap",
            json!({"metadata": {"finalizers": ["a", "b"]}}),
            json!({"metadata": {"finalizers": ["c", "b", "c"]}}),
            json!({"metadata": {"finalizers": ["c", "a", "b"]}}),
        ),
        (
            "a finalizer is deleted",
            "ConfigMap",
            json!({"metadata": {"finalizers": ["a", "b"]}}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "z"], "$setElementOrder/finalizers": ["b"]}}),
            json!({"metadata": {"finalizers": ["b"]}}),
        ),
        (
            "nothing to delete from",
            "ConfigMap",
            json!({"metadata": {}}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
            json!({"metadata": {}}),
        ),
        (
            "service ports by port",
            "Service",
            json!({"spec": {"ports": [{"port": 80, "nodePort": 30000}]}}),
            json!({"spec": {"ports": [{"port": 80, "name": "x"}, {"port": 81, "name": "y"}]}}),
            json!({"spec": {"ports": [{"port": 80, "nodePort": 30000, "name": "x"}, {"port": 81, "name": "y"}]}}),
        ),
        (
            "the strategy of a deployment",
            "apps/Deployment",
            json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
            json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate", "rollingUpdate": null}}}),
            json!({"spec": {"strategy": {"type": "Recreate"}}}),
        ),
        (
            "a selector that is replaced",
            "policy/PodDisruptionBudget",
            json!({"spec": {"selector": {"matchLabels": {"a": "b"}}}}),
            json!({"spec": {"selector": {"matchLabels": {"c": "d"}}}}),
            json!({"spec": {"selector": {"matchLabels": {"c": "d"}}}}),
        ),
    ];
    for (name, kind, old, patch, new) in rows {
        assert_eq!(patched(kind, &old, &patch).unwrap(), new, "{name}");
    }
}

#[test]
fn refusals() {
    let pod = json!({"spec": {"containers": [{"name": "a"}], "nodeSelector": {"a": "b"}}, "metadata": {"finalizers": ["a"]}});
    let plain = |text: &str| format!("Plain({text:?})");
    let malformed = |text: &str| format!("Malformed({text:?})");
    let rows = [
        (json!({"$patch": "bogus"}), plain("unknown patch type: bogus in map: map[$patch:bogus]")),
        (
            json!({"spec": {"containers": [{"$patch": "bogus", "name": "a"}]}}),
            plain("unknown patch type: bogus in map: map[$patch:bogus name:a]"),
        ),
        (json!({"spec": {"containers": [{"$patch": "merge"}]}}), plain("merging lists cannot yet be specified in the patch")),
        (json!({"spec": {"containers": [{"image": "i"}]}}), plain("map: map[image:i] does not contain declared merge key: name")),
        (
            json!({"spec": {"containers": [{"$patch": "delete"}]}}),
            plain("map: map[$patch:delete] does not contain declared merge key: name"),
        ),
        (json!({"spec": {"containers": ["x"]}}), plain("list element types are not identical: [[map[name:a]] [x]]")),
        (json!({"spec": {"$retainKeys": "x"}}), malformed("invalid patch format of retainKeys")),
        (json!({"spec": {"$retainKeys": ["a"], "hostname": "h"}}), malformed("invalid patch format of retainKeys")),
        (json!({"metadata": {"$deleteFromPrimitiveList": ["a"]}}), malformed("invalid patch format of primitive list")),
        (json!({"spec": {"$setElementOrder": []}}), malformed("invalid patch format of setElementOrder list")),
        (
            json!({"spec": {"$setElementOrder/containers": {}}}),
            plain("expected a []interface {}, but received a map[string]interface {}"),
        ),
        (
            json!({"spec": {"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "a"}]}}),
            plain("The order in patch list:\n[map[name:a]]\n doesn't match $setElementOrder list:\n[map[name:b]]\n"),
        ),
        (json!([]), malformed("json: cannot unmarshal array into Go value of type map[string]interface {}")),
    ];
    for (patch, expected) in rows {
        assert_eq!(format!("{:?}", patched("Pod", &pod, &patch).unwrap_err()), expected, "{patch}");
    }
    let revision = json!({"data": {"x": {"y": 1}}});
    let error = patched("apps/ControllerRevision", &revision, &json!({"data": {"x": {"y": 2}}})).unwrap_err();
    assert!(error.to_string().starts_with("unable to find api field in struct"), "{error}");
}

#[test]
fn long_lists_are_merged_in_time() {
    let items = |prefix: &str| (0..50_000).map(|at| json!({"name": format!("{prefix}{at}")})).collect::<Vec<_>>();
    let old = json!({"spec": {"containers": [{"name": "c", "env": items("a")}]}});
    let patch = json!({"spec": {"containers": [{"name": "c", "env": items("b")}]}});
    let start = std::time::Instant::now();
    let new = patched("Pod", &old, &patch).unwrap();
    assert_eq!(new["spec"]["containers"][0]["env"].as_array().unwrap().len(), 100_000);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

/// Values made of what a pod has and of all directives, in places where they belong and where they do not.
fn speech() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec!["a", "b", "replace", "delete", "merge", "name", "X"]);
    let name = prop::sample::select(vec![
        "spec",
        "containers",
        "env",
        "name",
        "image",
        "ports",
        "containerPort",
        "metadata",
        "finalizers",
        "nodeSelector",
        "volumes",
        "emptyDir",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$setElementOrder/env",
        "$setElementOrder/finalizers",
        "$deleteFromPrimitiveList/finalizers",
        "$deleteFromPrimitiveList",
        "$setElementOrder",
        "$setElementOrder/",
    ]);
    let leaf = prop_oneof![Just(Value::Null), word.prop_map(Value::from), (0..2).prop_map(Value::from)];
    leaf.prop_recursive(6, 48, 4, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            3 => prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_patch_has_an_answer(old in speech(), spec in speech(), metadata in speech()) {
        let old = json!({"spec": old, "metadata": {"finalizers": ["a"]}});
        drop(patched("Pod", &old, &json!({"spec": spec, "metadata": metadata})));
    }

    #[test]
    fn an_empty_patch_changes_nothing(old in speech()) {
        let old = json!({ "spec": old });
        prop_assert_eq!(patched("Pod", &old, &json!({})).unwrap(), old.clone());
        if old["spec"].is_object() {
            prop_assert_eq!(patched("Pod", &old, &json!({"spec": {"$patch": "replace"}})).unwrap(), json!({"spec": {}}));
        }
    }
}

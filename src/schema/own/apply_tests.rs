use serde_json::{Value, json};

use super::tests::{Client, T1, T2, T3, config_map, owned, stored};
use super::*;

#[test]
fn starts_from_before_the_first_apply() {
    let client = Client::of("", "v1", "ConfigMap");
    let live = stored(&json!({"x": "1", "y": "1"}));
    let refused = client.applied(("a", T2), Some(&live), &config_map(&json!({"x": "2"}))).unwrap_err();
    assert_eq!(refused.to_string(), r#"Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.x"#);
    let made = client.applied(("a", T2), Some(&live), &config_map(&json!({"x": "1", "z": "1"}))).unwrap();
    assert_eq!(
        owned(&made),
        [r#"a Apply 2 {"f:data":{"f:x":{},"f:z":{}}}"#, r#"before-first-apply Update 2 {"f:data":{".":{},"f:x":{},"f:y":{}}}"#]
    );
    assert_eq!(made["data"], json!({"x": "1", "y": "1", "z": "1"}));
}

#[test]
fn shares_equal_values_and_removes_what_is_nobodys() {
    let client = Client::of("", "v1", "ConfigMap");
    let one = client.applied(("a", T1), None, &config_map(&json!({"x": "1", "y": "1"}))).unwrap();
    // Shared without a change: no time is known.
    let shared = client.applied(("b", T2), Some(&one), &config_map(&json!({"x": "1"}))).unwrap();
    assert_eq!(owned(&shared), [r#"b Apply - {"f:data":{"f:x":{}}}"#, r#"a Apply 1 {"f:data":{"f:x":{},"f:y":{}}}"#]);
    let same = client
        .with("a", T3, |context| on_apply(context, Some(&one), &config_map(&json!({"x": "1", "y": "1"})), Force::No))
        .unwrap();
    assert!(!same.changed);
    assert_eq!(same.object, one);
    // What another owns stays, what nobody else owns goes.
    let left = client.applied(("a", T3), Some(&shared), &config_map(&json!({}))).unwrap();
    assert_eq!(left["data"], json!({"x": "1"}));
    assert_eq!(owned(&left), [r#"b Apply - {"f:data":{"f:x":{}}}"#, r#"a Apply 3 {"f:data":{}}"#]);
    let bare = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}});
    let gone = client.applied(("b", T3), Some(&left), &bare).unwrap();
    assert_eq!(gone["data"], Value::Null);
    // A manager that applies nothing has no entry; the empty map is still the other's.
    assert_eq!(owned(&gone), [r#"a Apply 3 {"f:data":{}}"#]);
}

#[test]
fn names_every_conflict() {
    let client = Client::of("", "v1", "ConfigMap");
    let made = client.applied(("b", T1), None, &config_map(&json!({"x": "1", "y": "1"}))).unwrap();
    let mut changed = made.clone();
    changed["data"]["z"] = json!("1");
    changed["metadata"]["uid"] = json!("u");
    let made = client.updated(("a \"q\"", T2), &made, changed);
    let ApplyError::Conflicts(conflicts) =
        client.applied(("c", T2), Some(&made), &config_map(&json!({"x": "2", "y": "2", "z": "2"}))).unwrap_err()
    else {
        panic!("no conflicts")
    };
    assert_eq!(
        conflicts.message(),
        "Apply failed with 3 conflicts: conflicts with \"a \\\"q\\\"\" using v1:\n- .data.z\nconflicts with \"b\":\n- .data.x\n- .data.y"
    );
    let causes: Vec<_> = conflicts.iter().map(|conflict| (conflict.field.as_str(), conflict.message())).collect();
    assert_eq!(causes[0], (".data.z", "conflict with \"a \\\"q\\\"\" using v1".to_owned()));
    assert_eq!(causes[1], (".data.x", "conflict with \"b\"".to_owned()));
    let forced = client.forced(("c", T3), Some(&made), &config_map(&json!({"x": "2", "z": "2"})), Force::Yes).unwrap();
    assert_eq!(owned(&forced), [r#"b Apply 1 {"f:data":{"f:y":{}}}"#, r#"c Apply 3 {"f:data":{"f:x":{},"f:z":{}}}"#]);
}

#[test]
fn orders_items_of_lists() {
    let pods = Schema::builtin("", "v1", "Pod").unwrap();
    let list = |names: &str| {
        let items: Vec<_> = names.chars().map(|name| json!({"name": name.to_string()})).collect();
        json!({"spec": {"containers": items}})
    };
    for (mine, theirs, expected) in [
        ("", "ab", "ab"),
        ("ab", "", "ab"),
        ("ab", "b", "ab"),
        ("ab", "ba", "ba"),
        ("abc", "xb", "axbc"),
        ("abc", "cxa", "bcxa"),
        ("abcd", "dxb", "acdxb"),
        ("ab", "xy", "abxy"),
        ("axb", "bya", "xbya"),
    ] {
        let merged = merge(&pods, &list(mine), &list(theirs)).unwrap();
        let names: String =
            merged["spec"]["containers"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{mine} + {theirs}");
    }
    let set =
        merge(&pods, &json!({"metadata": {"finalizers": ["a", "b"]}}), &json!({"metadata": {"finalizers": ["c", "b"]}})).unwrap();
    assert_eq!(set, json!({"metadata": {"finalizers": ["a", "c", "b"]}}));
    let whole =
        merge(&pods, &json!({"spec": {"tolerations": [{"key": "a"}]}}), &json!({"spec": {"tolerations": [{"key": "b"}]}}))
            .unwrap();
    assert_eq!(whole, json!({"spec": {"tolerations": [{"key": "b"}]}}));
    let selector = json!({"spec": {"nodeSelector": {"b": "2"}}});
    assert_eq!(merge(&pods, &json!({"spec": {"nodeSelector": {"a": "1"}}}), &selector).unwrap(), selector);
}

#[test]
fn refuses_what_is_not_of_the_type() {
    let client = Client::of("apps", "v1", "Deployment");
    let apply = |config: Value| client.applied(("a", T1), None, &config).unwrap_err();
    let spec = |spec: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "n"}, "spec": spec});
    let named = "failed to create typed patch object (n/web; apps/v1, Kind=Deployment): ";
    for (config, fault) in [
        (spec(json!({"replicas": "2"})), ".spec.replicas: expected numeric (int or float), got string"),
        (spec(json!({"paused": "yes"})), ".spec.paused: expected boolean, got &{yes}"),
        (spec(json!({"selector": [1]})), ".spec.selector: expected map, got &{[1]}"),
        (spec(json!({"nope": 1})), ".spec.nope: field not declared in schema"),
        (
            spec(json!({"template": {"spec": {"containers": [{"image": "x"}]}}})),
            concat!(
                ".spec.template.spec.containers: element 0: associative list with keys has an element that omits key field \"name\" ",
                "(and doesn't have default value)"
            ),
        ),
        (
            spec(json!({"template": {"spec": {"containers": [{"name": "d"}, {"name": "d"}], "hostname": 5}}})),
            concat!(
                "errors:\n  .spec.template.spec.containers: duplicate entries for key [name=\"d\"]\n",
                "  .spec.template.spec.hostname: expected string, got &value.valueUnstructured{Value:5}"
            ),
        ),
    ] {
        assert_eq!(apply(config), ApplyError::Failed(format!("{named}{fault}")));
    }
    let other = json!({"apiVersion": "apps/v1beta1", "kind": "Deployment"});
    assert_eq!(apply(other), ApplyError::Invalid("invalid object type: apps/v1beta1, Kind=Deployment".to_owned()));
    assert_eq!(apply(json!({})), ApplyError::Invalid("invalid object type: /, Kind=".to_owned()));
    let managed = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"managedFields": []}});
    assert_eq!(apply(managed), ApplyError::Invalid("metadata.managedFields must be nil".to_owned()));
}

#[test]
fn lets_kubectl_go_over_from_its_annotation() {
    let client = Client::of("", "v1", "ConfigMap");
    const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let last = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"cm"},"data":{"x":"1","y":"1"}}"#;
    let mut live = stored(&json!({"x": "1", "y": "9"}));
    live["metadata"]["annotations"] = json!({LAST: last});
    let live = client.created("kubectl-client-side-apply", live);
    let config = |x: &str, y: &str| config_map(&json!({"x": x, "y": y}));
    let refused = client.applied(("kubectl", T2), Some(&live), &config("2", "2")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        r#"Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using v1: .data.y"#
    );
    assert!(client.applied(("other", T2), Some(&live), &config("2", "9")).is_err());
    let made = client.applied(("kubectl", T2), Some(&live), &config("2<", "9")).unwrap();
    assert_eq!(made["data"]["x"], "2<");
    let text = r#"{"apiVersion":"v1","data":{"x":"2\u003c","y":"9"},"kind":"ConfigMap","metadata":{"name":"cm"}}"#;
    assert_eq!(made["metadata"]["annotations"][LAST], json!(format!("{text}\n")));
}

#[test]
fn prunes_items_and_structs() {
    let client = Client::of("", "v1", "Service");
    let config = |spec: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec});
    let one = config(json!({"selector": {"a": "b"}, "ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}],
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}}));
    let made = client.applied(("a", T1), None, &one).unwrap();
    let two = config(json!({"ports": [{"port": 81}]}));
    let shared = client.applied(("b", T2), Some(&made), &two).unwrap();
    let left = client.applied(("a", T3), Some(&shared), &config(json!({"ports": [{"port": 80}]}))).unwrap();
    assert_eq!(left["spec"], json!({"ports": [{"port": 80, "targetPort": 0}, {"port": 81, "targetPort": 0}]}));
    assert_eq!(
        owned(&left),
        [
            r#"b Apply - {"f:spec":{"f:ports":{"k:{\"port\":81,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}}}}"#,
            r#"a Apply 3 {"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}}}}"#
        ]
    );
}

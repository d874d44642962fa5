//! Who owns which field after a write, end to end.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::client::{Client, message};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const V1: &str = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
const V2: &str = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";

/// A write: what is done, where, by whom, with what.
type Step<'a> = (&'a str, &'a str, &'a str, Value);

async fn write(client: &Client, (what, path, manager, body): Step<'_>) -> (u16, Value) {
    let (method, media) = match what {
        "post" => (Method::POST, "application/json"),
        "put" => (Method::PUT, "application/json"),
        "merge" => (Method::PATCH, "application/merge-patch+json"),
        "json" => (Method::PATCH, "application/json-patch+json"),
        "strategic" => (Method::PATCH, "application/strategic-merge-patch+json"),
        _ => (Method::PATCH, "application/apply-patch+yaml"),
    };
    let force = if what == "force" { "&force=true" } else { "" };
    let join = if path.contains('?') { '&' } else { '?' };
    let body = match body {
        Value::String(text) => text,
        value => value.to_string(),
    };
    client.send(method, &format!("{path}{join}fieldManager={manager}{force}"), (media, Bytes::from(body))).await
}

/// `me/status Apply {"f:data":{}}`, one for each entry.
fn owners(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let told = entries.map(|entry| {
        let subresource = entry["subresource"].as_str().map(|name| format!("/{name}")).unwrap_or_default();
        let text = |member: &str| entry[member].as_str().unwrap_or("-").to_owned();
        format!("{}{subresource} {} {}", text("manager"), text("operation"), entry["fieldsV1"])
    });
    let mut told: Vec<String> = told.collect();
    told.sort();
    told
}

fn map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data})
}

fn deployment(replicas: Value, containers: Value) -> Value {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": containers}});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"a": "b"}}, "template": template}})
}

/// Every row goes on from where the last one left the object.
#[tokio::test]
async fn owners_of_a_map() {
    let client = Client::new().await;
    let (at, made) = (format!("{MAPS}/m"), format!("{MAPS}?dryRun=All"));
    let at = at.as_str();
    let rows: Vec<(Step<'_>, u16, Vec<&str>)> = vec![
        (("post", &made, "dry", map(json!({"a": "1"}))), 201, vec![r#"dry Update {"f:data":{".":{},"f:a":{}}}"#]),
        (("apply", at, "a", map(json!({"a": "1", "b": "1"}))), 201, vec![r#"a Apply {"f:data":{"f:a":{},"f:b":{}}}"#]),
        (
            ("apply", at, "b", map(json!({"a": "1"}))),
            200,
            vec![r#"a Apply {"f:data":{"f:a":{},"f:b":{}}}"#, r#"b Apply {"f:data":{"f:a":{}}}"#],
        ),
        // What two have applied stays while one does.
        (
            ("apply", at, "a", map(json!({"b": "1"}))),
            200,
            vec![r#"a Apply {"f:data":{"f:b":{}}}"#, r#"b Apply {"f:data":{"f:a":{}}}"#],
        ),
        (
            ("merge", at, "c", json!({"data": {"b": "2"}})),
            200,
            vec![r#"b Apply {"f:data":{"f:a":{}}}"#, r#"c Update {"f:data":{"f:b":{}}}"#],
        ),
        (("json", at, "c", json!([{"op": "remove", "path": "/data/a"}])), 200, vec![r#"c Update {"f:data":{"f:b":{}}}"#]),
        // The same again is nobody's.
        (("merge", at, "d", json!({"data": {"b": "2"}})), 200, vec![r#"c Update {"f:data":{"f:b":{}}}"#]),
        (
            ("merge", at, "d", json!({"metadata": {"managedFields": [{"manager": "x", "operation": "Nonsense"}]}})),
            200,
            vec![r#"c Update {"f:data":{"f:b":{}}}"#],
        ),
        (
            ("put", at, "d", json!({"metadata": {"name": "m", "labels": {"l": "1"}}, "data": {"b": "2"}})),
            200,
            vec![r#"c Update {"f:data":{"f:b":{}}}"#, r#"d Update {"f:metadata":{"f:labels":{".":{},"f:l":{}}}}"#],
        ),
        (("merge", at, "d", json!({"metadata": {"managedFields": [{}]}})), 200, vec![]),
        (("merge", at, "d", json!({"data": {"b": "3"}})), 200, vec![]),
        (
            ("force", at, "a", map(json!({"b": "4"}))),
            200,
            vec![
                r#"a Apply {"f:data":{"f:b":{}}}"#,
                r#"before-first-apply Update {"f:data":{},"f:metadata":{"f:labels":{".":{},"f:l":{}}}}"#,
            ],
        ),
        (("put", at, "d", json!({"metadata": {"name": "m", "managedFields": []}, "data": {"b": "2"}})), 200, vec![]),
    ];
    for (number, (step, code, expected)) in rows.into_iter().enumerate() {
        let (found, object) = write(&client, step).await;
        assert_eq!(found, code, "row {number}: {object}");
        assert_eq!(owners(&object), expected, "row {number}");
        if number > 0 {
            assert_eq!(client.get(at).await.1, object, "row {number}");
        }
    }
}

#[tokio::test]
async fn refusals_of_configurations() {
    let client = Client::new().await;
    let at = format!("{MAPS}/m");
    let at = at.as_str();
    assert_eq!(write(&client, ("post", MAPS, "maker", map(json!({"a": "1"})))).await.0, 201);
    let named = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let of = |metadata: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
    let absent = format!("{MAPS}/none");
    let part = format!("{DEPLOYMENTS}/none/status");
    let web = format!("{DEPLOYMENTS}/d");
    let (forced, strict) = (format!("{at}?force=true"), format!("{at}?fieldValidation=Strict"));
    let rows: Vec<(Step<'_>, u16, &str)> = vec![
        (
            ("apply", at, "a", map(json!({"a": "2"}))),
            409,
            r#"Apply failed with 1 conflict: conflict with "maker" using v1: .data.a"#,
        ),
        (
            ("apply", at, "", named("m")),
            422,
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
        ),
        (("apply", at, "a", named("n")), 400, "the name of the object (n) does not match the name on the URL (m)"),
        (
            ("apply", &absent, "a", of(json!({}))),
            400,
            "the name of the object (none based on URL) was undeterminable: name must be provided",
        ),
        (
            ("apply", at, "a", json!({"apiVersion": "apps/v1", "kind": "ConfigMap"})),
            400,
            "invalid object type: apps/v1, Kind=ConfigMap",
        ),
        (("apply", at, "a", json!({"apiVersion": "v1", "kind": "Secret"})), 400, "invalid object type: /v1, Kind=Secret"),
        (("apply", at, "a", json!("")), 400, "invalid object type: /, Kind="),
        (
            ("apply", at, "a", json!("[]")),
            400,
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            ("apply", at, "a", json!("a: b: c")),
            400,
            "error decoding YAML: error converting YAML to JSON: yaml: mapping values are not allowed in this context",
        ),
        (("apply", at, "a", of(json!({"name": "m", "managedFields": []}))), 400, "metadata.managedFields must be nil"),
        (
            ("apply", at, "a", of(json!({"name": "m", "namespace": "other"}))),
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            ("apply", &absent, "a", of(json!({"name": "none", "uid": "u"}))),
            409,
            "Operation cannot be fulfilled on configmaps \"none\": uid mismatch: the provided object specified uid u, and no existing object was found",
        ),
        (
            ("apply", at, "a", of(json!({"name": "m", "resourceVersion": "1"}))),
            409,
            "Operation cannot be fulfilled on configmaps \"m\": the object has been modified",
        ),
        (
            ("apply", &strict, "a", json!("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata:\n  x: a\n  x: b\n")),
            400,
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 6: key \"x\" already set in map",
        ),
        (
            ("apply", &part, "a", json!({"apiVersion": "apps/v1", "kind": "Deployment"})),
            404,
            "deployments.apps \"none\" not found",
        ),
        (
            ("apply", &web, "a", deployment(json!(1.5), json!([{"name": "c", "image": "i"}]))),
            500,
            "failed to convert new object (/d; apps/v1, Kind=Deployment) to proper version: unable to convert unstructured object to apps/v1, Kind=Deployment: cannot convert float64 to int32",
        ),
        (
            ("merge", &forced, "a", json!({})),
            422,
            "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch",
        ),
    ];
    for (step, code, expected) in rows {
        let answer = write(&client, step.clone()).await;
        assert_eq!(answer.0, code, "{step:?}: {}", answer.1);
        assert!(message(&answer).starts_with(expected), "{step:?}: {}", message(&answer));
    }
    let (code, made) = write(&client, ("apply", &absent, "a", of(json!({"name": "none", "resourceVersion": "1"})))).await;
    assert_eq!(code, 201, "{made}");
    let (code, same) =
        write(&client, ("apply", at, "a", json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": 1.0}}))).await;
    assert_eq!(
        (code, &same["message"]),
        (
            500,
            &json!(
                "failed to create typed patch object (/; /v1, Kind=ConfigMap): .data.a: expected string, got &value.valueUnstructured{Value:1}"
            )
        )
    );
}

/// The replicas of a deployment, by way of itself and of its scale.
#[tokio::test]
async fn owners_of_replicas() {
    let client = Client::new().await;
    let (at, scale) = (format!("{DEPLOYMENTS}/d"), format!("{DEPLOYMENTS}/d/scale"));
    let (at, scale) = (at.as_str(), scale.as_str());
    let containers = json!([{"name": "c", "image": "i"}]);
    assert_eq!(write(&client, ("apply", at, "a", deployment(json!(2), containers.clone()))).await.0, 201);
    let to = |replicas: u64| json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": replicas}});
    let (code, refused) = write(&client, ("apply", scale, "s", to(3))).await;
    assert_eq!(
        (code, message(&(code, refused.clone()))),
        (409, r#"Apply failed with 1 conflict: conflict with "a": .spec.replicas"#)
    );
    let (code, scaled) = write(&client, ("merge", scale, "s", json!({"spec": {"replicas": 3}}))).await;
    assert_eq!((code, &scaled["spec"]["replicas"], &scaled["metadata"]["managedFields"]), (200, &json!(3), &Value::Null));
    let told = owners(&client.get(at).await.1);
    assert_eq!(told.len(), 2);
    assert!(!told[0].contains("f:replicas"), "{told:?}");
    assert_eq!(told[1], r#"s/scale Update {"f:spec":{"f:replicas":{}}}"#);
    let (code, refused) = write(&client, ("apply", at, "a", deployment(json!(2), containers.clone()))).await;
    assert_eq!(code, 409);
    let expected = r#"Apply failed with 1 conflict: conflict with "s" with subresource "scale" using apps/v1: .spec.replicas"#;
    assert_eq!(message(&(code, refused.clone())), expected);
    assert_eq!(
        refused["details"],
        json!({"causes": [{"reason": "FieldManagerConflict",
        "message": r#"conflict with "s" with subresource "scale" using apps/v1"#, "field": ".spec.replicas"}]})
    );
    let (code, scaled) = write(&client, ("force", scale, "t", to(4))).await;
    assert_eq!((code, &scaled["spec"]["replicas"]), (200, &json!(4)));
    assert_eq!(owners(&client.get(at).await.1)[1], r#"t/scale Apply {"f:spec":{"f:replicas":{}}}"#);
    // An applier that is content with the number leaves it to whoever set it.
    let mut without = deployment(json!(0), containers);
    without["spec"].as_object_mut().expect("a spec").remove("replicas");
    let (code, kept) = write(&client, ("apply", at, "a", without)).await;
    assert_eq!((code, &kept["spec"]["replicas"]), (200, &json!(4)));
}

/// Items of lists by their keys, shared and apart.
#[tokio::test]
async fn owners_of_items() {
    let client = Client::new().await;
    let at = format!("{DEPLOYMENTS}/d");
    let at = at.as_str();
    let env = |name: &str| json!([{"name": "c", "image": "i", "env": [{"name": name, "value": "1"}]}]);
    assert_eq!(write(&client, ("apply", at, "a", deployment(json!(1), env("A")))).await.0, 201);
    let side = json!([{"name": "side", "image": "s"}, {"name": "c", "env": [{"name": "B", "value": "1"}], "args": ["x"]}]);
    let mut config = deployment(json!(1), side);
    config["spec"]["template"]["spec"]["nodeSelector"] = json!({"n": "1"});
    config["metadata"]["finalizers"] = json!(["x/y"]);
    let (code, both) = write(&client, ("apply", at, "b", config)).await;
    assert_eq!(code, 200, "{both}");
    let names = |object: &Value, list: &str| -> Vec<String> {
        let list = object.pointer(list).and_then(Value::as_array).into_iter().flatten();
        list.map(|item| item["name"].as_str().unwrap_or("").to_owned()).collect()
    };
    assert_eq!(names(&both, "/spec/template/spec/containers"), ["side", "c"]);
    assert_eq!(names(&both, "/spec/template/spec/containers/1/env"), ["A", "B"]);
    let (_, left) =
        write(&client, ("apply", at, "b", json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}})))
            .await;
    assert_eq!(names(&left, "/spec/template/spec/containers"), ["c"]);
    assert_eq!(names(&left, "/spec/template/spec/containers/0/env"), ["A"]);
    assert_eq!(
        (&left["metadata"]["finalizers"], &left["spec"]["template"]["spec"]["nodeSelector"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(owners(&left).len(), 1);
}

/// One stored object, two versions.
#[tokio::test]
async fn owners_in_several_versions() {
    let client = Client::new().await;
    let made = json!({"metadata": {"name": "h"}, "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "targetCPUUtilizationPercentage": 50}});
    let (code, created) = write(&client, ("post", V1, "one", made)).await;
    assert_eq!(code, 201, "{created}");
    let of = |version: &str, spec: Value| json!({"apiVersion": version, "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": spec});
    let metric =
        json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]);
    let wish = of("autoscaling/v2", json!({"maxReplicas": 3, "metrics": metric}));
    let (code, refused) = write(&client, ("apply", &format!("{V2}/h"), "two", wish.clone())).await;
    assert_eq!(
        (code, message(&(code, refused))),
        (409, r#"Apply failed with 1 conflict: conflict with "one" using autoscaling/v1: .spec.targetCPUUtilizationPercentage"#)
    );
    let (code, object) = write(&client, ("force", &format!("{V2}/h"), "two", wish)).await;
    assert_eq!(code, 200);
    assert_eq!(
        owners(&object),
        [
            r#"one Update {"f:spec":{"f:maxReplicas":{},"f:minReplicas":{},"f:scaleTargetRef":{}}}"#,
            r#"two Apply {"f:spec":{"f:maxReplicas":{},"f:metrics":{}}}"#,
        ]
    );
    let (_, seen) = client.get(&format!("{V1}/h")).await;
    assert_eq!((owners(&seen), &seen["spec"]["targetCPUUtilizationPercentage"]), (owners(&object), &json!(70)));
}

/// What the server and its controllers make bears their names.
#[tokio::test]
async fn owners_of_the_servers_own() {
    let client = Client::new().await;
    for (path, expected) in [
        (
            "/api/v1/namespaces/default",
            vec![r#"kube-apiserver Update {"f:metadata":{"f:labels":{".":{},"f:kubernetes.io/metadata.name":{}}}}"#],
        ),
        (
            "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/catch-all",
            vec![
                "api-priority-and-fairness-config-consumer-v1/status Apply",
                "api-priority-and-fairness-config-producer-v1 Update",
            ],
        ),
        ("/apis/apiregistration.k8s.io/v1/apiservices/v1.apps", vec!["kube-apiserver Update", "kube-apiserver/status Update"]),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles/view", vec!["kube-apiserver Update"]),
    ] {
        let told = owners(&client.get(path).await.1);
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(expected), "{told}");
        }
    }
    assert_eq!(
        client
            .post("/api/v1/namespaces/default/services", json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}))
            .await
            .0,
        201
    );
    let (_, service) = client.get("/api/v1/namespaces/default/services/s").await;
    assert!(!owners(&service)[0].contains("clusterIP"), "{service}");
    let address = format!("/apis/networking.k8s.io/v1/ipaddresses/{}", service["spec"]["clusterIP"].as_str().unwrap_or(""));
    assert!(owners(&client.get(&address).await.1)[0].starts_with("kube-apiserver Update"));
}

/// 3 MiB of fields, of entries, of managers: answered in time.
#[tokio::test]
async fn floods_are_answered_in_time() {
    let client = Client::new().await;
    let at = format!("{MAPS}/m");
    let at = at.as_str();
    let entry = |number: usize, operation: &str, version: &str, fields: Value| json!({"manager": format!("m{number}"), "operation": operation, "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": fields});
    let data = |count: usize, value: &str| -> Value {
        (0..count).map(|number| (format!("k{number}"), json!(value))).collect::<serde_json::Map<_, _>>().into()
    };
    let with = |entries: Vec<Value>, data: Value| json!({"metadata": {"name": "m", "managedFields": entries}, "data": data});
    let one = |number: usize| json!({"f:data": {format!("f:k{number}"): {}}});
    let keys: serde_json::Map<String, Value> =
        (0..60_000).map(|number| (format!("k:{{\"port\":{number}}}"), json!({}))).collect();
    let nested = (0..100).fold(json!({}), |below, _| json!({"f:a": below}));
    assert_eq!(client.post(MAPS, json!({"metadata": {"name": "m"}, "data": data(1000, "0")})).await.0, 201);
    let rows = [
        (
            "updates",
            "put",
            with((0..20_000).map(|number| entry(number, "Update", "v1", one(number))).collect(), data(20_000, "1")),
        ),
        (
            "applies",
            "put",
            with((0..20_000).map(|number| entry(number, "Apply", "v1", one(number))).collect(), data(20_000, "2")),
        ),
        ("one field", "put", with((0..20_000).map(|number| entry(number, "Apply", "v1", one(1))).collect(), data(20_000, "3"))),
        (
            "versions",
            "put",
            with((0..20_000).map(|number| entry(number, "Update", &format!("v{number}"), one(1))).collect(), data(20_000, "4")),
        ),
        ("twins", "put", with((0..20_000).map(|_| entry(1, "Update", "v1", one(1))).collect(), data(20_000, "5"))),
        ("keys", "put", with(vec![entry(1, "Update", "v1", json!({"f:data": keys}))], data(1000, "6"))),
        ("depth", "put", with((0..1_000).map(|number| entry(number, "Apply", "v1", nested.clone())).collect(), data(1000, "7"))),
        ("fields", "apply", map(data(100_000, "8"))),
        (
            "words",
            "apply",
            json!(format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m}}\ndata:\n{}",
                (0..150_000).map(|number| format!("  n{number}: y\n")).collect::<String>()
            )),
        ),
    ];
    for (name, what, body) in rows {
        let begun = Instant::now();
        let (code, answer) = write(&client, (what, at, "flood", body)).await;
        assert!(code < 500 || name == "words", "{name}: {code} {}", answer["message"]);
        assert!(begun.elapsed() < Duration::from_secs(20), "{name}: {:?}", begun.elapsed());
        eprintln!("{name}: {code} {:?}", begun.elapsed());
    }
}

/// The data of a controller revision is text: a patch changes it where it was sent with spaces, the server's own writes do not.
#[tokio::test]
async fn data_is_compared_as_it_was_written() {
    let client = Client::new().await;
    let path = "/apis/apps/v1/namespaces/default/controllerrevisions";
    let label = json!({"metadata": {"labels": {"x": "y"}}});
    for (name, data, patched) in [("a", r#"{"x": 1}"#, 422), ("b", r#"{"x":1}"#, 200), ("c", r#"{"b":1,"a":" "}"#, 200)] {
        let body = |more: &str| {
            let body = format!(
                r#"{{"apiVersion":"apps/v1","kind":"ControllerRevision","metadata":{{"name":"{name}"{more}}},"data":{data},"revision":1}}"#
            );
            ("application/json", Bytes::from(body))
        };
        assert_eq!(client.send(Method::POST, path, body("")).await.0, 201);
        let at = format!("{path}/{name}");
        for _ in 0..2 {
            let answer = client.merge(&at, label.clone()).await;
            assert_eq!(answer.0, patched, "{data}");
            if patched == 422 {
                let expected = r#"ControllerRevision.apps "a" is invalid: data: Invalid value: {"x":1}: field is immutable"#;
                assert_eq!(message(&answer), expected);
            }
        }
        assert_eq!(client.send(Method::PUT, &at, body(r#","labels":{"z":"z"}"#)).await.0, 200, "{data}");
        assert_eq!(client.merge(&at, label.clone()).await.0, patched, "{data}");
    }
}

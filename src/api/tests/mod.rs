//! Writes, end to end, without a wire.

pub(super) mod client;
mod hostile;
mod lag;
mod own;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::boot;
use client::{Client, message, permit, settings};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";

async fn with_account() -> Client {
    let client = Client::new().await;
    let (code, _) = client.post("/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": "default"}})).await;
    assert_eq!(code, 201);
    client
}

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]}})
}

#[tokio::test]
async fn booting_twice_changes_nothing() {
    let client = Client::new().await;
    let before = client.api.store.view().revision();
    boot::run(&client.api, &settings(), &permit()).await.expect("a second run");
    assert_eq!(client.api.store.view().revision(), before);
    for path in [
        "/api/v1/namespaces/kube-system",
        "/api/v1/namespaces/default/services/kubernetes",
        "/apis/networking.k8s.io/v1/ipaddresses/10.0.0.1",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin",
        "/apis/apiregistration.k8s.io/v1/apiservices/v1.apps",
        "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/exempt",
        "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication",
    ] {
        assert_eq!(client.get(path).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn boot_mends_what_is_missing() {
    let client = Client::new().await;
    let role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node-proxier";
    let (_, before) = client.get(role).await;
    assert_eq!(client.merge(role, json!({"rules": []})).await.0, 200);
    boot::run(&client.api, &settings(), &permit()).await.expect("a second run");
    let (_, after) = client.get(role).await;
    assert_eq!(after["rules"], before["rules"]);
}

#[tokio::test]
async fn a_pod_lives() {
    let client = with_account().await;
    let (code, made) = client.post(PODS, pod("nginx")).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
    assert_eq!(made["spec"]["containers"][0]["volumeMounts"][0]["mountPath"], "/var/run/secrets/kubernetes.io/serviceaccount");
    assert_eq!(message(&client.post(PODS, pod("nginx")).await), "pods \"nginx\" already exists");

    let binding = json!({"metadata": {"name": "nginx"}, "target": {"kind": "Node", "name": "node-z"}});
    let (code, done) = client.post(&format!("{PODS}/nginx/binding"), binding.clone()).await;
    assert_eq!((code, &done["status"]), (201, &json!("Success")));
    let again = client.post(&format!("{PODS}/nginx/binding"), binding).await;
    assert_eq!(
        message(&again),
        "Operation cannot be fulfilled on pods/binding \"nginx\": pod nginx is already assigned to node \"node-z\""
    );

    let status =
        json!({"status": {"phase": "Running"}, "spec": {"nodeName": "elsewhere"}, "metadata": {"labels": {"by": "status"}}});
    let (code, changed) = client.merge(&format!("{PODS}/nginx/status"), status).await;
    assert_eq!(code, 200, "{changed}");
    assert_eq!((&changed["spec"]["nodeName"], &changed["status"]["phase"]), (&json!("node-z"), &json!("Running")));
    assert_eq!(changed["metadata"]["labels"]["by"], "status");
    assert_eq!(changed["metadata"]["generation"], 1);

    let (code, refused) = client.merge(&format!("{PODS}/nginx"), json!({"spec": {"hostname": "x"}})).await;
    assert_eq!(code, 422, "{refused}");
    let (code, changed) = client
        .merge(&format!("{PODS}/nginx"), json!({"status": {"phase": "Failed"}, "metadata": {"annotations": {"a": "b"}}}))
        .await;
    assert_eq!((code, &changed["status"]["phase"]), (200, &json!("Running")));

    let (code, going) = client.delete(&format!("{PODS}/nginx")).await;
    assert_eq!((code, &going["metadata"]["deletionGracePeriodSeconds"]), (200, &json!(30)));
    assert_eq!(going["metadata"]["generation"], 2);
    let (code, gone) = client.delete(&format!("{PODS}/nginx?gracePeriodSeconds=0")).await;
    assert_eq!((code, &gone["metadata"]["deletionGracePeriodSeconds"]), (200, &json!(0)));
    assert_eq!(client.get(&format!("{PODS}/nginx")).await.0, 404);
}

#[tokio::test]
async fn refusals_in_kubernetes_words() {
    let client = Client::new().await;
    let rows: [(&str, Value, u16, &str); 9] = [
        (
            "",
            json!({"metadata": {}}),
            422,
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
        ),
        (
            "",
            json!({"metadata": {"name": "Not_Valid"}}),
            422,
            "ConfigMap \"Not_Valid\" is invalid: metadata.name: Invalid value: \"Not_Valid\": a lowercase RFC 1123 subdomain must consist",
        ),
        (
            "",
            json!({"metadata": {"name": "a", "namespace": "other"}}),
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            "",
            json!({"metadata": {"name": "a", "resourceVersion": "5"}}),
            500,
            "resourceVersion should not be set on objects to be created",
        ),
        (
            "",
            json!({"kind": "Secret", "metadata": {"name": "a"}}),
            400,
            "Secret in version \"v1\" cannot be handled as a ConfigMap: ",
        ),
        (
            "?fieldValidation=Strict",
            json!({"metadata": {"name": "a"}, "unknown": 1}),
            400,
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"unknown\"",
        ),
        (
            "?dryRun=Some",
            json!({"metadata": {"name": "a"}}),
            422,
            "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported values: \"All\"",
        ),
        (
            "?fieldValidation=Maybe",
            json!({"metadata": {"name": "a"}}),
            422,
            "CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"Maybe\"",
        ),
        ("?dryRun=All", json!({"metadata": {"name": "a"}}), 201, ""),
    ];
    for (query, body, code, text) in rows {
        let answer = client.post(&format!("{MAPS}{query}"), body.clone()).await;
        assert_eq!(answer.0, code, "{body}: {answer:?}");
        assert!(message(&answer).starts_with(text), "{body}: {answer:?}");
    }
    assert_eq!(client.get(&format!("{MAPS}/a")).await.0, 404);
    let lost = client.post("/api/v1/namespaces/none/configmaps", json!({"metadata": {"name": "a"}})).await;
    assert_eq!((lost.0, message(&lost)), (404, "namespaces \"none\" not found"));
    let text = client.send(Method::POST, MAPS, ("text/plain", Bytes::from_static(b"x"))).await;
    assert_eq!(text.0, 415);
}

#[tokio::test]
async fn updates_know_versions() {
    let client = Client::new().await;
    let (_, made) = client.post(MAPS, json!({"metadata": {"name": "a"}, "data": {"k": "1"}})).await;
    let path = format!("{MAPS}/a");
    let version = made["metadata"]["resourceVersion"].clone();
    let (code, same) = client.merge(&path, json!({"data": {"k": "1"}})).await;
    assert_eq!((code, &same["metadata"]["resourceVersion"]), (200, &version));
    let (code, changed) = client.put(&path, json!({"metadata": {"name": "a"}, "data": {"k": "2"}})).await;
    assert_eq!(code, 200);
    assert_ne!(changed["metadata"]["resourceVersion"], version);
    assert_eq!(changed["metadata"]["uid"], made["metadata"]["uid"]);
    let stale = client.put(&path, json!({"metadata": {"name": "a", "resourceVersion": version}})).await;
    assert_eq!(stale.0, 409);
    assert!(message(&stale).ends_with("please apply your changes to the latest version and try again"));
    let other = client.put(&path, json!({"metadata": {"name": "b"}})).await;
    assert_eq!(message(&other), "the name of the object (b) does not match the name on the URL (a)");
    let uid = client.put(&path, json!({"metadata": {"name": "a", "uid": "x"}})).await;
    assert!(message(&uid).contains("Precondition failed: UID in precondition: x"), "{uid:?}");
    let lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let (code, _) = client.put(&format!("{lease}/l"), json!({"metadata": {"name": "l"}, "spec": {}})).await;
    assert_eq!(code, 201);
    let blind = client.put(&format!("{lease}/l"), json!({"metadata": {"name": "l"}, "spec": {}})).await;
    assert_eq!(
        message(&blind),
        "leases.coordination.k8s.io \"l\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    );
}

#[tokio::test]
async fn finalizers_hold() {
    let client = Client::new().await;
    let path = format!("{MAPS}/f");
    client.post(MAPS, json!({"metadata": {"name": "f", "finalizers": ["example.com/hold"]}})).await;
    let (code, marked) = client.delete(&path).await;
    assert_eq!((code, &marked["metadata"]["deletionGracePeriodSeconds"]), (200, &json!(0)));
    let (_, again) = client.delete(&path).await;
    assert_eq!(again, marked);
    let more = client.merge(&path, json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}})).await;
    assert_eq!(more.0, 422);
    assert_eq!(more.1["details"]["causes"].as_array().map(Vec::len), Some(2));
    assert_eq!(client.merge(&path, json!({"metadata": {"finalizers": null}})).await.0, 200);
    assert_eq!(client.get(&path).await.0, 404);
}

#[tokio::test]
async fn namespaces_end_in_two_steps() {
    let client = Client::new().await;
    client.post("/api/v1/namespaces", json!({"metadata": {"name": "gone"}})).await;
    let (code, going) = client.delete("/api/v1/namespaces/gone").await;
    assert_eq!((code, &going["status"]["phase"]), (200, &json!("Terminating")));
    let late = client.post("/api/v1/namespaces/gone/configmaps", json!({"metadata": {"name": "late"}})).await;
    assert_eq!(late.0, 403);
    assert_eq!(late.1["details"]["causes"][0]["reason"], "NamespaceTerminating");
    let body = json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "gone"}, "spec": {"finalizers": []}});
    let (code, last) = client.put("/api/v1/namespaces/gone/finalize", body).await;
    assert_eq!((code, &last["spec"]), (200, &json!({})), "{last}");
    assert_eq!(client.get("/api/v1/namespaces/gone").await.0, 404);
    let never = client.delete("/api/v1/namespaces/kube-system").await;
    assert_eq!(message(&never), "namespaces \"kube-system\" is forbidden: this namespace may not be deleted");
}

#[tokio::test]
async fn names_are_generated_and_collections_deleted() {
    let client = Client::new().await;
    for _ in 0..3 {
        let (code, made) = client.post(MAPS, json!({"metadata": {"generateName": "g-", "labels": {"x": "y"}}})).await;
        assert_eq!((code, made["metadata"]["name"].as_str().map(str::len)), (201, Some(7)));
    }
    client.post(MAPS, json!({"metadata": {"name": "stays"}})).await;
    let (code, list) = client.delete(&format!("{MAPS}?labelSelector=x%3Dy")).await;
    assert_eq!((code, list["items"].as_array().map(Vec::len)), (200, Some(3)));
    let (_, left) = client.get(MAPS).await;
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn scale_changes_the_workload() {
    let client = Client::new().await;
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let spec = json!({"selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}});
    let (code, made) = client.post(path, json!({"metadata": {"name": "web"}, "spec": spec})).await;
    assert_eq!((code, &made["metadata"]["generation"]), (201, &json!(1)), "{made}");
    let (_, scale) = client.get(&format!("{path}/web/scale")).await;
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]), (&json!(1), &json!({"replicas": 0, "selector": "a=b"})));
    let (code, scale) = client.merge(&format!("{path}/web/scale"), json!({"spec": {"replicas": 7}})).await;
    assert_eq!((code, &scale["spec"]["replicas"]), (200, &json!(7)));
    let (_, web) = client.get(&format!("{path}/web")).await;
    assert_eq!((&web["spec"]["replicas"], &web["metadata"]["generation"]), (&json!(7), &json!(2)));
}

#[tokio::test]
async fn services_get_addresses() {
    let client = Client::new().await;
    let path = "/api/v1/namespaces/default/services";
    let service = |name: &str, spec: Value| json!({"metadata": {"name": name}, "spec": spec});
    let (code, made) = client.post(path, service("a", json!({"ports": [{"port": 80}]}))).await;
    assert_eq!(code, 201, "{made}");
    let address = made["spec"]["clusterIP"].as_str().unwrap_or("").to_owned();
    assert!(address.starts_with("10.0.0."), "{made}");
    let ip = format!("/apis/networking.k8s.io/v1/ipaddresses/{address}");
    assert_eq!(client.get(&ip).await.0, 200);
    let taken = client.post(path, service("b", json!({"clusterIP": address, "ports": [{"port": 80}]}))).await;
    assert!(message(&taken).ends_with("provided IP is already allocated"), "{taken:?}");
    let (_, node) = client.post(path, service("n", json!({"type": "NodePort", "ports": [{"port": 80}]}))).await;
    let port = node["spec"]["ports"][0]["nodePort"].as_i64().unwrap_or(0);
    assert!((30_000..=32_767).contains(&port), "{node}");
    let taken = client.post(path, service("m", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]}))).await;
    assert!(message(&taken).ends_with("provided port is already allocated"), "{taken:?}");
    client.delete(&format!("{path}/n")).await;
    let (code, _) = client.post(path, service("m", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]}))).await;
    assert_eq!(code, 201);
    client.delete(&format!("{path}/a")).await;
    assert_eq!(client.get(&ip).await.0, 404);
}

#[tokio::test]
async fn concurrent_patches_all_count() {
    let client = std::sync::Arc::new(Client::new().await);
    client.post(MAPS, json!({"metadata": {"name": "c"}, "data": {}})).await;
    let tasks: Vec<_> = (0..20)
        .map(|index| {
            let client = std::sync::Arc::clone(&client);
            tokio::spawn(async move { client.merge(&format!("{MAPS}/c"), json!({"data": {format!("k{index}"): "v"}})).await.0 })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("a task"), 200);
    }
    let (_, map) = client.get(&format!("{MAPS}/c")).await;
    assert_eq!(map["data"].as_object().map(serde_json::Map::len), Some(20));
}

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::api::tests::client::{Client, permit};

async fn eventually(client: &Client, path: &str, code: u16) -> Value {
    for _ in 0..200 {
        let (found, value) = client.get(path).await;
        if found == code {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{path} never answers {code}");
}

async fn running() -> (Client, Shutdown) {
    let client = Client::new().await;
    let shutdown = Shutdown::new();
    start(Arc::clone(&client.api), Settings { root_ca: "PEM".to_owned() }, permit(), &shutdown).await;
    (client, shutdown)
}

#[tokio::test]
async fn namespaces_are_furnished_and_end() {
    let (client, shutdown) = running().await;
    client.post("/api/v1/namespaces", json!({"metadata": {"name": "n"}})).await;
    eventually(&client, "/api/v1/namespaces/n/serviceaccounts/default", 200).await;
    let map = eventually(&client, "/api/v1/namespaces/n/configmaps/kube-root-ca.crt", 200).await;
    assert_eq!(map["data"]["ca.crt"], "PEM");
    client.delete("/api/v1/namespaces/n").await;
    eventually(&client, "/api/v1/namespaces/n", 404).await;
    eventually(&client, "/api/v1/namespaces/n/configmaps/kube-root-ca.crt", 404).await;
    assert!(shutdown.finish(Duration::from_secs(1)).await);
}

#[tokio::test]
async fn claims_and_volumes_go_when_nobody_uses_them() {
    let (client, shutdown) = running().await;
    let claims = "/api/v1/namespaces/default/persistentvolumeclaims";
    let claim = json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    client.post(claims, claim).await;
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "nodeName": "n", "terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}});
    let (code, answer) = client.post("/api/v1/namespaces/default/pods", pod).await;
    assert_eq!(code, 201, "{answer}");
    client.delete(&format!("{claims}/c")).await;
    // Another object is deleted and gone meanwhile: the claim has had its turn.
    let volume = json!({"metadata": {"name": "v"}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/v"}}});
    let (code, answer) = client.post("/api/v1/persistentvolumes", volume).await;
    assert_eq!(code, 201, "{answer}");
    client.delete("/api/v1/persistentvolumes/v").await;
    eventually(&client, "/api/v1/persistentvolumes/v", 404).await;
    assert_eq!(client.get(&format!("{claims}/c")).await.0, 200, "a pod uses it");
    client.delete("/api/v1/namespaces/default/pods/p").await;
    eventually(&client, &format!("{claims}/c"), 404).await;
    assert!(shutdown.finish(Duration::from_secs(1)).await);
}

#[tokio::test]
async fn dependents_follow_their_owner() {
    let (client, shutdown) = running().await;
    for (policy, code) in [("Background", 404), ("Foreground", 404), ("Orphan", 200)] {
        let maps = "/api/v1/namespaces/default/configmaps";
        let (_, owner) = client.post(maps, json!({"metadata": {"name": "owner"}})).await;
        let reference = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true});
        client.post(maps, json!({"metadata": {"name": "dependent", "ownerReferences": [reference]}})).await;
        client.delete(&format!("{maps}/owner?propagationPolicy={policy}")).await;
        eventually(&client, &format!("{maps}/owner"), 404).await;
        let dependent = eventually(&client, &format!("{maps}/dependent"), code).await;
        assert!(dependent["metadata"]["ownerReferences"].is_null(), "{dependent}");
        client.delete(&format!("{maps}/dependent")).await;
    }
    assert!(shutdown.finish(Duration::from_secs(1)).await);
}

#[tokio::test]
async fn roles_are_aggregated() {
    let (client, shutdown) = running().await;
    for _ in 0..200 {
        let (_, view) = client.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/view").await;
        if view["rules"].as_array().is_some_and(|rules| !rules.is_empty()) {
            assert!(shutdown.finish(Duration::from_secs(1)).await);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the role stays empty");
}

#[tokio::test]
async fn quotas_are_counted() {
    let (client, shutdown) = running().await;
    let quotas = "/api/v1/namespaces/default/resourcequotas";
    let hard = json!({"count/configmaps": "10", "pods": "1"});
    client.post(quotas, json!({"metadata": {"name": "q"}, "spec": {"hard": hard}})).await;
    let used = |wanted: &'static str| {
        let client = &client;
        async move {
            for _ in 0..200 {
                let (_, quota) = client.get(&format!("{quotas}/q")).await;
                if quota["status"]["used"]["count/configmaps"] == wanted {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            panic!("never {wanted}");
        }
    };
    // One is `kube-root-ca.crt`.
    used("1").await;
    client.post("/api/v1/namespaces/default/configmaps", json!({"metadata": {"name": "m"}})).await;
    used("2").await;
    client.delete("/api/v1/namespaces/default/configmaps/m").await;
    used("1").await;
    assert!(shutdown.finish(Duration::from_secs(1)).await);
}

#[tokio::test]
async fn circles_and_strangers() {
    let (client, shutdown) = running().await;
    let maps = "/api/v1/namespaces/default/configmaps";
    let (_, one) = client.post(maps, json!({"metadata": {"name": "one"}})).await;
    let owner = |name: &str, uid: &Value| json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "blockOwnerDeletion": true}]);
    let (_, two) =
        client.post(maps, json!({"metadata": {"name": "two", "ownerReferences": owner("one", &one["metadata"]["uid"])}})).await;
    let mut circle = one.clone();
    circle["metadata"]["ownerReferences"] = owner("two", &two["metadata"]["uid"]);
    client.put(&format!("{maps}/one"), circle).await;
    client.delete(&format!("{maps}/one?propagationPolicy=Foreground")).await;
    eventually(&client, &format!("{maps}/one"), 404).await;
    eventually(&client, &format!("{maps}/two"), 404).await;
    // An owner in another namespace is none.
    let (_, far) = client.post(maps, json!({"metadata": {"name": "far"}})).await;
    client.post("/api/v1/namespaces", json!({"metadata": {"name": "other"}})).await;
    let others = "/api/v1/namespaces/other/configmaps";
    client.post(others, json!({"metadata": {"name": "near", "ownerReferences": owner("far", &far["metadata"]["uid"])}})).await;
    eventually(&client, &format!("{others}/near"), 404).await;
    assert!(shutdown.finish(Duration::from_secs(1)).await);
}

#[tokio::test]
async fn service_ranges_become_ready_and_end() {
    let (client, shutdown) = running().await;
    let ranges = "/apis/networking.k8s.io/v1/servicecidrs";
    client.post(ranges, json!({"metadata": {"name": "more"}, "spec": {"cidrs": ["10.77.0.0/24"]}})).await;
    let mut ready = false;
    for _ in 0..200 {
        let (_, range) = client.get(&format!("{ranges}/more")).await;
        ready = range["status"]["conditions"][0]["status"] == "True" && range["metadata"]["finalizers"].is_array();
        if ready {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(ready);
    client.delete(&format!("{ranges}/more")).await;
    eventually(&client, &format!("{ranges}/more"), 404).await;
    assert!(shutdown.finish(Duration::from_secs(1)).await);
}

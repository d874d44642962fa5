use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::api::testing::Stand;
use crate::api::tests::client::Client;
use crate::policy::Purpose;
use crate::request::{Attributes, Target, Verb};

fn permit() -> Permit {
    Permit::internal(Purpose::Boot, Attributes { verb: Verb::Create, target: Target::Path(String::new()) })
}

fn settings() -> Settings {
    Settings {
        service_range: "10.0.0.0/24".parse().expect("a network"),
        advertise: "192.168.1.5".parse().expect("an address"),
        port: 6443,
        client_ca: "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n".to_owned(),
        front_proxy: None,
        extra: vec![json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "own", "namespace": "kube-public"}})],
    }
}

async fn booted() -> Stand {
    let stand = Stand::new();
    run(&stand.api, &settings(), &permit()).await.expect("a boot");
    stand
}

/// The resourceVersion of everything that is stored.
fn versions(stand: &Stand) -> BTreeMap<String, u64> {
    let mut versions = BTreeMap::new();
    for kind in stand.api.catalog.all().iter().filter(|kind| kind.is_stored_form() && kind.plural != "leases") {
        let Some(storage) = &kind.storage else { continue };
        for (name, object) in &stand.api.store.view().root(storage.space).items {
            versions.insert(format!("{}/{}", kind.plural, String::from_utf8_lossy(name)), object.revision().0);
        }
    }
    versions
}

#[tokio::test]
async fn everything_is_there() {
    let stand = booted().await;
    for (target, expected) in [
        ("/api/v1/namespaces", vec!["default", "kube-node-lease", "kube-public", "kube-system"]),
        ("/api/v1/services", vec!["kubernetes"]),
        ("/api/v1/endpoints", vec!["kubernetes"]),
        ("/apis/discovery.k8s.io/v1/endpointslices", vec!["kubernetes"]),
        ("/apis/networking.k8s.io/v1/ipaddresses", vec!["10.0.0.1"]),
        ("/apis/networking.k8s.io/v1/servicecidrs", vec!["kubernetes"]),
        ("/apis/scheduling.k8s.io/v1/priorityclasses", vec!["system-cluster-critical", "system-node-critical"]),
        ("/api/v1/namespaces/kube-public/configmaps", vec!["own"]),
    ] {
        assert_eq!(stand.names(target).await, expected, "{target}");
    }
    assert_eq!(stand.names("/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas").await.len(), 11);
    assert!(stand.names("/apis/apiregistration.k8s.io/v1/apiservices").await.contains(&"v1.apps".to_owned()));
    assert!(stand.names("/apis/rbac.authorization.k8s.io/v1/clusterroles").await.len() > 60);
    let service = stand.json("/api/v1/namespaces/default/services/kubernetes").await;
    assert_eq!(service["spec"]["clusterIP"], "10.0.0.1");
    let slice = stand.json("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes").await;
    assert_eq!(slice["endpoints"][0]["addresses"], json!(["192.168.1.5"]));
}

#[tokio::test]
async fn a_second_start_changes_nothing() {
    let stand = booted().await;
    let before = versions(&stand);
    run(&stand.api, &settings(), &permit()).await.expect("a boot");
    assert_eq!(versions(&stand), before);
}

#[tokio::test]
async fn what_was_taken_away_comes_back() {
    let stand = booted().await;
    stand.remove("/registry/namespaces/kube-node-lease").await;
    stand.remove("/registry/flowschemas/exempt").await;
    let role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:basic-user";
    let mut weak = stand.json(role).await;
    weak["rules"] = json!([]);
    weak["metadata"]["annotations"]["own"] = json!("stays");
    stand.put("rbac.authorization.k8s.io/clusterroles", weak).await;
    let bound = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/cluster-admin";
    let mut other = stand.json(bound).await;
    other["roleRef"]["name"] = json!("view");
    stand.put("rbac.authorization.k8s.io/clusterrolebindings", other).await;
    run(&stand.api, &settings(), &permit()).await.expect("a boot");
    assert_eq!(stand.names("/api/v1/namespaces").await.len(), 4);
    assert_eq!(stand.names("/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas").await.len(), 11);
    let mended = stand.json(role).await;
    assert!(mended["rules"].as_array().is_some_and(|rules| !rules.is_empty()));
    assert_eq!(mended["metadata"]["annotations"]["own"], "stays");
    assert_eq!(stand.json(bound).await["roleRef"]["name"], "cluster-admin");
}

#[tokio::test]
async fn a_bad_object_of_the_app_is_refused() {
    let stand = Stand::new();
    let extra = vec![json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "Bad", "namespace": "default"}})];
    let refusal = run(&stand.api, &Settings { extra, ..settings() }, &permit()).await.expect_err("a refusal").message;
    assert!(refusal.contains("ConfigMap \"Bad\" is invalid"), "{refusal}");
}

#[tokio::test]
async fn states_follow_what_they_hang_on() {
    let client = Client::new().await;
    let api = Arc::clone(&client.api);
    let keeper = tokio::spawn(async move { keep(api, settings(), permit()).await });
    let flows = "/apis/flowcontrol.apiserver.k8s.io/v1";
    let schema =
        json!({"metadata": {"name": "own"}, "spec": {"priorityLevelConfiguration": {"name": "mine"}, "matchingPrecedence": 5}});
    assert_eq!(client.post(&format!("{flows}/flowschemas"), schema).await.0, 201);
    let service = json!({"metadata": {"name": "v1.example.com"}, "spec": {"group": "example.com", "version": "v1",
        "groupPriorityMinimum": 100, "versionPriority": 100, "insecureSkipTLSVerify": true,
        "service": {"name": "s", "namespace": "default"}}});
    assert_eq!(client.post("/apis/apiregistration.k8s.io/v1/apiservices", service).await.0, 201);
    eventually(&client, &format!("{flows}/flowschemas/own"), "NotFound").await;
    eventually(&client, "/apis/apiregistration.k8s.io/v1/apiservices/v1.example.com", "ServiceNotFound").await;
    let level =
        json!({"metadata": {"name": "mine"}, "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}});
    let (code, made) = client.post(&format!("{flows}/prioritylevelconfigurations"), level).await;
    assert_eq!(code, 201, "{made}");
    eventually(&client, &format!("{flows}/flowschemas/own"), "Found").await;
    keeper.abort();
}

async fn eventually(client: &Client, path: &str, reason: &str) {
    for _ in 0..200 {
        let (_, object) = client.get(path).await;
        if object["status"]["conditions"][0]["reason"] == reason {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{path} never says {reason}");
}

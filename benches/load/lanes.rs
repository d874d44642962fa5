//! Clients that work side by side, and the pod that they work on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::client::{Client, Credentials, Protocol, tls};
use crate::support::{Cluster, Store};

/// A pod of 2 kB as it is sent and about 3 kB as it is served, with defaults, metadata and status.
pub fn pod(name: &str, node: &str) -> Value {
    let env: Vec<Value> = (0..18)
        .map(|index| json!({"name": format!("SETTING_{index}"), "value": format!("value-{index}-of-the-setting")}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web", "tier": "front", "name": name}, "annotations": {"example.com/owner": "team-a"}},
        "spec": {
            "nodeName": node,
            "containers": [
                {"name": "web", "image": "registry.example.com/team/web:1.27.3", "env": env,
                 "ports": [{"containerPort": 8080, "name": "http"}],
                 "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}},
                 "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
                 "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}}},
                {"name": "sidecar", "image": "registry.example.com/team/sidecar:0.9.1", "args": ["--verbose", "--port=9090"],
                 "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}}}
            ]
        }
    })
}

/// A fresh server where pods can be made: a controller manager would have made the namespace's account.
pub async fn cluster(store: Store) -> Cluster {
    let cluster = Cluster::start(store).await;
    let client = cluster.client(Protocol::Http2).await;
    let account = json!({"metadata": {"name": "default"}});
    let answer = client.send(Method::POST, "/api/v1/namespaces/default/serviceaccounts", &account).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    cluster
}

/// Creates a pod, which must succeed.
pub async fn create(client: Client, name: String, node: String) {
    let answer = client.send(Method::POST, "/api/v1/namespaces/default/pods", &pod(&name, &node)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
}

/// So many connections with these credentials.
pub async fn connections(cluster: &Cluster, credentials: &Credentials, count: usize, protocol: Protocol) -> Vec<Client> {
    let config = tls(credentials, protocol);
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        clients.push(Client::connect(cluster.address(), config.clone(), credentials.token.clone()).await.expect("a connection"));
    }
    clients
}

/// HTTP/2 connections times streams, each a lane for one request at a time.
pub async fn lanes(cluster: &Cluster, credentials: &Credentials, (connected, streams): (usize, usize)) -> Vec<Client> {
    let clients = connections(cluster, credentials, connected, Protocol::Http2).await;
    clients.iter().flat_map(|client| std::iter::repeat_n(client.clone(), streams)).collect()
}

/// Runs operations number `from` to `to` spread over the lanes.
pub async fn spread<F, Fut>(lanes: &[Client], (from, to): (usize, usize), operation: F)
where
    F: Fn(Client, usize) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicUsize::new(from));
    let run = |client: Client| {
        let (next, operation) = (next.clone(), operation.clone());
        tokio::spawn(async move {
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                if turn >= to {
                    return;
                }
                operation(client.clone(), turn).await;
            }
        })
    };
    let tasks: Vec<_> = lanes.iter().cloned().map(run).collect();
    for task in tasks {
        task.await.expect("a lane");
    }
}

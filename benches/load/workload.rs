//! The workloads of the budgets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::measure::{Row, Span, memory, rss};
use crate::support::Cluster;
use crate::support::client::{Client, Protocol, tls};

const PODS: usize = 5_000;

/// A pod of about 2 kB as it is sent; the server's defaults make it 3 kB.
fn pod(name: &str, node: &str) -> Value {
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

async fn clients(cluster: &Cluster, count: usize, protocol: Protocol) -> Vec<Client> {
    let config = tls(&cluster.admin(), protocol);
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        clients.push(Client::connect(cluster.address(), config.clone(), None).await.expect("a connection"));
    }
    clients
}

/// Runs `count` operations spread over all lanes.
async fn spread<F, Fut>(lanes: Vec<Client>, count: usize, operation: F)
where
    F: Fn(Client, usize) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = lanes
        .into_iter()
        .map(|client| {
            let (next, operation) = (next.clone(), operation.clone());
            tokio::spawn(async move {
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    if turn >= count {
                        return;
                    }
                    operation(client.clone(), turn).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a lane");
    }
}

async fn lanes(cluster: &Cluster, connections: usize, streams: usize) -> Vec<Client> {
    let clients = clients(cluster, connections, Protocol::Http2).await;
    clients.iter().flat_map(|client| std::iter::repeat_n(client.clone(), streams)).collect()
}

async fn create(client: Client, name: String, node: String) {
    let answer = client.send(Method::POST, "/api/v1/namespaces/default/pods", &pod(&name, &node)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
}

/// New mutual-TLS connections, each with one request.
pub async fn handshakes(cluster: &Cluster) -> Row {
    const COUNT: usize = 1_000;
    let config = tls(&cluster.admin(), Protocol::Http1);
    let span = Span::begin(cluster);
    for _ in 0..COUNT {
        let client = Client::connect(cluster.address(), config.clone(), None).await.expect("a connection");
        assert_eq!(client.get("/version").await.status, StatusCode::OK);
    }
    let (micros, rate) = span.end(COUNT);
    Row {
        name: "new mTLS connection + 1 request".into(),
        value: micros / 1e3,
        unit: "ms",
        goal: Some(0.5),
        note: format!("{rate:.0}/s"),
    }
}

/// Creates pods and leaves them there.
pub async fn creates(cluster: &Cluster, name: &str, goal: Option<f64>) -> Row {
    const COUNT: usize = 4_000;
    let lanes = if goal.is_none() { lanes(cluster, 8, 8).await } else { lanes(cluster, 8, 1).await };
    let span = Span::begin(cluster);
    spread(lanes, COUNT, |client, turn| create(client, format!("create-{turn}"), format!("node-{}", turn % 100))).await;
    let (micros, rate) = span.end(COUNT);
    match goal {
        Some(goal) => Row { name: name.into(), value: micros, unit: "us", goal: Some(goal), note: format!("{rate:.0}/s") },
        None => Row { name: name.into(), value: rate, unit: "/s", goal: Some(5_000.0), note: format!("{micros:.0} us CPU each") },
    }
}

/// GETs of one pod of 3 kB, 8 connections x 4 streams.
pub async fn reads(cluster: &Cluster, name: &str, query: &'static str, goal: f64) -> Vec<Row> {
    const COUNT: usize = 60_000;
    let lanes = lanes(cluster, 8, 4).await;
    let before = cluster.metric("etcd_requests_total").await;
    let span = Span::begin(cluster);
    spread(lanes, COUNT, move |client, _| async move {
        let answer = client.get(&format!("/api/v1/namespaces/default/pods/create-7{query}")).await;
        assert_eq!(answer.status, StatusCode::OK);
    })
    .await;
    let (micros, rate) = span.end(COUNT);
    let asked = (cluster.metric("etcd_requests_total").await - before) / COUNT as f64;
    vec![Row {
        name: name.into(),
        value: micros,
        unit: "us",
        goal: Some(goal),
        note: format!("{rate:.0}/s, {asked:.3} etcd operations each"),
    }]
}

/// LIST of 5,000 pods, plain and gzip, and the memory with them.
pub async fn lists(cluster: &Cluster) -> Vec<Row> {
    const COUNT: usize = 30;
    let config = lanes(cluster, 8, 8).await;
    spread(config, PODS, |client, turn| create(client, format!("list-{turn}"), format!("node-{}", turn % 100))).await;
    let mut rows = vec![memory("RSS with 5,000 pods", cluster, 90.0)];
    for (name, encoding, goal) in [("LIST of 5,000 pods", "identity", 20.0), ("LIST of 5,000 pods, gzip", "gzip", 25.0)] {
        let client = clients(cluster, 1, Protocol::Http2).await.remove(0);
        let span = Span::begin(cluster);
        let mut size = 0;
        for _ in 0..COUNT {
            let answer = client
                .request(Method::GET, "/api/v1/pods?resourceVersion=0", &[("accept-encoding", encoding)], Bytes::new())
                .await
                .expect("an answer");
            size = answer.body.len();
        }
        let (micros, _) = span.end(COUNT);
        rows.push(Row {
            name: name.into(),
            value: micros / 1e3,
            unit: "ms",
            goal: Some(goal),
            note: format!("{:.1} MB", size as f64 / 1e6),
        });
    }
    rows.push(memory("RSS after the lists", cluster, 90.0));
    rows
}

/// Watches on connections of their own that nothing happens on.
pub async fn idle_watches(cluster: &Cluster) -> Row {
    const COUNT: usize = 2_000;
    let path = "/api/v1/namespaces/kube-public/secrets?watch=true&resourceVersion=0";
    let before = rss(cluster);
    let mut held = Vec::with_capacity(COUNT);
    for client in clients(cluster, COUNT, Protocol::Http1).await {
        held.push((client.watch(path).await, client));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let each = (rss(cluster) - before) * 1024.0 / COUNT as f64;
    Row { name: "idle watch, own connection".into(), value: each, unit: "kB", goal: Some(24.0), note: format!("{COUNT} of them") }
}

/// 1,000 watchers of one resource, 100 changes.
pub async fn watchers(cluster: &Cluster) -> Row {
    const WATCHERS: usize = 1_000;
    const CHANGES: usize = 100;
    let seen = Arc::new(AtomicUsize::new(0));
    let path = "/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=0&sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
    let all = clients(cluster, WATCHERS / 50, Protocol::Http2).await;
    let mut tasks = Vec::new();
    for client in &all {
        for _ in 0..50 {
            let answer = client.open(Method::GET, path, &[], Bytes::new()).await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK);
            tasks.push(tokio::spawn(count(answer.into_body(), seen.clone())));
        }
    }
    let writer = clients(cluster, 1, Protocol::Http2).await.remove(0);
    let filler = "x".repeat(1_000);
    let span = Span::begin(cluster);
    for turn in 0..CHANGES {
        let body = json!({"metadata": {"name": format!("watched-{turn}")}, "data": {"filler": filler}});
        assert_eq!(writer.send(Method::POST, "/api/v1/namespaces/default/configmaps", &body).await.status, StatusCode::CREATED);
    }
    wait(&seen, WATCHERS * CHANGES).await;
    let (micros, rate) = span.end(WATCHERS * CHANGES);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    Row {
        name: "watch event delivered, 1,000 watchers".into(),
        value: micros,
        unit: "us",
        goal: Some(6.0),
        note: format!("{rate:.0} deliveries/s"),
    }
}

/// 5,000 watchers that each fix another node, and pod events for one at a time.
pub async fn triggered(cluster: &Cluster) -> Row {
    const WATCHERS: usize = 5_000;
    const CHANGES: usize = 200;
    let seen = Arc::new(AtomicUsize::new(0));
    let all = clients(cluster, WATCHERS / 100, Protocol::Http2).await;
    let mut tasks = Vec::new();
    for (index, client) in all.iter().enumerate() {
        for stream in 0..100 {
            let node = index * 100 + stream;
            let path = format!(
                "/api/v1/pods?watch=true&resourceVersion=0&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&fieldSelector=spec.nodeName%3Dkubelet-{node}"
            );
            let answer = client.open(Method::GET, &path, &[], Bytes::new()).await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK);
            tasks.push(tokio::spawn(count(answer.into_body(), seen.clone())));
        }
    }
    let writer = clients(cluster, 1, Protocol::Http2).await.remove(0);
    // What the writes themselves cost, with nobody woken, is taken off.
    let span = Span::begin(cluster);
    for turn in 0..CHANGES {
        create(writer.clone(), format!("unseen-{turn}"), "nobody".to_owned()).await;
    }
    let (alone, _) = span.end(CHANGES);
    let span = Span::begin(cluster);
    for turn in 0..CHANGES {
        create(writer.clone(), format!("seen-{turn}"), format!("kubelet-{}", turn * 20)).await;
    }
    wait(&seen, CHANGES).await;
    let (micros, _) = span.end(CHANGES);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    Row {
        name: "pod event among 5,000 watchers by spec.nodeName".into(),
        value: (micros - alone).max(0.0),
        unit: "us",
        goal: Some(100.0),
        note: format!("{micros:.0} with the create, {alone:.0} the create alone"),
    }
}

async fn count(mut body: hyper::body::Incoming, seen: Arc<AtomicUsize>) {
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            seen.fetch_add(memchr::memchr_iter(b'\n', data).count(), Ordering::Relaxed);
        }
    }
}

async fn wait(seen: &AtomicUsize, expected: usize) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while seen.load(Ordering::Relaxed) < expected {
        assert!(tokio::time::Instant::now() < deadline, "{} of {expected} events came", seen.load(Ordering::Relaxed));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

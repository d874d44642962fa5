//! Watches with much to say, and watches with little.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::task::JoinSet;

use crate::lanes::{cluster, connections, create, lanes, spread};
use crate::measure::{Goal, Row, Scale, Span, median};
use crate::support::client::{Client, Protocol};
use crate::support::{Cluster, Store};

/// Open watches whose lines are counted.
struct Crowd {
    seen: Arc<AtomicUsize>,
    /// Kept open.
    _clients: Vec<Client>,
    _readers: JoinSet<()>,
}

impl Crowd {
    /// One watch for every path, `each` on a connection.
    async fn open(cluster: &Cluster, paths: impl IntoIterator<Item = String>, each: usize) -> Self {
        let seen = Arc::new(AtomicUsize::new(0));
        let (mut clients, mut readers) = (Vec::new(), JoinSet::new());
        for (index, path) in paths.into_iter().enumerate() {
            if index % each == 0 {
                clients.extend(connections(cluster, &cluster.admin(), 1, Protocol::Http2).await);
            }
            let answer = clients[index / each].open(Method::GET, &path, &[], Bytes::new()).await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK);
            readers.spawn(count(answer.into_body(), seen.clone()));
        }
        Self { seen, _clients: clients, _readers: readers }
    }

    /// Waits for this many lines, and starts counting anew.
    async fn wait(&self, expected: usize) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while self.seen.load(Ordering::Relaxed) < expected {
            assert!(tokio::time::Instant::now() < deadline, "{:?} of {expected} events came", self.seen);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(self.seen.swap(0, Ordering::Relaxed), expected, "more came than was owed");
    }
}

async fn count(mut body: hyper::body::Incoming, seen: Arc<AtomicUsize>) {
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            seen.fetch_add(memchr::memchr_iter(b'\n', data).count(), Ordering::Relaxed);
        }
    }
}

/// 1,000 watchers of one resource, 50 on a connection; one write after another.
pub async fn all(scale: Scale) -> Vec<Row> {
    let cluster = cluster(Store::Embedded).await;
    let (watchers, changes) = (scale.of(1_000), scale.of(200));
    let writer = connections(&cluster, &cluster.admin(), 1, Protocol::Http2).await.remove(0);
    let mut rows = Vec::new();
    for (name, each, goal) in [(", HTTP/2", 50, Goal::AtMost(6.0)), (" on connections of their own", 1, Goal::None)] {
        let path = format!("/api/v1/namespaces/default/configmaps?watch=true&resourceVersion={}", newest(&writer).await);
        let crowd = Crowd::open(&cluster, std::iter::repeat_n(path, watchers), each).await;
        let filler = "x".repeat(1_000);
        let mut costs = Vec::new();
        for round in 0..=scale.rounds() {
            let span = Span::begin(&cluster);
            for turn in 0..changes {
                let body = json!({"metadata": {"name": format!("watched-{each}-{round}-{turn}")}, "data": {"filler": filler}});
                let answer = writer.send(Method::POST, "/api/v1/namespaces/default/configmaps", &body).await;
                assert_eq!(answer.status, StatusCode::CREATED);
            }
            crowd.wait(watchers * changes).await;
            // The first round warms up.
            costs.extend((round > 0).then(|| span.end(watchers * changes)));
        }
        let cost = median(&costs);
        rows.push(Row {
            name: format!("watch event of 1.3 kB delivered, {watchers} watchers{name}, CPU"),
            value: cost.micros,
            unit: "us",
            goal,
            note: format!("the writes included; {:.0} deliveries/s", cost.rate),
        });
    }
    rows
}

/// 5,000 watchers that each fix another node, and pod events for one at a time.
pub async fn by_node(scale: Scale) -> Vec<Row> {
    let cluster = cluster(Store::Embedded).await;
    let (watchers, changes) = (scale.of(5_000), scale.of(3_000));
    let lane = lanes(&cluster, &cluster.admin(), (1, 1)).await;
    let from = newest(&lane[0]).await;
    let path = |node| format!("/api/v1/pods?watch=true&resourceVersion={from}&fieldSelector=spec.nodeName%3Dkubelet-{node}");
    let crowd = Crowd::open(&cluster, (0..watchers).map(path), 100).await;
    let (mut alone, mut told) = (Vec::new(), Vec::new());
    for round in 0..=2 * scale.rounds() {
        // What the writes themselves cost, with nobody woken, is measured in turn with those that wake one.
        for (costs, seen) in [(&mut alone, false), (&mut told, true)] {
            let span = Span::begin(&cluster);
            spread(&lane, (0, changes), move |client, turn| {
                let node = if seen { format!("kubelet-{}", turn % watchers) } else { "nobody".to_owned() };
                create(client, format!("pod-{round}-{seen}-{turn}"), node)
            })
            .await;
            crowd.wait(if seen { changes } else { 0 }).await;
            costs.extend((round > 0).then(|| span.end(changes)));
        }
    }
    let (alone, told) = (median(&alone).micros, median(&told).micros);
    vec![Row {
        name: format!("pod event among {watchers} watchers by spec.nodeName, all it costs beyond the create, CPU"),
        value: (told - alone).max(0.0),
        unit: "us",
        goal: Goal::AtMost(100.0),
        note: format!("{told:.0} us with the create, {alone:.0} us where nobody watches that node"),
    }]
}

async fn newest(client: &Client) -> String {
    let list = client.get("/api/v1/namespaces/default/configmaps").await.json();
    list["metadata"]["resourceVersion"].as_str().expect("a version").to_owned()
}

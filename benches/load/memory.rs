//! Resident memory: of an idle server, of its objects, of its watches.

use std::time::Duration;

use crate::lanes::{cluster, connections};
use crate::measure::{Goal, Row, Scale, rss};
use crate::request::fill;
use crate::support::client::Protocol;
use crate::support::{Cluster, Store};

/// A server that nobody has asked anything yet.
pub async fn idle(_scale: Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, store) in [("embedded", Store::Embedded), ("etcd", Store::Etcd)] {
        let cluster = Cluster::start(store).await;
        rows.push(row(format!("RSS idle, {name}"), settled(&cluster).await, 30.0, String::new()));
    }
    rows
}

/// The same server with 5,000 pods, as they are written and after a restart, which has them from the disk.
pub async fn pods(scale: Scale) -> Vec<Row> {
    let pods = scale.of(5_000);
    let mut cluster = cluster(Store::Embedded).await;
    fill(&cluster, pods).await;
    let written = settled(&cluster).await;
    let client = connections(&cluster, &cluster.admin(), 1, Protocol::Http2).await.remove(0);
    for _ in 0..3 {
        client.get("/api/v1/pods").await;
    }
    let listed = settled(&cluster).await;
    cluster.servers().clear();
    cluster.replica("");
    let read = settled(&cluster).await;
    vec![
        row(format!("RSS with {pods} pods just written"), written, 90.0, "their watch history included".into()),
        row("the same after three LISTs of all".into(), listed, 90.0, String::new()),
        row("the same after a restart".into(), read, 90.0, String::new()),
    ]
}

/// Watches on connections of their own that nothing happens on.
pub async fn idle_watches(scale: Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, protocol, goal) in
        [("HTTP/1.1", Protocol::Http1, Goal::AtMost(24.0)), ("HTTP/2", Protocol::Http2, Goal::AtMost(24.0))]
    {
        let cluster = cluster(Store::Embedded).await;
        let count = scale.of(4_000);
        let path = "/api/v1/namespaces/kube-public/secrets?watch=true&resourceVersion=0";
        // What the first ones bring with them is no cost of a watch.
        let mut held = Vec::with_capacity(count);
        let mut open = async |count: usize| {
            for client in connections(&cluster, &cluster.admin(), count, protocol).await {
                held.push((client.watch(path).await, client));
            }
            settled(&cluster).await
        };
        let before = open(scale.of(200)).await;
        let each = (open(count).await - before) / count as f64;
        rows.push(Row {
            name: format!("idle watch on a connection of its own, {name}, RSS"),
            value: each / 1e3,
            unit: "kB",
            goal,
            note: format!("{count} of them"),
        });
    }
    rows
}

/// The memory once the allocator has had time to give back what it will.
async fn settled(cluster: &Cluster) -> f64 {
    tokio::time::sleep(Duration::from_secs(3)).await;
    rss(cluster.pid())
}

fn row(name: String, bytes: f64, goal: f64, note: String) -> Row {
    Row { name, value: bytes / 1e6, unit: "MB", goal: Goal::AtMost(goal), note }
}

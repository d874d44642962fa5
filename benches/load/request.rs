//! Requests that end: connections, GET, create, LIST.

use std::io::Read;

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::lanes::{cluster, connections as connect, create, lanes, spread};
use crate::measure::{Cost, Goal, Row, Scale, Span, median};
use crate::support::client::{Client, Credentials, Protocol, tls};
use crate::support::{Cluster, Store};

/// New mutual-TLS connections, each with one request.
pub async fn connections(scale: Scale) -> Vec<Row> {
    let cluster = cluster(Store::Embedded).await;
    let count = scale.of(1_000);
    let config = tls(&cluster.admin(), Protocol::Http1);
    let mut costs = Vec::new();
    for round in 0..=scale.rounds() {
        let span = Span::begin(&cluster);
        for _ in 0..count {
            let client = Client::connect(cluster.address(), config.clone(), None).await.expect("a connection");
            assert_eq!(client.get("/version").await.status, StatusCode::OK);
        }
        // The first round warms up.
        costs.extend((round > 0).then(|| span.end(count)));
    }
    let cost = median(&costs);
    vec![Row {
        name: "new mTLS connection and a request on it, CPU".into(),
        value: cost.micros / 1e3,
        unit: "ms",
        goal: Goal::AtMost(0.5),
        note: format!("X25519MLKEM768, P-256 keys; {:.0}/s", cost.rate),
    }]
}

/// GET of one pod on the embedded store, by an administrator and by one whom roles and a ceiling hold.
pub async fn gets_embedded(scale: Scale) -> Vec<Row> {
    let cluster = cluster(Store::Embedded).await;
    let scheduler = cluster.pki.client("scheduler", "system:kube-scheduler", &[]);
    let (admin, on) = (cluster.admin(), &cluster);
    let (size, cost, _) = gets(on, &admin, (scale, "")).await;
    let (_, other, _) = gets(on, &scheduler, (scale, "")).await;
    let row = |who: &str, cost: Cost, goal| Row {
        name: format!("GET, embedded, HTTP/2 8 x 4, {who}CPU"),
        value: cost.micros,
        unit: "us",
        goal,
        note: format!("{size} B; {:.0}/s", cost.rate),
    };
    vec![row("", cost, Goal::AtMost(25.0)), row("by kube-scheduler (ceiling and RBAC), ", other, Goal::None)]
}

/// The same on etcd, from the view and consistently.
pub async fn gets_etcd(scale: Scale) -> Vec<Row> {
    let cluster = cluster(Store::Etcd).await;
    let mut rows = Vec::new();
    for (name, query, goal) in [("resourceVersion=0", "?resourceVersion=0", 25.0), ("default (consistent)", "", 40.0)] {
        let (size, cost, asked) = gets(&cluster, &cluster.admin(), (scale, query)).await;
        rows.push(Row {
            name: format!("GET, etcd, {name}, HTTP/2 8 x 4, CPU"),
            value: cost.micros,
            unit: "us",
            goal: Goal::AtMost(goal),
            note: format!("{size} B; {:.0}/s", cost.rate),
        });
        if query.is_empty() {
            let (name, note) = ("etcd operations for such a GET, 32 in flight".into(), String::new());
            rows.push(Row { name, value: asked, unit: "", goal: Goal::AtMost(0.125), note });
        }
    }
    rows
}

/// The answer's size, what it cost, and how many operations of etcd each took.
async fn gets(cluster: &Cluster, credentials: &Credentials, (scale, query): (Scale, &'static str)) -> (usize, Cost, f64) {
    let count = scale.of(60_000);
    let admin = lanes(cluster, &cluster.admin(), (1, 1)).await.remove(0);
    let path = "/api/v1/namespaces/default/pods/read";
    if admin.get(path).await.status == StatusCode::NOT_FOUND {
        create(admin.clone(), "read".into(), "node-1".into()).await;
    }
    let size = admin.get(path).await.body.len();
    let lanes = lanes(cluster, credentials, (8, 4)).await;
    let get = move |client: Client, _| async move {
        assert_eq!(client.get(&format!("{path}{query}")).await.status, StatusCode::OK);
    };
    spread(&lanes, (0, count / 10), get).await;
    let asked = cluster.metric("etcd_requests_total").await;
    let mut costs = Vec::new();
    for _ in 0..scale.rounds() {
        let span = Span::begin(cluster);
        spread(&lanes, (0, count), get).await;
        costs.push(span.end(count));
    }
    let asked = (cluster.metric("etcd_requests_total").await - asked) / (count * costs.len()) as f64;
    (size, median(&costs), asked)
}

/// Creates by 64 writers, group commit with fsync.
pub async fn creates_embedded(scale: Scale) -> Vec<Row> {
    let cluster = cluster(Store::Embedded).await;
    let cost = creates(&cluster, (8, 8), scale).await;
    vec![
        Row {
            name: "create, embedded with fsync, 64 writers".into(),
            value: cost.rate,
            unit: "/s",
            goal: Goal::AtLeast(5_000.0),
            note: "with the clients on the same cores".into(),
        },
        Row { name: "the same, CPU".into(), value: cost.micros, unit: "us", goal: Goal::None, note: String::new() },
    ]
}

/// Creates on etcd.
pub async fn creates_etcd(scale: Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    for (connections, streams, goal) in [(8, 1, Goal::AtMost(200.0)), (8, 8, Goal::None)] {
        let cluster = cluster(Store::Etcd).await;
        let cost = creates(&cluster, (connections, streams), scale).await;
        rows.push(Row {
            name: format!("create, etcd, {} writers, our CPU", connections * streams),
            value: cost.micros,
            unit: "us",
            goal,
            note: format!("{:.0}/s", cost.rate),
        });
    }
    rows
}

async fn creates(cluster: &Cluster, shape: (usize, usize), scale: Scale) -> Cost {
    let count = scale.of(5_000);
    let lanes = lanes(cluster, &cluster.admin(), shape).await;
    let one = |client, turn: usize| create(client, format!("create-{turn}"), format!("node-{}", turn % 100));
    spread(&lanes, (0, count / 5), one).await;
    let mut costs = Vec::new();
    for round in 1..=scale.rounds() {
        let span = Span::begin(cluster);
        spread(&lanes, (round * count, (round + 1) * count), one).await;
        costs.push(span.end(count));
    }
    median(&costs)
}

/// LIST of 5,000 pods, plain and compressed.
pub async fn lists(scale: Scale) -> Vec<Row> {
    let cluster = cluster(Store::Embedded).await;
    let (pods, count) = (scale.of(5_000), scale.of(100));
    fill(&cluster, pods).await;
    let mut rows = Vec::new();
    for (name, path, encoding, goal) in [
        ("", "/api/v1/pods?resourceVersion=0", "identity", Goal::AtMost(20.0)),
        (", gzip", "/api/v1/pods?resourceVersion=0", "gzip", Goal::None),
        (", one of 100 nodes", "/api/v1/pods?resourceVersion=0&fieldSelector=spec.nodeName%3Dnode-1", "identity", Goal::None),
    ] {
        let client = connect(&cluster, &cluster.admin(), 1, Protocol::Http2).await.remove(0);
        let list = async || {
            let asked = client.request(Method::GET, path, &[("accept-encoding", encoding)], Bytes::new()).await;
            asked.expect("an answer")
        };
        let first = list().await;
        let size = first.body.len();
        check(&first.body, (encoding == "gzip", pods / if path.contains("fieldSelector") { 100 } else { 1 }));
        let mut costs = Vec::new();
        for _ in 0..scale.rounds() {
            let span = Span::begin(&cluster);
            for _ in 0..count {
                assert_eq!(list().await.body.len(), size);
            }
            costs.push(span.end(count));
        }
        let cost = median(&costs);
        rows.push(Row {
            name: format!("LIST of {pods} pods{name}, CPU"),
            value: cost.micros / 1e3,
            unit: "ms",
            goal,
            note: format!("{:.1} MB; {:.1}/s", size as f64 / 1e6, cost.rate),
        });
    }
    rows
}

/// Creates so many pods on a hundred nodes.
pub async fn fill(cluster: &Cluster, pods: usize) {
    let lanes = lanes(cluster, &cluster.admin(), (8, 8)).await;
    spread(&lanes, (0, pods), |client, turn| create(client, format!("list-{turn}"), format!("node-{}", turn % 100))).await;
}

/// A measured answer must be a right one.
fn check(body: &[u8], (packed, pods): (bool, usize)) {
    let mut plain = Vec::new();
    if packed {
        flate2::read::MultiGzDecoder::new(body).read_to_end(&mut plain).expect("gzip");
    }
    let list: serde_json::Value = serde_json::from_slice(if packed { &plain } else { body }).expect("JSON");
    assert_eq!(list["items"].as_array().map_or(0, Vec::len), pods);
}

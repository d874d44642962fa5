//! What watches and reads promise while many write: nine properties of watches, linearizability per key, lists that are one moment's
//! state, and no false refusal.
//!
//! On both stores, and over two replicas on one etcd. Every version of an object has a revision of its own, so that the order of all
//! writes of a key is known and a history can be checked in full.
#![allow(unreachable_pub, missing_docs, reason = "nobody depends on a test")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "watch/history.rs"]
mod history;
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use history::{Act, History, Listed, Outcome, Seen};
use support::client::{Client, Protocol};
use support::{Cluster, Store};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const KEYS: usize = 6;
const WRITERS: usize = 8;
const TURNS: usize = 150;

/// A small generator of numbers: the same seed, the same run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn watches_and_reads_keep_their_promises_on_the_embedded_store() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let servers = vec![cluster.address()];
    runtime().block_on(everything(&cluster, servers));
}

#[test]
fn watches_and_reads_keep_their_promises_across_two_replicas_on_etcd() {
    let mut cluster = Cluster::start_now(Store::Etcd, "");
    let servers = vec![cluster.address(), cluster.replica("")];
    // Somebody else writes into the same etcd all the while.
    let stop = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let etcd = cluster.etcd.as_ref().unwrap();
            let mut turn = 0;
            while !stop.load(Ordering::Relaxed) {
                turn += 1;
                etcd.control(&cluster.pki, &["put", "/foreign/key", &turn.to_string()]);
            }
        });
        runtime().block_on(everything(&cluster, servers));
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn create_patch_delete_over_two_replicas_is_never_refused_falsely() {
    let mut cluster = Cluster::start_now(Store::Etcd, "");
    let second = cluster.replica("");
    runtime().block_on(async {
        let one = cluster.client(Protocol::Http2).await;
        let two = cluster.connect(second, &cluster.admin(), Protocol::Http2).await;
        for turn in 0..200 {
            let (first, then) = if turn % 2 == 0 { (&one, &two) } else { (&two, &one) };
            let path = format!("{MAPS}/loop");
            let made = first.send(Method::POST, MAPS, &json!({"metadata": {"name": "loop"}})).await;
            assert_eq!(made.status, StatusCode::CREATED, "turn {turn}: {:?}", made.body);
            let patched = then.send(Method::PATCH, &path, &json!({"data": {"turn": turn.to_string()}})).await;
            assert_eq!(patched.status, StatusCode::OK, "turn {turn}: {:?}", patched.body);
            let read = first.get(&path).await;
            assert_eq!(read.json()["data"]["turn"], turn.to_string(), "a read that began after the write sees it");
            let deleted = first.request(Method::DELETE, &path, &[], "").await.unwrap();
            assert_eq!(deleted.status, StatusCode::OK, "turn {turn}: {:?}", deleted.body);
            assert_eq!(then.get(&path).await.status, StatusCode::NOT_FOUND);
        }
    });
}

async fn everything(cluster: &Cluster, servers: Vec<SocketAddr>) {
    let admin = cluster.admin();
    let history = Arc::new(History::default());
    let mut clients = Vec::new();
    for turn in 0..WRITERS {
        clients.push(cluster.connect(servers[turn % servers.len()], &admin, Protocol::Http2).await);
    }
    let list = clients[0].get(MAPS).await.json();
    let start = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let stop = Arc::new(AtomicBool::new(false));
    let watches: Vec<_> = (0..clients.len()).map(|first| watches(&clients, first, (&start, &stop))).collect();
    let lists: Vec<_> =
        (0..servers.len()).map(|one| tokio::spawn(list_all(clients.clone(), one, (history.clone(), stop.clone())))).collect();
    let writers: Vec<_> = clients
        .iter()
        .enumerate()
        .map(|(seed, client)| {
            tokio::spawn(write(client.clone(), history.clone(), Dice(0x9e37_79b9_7f4a_7c15 ^ (seed as u64 + 1))))
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let end = marker(&clients[0]).await;
    stop.store(true, Ordering::Relaxed);
    let mut seen = Vec::new();
    for watch in watches.into_iter().flatten() {
        let one = tokio::time::timeout(Duration::from_secs(20), watch).await.expect("every watch reaches the marker").unwrap();
        seen.push(one);
    }
    let mut listed = Vec::new();
    for list in lists {
        listed.extend(list.await.unwrap());
    }
    history.check(&seen, &listed, end);
}

/// The kinds of watches that one client keeps: everything, resumed ones (which wander from replica to replica), one name, one label.
fn watches(clients: &[Client], first: usize, (start, stop): (&str, &Arc<AtomicBool>)) -> Vec<tokio::task::JoinHandle<Seen>> {
    let follow = |query: &str, resume: usize| {
        let (clients, start, query) = (clients.to_vec(), start.to_owned(), query.to_owned());
        let stop = stop.clone();
        tokio::spawn(async move { observe((&clients, first), &start, (&query, resume), &stop).await })
    };
    vec![
        follow("", 0),
        follow("", 25),
        follow("&fieldSelector=metadata.name%3Dkey-1", 0),
        follow("&labelSelector=color%3Dred", 0),
    ]
}

/// Follows until the marker; opens the watch anew, at the next client, after every `resume` events when that is not 0.
async fn observe((clients, first): (&[Client], usize), start: &str, (query, resume): (&str, usize), stop: &AtomicBool) -> Seen {
    let mut seen = Seen::new(query, start.parse().unwrap());
    let mut next = first;
    loop {
        let from = seen.position();
        let path = format!("{MAPS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=60&resourceVersion={from}{query}");
        let mut lines = clients[next % clients.len()].watch(&path).await;
        let mut count = 0;
        // A filtered watch never sees the marker: quiet after the end is its end.
        let patience = if query.is_empty() { Duration::from_secs(20) } else { Duration::from_secs(2) };
        while let Ok(Some(line)) = tokio::time::timeout(patience, lines.next()).await {
            if seen.take(&line) {
                return seen;
            }
            count += 1;
            if resume > 0 && count == resume {
                break;
            }
        }
        if stop.load(Ordering::Relaxed) && !query.is_empty() {
            return seen;
        }
        next += 1;
    }
}

/// Reads everything over and over, in every way there is, until the end.
async fn list_all(clients: Vec<Client>, one: usize, (history, stop): (Arc<History>, Arc<AtomicBool>)) -> Vec<Listed> {
    let mut all: Vec<Listed> = Vec::new();
    let mut turn = one;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let client = &clients[turn % clients.len()];
        let last = all.last().map_or(0, |list| list.version);
        let called = history.now();
        let listed = match turn % 5 {
            // Sees all that was acknowledged before it began.
            0 | 1 => Listed::of(&client.get(MAPS).await.json(), Some(called)),
            // Not older than what this reader has seen, wherever it saw it.
            2 if last > 0 => {
                let path = format!("{MAPS}?resourceVersion={last}&resourceVersionMatch=NotOlderThan");
                let listed = Listed::of(&client.get(&path).await.json(), None);
                assert!(listed.version >= last, "the list went back in time: {} after {last}", listed.version);
                listed
            }
            // Exactly that.
            3 if last > 0 => {
                let path = format!("{MAPS}?resourceVersion={last}&resourceVersionMatch=Exact");
                let listed = Listed::of(&client.get(&path).await.json(), None);
                assert_eq!(listed.version, last);
                listed
            }
            4 => streamed(client, called).await,
            _ => pages(client, called).await,
        };
        all.push(listed);
    }
    assert!(all.len() > 10, "only {} lists were read: nothing was tested", all.len());
    all
}

/// The state as the initial events of a watch.
async fn streamed(client: &Client, called: Duration) -> Listed {
    let path = format!(
        "{MAPS}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=30"
    );
    let mut lines = client.watch(&path).await;
    let mut listed = Listed::empty(Some(called));
    loop {
        let line = lines.next().await.expect("a bookmark ends the initial events");
        let object = &line["object"];
        if line["type"] == "BOOKMARK" {
            assert_eq!(object["metadata"]["annotations"]["k8s.io/initial-events-end"], "true", "{line}");
            listed.version = version(object);
            return listed;
        }
        assert_eq!(line["type"], "ADDED", "{line}");
        listed.add(object);
    }
}

/// The state in pages of two.
async fn pages(client: &Client, called: Duration) -> Listed {
    let mut listed = Listed::empty(Some(called));
    let mut more = String::new();
    loop {
        let page = client.get(&format!("{MAPS}?limit=2&continue={more}")).await;
        assert_eq!(page.status, StatusCode::OK, "{:?}", page.body);
        let page = page.json();
        let of = Listed::of(&page, None);
        assert!(listed.version == 0 || listed.version == of.version, "all pages are of one moment");
        listed.version = of.version;
        listed.items.extend(of.items);
        more = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        if more.is_empty() {
            return listed;
        }
    }
}

/// One more object, whose event ends the unfiltered watches; its revision.
async fn marker(client: &Client) -> u64 {
    let made = client.send(Method::POST, MAPS, &json!({"metadata": {"name": "marker"}})).await;
    version(&made.json())
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

async fn write(client: Client, history: Arc<History>, mut dice: Dice) {
    for turn in 0..TURNS {
        let key = format!("key-{}", dice.roll(KEYS as u64));
        let path = format!("{MAPS}/{key}");
        let color = if dice.roll(2) == 0 { "red" } else { "blue" };
        let value = format!("{:x}-{turn}", dice.0);
        let body = json!({"metadata": {"name": key, "labels": {"color": color}}, "data": {"value": value}});
        match dice.roll(6) {
            0 => {
                let called = history.now();
                let answer = client.send(Method::POST, MAPS, &body).await;
                record(&history, (called, &key), Act::Create, &answer);
            }
            1 => {
                let called = history.now();
                let answer = client.get(&path).await;
                record(&history, (called, &key), Act::Get, &answer);
            }
            2 => {
                let called = history.now();
                let answer = client.request(Method::DELETE, &path, &[], "").await.unwrap();
                record(&history, (called, &key), Act::Delete, &answer);
            }
            3 => {
                let read = client.get(&path).await;
                if read.status == StatusCode::OK {
                    let mut object = read.json();
                    let before = version(&object);
                    object["data"]["value"] = value.into();
                    object["metadata"]["labels"]["color"] = color.into();
                    let called = history.now();
                    let answer = client.send(Method::PUT, &path, &object).await;
                    record(&history, (called, &key), Act::Update { before }, &answer);
                }
            }
            _ => {
                let called = history.now();
                let patch = json!({"metadata": {"labels": {"color": color}}, "data": {"value": value}});
                let answer = client.send(Method::PATCH, &path, &patch).await;
                record(&history, (called, &key), Act::Patch, &answer);
            }
        }
    }
}

fn record(history: &History, (called, key): (Duration, &str), act: Act, answer: &support::client::Answer) {
    let outcome = match (answer.status, act) {
        (StatusCode::OK, Act::Delete) => Outcome::Deleted,
        (StatusCode::OK | StatusCode::CREATED, _) => Outcome::Version(version(&answer.json())),
        (StatusCode::NOT_FOUND, _) => Outcome::Absent,
        (StatusCode::CONFLICT, _) => Outcome::Conflict,
        (status, _) => panic!("{act:?} of {key}: {status}: {:?}", answer.body),
    };
    history.record(key, called, act, outcome);
}

//! Two replicas over one log, and the view of this one lags: nothing is refused that the log would not refuse.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::client::{Client, message};
use crate::store::embedded::{Embedded, Medium, Options};
use crate::store::{BoxFuture, Change, Entry, Event, Log, Outcome, Revision, Sink, StoreError};

/// A log that tells this replica nothing until it is asked where it is, or a commit of this replica has to be seen.
struct Lagging {
    log: Arc<Embedded>,
    relay: Arc<Relay>,
}

/// Between the log and the two views.
#[derive(Default)]
struct Relay {
    sinks: Mutex<Vec<Arc<dyn Sink>>>,
    held: Mutex<Vec<(Revision, Vec<Event>)>>,
}

impl Relay {
    fn tell(&self) {
        let held = std::mem::take(&mut *self.held.lock());
        let sinks = self.sinks.lock();
        for (revision, events) in held {
            if let Some(sink) = sinks.first() {
                sink.apply(revision, events);
            }
        }
    }
}

impl Sink for Relay {
    fn reset(&self, revision: Revision, entries: Vec<(Bytes, Entry)>) {
        for sink in self.sinks.lock().iter() {
            sink.reset(revision, entries.clone());
        }
    }

    fn apply(&self, revision: Revision, events: Vec<Event>) {
        // The other replica sees everything at once.
        if let Some(other) = self.sinks.lock().get(1) {
            other.apply(revision, events.clone());
        }
        self.held.lock().push((revision, events));
    }
}

impl Log for Lagging {
    fn commit(&self, change: Change) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        Box::pin(async {
            let outcome = self.log.commit(change).await;
            self.relay.tell();
            outcome
        })
    }

    fn probe(&self) -> BoxFuture<'_, Result<Revision, StoreError>> {
        Box::pin(async {
            let revision = self.log.probe().await;
            self.relay.tell();
            revision
        })
    }

    fn compact(&self, before: Revision) -> BoxFuture<'_, Result<(), StoreError>> {
        self.log.compact(before)
    }
}

/// This replica, which lags, and the other one, which does not.
async fn replicas() -> (Client, Client) {
    let relay = Arc::new(Relay::default());
    let opened: Mutex<Option<Arc<Embedded>>> = Mutex::new(None);
    let (first, second) = (Arc::clone(&relay), Arc::clone(&relay));
    let slow = Client::over(|sink| {
        first.sinks.lock().push(sink);
        let log = Embedded::open_on(Medium::memory(), Options::default(), Arc::clone(&first) as Arc<dyn Sink>)?;
        *opened.lock() = Some(Arc::clone(&log));
        Ok(Arc::new(Lagging { log, relay: Arc::clone(&first) }) as Arc<dyn Log>)
    });
    let log = opened.lock().take().expect("a log");
    let quick = Client::over(|sink| {
        sink.reset(Revision(log.revision().0), Vec::new());
        second.sinks.lock().push(sink);
        Ok(log as Arc<dyn Log>)
    });
    super::boot::run(&quick.api, &super::settings(), &super::permit()).await.expect("the boot objects");
    (slow, quick)
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn what_the_other_replica_made_is_there() {
    let (slow, quick) = replicas().await;
    let path = format!("{MAPS}/a");
    let (code, made) = quick.post(MAPS, json!({"metadata": {"name": "a"}})).await;
    assert_eq!(code, 201);
    assert_eq!(slow.merge(&path, json!({"data": {"k": "v"}})).await.0, 200);
    assert_eq!(slow.post(MAPS, json!({"metadata": {"name": "a"}})).await.0, 409);

    // Deleted and made again: the new one's uid is right, whatever this view still shows.
    quick.delete(&path).await;
    let (_, again) = quick.post(MAPS, json!({"metadata": {"name": "a"}})).await;
    assert_ne!(made["metadata"]["uid"], again["metadata"]["uid"]);
    let body = json!({"metadata": {"name": "a", "uid": again["metadata"]["uid"], "resourceVersion": again["metadata"]["resourceVersion"]}, "data": {"x": "y"}});
    let answer = slow.put(&path, body).await;
    assert_eq!(answer.0, 200, "{answer:?}");

    quick.delete(&path).await;
    assert_eq!(slow.delete(&path).await.0, 404);
    assert_eq!(slow.post(MAPS, json!({"metadata": {"name": "a"}})).await.0, 201);
}

#[tokio::test]
async fn namespaces_and_accounts_are_looked_up_anew() {
    let (slow, quick) = replicas().await;
    quick.post("/api/v1/namespaces", json!({"metadata": {"name": "n"}})).await;
    quick.post("/api/v1/namespaces/n/serviceaccounts", json!({"metadata": {"name": "sa"}})).await;
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"serviceAccountName": "sa", "containers": [{"name": "c", "image": "i"}]}});
    let answer = slow.post("/api/v1/namespaces/n/pods", pod).await;
    assert_eq!(answer.0, 201, "{answer:?}");

    // A namespace that ends elsewhere takes nothing more, although this view still shows it alive.
    quick.delete("/api/v1/namespaces/n").await;
    let late = slow.post("/api/v1/namespaces/n/configmaps", json!({"metadata": {"name": "late"}})).await;
    assert_eq!(late.0, 403, "{late:?}");
    assert!(message(&late).contains("because it is being terminated"), "{late:?}");
}

#[tokio::test]
async fn nothing_to_change_is_only_said_when_it_is_so() {
    let (slow, quick) = replicas().await;
    let path = format!("{MAPS}/a");
    quick.post(MAPS, json!({"metadata": {"name": "a"}, "data": {"k": "1"}})).await;
    assert_eq!(slow.merge(&path, json!({"data": {"k": "1"}})).await.0, 200);
    quick.merge(&path, json!({"data": {"k": "2"}})).await;
    let (_, changed): (u16, Value) = slow.merge(&path, json!({"data": {"k": "1"}})).await;
    let (_, read) = quick.get(&path).await;
    assert_eq!((&changed["data"]["k"], &read["data"]["k"]), (&json!("1"), &json!("1")));
}

#[tokio::test]
async fn a_deletion_meets_the_object_that_is_there() {
    let (slow, quick) = replicas().await;
    let path = format!("{MAPS}/a");
    quick.post(MAPS, json!({"metadata": {"name": "a", "finalizers": ["example.com/hold"]}})).await;
    assert_eq!(slow.delete(&path).await.0, 200);
    // Elsewhere it goes for good and another one comes, without this view having seen it.
    quick.merge(&path, json!({"metadata": {"finalizers": null}})).await;
    quick.post(MAPS, json!({"metadata": {"name": "a"}})).await;
    assert_eq!(slow.delete(&path).await.0, 200);
    assert_eq!(quick.get(&path).await.0, 404);
}

//! The store over a log that does what the test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::embedded::{Embedded, Medium, Options};
use super::view_tests::{PODS, Plain, Thing, event};
use super::*;

/// A log whose probes wait for permits and whose commits are outcomes prepared by the test.
struct Fake {
    newest: AtomicU64,
    probes: AtomicUsize,
    sent: Notify,
    permits: Semaphore,
    silent: AtomicBool,
    outcomes: Mutex<Vec<Result<Outcome, StoreError>>>,
}

impl Log for Arc<Fake> {
    fn commit(&self, _change: Change) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        Box::pin(std::future::ready(self.outcomes.lock().remove(0)))
    }

    fn probe(&self) -> BoxFuture<'_, Result<Revision, StoreError>> {
        Box::pin(async {
            self.probes.fetch_add(1, Ordering::SeqCst);
            self.sent.notify_one();
            let permit = self.permits.acquire().await.map_err(|_| StoreError::Unavailable("closed".to_owned()))?;
            permit.forget();
            match self.silent.load(Ordering::SeqCst) {
                true => Err(StoreError::Unavailable("silent".to_owned())),
                false => Ok(Revision(self.newest.load(Ordering::SeqCst))),
            }
        })
    }

    fn compact(&self, _before: Revision) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

fn fake(permits: usize) -> (Arc<Fake>, Arc<Store<Thing>>) {
    let fake = Arc::new(Fake {
        newest: AtomicU64::new(10),
        probes: AtomicUsize::new(0),
        sent: Notify::new(),
        permits: Semaphore::new(permits),
        silent: AtomicBool::new(false),
        outcomes: Mutex::default(),
    });
    let log = fake.clone();
    let connect = move |sink: Arc<dyn Sink>| {
        sink.reset(Revision(10), Vec::new());
        Ok::<_, StoreError>(Arc::new(log) as Arc<dyn Log>)
    };
    let store = open(Arc::new(Plain), Limits::default(), connect).unwrap_or_else(|error| panic!("{error}"));
    (fake, store)
}

fn put(key: &str, expect: Expect, value: &str) -> Change {
    let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), Some(Bytes::copy_from_slice(value.as_bytes())));
    Change { key, expect, value, ttl: None, guard: None }
}

fn latest(store: &Arc<Store<Thing>>) -> tokio::task::JoinHandle<Result<Revision, StoreError>> {
    let store = store.clone();
    tokio::spawn(async move { store.latest().await })
}

async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_before_a_probe_is_sent_shares_it() {
    let (fake, store) = fake(0);
    let first = latest(&store);
    fake.sent.notified().await;
    // The first probe is on its way: what it will answer may be older than what these have seen acknowledged.
    let later: Vec<_> = (0..20).map(|_| latest(&store)).collect();
    settle().await;
    assert_eq!(fake.probes.load(Ordering::SeqCst), 1, "one is on its way at a time");
    fake.permits.add_permits(1);
    assert_eq!(first.await.expect("a task").expect("a revision"), Revision(10));
    settle().await;
    fake.newest.store(11, Ordering::SeqCst);
    store.view().apply(Revision(11), Vec::new());
    fake.permits.add_permits(1);
    for waiter in later {
        assert_eq!(waiter.await.expect("a task").expect("a revision"), Revision(11));
    }
    assert_eq!(fake.probes.load(Ordering::SeqCst), 2, "all twenty shared the second");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_goes_takes_nobody_along() {
    let (fake, store) = fake(0);
    let first = latest(&store);
    fake.sent.notified().await;
    let (second, third) = (latest(&store), latest(&store));
    settle().await;
    first.abort();
    second.abort();
    settle().await;
    fake.permits.add_permits(2);
    let answer = timeout(Duration::from_secs(1), third).await.expect("in time").expect("a task");
    assert_eq!(answer.expect("a revision"), Revision(10));
    assert_eq!(fake.probes.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_is_told_to_all_and_not_kept() {
    let (fake, store) = fake(10);
    fake.silent.store(true, Ordering::SeqCst);
    assert!(matches!(store.latest().await, Err(StoreError::Unavailable(_))));
    fake.silent.store(false, Ordering::SeqCst);
    assert_eq!(store.latest().await.expect("a revision"), Revision(10));
    fake.permits.forget_permits(10);
    let begun = Instant::now();
    assert!(matches!(store.latest().await, Err(StoreError::Timeout(_))));
    assert_eq!(begun.elapsed(), Limits::default().patience);
}

#[tokio::test(start_paused = true)]
async fn a_consistent_read_waits_for_the_view() {
    let (fake, store) = fake(10);
    fake.newest.store(12, Ordering::SeqCst);
    let read = latest(&store);
    settle().await;
    store.view().apply(Revision(11), Vec::new());
    settle().await;
    assert!(!read.is_finished());
    store.view().apply(Revision(13), Vec::new());
    assert_eq!(read.await.expect("a task").expect("a revision"), Revision(12));
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_does_not_come_is_the_future() {
    let (_fake, store) = fake(0);
    assert!(store.reach(Revision(10), Duration::ZERO).await.is_ok());
    let begun = Instant::now();
    let late = store.reach(Revision(99), Duration::from_secs(3)).await;
    assert!(matches!(late, Err(StoreError::Future(Revision(99), Revision(10)))));
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    assert_eq!(store.view().tide.waiting(), 0, "who gave up is not waited for");
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.reach(Revision(12), Duration::from_secs(3)).await }
    });
    settle().await;
    store.view().apply(Revision(12), Vec::new());
    assert!(waiting.await.expect("a task").is_ok());
    assert_eq!(store.view().tide.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_answered_when_the_view_has_it() {
    let (fake, store) = fake(10);
    let conflict = Outcome::Conflict(Some(Entry { value: Bytes::new(), revision: Revision(13) }));
    for (outcome, revision) in [(Outcome::Committed(Revision(12)), 12), (conflict, 13)] {
        fake.outcomes.lock().push(Ok(outcome.clone()));
        let commit = tokio::spawn({
            let store = store.clone();
            async move { store.commit(put("/pods/a", Expect::Absent, "n1")).await }
        });
        settle().await;
        assert!(!commit.is_finished(), "{outcome:?} is not in the view");
        store.view().apply(Revision(revision), vec![event("/pods/a", Some("n1"), revision)]);
        assert_eq!(commit.await.expect("a task").expect("an outcome"), outcome);
    }
    for outcome in [Outcome::Conflict(None), Outcome::Unguarded] {
        fake.newest.fetch_add(5, Ordering::SeqCst);
        let newest = Revision(fake.newest.load(Ordering::SeqCst));
        fake.outcomes.lock().push(Ok(outcome.clone()));
        let commit = tokio::spawn({
            let store = store.clone();
            async move { store.commit(put("/pods/a", Expect::Absent, "n1")).await }
        });
        settle().await;
        let waits = store.view().revision() < newest;
        assert_eq!(commit.is_finished(), !waits, "{outcome:?}: what is gone must be gone in the view");
        store.view().apply(newest, Vec::new());
        assert_eq!(commit.await.expect("a task").expect("an outcome"), outcome);
    }
    fake.outcomes.lock().push(Ok(Outcome::Committed(Revision(1000))));
    let late = store.commit(put("/pods/a", Expect::Absent, "n1")).await;
    assert!(matches!(late, Err(StoreError::Timeout(_))), "it has happened, but cannot be read back");
}

#[tokio::test(start_paused = true)]
async fn freshness_is_proven_by_probes_that_the_view_has_followed() {
    let (fake, store) = fake(1000);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(store.proven_fresh(), Duration::from_secs(5), "never yet");
    store.latest().await.expect("a revision");
    assert_eq!(store.proven_fresh(), Duration::ZERO);
    sleep(Duration::from_secs(4)).await;
    assert_eq!(store.proven_fresh(), Duration::from_secs(4));
    fake.newest.store(50, Ordering::SeqCst);
    assert!(store.latest().await.is_err(), "the log answers, the view does not follow");
    assert!(store.proven_fresh() >= Duration::from_secs(9));
    store.view().apply(Revision(50), Vec::new());
    let proving = tokio::spawn({
        let store = store.clone();
        async move { store.prove(Duration::from_secs(1)).await }
    });
    sleep(Duration::from_secs(20)).await;
    assert!(store.proven_fresh() <= Duration::from_secs(1));
    proving.abort();
}

#[tokio::test]
async fn operations_are_observed() {
    let store = open(Arc::new(Plain), Limits::default(), |sink| {
        Embedded::open_on(Medium::memory(), Options::default(), sink).map(|log| log as Arc<dyn Log>)
    });
    let store: Arc<Store<Thing>> = store.unwrap_or_else(|error| panic!("{error}"));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = seen.clone();
    store.observe(Arc::new(move |operation: Operation, _, ending| notes.lock().push((operation.name(), ending))));
    let Ok(Outcome::Committed(revision)) = store.commit(put("/pods/a", Expect::Absent, "n1")).await else { panic!("no commit") };
    assert_eq!(store.view().item(PODS, b"a").expect("its own write").text, "n1");
    let _ = store.commit(put("/pods/a", Expect::At(revision), "n2")).await;
    let _ = store.commit(Change { value: None, ..put("/pods/a", Expect::At(Revision(3)), "") }).await;
    assert!(store.view().item(PODS, b"a").is_none());
    let _ = store.compact(revision).await;
    let _ = store.latest().await;
    let expected = ["create", "update", "delete", "compact", "probe"].map(|name| (name, Ending::Answered));
    assert_eq!(*seen.lock(), expected);
}

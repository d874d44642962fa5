//! Where etcd says no: values too large, space used up, a lease that is gone.

use std::sync::Arc;
use std::time::Duration;

use portcullis::store::conformance::Recorder;
use portcullis::store::{Change, Expect, Log, StoreError};

use super::ground::{Place, change, committed, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_of_any_size_is_stored_or_called_too_large() {
    let place = Place::start();
    let seen = Arc::new(Recorder::default());
    let log = place.open(seen.clone()).await;
    for size in [1_570_000, 1_600_000, 2_000_000, 2_200_000, 3_000_000, 20_000_000] {
        let value = "x".repeat(size);
        let answer = log.create(&size.to_string(), &value).await;
        match size < 1_572_000 {
            true => drop(committed(answer)),
            false => assert!(matches!(answer, Err(StoreError::TooLarge)), "{size}: {answer:?}"),
        }
    }
    // Pages of the state are far larger than the 4 MiB that gRPC takes by itself; so are messages of the watch.
    for number in 0..12 {
        committed(log.create(&format!("large {number}"), &"y".repeat(1_500_000)).await);
    }
    assert_eq!(log.settle(&seen).await.len(), 13);
    let again = Arc::new(Recorder::default());
    let other = place.open(again.clone()).await;
    assert_eq!(other.settle(&again).await, seen.state());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_etcd_takes_no_writes_and_recovers_without_a_restart() {
    let place = Place::with(&["--quota-backend-bytes=16777216"]);
    let seen = Arc::new(Recorder::default());
    let log = place.open(seen.clone()).await;
    let value = "x".repeat(1 << 20);
    let mut held = Vec::new();
    let refused = loop {
        match log.create(&held.len().to_string(), &value).await {
            Err(error) => break error,
            committed_so_far => held.push(committed(committed_so_far)),
        }
        assert!(held.len() < 64, "the quota never ends");
    };
    assert!(matches!(&refused, StoreError::Unavailable(why) if why.contains("space exceeded")), "{refused:?}");
    // Reads and deletions go on.
    log.probe().await.expect("a revision");
    for (number, revision) in held.iter().enumerate() {
        committed(log.delete(&number.to_string(), *revision).await);
    }
    assert!(log.settle(&seen).await.is_empty());
    let refused = log.create("still", "small").await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");

    log.compact(log.probe().await.unwrap()).await.expect("a compaction");
    assert!(place.etcd.control(&place.pki, &["defrag"]).is_some());
    assert!(place.etcd.control(&place.pki, &["alarm", "disarm"]).is_some());
    committed(log.create("again", "small").await);
    assert_eq!(log.settle(&seen).await.len(), 1);
    assert_eq!(seen.breaches(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_share_leases_and_a_lost_lease_is_replaced() {
    let place = Place::start();
    let seen = Arc::new(Recorder::default());
    let log = Arc::new(place.open(seen.clone()).await);
    let leases = || place.etcd.control(&place.pki, &["lease", "list"]).unwrap();
    let ids = || leases().lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let leased = |name: String, ttl| Change { ttl: Some(ttl), ..change(&name, Expect::Absent, Some("x")) };
    let (hour, short) = (Duration::from_secs(3600), Duration::from_secs(2));

    let many = (0..300).map(|number| {
        let (log, change) = (log.clone(), leased(format!("{number}"), hour));
        tokio::spawn(async move { log.commit(change).await })
    });
    for one in many.collect::<Vec<_>>() {
        committed(one.await.unwrap());
    }
    assert_eq!(ids().len(), 1, "{}", leases());
    let granted = place.etcd.control(&place.pki, &["lease", "timetolive", &ids()[0]]).unwrap();
    assert!(granted.contains("granted with TTL(3660s)"), "{granted}");

    // Revoked behind our back: its keys go, and the next key gets another one.
    place.etcd.control(&place.pki, &["lease", "revoke", &ids()[0]]).expect("revoked");
    committed(log.commit(leased("next".to_owned(), hour)).await);
    assert_eq!(log.settle(&seen).await.len(), 1);
    assert_eq!(ids().len(), 1);

    let begun = std::time::Instant::now();
    let made = committed(log.commit(leased("short".to_owned(), short)).await);
    assert_eq!(ids().len(), 2, "another time to live is another lease");
    assert_eq!(log.settle(&seen).await.len(), 2);
    until("it expires", || seen.state().len() == 1).await;
    assert!(begun.elapsed() >= short, "{:?}", begun.elapsed());
    let last = seen.events().pop().unwrap();
    assert!(last.value.is_none() && last.revision > made, "{last:?}");
    assert_eq!(seen.breaches(), Vec::<String>::new());
}

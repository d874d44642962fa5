//! An etcd that is killed or stopped in the middle of writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::store::conformance::Recorder;
use portcullis::store::{Log, StoreError};
use tokio::time::sleep;

use super::ground::{Place, committed, until};
use super::history::{self, Writers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_etcd_loses_no_acknowledged_write_and_invents_none() {
    let mut place = Place::start();
    let seen = Arc::new(Recorder::default());
    let log = Arc::new(place.open(seen.clone()).await);
    log.settle(&seen).await;
    let writers = Writers::start(&log, 8);
    for _ in 0..3 {
        let before = writers.committed();
        until("writes go on", || writers.committed() > before + 100).await;
        place.etcd.kill();
        sleep(Duration::from_millis(100)).await;
        place.etcd.revive();
    }
    let before = writers.committed();
    until("writes go on", || writers.committed() > before + 100).await;
    let attempts = writers.finish().await;
    log.settle(&seen).await;
    history::check(&attempts, &history::told_by(place.other().await).await, &seen);
    let (committed, refused, unknown) = history::count(&attempts);
    println!("{committed} committed, {refused} refused, {unknown} unknown");
    assert!(unknown <= 3 * 8, "{unknown} writes were left unknown by three crashes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_etcd_is_waited_for_but_not_for_ever() {
    let place = Place::start();
    let seen = Arc::new(Recorder::default());
    let log = Arc::new(place.open(seen.clone()).await);
    let first = committed(log.create("a", "1").await);
    log.settle(&seen).await;

    // A short stop: nothing is answered meanwhile, and everything afterwards.
    place.etcd.signal("STOP");
    let begun = Instant::now();
    let asked = {
        let log = log.clone();
        tokio::spawn(async move { (log.probe().await, begun.elapsed()) })
    };
    let written = {
        let log = log.clone();
        tokio::spawn(async move { log.create("b", "1").await })
    };
    sleep(Duration::from_millis(2_000)).await;
    assert!(!asked.is_finished() && !written.is_finished(), "answered by an etcd that stands still");
    place.etcd.signal("CONT");
    let (probed, after) = asked.await.unwrap();
    assert!(probed.expect("a revision") >= first && after > Duration::from_secs(2));
    let second = committed(written.await.unwrap());

    // A long one: requests end with an error that says whether the write may have happened; then it goes on by itself.
    place.etcd.signal("STOP");
    let begun = Instant::now();
    let (asked, written) = tokio::join!(log.probe(), log.update("b", second, "2"));
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
    assert!(matches!(&asked, Err(StoreError::Unavailable(why)) if why.contains("did not answer")), "{asked:?}");
    assert!(matches!(&written, Err(StoreError::Timeout(why)) if why.contains("did not answer")), "{written:?}");
    place.etcd.signal("CONT");
    committed(log.create("c", "1").await);
    let state = log.settle(&seen).await;
    assert_eq!(state.len(), 3);
    assert_eq!(seen.breaches(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_that_comes_late_is_waited_for() {
    let mut place = Place::prepare(&[]);
    place.etcd.kill();
    let seen = Arc::new(Recorder::default());
    let log = Arc::new(place.open(seen.clone()).await);
    let begun = Instant::now();
    let refused = log.create("a", "1").await;
    assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("refused")), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_secs(6));
    let patient = {
        let log = log.clone();
        tokio::spawn(async move { log.create("a", "2").await })
    };
    place.etcd.revive();
    committed(patient.await.unwrap());
    assert_eq!(log.settle(&seen).await.len(), 1);
}

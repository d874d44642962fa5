//! Clusters of several members, and an etcd that is not what it was.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::store::Log;
use portcullis::store::conformance::Recorder;
use portcullis::store::etcd::Settings;

use super::ground::{Open, Place, certified, client, committed, settings, until};
use super::history::{self, Writers};
use super::support::etcd::Etcd as Server;
use super::support::free_port;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_endpoint_is_passed_over() {
    let place = Place::start();
    let dead = format!("https://127.0.0.1:{}", free_port());
    // Taken, but silent: it accepts and never speaks.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = format!("https://{}", silent.local_addr().unwrap());
    for (first, patience) in [(dead, Duration::from_secs(1)), (mute, Duration::from_secs(4))] {
        let seen = Arc::new(Recorder::default());
        let log = Open::new(settings(&place.pki, vec![first.clone(), place.etcd.endpoint()]), seen.clone()).await;
        let begun = Instant::now();
        log.probe().await.expect("a revision");
        assert!(begun.elapsed() < patience, "{first}: {:?}", begun.elapsed());
        // Once found, the live one is asked at once.
        let begun = Instant::now();
        for turn in 0..50 {
            let created = committed(log.create("a", &turn.to_string()).await);
            committed(log.delete("a", created).await);
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{first}: {:?}", begun.elapsed());
        log.settle(&seen).await;
        assert_eq!(seen.breaches(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_three_members_any_one_may_stop_or_die() {
    let (dir, pki) = certified();
    let mut members = Server::members(dir.path(), &pki, 3, &[]);
    members.iter().for_each(|member| member.wait(&pki));
    let endpoints = members.iter().map(Server::endpoint).collect();
    let seen = Arc::new(Recorder::default());
    let log = Arc::new(Open::new(settings(&pki, endpoints), seen.clone()).await);
    log.settle(&seen).await;
    let writers = Writers::start(&log, 4);
    until("writes begin", || writers.committed() > 100).await;

    // The member that we talk to stands still. What another client is told is written must be seen by a read that begins then.
    members[0].signal("STOP");
    let mut other = client(&pki, &members[1].endpoint()).await;
    let begun = Instant::now();
    let written = loop {
        match other.put("/foreign/key", "x", None).await {
            Ok(answer) => break u64::try_from(answer.header().unwrap().revision()).unwrap(),
            // The one that stands still was the leader.
            Err(_) => assert!(begun.elapsed() < Duration::from_secs(10)),
        }
    };
    assert!(log.probe().await.expect("a revision of another member").0 >= written);
    let before = writers.committed();
    until("writes go on", || writers.committed() > before + 100).await;
    members[0].signal("CONT");

    // The member that we talk to now dies.
    members[1].kill();
    let before = writers.committed();
    until("writes go on", || writers.committed() > before + 100).await;
    members[1].revive();
    let attempts = writers.finish().await;
    let newest = log.probe().await.expect("a revision");
    seen.reach(newest).await;
    history::check(&attempts, &history::told_by(client(&pki, &members[2].endpoint()).await).await, &seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_nothing_is_promised() {
    let (dir, pki) = certified();
    let mut members = Server::members(dir.path(), &pki, 3, &[]);
    members.iter().for_each(|member| member.wait(&pki));
    let endpoints = members.iter().map(Server::endpoint).collect();
    let seen = Arc::new(Recorder::default());
    let log = Open::new(settings(&pki, endpoints), seen.clone()).await;
    let made = committed(log.create("a", "1").await);
    members[0].kill();
    members[1].kill();
    let begun = Instant::now();
    let (probe, update) = tokio::join!(log.probe(), log.update("a", made, "2"));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    println!("{probe:?} {update:?}");
    assert!(probe.is_err() && update.is_err(), "{probe:?} {update:?}");
    members[0].revive();
    until_answered(&log).await;
    committed(log.create("b", "1").await);
    log.settle(&seen).await;
    assert_eq!(seen.breaches(), Vec::<String>::new());
}

async fn until_answered(log: &Open) {
    let begun = Instant::now();
    while let Err(error) = log.probe().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_that_lost_its_data_is_read_anew() {
    let mut place = Place::start();
    let seen = Arc::new(Recorder::default());
    let log = place.open(seen.clone()).await;
    for name in ["a", "b", "c"] {
        committed(log.create(name, "old").await);
    }
    log.settle(&seen).await;
    place.etcd.forget();
    place.etcd.wait(&place.pki);
    let created = committed(log.create("d", "new").await);
    until("the new state is told", || seen.state().len() == 1).await;
    assert_eq!(seen.revision(), created);
    // A reset to an earlier revision is what the recorder calls a breach, and what the view answers by overtaking its readers.
    assert!(seen.breaches().iter().all(|breach| breach.starts_with("reset from")), "{:?}", seen.breaches());
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_once() {
    let (_dir, pki) = certified();
    let good = || settings(&pki, vec!["https://127.0.0.1:1".to_owned()]);
    let with = |endpoint: &str| Settings { endpoints: vec![endpoint.to_owned()], ..good() };
    let tls = |change: fn(&mut portcullis::store::etcd::Tls)| {
        let mut settings = good();
        settings.tls.as_mut().into_iter().for_each(change);
        settings
    };
    for (settings, why) in [
        (Settings { endpoints: Vec::new(), ..good() }, "no etcd endpoint"),
        (with("127.0.0.1:2379"), "must begin with http"),
        (with("http://127.0.0.1:2379"), "there are certificates"),
        (with("https://[::1"), "invalid"),
        (Settings { tls: None, ..good() }, "https needs certificates"),
        (tls(|tls| tls.authority = b"nonsense".to_vec()), "no certificate"),
        (tls(|tls| tls.certificate = b"nonsense".to_vec()), ""),
        (tls(|tls| tls.key = b"nonsense".to_vec()), ""),
    ] {
        let error = portcullis::store::etcd::Etcd::connect(settings).await.err().expect(why).to_string();
        println!("{error}");
        assert!(error.contains(why), "{error}, not: {why}");
    }
}

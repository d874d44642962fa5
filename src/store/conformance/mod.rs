//! What every log promises, as test functions. They panic where a promise is broken.
//!
//! A [`Ground`] says how the log under test is opened. All the while another writer changes foreign keys: a revision that is
//! nobody's must disturb nothing. Values are compared, revisions only ordered: they are the log's own.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{sleep, timeout};

use super::{Change, Entry, Event, Expect, Outcome, Revision, StoreError};

mod session;

pub use session::{Ground, Recorder};

use session::{Dice, PATIENCE, Session, committed};

/// All promises, one after the other.
pub async fn all(ground: &dyn Ground) {
    expectations(ground).await;
    guards(ground).await;
    told_in_order(ground).await;
    one_winner(ground).await;
    counter(ground).await;
    any_bytes(ground).await;
    too_large(ground).await;
    abandoned(ground).await;
    leases(ground).await;
    reopened(ground).await;
    compacted(ground).await;
    for seed in [1, 2, 3] {
        random(ground, seed).await;
    }
}

/// A change happens only to a key that is as expected; otherwise the answer says what it is.
pub async fn expectations(ground: &dyn Ground) {
    let session = Session::open(ground, "expectations").await;
    let entry = |value: &'static [u8], revision| Some(Entry { value: Bytes::from_static(value), revision });
    let missing = Revision(1);

    assert_eq!(session.commit(session.change("a", Expect::At(missing), Some(b"x"))).await, Outcome::Conflict(None));
    assert_eq!(session.commit(session.change("a", Expect::At(missing), None)).await, Outcome::Conflict(None));
    let created = session.create("a", b"one").await;
    let again = session.commit(session.change("a", Expect::Absent, Some(b"two"))).await;
    assert_eq!(again, Outcome::Conflict(entry(b"one", created)));
    let updated = session.update("a", created, b"two").await;
    assert!(updated > created);
    for value in [Some(&b"three"[..]), None] {
        let stale = session.commit(session.change("a", Expect::At(created), value)).await;
        assert_eq!(stale, Outcome::Conflict(entry(b"two", updated)));
    }
    let deleted = session.delete("a", updated).await;
    assert!(deleted > updated);
    assert_eq!(session.commit(session.change("a", Expect::At(updated), None)).await, Outcome::Conflict(None));
    assert_eq!(session.commit(session.change("a", Expect::Absent, None)).await, Outcome::Conflict(None));
    assert!(session.create("a", b"four").await > deleted);
    session.close().await;
}

/// A guarded change happens only while the guard's key has its revision. A key that is not as expected is told first.
pub async fn guards(ground: &dyn Ground) {
    let session = Session::open(ground, "guards").await;
    let guard = session.create("guard", b"1").await;
    let guarded = |name: &str, expect, revision| {
        let guard = Some((session.key("guard"), revision));
        Change { guard, ..session.change(name, expect, Some(b"x")) }
    };
    let created = committed(session.commit(guarded("a", Expect::Absent, guard)).await);
    assert_eq!(session.commit(guarded("b", Expect::Absent, Revision(1))).await, Outcome::Unguarded);
    let moved = session.update("guard", guard, b"2").await;
    assert_eq!(session.commit(guarded("b", Expect::Absent, guard)).await, Outcome::Unguarded);
    assert!(
        matches!(session.commit(guarded("a", Expect::Absent, guard)).await, Outcome::Conflict(Some(entry)) if entry.revision == created)
    );
    session.delete("guard", moved).await;
    assert_eq!(session.commit(guarded("b", Expect::Absent, moved)).await, Outcome::Unguarded);
    assert_eq!(session.state().await.keys().collect::<Vec<_>>(), ["a"]);
    session.close().await;
}

/// The sink is told of every change once, in order, and has been told of what was acknowledged before a probe.
pub async fn told_in_order(ground: &dyn Ground) {
    let session = Session::open(ground, "told").await;
    let mut expected = Vec::new();
    for round in 0..20_u8 {
        let name = format!("{}", round % 4);
        let created = session.create(&name, &[round]).await;
        let updated = session.update(&name, created, &[round, round]).await;
        let deleted = session.delete(&name, updated).await;
        expected.extend([(created, Some(vec![round])), (updated, Some(vec![round; 2])), (deleted, None)]);
        assert!(session.probe().await >= deleted);
    }
    assert!(session.state().await.is_empty());
    let own = |event: &Event| event.key.starts_with(session.prefix.as_bytes());
    let told: Vec<_> = session.seen.events().into_iter().filter(own).map(|event| (event.revision, event.value)).collect();
    let told: Vec<_> = told.into_iter().map(|(revision, value)| (revision, value.map(|value| value.to_vec()))).collect();
    assert_eq!(told, expected);
    session.close().await;
}

/// Of many that race for a key, one wins, and all others are told of it.
pub async fn one_winner(ground: &dyn Ground) {
    let session = Session::open(ground, "winner").await;
    for round in 0..10 {
        let racers = (0..16_u8).map(|racer| {
            let (log, change) = (session.log.clone(), session.change(&format!("{round}"), Expect::Absent, Some(&[racer])));
            tokio::spawn(async move { (racer, log.commit(change).await.expect("an outcome")) })
        });
        let mut winner = None;
        let mut losers = Vec::new();
        for racer in racers.collect::<Vec<_>>() {
            match racer.await.expect("a racer") {
                (racer, Outcome::Committed(revision)) => assert!(winner.replace((racer, revision)).is_none(), "two winners"),
                (_, Outcome::Conflict(Some(entry))) => losers.push(entry),
                (_, other) => panic!("{other:?}"),
            }
        }
        let (racer, revision) = winner.expect("a winner");
        assert_eq!(losers, vec![Entry { value: Bytes::copy_from_slice(&[racer]), revision }; 15]);
    }
    session.close().await;
}

/// Concurrent read-change-commit loops lose no update, and no revision is given twice.
pub async fn counter(ground: &dyn Ground) {
    let session = Session::open(ground, "counter").await;
    let created = session.create("n", b"0").await;
    let start = Entry { value: Bytes::from_static(b"0"), revision: created };
    let workers = (0..8).map(|_| {
        let (log, key, mut entry) = (session.log.clone(), session.key("n"), start.clone());
        tokio::spawn(async move {
            let mut revisions = Vec::new();
            while revisions.len() < 10 {
                let number: u64 = std::str::from_utf8(&entry.value).expect("digits").parse().expect("a number");
                let value = Bytes::from((number + 1).to_string());
                let expect = Expect::At(entry.revision);
                let change = Change { key: key.clone(), expect, value: Some(value.clone()), ttl: None, guard: None };
                match log.commit(change).await.expect("an outcome") {
                    Outcome::Committed(revision) => {
                        revisions.push(revision);
                        entry = Entry { value, revision };
                    }
                    Outcome::Conflict(Some(newer)) => entry = newer,
                    other => panic!("{other:?}"),
                }
            }
            revisions
        })
    });
    let mut revisions = HashSet::new();
    for worker in workers.collect::<Vec<_>>() {
        for revision in worker.await.expect("a worker") {
            assert!(revisions.insert(revision), "{revision} was given twice");
        }
    }
    assert_eq!(session.state().await["n"].value, "80");
    session.close().await;
}

/// Keys and values are bytes, also none.
pub async fn any_bytes(ground: &dyn Ground) {
    let session = Session::open(ground, "bytes").await;
    let every: Vec<u8> = (0..=255).collect();
    let large = vec![b'x'; 1 << 20];
    let mut odd = session.prefix.clone().into_bytes();
    odd.extend(1..=255);
    let odd = Bytes::from(odd);
    let change = Change { key: odd.clone(), ..session.change("", Expect::Absent, Some(b"odd")) };
    committed(session.commit(change).await);
    for (name, value) in [("empty", &b""[..]), ("every", &every), ("large", &large)] {
        let created = session.create(name, value).await;
        let conflict = session.commit(session.change(name, Expect::Absent, Some(b""))).await;
        assert_eq!(conflict, Outcome::Conflict(Some(Entry { value: Bytes::copy_from_slice(value), revision: created })));
        assert_eq!(session.state().await[name].value, value);
    }
    let session = session.reopen().await;
    let state = session.state().await;
    for (name, value) in [("empty", &b""[..]), ("every", &every), ("large", &large)] {
        assert_eq!(state[name].value, value);
    }
    assert_eq!(session.seen.state()[&odd].value, "odd");
    session.close().await;
}

/// A value that is too large is refused, and nothing has happened.
pub async fn too_large(ground: &dyn Ground) {
    let session = Session::open(ground, "large").await;
    let value = vec![b'x'; ground.too_large()];
    let refused = session.log.commit(session.change("a", Expect::Absent, Some(&value))).await;
    assert!(matches!(refused, Err(StoreError::TooLarge)), "{:?}", refused.err());
    assert!(session.state().await.is_empty());
    session.create("a", b"small").await;
    session.close().await;
}

/// A commit whose caller goes away happens or does not; what comes after it sees one of the two.
pub async fn abandoned(ground: &dyn Ground) {
    let session = Session::open(ground, "abandoned").await;
    for round in 0..20 {
        let name = format!("{round}");
        let (log, change) = (session.log.clone(), session.change(&name, Expect::Absent, Some(b"abandoned")));
        let task = tokio::spawn(async move { log.commit(change).await.map(drop) });
        tokio::task::yield_now().await;
        task.abort();
        let _ = task.await;
        let value = match session.commit(session.change(&name, Expect::Absent, Some(b"after"))).await {
            Outcome::Committed(_) => "after",
            Outcome::Conflict(Some(entry)) if entry.value == "abandoned" => "abandoned",
            other => panic!("{other:?}"),
        };
        assert_eq!(session.state().await[&name].value, value);
    }
    session.close().await;
}

/// A key goes by itself after its time, as an ordinary deletion; an update sets the time anew or takes it away.
pub async fn leases(ground: &dyn Ground) {
    let session = Session::open(ground, "leases").await;
    let leased = |name: &str, expect, ttl| Change { ttl, ..session.change(name, expect, Some(b"x")) };
    let (short, long) = (Some(Duration::from_secs(2)), Some(Duration::from_secs(3600)));
    let mut created = Vec::new();
    for name in ["goes", "kept", "prolonged", "survives"] {
        created.push(committed(session.commit(leased(name, Expect::Absent, short)).await));
    }
    committed(session.commit(leased("kept", Expect::At(created[1]), None)).await);
    committed(session.commit(leased("prolonged", Expect::At(created[2]), long)).await);
    let session = session.reopen().await;
    let begun = tokio::time::Instant::now();
    while session.state().await.len() > 2 {
        assert!(begun.elapsed() < PATIENCE, "what should be gone is there: {:?}", session.state().await.keys());
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(session.state().await.keys().collect::<Vec<_>>(), ["kept", "prolonged"]);
    let gone = session.commit(session.change("goes", Expect::At(created[0]), None)).await;
    assert_eq!(gone, Outcome::Conflict(None));
    let told = session.seen.events().into_iter().filter(|event| event.key == session.key("goes"));
    let told: Vec<_> = told.collect();
    assert!(told.last().is_some_and(|event| event.value.is_none() && event.revision > created[0]), "{told:?}");
    session.close().await;
}

/// After closing and opening again, everything is there, and the revision has not fallen.
pub async fn reopened(ground: &dyn Ground) {
    let mut session = Session::open(ground, "reopened").await;
    let mut newest = Revision(0);
    for round in 0..3 {
        let kept = session.create(&format!("kept {round}"), b"x").await;
        session.update(&format!("kept {round}"), kept, b"y").await;
        let gone = session.create(&format!("gone {round}"), b"x").await;
        newest = session.delete(&format!("gone {round}"), gone).await;
        let before = session.state().await;
        session = session.reopen().await;
        assert!(session.probe().await >= newest);
        assert_eq!(session.state().await, before);
    }
    assert!(session.create("last", b"x").await > newest);
    session.close().await;
}

/// Giving up the past changes nothing of the present.
pub async fn compacted(ground: &dyn Ground) {
    let mut session = Session::open(ground, "compacted").await;
    let mut kept = session.create("kept", b"0").await;
    for round in 0..50_u8 {
        kept = session.update("kept", kept, &[round]).await;
        let gone = session.create("gone", &[round]).await;
        session.delete("gone", gone).await;
        if round % 10 == 9 {
            let newest = session.probe().await;
            timeout(PATIENCE, session.log.compact(newest)).await.expect("an answer in time").expect("a compaction");
            let before = session.state().await;
            session = session.reopen().await;
            assert!(session.probe().await >= newest);
            assert_eq!(session.state().await, before);
        }
    }
    assert_eq!(session.state().await["kept"].revision, kept);
    session.close().await;
}

/// Random operations, compared with a map, through several openings.
pub async fn random(ground: &dyn Ground, seed: u64) {
    let mut session = Session::open(ground, &format!("random {seed}")).await;
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut model: BTreeMap<String, Entry> = BTreeMap::new();
    let mut newest = Revision(0);
    for step in 0..400_u32 {
        if dice.roll(80) == 0 {
            assert_eq!(session.state().await, model, "seed {seed}, step {step}");
            if dice.roll(2) == 0 {
                let before = Revision(newest.0.saturating_sub(dice.roll(20)).max(1));
                session.log.compact(before).await.expect("a compaction");
            }
            session = session.reopen().await;
            assert_eq!(session.state().await, model, "seed {seed}, step {step}, opened again");
        }
        let (name, guard) = (format!("{}", dice.roll(6)), format!("{}", dice.roll(6)));
        let held = model.get(&name);
        let expect = match (dice.roll(6), held) {
            (0, _) => Expect::At(Revision(1 + dice.roll(newest.0 + 1))),
            (1, Some(_)) | (_, None) => Expect::Absent,
            (_, Some(entry)) => Expect::At(entry.revision),
        };
        let value = (dice.roll(4) != 0).then(|| Bytes::from(format!("{seed} {step}")));
        let guarded = (dice.roll(5) == 0).then(|| {
            let revision = model.get(&guard).map_or(newest, |entry| entry.revision);
            (guard, if dice.roll(3) == 0 { newest } else { revision })
        });
        let key = session.key(&name);
        let wire = guarded.clone().map(|(name, revision)| (session.key(&name), revision));
        let change = Change { key, expect, value: value.clone(), ttl: None, guard: wire };
        let outcome = session.commit(change).await;
        let expected = match (expect, held) {
            (Expect::Absent, None) => value.is_some(),
            (Expect::At(revision), Some(entry)) => entry.revision == revision,
            _ => false,
        };
        let guards = |(name, revision): &(String, Revision)| model.get(name).is_some_and(|entry| entry.revision == *revision);
        match outcome {
            Outcome::Conflict(entry) => {
                assert!(!expected, "seed {seed}, step {step}: conflict with {entry:?}");
                assert_eq!(entry.as_ref(), held, "seed {seed}, step {step}");
            }
            Outcome::Unguarded => assert!(expected && !guarded.as_ref().is_none_or(guards), "seed {seed}, step {step}"),
            Outcome::Committed(revision) => {
                assert!(expected && guarded.as_ref().is_none_or(guards), "seed {seed}, step {step}");
                assert!(revision > newest, "seed {seed}, step {step}: {revision} after {newest}");
                newest = revision;
                match value {
                    Some(value) => drop(model.insert(name, Entry { value, revision })),
                    None => drop(model.remove(&name)),
                }
            }
        }
    }
    assert_eq!(session.state().await, model, "seed {seed}");
    session.close().await;
}

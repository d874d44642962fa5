//! What every log promises, as test functions. They panic where a promise is broken.
//!
//! A [`Ground`] says how the log under test is opened. All the while another writer changes foreign keys: a revision that is
//! nobody's must disturb nothing. Values are compared, revisions only ordered: they are the log's own.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{BoxFuture, Change, Entry, Event, Expect, Log, Outcome, Revision, Sink, StoreError};

/// Where logs come from: the same data at every opening, which may hold anything outside of `prefix`.
pub trait Ground: Send + Sync {
    /// Opens the log. The one opened before has been dropped.
    fn open(&self, sink: Arc<dyn Sink>) -> BoxFuture<'_, Arc<dyn Log>>;

    /// All keys of the tests begin so; there are none yet.
    fn prefix(&self) -> String;

    /// The length of a value that the log refuses.
    fn too_large(&self) -> usize;
}

/// A sink that remembers, and notes every breach of the order that a log owes it.
#[derive(Debug)]
pub struct Recorder {
    seen: Mutex<Seen>,
    revision: watch::Sender<Revision>,
}

#[derive(Debug, Default)]
struct Seen {
    state: BTreeMap<Bytes, Entry>,
    events: Vec<Event>,
    revision: Revision,
    resets: usize,
    breaches: Vec<String>,
}

/// An open log, its recorder and the other writer.
struct Session<'a> {
    ground: &'a dyn Ground,
    prefix: String,
    log: Arc<dyn Log>,
    seen: Arc<Recorder>,
    other: JoinHandle<()>,
}

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Default for Recorder {
    fn default() -> Self {
        Self { seen: Mutex::default(), revision: watch::Sender::new(Revision(0)) }
    }
}

impl Recorder {
    /// What exists, by key.
    pub fn state(&self) -> BTreeMap<Bytes, Entry> {
        self.seen.lock().state.clone()
    }

    /// All events since the last reset.
    pub fn events(&self) -> Vec<Event> {
        self.seen.lock().events.clone()
    }

    /// The newest revision that is complete.
    pub fn revision(&self) -> Revision {
        self.seen.lock().revision
    }

    /// What was wrong with what the log told.
    pub fn breaches(&self) -> Vec<String> {
        self.seen.lock().breaches.clone()
    }

    /// Waits until the log has told everything up to `revision`.
    ///
    /// # Panics
    /// When it does not within half a minute.
    pub async fn reach(&self, revision: Revision) {
        let mut told = self.revision.subscribe();
        let reached = timeout(PATIENCE, told.wait_for(|told| *told >= revision)).await;
        assert!(reached.is_ok(), "the sink was told up to {}, {revision} is missing", self.revision());
    }
}

impl Sink for Recorder {
    fn reset(&self, revision: Revision, entries: Vec<(Bytes, Entry)>) {
        let mut seen = self.seen.lock();
        for (key, entry) in &entries {
            if entry.revision > revision {
                seen.breaches.push(format!("{key:?} of {} in a state of {revision}", entry.revision));
            }
        }
        if revision < seen.revision {
            let breach = format!("reset from {} back to {revision}", seen.revision);
            seen.breaches.push(breach);
        }
        seen.resets += 1;
        seen.events.clear();
        seen.state = entries.into_iter().collect();
        seen.revision = revision;
        self.revision.send_replace(revision);
    }

    fn apply(&self, revision: Revision, events: Vec<Event>) {
        let mut seen = self.seen.lock();
        if seen.resets == 0 {
            seen.breaches.push("events before the first state".to_owned());
        }
        let mut last = Revision(seen.revision.0 + 1);
        for event in &events {
            if event.revision < last || event.revision > revision {
                let breach = format!("event of {} after {last}, up to {revision}: {:?}", event.revision, event.key);
                seen.breaches.push(breach);
            }
            last = event.revision;
        }
        for event in events {
            match &event.value {
                Some(value) => {
                    let entry = Entry { value: value.clone(), revision: event.revision };
                    seen.state.insert(event.key.clone(), entry);
                }
                None => drop(seen.state.remove(&event.key)),
            }
            seen.events.push(event);
        }
        seen.revision = seen.revision.max(revision);
        let revision = seen.revision;
        drop(seen);
        self.revision.send_replace(revision);
    }
}

impl<'a> Session<'a> {
    async fn open(ground: &'a dyn Ground, name: &str) -> Self {
        Self::open_at(ground, format!("{}{name}/", ground.prefix())).await
    }

    async fn open_at(ground: &'a dyn Ground, prefix: String) -> Self {
        let seen = Arc::new(Recorder::default());
        let log = ground.open(seen.clone()).await;
        let mut told = seen.revision.subscribe();
        timeout(PATIENCE, told.wait_for(|told| *told > Revision(0))).await.expect("the first state").expect("a recorder");
        let other = tokio::spawn(disturb(log.clone()));
        Self { ground, prefix, log, seen, other }
    }

    /// Closes the log and opens it again.
    async fn reopen(self) -> Self {
        let (ground, prefix) = (self.ground, self.prefix.clone());
        self.close().await;
        Self::open_at(ground, prefix).await
    }

    async fn close(self) {
        self.other.abort();
        let _ = self.other.await;
        assert_eq!(self.seen.breaches(), Vec::<String>::new());
    }

    fn key(&self, name: &str) -> Bytes {
        Bytes::from(format!("{}{name}", self.prefix))
    }

    fn change(&self, name: &str, expect: Expect, value: Option<&[u8]>) -> Change {
        let value = value.map(Bytes::copy_from_slice);
        Change { key: self.key(name), expect, value, ttl: None, guard: None }
    }

    async fn commit(&self, change: Change) -> Outcome {
        timeout(PATIENCE, self.log.commit(change)).await.expect("an answer in time").expect("an outcome")
    }

    async fn create(&self, name: &str, value: &[u8]) -> Revision {
        committed(self.commit(self.change(name, Expect::Absent, Some(value))).await)
    }

    async fn update(&self, name: &str, at: Revision, value: &[u8]) -> Revision {
        committed(self.commit(self.change(name, Expect::At(at), Some(value))).await)
    }

    async fn delete(&self, name: &str, at: Revision) -> Revision {
        committed(self.commit(self.change(name, Expect::At(at), None)).await)
    }

    async fn probe(&self) -> Revision {
        timeout(PATIENCE, self.log.probe()).await.expect("an answer in time").expect("a revision")
    }

    /// The own keys, without the prefix, once the sink has been told of everything.
    async fn state(&self) -> BTreeMap<String, Entry> {
        self.seen.reach(self.probe().await).await;
        let own = |(key, entry): (Bytes, Entry)| {
            Some((String::from_utf8_lossy(key.strip_prefix(self.prefix.as_bytes())?).into_owned(), entry))
        };
        self.seen.state().into_iter().filter_map(own).collect()
    }
}

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

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

fn committed(outcome: Outcome) -> Revision {
    match outcome {
        Outcome::Committed(revision) => revision,
        other => panic!("not committed: {other:?}"),
    }
}

/// Changes keys of nobody, for ever.
async fn disturb(log: Arc<dyn Log>) {
    let key = Bytes::from_static(b"/foreign/key");
    let mut expect = Expect::Absent;
    for round in 0_u64.. {
        let value = (round % 5 != 4).then(|| Bytes::from(round.to_string()));
        let change = Change { key: key.clone(), expect, value: value.clone(), ttl: None, guard: None };
        expect = match log.commit(change).await {
            Ok(Outcome::Committed(revision)) if value.is_some() => Expect::At(revision),
            Ok(Outcome::Conflict(Some(entry))) => Expect::At(entry.revision),
            _ => Expect::Absent,
        };
        sleep(Duration::from_millis(1)).await;
    }
}

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

//! What the tests stand on: an open log, what it has told, and the other writer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::store::{BoxFuture, Change, Entry, Event, Expect, Log, Outcome, Revision, Sink};

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
pub(super) struct Session<'a> {
    ground: &'a dyn Ground,
    pub(super) prefix: String,
    pub(super) log: Arc<dyn Log>,
    pub(super) seen: Arc<Recorder>,
    other: JoinHandle<()>,
}

/// Numbers that look random and are the same for the same seed.
pub(super) struct Dice(pub(super) u64);

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
    pub(super) async fn open(ground: &'a dyn Ground, name: &str) -> Self {
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
    pub(super) async fn reopen(self) -> Self {
        let (ground, prefix) = (self.ground, self.prefix.clone());
        self.close().await;
        Self::open_at(ground, prefix).await
    }

    pub(super) async fn close(self) {
        self.other.abort();
        let _ = self.other.await;
        assert_eq!(self.seen.breaches(), Vec::<String>::new());
    }

    pub(super) fn key(&self, name: &str) -> Bytes {
        Bytes::from(format!("{}{name}", self.prefix))
    }

    pub(super) fn change(&self, name: &str, expect: Expect, value: Option<&[u8]>) -> Change {
        let value = value.map(Bytes::copy_from_slice);
        Change { key: self.key(name), expect, value, ttl: None, guard: None }
    }

    pub(super) async fn commit(&self, change: Change) -> Outcome {
        timeout(PATIENCE, self.log.commit(change)).await.expect("an answer in time").expect("an outcome")
    }

    pub(super) async fn create(&self, name: &str, value: &[u8]) -> Revision {
        committed(self.commit(self.change(name, Expect::Absent, Some(value))).await)
    }

    pub(super) async fn update(&self, name: &str, at: Revision, value: &[u8]) -> Revision {
        committed(self.commit(self.change(name, Expect::At(at), Some(value))).await)
    }

    pub(super) async fn delete(&self, name: &str, at: Revision) -> Revision {
        committed(self.commit(self.change(name, Expect::At(at), None)).await)
    }

    pub(super) async fn probe(&self) -> Revision {
        timeout(PATIENCE, self.log.probe()).await.expect("an answer in time").expect("a revision")
    }

    /// The own keys, without the prefix, once the sink has been told of everything.
    pub(super) async fn state(&self) -> BTreeMap<String, Entry> {
        self.seen.reach(self.probe().await).await;
        let own = |(key, entry): (Bytes, Entry)| {
            Some((String::from_utf8_lossy(key.strip_prefix(self.prefix.as_bytes())?).into_owned(), entry))
        };
        self.seen.state().into_iter().filter_map(own).collect()
    }
}

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// The revision of what must have been committed.
pub(super) fn committed(outcome: Outcome) -> Revision {
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
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

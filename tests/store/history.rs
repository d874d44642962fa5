//! Writers that keep a record of what they were told, and the comparison of that record with what etcd holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use etcd_client::{Client, EventType, WatchOptions};
use portcullis::store::conformance::Recorder;
use portcullis::store::{Entry, Expect, Log, Outcome, Revision, StoreError};

use super::ground::{Open, PREFIX, change, key};

const KEYS: usize = 5;

/// What a writer tried, and what it was told.
#[derive(Clone, Debug)]
pub struct Attempt {
    name: String,
    value: Option<String>,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Committed(Revision),
    /// It did not happen.
    Refused,
    /// It may have happened.
    Unknown,
}

/// One change as etcd remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    name: String,
    value: Option<String>,
    revision: Revision,
}

/// Several writers on the same few keys.
pub struct Writers {
    tasks: Vec<tokio::task::JoinHandle<Vec<Attempt>>>,
    stop: Arc<AtomicBool>,
    committed: Arc<AtomicUsize>,
}

impl Writers {
    pub fn start(log: &Arc<Open>, count: usize) -> Self {
        let (stop, committed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let task = |writer| tokio::spawn(write(log.clone(), writer, (stop.clone(), committed.clone())));
        Self { tasks: (0..count).map(task).collect(), stop, committed }
    }

    pub fn committed(&self) -> usize {
        self.committed.load(Ordering::Relaxed)
    }

    pub async fn finish(self) -> Vec<Attempt> {
        self.stop.store(true, Ordering::Relaxed);
        let mut attempts = Vec::new();
        for task in self.tasks {
            attempts.extend(task.await.unwrap());
        }
        attempts
    }
}

/// Creates, updates and deletes, each value only once.
async fn write(log: Arc<Open>, writer: usize, (stop, committed): (Arc<AtomicBool>, Arc<AtomicUsize>)) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    let mut held: HashMap<String, Revision> = HashMap::new();
    for turn in 0_usize.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("{}", (turn * 7 + writer * 3) % KEYS);
        let value = (turn % 4 != 3).then(|| format!("{writer}-{turn}"));
        let expect = held.get(&name).map_or(Expect::Absent, |revision| Expect::At(*revision));
        if value.is_none() && expect == Expect::Absent {
            continue;
        }
        let answer = log.commit(change(&name, expect, value.as_deref())).await;
        let fate = match &answer {
            Ok(Outcome::Committed(revision)) => Fate::Committed(*revision),
            Ok(_) | Err(StoreError::Unavailable(_)) => Fate::Refused,
            Err(StoreError::Timeout(_)) => Fate::Unknown,
            Err(other) => panic!("{other}"),
        };
        match (answer, &value) {
            (Ok(Outcome::Committed(revision)), Some(_)) => drop(held.insert(name.clone(), revision)),
            (Ok(Outcome::Conflict(Some(Entry { revision, .. }))), _) => drop(held.insert(name.clone(), revision)),
            _ => drop(held.remove(&name)),
        }
        committed.fetch_add(usize::from(matches!(fate, Fate::Committed(_))), Ordering::Relaxed);
        attempts.push(Attempt { name, value, fate });
    }
    attempts
}

/// Everything that ever happened to the keys, as etcd tells it. Nothing must have been compacted.
pub async fn told_by(mut client: Client) -> Vec<Change> {
    let newest = client.get("x", None).await.unwrap().header().unwrap().revision();
    let options = WatchOptions::new().with_all_keys().with_start_revision(1);
    let mut stream = client.watch_client().max_decoding_message_size(usize::MAX).watch("", Some(options)).await.unwrap();
    let (mut changes, mut seen) = (Vec::new(), 1);
    while seen < newest {
        let message = stream.message().await.unwrap().expect("more");
        for event in message.events() {
            let pair = event.kv().unwrap();
            seen = pair.mod_revision();
            let Some(name) = pair.key().strip_prefix(format!("{PREFIX}/things/").as_bytes()) else { continue };
            let value = (event.event_type() == EventType::Put).then(|| String::from_utf8_lossy(pair.value()).into_owned());
            let name = String::from_utf8_lossy(name).into_owned();
            changes.push(Change { name, value, revision: Revision(u64::try_from(seen).unwrap()) });
        }
    }
    changes
}

/// Panics unless every acknowledged write is there at its revision, nothing is there that was refused or never tried, and the
/// sink was told just that, once.
pub fn check(attempts: &[Attempt], history: &[Change], seen: &Recorder) {
    assert_eq!(seen.breaches(), Vec::<String>::new());
    let by_revision: HashMap<Revision, &Change> = history.iter().map(|change| (change.revision, change)).collect();
    let mut explained: HashMap<Revision, &Attempt> = HashMap::new();
    for attempt in attempts {
        if let Fate::Committed(revision) = attempt.fate {
            let change = by_revision.get(&revision).unwrap_or_else(|| panic!("acknowledged and lost: {attempt:?}"));
            assert_eq!((&change.name, &change.value), (&attempt.name, &attempt.value), "acknowledged as another: {attempt:?}");
            assert!(explained.insert(revision, attempt).is_none(), "acknowledged twice: {attempt:?}");
        }
    }
    let mut unknown: HashMap<(&String, &Option<String>), usize> = HashMap::new();
    for attempt in attempts.iter().filter(|attempt| attempt.fate == Fate::Unknown) {
        *unknown.entry((&attempt.name, &attempt.value)).or_default() += 1;
    }
    for change in history.iter().filter(|change| !explained.contains_key(&change.revision)) {
        let left = unknown.get_mut(&(&change.name, &change.value)).filter(|left| **left > 0);
        *left.unwrap_or_else(|| panic!("happened, though nobody was told that it did or might: {change:?}")) -= 1;
    }
    let told: Vec<_> = seen.events().into_iter().filter(|event| event.key.starts_with(key("").as_ref())).collect();
    let told = told.iter().map(|event| {
        let value = event.value.as_ref().map(|value| String::from_utf8_lossy(value).into_owned());
        Change { name: String::from_utf8_lossy(&event.key[key("").len()..]).into_owned(), value, revision: event.revision }
    });
    let told: Vec<_> = told.collect();
    let differ = told.iter().zip(history).position(|(told, happened)| told != happened);
    let differ = differ.or_else(|| (told.len() != history.len()).then(|| told.len().min(history.len())));
    if let Some(at) = differ {
        panic!("the sink was told {:?}, not {:?}, at {at} of {}", told.get(at), history.get(at), history.len());
    }
}

/// How many of the attempts were committed, refused, left unknown.
pub fn count(attempts: &[Attempt]) -> (usize, usize, usize) {
    let of = |wanted: fn(&Fate) -> bool| attempts.iter().filter(|attempt| wanted(&attempt.fate)).count();
    (of(|fate| matches!(fate, Fate::Committed(_))), of(|fate| *fate == Fate::Refused), of(|fate| *fate == Fate::Unknown))
}

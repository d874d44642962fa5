//! What was done and what was seen, and whether the two agree.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Create,
    Get,
    Update { before: u64 },
    Patch,
    Delete,
}

/// What it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Version(u64),
    Deleted,
    Absent,
    Conflict,
}

#[derive(Clone, Debug)]
struct Deed {
    key: String,
    called: Duration,
    returned: Duration,
    act: Act,
    outcome: Outcome,
}

/// Everything that all clients did.
pub struct History {
    begun: Instant,
    deeds: Mutex<Vec<Deed>>,
}

impl Default for History {
    fn default() -> Self {
        Self { begun: Instant::now(), deeds: Mutex::default() }
    }
}

/// One event of a watch.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    pub kind: String,
    pub key: String,
    pub version: u64,
    pub object: Value,
}

/// Everything that one watch saw.
pub struct Seen {
    filter: String,
    start: u64,
    last: u64,
    bookmark: u64,
    pub sights: Vec<Sight>,
}

impl Seen {
    pub fn new(filter: &str, start: u64) -> Self {
        Self { filter: filter.to_owned(), start, last: start, bookmark: 0, sights: Vec::new() }
    }

    /// Where a resumed watch goes on.
    pub fn position(&self) -> u64 {
        self.last.max(self.bookmark)
    }

    /// Takes one line; true when it is the marker's.
    pub fn take(&mut self, line: &Value) -> bool {
        let object = &line["object"];
        assert_ne!(line["type"], "ERROR", "{line}");
        let version = object["metadata"]["resourceVersion"].as_str().expect("a version").parse().expect("a number");
        if line["type"] == "BOOKMARK" {
            assert!(version >= self.last, "a bookmark lies behind what was delivered: {line}");
            self.bookmark = version;
            return false;
        }
        assert!(version > self.last, "ordered and unique: {version} after {} in {:?}", self.last, self.filter);
        assert!(version > self.bookmark, "bookmarkable: {version} after the bookmark {}", self.bookmark);
        self.last = version;
        let key = object["metadata"]["name"].as_str().expect("a name").to_owned();
        let marker = key == "marker";
        if !marker {
            self.sights.push(Sight {
                kind: line["type"].as_str().expect("a type").to_owned(),
                key,
                version,
                object: object.clone(),
            });
        }
        marker
    }
}

/// A list: what was there, and when it was asked where the answer had to be up to date.
pub struct Listed {
    pub version: u64,
    pub items: BTreeMap<String, u64>,
    called: Option<Duration>,
}

impl Listed {
    pub fn empty(called: Option<Duration>) -> Self {
        Self { version: 0, items: BTreeMap::new(), called }
    }

    pub fn of(list: &Value, called: Option<Duration>) -> Self {
        let mut listed = Self::empty(called);
        listed.version = number(&list["metadata"]["resourceVersion"]);
        for item in list["items"].as_array().unwrap_or_else(|| panic!("no list: {list}")) {
            listed.add(item);
        }
        listed
    }

    pub fn add(&mut self, object: &Value) {
        let key = object["metadata"]["name"].as_str().expect("a name").to_owned();
        // The namespace's own object is nobody's deed.
        if key.starts_with("key-") {
            assert!(self.items.insert(key, number(&object["metadata"]["resourceVersion"])).is_none(), "listed twice: {object}");
        }
    }
}

fn number(version: &Value) -> u64 {
    version.as_str().expect("a version").parse().expect("a number")
}

impl History {
    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    pub fn record(&self, key: &str, called: Duration, act: Act, outcome: Outcome) {
        let returned = self.now();
        self.deeds.lock().unwrap().push(Deed { key: key.to_owned(), called, returned, act, outcome });
    }

    /// Checks everything against everything.
    pub fn check(&self, seen: &[Seen], listed: &[Listed], end: u64) {
        let deeds = self.deeds.lock().unwrap();
        let full: Vec<_> = seen.iter().filter(|one| one.filter.is_empty()).collect();
        assert!(
            full.len() >= 2 && full[0].sights.len() > 100,
            "only {} events were seen: nothing was tested",
            full[0].sights.len()
        );
        for other in &full {
            assert_eq!(other.sights, full[0].sights, "reliable and resumable: two watches of everything saw different things");
        }
        let truth = &full[0].sights;
        assert!(truth.iter().all(|sight| sight.version > full[0].start && sight.version < end));
        lifecycle(truth);
        for one in seen {
            filtered(one, truth);
        }
        let versions = versions(truth);
        acknowledged(&deeds, truth);
        for (key, versions) in &versions {
            let deeds: Vec<_> = deeds.iter().filter(|deed| deed.key == *key).collect();
            linearizable(key, versions, &deeds);
        }
        for list in listed {
            momentary(list, truth, &deeds);
        }
        println!("{} deeds, {} events, {} watches, {} lists agree", deeds.len(), truth.len(), seen.len(), listed.len());
    }
}

/// isCreate and prevKV: ADDED only of what was not there, the others only of what was; DELETED carries the last state.
fn lifecycle(truth: &[Sight]) {
    let mut alive: HashMap<&str, &Sight> = HashMap::new();
    for sight in truth {
        let before = alive.get(sight.key.as_str());
        match sight.kind.as_str() {
            "ADDED" => assert!(before.is_none(), "added twice: {sight:?}"),
            "MODIFIED" => assert!(before.is_some(), "modified before it was added: {sight:?}"),
            "DELETED" => {
                let before = before.unwrap_or_else(|| panic!("deleted before it was added: {sight:?}"));
                assert_eq!(before.object["data"], sight.object["data"], "a deletion carries the last state");
                assert_eq!(before.object["metadata"]["uid"], sight.object["metadata"]["uid"]);
                alive.remove(sight.key.as_str());
                continue;
            }
            other => panic!("an event of type {other}"),
        }
        alive.insert(&sight.key, sight);
    }
}

/// A filtered watch saw exactly what its filter makes of the truth.
fn filtered(one: &Seen, truth: &[Sight]) {
    let name = one.filter.contains("metadata.name").then_some("key-1");
    let red = one.filter.contains("color");
    let mut matched: HashSet<&str> = HashSet::new();
    let mut expected = Vec::new();
    for sight in truth.iter().filter(|sight| name.is_none_or(|name| sight.key == name)) {
        let matches = !red || sight.object["metadata"]["labels"]["color"] == "red";
        let before = if red { matched.contains(sight.key.as_str()) } else { sight.kind != "ADDED" };
        let now = matches && sight.kind != "DELETED";
        let kind = match (before, now) {
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
            (false, false) => continue,
        };
        if now {
            matched.insert(&sight.key)
        } else {
            matched.remove(sight.key.as_str())
        };
        expected.push((kind.to_owned(), sight.key.clone(), sight.version));
    }
    let got: Vec<_> = one.sights.iter().map(|sight| (sight.kind.clone(), sight.key.clone(), sight.version)).collect();
    assert_eq!(got, expected, "the watch with {:?}", one.filter);
}

/// The versions of each key in their order; `None` where it was deleted.
fn versions(truth: &[Sight]) -> BTreeMap<String, Vec<(u64, bool)>> {
    let mut versions: BTreeMap<String, Vec<(u64, bool)>> = BTreeMap::new();
    for sight in truth {
        versions.entry(sight.key.clone()).or_default().push((sight.version, sight.kind != "DELETED"));
    }
    versions
}

/// Reliable: every acknowledged write is an event, and nothing else is.
fn acknowledged(deeds: &[Deed], truth: &[Sight]) {
    let written: HashSet<u64> = deeds
        .iter()
        .filter(|deed| deed.act != Act::Get)
        .filter_map(|deed| match deed.outcome {
            Outcome::Version(version) => Some(version),
            _ => None,
        })
        .collect();
    let told: HashSet<u64> = truth.iter().filter(|sight| sight.kind != "DELETED").map(|sight| sight.version).collect();
    assert_eq!(written, told, "acknowledged writes and events differ");
    let deleted = deeds.iter().filter(|deed| deed.outcome == Outcome::Deleted).count();
    assert_eq!(deleted, truth.iter().filter(|sight| sight.kind == "DELETED").count());
}

/// A list is the state of its version, and where it had to be up to date, all that was acknowledged before it was asked is in it.
fn momentary(list: &Listed, truth: &[Sight], deeds: &[Deed]) {
    let mut state = BTreeMap::new();
    for sight in truth.iter().take_while(|sight| sight.version <= list.version) {
        if sight.kind == "DELETED" {
            state.remove(&sight.key);
        } else {
            state.insert(sight.key.clone(), sight.version);
        }
    }
    assert_eq!(list.items, state, "the list of version {} is not the state of that version", list.version);
    let Some(called) = list.called else { return };
    for deed in deeds.iter().filter(|deed| deed.returned < called) {
        if let Outcome::Version(version) = deed.outcome {
            assert!(version <= list.version, "a stale list: version {} after {deed:?}", list.version);
        }
    }
}

/// Every deed fits at one moment between its call and its return.
///
/// The order of a key's versions is known. A version holds from some moment within the deed that made it; so an observation of version
/// `v` is possible exactly when the deed of `v` was called before the observation returned, and the deed of the version after `v` had
/// not returned before the observation was called.
fn linearizable(key: &str, versions: &[(u64, bool)], deeds: &[&Deed]) {
    let mut spans: HashMap<u64, (Duration, Duration)> = HashMap::new();
    for deed in deeds.iter().filter(|deed| deed.act != Act::Get) {
        if let Outcome::Version(version) = deed.outcome {
            spans.insert(version, (deed.called, deed.returned));
        }
    }
    let mut latest = Duration::ZERO;
    for (version, _) in versions {
        if let Some((called, returned)) = spans.get(version) {
            assert!(*returned >= latest, "{key}: version {version} was acknowledged before an older one was asked for");
            latest = latest.max(*called);
        }
    }
    let possible = |state: Option<u64>, deed: &Deed| {
        let made = |version: u64| spans.get(&version).map_or(Duration::ZERO, |span| span.0) <= deed.returned;
        let over =
            |next: Option<&(u64, bool)>| next.and_then(|(next, _)| spans.get(next)).is_some_and(|span| span.1 < deed.called);
        match state {
            Some(version) => {
                let at = versions.iter().position(|(one, alive)| *one == version && *alive);
                at.is_some_and(|at| made(version) && !over(versions.get(at + 1)))
            }
            None => {
                let gaps = versions.iter().enumerate().filter(|(_, (_, alive))| !alive).map(|(at, _)| at + 1);
                std::iter::once(0).chain(gaps).any(|at| !over(versions.get(at)))
            }
        }
    };
    for deed in deeds {
        match (deed.act, deed.outcome) {
            (Act::Get, Outcome::Version(version)) => {
                assert!(possible(Some(version), deed), "{key}: a stale or future read: {deed:?}")
            }
            (Act::Get | Act::Patch | Act::Delete | Act::Update { .. }, Outcome::Absent) => {
                assert!(possible(None, deed), "{key}: a false 404: {deed:?}");
            }
            (Act::Create, Outcome::Conflict) => {
                let some = versions.iter().any(|(version, alive)| *alive && possible(Some(*version), deed));
                assert!(some, "{key}: a false 409: {deed:?}");
            }
            (Act::Update { before }, Outcome::Version(version)) => {
                let at = versions.iter().position(|(one, _)| *one == version).expect("an event");
                assert_eq!(versions[at - 1].0, before, "{key}: an update overwrote what it had not read: {deed:?}");
            }
            (Act::Patch, Outcome::Conflict) => panic!("{key}: a patch without a version never conflicts: {deed:?}"),
            _ => {}
        }
    }
}

//! `metadata.managedFields`: who owns which fields, since when.

use std::borrow::Cow;
use std::collections::{HashMap, hash_map};

use serde_json::{Map, Value};

use super::scalar::{Escape, write_string};
use super::set::FieldSet;
use super::stored::Fields;
use crate::schema::time::{self, Precision};

/// How a manager writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Server-side apply: what the manager no longer applies goes.
    Apply,
    /// Every other write.
    Update,
}

/// All entries of an object, each identity once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managed<'a> {
    /// In no order that matters.
    pub entries: Vec<Entry<'a>>,
}

/// What a manager owns through one way of writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Who.
    pub owner: Owner<'a>,
    /// The version of the type that the fields are of.
    pub api_version: Cow<'a, str>,
    /// RFC 3339; `None` where it was never said.
    pub time: Option<Cow<'a, str>>,
    /// What is owned.
    pub fields: Fields<'a>,
    /// Its place in the list that it was read from, where it still says the same but for the time.
    pub(super) place: Option<usize>,
}

/// An entry that is to be written.
pub(super) enum Written {
    /// The one at this place of the list that was read, with another time where one is named.
    Kept(usize, Option<String>),
    /// A new one.
    Made(Value),
}

/// A manager, by its way of writing. To be the same entry, the entries of an update must also have the same apiVersion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// `kubectl`
    pub manager: Cow<'a, str>,
    /// How it writes.
    pub operation: Operation,
    /// Empty for the object itself.
    pub subresource: Cow<'a, str>,
}

/// The managedFields that came with a request's object.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Sent {
    /// None.
    #[default]
    Nothing,
    /// `[]` or `[{}]`: nobody shall own anything.
    Reset,
    /// Entries, read by nobody yet.
    Entries(Value),
}

impl Sent {
    /// Takes the managedFields from an object that came from a client, before it is normalised (an empty list says something).
    pub fn take(object: &mut Value) -> Self {
        match take(object) {
            None | Some(Value::Null) => Self::Nothing,
            Some(Value::Array(list)) if list.is_empty() || matches!(&list[..], [Value::Object(only)] if says_nothing(only)) => {
                Self::Reset
            }
            Some(list) => Self::Entries(list),
        }
    }
}

impl<'a> Managed<'a> {
    /// Reads `metadata.managedFields`. Of entries with one identity the last stands.
    ///
    /// # Errors
    /// What is wrong with an entry, in words: then none of them counts.
    pub fn read(list: &'a Value) -> Result<Self, String> {
        let list = match list {
            Value::Array(list) => list,
            Value::Null => return Ok(Self::default()),
            _ => return Err("expected a list of entries".to_owned()),
        };
        let mut entries: Vec<Entry<'a>> = Vec::with_capacity(list.len() + 1);
        let mut places = HashMap::with_capacity(list.len());
        for (place, value) in list.iter().enumerate() {
            let entry = read(value, place)?;
            match places.entry(identity(value, entry.owner.operation)) {
                hash_map::Entry::Occupied(place) => entries[*place.get()] = entry,
                hash_map::Entry::Vacant(place) => {
                    place.insert(entries.len());
                    entries.push(entry);
                }
            }
        }
        Ok(Self { entries })
    }

    /// The entries of an object, as they are stored.
    ///
    /// # Errors
    /// As [`Managed::read`].
    pub fn of(object: &'a Value) -> Result<Self, String> {
        object.pointer("/metadata/managedFields").map_or_else(|| Ok(Self::default()), Self::read)
    }

    /// The list, in the order of kube-apiserver; `None` when there is none.
    pub fn write(mut self) -> Option<Value> {
        self.sort();
        Some(Value::Array(self.entries.iter().map(Entry::write).collect())).filter(|_| !self.entries.is_empty())
    }

    /// What the list is to be, in its order, where the one that was read can be had again.
    pub(super) fn plan(mut self) -> Vec<Written> {
        self.sort();
        let plan = self.entries.iter().map(|entry| match (entry.place, &entry.fields) {
            (Some(place), Fields::Stored(_)) => Written::Kept(place, entry.stamped().map(str::to_owned)),
            _ => Written::Made(entry.write()),
        });
        plan.collect()
    }

    fn sort(&mut self) {
        self.entries.sort_by(|mine, theirs| mine.order().cmp(&theirs.order()));
    }

    /// Writes the list into an object.
    pub fn set(self, object: &mut Value) {
        set(object, self.write());
    }

    /// Whether nobody owns anything.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The place of an entry.
    pub(super) fn find(&self, owner: &Owner<'_>, api_version: &str) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| entry.owner == *owner && (owner.operation == Operation::Apply || entry.api_version == api_version))
    }

    /// Takes an entry out.
    pub(super) fn take(&mut self, owner: &Owner<'_>, api_version: &str) -> Option<Entry<'a>> {
        self.find(owner, api_version).map(|place| self.entries.remove(place))
    }

    /// Adds an entry, in the place of the one with its identity.
    pub(super) fn put(&mut self, entry: Entry<'a>) {
        match self.find(&entry.owner, &entry.api_version) {
            Some(place) => self.entries[place] = entry,
            None => self.entries.push(entry),
        }
    }

    /// Drops entries that own nothing.
    pub(super) fn drop_empty(&mut self) {
        self.entries.retain(|entry| !entry.fields.is_empty());
    }

    /// Merges the oldest updates of a version into one entry while there are more than ten.
    pub(super) fn cap(&mut self) {
        let updates = self.entries.iter().filter(|entry| entry.owner.operation == Operation::Update).count();
        let mut surplus = updates.saturating_sub(MOST_UPDATES);
        if surplus == 0 {
            return;
        }
        self.entries.sort_by_cached_key(|entry| (entry.seconds(), entry.identifier()));
        let mut buckets: Vec<Bucket<'a>> = Vec::new();
        let mut kept: Vec<Entry<'a>> = Vec::with_capacity(self.entries.len());
        for entry in std::mem::take(&mut self.entries) {
            if surplus == 0 || entry.owner.operation == Operation::Apply {
                kept.push(entry);
                continue;
            }
            match buckets.iter_mut().find(|bucket| kept[bucket.first].api_version == entry.api_version) {
                None => {
                    buckets.push(Bucket { first: kept.len(), time: None, sets: Vec::new() });
                    kept.push(entry);
                }
                Some(bucket) => {
                    bucket.time = entry.time;
                    bucket.sets.push(entry.fields.set());
                    surplus -= 1;
                }
            }
        }
        self.entries = kept;
        for bucket in buckets.into_iter().filter(|bucket| !bucket.sets.is_empty()) {
            self.age(bucket);
        }
    }

    /// Merges updates into the old entry of their version, which is made of the first one where there is none.
    fn age(&mut self, bucket: Bucket<'a>) {
        let ancient = Owner { manager: ANCIENT.into(), operation: Operation::Update, subresource: "".into() };
        let version = self.entries[bucket.first].api_version.clone();
        let place = self.find(&ancient, &version).unwrap_or(bucket.first);
        let entry = &mut self.entries[place];
        entry.owner = ancient;
        entry.place = None;
        entry.time = bucket.time;
        entry.fields.change(|set| set.union(FieldSet::union_all(bucket.sets)));
    }
}

/// Old updates of one version.
struct Bucket<'a> {
    /// The place of the oldest.
    first: usize,
    time: Option<Cow<'a, str>>,
    /// What the others own.
    sets: Vec<FieldSet<'a>>,
}

impl Entry<'_> {
    /// kube-apiserver's name of the identity, by which it sorts where nothing else decides.
    pub(super) fn identifier(&self) -> String {
        let version = if self.owner.operation == Operation::Update { &*self.api_version } else { "" };
        let operation = self.owner.operation.name();
        let members = [
            ("manager", &*self.owner.manager),
            ("operation", operation),
            ("apiVersion", version),
            ("subresource", &*self.owner.subresource),
        ];
        let mut text = String::from("{");
        for (name, value) in members.into_iter().filter(|(_, value)| !value.is_empty()) {
            if text.len() > 1 {
                text.push(',');
            }
            write_string(name, Escape::Json, &mut text);
            text.push(':');
            write_string(value, Escape::Html, &mut text);
        }
        text.push('}');
        text
    }

    fn order(&self) -> (Operation, i64, &str, &str, &str) {
        (self.owner.operation, self.seconds(), &self.owner.manager, &self.api_version, &self.owner.subresource)
    }

    fn seconds(&self) -> i64 {
        let parsed = self.time.as_deref().and_then(|text| time::parse(text, Precision::Second).ok());
        parsed.map_or(0, |instant| instant.seconds)
    }

    /// The time, where it is not the one that was read.
    fn stamped(&self) -> Option<&str> {
        match &self.time {
            Some(Cow::Owned(time)) => Some(time),
            _ => None,
        }
    }

    fn write(&self) -> Value {
        let mut map = Map::new();
        let mut text = |name: &str, value: &str| {
            if !value.is_empty() {
                map.insert(name.to_owned(), Value::String(value.to_owned()));
            }
        };
        text("apiVersion", &self.api_version);
        text("fieldsType", "FieldsV1");
        text("manager", &self.owner.manager);
        text("operation", self.owner.operation.name());
        text("subresource", &self.owner.subresource);
        text("time", self.time.as_deref().unwrap_or_default());
        map.insert("fieldsV1".to_owned(), self.fields.to_value());
        Value::Object(map)
    }
}

impl Operation {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

impl Written {
    /// The entry itself, out of the list that was read.
    pub(super) fn entry(self, from: &mut impl FnMut(usize) -> Value) -> Value {
        match self {
            Self::Made(entry) => entry,
            Self::Kept(place, time) => {
                let mut entry = from(place);
                if let (Value::Object(entry), Some(time)) = (&mut entry, time) {
                    entry.insert("time".to_owned(), Value::String(time));
                }
                entry
            }
        }
    }
}

fn read(value: &Value, place: usize) -> Result<Entry<'_>, String> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let operation = match text("operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".to_owned()),
    };
    if text("apiVersion").is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    match text("fieldsType") {
        "FieldsV1" => {}
        "" => return Err(format!("missing fieldsType in managed fields entry {place}")),
        other => return Err(format!("invalid fieldsType {other:?} in managed fields entry {place}")),
    }
    let fields = value.get("fieldsV1").map_or_else(|| Ok(Fields::default()), Fields::read);
    let time = read_time(text("time"));
    let plain = value.as_object().is_some_and(|map| {
        map.values().all(|value| !value.is_null() && value != "") && map.contains_key("time") == time.is_some()
    });
    Ok(Entry {
        owner: Owner { manager: text("manager").into(), operation, subresource: text("subresource").into() },
        api_version: text("apiVersion").into(),
        time,
        fields: fields.map_err(|why| format!("error decoding versioned set: {why}"))?,
        place: plain.then_some(place),
    })
}

/// What an entry must not share with another one.
fn identity(entry: &Value, operation: Operation) -> (&str, Operation, &str, &str) {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let version = if operation == Operation::Update { text("apiVersion") } else { "" };
    (text("manager"), operation, text("subresource"), version)
}

fn read_time(text: &str) -> Option<Cow<'_, str>> {
    if time::is_canonical(text, Precision::Second) {
        return Some(Cow::Borrowed(text));
    }
    time::canonical(text, Precision::Second).map(Cow::Owned)
}

fn says_nothing(entry: &Map<String, Value>) -> bool {
    entry.values().all(|value| value.is_null() || value.as_str() == Some(""))
}

/// Takes the managedFields out of an object.
pub(super) fn take(object: &mut Value) -> Option<Value> {
    object.get_mut("metadata")?.as_object_mut()?.remove("managedFields")
}

/// Writes the managedFields of an object, or removes them.
pub(super) fn set(object: &mut Value, list: Option<Value>) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    match list {
        Some(list) => drop(metadata.insert("managedFields".to_owned(), list)),
        None => drop(metadata.remove("managedFields")),
    }
}

/// Updates that are kept apart.
const MOST_UPDATES: usize = 10;

/// The manager of those that are not.
const ANCIENT: &str = "ancient-changes";

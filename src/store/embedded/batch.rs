//! Changes that are decided together and written together.

use bytes::Bytes;
use hashbrown::HashMap;

use super::disk::Disk;
use super::inbox::Answer;
use super::index::Index;
use super::record::{Lease, Record};
use crate::store::{Change, Entry, Event, Expect, Outcome, Revision, StoreError};

/// A group of changes, compared against what is applied *plus what is pending in the group*.
pub(super) struct Batch {
    pub(super) records: Vec<(u64, Record)>,
    pub(super) answers: Vec<(Answer<Outcome>, Result<Outcome, StoreError>)>,
    /// The place in `records` of each pending key.
    pending: HashMap<Bytes, usize>,
}

/// What a key is at this point of the group.
struct Current {
    revision: u64,
    len: usize,
    /// Its place in the group, when it is pending.
    pending: Option<usize>,
}

/// What may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Latitude {
    /// Everything.
    All,
    /// Deletions, and updates that hardly grow a value: the disk is full.
    Shrinking,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self { records: Vec::new(), answers: Vec::new(), pending: HashMap::new() }
    }

    /// Decides one change. Its answer is kept until the group is durable: a conflict may show a pending value.
    pub(super) fn decide(
        &mut self,
        change: Change,
        latitude: Latitude,
        (index, disk): (&Index, &Disk),
    ) -> Result<Outcome, StoreError> {
        let current = self.current(&change.key, index);
        let expected = match (change.expect, &current) {
            (Expect::Absent, None) => change.value.is_some(),
            (Expect::At(revision), Some(current)) => revision.0 == current.revision,
            _ => false,
        };
        if !expected {
            return self.conflict(current, disk);
        }
        if let Some((key, revision)) = &change.guard
            && self.current(key, index).is_none_or(|guard| guard.revision != revision.0)
        {
            return Ok(Outcome::Unguarded);
        }
        let len = change.value.as_ref().map_or(0, Bytes::len);
        let grown = change.value.is_some() && current.is_none_or(|current| len > current.len + SLACK);
        if grown && latitude == Latitude::Shrinking {
            return Err(StoreError::Unavailable("the disk is full: only deletions and small updates are taken".to_owned()));
        }
        let lease = change.ttl.filter(|_| change.value.is_some()).map(Lease::new);
        Ok(Outcome::Committed(self.push(Record { key: change.key, value: change.value, lease }, index)))
    }

    /// Deletes keys that have expired, unless the group has just changed them.
    pub(super) fn expire(&mut self, keys: Vec<Bytes>, index: &Index) {
        for key in keys {
            if !self.pending.contains_key(&key) {
                self.push(Record { key, value: None, lease: None }, index);
            }
        }
    }

    /// The newest revision, this group included.
    pub(super) fn revision(&self, index: &Index) -> u64 {
        self.records.last().map_or(index.revision, |(revision, _)| *revision)
    }

    /// The group as the sink is told of it.
    pub(super) fn events(&self) -> Vec<Event> {
        let event = |(revision, record): &(u64, Record)| Event {
            key: record.key.clone(),
            value: record.value.clone(),
            revision: Revision(*revision),
        };
        self.records.iter().map(event).collect()
    }

    fn push(&mut self, record: Record, index: &Index) -> Revision {
        let revision = self.revision(index) + 1;
        self.pending.insert(record.key.clone(), self.records.len());
        self.records.push((revision, record));
        Revision(revision)
    }

    fn current(&self, key: &Bytes, index: &Index) -> Option<Current> {
        if let Some(place) = self.pending.get(key) {
            let (revision, record) = &self.records[*place];
            return record.value.as_ref().map(|value| Current { revision: *revision, len: value.len(), pending: Some(*place) });
        }
        index.get(key).map(|held| Current { revision: held.revision, len: held.len, pending: None })
    }

    fn conflict(&self, current: Option<Current>, disk: &Disk) -> Result<Outcome, StoreError> {
        let Some(current) = current else { return Ok(Outcome::Conflict(None)) };
        let value = match current.pending {
            Some(place) => self.records[place].1.value.clone(),
            None => {
                let record = disk.look().and_then(|look| look.record(current.revision));
                record.map_err(|error| StoreError::Unavailable(error.to_string()))?.and_then(|record| record.value)
            }
        };
        let Some(value) = value else {
            return Err(StoreError::Unavailable(format!("record {} is missing", current.revision)));
        };
        Ok(Outcome::Conflict(Some(Entry { value, revision: Revision(current.revision) })))
    }
}

/// By how many bytes an update may grow a value on a full disk: what a renewed lease may need.
const SLACK: usize = 64;

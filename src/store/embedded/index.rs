//! What is known of every key without asking the disk: its revision, its length, when it expires, and what is superseded.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use hashbrown::HashMap;

use super::record::{Meta, Record};

/// The index of the log.
#[derive(Default)]
pub(super) struct Index {
    held: HashMap<Bytes, Held>,
    deadlines: BTreeSet<(Instant, Bytes)>,
    /// Records that a later one supersedes: the revision from which on they are not needed, and their own.
    superseded: VecDeque<(u64, u64)>,
    pub(super) revision: u64,
    pub(super) compacted: u64,
}

/// What is known of a key that exists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) revision: u64,
    pub(super) len: usize,
    deadline: Option<Instant>,
}

impl Index {
    pub(super) fn new(meta: Meta) -> Self {
        Self { revision: meta.revision, compacted: meta.compacted, ..Self::default() }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Held> {
        self.held.get(key)
    }

    /// Takes in a record. They come in the order of their revisions.
    pub(super) fn apply(&mut self, revision: u64, record: &Record, now: Instant) {
        self.revision = self.revision.max(revision);
        let old = match &record.value {
            None => {
                let old = self.held.remove(&record.key);
                self.supersede(revision, old.map(|old| old.revision));
                // The mark of the deletion itself is of no use either, once what it deleted is gone.
                self.supersede(revision, Some(revision));
                old
            }
            Some(value) => {
                // A deadline that a Duration cannot reach is none.
                let deadline = record.lease.and_then(|lease| now.checked_add(lease.left()));
                let old = self.held.insert(record.key.clone(), Held { revision, len: value.len(), deadline });
                self.supersede(revision, old.map(|old| old.revision));
                if let Some(deadline) = deadline {
                    self.deadlines.insert((deadline, record.key.clone()));
                }
                old
            }
        };
        if let Some(deadline) = old.and_then(|old| old.deadline)
            && self.get(&record.key).and_then(|held| held.deadline) != Some(deadline)
        {
            self.deadlines.remove(&(deadline, record.key.clone()));
        }
    }

    /// When the next key expires.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Keys that have expired, the first ones only.
    pub(super) fn expired(&self, now: Instant, most: usize) -> Vec<Bytes> {
        let due = self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now);
        due.take(most).map(|(_, key)| key.clone()).collect()
    }

    /// The first of the records that are not needed for the state at `before` or later, and what is then the oldest complete
    /// state.
    pub(super) fn dispensable(&self, before: u64, most: usize) -> (Vec<u64>, u64) {
        let records: Vec<_> = self.superseded.iter().take_while(|(at, _)| *at <= before).take(most).copied().collect();
        // When these are not all, the last of them is how far the past is given up.
        let reached = if records.len() < most { before } else { records.last().map_or(0, |(at, _)| *at) };
        (records.into_iter().map(|(_, record)| record).collect(), self.compacted.max(reached))
    }

    /// The first so many superseded records have been removed.
    pub(super) fn forget(&mut self, count: usize, compacted: u64) {
        self.superseded.drain(..count);
        self.compacted = compacted;
    }

    /// Up to where to compact so that `keep` superseded records are left; `None` when there are hardly more.
    pub(super) fn excess(&self, keep: usize, slack: usize) -> Option<u64> {
        let excess = self.superseded.len().checked_sub(keep).filter(|excess| *excess > slack)?;
        self.superseded.get(excess - 1).map(|(at, _)| *at)
    }

    fn supersede(&mut self, at: u64, record: Option<u64>) {
        self.superseded.extend(record.map(|record| (at, record)));
    }
}

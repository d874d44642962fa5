//! The state of a space at one revision, and the roots that are kept for later.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;
use tokio::time::Instant;

use super::Revision;
use super::item::{Happening, Item};

/// The state of one space at one revision. Cheap to clone, never changes.
pub struct Root<T> {
    /// When.
    pub revision: Revision,
    /// The items by name within the space, like `default/nginx`.
    pub items: OrdMap<Bytes, Arc<T>>,
}

/// The kept roots of one space, oldest first.
///
/// A root is charged with what was superseded between it and the next one: that is what memory gains when it goes first.
pub(super) struct Roots<T> {
    kept: VecDeque<Kept<T>>,
    bytes: usize,
}

/// Why a root is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// A shortcut for exact reads, of no use once the ring has passed it.
    Mark,
    /// Its revision was handed out to a client.
    Promise,
}

struct Kept<T> {
    root: Root<T>,
    reason: Reason,
    at: Instant,
    bytes: usize,
    /// The part of `bytes` that is copied tree nodes.
    nodes: usize,
}

impl<T> Clone for Root<T> {
    fn clone(&self) -> Self {
        Self { revision: self.revision, items: self.items.clone() }
    }
}

impl<T: Item> Root<T> {
    /// What has to happen to get from here to `newer`, in the order of the names, all of it at the newer revision. Items are
    /// compared by identity: both roots come from one view.
    pub fn difference(&self, newer: &Self) -> Vec<Happening<T>> {
        let mut happenings = Vec::new();
        let mut tell = |name: &Bytes, old: Option<&Arc<T>>, new: Option<&Arc<T>>| {
            let (name, revision, forms) = (name.clone(), newer.revision, T::Forms::default());
            happenings.push(Happening { revision, name, old: old.cloned(), new: new.cloned(), forms });
        };
        let (mut before, mut after) = (self.items.iter().peekable(), newer.items.iter().peekable());
        loop {
            match (before.peek().copied(), after.peek().copied()) {
                (None, None) => break,
                (Some((name, old)), Some((other, new))) if name == other => {
                    if !Arc::ptr_eq(old, new) {
                        tell(name, Some(old), Some(new));
                    }
                    before.next();
                    after.next();
                }
                (Some((name, old)), other) if other.is_none_or(|(other, _)| name < other) => {
                    tell(name, Some(old), None);
                    before.next();
                }
                (_, Some((name, new))) => {
                    tell(name, None, Some(new));
                    after.next();
                }
                (Some(_), None) => break,
            }
        }
        happenings
    }

    /// Takes the events, newest last, back out of this root.
    pub(super) fn undo(&mut self, events: &[Arc<Happening<T>>], revision: Revision) {
        for event in events.iter().rev() {
            match &event.old {
                Some(old) => self.items.insert(event.name.clone(), old.clone()),
                None => self.items.remove(&event.name),
            };
        }
        self.revision = revision;
    }
}

impl<T: Item> Roots<T> {
    pub(super) fn new() -> Self {
        Self { kept: VecDeque::new(), bytes: 0 }
    }

    /// Keeps a root; one of the same revision is only given the stronger reason.
    pub(super) fn keep(&mut self, root: Root<T>, reason: Reason, at: Instant) {
        let index = self.kept.partition_point(|kept| kept.root.revision < root.revision);
        if let Some(kept) = self.kept.get_mut(index).filter(|kept| kept.root.revision == root.revision) {
            kept.at = at;
            if reason == Reason::Promise {
                kept.reason = reason;
            }
            return;
        }
        self.bytes += BASE;
        self.kept.insert(index, Kept { root, reason, at, bytes: BASE, nodes: 0 });
    }

    /// The root of exactly this revision.
    pub(super) fn exact(&self, revision: Revision) -> Option<&Root<T>> {
        self.not_before(revision).filter(|root| root.revision == revision)
    }

    /// The oldest kept root that is not older than `revision`.
    pub(super) fn not_before(&self, revision: Revision) -> Option<&Root<T>> {
        self.kept.get(self.kept.partition_point(|kept| kept.root.revision < revision)).map(|kept| &kept.root)
    }

    /// Charges the newest root with a change after it, which superseded `bytes` of item in a map of `len` items: the change copied
    /// tree nodes, at most all of them.
    pub(super) fn charge(&mut self, bytes: usize, len: usize) {
        if let Some(newest) = self.kept.back_mut() {
            let path = if newest.nodes < len * LEAF { PATH } else { 0 };
            newest.nodes += path;
            newest.bytes += path + bytes;
            self.bytes += path + bytes;
        }
    }

    /// Drops the oldest root.
    pub(super) fn pop(&mut self) -> Option<Root<T>> {
        let kept = self.kept.pop_front()?;
        self.bytes -= kept.bytes;
        Some(kept.root)
    }

    /// Drops marks that the ring has passed and promises made before `deadline`; what they pinned is charged to the root before.
    pub(super) fn sweep(&mut self, floor: Revision, deadline: Option<Instant>) -> Vec<Root<T>> {
        let mut dropped = Vec::new();
        let mut rest: VecDeque<Kept<T>> = VecDeque::with_capacity(self.kept.len());
        for kept in self.kept.drain(..) {
            let stale = match kept.reason {
                Reason::Mark => kept.root.revision < floor,
                Reason::Promise => deadline.is_some_and(|deadline| kept.at < deadline),
            };
            if !stale {
                rest.push_back(kept);
                continue;
            }
            match rest.back_mut() {
                Some(before) => before.bytes += kept.bytes,
                None => self.bytes -= kept.bytes,
            }
            dropped.push(kept.root);
        }
        self.kept = rest;
        dropped
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// When the oldest root was kept.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.kept.front().map(|kept| kept.at)
    }
}

/// What a root costs by itself.
const BASE: usize = 512;

/// What one changed item costs in copied tree nodes.
const PATH: usize = 3 << 10;

/// What an item takes in a tree node.
const LEAF: usize = 64;

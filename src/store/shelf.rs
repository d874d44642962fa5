//! One space of the view: its items, its recent past, its kept roots and who waits for it.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use imbl::OrdMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Revision;
use super::bucket::{Buckets, Waiting};
use super::item::{Happening, Item};
use super::ring::Ring;
use super::root::{Reason, Root, Roots};

pub(super) struct Shelf<T: Item> {
    pub(super) items: OrdMap<Bytes, Arc<T>>,
    pub(super) bytes: usize,
    pub(super) ring: Ring<T>,
    pub(super) roots: Roots<T>,
    pub(super) buckets: Buckets<T>,
    pub(super) waiting: Mutex<Waiting>,
    pub(super) watchers: usize,
    marked: Option<Instant>,
}

/// What is left to do when the view's lock has been dropped: wake the waiting, drop what may be large.
pub(super) struct Aftermath<T: Item> {
    pub(super) wakers: Vec<Vec<Option<Waker>>>,
    pub(super) happenings: Vec<Arc<Happening<T>>>,
    pub(super) roots: Vec<Root<T>>,
    pub(super) items: Vec<OrdMap<Bytes, Arc<T>>>,
}

impl<T: Item> Shelf<T> {
    pub(super) fn new(floor: Revision) -> Self {
        Self {
            items: OrdMap::new(),
            bytes: 0,
            ring: Ring::new(floor),
            roots: Roots::new(),
            buckets: Buckets::new(),
            waiting: Mutex::default(),
            watchers: 0,
            marked: None,
        }
    }

    /// Applies one change. Deleting what is not there is no event.
    pub(super) fn change(&mut self, name: Bytes, new: Option<Arc<T>>, revision: Revision) -> Option<Happening<T>> {
        // The name that is kept already is kept on: it is one allocation for all versions.
        let held = self.items.get_key_value(&name).map(|(name, old)| (name.clone(), old.clone()));
        let (name, old) = match held {
            Some((name, old)) => (name, Some(old)),
            None => (name, None),
        };
        match &new {
            Some(item) => {
                self.bytes += item.weight();
                self.items.insert(name.clone(), item.clone());
            }
            None => {
                old.as_ref()?;
                self.items.remove(&name);
            }
        }
        let superseded = old.as_deref().map_or(0, Item::weight);
        self.bytes -= superseded;
        self.roots.charge(superseded, self.items.len());
        Some(Happening { revision, name, old, new, forms: T::Forms::default() })
    }

    /// Puts an event where watchers find it and gathers who waits for it.
    pub(super) fn publish(&mut self, happening: Happening<T>, now: Instant, after: &mut Aftermath<T>) {
        let happening = Arc::new(happening);
        self.buckets.put(self.ring.next(), &happening, &mut after.wakers);
        self.ring.push(happening, now);
        let waiting = self.waiting.get_mut().take();
        if !waiting.is_empty() {
            after.wakers.push(waiting);
        }
    }

    /// Keeps a mark when the last one is a second old.
    pub(super) fn mark(&mut self, revision: Revision, now: Instant) {
        if self.marked.is_none_or(|at| now.saturating_duration_since(at) >= MARK) {
            self.marked = Some(now);
            self.roots.keep(Root { revision, items: self.items.clone() }, Reason::Mark, now);
        }
    }

    /// Lets the oldest event go. False when there is none.
    pub(super) fn evict(&mut self, after: &mut Aftermath<T>) -> bool {
        let sequence = self.ring.first();
        let Some(happening) = self.ring.pop() else { return false };
        self.buckets.evict(sequence, &happening);
        after.happenings.push(happening);
        true
    }

    /// Lets go what is too old: events after `keep`, promised roots after twice that time.
    pub(super) fn sweep(&mut self, keep: Duration, now: Instant, after: &mut Aftermath<T>) {
        let deadline = now.checked_sub(keep);
        while self.ring.oldest().is_some_and(|at| deadline.is_some_and(|deadline| at < deadline)) {
            self.evict(after);
        }
        after.roots.extend(self.roots.sweep(self.ring.floor(), now.checked_sub(keep * 2)));
    }

    /// Starts anew with other items: the past is gone and every reader is overtaken.
    pub(super) fn restart(&mut self, items: OrdMap<Bytes, Arc<T>>, revision: Revision, after: &mut Aftermath<T>) {
        after.happenings.extend(self.ring.restart(revision));
        self.buckets.restart(self.ring.next(), &mut after.wakers);
        after.wakers.push(self.waiting.get_mut().take());
        while let Some(root) = self.roots.pop() {
            after.roots.push(root);
        }
        self.marked = None;
        self.replace(items, after);
    }

    /// Puts other items in place of the old ones.
    pub(super) fn replace(&mut self, items: OrdMap<Bytes, Arc<T>>, after: &mut Aftermath<T>) {
        self.bytes = items.values().map(|item| item.weight()).sum();
        after.items.push(std::mem::replace(&mut self.items, items));
    }
}

impl<T: Item> Aftermath<T> {
    pub(super) fn new() -> Self {
        Self { wakers: Vec::new(), happenings: Vec::new(), roots: Vec::new(), items: Vec::new() }
    }

    /// Wakes everybody; what was let go is dropped last.
    pub(super) fn finish(self) {
        self.wakers.into_iter().flatten().flatten().for_each(Waker::wake);
    }
}

/// How often a changing space keeps a root by itself.
const MARK: Duration = Duration::from_secs(1);

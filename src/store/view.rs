//! The newest state and the recent past, in memory.
//!
//! One writer (the log, see `feed`), many readers, one lock that is held for microseconds: values are decoded before it is taken,
//! roots are rebuilt and wakers woken after it is dropped. Lock order: `state`, then a space's `waiting`.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use imbl::OrdMap;
use parking_lot::RwLock;
use tokio::time::Instant;

use super::Revision;
use super::bucket::{Label, Ticket};
use super::item::{Gone, Item, Reader, Space};
use super::root::{Reason, Root};
use super::shelf::{Aftermath, Shelf};
use super::tide::Tide;
use super::watcher::{Cursor, Watcher};

/// How much of the past a view keeps, and how patient its store is.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of events in all spaces together. Over it, the space that holds most gives up its oldest.
    pub ring_bytes: usize,
    /// Bytes that kept roots pin in all spaces together. Over it, the oldest go.
    pub roots_bytes: usize,
    /// How long events are kept within the budget; promised roots are kept twice as long. At least 75 s in production.
    pub keep: Duration,
    /// How long a commit, a probe or a consistent read waits for the log and for the view.
    pub patience: Duration,
}

/// The newest state and the recent past of all spaces.
pub struct View<T: Item> {
    pub(super) reader: Arc<dyn Reader<T>>,
    pub(super) limits: Limits,
    pub(super) state: RwLock<State<T>>,
    pub(super) tide: Tide,
}

/// What a view holds, for metrics.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// The newest revision.
    pub revision: Revision,
    /// The spaces that were ever used, in their order.
    pub spaces: Vec<SpaceStats>,
}

/// What one space holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceStats {
    /// Which.
    pub space: Space,
    /// Number of items.
    pub items: usize,
    /// Bytes of the items.
    pub bytes: usize,
    /// Number of events in the ring.
    pub ring_events: usize,
    /// Bytes of the events.
    pub ring_bytes: usize,
    /// Number of kept roots.
    pub roots: usize,
    /// Bytes they pin.
    pub roots_bytes: usize,
    /// Number of watchers.
    pub watchers: usize,
}

pub(super) struct State<T: Item> {
    pub(super) revision: Revision,
    pub(super) shelves: HashMap<Space, Shelf<T>, foldhash::fast::RandomState>,
    /// The revision of the first state: nothing is known of the past before it.
    pub(super) base: Revision,
    /// Open intervals of revisions whose events were missed, because the log had lost its place.
    pub(super) holes: Vec<(Revision, Revision)>,
    swept: Option<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { ring_bytes: 64 << 20, roots_bytes: 32 << 20, keep: Duration::from_secs(300), patience: Duration::from_secs(5) }
    }
}

impl<T: Item> View<T> {
    pub(super) fn new(reader: Arc<dyn Reader<T>>, limits: Limits) -> Self {
        let state =
            State { revision: Revision(0), shelves: HashMap::default(), base: Revision(0), holes: Vec::new(), swept: None };
        Self { reader, limits, state: RwLock::new(state), tide: Tide::default() }
    }

    /// The newest item of a name.
    pub fn item(&self, space: Space, name: &[u8]) -> Option<Arc<T>> {
        self.state.read().shelves.get(&space)?.items.get(name).cloned()
    }

    /// The newest revision that is applied whole; 0 until the log has told the first state.
    pub fn revision(&self) -> Revision {
        self.tide.revision()
    }

    /// The newest state of a space.
    pub fn root(&self, space: Space) -> Root<T> {
        let state = self.state.read();
        Root { revision: state.revision, items: state.shelves.get(&space).map(|shelf| shelf.items.clone()).unwrap_or_default() }
    }

    /// The state of a space at exactly `revision`.
    ///
    /// # Errors
    /// [`Gone`] when the ring and the kept roots do not reach so far back, or when the revision has not come yet.
    pub fn root_at(&self, space: Space, revision: Revision) -> Result<Root<T>, Gone> {
        let (mut root, undone) = {
            let state = self.state.read();
            let newest = Root { revision: state.revision, items: OrdMap::new() };
            let Some(shelf) = state.shelves.get(&space) else {
                state.known(revision, state.base)?;
                return Ok(Root { revision, ..newest });
            };
            if let Some(root) = shelf.roots.exact(revision) {
                return Ok(root.clone());
            }
            state.known(revision, shelf.ring.floor())?;
            let root = match shelf.roots.not_before(revision) {
                Some(root) => root.clone(),
                None => Root { items: shelf.items.clone(), ..newest },
            };
            let undone = shelf.ring.between(revision, root.revision);
            (root, undone)
        };
        root.undo(&undone, revision);
        Ok(root)
    }

    /// Keeps a root for later [`View::root_at`], because its revision was handed out (`continue`).
    pub fn keep(&self, space: Space, root: &Root<T>) {
        let mut after = Aftermath::new();
        {
            let mut state = self.state.write();
            let base = state.base;
            let shelf = state.shelves.entry(space).or_insert_with(|| Shelf::new(base));
            shelf.roots.keep(root.clone(), Reason::Promise, Instant::now());
            state.trim_roots(self.limits.roots_bytes, &mut after);
        }
        after.finish();
    }

    /// All events of a space after `from`, in order. With a trigger, events that have its value neither before nor after are left
    /// out. A `from` that has not come yet is waited for.
    ///
    /// # Errors
    /// [`Gone`] when the ring no longer holds everything after `from`.
    pub fn watch(self: &Arc<Self>, space: Space, from: Revision, trigger: Option<(u8, String)>) -> Result<Watcher<T>, Gone> {
        let trigger = trigger.map(|(field, value)| Box::new(Label { field, value: value.into_boxed_str() }));
        let mut state = self.state.write();
        let base = state.base;
        state.outside_holes(from)?;
        let shelf = state.shelves.entry(space).or_insert_with(|| Shelf::new(base));
        let next = shelf.ring.after(from)?;
        shelf.watchers += 1;
        let cursor = match &trigger {
            None => Cursor::Ring { next },
            Some(label) => {
                let bucket = shelf.buckets.join(label, shelf.ring.next());
                match next < bucket.since {
                    true => Cursor::Search { next, until: bucket.since, then: bucket.origin },
                    false => Cursor::Bucket { next: bucket.from(next) },
                }
            }
        };
        drop(state);
        Ok(Watcher::new(self.clone(), space, from, (cursor, trigger)))
    }

    /// What is held, for metrics: a few numbers a space.
    pub fn stats(&self) -> Stats {
        let state = self.state.read();
        let mut spaces: Vec<_> = state.shelves.iter().map(|(space, shelf)| shelf.stats(*space)).collect();
        spaces.sort_unstable_by_key(|stats| stats.space);
        Stats { revision: state.revision, spaces }
    }

    /// A digest of the names and revisions of a space, and the revision it was taken at: equal states have equal digests.
    pub fn digest(&self, space: Space) -> (Revision, u64) {
        let root = self.root(space);
        let mut digest = super::digest::Digest::default();
        for (name, item) in &root.items {
            digest.add(name);
            digest.add(&item.revision().0.to_le_bytes());
        }
        (root.revision, digest.value())
    }

    /// Counts a watcher out.
    pub(super) fn leave(&self, space: Space, trigger: Option<&Label>, ticket: Option<Ticket>) {
        let mut state = self.state.write();
        let Some(shelf) = state.shelves.get_mut(&space) else { return };
        shelf.watchers -= 1;
        let left = match trigger {
            Some(label) => shelf.buckets.leave(label, ticket),
            None => (ticket.and_then(|ticket| shelf.waiting.get_mut().withdraw(ticket)), None),
        };
        drop(state);
        drop(left);
    }
}

impl<T: Item> State<T> {
    /// Whether the state at `revision` can be rebuilt by a space whose ring reaches back to `floor`.
    fn known(&self, revision: Revision, floor: Revision) -> Result<(), Gone> {
        if revision < floor || revision > self.revision {
            return Err(Gone(floor));
        }
        self.outside_holes(revision)
    }

    fn outside_holes(&self, revision: Revision) -> Result<(), Gone> {
        match self.holes.iter().find(|(begin, end)| *begin < revision && revision < *end) {
            Some((_, end)) => Err(Gone(*end)),
            None => Ok(()),
        }
    }

    /// Lets go what is too old, now and then, and what is over the budgets, at once.
    pub(super) fn trim(&mut self, limits: &Limits, now: Instant, after: &mut Aftermath<T>) {
        if self.swept.is_none_or(|at| now.saturating_duration_since(at) >= SWEEP) {
            self.swept = Some(now);
            self.shelves.values_mut().for_each(|shelf| shelf.sweep(limits.keep, now, after));
        }
        let mut bytes: usize = self.shelves.values().map(|shelf| shelf.ring.bytes()).sum();
        while bytes > limits.ring_bytes {
            let Some(largest) = self.shelves.values_mut().max_by_key(|shelf| shelf.ring.bytes()) else { return };
            let before = largest.ring.bytes();
            // A few at a time: finding the largest costs a look at every space.
            for _ in 0..FEW {
                let shed = before - largest.ring.bytes();
                if bytes - shed <= limits.ring_bytes || !largest.evict(after) {
                    break;
                }
            }
            bytes -= before - largest.ring.bytes();
        }
        self.trim_roots(limits.roots_bytes, after);
    }

    fn trim_roots(&mut self, budget: usize, after: &mut Aftermath<T>) {
        let mut bytes: usize = self.shelves.values().map(|shelf| shelf.roots.bytes()).sum();
        while bytes > budget {
            let rooted = self.shelves.values_mut().filter(|shelf| shelf.roots.len() > 0);
            let Some(oldest) = rooted.min_by_key(|shelf| shelf.roots.oldest()) else { return };
            let before = oldest.roots.bytes();
            after.roots.extend(oldest.roots.pop());
            bytes -= before - oldest.roots.bytes();
        }
    }
}

impl<T: Item> Shelf<T> {
    fn stats(&self, space: Space) -> SpaceStats {
        SpaceStats {
            space,
            items: self.items.len(),
            bytes: self.bytes,
            ring_events: self.ring.len(),
            ring_bytes: self.ring.bytes(),
            roots: self.roots.len(),
            roots_bytes: self.roots.bytes(),
            watchers: self.watchers,
        }
    }
}

/// So many events go before the largest space is searched again.
const FEW: usize = 256;

/// How often the old is swept out.
const SWEEP: Duration = Duration::from_secs(5);

//! The newest state and the recent past, in memory.
//!
//! One writer (the log), many readers, one lock that is held for microseconds: values are decoded before it is taken, roots are
//! rebuilt and wakers woken after it is dropped. Lock order: `state`, then a space's `waiting`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hashbrown::HashMap;
use imbl::OrdMap;
use parking_lot::RwLock;
use tokio::time::Instant;

use super::bucket::{Label, Ticket};
use super::item::{Gone, Item, Reader, Space};
use super::root::{Reason, Root};
use super::shelf::{Aftermath, Shelf};
use super::tide::Tide;
use super::watcher::{Cursor, Watcher};
use super::{Entry, Event, Revision, Sink};

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
    reader: Arc<dyn Reader<T>>,
    limits: Limits,
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
    base: Revision,
    /// Open intervals of revisions whose events were missed, because the log had lost its place.
    holes: Vec<(Revision, Revision)>,
    swept: Option<Instant>,
}

/// A decoded event.
struct Decoded<T> {
    space: Space,
    name: Bytes,
    item: Option<Arc<T>>,
    revision: Revision,
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

    fn decode(&self, event: Event) -> Option<Decoded<T>> {
        let place = self.reader.place(&event.key)?;
        let name = event.key.slice(place.prefix.min(event.key.len())..);
        let read = |value| Arc::new(self.reader.read(place.space, &event.key, value, event.revision));
        Some(Decoded { space: place.space, name, item: event.value.map(read), revision: event.revision })
    }

    /// The items of a whole state by space. An item that is here already at its revision is not read again.
    fn decode_all(&self, entries: Vec<(Bytes, Entry)>) -> HashMap<Space, OrdMap<Bytes, Arc<T>>> {
        let mut spaces: HashMap<Space, OrdMap<Bytes, Arc<T>>> = HashMap::new();
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let stretch = entries.len().div_ceil(workers).max(FEW);
        let read = |entries: &[(Bytes, Entry)]| entries.iter().filter_map(|entry| self.recall(entry)).collect::<Vec<_>>();
        let decoded = std::thread::scope(|scope| {
            let parts: Vec<_> = entries.chunks(stretch).skip(1).map(|part| scope.spawn(move || read(part))).collect();
            let mut decoded = read(&entries[..stretch.min(entries.len())]);
            for part in parts {
                decoded.extend(part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            decoded
        });
        for Decoded { space, name, item, .. } in decoded {
            if let Some(item) = item {
                spaces.entry(space).or_default().insert(name, item);
            }
        }
        spaces
    }

    fn recall(&self, (key, entry): &(Bytes, Entry)) -> Option<Decoded<T>> {
        let place = self.reader.place(key)?;
        let held = self.item(place.space, key.get(place.prefix..)?);
        if let Some(item) = held.filter(|item| item.revision() == entry.revision) {
            let name = key.slice(place.prefix..);
            return Some(Decoded { space: place.space, name, item: Some(item), revision: entry.revision });
        }
        self.decode(Event { key: key.clone(), value: Some(entry.value.clone()), revision: entry.revision })
    }
}

impl<T: Item> Sink for View<T> {
    /// The first state, or the state after the log lost its place. What has changed meanwhile becomes events of `revision`, so
    /// that watchers go on; the revisions in between are unknown. If the log has gone *back*, all watchers are overtaken.
    fn reset(&self, revision: Revision, entries: Vec<(Bytes, Entry)>) {
        let mut spaces = self.decode_all(entries);
        let mut after = Aftermath::new();
        {
            let mut state = self.state.write();
            let backwards = revision <= state.revision && state.differs(&spaces);
            if state.revision == Revision(0) || backwards {
                state.base = revision;
                state.holes.clear();
            }
            let missing: Vec<Space> = spaces.keys().filter(|space| !state.shelves.contains_key(*space)).copied().collect();
            let base = state.base;
            state.shelves.extend(missing.into_iter().map(|space| (space, Shelf::new(base))));
            let (from, now) = (state.revision, Instant::now());
            for (space, shelf) in &mut state.shelves {
                let items = spaces.remove(space).unwrap_or_default();
                if from == Revision(0) || backwards {
                    shelf.restart(items, revision, &mut after);
                    continue;
                }
                let newer = Root { revision, items };
                for happening in (Root { revision: from, items: shelf.items.clone() }).difference(&newer) {
                    shelf.publish(happening, now, &mut after);
                }
                shelf.replace(newer.items, &mut after);
            }
            if from != Revision(0) && !backwards && revision.0 > from.0 + 1 {
                state.miss(from, revision);
            }
            state.revision = if backwards { revision } else { revision.max(from) };
            state.trim(&self.limits, now, &mut after);
            self.tide.set(state.revision);
        }
        self.tide.wake();
        after.finish();
    }

    fn apply(&self, revision: Revision, events: Vec<Event>) {
        let decoded: Vec<Decoded<T>> = events.into_iter().filter_map(|event| self.decode(event)).collect();
        let mut after = Aftermath::new();
        {
            let mut state = self.state.write();
            if revision <= state.revision {
                return;
            }
            let (seen, base, now) = (state.revision, state.base, Instant::now());
            let mut touched: Vec<Space> = Vec::with_capacity(4);
            for Decoded { space, name, item, revision } in decoded.into_iter().filter(|decoded| decoded.revision > seen) {
                let shelf = state.shelves.entry(space).or_insert_with(|| Shelf::new(base));
                if let Some(happening) = shelf.change(name, item, revision) {
                    shelf.publish(happening, now, &mut after);
                }
                if !touched.contains(&space) {
                    touched.push(space);
                }
            }
            for space in touched {
                if let Some(shelf) = state.shelves.get_mut(&space) {
                    shelf.mark(revision, now);
                }
            }
            state.revision = revision;
            state.trim(&self.limits, now, &mut after);
            self.tide.set(revision);
        }
        self.tide.wake();
        after.finish();
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

    /// Remembers that the events between were missed. Of many such holes only the newest are remembered one by one.
    fn miss(&mut self, begin: Revision, end: Revision) {
        self.holes.push((begin, end));
        if self.holes.len() > HOLES {
            let (_, end) = self.holes.remove(1);
            self.holes[0].1 = end;
        }
    }

    fn differs(&self, spaces: &HashMap<Space, OrdMap<Bytes, Arc<T>>>) -> bool {
        let same = |space: &Space, items: &OrdMap<Bytes, Arc<T>>| {
            let held = self.shelves.get(space).map(|shelf| &shelf.items);
            let equal = |held: &OrdMap<Bytes, Arc<T>>| {
                held.len() == items.len() && held.iter().zip(items).all(|(a, b)| a.0 == b.0 && Arc::ptr_eq(a.1, b.1))
            };
            held.map_or(items.is_empty(), equal)
        };
        let lost = self.shelves.iter().any(|(space, shelf)| !shelf.items.is_empty() && !spaces.contains_key(space));
        lost || !spaces.iter().all(|(space, items)| same(space, items))
    }

    /// Lets go what is too old, now and then, and what is over the budgets, at once.
    fn trim(&mut self, limits: &Limits, now: Instant, after: &mut Aftermath<T>) {
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

/// So many entries are not worth a thread, so many events not worth another search.
const FEW: usize = 256;

/// How often the old is swept out.
const SWEEP: Duration = Duration::from_secs(5);

/// How many holes are remembered one by one.
const HOLES: usize = 16;

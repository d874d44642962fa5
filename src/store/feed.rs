//! How the log feeds the view.

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use imbl::OrdMap;
use tokio::time::Instant;

use super::item::{Item, Space};
use super::root::Root;
use super::shelf::{Aftermath, Shelf};
use super::view::{State, View};
use super::{Entry, Event, Revision, Sink};

/// A decoded event.
struct Decoded<T> {
    space: Space,
    name: Bytes,
    item: Option<Arc<T>>,
    revision: Revision,
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

impl<T: Item> View<T> {
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

impl<T: Item> State<T> {
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
}

/// So many entries are not worth a thread.
const FEW: usize = 256;

/// How many holes are remembered one by one.
const HOLES: usize = 16;

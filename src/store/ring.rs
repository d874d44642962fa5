//! The recent past of one space, in order: numbered events of which the oldest go first.
//!
//! Every event has a sequence number that never repeats. `first` is the number of the oldest event still here, and all events
//! after the revision `floor` are here:
//!
//! ```text
//!   floor = 40          first = 7
//!   (gone: 1..6)  [ 7: rev 41 ] [ 8: rev 41 ] [ 9: rev 55 ]   next() = 10
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use super::item::{Happening, Item};
use super::{Gone, Revision};

pub(super) struct Ring<T: Item> {
    slots: VecDeque<Slot<T>>,
    first: u64,
    floor: Revision,
    bytes: usize,
}

struct Slot<T: Item> {
    happening: Arc<Happening<T>>,
    weight: usize,
    at: Instant,
}

impl<T: Item> Ring<T> {
    /// An empty ring: everything after `floor` will be here.
    pub(super) fn new(floor: Revision) -> Self {
        Self { slots: VecDeque::new(), first: 0, floor, bytes: 0 }
    }

    pub(super) fn push(&mut self, happening: Arc<Happening<T>>, at: Instant) {
        let weight = happening.weight();
        self.bytes += weight;
        self.slots.push_back(Slot { happening, weight, at });
    }

    /// Lets the oldest event go; readers that have not passed it are overtaken.
    pub(super) fn pop(&mut self) -> Option<Arc<Happening<T>>> {
        let slot = self.slots.pop_front()?;
        self.first += 1;
        self.bytes -= slot.weight;
        self.floor = self.floor.max(slot.happening.revision);
        Some(slot.happening)
    }

    /// Forgets everything and overtakes every reader, even one that has read all.
    pub(super) fn restart(&mut self, floor: Revision) -> Vec<Arc<Happening<T>>> {
        let dropped = self.slots.drain(..).map(|slot| slot.happening).collect::<Vec<_>>();
        self.first += dropped.len() as u64 + 1;
        self.floor = floor;
        self.bytes = 0;
        dropped
    }

    /// The event of a sequence number; `None` when there is none yet.
    ///
    /// # Errors
    /// [`Gone`] when it has been let go.
    pub(super) fn get(&self, sequence: u64) -> Result<Option<&Arc<Happening<T>>>, Gone> {
        let index = sequence.checked_sub(self.first).ok_or(Gone(self.floor))?;
        Ok(usize::try_from(index).ok().and_then(|index| self.slots.get(index)).map(|slot| &slot.happening))
    }

    /// The sequence number of the first event after `revision`.
    ///
    /// # Errors
    /// [`Gone`] when events after `revision` have been let go.
    pub(super) fn after(&self, revision: Revision) -> Result<u64, Gone> {
        if revision < self.floor {
            return Err(Gone(self.floor));
        }
        Ok(self.first + self.slots.partition_point(|slot| slot.happening.revision <= revision) as u64)
    }

    /// The events after `from` up to `to`, in order.
    pub(super) fn between(&self, from: Revision, to: Revision) -> Vec<Arc<Happening<T>>> {
        let begin = self.slots.partition_point(|slot| slot.happening.revision <= from);
        let end = self.slots.partition_point(|slot| slot.happening.revision <= to);
        self.slots.range(begin..end.max(begin)).map(|slot| slot.happening.clone()).collect()
    }

    /// The sequence number of the event that will come next.
    pub(super) fn next(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn floor(&self) -> Revision {
        self.floor
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// When the oldest event came.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.slots.front().map(|slot| slot.at)
    }
}

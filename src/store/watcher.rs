//! A reader's place in a space's events.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::Revision;
use super::bucket::{Bucket, Label, Ticket};
use super::item::{Gone, Happening, Item, Space};
use super::shelf::Shelf;
use super::view::View;

/// A reader's place in a space's events. No queue of its own: a writer never waits for it.
///
/// A watcher without a trigger walks along the ring. One with a trigger searches the ring once, up to where its bucket begins,
/// and from then on walks along the bucket, where nothing else lies than what is owed to it.
pub struct Watcher<T: Item> {
    view: Arc<View<T>>,
    space: Space,
    cursor: Cursor,
    /// Events up to here are not wanted.
    after: Revision,
    trigger: Option<Box<Label>>,
    ticket: Option<Ticket>,
}

/// Where a watcher stands.
#[derive(Clone, Copy)]
pub(super) enum Cursor {
    /// Before this event of the ring.
    Ring { next: u64 },
    /// Searching the ring for its value, up to the beginning of its bucket.
    Search { next: u64, until: u64, then: u64 },
    /// Before this event of its bucket.
    Bucket { next: u64 },
}

/// What a look at the space brought.
enum Step<T: Item> {
    Event(Arc<Happening<T>>),
    /// Searched for long enough without finding anything.
    Pause,
    /// Nothing is owed.
    Level,
}

impl<T: Item> Watcher<T> {
    /// A watcher that the view has counted in already.
    pub(super) fn new(view: Arc<View<T>>, space: Space, from: Revision, start: (Cursor, Option<Box<Label>>)) -> Self {
        Self { view, space, cursor: start.0, after: from, trigger: start.1, ticket: None }
    }

    /// The next event; pending while there is none. `Err` once the reader was overtaken by the ring.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Arc<Happening<T>>, Gone>> {
        let view = self.view.clone();
        let state = view.state.read();
        let Some(shelf) = state.shelves.get(&self.space) else { return Poll::Ready(Err(Gone(state.revision))) };
        match self.step(shelf) {
            Err(gone) => Poll::Ready(Err(gone)),
            Ok(Step::Event(happening)) => Poll::Ready(Ok(happening)),
            Ok(Step::Pause) => {
                drop(state);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            // Still under the read lock: no event can come between the look and the registration.
            Ok(Step::Level) => {
                let waiting = self.bucket(shelf).map_or(&shelf.waiting, |bucket| &bucket.waiting);
                let (ticket, replaced) = waiting.lock().register(self.ticket, context.waker());
                self.ticket = Some(ticket);
                drop(state);
                drop(replaced);
                Poll::Pending
            }
        }
    }

    /// Everything owed up to this revision has been delivered; the revision for a bookmark.
    pub fn position(&self) -> Revision {
        let state = self.view.state.read();
        let Some(shelf) = state.shelves.get(&self.space) else { return self.after };
        let owed = match (self.cursor, self.bucket(shelf)) {
            (Cursor::Search { next, until, .. }, _) if next < until => shelf.ring.get(next),
            (Cursor::Bucket { next } | Cursor::Search { then: next, .. }, Some(bucket)) => bucket.get(next, &shelf.ring),
            (Cursor::Ring { next }, _) => shelf.ring.get(next),
            (Cursor::Bucket { .. } | Cursor::Search { .. }, None) => return self.after,
        };
        match owed {
            Err(_) => self.after,
            // Of the next event's own revision, perhaps not all is delivered; of those before it, everything is.
            Ok(Some(happening)) => self.after.max(Revision(happening.revision.0.saturating_sub(1))),
            Ok(None) => self.after.max(state.revision),
        }
    }

    fn step(&mut self, shelf: &Shelf<T>) -> Result<Step<T>, Gone> {
        loop {
            match self.cursor {
                Cursor::Ring { next } => {
                    let Some(happening) = shelf.ring.get(next)? else { return Ok(Step::Level) };
                    self.cursor = Cursor::Ring { next: next + 1 };
                    if happening.revision > self.after {
                        return Ok(Step::Event(happening.clone()));
                    }
                }
                Cursor::Search { next, until, then } => {
                    if next < until {
                        return self.search(shelf, (next, until, then));
                    }
                    self.cursor = Cursor::Bucket { next: then };
                }
                Cursor::Bucket { next } => {
                    let Some(bucket) = self.bucket(shelf) else { return Err(Gone(shelf.ring.floor())) };
                    let Some(happening) = bucket.get(next, &shelf.ring)? else { return Ok(Step::Level) };
                    self.cursor = Cursor::Bucket { next: next + 1 };
                    if happening.revision > self.after {
                        return Ok(Step::Event(happening.clone()));
                    }
                }
            }
        }
    }

    /// Looks through a stretch of the ring for an event of the own value.
    fn search(&mut self, shelf: &Shelf<T>, (next, until, then): (u64, u64, u64)) -> Result<Step<T>, Gone> {
        let Some(label) = &self.trigger else { return Ok(Step::Level) };
        let end = until.min(next + STRETCH);
        for sequence in next..end {
            let Some(happening) = shelf.ring.get(sequence)? else { break };
            if happening.revision > self.after && happening.touches(label.field, &label.value) {
                self.cursor = Cursor::Search { next: sequence + 1, until, then };
                return Ok(Step::Event(happening.clone()));
            }
        }
        self.cursor = Cursor::Search { next: end, until, then };
        Ok(Step::Pause)
    }

    fn bucket<'a>(&self, shelf: &'a Shelf<T>) -> Option<&'a Bucket<T>> {
        self.trigger.as_deref().and_then(|label| shelf.buckets.get(label))
    }
}

impl<T: Item> Drop for Watcher<T> {
    fn drop(&mut self) {
        self.view.leave(self.space, self.trigger.as_deref(), self.ticket);
    }
}

/// How many events are searched at once: the lock is not held for longer.
const STRETCH: u64 = 256;

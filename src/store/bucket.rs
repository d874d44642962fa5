//! Who waits for what: lists of wakers, and the events owed to the watchers of one trigger value.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use hashbrown::{Equivalent, HashMap};
use parking_lot::Mutex;

use super::Gone;
use super::item::{Happening, Item};
use super::ring::Ring;

/// Wakers that are all taken at once. A watcher's [`Ticket`] says where its waker lies, and is void after the next taking.
#[derive(Default)]
pub(super) struct Waiting {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
    round: u64,
}

/// Where a waker lies, and in which round it was laid down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    round: u64,
    index: usize,
}

/// The trigger value of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Label {
    pub(super) field: u8,
    pub(super) value: Box<str>,
}

/// The events of one trigger value, kept while it has watchers: the same events as in the ring, for as long as the ring has them.
pub(super) struct Bucket<T: Item> {
    owed: VecDeque<(u64, Arc<Happening<T>>)>,
    first: u64,
    /// Everything from this sequence number of the ring on is here, beginning with the owed event number `origin`.
    pub(super) since: u64,
    pub(super) origin: u64,
    watchers: usize,
    pub(super) waiting: Mutex<Waiting>,
}

/// The buckets of one space.
pub(super) struct Buckets<T: Item> {
    buckets: HashMap<Label, Bucket<T>, foldhash::fast::RandomState>,
}

/// A borrowed [`Label`].
#[derive(Hash)]
struct Sought<'a> {
    field: u8,
    value: &'a str,
}

impl Waiting {
    /// Lays the waker down, in place of the one that the ticket names if that still lies there. The replaced one is handed back,
    /// because dropping a waker may drop a task, which must not happen under the lock.
    pub(super) fn register(&mut self, ticket: Option<Ticket>, waker: &Waker) -> (Ticket, Option<Waker>) {
        if let Some(ticket) = ticket.filter(|ticket| ticket.round == self.round)
            && let Some(Some(laid)) = self.wakers.get_mut(ticket.index)
        {
            let replaced = (!laid.will_wake(waker)).then(|| std::mem::replace(laid, waker.clone()));
            return (ticket, replaced);
        }
        let index = self.free.pop().unwrap_or(self.wakers.len());
        match self.wakers.get_mut(index) {
            Some(slot) => *slot = Some(waker.clone()),
            None => self.wakers.push(Some(waker.clone())),
        }
        (Ticket { round: self.round, index }, None)
    }

    /// Takes one waker away.
    pub(super) fn withdraw(&mut self, ticket: Ticket) -> Option<Waker> {
        let taken = self.wakers.get_mut(ticket.index).filter(|_| ticket.round == self.round)?.take();
        if taken.is_some() {
            self.free.push(ticket.index);
        }
        taken
    }

    /// Takes all of them.
    pub(super) fn take(&mut self) -> Vec<Option<Waker>> {
        if self.wakers.is_empty() {
            return Vec::new();
        }
        self.round += 1;
        self.free.clear();
        std::mem::take(&mut self.wakers)
    }
}

impl<T: Item> Bucket<T> {
    /// The owed event with this number; `None` when there is none yet.
    ///
    /// # Errors
    /// [`Gone`], with the ring's floor, when it has been let go.
    pub(super) fn get(&self, number: u64, ring: &Ring<T>) -> Result<Option<&Arc<Happening<T>>>, Gone> {
        let index = number.checked_sub(self.first).ok_or(Gone(ring.floor()))?;
        Ok(usize::try_from(index).ok().and_then(|index| self.owed.get(index)).map(|(_, happening)| happening))
    }

    /// The number of the first event owed to a reader that has read the ring up to this sequence number.
    pub(super) fn from(&self, sequence: u64) -> u64 {
        self.first + self.owed.partition_point(|(owed, _)| *owed < sequence) as u64
    }
}

impl<T: Item> Buckets<T> {
    pub(super) fn new() -> Self {
        Self { buckets: HashMap::default() }
    }

    pub(super) fn get(&self, label: &Label) -> Option<&Bucket<T>> {
        self.buckets.get(label)
    }

    /// Counts a watcher in; a new bucket begins at the sequence number `since`.
    pub(super) fn join(&mut self, label: &Label, since: u64) -> &Bucket<T> {
        let fresh = || Bucket { owed: VecDeque::new(), first: 0, since, origin: 0, watchers: 0, waiting: Mutex::default() };
        let bucket = self.buckets.entry(label.clone()).or_insert_with(fresh);
        bucket.watchers += 1;
        bucket
    }

    /// Counts a watcher out; the last one takes the bucket with it.
    ///
    /// The waker and the bucket are handed back, to be dropped outside of the lock.
    pub(super) fn leave(&mut self, label: &Label, ticket: Option<Ticket>) -> (Option<Waker>, Option<Bucket<T>>) {
        let Some(bucket) = self.buckets.get_mut(label) else { return (None, None) };
        bucket.watchers -= 1;
        if bucket.watchers == 0 {
            return (None, self.buckets.remove(label));
        }
        (ticket.and_then(|ticket| bucket.waiting.get_mut().withdraw(ticket)), None)
    }

    /// Puts an event into the buckets of its values and gathers who waits there.
    pub(super) fn put(&mut self, sequence: u64, happening: &Arc<Happening<T>>, wakers: &mut Vec<Vec<Option<Waker>>>) {
        self.each(happening, |bucket| {
            // An event that does not change the value names it twice.
            if bucket.owed.back().is_some_and(|(last, _)| *last == sequence) {
                return;
            }
            bucket.owed.push_back((sequence, happening.clone()));
            let waiting = bucket.waiting.get_mut().take();
            if !waiting.is_empty() {
                wakers.push(waiting);
            }
        });
    }

    /// Takes the event with this sequence number, the oldest of the ring, out again.
    pub(super) fn evict(&mut self, sequence: u64, happening: &Arc<Happening<T>>) {
        self.each(happening, |bucket| {
            if bucket.owed.front().is_some_and(|(oldest, _)| *oldest == sequence) {
                bucket.owed.pop_front();
                bucket.first += 1;
            }
        });
    }

    /// Overtakes every reader and gathers all who wait.
    pub(super) fn restart(&mut self, since: u64, wakers: &mut Vec<Vec<Option<Waker>>>) {
        for bucket in self.buckets.values_mut() {
            bucket.first += bucket.owed.len() as u64 + 1;
            bucket.owed.clear();
            bucket.since = since;
            bucket.origin = bucket.first;
            wakers.push(bucket.waiting.get_mut().take());
        }
    }

    fn each(&mut self, happening: &Happening<T>, mut visit: impl FnMut(&mut Bucket<T>)) {
        if self.buckets.is_empty() {
            return;
        }
        for item in [&happening.old, &happening.new].into_iter().flatten() {
            item.triggers(&mut |trigger| {
                if let Some(bucket) = self.buckets.get_mut(&Sought { field: trigger.field, value: trigger.value }) {
                    visit(bucket);
                }
            });
        }
    }
}

impl Equivalent<Label> for Sought<'_> {
    fn equivalent(&self, label: &Label) -> bool {
        self.field == label.field && *self.value == *label.value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Count(AtomicUsize);

    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_waker_is_replaced_withdrawn_and_taken_once() {
        let mut waiting = Waiting::default();
        let counts = [0; 3].map(|_| Arc::new(Count(AtomicUsize::new(0))));
        let wakers = counts.each_ref().map(|count| Waker::from(count.clone()));
        let (first, _) = waiting.register(None, &wakers[0]);
        assert_eq!(waiting.register(Some(first), &wakers[1]).0, first, "polled again, it keeps its place");
        let (second, _) = waiting.register(None, &wakers[2]);
        waiting.withdraw(second);
        let (third, _) = waiting.register(None, &wakers[2]);
        assert_eq!(second.index, third.index, "a place that is left is used again");
        waiting.withdraw(third);
        waiting.take().into_iter().flatten().for_each(Waker::wake);
        assert_eq!(counts.map(|count| count.0.load(Ordering::Relaxed)), [0, 1, 0]);
        assert!(waiting.withdraw(first).is_none(), "a ticket is void after the taking");
        assert_ne!(waiting.register(Some(first), &wakers[0]).0, first);
    }

    #[test]
    fn a_sought_label_hashes_as_the_label() {
        use std::hash::BuildHasher;
        let state = foldhash::fast::RandomState::default();
        let label = Label { field: 3, value: "node-1".into() };
        assert_eq!(state.hash_one(&label), state.hash_one(Sought { field: 3, value: "node-1" }));
    }
}

//! Turns: how many handshakes are under way. Where there is no turn left the oldest handshake gives way to the newest.
//!
//! Waiting for a turn would leave the turns to those who connect and say nothing: an honest handshake takes milliseconds, so the oldest
//! is one that nobody means to end.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// The turns of a listener.
pub(super) struct Turns {
    most: usize,
    taken: Mutex<Taken>,
}

/// One handshake's turn; free again when this is dropped.
pub(super) struct Turn<'t> {
    turns: &'t Turns,
    number: u64,
    ousted: oneshot::Receiver<()>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    /// By number, the oldest first.
    turns: VecDeque<(u64, oneshot::Sender<()>)>,
}

impl Turns {
    /// At most so many at once, and at least one.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), taken: Mutex::default() }
    }

    /// Takes a turn, from the oldest if need be.
    pub(super) fn take(&self) -> Turn<'_> {
        let (keep, ousted) = oneshot::channel();
        let mut taken = self.taken.lock();
        if taken.turns.len() >= self.most {
            taken.turns.pop_front();
        }
        let number = taken.next;
        taken.next += 1;
        taken.turns.push_back((number, keep));
        Turn { turns: self, number, ousted }
    }
}

impl Turn<'_> {
    /// Completes when the turn has been given to somebody else.
    pub(super) async fn ousted(&mut self) {
        // Nothing is ever sent: the sender is dropped.
        let _ = (&mut self.ousted).await;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self.turns.taken.lock();
        if let Ok(place) = taken.turns.binary_search_by_key(&self.number, |(number, _)| *number) {
            taken.turns.remove(place);
        }
    }
}

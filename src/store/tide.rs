//! Waiting until the view has reached a revision.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::Revision;

/// The newest revision, and who waits for a later one. Whoever waits is woken once, when its revision has come.
#[derive(Default)]
pub(super) struct Tide {
    revision: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    by_revision: BTreeMap<(Revision, u64), oneshot::Sender<()>>,
    next: u64,
}

/// Takes a waiter that gave up out of the list: a revision that never comes must cost nothing.
struct Withdraw<'a> {
    tide: &'a Tide,
    key: (Revision, u64),
}

impl Tide {
    pub(super) fn revision(&self) -> Revision {
        Revision(self.revision.load(Ordering::Acquire))
    }

    /// Sets the revision that readers see. The waiting are woken by [`Tide::wake`], outside of locks.
    pub(super) fn set(&self, revision: Revision) {
        self.revision.store(revision.0, Ordering::Release);
    }

    pub(super) fn wake(&self) {
        let reached = {
            let mut waiting = self.waiting.lock();
            if waiting.by_revision.is_empty() {
                return;
            }
            let later = waiting.by_revision.split_off(&(Revision(self.revision().0 + 1), 0));
            std::mem::replace(&mut waiting.by_revision, later)
        };
        for waiter in reached.into_values() {
            // The waiter may have given up meanwhile.
            let _ = waiter.send(());
        }
    }

    /// Completes when `revision` has been reached.
    pub(super) async fn reached(&self, revision: Revision) {
        while self.revision() < revision {
            let (sender, receiver) = oneshot::channel();
            let key = {
                let mut waiting = self.waiting.lock();
                waiting.next += 1;
                let key = (revision, waiting.next);
                waiting.by_revision.insert(key, sender);
                key
            };
            let _withdraw = Withdraw { tide: self, key };
            // The revision may have come before the waiter was in the list.
            if self.revision() >= revision {
                return;
            }
            let _ = receiver.await;
        }
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.lock().by_revision.len()
    }
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        self.tide.waiting.lock().by_revision.remove(&self.key);
    }
}

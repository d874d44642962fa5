//! What the writer has to do: filled by many tasks, emptied whole by one thread.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::store::{Change, Outcome, Revision, StoreError};

/// A piece of work and who waits for it.
pub(super) enum Job {
    Commit { change: Change, answer: Answer<Outcome>, room: OwnedSemaphorePermit },
    Compact { before: Revision, answer: Answer<()> },
}

/// Where an answer goes.
pub(super) type Answer<R> = oneshot::Sender<Result<R, StoreError>>;

/// The queue. Its room is bounded in bytes: a task waits for room before it may put something in.
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    filled: Condvar,
    room: Arc<Semaphore>,
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    closed: bool,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { queue: Mutex::default(), filled: Condvar::new(), room: Arc::new(Semaphore::new(ROOM)) }
    }

    /// Waits for room for so many bytes.
    pub(super) async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, StoreError> {
        let units = u32::try_from(1 + bytes / UNIT).unwrap_or(u32::MAX).min(ROOM as u32);
        self.room.clone().acquire_many_owned(units).await.map_err(|_| stopped())
    }

    /// Puts a job in.
    pub(super) fn put(&self, job: Job) -> Result<(), StoreError> {
        let mut queue = self.queue.lock();
        if queue.closed {
            return Err(stopped());
        }
        queue.jobs.push(job);
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    /// Everything there is, once there is something or the time has come; `None` when closed and empty.
    pub(super) fn take(&self, until: Option<Instant>) -> Option<Vec<Job>> {
        let mut queue = self.queue.lock();
        while queue.jobs.is_empty() && !queue.closed {
            match until {
                None => self.filled.wait(&mut queue),
                Some(until) => {
                    if self.filled.wait_until(&mut queue, until).timed_out() {
                        break;
                    }
                }
            }
        }
        let jobs = std::mem::take(&mut queue.jobs);
        (!jobs.is_empty() || !queue.closed).then_some(jobs)
    }

    /// Takes no more jobs; those that are in are still done.
    pub(super) fn close(&self) {
        self.queue.lock().closed = true;
        self.room.close();
        self.filled.notify_one();
    }

    /// Drops what nobody will do any more.
    pub(super) fn abandon(&self) {
        self.close();
        let jobs = std::mem::take(&mut self.queue.lock().jobs);
        drop(jobs);
    }
}

/// The answer when there is no writer.
pub(super) fn stopped() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}

/// Bytes of one unit of room, and how many units there are: 64 MiB in all.
const UNIT: usize = 1 << 10;
const ROOM: usize = 1 << 16;

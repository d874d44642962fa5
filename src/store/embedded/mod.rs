//! The log in one file.
//!
//! One writer thread compares every change against what is applied plus what is pending, writes in groups, and answers and
//! publishes only what is durable. One table `revision -> record`; the index of the keys is in memory; compaction removes
//! superseded records only. A failed write or fsync fails its whole group; the file is then opened and read again before anything
//! more is written. On a full disk a reserve beside the file is given back, so that deletions and small updates go on.
//!
//! `writer` has the order of things; `batch` decides, `index` knows every key, `disk` has the transactions, `record` the bytes,
//! `medium` the file, `inbox` the queue, `copy` snapshots and checks. Knows nothing of the view: it feeds a [`Sink`].

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{BoxFuture, Change, Log, Observer, Outcome, Revision, Sink, StoreError};

mod batch;
mod copy;
mod disk;
mod inbox;
mod index;
mod medium;
mod record;
mod writer;

pub use copy::{Bump, CopyError, Summary, check, restore, snapshot};
pub use medium::{Device, Medium};

use disk::Disk;
use inbox::{Inbox, Job};
use writer::{Writer, lost, tell};

/// How an embedded log keeps house.
#[derive(Clone)]
pub struct Options {
    /// Memory for pages of the file. The index and the view hold the data: a few MiB are enough.
    pub cache_bytes: usize,
    /// Space set aside beside the file for a full disk. 0 sets nothing aside.
    pub reserve_bytes: u64,
    /// The largest value that is taken.
    pub value_bytes: usize,
    /// Superseded records that are kept until compaction is asked for.
    pub history: usize,
    /// How many revisions the sink is told one by one after a start, so that watches find their place.
    pub replay: u64,
    /// Is told of every write to the disk.
    pub observer: Option<Observer>,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("another process has the store open")]
    InUse,
    /// It is no store, or it is damaged.
    #[error("the store's file is damaged or no store: {0}")]
    Corrupt(String),
    /// It is a database of something else.
    #[error("the file is a database of another program")]
    Foreign,
    /// The file system says no.
    #[error("the store's file cannot be used: {0}")]
    Io(String),
}

impl From<std::io::Error> for OpenError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

/// What a log takes at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Everything.
    Writable,
    /// Deletions and small updates: the disk is full.
    Full,
    /// Nothing: the disk has failed and cannot be read again yet, or the writer has.
    Failed,
}

/// The log in one file. Dropping it closes it: what has been taken is still written.
pub struct Embedded {
    shared: Arc<Shared>,
    value_bytes: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer and the callers share.
struct Shared {
    inbox: Inbox,
    revision: AtomicU64,
    condition: AtomicU8,
    /// For copies while the store is running.
    disk: Mutex<Option<Disk>>,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: 4 << 20, reserve_bytes: 8 << 20, value_bytes: 4 << 20, history: 20_000, replay: 4096, observer: None }
    }
}

impl Embedded {
    /// Opens the store in the file `path`, an empty one if there is none, and tells the sink what is in it. Blocks.
    ///
    /// # Errors
    /// [`OpenError`]; the file is as it was.
    pub fn open(path: &Path, options: Options, sink: Arc<dyn Sink>) -> Result<Arc<Self>, OpenError> {
        Self::open_on(Medium::File(path.to_owned()), options, sink)
    }

    /// The same on any medium, like memory.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_on(medium: Medium, options: Options, sink: Arc<dyn Sink>) -> Result<Arc<Self>, OpenError> {
        let disk = Disk::open(&medium, options.cache_bytes)?;
        let index = tell(&disk, options.replay, &*sink)?;
        let shared = Arc::new(Shared {
            inbox: Inbox::new(),
            revision: AtomicU64::new(index.revision),
            condition: AtomicU8::new(WRITABLE),
            disk: Mutex::new(Some(disk.clone())),
        });
        let value_bytes = options.value_bytes;
        let writer = Writer::new((medium, options), shared.clone(), sink, (disk, index));
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || writer.run());
        let thread = thread.map_err(|error| OpenError::Io(error.to_string()))?;
        Ok(Arc::new(Self { shared, value_bytes, thread: Mutex::new(Some(thread)) }))
    }

    /// The newest revision that is durable and published.
    pub fn revision(&self) -> Revision {
        Revision(self.shared.revision())
    }

    /// What the log takes at the moment.
    pub fn condition(&self) -> Condition {
        self.shared.condition()
    }

    /// Takes no more changes, finishes what has been taken and closes the file. Blocks for about as long as a write.
    pub fn close(&self) {
        self.shared.inbox.close();
        if let Some(thread) = self.thread.lock().take() {
            // A writer that has panicked has told so; there is nothing left to close.
            let _ = thread.join();
        }
        self.shared.withdraw_disk();
    }

    /// Writes a consistent copy of the running store to the file `to`, which must not exist. Blocks; the store goes on.
    ///
    /// # Errors
    /// [`CopyError`]; nothing is left behind at `to`.
    pub fn snapshot(&self, to: &Path) -> Result<Summary, CopyError> {
        let disk = self.shared.disk.lock().clone();
        let disk = disk.ok_or_else(|| CopyError::Open(OpenError::Io("the store is closed or has failed".to_owned())))?;
        copy::copy(&disk, to, Bump(0))
    }

    async fn take(&self, change: Change) -> Result<Outcome, StoreError> {
        if change.key.len() > KEY || change.value.as_ref().is_some_and(|value| value.len() > self.value_bytes) {
            return Err(StoreError::TooLarge);
        }
        let room = self.shared.inbox.room(change.key.len() + change.value.as_ref().map_or(0, Bytes::len)).await?;
        let (answer, answered) = oneshot::channel();
        self.shared.inbox.put(Job::Commit { change, answer, room })?;
        lost(answered.await)
    }
}

impl Log for Embedded {
    fn commit(&self, change: Change) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        Box::pin(self.take(change))
    }

    fn probe(&self) -> BoxFuture<'_, Result<Revision, StoreError>> {
        // What is acknowledged has been published before.
        Box::pin(std::future::ready(Ok(self.revision())))
    }

    fn compact(&self, before: Revision) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.shared.inbox.put(Job::Compact { before, answer })?;
            lost(answered.await)
        })
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    fn publish(&self, revision: u64) {
        self.revision.store(revision, Ordering::Release);
    }

    fn condition(&self) -> Condition {
        match self.condition.load(Ordering::Acquire) {
            WRITABLE => Condition::Writable,
            FULL => Condition::Full,
            _ => Condition::Failed,
        }
    }

    fn set_condition(&self, condition: Condition) {
        let code = match condition {
            Condition::Writable => WRITABLE,
            Condition::Full => FULL,
            Condition::Failed => FAILED,
        };
        self.condition.store(code, Ordering::Release);
    }

    fn lend_disk(&self, disk: &Disk) {
        *self.disk.lock() = Some(disk.clone());
    }

    fn withdraw_disk(&self) {
        let disk = self.disk.lock().take();
        drop(disk);
    }
}

const WRITABLE: u8 = 0;
const FULL: u8 = 1;
const FAILED: u8 = 2;

/// The longest key.
const KEY: usize = 16 << 10;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;

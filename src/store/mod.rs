//! One log, one revision, one view.
//!
//! [`Log`] is a log of changes in revision order with compare-and-set: etcd and the embedded store look the same from above.
//! [`View`] holds the newest state and the recent past in memory and serves every read and watch. [`Store`] joins the two: it
//! answers a write only after its own view has applied it, so that a client reads its own writes.
//!
//! The room owns: the order of changes, what is durable, how far back the past reaches, who is woken by which event, and the
//! proof that a read is fresh. The path of a change:
//!
//! ```text
//!   Store::commit --> Log::commit --> (etcd | embedded: one writer, group commit, fsync)
//!                                        |
//!   Watcher <-- ring, buckets <-- View::apply <-- Sink      one lock, all events of a revision at once
//!   Root    <-- maps, kept roots <---'
//! ```
//!
//! - `item`, `view`, `feed`, `shelf`, `ring`, `root`, `bucket`, `watcher`: the view, which is a [`Sink`].
//! - `join`, `probe`, `tide`, `pace`: [`Store`], the shared probe of consistent reads, waiting for a revision and for a follower.
//! - [`embedded`]: the log in one file. [`conformance`]: what every log promises, as tests.
//!
//! Knows neither HTTP nor Kubernetes nor JSON nor metrics: keys and values are bytes, what a value means is the reader's affair,
//! and whoever wants to count is called back.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

#[doc(hidden)]
pub mod conformance;
pub mod embedded;
pub mod etcd;

mod bucket;
mod digest;
mod feed;
mod item;
mod join;
mod pace;
mod probe;
mod ring;
mod root;
mod shelf;
mod tide;
mod view;
mod watcher;

pub use item::{Gone, Happening, Item, Place, Reader, Space, Trigger};
pub use join::{Store, open};
pub use pace::Pace;
pub use root::Root;
pub use view::{Limits, SpaceStats, Stats, View};
pub use watcher::Watcher;

/// A position in the log. Rises by every change, never falls, never repeats, and survives a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a commit demands of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The key does not exist.
    Absent,
    /// The key was last changed at this revision.
    At(Revision),
}

/// One change of one key.
#[derive(Clone, Debug)]
pub struct Change {
    /// The full key, like `/registry/pods/default/nginx`.
    pub key: Bytes,
    /// What must hold of the key.
    pub expect: Expect,
    /// The new value; `None` deletes.
    pub value: Option<Bytes>,
    /// Removes the key by itself after this time.
    pub ttl: Option<Duration>,
    /// Another key that must still have this revision: the Namespace a create was admitted under.
    pub guard: Option<(Bytes, Revision)>,
}

/// What became of a change. Losing a race is an answer, not an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It happened, at this revision.
    Committed(Revision),
    /// The key is not as expected; this is what it is.
    Conflict(Option<Entry>),
    /// The guard's key has another revision or is gone.
    Unguarded,
}

/// A key's value and when it was last changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Bytes,
    /// The revision of its last change.
    pub revision: Revision,
}

/// Why the store cannot answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The log cannot be reached or does not take writes; the change did not happen.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// No answer in time; the change may have happened.
    #[error("the store did not answer in time: {0}")]
    Timeout(String),
    /// The value is larger than the log takes.
    #[error("the value is too large for the store")]
    TooLarge,
    /// The asked revision lies in the future; the second is the newest that is known.
    #[error("revision {0} is in the future of {1}")]
    Future(Revision, Revision),
}

/// A boxed future, for the one `dyn` trait of this room.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A log of changes in revision order, with compare-and-set.
///
/// A log is made with the [`Sink`] that it feeds. `commit` may answer before or after the sink has seen the change.
pub trait Log: Send + Sync + 'static {
    /// Appends one change if its expectations hold. When neither the expectation nor the guard holds, the answer is
    /// [`Outcome::Conflict`]. Deleting what is expected to be absent is a conflict too.
    ///
    /// A commit whose caller goes away may still happen.
    fn commit(&self, change: Change) -> BoxFuture<'_, Result<Outcome, StoreError>>;

    /// A revision that is not older than any commit acknowledged, by anyone, before the call.
    fn probe(&self) -> BoxFuture<'_, Result<Revision, StoreError>>;

    /// Gives up the past before this revision. To give it up twice is no error.
    fn compact(&self, before: Revision) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// Where a log puts what happens, in revision order, from one thread at a time.
pub trait Sink: Send + Sync + 'static {
    /// Everything that exists at `revision`: at the start, or after the log lost its place.
    fn reset(&self, revision: Revision, entries: Vec<(Bytes, Entry)>);

    /// All events of the revisions up to `revision`, complete: nothing of these revisions follows later.
    fn apply(&self, revision: Revision, events: Vec<Event>);
}

/// One change as the log tells it.
#[derive(Clone, Debug)]
pub struct Event {
    /// The full key.
    pub key: Bytes,
    /// The new value; `None` for a deletion.
    pub value: Option<Bytes>,
    /// When.
    pub revision: Revision,
}

/// What a log or a store was busy with, for whoever counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A commit of a key that was expected to be absent.
    Create,
    /// A commit of a key that was expected at a revision.
    Update,
    /// A commit without a value.
    Delete,
    /// Asking the log for its newest revision.
    Probe,
    /// Giving up the past.
    Compact,
    /// Reading the whole state. Only etcd's log has it.
    List,
    /// Asking for a lease, likewise.
    Lease,
    /// Writing a group of changes to the disk, its fsync included. Only the embedded log has it.
    Batch,
}

impl Operation {
    /// The word for a label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Probe => "probe",
            Self::Compact => "compact",
            Self::List => "list",
            Self::Lease => "lease",
            Self::Batch => "batch",
        }
    }
}

/// How an operation ended, as a counter sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The log answered, be it with a conflict.
    Answered,
    /// It did not.
    Failed,
}

/// Is told of every operation and how long it took. Called on the path of the work: must be quick.
pub type Observer = std::sync::Arc<dyn Fn(Operation, Duration, Ending) + Send + Sync>;

#[cfg(test)]
mod join_tests;
#[cfg(test)]
mod view_tests;

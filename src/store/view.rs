//! The newest state and the recent past, in memory.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use imbl::OrdMap;

use super::{Change, Event, Log, Outcome, Revision, Sink, StoreError};

/// What the view keeps of a value.
pub trait Item: Send + Sync + Sized + 'static {
    /// Forms derived from an event (framed lines and the like), made on demand and shared by all watchers. They are dropped with the event.
    type Forms: Default + Send + Sync;

    /// Bytes held in memory, roughly.
    fn weight(&self) -> usize;

    /// Names each trigger value of this item: a watcher that fixes one of them is woken by nothing else.
    fn triggers(&self, each: &mut dyn FnMut(Trigger<'_>));
}

/// A field that a watcher may fix, and its value. The field is a small number whose meaning the item's owner knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trigger<'a> {
    /// Which field.
    pub field: u8,
    /// Its value.
    pub value: &'a str,
}

/// One resource's part of the key space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Space(pub u32);

/// Where a key belongs: its space, and where its name within the space begins (`/registry/pods/` is 15 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The space.
    pub space: Space,
    /// Bytes of the key before the name.
    pub prefix: usize,
}

/// How the view understands keys and values. Given by the room above.
pub trait Reader<T>: Send + Sync + 'static {
    /// The place of a key; `None` for keys of others, which only move the revision.
    fn place(&self, key: &[u8]) -> Option<Place>;

    /// The item of a value. An undecodable value is an item too: how it shows is the reader's affair.
    fn read(&self, space: Space, key: &[u8], value: Bytes, revision: Revision) -> T;
}

/// The state of one space at one revision. Cheap to clone, never changes.
pub struct Root<T> {
    /// When.
    pub revision: Revision,
    /// The items by name within the space, like `default/nginx`.
    pub items: OrdMap<Bytes, Arc<T>>,
}

impl<T> Clone for Root<T> {
    fn clone(&self) -> Self {
        Self { revision: self.revision, items: self.items.clone() }
    }
}

/// The asked revision is no longer (or was never) known; the oldest that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone(pub Revision);

/// One event of one key as the ring keeps it: what was, what is.
pub struct Happening<T: Item> {
    /// When.
    pub revision: Revision,
    /// The name within the space.
    pub name: Bytes,
    /// Before; `None` for a creation.
    pub old: Option<Arc<T>>,
    /// After; `None` for a deletion.
    pub new: Option<Arc<T>>,
    /// Derived forms.
    pub forms: T::Forms,
}

/// The newest state and the recent past of all spaces.
pub struct View<T: Item> {
    _items: std::marker::PhantomData<T>,
}

impl<T: Item> View<T> {
    /// The newest item of a name.
    pub fn item(&self, _space: Space, _name: &[u8]) -> Option<Arc<T>> {
        todo!()
    }

    /// The newest revision that is applied whole.
    pub fn revision(&self) -> Revision {
        todo!()
    }

    /// The newest state of a space.
    pub fn root(&self, _space: Space) -> Root<T> {
        todo!()
    }

    /// The state of a space at exactly `revision`.
    ///
    /// # Errors
    /// [`Gone`] when the ring and the kept roots do not reach so far back.
    pub fn root_at(&self, _space: Space, _revision: Revision) -> Result<Root<T>, Gone> {
        todo!()
    }

    /// Keeps a root for later [`View::root_at`], because its revision was handed out (`continue`).
    pub fn keep(&self, _space: Space, _root: &Root<T>) {
        todo!()
    }

    /// All events of a space after `from`, in order. With a trigger, events that have its value neither before nor after are left out.
    ///
    /// # Errors
    /// [`Gone`] when the ring no longer holds everything after `from`.
    pub fn watch(self: &Arc<Self>, _space: Space, _from: Revision, _trigger: Option<(u8, String)>) -> Result<Watcher<T>, Gone> {
        todo!()
    }
}

/// A reader's place in a space's events. No queue of its own: a writer never waits for it.
pub struct Watcher<T: Item> {
    _items: std::marker::PhantomData<T>,
}

impl<T: Item> Watcher<T> {
    /// The next event; pending while there is none. `Err` once the reader was overtaken by the ring.
    pub fn poll_next(&mut self, _context: &mut Context<'_>) -> Poll<Result<Arc<Happening<T>>, Gone>> {
        todo!()
    }

    /// Everything owed up to this revision has been delivered; the revision for a bookmark.
    pub fn position(&self) -> Revision {
        todo!()
    }
}

/// A log and its view.
pub struct Store<T: Item> {
    _items: std::marker::PhantomData<T>,
}

impl<T: Item> Store<T> {
    /// The view.
    pub fn view(&self) -> &Arc<View<T>> {
        todo!()
    }

    /// Commits, then waits until the view has applied what was committed (or the state that caused the conflict).
    ///
    /// # Errors
    /// Those of the log. A commit whose fate was unknown has been read back before this answers.
    pub async fn commit(&self, _change: Change) -> Result<Outcome, StoreError> {
        todo!()
    }

    /// Waits until the view holds every write acknowledged, by anyone, before the call. Waiters share one probe.
    ///
    /// # Errors
    /// When the log does not answer, or the view does not follow in time.
    pub async fn latest(&self) -> Result<Revision, StoreError> {
        todo!()
    }

    /// Waits until the view has reached `revision`, for `patience` at most.
    ///
    /// # Errors
    /// [`StoreError::Future`] when it has not.
    pub async fn reach(&self, _revision: Revision, _patience: Duration) -> Result<(), StoreError> {
        todo!()
    }
}

/// Joins a log and a view: `connect` makes the log, given the sink it feeds.
pub fn open<T: Item>(_reader: Arc<dyn Reader<T>>, _connect: impl FnOnce(Arc<dyn Sink>) -> Arc<dyn Log>) -> Arc<Store<T>> {
    let _: Option<Event> = None;
    todo!()
}

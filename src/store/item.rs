//! What the view keeps, and how the room above explains keys and values to it.

use std::sync::Arc;

use bytes::Bytes;

use super::Revision;

/// What the view keeps of a value.
pub trait Item: Send + Sync + Sized + 'static {
    /// Forms derived from an event (framed lines and the like), made on demand and shared by all watchers. They are dropped with
    /// the event.
    type Forms: Default + Send + Sync;

    /// Bytes held in memory, roughly.
    fn weight(&self) -> usize;

    /// When it was last changed: the revision that [`Reader::read`] was given.
    fn revision(&self) -> Revision;

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

impl<T: Item> Happening<T> {
    /// Bytes that the event keeps in memory, roughly and rather too many: both objects are counted, though one of them is
    /// usually shared with the newest state or the next event, because derived forms are about as large.
    pub(super) fn weight(&self) -> usize {
        let of = |item: &Option<Arc<T>>| item.as_deref().map_or(0, Item::weight);
        OVERHEAD + of(&self.old) + of(&self.new)
    }

    /// Whether the trigger's value is there before or after.
    pub(super) fn touches(&self, field: u8, value: &str) -> bool {
        let mut touched = false;
        for item in [&self.old, &self.new].into_iter().flatten() {
            item.triggers(&mut |trigger| touched |= trigger.field == field && trigger.value == value);
        }
        touched
    }
}

/// What an event costs besides its objects.
const OVERHEAD: usize = 192;

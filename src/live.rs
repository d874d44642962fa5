//! A value that is read by many and swapped whole.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// An immutable value behind a pointer that a reload replaces in one step.
///
/// Readers never wait and never see half a change. A reload builds the new value completely, then calls [`Live::swap`].
#[derive(Debug)]
pub struct Live<T>(ArcSwap<T>);

impl<T> Live<T> {
    /// Holds `value` until the first swap.
    pub fn new(value: T) -> Self {
        Self(ArcSwap::from_pointee(value))
    }

    /// The value of this moment; it stays what it is for as long as the caller keeps it.
    pub fn load(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// A cheaper look for one short use that does not cross an await.
    pub fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.0.load())
    }

    /// Replaces the value for all readers that come after.
    pub fn swap(&self, value: T) {
        self.0.store(Arc::new(value));
    }
}

impl<T: Default> Default for Live<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_keeps_what_it_loaded() {
        let live = Live::new(1);
        let before = live.load();
        live.swap(2);
        assert_eq!((*before, *live.load(), live.peek(|value| *value)), (1, 2, 2));
    }
}

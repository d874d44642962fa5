//! A walk over the selected objects of one root, in pieces: between two pieces it holds a key, not a place in the tree.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::Bytes;

use super::object::Object;
use super::select::Selection;
use crate::store::Root;

/// The objects of a root that a selection has, from a key on.
#[derive(Clone)]
pub(super) struct Walk {
    root: Root<Object>,
    selection: Selection,
    from: Bound<Bytes>,
    to: Bound<Bytes>,
    done: bool,
}

impl Walk {
    /// All selected objects whose name within the space follows `after` (exclusive; relative to the selection's prefix).
    pub(super) fn new(root: Root<Object>, selection: Selection, after: Option<&str>) -> Self {
        let prefix = selection.prefix();
        let from = match after {
            Some(after) => Bound::Included(Bytes::from(format!("{prefix}{after}"))),
            None => Bound::Included(Bytes::from(prefix.clone())),
        };
        let to = match prefix.strip_suffix('/') {
            Some(namespace) => Bound::Excluded(Bytes::from(format!("{namespace}0"))),
            None => Bound::Unbounded,
        };
        let mut walk = Self { root, selection, from, to, done: false };
        walk.done = walk.is_crossed();
        walk
    }

    /// Whether nothing is left.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Visits selected objects until `each` breaks or `budget` objects, selected or not, have been looked at.
    pub(super) fn advance(&mut self, budget: usize, mut each: impl FnMut(&Bytes, &Arc<Object>) -> ControlFlow<()>) {
        if self.done {
            return;
        }
        let mut last = None;
        let mut looked = 0;
        let range = self.root.items.range((self.from.clone(), self.to.clone()));
        for (name, object) in range {
            looked += 1;
            let flow = if self.selection.has(object) { each(name, object) } else { ControlFlow::Continue(()) };
            if flow.is_break() || looked == budget {
                last = Some(name.clone());
                break;
            }
        }
        match last {
            Some(name) => self.from = Bound::Excluded(name),
            None => self.done = true,
        }
    }

    /// How many objects are left, selected or not.
    pub(super) fn left(&self) -> usize {
        if self.done { 0 } else { self.root.items.range((self.from.clone(), self.to.clone())).count() }
    }

    /// A range that ends before it begins is refused by the tree.
    fn is_crossed(&self) -> bool {
        match (&self.from, &self.to) {
            (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to)) => from >= to,
            _ => false,
        }
    }
}

//! Whether the caller may: ceilings first, then RBAC and the node rules where the backend is ours.
//!
//! Pure decisions over immutable values; never awaits. Only this room builds a [`Permit`].

use std::sync::Arc;

use crate::identity::{Caller, Identity};
use crate::request::Attributes;

/// The right to do one thing. A backend serves nothing without one.
#[derive(Clone, Debug)]
pub struct Permit {
    who: Who,
    attributes: Arc<Attributes>,
}

#[derive(Clone, Debug)]
enum Who {
    Caller(Caller),
    Server(Purpose),
}

/// Why the server itself acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Objects that the server makes at its start and keeps right.
    Boot,
    /// The work of a controller manager, where there is none.
    Solo,
    /// Expiry of events, and repairs.
    Upkeep,
}

impl Permit {
    /// The identity that acts; `None` when it is the server itself.
    pub fn identity(&self) -> Option<&Identity> {
        match &self.who {
            Who::Caller(caller) => Some(caller.effective()),
            Who::Server(_) => None,
        }
    }

    /// What is permitted.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// The server's own right, audited as `system:apiserver`. Called from `app.rs` only.
    pub fn internal(purpose: Purpose, attributes: Attributes) -> Self {
        Self { who: Who::Server(purpose), attributes: Arc::new(attributes) }
    }
}

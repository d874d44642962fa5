//! Whether the caller may: ceilings first, then RBAC and the node rules where the backend is ours.
//!
//! Pure decisions over immutable values; never awaits. Only this room builds a [`Permit`]. Knows neither bodies nor the store:
//! [`Facts`] are handed in, and what the content type adds to a request comes as its [`Reach`].
//!
//! In reading order: [`authorizer`](Authorizer) asks, `ceiling` and `profile` cap, `node` and `facts` grant, `denied` says why
//! not.

mod ask;
mod authorizer;
pub mod bootstrap;
mod ceiling;
mod denied;
mod explain;
pub mod facts;
pub mod file;
pub mod graph;
mod impersonate;
mod node;
mod profile;
pub mod rbac;
#[cfg(test)]
mod recorded;
mod resolve;
mod rule;

use std::sync::Arc;

use crate::identity::{Caller, Identity};
use crate::request::Attributes;

pub use ask::{Ask, User};
pub use authorizer::{Authorizer, Decision, Mode};
pub use ceiling::Ceilings;
pub use denied::{Denied, Step};
pub use explain::Line;
pub use facts::Facts;
pub use resolve::{Mistake, Resolved};

/// The right to do one thing. A backend serves nothing without one.
#[derive(Clone, Debug)]
pub struct Permit {
    who: Who,
    attributes: Arc<Attributes>,
    creation: Option<Arc<Denied>>,
}

/// What a request can do besides what its method says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Nothing.
    #[default]
    AsAsked,
    /// It creates what is missing: an apply-PATCH, or a PUT of a kind that is created on update. Not of subresources.
    MayCreate,
}

#[derive(Clone, Debug)]
enum Who {
    Caller(Caller, Arc<str>),
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
        self.caller().map(|caller| &**caller.effective())
    }

    /// The real and the acting identity; `None` when it is the server itself.
    pub fn caller(&self) -> Option<&Caller> {
        match &self.who {
            Who::Caller(caller, _) => Some(caller),
            Who::Server(_) => None,
        }
    }

    /// Why the server acts; `None` when it is somebody else.
    pub fn purpose(&self) -> Option<Purpose> {
        match self.who {
            Who::Caller(..) => None,
            Who::Server(purpose) => Some(purpose),
        }
    }

    /// The component of the real identity: a label of metrics and logs.
    pub fn component(&self) -> &str {
        match &self.who {
            Who::Caller(_, component) => component,
            Who::Server(_) => "server",
        }
    }

    /// What is permitted.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Whether an update or a patch that finds nothing may create it. To be asked at that moment.
    ///
    /// # Errors
    /// The refusal, in the form that kube-apiserver gives it there.
    pub fn may_create(&self) -> Result<(), &Denied> {
        self.creation.as_deref().map_or(Ok(()), Err)
    }

    /// The server's own right, audited as `system:apiserver`. Called from `app.rs` only.
    pub fn internal(purpose: Purpose, attributes: Attributes) -> Self {
        Self { who: Who::Server(purpose), attributes: Arc::new(attributes), creation: None }
    }
}

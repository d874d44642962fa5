//! What is asked: method, path and query, read once into [`Attributes`].
//!
//! Pure: no body, no await, no identity. Never answers an error itself: what cannot be read is a [`Target::Path`] and goes on, so that
//! authentication answers first. The same reading is authorised and served.

mod accept;
mod duration;
mod fault;
mod options;
mod path;
mod query;
mod quote;
mod selector;

use std::fmt;

pub use accept::{Clause, Media, Untransformed};
pub use fault::{Fault, FaultKind};
pub use options::{
    CreateOptions, DeleteOptions, FieldValidation, GetOptions, ListOptions, PatchManner, PatchOptions, Precondition,
    UpdateOptions,
};
pub use path::segment_fault;
pub(crate) use path::unescape_segment;
pub use query::{BadQuery, Query};
pub(crate) use quote::is_printable;
pub use quote::quote;
pub use selector::{FieldSelector, FieldTerm, LabelSelector, Operator, Requirement, SelectorError};

/// What is asked, as authorization and the backends see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// What is to be done.
    pub verb: Verb,
    /// To what.
    pub target: Target,
}

/// The action, in Kubernetes' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
    /// The legacy `/api/v1/proxy/...` prefix.
    Proxy,
    /// HTTP methods of paths that are no resources, and methods Kubernetes has no verb for.
    Head,
    Post,
    Put,
    Options,
    Other,
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An API resource (kube-apiserver's "resource request").
    Resource(Resource),
    /// Any other path, decoded.
    Path(String),
}

/// A resource of the API as the URL names it. Empty strings are absent parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version in the path.
    pub version: String,
    /// The plural.
    pub resource: String,
    /// The subresource, like `status`.
    pub subresource: String,
    /// The namespace; for the resource `namespaces` also the name.
    pub namespace: String,
    /// The object's name; of a list or watch, the name its field selector fixes.
    pub name: String,
    /// What follows the subresource (`/proxy/a/b` -> `a/b`).
    pub rest: String,
    /// The raw first value of `fieldSelector`, for list, watch and deletecollection.
    pub field_selector: String,
    /// The raw first value of `labelSelector`, likewise.
    pub label_selector: String,
}

impl Attributes {
    /// Whether the answer may take as long as it likes: such requests have no deadline and are not counted as work in flight.
    pub fn is_long_running(&self) -> bool {
        match &self.target {
            Target::Resource(resource) => {
                matches!(self.verb, Verb::Watch | Verb::Proxy)
                    || matches!(resource.subresource.as_str(), "attach" | "exec" | "log" | "portforward" | "proxy")
            }
            Target::Path(path) => path.starts_with("/debug/pprof/"),
        }
    }
}

impl Verb {
    /// The verb as rules write it; empty for methods that have none.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Proxy => "proxy",
            Self::Head => "head",
            Self::Post => "post",
            Self::Put => "put",
            Self::Options => "options",
            Self::Other => "",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Resource {
    /// The resource without its subresource, as messages name it: `pods`, `deployments.apps`.
    pub fn qualified(&self) -> String {
        match self.group.as_str() {
            "" => self.resource.clone(),
            group => format!("{}.{group}", self.resource),
        }
    }
}

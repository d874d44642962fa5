//! What is asked: method, path and query, read once into [`Attributes`].
//!
//! Pure: no body, no await, no identity. Never answers an error itself: what cannot be read is a [`Target::Path`] and goes on, so that
//! authentication answers first. The same reading is authorised and served.

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

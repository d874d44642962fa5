//! Which resources exist: one table, built-in and custom.

use std::sync::Arc;

use crate::schema::Schema;
use crate::store::Space;

/// One served resource of one group version.
pub struct Kind {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version served.
    pub version: String,
    /// `Pod`
    pub kind: String,
    /// `pods`
    pub plural: String,
    /// `pod`
    pub singular: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// `po`
    pub short_names: Vec<String>,
    /// `all`
    pub categories: Vec<String>,
    /// The verbs in discovery's order (sorted).
    pub verbs: Vec<String>,
    /// Its subresources.
    pub subresources: Vec<Subresource>,
    /// The type.
    pub schema: Schema,
    /// Where and as which version it is stored; `None` for what is never stored (reviews, bindings).
    pub storage: Option<Storage>,
    /// What differs from kind to kind, as data.
    pub habits: Habits,
}

/// A subresource as discovery names it.
pub struct Subresource {
    /// `status`
    pub name: String,
    /// Group, version and kind of its body.
    pub gvk: (String, String, String),
    /// Its verbs, sorted.
    pub verbs: Vec<String>,
}

/// Where objects are kept.
pub struct Storage {
    /// `/registry/pods/`
    pub prefix: String,
    /// Its part of the view.
    pub space: Space,
    /// The stored version of the group.
    pub version: String,
}

/// Differences between kinds that data can say (contract 3.3-3.6).
#[derive(Clone, Debug, Default)]
pub struct Habits {
    /// A PUT of something missing creates it.
    pub create_on_update: bool,
    /// A PUT must carry a resourceVersion.
    pub conditional_update: bool,
    /// DELETE answers with the object, not a Status.
    pub delete_answers_object: bool,
    /// Unless told otherwise, dependents are orphaned.
    pub orphan_by_default: bool,
    /// `metadata.generation` is kept: 1 at creation, +1 when the spec changes.
    pub generation: bool,
    /// Has the status subresource, which isolates `status`.
    pub status: bool,
    /// `spec.replicas` and the path of the selector, where `scale` is served.
    pub scale: bool,
    /// Field selectors besides `metadata.name` and `metadata.namespace`.
    pub selectable: &'static [&'static str],
}

impl Kind {
    /// `pods` or `deployments.apps`: Go's GroupResource.
    pub fn group_resource(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// All served resources.
pub struct Catalog {
    kinds: Vec<Arc<Kind>>,
}

impl Catalog {
    /// The resources that v1.36 serves by default.
    pub fn builtin() -> Self {
        todo!()
    }

    /// The kind behind a path's group, version and plural.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.kinds.iter().find(|kind| kind.plural == plural && kind.group == group && kind.version == version)
    }

    /// All of them, in discovery's order.
    pub fn all(&self) -> &[Arc<Kind>] {
        &self.kinds
    }
}

//! Which resources exist: one table, built-in and custom.

mod fields;
mod table;

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hashbrown::{Equivalent, HashMap};

use super::object::Object;
use crate::schema::Schema;
use crate::store::{Place, Reader, Revision, Space};

pub use fields::Fields;

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
    /// Where the selectable fields stand in the stored object.
    pub fields: Arc<Fields>,
}

/// A subresource as discovery names it.
#[derive(Clone, Debug)]
pub struct Subresource {
    /// `status`
    pub name: String,
    /// Group, version and kind of its body.
    pub gvk: (String, String, String),
    /// Its verbs, sorted.
    pub verbs: Vec<String>,
}

/// Where objects are kept.
#[derive(Clone, Debug)]
pub struct Storage {
    /// `/registry/pods/`
    pub prefix: String,
    /// Its part of the view.
    pub space: Space,
    /// The group of the stored form: another one for `events.k8s.io`, whose objects are stored as the core group's.
    pub group: String,
    /// The stored version of that group.
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
    /// Serves `scale`: `spec.replicas` and the selector.
    pub scale: bool,
    /// Field selectors besides `metadata.name` and `metadata.namespace`.
    pub selectable: Vec<String>,
}

/// A group and its served versions, the preferred one first.
#[derive(Clone, Debug)]
pub struct Group {
    /// The group; empty for the core group.
    pub name: String,
    /// Its rank among groups (`groupPriorityMinimum`).
    pub priority: u32,
    /// The versions and their ranks (`versionPriority`).
    pub versions: Vec<(String, u32)>,
}

impl Kind {
    /// `pods` or `deployments.apps`: Go's GroupResource.
    pub fn group_resource(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Whether the kind serves this verb itself (not through a subresource).
    pub fn serves(&self, verb: &str) -> bool {
        self.verbs.iter().any(|served| served == verb)
    }

    /// The subresource of this name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }

    /// Whether its objects are stored in the form in which it serves them.
    pub fn is_stored_form(&self) -> bool {
        self.storage.as_ref().is_some_and(|storage| storage.version == self.version && storage.group == self.group)
    }

    /// An object's name within its space: `default/nginx`, or `node-1` at the cluster's scope.
    pub fn name_in_space(&self, namespace: &str, name: &str) -> String {
        if self.namespaced { format!("{namespace}/{name}") } else { name.to_owned() }
    }

    /// The store's key of an object; `None` for what is never stored.
    pub fn key(&self, namespace: &str, name: &str) -> Option<Bytes> {
        let storage = self.storage.as_ref()?;
        Some(Bytes::from(format!("{}{}", storage.prefix, self.name_in_space(namespace, name))))
    }
}

/// All served resources.
pub struct Catalog {
    kinds: Vec<Arc<Kind>>,
    groups: Vec<Group>,
    index: HashMap<Address, usize, foldhash::fast::RandomState>,
    /// By space: the kind in whose form the space's objects are stored.
    spaces: Vec<Arc<Kind>>,
    prefixes: HashMap<Vec<u8>, Space, foldhash::fast::RandomState>,
    undecodable: AtomicUsize,
}

impl Catalog {
    /// The resources that v1.36 serves by default.
    pub fn builtin() -> Self {
        let (groups, kinds) = table::builtin();
        Self::of(groups, kinds.into_iter().map(Arc::new).collect())
    }

    /// The kind behind a path's group, version and plural.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.index.get(&Asked(group, version, plural)).map(|&at| &self.kinds[at])
    }

    /// All of them, in discovery's order.
    pub fn all(&self) -> &[Arc<Kind>] {
        &self.kinds
    }

    /// The groups, in discovery's order; the core group first.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The kind in whose form the objects of a space are stored.
    pub fn stored(&self, space: Space) -> Option<&Arc<Kind>> {
        self.spaces.get(space.0 as usize)
    }

    /// The number of spaces; they are numbered from 0.
    pub fn spaces(&self) -> usize {
        self.spaces.len()
    }

    /// How many stored values could not be decoded since the start. While it is 0, no list has to look for them.
    pub fn undecodable(&self) -> usize {
        self.undecodable.load(Ordering::Relaxed)
    }

    fn of(groups: Vec<Group>, kinds: Vec<Arc<Kind>>) -> Self {
        let mut catalog = Self {
            groups,
            index: HashMap::default(),
            spaces: Vec::new(),
            prefixes: HashMap::default(),
            undecodable: AtomicUsize::new(0),
            kinds,
        };
        for (at, kind) in catalog.kinds.iter().enumerate() {
            let address = Address { group: kind.group.clone(), version: kind.version.clone(), plural: kind.plural.clone() };
            catalog.index.insert(address, at);
        }
        let mut stored: Vec<&Arc<Kind>> = catalog.kinds.iter().filter(|kind| kind.is_stored_form()).collect();
        stored.sort_by_key(|kind| kind.storage.as_ref().map(|storage| storage.space));
        for kind in stored {
            if let Some(storage) = &kind.storage {
                catalog.prefixes.insert(storage.prefix.clone().into_bytes(), storage.space);
                catalog.spaces.push(Arc::clone(kind));
            }
        }
        catalog
    }

    /// The space of the longest known prefix: of two segments after `/registry/`, then of one.
    fn space_of(&self, key: &[u8]) -> Option<(Space, usize)> {
        let rest = key.strip_prefix(ROOT)?;
        let first = ROOT.len() + memchr::memchr(b'/', rest)? + 1;
        let second = memchr::memchr(b'/', &key[first..]).map(|at| first + at + 1);
        let found = |end: usize| self.prefixes.get(&key[..end]).map(|space| (*space, end));
        second.and_then(found).or_else(|| found(first))
    }
}

impl Reader<Object> for Catalog {
    fn place(&self, key: &[u8]) -> Option<Place> {
        let (space, prefix) = self.space_of(key)?;
        let name = &key[prefix..];
        let slashes = memchr::memchr_iter(b'/', name).count();
        let fits = slashes == usize::from(self.stored(space)?.namespaced);
        let whole = !name.is_empty() && !name.starts_with(b"/") && !name.ends_with(b"/");
        (fits && whole).then_some(Place { space, prefix })
    }

    fn read(&self, space: Space, key: &[u8], value: Bytes, revision: Revision) -> Object {
        let Some(kind) = self.stored(space) else {
            return Object::undecodable(key, &value, revision, "no kind is stored here");
        };
        match Object::from_stored(kind, &value, revision) {
            Ok(object) => object,
            Err(cause) => {
                self.undecodable.fetch_add(1, Ordering::Relaxed);
                tracing::error!(key = %String::from_utf8_lossy(key), %cause, "a stored value cannot be decoded");
                let prefix = kind.storage.as_ref().map_or(0, |storage| storage.prefix.len()).min(key.len());
                Object::undecodable(&key[prefix..], &value, revision, &cause)
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Address {
    group: String,
    version: String,
    plural: String,
}

/// The same without owning: hashes as [`Address`] does, field by field.
#[derive(Hash)]
struct Asked<'a>(&'a str, &'a str, &'a str);

impl Equivalent<Address> for Asked<'_> {
    fn equivalent(&self, key: &Address) -> bool {
        self.2 == key.plural && self.0 == key.group && self.1 == key.version
    }
}

/// `v1` or `apps/v1`.
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

const ROOT: &[u8] = b"/registry/";

#[cfg(test)]
mod tests;

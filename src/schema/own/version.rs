//! An object in the versions of its kind.

use std::borrow::Cow;

use serde_json::Value;

use super::fields::{Comparison, compare};
use super::filter::Filter;
use super::managed::Managed;
use crate::schema::Schema;

/// Makes the versions of a kind from each other. Its callers are the writes of kinds that are served in more than one version.
pub trait Versions {
    /// The object (its `apiVersion` says what it is) in another version of its kind, with the type of that; `None` when that version is
    /// not, or no longer, served: entries of such a version are dropped with the next write, as kube-apiserver does.
    fn convert(&self, object: &Value, api_version: &str) -> Option<(Schema, Value)>;
}

/// A kind that is served in one version.
#[derive(Clone, Copy, Debug)]
pub struct OneVersion;

impl Versions for OneVersion {
    fn convert(&self, _object: &Value, _api_version: &str) -> Option<(Schema, Value)> {
        None
    }
}

/// An object and its type.
pub(super) struct Typed<'a> {
    pub(super) schema: Cow<'a, Schema>,
    pub(super) value: Cow<'a, Value>,
}

impl<'a> Typed<'a> {
    pub(super) fn new(schema: &'a Schema, value: Value) -> Self {
        Self { schema: Cow::Borrowed(schema), value: Cow::Owned(value) }
    }

    /// The object in a version; as it is, where it is of that.
    pub(super) fn at<'s>(&'s self, api_version: &str, versions: &impl Versions) -> Option<Typed<'s>> {
        if self.schema.gvk().api_version() == api_version {
            return Some(Typed { schema: Cow::Borrowed(&*self.schema), value: Cow::Borrowed(&*self.value) });
        }
        let (schema, value) = versions.convert(&self.value, api_version)?;
        Some(Typed { schema: Cow::Owned(schema), value: Cow::Owned(value) })
    }
}

/// An old and a new object, in the other versions in which somebody owns a field of them.
pub(super) struct Others {
    /// Sorted by version.
    pairs: Vec<(String, Option<Pair>)>,
}

struct Pair {
    schema: Schema,
    old: Value,
    new: Value,
}

/// How two objects differ, in every version in which somebody owns a field.
pub(super) struct Differences<'p, 'a> {
    own: (&'p str, &'p Comparison<'a>),
    others: Vec<(&'p str, Option<Comparison<'p>>)>,
}

impl Others {
    pub(super) fn of(managed: &Managed<'_>, own: &str, (old, new): (&Value, &Value), versions: &impl Versions) -> Self {
        let others = managed.entries.iter().map(|entry| &*entry.api_version).filter(|version| *version != own);
        let mut others: Vec<&str> = others.collect();
        others.sort_unstable();
        others.dedup();
        let pairs = others.into_iter().map(|version| {
            let pair = versions.convert(old, version).zip(versions.convert(new, version));
            (version.to_owned(), pair.map(|((schema, old), (_, new))| Pair { schema, old, new }))
        });
        Self { pairs: pairs.collect() }
    }

    /// The type of a version.
    pub(super) fn schema(&self, api_version: &str) -> Option<&Schema> {
        let place = self.pairs.binary_search_by(|(version, _)| version.as_str().cmp(api_version)).ok()?;
        self.pairs[place].1.as_ref().map(|pair| &pair.schema)
    }

    /// With what is different in the version of the request.
    pub(super) fn compare<'p, 'a>(
        &'p self,
        own: (&'p str, &'p Comparison<'a>),
        filter: &Filter,
    ) -> Result<Differences<'p, 'a>, String> {
        let mut others = Vec::with_capacity(self.pairs.len());
        for (version, pair) in &self.pairs {
            let compared = pair.as_ref().map(|pair| compare(&pair.schema, &pair.old, &pair.new)).transpose()?;
            others.push((version.as_str(), compared.map(|comparison| comparison.filtered(filter))));
        }
        Ok(Differences { own, others })
    }
}

impl<'p> Differences<'p, '_> {
    pub(super) fn at(&self, api_version: &str) -> Option<&Comparison<'p>> {
        if api_version == self.own.0 {
            return Some(self.own.1);
        }
        let place = self.others.binary_search_by(|(version, _)| (*version).cmp(api_version)).ok()?;
        self.others[place].1.as_ref()
    }
}

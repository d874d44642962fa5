//! managedFields of the scale subresource: who owns the number of replicas.

use std::borrow::Cow;

use serde_json::Value;

use super::managed::{Entry, Managed, Operation};
use super::set::FieldSet;
use super::stored::Fields;

/// Where the versions of a kind have their replicas.
#[derive(Clone, Copy, Debug)]
pub struct ScaleOf<'a> {
    /// apiVersion, and the path of names; an empty path where the version has no scale.
    pub paths: &'a [(&'a str, &'a [&'a str])],
    /// The version of the request's parent: `apps/v1`.
    pub api_version: &'a str,
}

/// The managedFields of a Scale, from those of the object that it scales: who owns the replicas owns `.spec.replicas`.
/// `None` where nobody does, or the object's entries cannot be read.
pub fn to_scale(parent: &Value, of: &ScaleOf<'_>) -> Option<Value> {
    let mut managed = Managed::of(parent).ok()?;
    managed.entries.retain_mut(|entry| {
        let owns = of.path(&entry.api_version).is_some_and(|path| !path.is_empty() && entry.fields.holds(&FieldSet::of(&[path])));
        entry.fields = Fields::Set(FieldSet::of(REPLICAS));
        entry.api_version = Cow::Borrowed(SCALE);
        owns
    });
    managed.write()
}

/// The managedFields of the object, once its Scale was written with these. `None` where there are none, or they cannot be read.
pub fn to_parent(parent: &Value, scale: &Value, of: &ScaleOf<'_>) -> Option<Value> {
    let (Ok(mut managed), Ok(mut scale)) = (Managed::of(parent), Managed::read(scale)) else { return None };
    managed.entries.retain_mut(|entry| {
        let Some(path) = of.path(&entry.api_version) else { return false };
        if path.is_empty() || !entry.fields.holds(&FieldSet::of(&[path])) {
            return true;
        }
        // By its version an entry of an update is another one in the Scale: even who keeps the field gets a second entry for it.
        if entry.owner.operation == Operation::Update || scale.take(&entry.owner, SCALE).is_none() {
            entry.fields.change(|set| set.difference(&FieldSet::of(&[path])));
        }
        !entry.fields.is_empty()
    });
    let path = of.path(of.api_version).unwrap_or_default();
    for entry in scale.entries.into_iter().filter(|entry| entry.fields.holds(&FieldSet::of(REPLICAS))) {
        // kube-apiserver looks for the time among the object's entries, and finds none.
        let fields = Fields::Set(FieldSet::of(&[path]));
        let entry = Entry { api_version: of.api_version.into(), fields, time: None, ..entry };
        match entry.owner.operation {
            Operation::Apply => managed.put(entry),
            Operation::Update => managed.entries.push(entry),
        }
    }
    managed.write()
}

impl<'a> ScaleOf<'a> {
    fn path(&self, api_version: &str) -> Option<&'a [&'a str]> {
        self.paths.iter().find(|(version, _)| *version == api_version).map(|(_, path)| *path)
    }
}

const SCALE: &str = "autoscaling/v1";

const REPLICAS: &[&[&str]] = &[&["spec", "replicas"]];

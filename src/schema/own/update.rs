//! What every write does to the entries: who changed a field owns it, nobody owns what is gone.

use std::borrow::Cow;

use serde_json::Value;

use super::conflict::Clash;
use super::element::Element;
use super::fields::{Comparison, compare};
use super::managed::{Entry, Managed, Operation, Owner};
use super::set::FieldSet;
use super::stored::Fields;
use super::version::{Differences, Others, Versions};
use super::{Context, Manager};
use crate::schema::Schema;

/// An object before and after.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) old: &'a Value,
    pub(super) new: &'a Value,
}

/// Enters a write that is no apply. Nothing is stamped when nothing changed.
///
/// # Errors
/// In words: an item of a list has not the keys by which it is known.
pub(super) fn update<'a, V: Versions>(
    context: &Context<'a, V>,
    Change { old, new }: Change<'a>,
    mut managed: Managed<'a>,
) -> Result<Managed<'a>, String> {
    let Context { schema, manager, filter, versions } = *context;
    let others = Others::of(&managed, manager.api_version, (old, new), versions);
    reconcile_all(&mut managed, (manager.api_version, schema), &others);
    let comparison = compare(schema, old, new)?.filtered(filter);
    let owner = manager.owner(Operation::Update);
    let own = managed.take(&owner, manager.api_version);
    settle(&mut managed, &others.compare((manager.api_version, &comparison), filter)?);
    let removed = comparison.removed;
    let gained = strip(comparison.modified.union(comparison.added));
    let empty = || Entry { owner, api_version: manager.api_version.into(), time: None, fields: Fields::default(), place: None };
    let mut own = own.unwrap_or_else(empty);
    if own.fields.meets(&removed) {
        own.fields.change(|set| set.difference(&removed));
    }
    if !gained.is_empty() {
        own.time = Some(Cow::Owned(manager.time.to_owned()));
        if !own.fields.holds(&gained) {
            own.fields.change(|set| gained.union(set));
        }
    }
    managed.entries.push(own);
    managed.drop_empty();
    managed.cap();
    Ok(managed)
}

impl<'a> Manager<'a> {
    pub(super) fn owner(&self, operation: Operation) -> Owner<'a> {
        let manager = if self.name.is_empty() { "unknown" } else { self.name };
        Owner { manager: manager.into(), operation, subresource: self.subresource.into() }
    }
}

/// The set without fields that nobody owns: what the server sets, and what says which object it is.
pub(super) fn strip(mut set: FieldSet<'_>) -> FieldSet<'_> {
    set.retain(|entry| match &entry.element {
        Element::Field(name) if matches!(&**name, "apiVersion" | "kind") => entry.member = false,
        Element::Field(name) if name == "metadata" => {
            entry.member = false;
            entry.children.retain(|entry| {
                let served = matches!(&entry.element, Element::Field(name) if SERVED.contains(&&**name));
                entry.member &= !served;
            });
        }
        _ => {}
    });
    set
}

/// Brings the sets in line with what the types are now. Entries of versions that are not served go.
pub(super) fn reconcile_all(managed: &mut Managed<'_>, (own, schema): (&str, &Schema), others: &Others) {
    managed.entries.retain_mut(|entry| {
        let schema = if entry.api_version == own { Some(schema) } else { others.schema(&entry.api_version) };
        let Some(schema) = schema else { return false };
        entry.fields.reconcile(schema);
        true
    });
}

/// Takes from every entry what changed or went. The answer is what was taken though it is still there.
pub(super) fn settle(managed: &mut Managed<'_>, differences: &Differences<'_, '_>) -> Vec<Clash> {
    let mut clashes = Vec::new();
    for entry in &mut managed.entries {
        let Some(Comparison { added, modified, removed }) = differences.at(&entry.api_version) else { continue };
        if entry.fields.meets(modified) || entry.fields.meets(added) {
            let set = entry.fields.set();
            clashes.push(Clash::of(entry, set.intersection(modified).union(set.intersection(added))));
            entry.fields.change(|set| set.difference(modified).difference(added));
        }
        if entry.fields.meets(removed) {
            entry.fields.change(|set| set.difference(removed));
        }
    }
    clashes
}

/// Members of `metadata` that are nobody's.
const SERVED: &[&str] = &[
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

//! Sets of fields in the light of a type.

use serde_json::Value;

use super::element::Element;
use super::kind::{Kind, Merge, Types};
use super::set::FieldSet;
use crate::schema::Schema;

/// The set with the declared members that lead to a field of it: `.spec` and `.spec.selector` where it had `.spec.selector.app` only.
pub(super) fn with_parents<'a>(schema: &Schema, mut set: FieldSet<'a>) -> FieldSet<'a> {
    let types = Types::of(schema);
    parents(types, Some(types.root(schema)), &mut set);
    set
}

/// The set as it would be today: what lies below a value that the type now has owned as a whole becomes that value.
pub(super) fn reconcile<'a>(schema: &Schema, mut set: FieldSet<'a>) -> FieldSet<'a> {
    let types = Types::of(schema);
    settle(types, types.root(schema), &mut set);
    set
}

/// Whether [`reconcile`] would leave the set alone. Of FieldsV1 as they are written.
pub(super) fn is_settled(schema: &Schema, fields: &Value) -> bool {
    let types = Types::of(schema);
    settled(types, types.root(schema), fields)
}

fn parents(types: Types<'_>, kind: Option<Kind<'_>>, set: &mut FieldSet<'_>) {
    set.retain(|entry| {
        if entry.children.is_empty() {
            return;
        }
        let below = kind.and_then(|kind| child(types, kind, &entry.element));
        if let (Some(kind), Element::Field(name)) = (kind, &entry.element) {
            entry.member |= kind.declares(name);
        }
        parents(types, below, &mut entry.children);
    });
}

fn settle(types: Types<'_>, kind: Kind<'_>, set: &mut FieldSet<'_>) {
    set.retain(|entry| {
        if entry.children.is_empty() {
            return;
        }
        match child(types, kind, &entry.element) {
            None | Some(Kind::Scalar(_) | Kind::Free) => {}
            Some(kind) if whole(kind) => {
                entry.member = true;
                entry.children = FieldSet::default();
            }
            Some(kind) => settle(types, kind, &mut entry.children),
        }
    });
}

fn settled(types: Types<'_>, kind: Kind<'_>, fields: &Value) -> bool {
    fields.as_object().into_iter().flatten().all(|(key, below)| {
        if below.as_object().is_none_or(|map| map.is_empty()) {
            return true;
        }
        let child = match (kind, key.strip_prefix("f:")) {
            (kind, Some(name)) => types.member(kind, name),
            (Kind::List { item, .. }, None) => Some(types.inner(item)),
            _ => None,
        };
        match child {
            None | Some(Kind::Scalar(_) | Kind::Free) => true,
            Some(kind) => !whole(kind) && settled(types, kind, below),
        }
    })
}

fn whole(kind: Kind<'_>) -> bool {
    match kind {
        Kind::List { merge, .. } => matches!(merge, Merge::Whole),
        Kind::Struct { whole, .. } | Kind::Map { whole, .. } => whole,
        Kind::Opaque => true,
        Kind::Scalar(_) | Kind::Free => false,
    }
}

fn child<'a>(types: Types<'a>, kind: Kind<'a>, element: &Element<'_>) -> Option<Kind<'a>> {
    match (kind, element) {
        (Kind::List { item, .. }, Element::Key(_) | Element::Value(_) | Element::Index(_)) => Some(types.inner(item)),
        (kind, Element::Field(name)) => types.member(kind, name),
        _ => None,
    }
}

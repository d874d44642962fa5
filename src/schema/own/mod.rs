//! Who owns which field: `metadata.managedFields` and server-side apply.
//!
//! Pure functions over objects and the table of types. Knows neither requests nor stores, and nothing of what a kind means. The rules are
//! those of `sigs.k8s.io/structured-merge-diff` v6 as kube-apiserver 1.36 uses it.
//!
//! A write calls one of [`on_create`], [`on_update`], [`on_apply`] with a [`Context`], after defaults and before admission, then
//! [`keep_times`] after admission. Objects are in the form that Go prints (`Schema::normalise`), in the version of the request.

use serde_json::{Map, Value, json};

mod apply;
mod check;
mod conflict;
mod element;
mod fields;
mod filter;
mod kind;
mod last;
mod managed;
mod merge;
mod prune;
mod scalar;
mod scale;
mod set;
mod stored;
mod typed;
mod update;
mod version;

pub use apply::{Applied, ApplyError, Force, on_apply, typed};
pub use check::check;
pub use conflict::{Conflict, Conflicts};
pub use element::{BadElement, Element};
pub use fields::{Comparison, compare, set_of};
pub use filter::{Filter, Pattern};
pub use managed::{Entry, Managed, Operation, Owner, Sent};
pub use merge::{merge, remove};
pub use scalar::Scalar;
pub use scale::{ScaleOf, to_parent, to_scale};
pub use set::{FieldSet, show};
pub use stored::Fields;
pub use version::{OneVersion, Versions};

use super::Schema;
use managed::Written;
use update::{Change, update};

/// Who writes.
#[derive(Clone, Copy, Debug)]
pub struct Manager<'a> {
    /// The request's fieldManager, else what its User-Agent says before the first `/`. Empty is `unknown`.
    pub name: &'a str,
    /// Empty for the object itself.
    pub subresource: &'a str,
    /// The version of the request: `apps/v1`.
    pub api_version: &'a str,
    /// Now, RFC 3339 in seconds.
    pub time: &'a str,
}

/// All that a write must know besides the objects.
#[derive(Debug)]
pub struct Context<'a, V> {
    /// The type of the request's version.
    pub schema: &'a Schema,
    /// Who writes.
    pub manager: &'a Manager<'a>,
    /// What the resource or subresource lets anybody own.
    pub filter: &'a Filter,
    /// The other versions of the kind.
    pub versions: &'a V,
}

impl<V> Clone for Context<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Context<'_, V> {}

/// The entries that a request starts from, and whose they were.
struct Claimed<'a> {
    managed: Managed<'a>,
    source: Source,
}

#[derive(Clone, Copy)]
enum Source {
    Request,
    Store,
}

/// Enters the creator of an object (POST, or a PUT that creates). The object is defaulted and normalised.
pub fn on_create<V: Versions>(context: &Context<'_, V>, new: &mut Value, sent: Sent) {
    let nothing = empty(context.schema);
    let list = claimed(&Value::Null, &sent, context.manager.subresource).managed;
    managed::take(new);
    let made = update(context, Change { old: &nothing, new }, list).map(Managed::write);
    managed::set(new, made.ok().flatten());
}

/// Enters a change of an object by PUT or by a patch that is no apply. The new object is defaulted and normalised; its managedFields are
/// those of `sent`, and it gets new ones.
///
/// An object without managedFields, or one whose client takes them away, is not tracked: it gets none.
pub fn on_update<V: Versions>(context: &Context<'_, V>, live: &Value, new: &mut Value, sent: Sent) {
    let nothing = Value::Null;
    let stored = live.pointer("/metadata/managedFields").unwrap_or(&nothing);
    managed::take(new);
    let Claimed { managed, source } = claimed(stored, &sent, context.manager.subresource);
    if managed.is_empty() {
        return;
    }
    let plan = update(context, Change { old: live, new }, managed).map(Managed::plan);
    let list = match (plan, source, sent) {
        (Ok(plan), Source::Request, Sent::Entries(Value::Array(mut list))) => {
            entries_of(plan, |place| list.get_mut(place).map(Value::take).unwrap_or_default())
        }
        (Ok(plan), ..) => entries_of(plan, |place| stored.get(place).cloned().unwrap_or_default()),
        // As kube-apiserver: a write does not fail because nobody can say who owns what.
        (Err(_), ..) => Some(stored.clone()).filter(|stored| !stored.is_null()),
    };
    managed::set(new, list);
}

/// Takes back new times of managedFields where nothing else changed, so that the write is none. For use after admission.
pub fn keep_times(old: &Value, new: &mut Value) {
    let lists = (old.pointer("/metadata/managedFields").and_then(Value::as_array), entries(new));
    let (Some(before), Some(after)) = lists else { return };
    let timeless =
        before.len() == after.len() && before.iter().zip(after).all(|(before, after)| members_same(before, after, "time"));
    if timeless && before != after && same_but_managed(old, new) {
        managed::set(new, Some(Value::Array(before.clone())));
    }
}

/// An empty object of the kind, as Go would print it.
fn empty(schema: &Schema) -> Value {
    let mut object = json!({ "apiVersion": schema.gvk().api_version(), "kind": &*schema.gvk().kind });
    schema.normalise(&mut object);
    object
}

/// The entries that a request starts from: its own, if they can be read, else the stored ones, if those can be.
fn claimed<'a>(stored: &'a Value, sent: &'a Sent, subresource: &str) -> Claimed<'a> {
    let given = match sent {
        Sent::Reset if subresource.is_empty() => Some(Managed::default()),
        Sent::Entries(list) if subresource.is_empty() => Managed::read(list).ok().filter(|managed| !managed.is_empty()),
        _ => None,
    };
    match given {
        Some(managed) => Claimed { managed, source: Source::Request },
        None => Claimed { managed: Managed::read(stored).unwrap_or_default(), source: Source::Store },
    }
}

fn entries_of(plan: Vec<Written>, mut from: impl FnMut(usize) -> Value) -> Option<Value> {
    let list: Vec<_> = plan.into_iter().map(|entry| entry.entry(&mut from)).collect();
    (!list.is_empty()).then_some(Value::Array(list))
}

fn entries(object: &Value) -> Option<&Vec<Value>> {
    object.pointer("/metadata/managedFields").and_then(Value::as_array)
}

fn same_but_managed(old: &Value, new: &Value) -> bool {
    let metadata = old.get("metadata").zip(new.get("metadata"));
    members_same(old, new, "metadata") && metadata.is_some_and(|(old, new)| members_same(old, new, "managedFields"))
}

/// Whether two objects have the same members but for one.
fn members_same(old: &Value, new: &Value, but: &str) -> bool {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else { return old == new };
    let others = |map: &'_ Map<String, Value>| map.len() - usize::from(map.contains_key(but));
    others(old) == others(new) && old.iter().all(|(name, value)| name == but || new.get(name) == Some(value))
}

/// Who owns what was there before the first apply to an object that nobody tracked.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

#[cfg(test)]
mod apply_tests;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod tests;

//! What goes from an object because its manager applied it once and does not any more.

use std::borrow::Cow;

use serde_json::Value;

use super::fields::set_of;
use super::managed::{Entry, Managed};
use super::merge::remove;
use super::set::FieldSet;
use super::typed::with_parents;
use super::version::{Typed, Versions};

/// The merged object without the fields and items that the manager applied before, does not apply now, and nobody else owns.
/// `managed` has what it applies now, `before` what it applied.
///
/// # Errors
/// In words.
pub(super) fn prune<'a>(
    merged: Typed<'a>,
    managed: &Managed<'_>,
    before: Option<&Entry<'_>>,
    versions: &impl Versions,
) -> Result<Value, String> {
    let Some(before) = before.filter(|before| !before.fields.is_empty()) else { return Ok(merged.value.into_owned()) };
    let Some(then) = merged.at(&before.api_version, versions) else { return Ok(merged.value.into_owned()) };
    let applied = with_parents(&then.schema, before.fields.set());
    let without = Typed { value: Cow::Owned(remove(&then.schema, &then.value, &applied)), schema: then.schema.clone() };
    let kept = keep_owned(&then, without, (managed, &before.api_version), versions)?;
    let Some(kept) = kept.at(&before.api_version, versions) else { return Ok(merged.value.into_owned()) };
    let gone = parted(&then)?.difference(&parted(&kept)?).intersection(&applied);
    let pruned = Typed { value: Cow::Owned(remove(&then.schema, &then.value, &gone)), schema: then.schema.clone() };
    let own = merged.schema.gvk().api_version();
    let back = pruned.at(&own, versions).ok_or_else(|| format!("failed to convert pruned object to {own}"))?;
    Ok(back.value.into_owned())
}

/// Puts back what somebody owns, version by version, the one that was pruned in first: what conversion needs must not be missing.
fn keep_owned<'a>(
    merged: &'a Typed<'_>,
    pruned: Typed<'a>,
    (managed, first): (&Managed<'_>, &str),
    versions: &impl Versions,
) -> Result<Typed<'a>, String> {
    let mut all: Vec<&str> = managed.entries.iter().map(|entry| &*entry.api_version).collect();
    all.sort_by_key(|version| (*version != first, *version));
    all.dedup();
    let mut pruned = pruned;
    for version in all {
        let there = merged.at(version, versions).zip(pruned.at(version, versions));
        let Some((whole, part)) = there else { continue };
        let owned = managed.entries.iter().filter(|entry| entry.api_version == version);
        let owned = owned.fold(FieldSet::default(), |set, entry| set.union(entry.fields.set()));
        let owned = with_parents(&whole.schema, owned);
        let gone = parted(&whole)?.difference(&parted(&part)?).difference(&owned).into_owned();
        let value = Cow::Owned(remove(&whole.schema, &whole.value, &gone));
        pruned = Typed { value, schema: Cow::Owned(whole.schema.into_owned()) };
    }
    Ok(pruned)
}

/// The fields of an object, with the members that lead to them.
fn parted<'s>(object: &'s Typed<'_>) -> Result<FieldSet<'s>, String> {
    Ok(with_parents(&object.schema, set_of(&object.schema, &object.value)?))
}

//! The fields of an entry as they came: most writes leave most entries alone, and those are neither read nor written anew.

use serde_json::Value;

use super::element::Element;
use super::set::FieldSet;
use super::typed::{is_settled, reconcile};
use crate::schema::Schema;

/// The fields of an entry.
#[derive(Clone, Debug)]
pub enum Fields<'a> {
    /// FieldsV1 in the form that [`FieldSet::to_value`] would give it.
    Stored(&'a Value),
    /// Read, and perhaps changed.
    Set(FieldSet<'a>),
}

impl<'a> Fields<'a> {
    /// Reads FieldsV1, if need be.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(fields: &'a Value) -> Result<Self, String> {
        if is_canonical(fields) { Ok(Self::Stored(fields)) } else { FieldSet::read(fields).map(Self::Set) }
    }

    /// The set of them.
    pub fn set(&self) -> FieldSet<'a> {
        match self {
            // What is canonical can be read.
            Self::Stored(fields) => FieldSet::read(fields).unwrap_or_default(),
            Self::Set(set) => set.clone(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Stored(fields) => fields.as_object().is_none_or(|map| map.is_empty()),
            Self::Set(set) => set.is_empty(),
        }
    }

    /// FieldsV1.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Stored(fields) => (*fields).clone(),
            Self::Set(set) => set.to_value(),
        }
    }

    /// Whether any of these fields is among them.
    pub(super) fn meets(&self, other: &FieldSet<'_>) -> bool {
        match self {
            Self::Stored(fields) => meets(fields, other),
            Self::Set(set) => !set.intersection(other).is_empty(),
        }
    }

    /// Whether all of these fields are among them.
    pub(super) fn holds(&self, other: &FieldSet<'_>) -> bool {
        match self {
            Self::Stored(fields) => holds(fields, other),
            Self::Set(set) => other.clone().difference(set).is_empty(),
        }
    }

    /// Makes others of them.
    pub(super) fn change(&mut self, change: impl FnOnce(FieldSet<'a>) -> FieldSet<'a>) {
        let set = match std::mem::take(self) {
            Self::Stored(fields) => FieldSet::read(fields).unwrap_or_default(),
            Self::Set(set) => set,
        };
        *self = Self::Set(change(set));
    }

    /// Brings them in line with what the type is now.
    pub(super) fn reconcile(&mut self, schema: &Schema) {
        if !matches!(self, Self::Stored(fields) if is_settled(schema, fields)) {
            self.change(|set| reconcile(schema, set));
        }
    }
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self::Set(FieldSet::default())
    }
}

impl PartialEq for Fields<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.set() == other.set()
    }
}

impl Eq for Fields<'_> {}

/// Whether a value is FieldsV1 as it would be written, so that a path can be looked up by its text.
fn is_canonical(fields: &Value) -> bool {
    let Value::Object(map) = fields else { return false };
    let said = |text: &str| Element::parse(text).is_ok_and(|element| element.text() == text);
    map.iter().all(|(key, below)| match key.as_bytes() {
        [b'.'] => map.len() > 1 && below.as_object().is_some_and(|below| below.is_empty()),
        [b'f', b':', ..] => is_canonical(below),
        [b'k' | b'v', b':', ..] => said(key) && is_canonical(below),
        _ => false,
    })
}

fn meets(fields: &Value, set: &FieldSet<'_>) -> bool {
    let few = fields.as_object().filter(|map| map.len() < set.entries().len());
    if let Some(map) = few {
        return map.iter().filter_map(|(key, below)| Some((Element::parse(key).ok()?, below))).any(|(element, below)| {
            let entry = set.get(&element);
            entry.is_some_and(|entry| (entry.member && is_member(below)) || meets(below, &entry.children))
        });
    }
    set.entries().iter().any(|entry| {
        let below = fields.get(entry.element.text());
        below.is_some_and(|below| (entry.member && is_member(below)) || meets(below, &entry.children))
    })
}

fn holds(fields: &Value, set: &FieldSet<'_>) -> bool {
    set.entries().iter().all(|entry| {
        let below = fields.get(entry.element.text());
        below.is_some_and(|below| (!entry.member || is_member(below)) && holds(below, &entry.children))
    })
}

/// Whether the path to a level is itself in the set.
fn is_member(level: &Value) -> bool {
    level.as_object().is_some_and(|map| map.is_empty() || map.contains_key("."))
}

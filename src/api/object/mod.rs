//! Bytes and their index: an object as the view keeps it.

pub mod frame;
mod read;
mod scan;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use serde_json::Value;

use super::catalog::{Fields, Kind};
use crate::store::{Item, Revision, Trigger};
use scan::{Found, Slot};

pub use frame::Frames;

/// An object: its JSON as clients read it, kept once, and the little that selectors, triggers and lists need to know.
///
/// The bytes begin `{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"7",`, so that a list item is a slice of them.
#[derive(Clone, Debug)]
pub struct Object {
    bytes: Bytes,
    revision: Revision,
    /// Name, namespace, uid, then the fields by path number, then keys and values of labels. Starts beyond `bytes` lie in `unescaped`.
    slots: Box<[Slot]>,
    unescaped: Option<Box<str>>,
    fields: Arc<Fields>,
    metadata: Slot,
    state: State,
    message: Length,
}

/// A length that is 0 until somebody has measured it.
#[derive(Debug, Default)]
struct Length(AtomicU32);

impl Clone for Length {
    fn clone(&self) -> Self {
        Self(AtomicU32::new(self.0.load(Ordering::Relaxed)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Live,
    /// Has a deletionTimestamp.
    Deleting,
    /// Cannot be decoded: `bytes` is what is stored, `unescaped` the name and the cause.
    Undecodable,
}

impl Object {
    /// Reads a stored value: JSON in our form is indexed by a scan; anything else (protobuf, another version) is decoded, defaulted and
    /// normalised first. The resourceVersion is put in place.
    ///
    /// # Errors
    /// What cannot be decoded, in words.
    pub fn from_stored(kind: &Kind, value: &Bytes, revision: Revision) -> Result<Self, String> {
        if let Some(object) = read::canonical(kind, value, revision) {
            return Ok(object);
        }
        let value = read::decoded(kind, value)?;
        Self::from_value(kind, &value, revision)
    }

    /// The object of a value in the kind's own form, which is normalised already.
    ///
    /// # Errors
    /// When the value is no object of this kind.
    pub fn from_value(kind: &Kind, value: &Value, revision: Revision) -> Result<Self, String> {
        let stored = Self::to_stored(value);
        read::canonical(kind, &stored, revision).ok_or_else(|| format!("not an object of kind {}", kind.kind))
    }

    /// Stands for a stored value that cannot be read: reads of it, and lists over it, answer 500.
    pub fn undecodable(name: &[u8], value: &Bytes, revision: Revision, cause: &str) -> Self {
        let name = String::from_utf8_lossy(name).into_owned();
        let (namespace, own) = name.split_once('/').unwrap_or(("", &name));
        let start = value.len();
        let slot = |at: usize, len: usize| Slot { start: clamp(start + at), len: clamp(len) };
        let slots = [slot(name.len() - own.len(), own.len()), slot(0, namespace.len()), Slot::default()];
        let metadata = slot(name.len(), cause.len());
        Self {
            bytes: value.clone(),
            revision,
            slots: Box::new(slots),
            unescaped: Some(format!("{name}{cause}").into_boxed_str()),
            fields: Arc::default(),
            metadata,
            state: State::Undecodable,
            message: Length::default(),
        }
    }

    /// The value to store: [`crate::schema::write`] of the object without its resourceVersion.
    pub fn to_stored(value: &Value) -> Bytes {
        let bytes = crate::schema::write(value);
        let versioned = value.get("metadata").is_some_and(|metadata| metadata.get("resourceVersion").is_some());
        if versioned { read::without_version(bytes).into() } else { bytes.into() }
    }

    /// Why this cannot be read, when it cannot: the name within its space, and the cause.
    pub fn fault(&self) -> Option<(&str, &str)> {
        if self.state != State::Undecodable {
            return None;
        }
        self.unescaped.as_deref().map(|text| text.split_at(text.len() - self.metadata.len as usize))
    }

    /// The whole JSON, without a newline.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The JSON as an item of a list of built-ins: without kind and apiVersion, and without its opening brace.
    pub fn item(&self) -> Bytes {
        self.bytes.slice(self.item_start()..)
    }

    /// The JSON of `metadata`, with its braces.
    pub fn metadata(&self) -> Bytes {
        let start = self.metadata.start as usize;
        self.bytes.slice(start..start + self.metadata.len as usize)
    }

    /// `metadata.name`
    pub fn name(&self) -> &str {
        self.text(self.slots[NAME])
    }

    /// `metadata.namespace`, empty at the cluster's scope.
    pub fn namespace(&self) -> &str {
        self.text(self.slots[NAMESPACE])
    }

    /// `metadata.uid`
    pub fn uid(&self) -> &str {
        self.text(self.slots[UID])
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        let mut labels = self.slots[(FIELDS + self.fields.len()).min(self.slots.len())..].chunks_exact(2);
        labels.find(|pair| self.text(pair[0]) == key).map(|pair| self.text(pair[1]))
    }

    /// The value of a selectable field by its selector name (`spec.nodeName`), "" when absent; `None` for fields the kind does not index.
    pub fn field(&self, name: &str) -> Option<&str> {
        match name {
            "metadata.name" => Some(self.name()),
            "metadata.namespace" => Some(self.namespace()),
            _ => self.fields.value(name, |path| self.slots.get(FIELDS + path).map(|slot| self.text(*slot))),
        }
    }

    /// When it was last changed: its resourceVersion.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Whether it has a deletionTimestamp.
    pub fn is_deleting(&self) -> bool {
        self.state == State::Deleting
    }

    /// The object parsed whole, with its resourceVersion. For writes only.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// How long its protobuf message is: `measure` is asked once.
    pub(in crate::api) fn message_length(&self, measure: impl FnOnce() -> usize) -> usize {
        match self.message.0.load(Ordering::Relaxed) {
            0 => {
                let length = measure();
                self.message.0.store(u32::try_from(length).unwrap_or_default(), Ordering::Relaxed);
                length
            }
            known => known as usize,
        }
    }

    /// The same object with another resourceVersion: what a DELETED event carries.
    #[must_use]
    pub fn at(&self, revision: Revision) -> Self {
        if self.state == State::Undecodable {
            return Self { revision, ..self.clone() };
        }
        let start = self.metadata.start as usize + 1 + VERSION.len();
        let Some(length) = memchr::memchr(b'"', &self.bytes[start..]) else { return self.clone() };
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(revision.0).as_bytes();
        let bytes = [&self.bytes[..start], digits, &self.bytes[start + length..]].concat();
        let shift = |slot: &Slot| match slot.start {
            0 => *slot,
            start => Slot { start: clamp(start as usize + digits.len() - length), len: slot.len },
        };
        Self {
            metadata: Slot { len: clamp(self.metadata.len as usize + digits.len() - length), ..self.metadata },
            slots: self.slots.iter().map(shift).collect(),
            bytes: bytes.into(),
            revision,
            message: Length::default(),
            ..self.clone()
        }
    }

    /// Puts the resourceVersion in place of a scanned object without one.
    fn splice(value: &[u8], found: &Found, fields: &Arc<Fields>, revision: Revision) -> Self {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(revision.0).as_bytes();
        let comma: &[u8] = if value[found.inside] == b'}' { b"\"" } else { b"\"," };
        let bytes = [&value[..found.inside], VERSION, digits, comma, &value[found.inside..]].concat();
        let grown = bytes.len() - value.len();
        let shift = |slot: Slot| match slot.start {
            0 => slot,
            start => Slot { start: clamp(start as usize + grown), len: slot.len },
        };
        let labels = found.labels.iter().flat_map(|(key, value)| [*key, *value]);
        let slots = [found.name, found.namespace, found.uid].into_iter().chain(found.fields.iter().copied()).chain(labels);
        Self {
            slots: slots.map(shift).collect(),
            unescaped: (!found.unescaped.is_empty()).then(|| found.unescaped.clone().into_boxed_str()),
            fields: Arc::clone(fields),
            metadata: Slot { start: found.metadata.start, len: clamp(found.metadata.len as usize + grown) },
            state: if found.deleting { State::Deleting } else { State::Live },
            bytes: bytes.into(),
            revision,
            message: Length::default(),
        }
    }

    /// Where `"metadata"` begins.
    pub(in crate::api) fn item_start(&self) -> usize {
        (self.metadata.start as usize).saturating_sub(MEMBER.len())
    }

    fn text(&self, slot: Slot) -> &str {
        let (start, len) = (slot.start as usize, slot.len as usize);
        if let Some(bytes) = self.bytes.get(start..start + len) {
            return std::str::from_utf8(bytes).unwrap_or_default();
        }
        let start = start - self.bytes.len();
        self.unescaped.as_deref().and_then(|text| text.get(start..start + len)).unwrap_or_default()
    }

    /// The name within its space.
    fn path(&self) -> String {
        match self.namespace() {
            "" => self.name().to_owned(),
            namespace => format!("{namespace}/{}", self.name()),
        }
    }
}

impl Item for Object {
    type Forms = Frames;

    fn weight(&self) -> usize {
        self.bytes.len() + self.slots.len() * size_of::<Slot>() + size_of::<Self>()
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn triggers(&self, each: &mut dyn FnMut(Trigger<'_>)) {
        each(Trigger { field: BY_NAME, value: &self.path() });
        if !self.namespace().is_empty() {
            each(Trigger { field: BY_NAMESPACE, value: self.namespace() });
        }
        if let Some(slot) = self.fields.trigger().and_then(|path| self.slots.get(FIELDS + path)) {
            each(Trigger { field: BY_NODE, value: self.text(*slot) });
        }
    }
}

fn clamp(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Trigger: the name within the space, `default/nginx`.
pub const BY_NAME: u8 = 0;
/// Trigger: the namespace.
pub const BY_NAMESPACE: u8 = 1;
/// Trigger: `spec.nodeName`, where the kind can be selected by it.
pub const BY_NODE: u8 = 2;

const NAME: usize = 0;
const NAMESPACE: usize = 1;
const UID: usize = 2;
const FIELDS: usize = 3;
const VERSION: &[u8] = b"\"resourceVersion\":\"";
const MEMBER: &[u8] = b"\"metadata\":";

#[cfg(test)]
mod tests;

//! Watch events as lines of JSON, made once per event for all watchers of it.

use std::sync::OnceLock;

use bytes::Bytes;

use super::Object;
use crate::schema::{protobuf_length, protobuf_member, protobuf_open};
use crate::store::Happening;

/// Forms of one event, made once for all watchers of it.
#[derive(Debug, Default)]
pub struct Frames {
    lines: [OnceLock<Bytes>; 3],
    metadata: OnceLock<Box<[OnceLock<Bytes>; 3]>>,
    binary: OnceLock<Box<[OnceLock<Bytes>; 3]>>,
}

/// What an event is to one watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

impl Change {
    /// `ADDED`, `MODIFIED`, `DELETED`
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// The object an event of this change carries: the new one, or the old one under the new version.
pub(in crate::api) fn carried(happening: &Happening<Object>, change: Change) -> Option<std::borrow::Cow<'_, Object>> {
    use std::borrow::Cow;
    match change {
        Change::Deleted => happening.old.as_deref().map(|old| Cow::Owned(old.at(happening.revision))),
        Change::Added | Change::Modified => happening.new.as_deref().map(Cow::Borrowed),
    }
}

/// The event's line in the stored form.
pub(in crate::api) fn line(happening: &Happening<Object>, change: Change) -> Bytes {
    let make = || carried(happening, change).map_or_else(Bytes::new, |object| whole(change, object.bytes()));
    happening.forms.lines[change as usize].get_or_init(make).clone()
}

/// The event's line as PartialObjectMetadata.
pub(in crate::api) fn metadata_line(happening: &Happening<Object>, change: Change) -> Bytes {
    let slots = happening.forms.metadata.get_or_init(Box::default);
    let make = || carried(happening, change).map_or_else(Bytes::new, |object| metadata(change, &object));
    slots[change as usize].get_or_init(make).clone()
}

/// The event's frame of the binary stream, in the stored form; `make` writes the object's document.
pub(in crate::api) fn binary_line(happening: &Happening<Object>, change: Change, make: impl Fn(&Object) -> Vec<u8>) -> Bytes {
    let slots = happening.forms.binary.get_or_init(Box::default);
    let frame = || {
        let mut out = Vec::new();
        if let Some(object) = carried(happening, change) {
            binary(change.word(), &make(&object), &mut out);
        }
        out.into()
    };
    slots[change as usize].get_or_init(frame).clone()
}

/// Appends a frame of the binary stream: length, then `WatchEvent { type = 1, object = 2: RawExtension { raw = 1 } }`.
pub(in crate::api) fn binary(word: &str, document: &[u8], out: &mut Vec<u8>) {
    let raw = protobuf_length(document.len());
    let event = protobuf_length(word.len()) + protobuf_length(raw);
    out.reserve(event + 4);
    out.extend_from_slice(&u32::try_from(event).unwrap_or(u32::MAX).to_be_bytes());
    protobuf_member(out, 1, word.as_bytes());
    protobuf_open(out, 2, raw);
    protobuf_member(out, 1, document);
}

/// `{"type":"ADDED","object":...}` and a newline, around an object's JSON.
pub(in crate::api) fn whole(change: Change, object: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(object.len() + 40);
    put(&mut line, change.word(), &[object]);
    line.into()
}

/// The same around an object's metadata.
pub(in crate::api) fn metadata(change: Change, object: &Object) -> Bytes {
    let mut line = Vec::with_capacity(object.metadata().len() + 128);
    put(&mut line, change.word(), &[PARTIAL, &object.metadata(), b"}"]);
    line.into()
}

/// Appends a line whose object comes in pieces.
pub(in crate::api) fn put(line: &mut Vec<u8>, word: &str, object: &[&[u8]]) {
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(word.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    for piece in object {
        line.extend_from_slice(piece);
    }
    line.extend_from_slice(b"}\n");
}

/// The version of PartialObjectMetadata whose lines are shared.
pub(in crate::api) const META: &str = "meta.k8s.io/v1";

/// The head of a PartialObjectMetadata, up to the value of `metadata`.
const PARTIAL: &[u8] = br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#;

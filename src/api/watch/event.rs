//! Events in the encoding and form of one watcher.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use crate::api::accept::{Accept, Form, Media};
use crate::api::answer;
use crate::api::catalog::Kind;
use crate::api::object::Object;
use crate::api::object::frame::{self, Change, PARTIAL};
use crate::api::render::Render;
use crate::api::table::Columns;
use crate::metrics::Counter;
use crate::status::Status;
use crate::store::{Happening, Revision};

/// Writes the events of one watch.
pub(super) struct Encoder {
    render: Render,
    media: Media,
    /// A Table's columns have been sent.
    told: bool,
    sent: Option<Counter>,
}

impl Encoder {
    /// Events are counted by `sent`, where there is somebody who counts.
    pub(super) fn new(kind: &Arc<Kind>, accept: &Accept, sent: Option<Counter>) -> Self {
        Self { render: Render::new(kind, accept), media: accept.media, told: false, sent }
    }

    /// Notes that so many events were handed out.
    pub(super) fn count(&self, events: u64) {
        if let Some(sent) = &self.sent {
            sent.add(events);
        }
    }

    /// An event of the ring. In the usual forms its bytes are shared by all watchers.
    pub(super) fn happening(&mut self, happening: &Happening<Object>, change: Change) -> Bytes {
        if self.media == Media::Json {
            if self.render.is_slice() {
                return frame::line(happening, change);
            }
            if self.render.form == Form::Metadata {
                return frame::metadata_line(happening, change);
            }
        }
        let mut out = Vec::new();
        if let Some(object) = frame::carried(happening, change) {
            self.object(change.word(), &object, &mut out);
        }
        out.into()
    }

    /// An event that carries this object.
    pub(super) fn object(&mut self, word: &str, object: &Object, out: &mut Vec<u8>) {
        if self.media == Media::Json && self.render.is_slice() {
            return frame::put(out, word, &[object.bytes()]);
        }
        let columns = (!std::mem::replace(&mut self.told, true)).then(|| Columns::of(&self.render.kind));
        let mut document = Vec::with_capacity(object.bytes().len());
        self.render.document(object, columns, &mut document);
        self.put(word, &document, out);
    }

    /// A bookmark: an object of the kind with nothing but a version, and perhaps the mark that the initial events are over.
    pub(super) fn bookmark(&mut self, revision: Revision, ends_initial: bool) -> Bytes {
        self.count(1);
        let kind = Arc::clone(&self.render.kind);
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if ends_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let mut out = Vec::new();
        if self.render.form == Form::Metadata {
            let text = metadata.to_string();
            self.put("BOOKMARK", &[PARTIAL, text.as_bytes(), b"}"].concat(), &mut out);
            return out.into();
        }
        let mut value = json!({"kind": kind.kind, "apiVersion": kind.api_version(), "metadata": metadata});
        kind.schema.normalise(&mut value);
        match (self.render.form, Object::from_value(&kind, &value, revision)) {
            (Form::Table(_), Ok(object)) => self.object("BOOKMARK", &object, &mut out),
            _ => self.put("BOOKMARK", &crate::schema::write(&value), &mut out),
        }
        out.into()
    }

    /// The event that tells why the stream ends.
    pub(super) fn error(&self, status: &Status) -> Bytes {
        let mut out = Vec::new();
        self.put("ERROR", status.to_json().trim_ascii_end(), &mut out);
        out.into()
    }

    fn put(&self, word: &str, document: &[u8], out: &mut Vec<u8>) {
        match self.media {
            Media::Json | Media::Yaml => frame::put(out, word, &[document]),
            // What has no protobuf form was refused before the stream began.
            Media::Protobuf => binary(word, &answer::protobuf(document).unwrap_or_default(), out),
        }
    }
}

/// A frame of the binary stream: length, then `WatchEvent { type = 1, object = 2: RawExtension { raw = 1 } }`.
fn binary(word: &str, object: &[u8], out: &mut Vec<u8>) {
    let mut raw = Vec::with_capacity(object.len() + 8);
    field(1, object, &mut raw);
    let mut event = Vec::with_capacity(raw.len() + 24);
    field(1, word.as_bytes(), &mut event);
    field(2, &raw, &mut event);
    out.extend_from_slice(&u32::try_from(event.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&event);
}

fn field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

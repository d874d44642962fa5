//! Events in the encoding and form of one watcher.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use crate::api::accept::{Accept, Form, Media};
use crate::api::answer;
use crate::api::catalog::Kind;
use crate::api::object::Object;
use crate::api::object::frame::{self, Change};
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
            if self.render.form == Form::Metadata(frame::META) {
                return frame::metadata_line(happening, change);
            }
        } else if self.render.is_slice() {
            return frame::binary_line(happening, change, |object| self.render.binary(object));
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
        if self.media == Media::Protobuf {
            return frame::binary(word, &self.render.binary(object), out);
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
        if let Form::Metadata(version) = self.render.form {
            let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": metadata});
            self.put("BOOKMARK", &crate::schema::write(&partial), &mut out);
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
            Media::Protobuf => frame::binary(word, &answer::protobuf(document).unwrap_or_default(), out),
        }
    }
}

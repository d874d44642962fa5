//! One object in the form that was asked for: whole, as metadata, or as a row of a table.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::accept::{Accept, Form, Include, Media};
use super::catalog::Kind;
use super::convert;
use super::object::Object;
use super::table::Columns;
use crate::schema::{Schema, protobuf_envelope};

/// Writes objects of one kind in one form.
#[derive(Clone)]
pub(super) struct Render {
    pub(super) kind: Arc<Kind>,
    pub(super) form: Form,
    include: Include,
    /// The type of metadata alone, where protobuf of it is wanted.
    partial: Option<Schema>,
}

impl Render {
    pub(super) fn new(kind: &Arc<Kind>, accept: &Accept) -> Self {
        let binary = accept.media == Media::Protobuf && matches!(accept.form, Form::Metadata(_) | Form::MetadataList(_));
        let partial = binary.then(|| Schema::builtin("meta.k8s.io", "v1", "PartialObjectMetadata")).flatten();
        Self { kind: Arc::clone(kind), form: accept.form, include: accept.include, partial }
    }

    /// The object as a protobuf document of its own.
    pub(super) fn binary(&self, object: &Object) -> Vec<u8> {
        let mut message = Vec::with_capacity(object.bytes().len());
        self.message(object, &mut message);
        match self.form {
            Form::Metadata(version) | Form::MetadataList(version) => {
                protobuf_envelope(version, "PartialObjectMetadata", &message)
            }
            _ => protobuf_envelope(&self.kind.api_version(), &self.kind.kind, &message),
        }
    }

    /// Appends the object's bare protobuf message, as lists have it.
    pub(super) fn message(&self, object: &Object, out: &mut Vec<u8>) {
        let encoded = match &self.partial {
            Some(partial) => partial.encode(&[b"{\"metadata\":".as_slice(), &object.metadata(), b"}"].concat(), out),
            None => self.kind.schema.encode(&whole(&self.kind, object), out),
        };
        if let Err(cause) = encoded {
            tracing::error!(%cause, name = object.name(), "an object cannot be written as protobuf");
        }
    }

    /// How long that message is. Objects that go out as they are kept remember it.
    pub(super) fn message_length(&self, object: &Object, scratch: &mut Vec<u8>) -> usize {
        let mut measure = || {
            scratch.clear();
            self.message(object, scratch);
            scratch.len()
        };
        if self.is_slice() { object.message_length(measure) } else { measure() }
    }

    /// Whether objects go out as they are kept.
    pub(super) fn is_slice(&self) -> bool {
        matches!(self.form, Form::Whole | Form::Groups) && self.kind.is_stored_form()
    }

    /// The object as a document of its own; a Table has its columns only if asked for.
    pub(super) fn document(&self, object: &Object, columns: Option<&Columns>, out: &mut Vec<u8>) {
        match self.form {
            Form::Whole | Form::Groups => out.extend_from_slice(&whole(&self.kind, object)),
            Form::Metadata(version) | Form::MetadataList(version) => metadata(version, object, out),
            Form::Table(version) => {
                let revision = object.revision().to_string();
                table_head(version, &json!({"resourceVersion": revision}), columns, out);
                self.row(object, out);
                out.extend_from_slice(b"]}");
            }
        }
    }

    /// The object as an item of a list, or a row of a table.
    pub(super) fn item(&self, object: &Object, out: &mut Vec<u8>) {
        match self.form {
            Form::Whole | Form::Groups if self.kind.is_stored_form() => {
                out.push(b'{');
                out.extend_from_slice(&object.bytes()[object.item_start()..]);
            }
            Form::Whole | Form::Groups => {
                let mut value = served(&self.kind, object);
                if let Some(members) = value.as_object_mut() {
                    members.remove("kind");
                    members.remove("apiVersion");
                }
                out.extend_from_slice(&serde_json::to_vec(&value).unwrap_or_default());
            }
            Form::Metadata(version) | Form::MetadataList(version) => metadata(version, object, out),
            Form::Table(_) => self.row(object, out),
        }
    }

    fn row(&self, object: &Object, out: &mut Vec<u8>) {
        out.push(b'{');
        Columns::of(&self.kind).row(&object.value(), Timestamp::now(), out);
        out.extend_from_slice(b",\"object\":");
        match self.include {
            Include::None => out.extend_from_slice(b"null"),
            Include::Object => out.extend_from_slice(&whole(&self.kind, object)),
            Include::Metadata => {
                if let Form::Table(version) = self.form {
                    metadata(version, object, out);
                }
            }
        }
        out.push(b'}');
    }
}

/// A scale as a Table or as its metadata alone.
pub(super) fn scale(accept: &Accept, scale: &Value) -> Vec<u8> {
    let partial = |version: &str| json!({"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": scale["metadata"]});
    let (Form::Table(version) | Form::Metadata(version) | Form::MetadataList(version)) = accept.form else {
        return crate::schema::write(scale);
    };
    let mut out = Vec::new();
    if !matches!(accept.form, Form::Table(_)) {
        return crate::schema::write(&partial(version));
    }
    let columns = Columns::of_scale();
    table_head(version, &json!({"resourceVersion": scale["metadata"]["resourceVersion"]}), Some(columns), &mut out);
    out.push(b'{');
    columns.row(scale, Timestamp::now(), &mut out);
    out.extend_from_slice(b",\"object\":");
    out.extend_from_slice(&match accept.include {
        Include::None => b"null".to_vec(),
        Include::Object => crate::schema::write(scale),
        Include::Metadata => crate::schema::write(&partial(version)),
    });
    out.extend_from_slice(b"}]}");
    out
}

/// A PartialObjectMetadata.
fn metadata(version: &str, object: &Object, out: &mut Vec<u8>) {
    for piece in [br#"{"kind":"PartialObjectMetadata","apiVersion":""#, version.as_bytes(), br#"","metadata":"#] {
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(&object.metadata());
    out.push(b'}');
}

/// The JSON of an object in the form in which `kind` serves it.
pub(super) fn whole(kind: &Kind, object: &Object) -> Bytes {
    if kind.is_stored_form() { object.bytes().clone() } else { crate::schema::write(&served(kind, object)).into() }
}

/// The value of an object in the form in which `kind` serves it.
pub(super) fn served(kind: &Kind, object: &Object) -> Value {
    let mut value = object.value();
    let Some(storage) = kind.storage.as_ref().filter(|_| !kind.is_stored_form()) else { return value };
    let from = (storage.group.as_str(), storage.version.as_str(), kind.kind.as_str());
    if let Err(cause) = convert::convert(from, (&kind.group, &kind.version, &kind.kind), &mut value) {
        tracing::error!(%cause, name = object.name(), "an object cannot be shown in another version");
    }
    value["apiVersion"] = kind.api_version().into();
    value
}

/// The beginning of a Table, up to the bracket of its rows. Without columns, `null` stands for them.
pub(super) fn table_head(version: &str, metadata: &Value, columns: Option<&Columns>, out: &mut Vec<u8>) {
    let head = format!(r#"{{"kind":"Table","apiVersion":"{version}","metadata":{metadata},"columnDefinitions":"#);
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(columns.map_or(b"null", |columns| &columns.definitions));
    out.extend_from_slice(b",\"rows\":[");
}

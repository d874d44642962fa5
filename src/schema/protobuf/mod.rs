//! Kubernetes protobuf: messages by the numbers of the table, and the envelope around a stored or sent object.

mod decode;
mod encode;
mod scan;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::table::Form;
use super::{ReadError, Reading, Schema};

/// The first bytes of everything in the envelope.
pub const MAGIC: [u8; 4] = *b"k8s\0";

impl Schema {
    /// The bare message, as it stands in lists and in other messages.
    pub fn protobuf_message(&self, value: &Value) -> Vec<u8> {
        let mut encoder = encode::Encoder::new(&self.table);
        if let (Form::Struct(members), Value::Object(map)) = (&self.root().form, value) {
            encoder.members(members, Some(map));
        }
        encoder.out
    }

    /// The protobuf form, with the envelope. `kind` and `apiVersion` are the value's; where it has none, the type's.
    pub fn protobuf(&self, value: &Value) -> Bytes {
        let text = |name| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let api_version = text("apiVersion").map_or_else(|| self.gvk.api_version(), str::to_owned);
        let kind = text("kind").unwrap_or(&self.gvk.kind);
        protobuf_envelope(&api_version, kind, &self.protobuf_message(value)).into()
    }

    /// Reads a bare message. `kind` and `apiVersion` are not in it.
    ///
    /// # Errors
    /// [`ReadError::Syntax`] when the bytes are no message of this type.
    pub fn read_protobuf_message(&self, message: &[u8]) -> Result<Value, ReadError> {
        let Form::Struct(members) = &self.root().form else { return Err(ReadError::Syntax("no message".to_owned())) };
        let mut map = Map::new();
        decode::Decoder::new(&self.table)
            .members(members, message, &mut map)
            .map_err(|why| ReadError::Syntax(why.to_string()))?;
        Ok(Value::Object(map))
    }

    /// A body with the envelope. An envelope that names another kind is not read further: only what it names comes back.
    pub(super) fn read_protobuf(&self, body: &[u8]) -> Result<Reading, ReadError> {
        let envelope = open(body)?;
        let api_version = if envelope.api_version.is_empty() { self.gvk.api_version() } else { envelope.api_version };
        let kind = if envelope.kind.is_empty() { self.gvk.kind.to_string() } else { envelope.kind };
        let mut value = Value::Object(Map::new());
        if self.is(&api_version, &kind) {
            value = self.read_protobuf_message(envelope.raw)?;
        }
        if let Value::Object(map) = &mut value {
            map.insert("apiVersion".to_owned(), Value::String(api_version));
            map.insert("kind".to_owned(), Value::String(kind));
        }
        Ok(Reading { value, faults: Vec::new() })
    }
}

/// A message in the envelope.
pub fn protobuf_envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + api_version.len() + kind.len() + 24);
    out.extend_from_slice(&MAGIC);
    let mut meta = Vec::with_capacity(api_version.len() + kind.len() + 4);
    protobuf_member(&mut meta, 1, api_version.as_bytes());
    protobuf_member(&mut meta, 2, kind.as_bytes());
    protobuf_member(&mut out, 1, &meta);
    protobuf_member(&mut out, 2, raw);
    protobuf_member(&mut out, 3, b"");
    protobuf_member(&mut out, 4, b"");
    out
}

/// Appends a length-delimited member: a string, bytes, or a message, such as an item of a list (number 2).
pub fn protobuf_member(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    encode::varint(out, u64::from(number) << 3 | 2);
    encode::varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// `apiVersion` and `kind` of a body, empty where the envelope has none.
pub(super) fn kind(body: &[u8]) -> Result<(String, String), ReadError> {
    open(body).map(|envelope| (envelope.api_version, envelope.kind))
}

struct Envelope<'b> {
    api_version: String,
    kind: String,
    raw: &'b [u8],
}

fn open(body: &[u8]) -> Result<Envelope<'_>, ReadError> {
    let fault = |why: &str| ReadError::Syntax(why.to_owned());
    let message = match body.strip_prefix(&MAGIC) {
        None if body.is_empty() => return Err(fault("empty data")),
        None => return Err(fault("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")),
        Some([]) => return Err(fault("empty body")),
        Some(message) => message,
    };
    decode::envelope(message).map_err(|why| ReadError::Syntax(why.to_string()))
}

#[cfg(test)]
mod tests;

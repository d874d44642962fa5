//! Kubernetes protobuf: messages by the numbers of the table, and the envelope around a stored or sent object.

mod decode;
mod encode;
mod scan;

pub(super) use encode::blank;

use serde_json::{Map, Value};

use super::json::Syntax;
use super::table::Form;
use super::{ReadError, Reading, Schema};

/// The first bytes of everything in the envelope.
pub const MAGIC: [u8; 4] = *b"k8s\0";

/// The end of the envelope: an empty content encoding and an empty content type.
pub const TAIL: [u8; 4] = [0x1a, 0, 0x22, 0];

impl Schema {
    /// Appends the bare message of an object's JSON, as it stands in lists and in other messages.
    ///
    /// # Errors
    /// [`ReadError::Syntax`] when the text is no JSON.
    pub fn encode(&self, json: &[u8], out: &mut Vec<u8>) -> Result<(), ReadError> {
        self.message(json, out).map(drop)
    }

    /// The protobuf form of an object's JSON, with the envelope. `kind` and `apiVersion` are the object's; where it has none, the type's.
    ///
    /// # Errors
    /// [`ReadError::Syntax`] when the text is no JSON.
    pub fn protobuf(&self, json: &[u8]) -> Result<Vec<u8>, ReadError> {
        let mut message = Vec::with_capacity(json.len());
        let said = self.message(json, &mut message)?;
        let api_version = said.api_version.unwrap_or_else(|| self.gvk.api_version());
        Ok(protobuf_envelope(&api_version, said.kind.as_deref().unwrap_or(&self.gvk.kind), &message))
    }

    fn message(&self, json: &[u8], out: &mut Vec<u8>) -> Result<encode::Said, ReadError> {
        let Form::Struct(members) = &self.root().form else { return Err(ReadError::Syntax("no message".to_owned())) };
        encode::message(&self.table, members, json, out).map_err(|Syntax(why)| ReadError::Syntax(why))
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
    protobuf_head(api_version, kind, raw.len(), &mut out);
    out.extend_from_slice(raw);
    out.extend_from_slice(&TAIL);
    out
}

/// Appends the beginning of the envelope of a message of so many bytes. After the message, [`TAIL`] ends it.
pub fn protobuf_head(api_version: &str, kind: &str, length: usize, out: &mut Vec<u8>) {
    let mut meta = Vec::with_capacity(api_version.len() + kind.len() + 4);
    protobuf_member(&mut meta, 1, api_version.as_bytes());
    protobuf_member(&mut meta, 2, kind.as_bytes());
    out.extend_from_slice(&MAGIC);
    protobuf_member(out, 1, &meta);
    protobuf_open(out, 2, length);
}

/// Appends tag and length of a length-delimited member whose content follows.
pub fn protobuf_open(out: &mut Vec<u8>, number: u32, length: usize) {
    encode::varint(out, u64::from(number) << 3 | 2);
    encode::varint(out, length as u64);
}

/// The bytes of a length-delimited member of so many bytes, with its tag and length; the number is below 16.
pub fn protobuf_length(content: usize) -> usize {
    1 + content + (content.max(1).ilog2() / 7) as usize + 1
}

/// Appends a length-delimited member: a string, bytes, or a message, such as an item of a list (number 2).
pub fn protobuf_member(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    protobuf_open(out, number, content.len());
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

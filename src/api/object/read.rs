//! From stored bytes to objects: our own form by a scan, everything else by decoding.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::{Object, scan};
use crate::api::catalog::{Fields, Kind};
use crate::api::{convert, kinds};
use crate::schema::{Encoding, Schema};
use crate::store::Revision;

/// JSON that begins as ours does: `kind`, `apiVersion` of the stored version, `metadata`, and has no resourceVersion.
pub(super) fn canonical(kind: &Kind, value: &Bytes, revision: Revision) -> Option<Object> {
    let value = value.trim_ascii_end();
    let head = head(value, kind)?;
    let found = scan::scan(value, head, &kind.fields)?;
    found.version.is_none().then(|| Object::splice(value, &found, &kind.fields, revision))
}

/// Anything else: protobuf, another version, JSON in another order. Defaulted and normalised.
pub(super) fn decoded(kind: &Kind, value: &Bytes) -> Result<Value, String> {
    let (encoding, api_version, name) = match value.strip_prefix(MAGIC) {
        Some(envelope) => {
            let (api_version, name) = type_meta(envelope).ok_or("the envelope cannot be read")?;
            (Encoding::Protobuf, api_version, name)
        }
        None => {
            let head: Head = serde_json::from_slice(value).map_err(|cause| cause.to_string())?;
            (Encoding::Json, head.api_version, head.kind)
        }
    };
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
    let own = group == kind.group && version == kind.version && name == kind.kind;
    let foreign;
    let schema = if own {
        &kind.schema
    } else {
        foreign = Schema::builtin(group, version, &name).ok_or_else(|| format!("{api_version} {name} is not known"))?;
        &foreign
    };
    let mut object = schema.read(value, encoding).map_err(|cause| cause.to_string())?.value;
    if !own {
        convert::convert((group, version, &name), (&kind.group, &kind.version, &kind.kind), &mut object)?;
    }
    kinds::default(kind, &mut object);
    kind.schema.normalise(&mut object);
    object["kind"] = Value::from(kind.kind.clone());
    object["apiVersion"] = Value::from(kind.api_version());
    Ok(object)
}

/// Cuts `metadata.resourceVersion` out of an object as [`crate::schema::write`] writes it.
pub(super) fn without_version(mut bytes: Vec<u8>) -> Vec<u8> {
    let Some(at) = memchr::memmem::find(&bytes, METADATA) else { return bytes };
    let Some(found) = scan::scan(&bytes, at + METADATA.len(), &Fields::default()) else { return bytes };
    if let Some((start, end)) = found.version {
        bytes.drain(start..end);
    }
    bytes
}

/// The length of `{"kind":"Pod","apiVersion":"v1","metadata":{`, when the value begins so.
fn head(value: &[u8], kind: &Kind) -> Option<usize> {
    let mut rest =
        value.strip_prefix(b"{\"kind\":\"")?.strip_prefix(kind.kind.as_bytes())?.strip_prefix(b"\",\"apiVersion\":\"")?;
    if !kind.group.is_empty() {
        rest = rest.strip_prefix(kind.group.as_bytes())?.strip_prefix(b"/")?;
    }
    let rest = rest.strip_prefix(kind.version.as_bytes())?.strip_prefix(b"\",\"metadata\":{")?;
    Some(value.len() - rest.len())
}

/// `apiVersion` and `kind` of a protobuf envelope (contract 1.4): field 1 of the envelope holds fields 1 and 2.
fn type_meta(envelope: &[u8]) -> Option<(String, String)> {
    let (field, type_meta) = bytes_field(envelope)?;
    if field != 1 {
        return None;
    }
    let (mut api_version, mut kind, mut rest) = (String::new(), String::new(), type_meta.0);
    while !rest.is_empty() {
        let (field, (text, tail)) = bytes_field(rest)?;
        let text = String::from_utf8(text.to_vec()).ok()?;
        match field {
            1 => api_version = text,
            2 => kind = text,
            _ => {}
        }
        rest = tail;
    }
    Some((api_version, kind))
}

/// A length-delimited field whose number and length are small: its number, its bytes, the rest.
fn bytes_field(from: &[u8]) -> Option<(u8, (&[u8], &[u8]))> {
    let (&tag, rest) = from.split_first()?;
    let (&length, rest) = rest.split_first()?;
    (tag & 7 == 2 && tag < 0x80 && length < 0x80).then_some(())?;
    Some((tag >> 3, rest.split_at_checked(usize::from(length))?))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
}

const MAGIC: &[u8] = b"k8s\0";
const METADATA: &[u8] = b",\"metadata\":{";

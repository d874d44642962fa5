//! From stored bytes to objects: our own form by a scan, everything else by decoding.

use bytes::Bytes;
use serde_json::Value;

use super::{Object, scan};
use crate::api::catalog::{Fields, Kind};
use crate::api::{convert, kinds};
use crate::schema::{self, Encoding, Schema};
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
    let encoding = if value.starts_with(MAGIC) { Encoding::Protobuf } else { Encoding::Json };
    let (api_version, name) = schema::kind_of(value, encoding).map_err(|cause| cause.to_string())?;
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

const MAGIC: &[u8] = b"k8s\0";
const METADATA: &[u8] = b",\"metadata\":{";

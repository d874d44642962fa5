//! What stands around the items of a list that is no JSON.

use serde_json::{Value, json};

use super::stream::Envelope;
use crate::schema::{Schema, TAIL, protobuf_head, yaml};
use crate::status::Status;

/// Around the items of a YAML list: `empty` is the JSON of the list without items, `name` what they are called.
///
/// # Errors
/// 500 when that is no JSON.
pub(super) fn yaml_of(empty: &[u8], name: &str) -> Result<Envelope, Status> {
    let text = yaml(empty).map_err(Status::internal)?;
    let (opening, empty) = if name == "rows" { ("rows:\n", "rows: []\n") } else { ("items:\n", "items: []\n") };
    let at = line(&text, empty).ok_or_else(|| Status::internal("a list without items"))?;
    let (head, tail) = (text[..at].to_vec(), text[at + empty.len()..].to_vec());
    Ok(Envelope { head, opening, empty, tail, number: 0 })
}

/// Around the items of a protobuf list, whose members take so many bytes.
///
/// # Errors
/// 500 when the metadata cannot be encoded.
pub(super) fn protobuf((version, kind): (&str, &str), metadata: &Value, length: usize) -> Result<Envelope, Status> {
    let list = Schema::builtin("", "v1", "PodList").ok_or_else(|| Status::internal("no list type"))?;
    let mut message = Vec::new();
    let json = json!({ "metadata": metadata }).to_string();
    list.encode(json.as_bytes(), &mut message).map_err(Status::internal)?;
    let mut head = Vec::new();
    protobuf_head(version, kind, message.len() + length, &mut head);
    if version == SWAPPED && kind == "PartialObjectMetadataList" {
        // Items first, and metadata under the second number.
        message[0] = 2 << 3 | 2;
        message.extend_from_slice(&TAIL);
        return Ok(Envelope { head, tail: message, number: 1, ..Envelope::default() });
    }
    head.append(&mut message);
    Ok(Envelope { head, tail: TAIL.to_vec(), number: 2, ..Envelope::default() })
}

/// Where a line begins.
fn line(text: &[u8], line: &str) -> Option<usize> {
    let starts = memchr::memmem::find_iter(text, line.as_bytes());
    starts.into_iter().find(|at| *at == 0 || text[at - 1] == b'\n')
}

/// The version in which the members of a list of metadata stand the other way around.
const SWAPPED: &str = "meta.k8s.io/v1beta1";

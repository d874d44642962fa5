//! The node ports that are taken: one bitmap under one key, a `RangeAllocation` as kube-apiserver keeps it, so that either can take over.
//!
//! Changed by compare-and-set. What was last read is remembered; a refusal is only said of what has just been read.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::api::{Api, refusal};
use crate::schema::MAGIC;
use crate::status::Status;
use crate::store::{Change, Expect, Outcome, Revision};

/// What is known of the bitmap.
#[derive(Debug, Default)]
pub(crate) struct NodePorts {
    known: Mutex<Option<Known>>,
    /// Ports that no service had when last looked.
    suspects: Mutex<Ports>,
}

/// The bitmap at a revision.
#[derive(Clone, Debug)]
struct Known {
    revision: Revision,
    value: Bytes,
}

/// Ports by number.
pub(super) type Ports = BTreeSet<u16>;

/// What an edit of the bitmap came to.
pub(super) enum Edit<T> {
    /// Write it.
    Done(T),
    /// As it stands this cannot be; nothing is written.
    Refused(T),
}

/// Edits the ports that are taken, until nobody else was faster.
///
/// # Errors
/// What the store says.
pub(super) async fn edit<T>(api: &Api, mut change: impl FnMut(&mut Ports) -> Edit<T> + Send) -> Result<T, Status> {
    let mut read = false;
    for _ in 0..ATTEMPTS {
        let known = api.node_ports.get();
        let mut ports =
            known.as_ref().and_then(|known| decode(&known.value, api.settings.node_ports)).unwrap_or_else(|| of_services(api));
        let before = ports.clone();
        let done = match change(&mut ports) {
            Edit::Done(done) if ports == before => return Ok(done),
            Edit::Done(done) => done,
            Edit::Refused(refused) if read => return Ok(refused),
            Edit::Refused(_) => {
                refresh(api).await?;
                read = true;
                continue;
            }
        };
        let expect = known.map_or(Expect::Absent, |known| Expect::At(known.revision));
        let value = encode(&ports, api.settings.node_ports);
        read = true;
        match commit(api, (expect, value.clone())).await? {
            Outcome::Committed(revision) => {
                api.node_ports.set(Some(Known { revision, value }));
                return Ok(done);
            }
            Outcome::Conflict(current) => {
                api.node_ports.set(current.map(|entry| Known { revision: entry.revision, value: entry.value }));
            }
            Outcome::Unguarded => {}
        }
    }
    Err(Status::internal("the node ports that are taken could not be written"))
}

/// Adds the ports of services that the bitmap lacks, and takes away those that no service has had in two passes.
///
/// # Errors
/// What the store says.
pub(super) async fn repair(api: &Api) -> Result<(), Status> {
    let used = of_services(api);
    let suspects = api.node_ports.suspects();
    let leaked = edit(api, |ports| {
        ports.extend(&used);
        let leaked: Ports = ports.difference(&used).copied().collect();
        ports.retain(|port| used.contains(port) || !suspects.contains(port));
        Edit::Done(leaked)
    })
    .await?;
    api.node_ports.suspect(leaked.difference(&suspects).copied().collect());
    Ok(())
}

/// The ports of the services that the view knows.
pub(super) fn of_services(api: &Api) -> Ports {
    let Some(storage) = api.catalog.find("", "v1", "services").and_then(|kind| kind.storage.as_ref()) else {
        return Ports::new();
    };
    let root = api.store.view().root(storage.space);
    root.items.values().flat_map(|service| super::port::taken(&service.value()["spec"])).collect()
}

/// Reads what is stored: a create that cannot happen tells it.
async fn refresh(api: &Api) -> Result<(), Status> {
    let value = encode(&of_services(api), api.settings.node_ports);
    let known = match commit(api, (Expect::Absent, value.clone())).await? {
        Outcome::Committed(revision) => Some(Known { revision, value }),
        Outcome::Conflict(current) => current.map(|entry| Known { revision: entry.revision, value: entry.value }),
        Outcome::Unguarded => None,
    };
    api.node_ports.set(known);
    Ok(())
}

async fn commit(api: &Api, (expect, value): (Expect, Bytes)) -> Result<Outcome, Status> {
    let change = Change { key: Bytes::from_static(KEY), expect, value: Some(value), ttl: None, guard: None };
    api.store.commit(change).await.map_err(|cause| refusal::store(&cause))
}

impl NodePorts {
    fn get(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn suspects(&self) -> Ports {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn suspect(&self, ports: Ports) {
        *self.suspects.lock().unwrap_or_else(PoisonError::into_inner) = ports;
    }

    fn set(&self, known: Option<Known>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

/// The RangeAllocation of these ports: bit n of a big-endian number is the nth port of the range.
fn encode(ports: &Ports, (first, last): (u16, u16)) -> Bytes {
    let mut bits = vec![0u8; usize::from(last - first) / 8 + 1];
    for port in ports.iter().filter(|port| (first..=last).contains(port)) {
        let offset = usize::from(port - first);
        bits[offset / 8] |= 1 << (offset % 8);
    }
    while bits.last() == Some(&0) {
        bits.pop();
    }
    bits.reverse();
    let value = json!({"kind": "RangeAllocation", "apiVersion": "v1", "metadata": {}, "range": format!("{first}-{last}"), "data": STANDARD.encode(bits)});
    Bytes::from(value.to_string())
}

/// The ports of a RangeAllocation; `None` when it is none, or of another range.
fn decode(value: &[u8], (first, last): (u16, u16)) -> Option<Ports> {
    let (range, mut bits) = match value.strip_prefix(&MAGIC) {
        Some(envelope) => {
            let raw = member(envelope, 2)?;
            (String::from_utf8(member(raw, 2)?.to_vec()).ok()?, member(raw, 3).unwrap_or_default().to_vec())
        }
        None => {
            let value: Value = serde_json::from_slice(value).ok()?;
            (value["range"].as_str()?.to_owned(), STANDARD.decode(value["data"].as_str().unwrap_or("")).ok()?)
        }
    };
    if range != format!("{first}-{last}") {
        return None;
    }
    bits.reverse();
    let set = |port: &u16| {
        let offset = usize::from(port - first);
        bits.get(offset / 8).is_some_and(|byte| byte & 1 << (offset % 8) != 0)
    };
    Some((first..=last).filter(set).collect())
}

/// The content of a length-delimited member of a protobuf message that has no others.
fn member(mut message: &[u8], number: u64) -> Option<&[u8]> {
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let length = usize::try_from(varint(&mut message)?).ok()?;
        if tag & 7 != 2 || length > message.len() {
            return None;
        }
        let (content, rest) = message.split_at(length);
        if tag >> 3 == number {
            return Some(content);
        }
        message = rest;
    }
    None
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

const KEY: &[u8] = b"/registry/ranges/servicenodeports";
const ATTEMPTS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{protobuf_envelope, protobuf_member};

    #[test]
    fn bitmaps() {
        let range = (30_000, 32_767);
        let ports = Ports::from([30_000, 30_009, 32_767]);
        let value: Value = serde_json::from_slice(&encode(&ports, range)).expect("JSON");
        let bits = STANDARD.decode(value["data"].as_str().expect("data")).expect("base64");
        assert_eq!((bits.len(), bits[0], bits[bits.len() - 1], bits[bits.len() - 2]), (346, 0x80, 1, 2));
        assert_eq!(decode(&encode(&ports, range), range), Some(ports.clone()));
        assert_eq!(decode(&encode(&Ports::new(), range), range), Some(Ports::new()));
        assert_eq!(decode(&encode(&ports, range), (30_000, 31_000)), None);
        assert_eq!(decode(b"x", range), None);
        let mut raw = Vec::new();
        protobuf_member(&mut raw, 1, b"");
        protobuf_member(&mut raw, 2, b"30000-32767");
        protobuf_member(&mut raw, 3, &bits);
        assert_eq!(decode(&protobuf_envelope("v1", "RangeAllocation", &raw), range), Some(ports));
        assert_eq!(decode(&[&MAGIC[..], &[0x12, 0xff]].concat(), range), None);
    }
}

//! One change as one transaction, and what to say when its fate is unknown.

use bytes::Bytes;
use etcd_client::{Compare, CompareOp, KeyValue, PutOptions, Txn, TxnOp, TxnOpResponse, TxnResponse};
use tokio::time::Instant;

use super::super::{Change, Entry, Expect, Operation, Outcome, Revision, StoreError};
use super::{Etcd, PATIENCE, Refusal, revision};

/// Whether an earlier attempt of the same change may have been carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Earlier {
    Nothing,
    Doubt,
}

/// Commits `change`. An answer that got lost is asked for again: the transaction compares the key's revision, so that a second attempt
/// either carries it out or finds what the first one did.
pub(super) async fn commit(etcd: &Etcd, change: Change) -> Result<Outcome, StoreError> {
    let lease = match change.ttl {
        Some(ttl) => Some(etcd.leases.lease(etcd, ttl).await?),
        None => None,
    };
    let operation = operation(&change);
    let deadline = Instant::now() + PATIENCE;
    let mut earlier = Earlier::Nothing;
    loop {
        let mut kv = etcd.kv();
        let doubt = match etcd.ask(operation, kv.txn(transaction(&change, lease))).await {
            Ok(answer) => return Ok(settle(&change, &answer, earlier)),
            Err(Refusal::Doubtful(text)) => text,
            Err(refusal) => return Err(refusal.into()),
        };
        earlier = Earlier::Doubt;
        if Instant::now() >= deadline {
            return Err(StoreError::Timeout(doubt));
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn operation(change: &Change) -> Operation {
    match (&change.value, change.expect) {
        (None, _) => Operation::Delete,
        (Some(_), Expect::Absent) => Operation::Create,
        (Some(_), Expect::At(_)) => Operation::Update,
    }
}

fn transaction(change: &Change, lease: Option<i64>) -> Txn {
    let key = change.key.to_vec();
    let expected = match change.expect {
        Expect::Absent => 0,
        Expect::At(revision) => signed(revision),
    };
    let mut compares = vec![Compare::mod_revision(key.clone(), CompareOp::Equal, expected)];
    let mut otherwise = vec![TxnOp::get(key.clone(), None)];
    if let Some((guard, revision)) = &change.guard {
        compares.push(Compare::mod_revision(guard.to_vec(), CompareOp::Equal, signed(*revision)));
    }
    let then = match &change.value {
        Some(value) => TxnOp::put(key, value.to_vec(), lease.map(|id| PutOptions::new().with_lease(id))),
        None => TxnOp::delete(key, None),
    };
    Txn::new().when(compares).and_then(vec![then]).or_else(std::mem::take(&mut otherwise))
}

fn settle(change: &Change, answer: &TxnResponse, earlier: Earlier) -> Outcome {
    let now = revision(answer.header());
    if answer.succeeded() {
        return Outcome::Committed(now);
    }
    let found = found(answer);
    if earlier == Earlier::Doubt {
        match (&change.value, &found) {
            (Some(ours), Some(entry)) if entry.value == *ours && change.expect != Expect::At(entry.revision) => {
                return Outcome::Committed(entry.revision);
            }
            (None, None) => return Outcome::Committed(now),
            _ => {}
        }
    }
    let as_expected = match (change.expect, &found) {
        (Expect::Absent, None) => true,
        (Expect::At(expected), Some(entry)) => entry.revision == expected,
        _ => false,
    };
    if as_expected { Outcome::Unguarded } else { Outcome::Conflict(found) }
}

fn found(answer: &TxnResponse) -> Option<Entry> {
    answer.op_responses().into_iter().find_map(|response| match response {
        TxnOpResponse::Get(mut get) => get.take_kvs().into_iter().next().map(entry),
        _ => None,
    })
}

/// The value of a key as the room above knows it.
pub(super) fn entry(pair: KeyValue) -> Entry {
    let revision = Revision(u64::try_from(pair.mod_revision()).unwrap_or(0));
    Entry { revision, value: Bytes::from(pair.into_key_value().1) }
}

fn signed(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

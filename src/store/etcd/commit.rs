//! One change as one transaction, and what to say when its fate is unknown.

use bytes::Bytes;
use etcd_client::{Compare, CompareOp, GetOptions, KeyValue, PutOptions, Txn, TxnOp, TxnOpResponse, TxnResponse};
use tokio::time::Instant;

use super::super::{Change, Entry, Expect, Operation, Outcome, Revision, StoreError};
use super::refusal::Refusal;
use super::{Etcd, PATIENCE, Pause, Place, member::Member, signed, unsigned};

/// What the attempts before have left behind.
enum Earlier {
    /// Nothing happened.
    Nothing,
    /// One of them may have been carried out; its answer was lost for this reason.
    Doubt(String),
}

/// Commits `change`. An answer that got lost is asked for again: the transaction compares the key's revision, so that of all attempts
/// at most one is carried out, and a later one that succeeds proves that no earlier one was. What cannot be proven is not said.
pub(super) async fn commit(etcd: &Etcd, change: Change) -> Result<Outcome, StoreError> {
    if change.value.is_none() && change.expect == Expect::Absent {
        return refute(etcd, &change).await;
    }
    let until = Instant::now() + PATIENCE;
    let (mut earlier, mut pause) = (Earlier::Nothing, Pause::short());
    loop {
        let lease = match change.ttl {
            Some(ttl) => Some(etcd.leases.lease(etcd, ttl).await.map_err(|refusal| earlier.judge(refusal))?),
            None => None,
        };
        match attempt(etcd, &change, lease, until).await {
            Ok(answer) => return settle(etcd, &change, &answer, earlier).await,
            Err(Refusal::Unleased) if pause.ends_before(until) => etcd.leases.forget(lease),
            Err(Refusal::Doubtful(text)) if pause.ends_before(until) => earlier = Earlier::Doubt(text),
            Err(Refusal::Unsent(_)) if pause.ends_before(until) => {}
            Err(refusal) => return Err(earlier.judge(refusal)),
        }
        pause.wait().await;
    }
}

impl Earlier {
    /// The error when it ends with `refusal`.
    fn judge(&self, refusal: Refusal) -> StoreError {
        match (self, refusal) {
            (Self::Doubt(why), _) => StoreError::Timeout(why.clone()),
            (Self::Nothing, Refusal::Doubtful(why)) => StoreError::Timeout(why),
            (Self::Nothing, refusal) => refusal.into(),
        }
    }
}

/// Deleting what is expected to be absent: never done, only answered.
async fn refute(etcd: &Etcd, change: &Change) -> Result<Outcome, StoreError> {
    let request = |member: &Member| {
        let (mut kv, key) = (member.kv.clone(), change.key.to_vec());
        async move { kv.get(key, None).await }
    };
    let mut answer = etcd.insist(Operation::Delete, request).await?;
    Ok(Outcome::Conflict(answer.take_kvs().into_iter().next().map(|pair| entry(pair).1)))
}

async fn attempt(etcd: &Etcd, change: &Change, lease: Option<i64>, until: Instant) -> Result<TxnResponse, Refusal> {
    let operation = match (&change.value, change.expect) {
        (None, _) => Operation::Delete,
        (Some(_), Expect::Absent) => Operation::Create,
        (Some(_), Expect::At(_)) => Operation::Update,
    };
    let request = |member: &Member| {
        let (mut kv, transaction) = (member.kv.clone(), transaction(change, lease));
        async move { kv.txn(transaction).await }
    };
    etcd.ask(operation, until, request).await
}

fn transaction(change: &Change, lease: Option<i64>) -> Txn {
    let expected = base(change).map_or(0, signed);
    let mut compares = vec![Compare::mod_revision(&*change.key, CompareOp::Equal, expected)];
    if let Some((guard, revision)) = &change.guard {
        compares.push(Compare::mod_revision(&**guard, CompareOp::Equal, signed(*revision)));
    }
    let then = match &change.value {
        Some(value) => TxnOp::put(&*change.key, &**value, lease.map(|id| PutOptions::new().with_lease(id))),
        None => TxnOp::delete(&*change.key, None),
    };
    Txn::new().when(compares).and_then([then]).or_else([TxnOp::get(&*change.key, None)])
}

async fn settle(etcd: &Etcd, change: &Change, answer: &TxnResponse, earlier: Earlier) -> Result<Outcome, StoreError> {
    if answer.succeeded() {
        return Ok(Outcome::Committed(Place::from(answer.header()).revision));
    }
    let found = found(answer);
    match earlier {
        Earlier::Nothing => Ok(refused(change, found)),
        Earlier::Doubt(why) => recall(etcd, change, found).await.ok_or(StoreError::Timeout(why)),
    }
}

/// What became of the earlier attempts when the last one found the key or the guard changed; `None` when that cannot be proven.
async fn recall(etcd: &Etcd, change: &Change, found: Option<KeyValue>) -> Option<Outcome> {
    let base = base(change);
    let found = found?;
    if base == Some(unsigned(found.mod_revision())) {
        // Nobody has changed it, so neither have we, and the guard's revision never comes back.
        return Some(Outcome::Unguarded);
    }
    // If one of our attempts was carried out, it was the first change after the base.
    let first = first(etcd, &change.key, base, found.clone()).await?;
    let ours = change.value.as_deref() == Some(first.value());
    match (base, ours) {
        // Two that create the very same have created the same.
        (None, true) => Some(Outcome::Committed(unsigned(first.mod_revision()))),
        (Some(_), false) => Some(Outcome::Conflict(Some(entry(found).1))),
        // Ours may have come and gone before this one was created; and another may have made the same change of the same base.
        (None, false) | (Some(_), true) => None,
    }
}

/// The first version after `base`, read back from `newest` on; `None` when there is no unbroken line.
async fn first(etcd: &Etcd, key: &Bytes, base: Option<Revision>, newest: KeyValue) -> Option<KeyValue> {
    let mut first = newest;
    for _ in 0..VERSIONS {
        let before = first.mod_revision() - 1;
        let request = |member: &Member| {
            let (mut kv, key) = (member.kv.clone(), key.to_vec());
            async move { kv.get(key, Some(GetOptions::new().with_revision(before))).await }
        };
        let previous = etcd.insist(Operation::Probe, request).await.ok()?.take_kvs().into_iter().next();
        if previous.as_ref().map(|pair| unsigned(pair.mod_revision())) == base {
            return Some(first);
        }
        first = previous?;
    }
    None
}

fn refused(change: &Change, found: Option<KeyValue>) -> Outcome {
    let found = found.map(|pair| entry(pair).1);
    if found.as_ref().map(|entry| entry.revision) == base(change) { Outcome::Unguarded } else { Outcome::Conflict(found) }
}

/// What the key is expected to have been changed at last.
fn base(change: &Change) -> Option<Revision> {
    match change.expect {
        Expect::Absent => None,
        Expect::At(revision) => Some(revision),
    }
}

fn found(answer: &TxnResponse) -> Option<KeyValue> {
    answer.op_responses().into_iter().find_map(|response| match response {
        TxnOpResponse::Get(mut get) => get.take_kvs().into_iter().next(),
        _ => None,
    })
}

/// A key and its value as the room above knows them.
pub(super) fn entry(pair: KeyValue) -> (Bytes, Entry) {
    let revision = unsigned(pair.mod_revision());
    let (key, value) = pair.into_key_value();
    (Bytes::from(key), Entry { value: Bytes::from(value), revision })
}

/// How many versions are read back at most.
const VERSIONS: usize = 16;

//! Compaction as kube-apiserver does it: of all servers on one etcd, the one that wins the version of `compact_rev_key` compacts to the
//! revision that was newest one interval earlier.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Compare, CompareOp, KeyValue, Txn, TxnOp, TxnOpResponse};

use super::super::{Log, Operation, Revision, StoreError};
use super::member::Member;
use super::{Etcd, Place};
use crate::shutdown::Shutdown;

/// Compacts every `interval` until the shutdown.
pub(super) async fn run(etcd: Arc<Etcd>, interval: Duration, shutdown: Shutdown) {
    let mut seen = Seen::default();
    loop {
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(interval) => {}
        }
        tokio::select! {
            () = shutdown.begun() => return,
            done = turn(&etcd, &mut seen) => {
                if let Err(why) = done {
                    tracing::warn!(%why, "etcd was not compacted; trying again later");
                }
            }
        }
    }
}

/// What the last turn saw: the key's version, and the revision of that moment.
#[derive(Clone, Copy, Default)]
struct Seen {
    version: i64,
    revision: Revision,
}

async fn turn(etcd: &Etcd, seen: &mut Seen) -> Result<(), StoreError> {
    let before = *seen;
    let request = |member: &Member| {
        let mut kv = member.kv.clone();
        let transaction = Txn::new()
            .when([Compare::version(KEY, CompareOp::Equal, before.version)])
            .and_then([TxnOp::put(KEY, before.revision.to_string(), None)])
            .or_else([TxnOp::get(KEY, None)]);
        async move { kv.txn(transaction).await }
    };
    let answer = etcd.insist(Operation::Compact, request).await?;
    let revision = Place::from(answer.header()).revision;
    if !answer.succeeded() {
        let version = answer.op_responses().into_iter().find_map(|response| match response {
            TxnOpResponse::Get(get) => get.kvs().first().map(KeyValue::version),
            _ => None,
        });
        *seen = Seen { version: version.unwrap_or(0), revision };
        return Ok(());
    }
    *seen = Seen { version: before.version + 1, revision };
    // Nothing is known of what happened before the first turn.
    if before.revision > Revision(0) { etcd.compact(before.revision).await } else { Ok(()) }
}

const KEY: &str = "compact_rev_key";

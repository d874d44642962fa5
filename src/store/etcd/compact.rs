//! Compaction as kube-apiserver does it: of all servers on one etcd, the one that wins the version of `compact_rev_key` compacts to the
//! revision that was stored there one interval earlier.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Compare, CompareOp, Txn, TxnOp, TxnOpResponse};

use super::super::{Log, Operation, Revision};
use super::{Etcd, revision};
use crate::shutdown::Shutdown;

const KEY: &str = "compact_rev_key";

/// Compacts every `interval` until the shutdown.
pub(super) async fn run(etcd: Arc<Etcd>, interval: Duration, shutdown: Shutdown) {
    let mut seen = Seen::default();
    loop {
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(interval) => {}
        }
        match turn(&etcd, seen).await {
            Ok(next) => seen = next,
            Err(why) => tracing::warn!(why, "etcd was not compacted; trying again later"),
        }
    }
}

/// What the last turn saw: the key's version, and the revision of that moment.
#[derive(Clone, Copy, Default)]
struct Seen {
    version: i64,
    revision: Revision,
}

async fn turn(etcd: &Etcd, seen: Seen) -> Result<Seen, String> {
    let mut kv = etcd.kv();
    let transaction = Txn::new()
        .when([Compare::version(KEY, CompareOp::Equal, seen.version)])
        .and_then([TxnOp::put(KEY, seen.revision.to_string(), None)])
        .or_else([TxnOp::get(KEY, None)]);
    let answer = etcd
        .ask(Operation::Compact, kv.txn(transaction))
        .await
        .map_err(|refusal| super::StoreError::from(refusal).to_string())?;
    let now = revision(answer.header());
    if !answer.succeeded() {
        let version = answer.op_responses().into_iter().find_map(|response| match response {
            TxnOpResponse::Get(get) => get.kvs().first().map(etcd_client::KeyValue::version),
            _ => None,
        });
        return Ok(Seen { version: version.unwrap_or(0), revision: now });
    }
    if seen.revision > Revision(0) {
        etcd.compact(seen.revision).await.map_err(|error| error.to_string())?;
    }
    Ok(Seen { version: seen.version + 1, revision: now })
}

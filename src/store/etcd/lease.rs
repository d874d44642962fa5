//! Leases for values that expire, shared as kube-apiserver shares them: many keys of nearly one age hang on one lease.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::super::{Operation, StoreError};
use super::Etcd;

/// Keys on one lease at most.
const KEYS: u32 = 1_000;
/// A lease is shared for this long at most, or for a twentieth of its time to live.
const WINDOW: Duration = Duration::from_secs(60);

/// The lease that new keys join.
#[derive(Default)]
pub(super) struct Leases(Mutex<Option<Shared>>);

#[derive(Clone, Copy)]
struct Shared {
    id: i64,
    ttl: Duration,
    until: Instant,
    keys: u32,
}

impl Leases {
    /// A lease that lives for `ttl` and at most a sharing window longer.
    pub(super) async fn lease(&self, etcd: &Etcd, ttl: Duration) -> Result<i64, StoreError> {
        if let Some(id) = self.join(ttl) {
            return Ok(id);
        }
        let window = WINDOW.min(ttl / 20);
        let seconds = i64::try_from((ttl + window).as_secs().max(1)).unwrap_or(i64::MAX);
        let mut client = etcd.client.load().lease_client();
        let granted = etcd.ask(Operation::Lease, client.grant(seconds, None)).await.map_err(StoreError::from)?;
        *self.0.lock() = Some(Shared { id: granted.id(), ttl, until: Instant::now() + window, keys: 1 });
        Ok(granted.id())
    }

    fn join(&self, ttl: Duration) -> Option<i64> {
        let mut shared = self.0.lock();
        let open = shared.as_mut().filter(|open| open.ttl == ttl && open.keys < KEYS && Instant::now() < open.until)?;
        open.keys += 1;
        Some(open.id)
    }
}

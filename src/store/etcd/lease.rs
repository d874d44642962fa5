//! Leases for values that expire, shared as kube-apiserver shares them: many keys of nearly one age hang on one lease.

use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::super::Operation;
use super::Etcd;
use super::member::Member;
use super::refusal::Refusal;

/// The leases that new keys join, by time to live.
pub(super) struct Leases {
    open: Mutex<HashMap<Duration, Shared>>,
    /// One asks for a lease, the others wait and join it.
    asking: Semaphore,
}

#[derive(Clone, Copy)]
struct Shared {
    id: i64,
    until: Instant,
    keys: u32,
}

impl Default for Leases {
    fn default() -> Self {
        Self { open: Mutex::default(), asking: Semaphore::new(1) }
    }
}

impl Leases {
    /// A lease that lives for `ttl` at least, and for a sharing window and a second longer at most.
    pub(super) async fn lease(&self, etcd: &Etcd, ttl: Duration) -> Result<i64, Refusal> {
        if let Some(id) = self.join(ttl) {
            return Ok(id);
        }
        let _turn = self.asking.acquire().await;
        if let Some(id) = self.join(ttl) {
            return Ok(id);
        }
        let window = WINDOW.min(ttl / 20);
        let until = Instant::now() + window;
        let seconds = i64::try_from((ttl + window).as_millis().div_ceil(1000).max(1)).unwrap_or(i64::MAX);
        let request = |member: &Member| {
            let mut client = member.leases.clone();
            async move { client.grant(seconds, None).await }
        };
        let id = etcd.insist(Operation::Lease, request).await?.id();
        let mut open = self.open.lock();
        open.retain(|_, shared| shared.until > Instant::now());
        open.insert(ttl, Shared { id, until, keys: 1 });
        Ok(id)
    }

    /// The lease is gone from etcd: nothing joins it any more.
    pub(super) fn forget(&self, lease: Option<i64>) {
        self.open.lock().retain(|_, shared| Some(shared.id) != lease);
    }

    fn join(&self, ttl: Duration) -> Option<i64> {
        let mut open = self.open.lock();
        let shared = open.get_mut(&ttl).filter(|shared| shared.keys < KEYS && Instant::now() < shared.until)?;
        shared.keys += 1;
        Some(shared.id)
    }
}

/// Keys on one lease at most.
const KEYS: u32 = 1_000;

/// A lease is shared for this long at most, or for a twentieth of its time to live.
const WINDOW: Duration = Duration::from_secs(60);

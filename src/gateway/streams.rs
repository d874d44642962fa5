//! The streams that are open, and the end of those whose right was withdrawn: a certificate or a token that is good no longer, a role,
//! a ceiling or an authority that is gone.
//!
//! Every stream is decided again, as its request was, when anything that decisions hang on has changed. Knows no protocol.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::identity::{Caller, Peer};
use crate::policy::Permit;

/// All open streams of a gateway.
#[derive(Default)]
pub struct Streams {
    open: Mutex<Open>,
}

/// A stream under watch, for as long as this is kept.
pub(super) struct Entry {
    streams: Arc<Streams>,
    number: u64,
}

/// Whose right a stream is.
pub(super) struct Right {
    pub(super) peer: Arc<Peer>,
    /// As the credential showed it, before impersonation was granted.
    pub(super) caller: Caller,
    pub(super) permit: Permit,
}

#[derive(Default)]
struct Open {
    streams: HashMap<u64, Arc<Stream>>,
    begun: u64,
}

struct Stream {
    right: Right,
    end: CancellationToken,
    /// Whether it was decided again since it began: what changed between its request and its entry is not missed.
    settled: AtomicBool,
}

/// How much of a stream's right is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// What time alone takes away.
    Credential,
    /// Everything.
    Right,
}

impl Streams {
    /// Watches over a stream that ends with `end`.
    pub(super) fn enter(self: &Arc<Self>, right: Right, end: CancellationToken) -> Entry {
        let mut open = self.open.lock();
        open.begun += 1;
        let number = open.begun;
        open.streams.insert(number, Arc::new(Stream { right, end, settled: AtomicBool::new(false) }));
        Entry { streams: Arc::clone(self), number }
    }

    /// Ends streams that have no right any more, for as long as it is polled: within half a second of a change, within a second of an
    /// expiry.
    pub async fn guard(&self, cluster: &Cluster) {
        let mut before = cluster.standing();
        let mut looked = Instant::now();
        let mut pause = PACE;
        loop {
            tokio::time::sleep(pause).await;
            let begun = Instant::now();
            let now = cluster.standing();
            let depth = if now == before { Depth::Credential } else { Depth::Right };
            if depth == Depth::Right || looked.elapsed() >= EXPIRY || self.has_new() {
                self.sweep(cluster, depth).await;
                looked = begun;
            }
            before = now;
            // In a storm of changes a twentieth of one core goes into this.
            pause = PACE.max(begun.elapsed() * 20).min(EXPIRY / 2);
        }
    }

    fn has_new(&self) -> bool {
        self.open.lock().streams.values().any(|stream| !stream.settled.load(Ordering::Relaxed))
    }

    async fn sweep(&self, cluster: &Cluster, depth: Depth) {
        let streams: Vec<Arc<Stream>> = self.open.lock().streams.values().cloned().collect();
        for some in streams.chunks(TURN) {
            for stream in some.iter().filter(|stream| !stream.may_go_on(cluster, depth)) {
                let permit = &stream.right.permit;
                let user = permit.identity().map_or("", |identity| identity.user());
                tracing::info!(?user, address = %stream.right.peer.address(), "the right to a stream was withdrawn: it ends");
                stream.end.cancel();
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Stream {
    fn may_go_on(&self, cluster: &Cluster, depth: Depth) -> bool {
        let Right { peer, caller, permit } = &self.right;
        let settled = self.settled.swap(true, Ordering::Relaxed);
        cluster.resolver.holds(peer, caller)
            && ((settled && depth == Depth::Credential) || cluster.authorizer.holds(caller.clone(), permit))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.streams.open.lock().streams.remove(&self.number);
    }
}

/// How soon a change is noticed.
const PACE: Duration = Duration::from_millis(250);

/// How often expiry is looked at.
const EXPIRY: Duration = Duration::from_secs(1);

/// How many streams are looked at before others get their turn.
const TURN: usize = 128;

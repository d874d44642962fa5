//! The other end of a connection, and what it has been found to be.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;

use super::Identity;
use super::certificate::{CertificateError, Span, Verified};

/// One connection's peer: its address and the certificates it has shown the key of. Shared by all requests of the connection.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    chain: Vec<Bytes>,
    standing: ArcSwapOption<Standing>,
    /// As a front proxy.
    proxy: ArcSwapOption<ProxyStanding>,
}

/// What the chain was found to be, under which trust, and how long that holds.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) generation: u64,
    pub(super) span: Span,
    /// The last second before it must be found again.
    pub(super) again: u64,
    pub(super) outcome: Result<Arc<Identity>, CertificateError>,
}

/// What the chain was found to be among front proxies.
#[derive(Debug)]
pub(super) struct ProxyStanding {
    pub(super) generation: u64,
    pub(super) span: Span,
    pub(super) again: u64,
    pub(super) outcome: Result<Arc<Verified>, CertificateError>,
}

impl Peer {
    /// A peer with the chain that its handshake presented (DER, its own certificate first), or an empty one.
    pub fn new(address: SocketAddr, chain: Vec<Bytes>) -> Self {
        Self { address, chain, standing: ArcSwapOption::empty(), proxy: ArcSwapOption::empty() }
    }

    /// Where the connection comes from.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificates, DER, its own first.
    pub fn chain(&self) -> &[Bytes] {
        &self.chain
    }

    /// When the chain that was last believed ends, in seconds of the Unix epoch.
    pub fn expires(&self) -> Option<u64> {
        self.standing.load().as_ref().filter(|standing| standing.outcome.is_ok()).map(|standing| standing.span.until)
    }

    /// The standing, if it still holds: three compares.
    pub(super) fn standing(&self, generation: u64, now: u64) -> Option<Arc<Standing>> {
        let holds =
            |standing: &Arc<Standing>| standing.generation == generation && standing.span.holds(now) && now <= standing.again;
        self.standing.load_full().filter(holds)
    }

    pub(super) fn keep(&self, standing: Arc<Standing>) {
        self.standing.store(Some(standing));
    }

    /// The standing as a front proxy, if it still holds.
    pub(super) fn proxy(&self, generation: u64, now: u64) -> Option<Arc<ProxyStanding>> {
        let holds = |standing: &Arc<ProxyStanding>| {
            standing.generation == generation && standing.span.holds(now) && now <= standing.again
        };
        self.proxy.load_full().filter(holds)
    }

    pub(super) fn keep_proxy(&self, standing: Arc<ProxyStanding>) {
        self.proxy.store(Some(standing));
    }
}

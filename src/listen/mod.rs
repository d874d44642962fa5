//! Listeners: connections are accepted, bounded, shaken hands with, and handed to the gateway.
//!
//! Owns sockets, TLS and the codec's limits. TLS proves possession of a key and no more: what a certificate means is `identity`'s.

mod connection;
mod plain;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::gateway::Gateway;
use crate::live::Live;
use crate::shutdown::Shutdown;
use tls::Tls;

pub use plain::serve as serve_health;

/// After an accept that failed for want of file descriptors or memory.
const PAUSE: Duration = Duration::from_millis(50);

/// How much a listener takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Open connections; more wait in the kernel's queue.
    pub connections: usize,
    /// Handshakes under way; more wait for their turn.
    pub handshakes: usize,
}

/// What every connection shares.
struct Shared {
    gateway: Arc<Gateway>,
    tls: Arc<Live<Tls>>,
    handshakes: Semaphore,
    shutdown: Shutdown,
}

/// Accepts until the shutdown; connections that are open then finish what they have begun.
pub async fn serve(
    listener: TcpListener,
    (gateway, tls): (Arc<Gateway>, Arc<Live<Tls>>),
    settings: Settings,
    shutdown: Shutdown,
) {
    let connections = Arc::new(Semaphore::new(settings.connections));
    let handshakes = Semaphore::new(settings.handshakes);
    let shared = Arc::new(Shared { gateway, tls, handshakes, shutdown: shutdown.clone() });
    loop {
        let accepted = tokio::select! {
            () = shutdown.begun() => return,
            accepted = accept(&listener, &connections) => accepted,
        };
        let Some((stream, permit)) = accepted else { continue };
        let shared = shared.clone();
        shutdown.spawn(async move {
            connection::serve(&shared, stream).await;
            drop(permit);
        });
    }
}

/// The next connection and its place among them; `None` when accepting failed.
async fn accept(listener: &TcpListener, connections: &Arc<Semaphore>) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = connections.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Watch events are small: waiting for more would only delay them.
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection was not accepted");
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

//! Listeners: connections are accepted, bounded, shaken hands with, and handed to the gateway.
//!
//! Owns sockets, TLS and the codec's limits. TLS proves possession of a key and no more: what a certificate means is `identity`'s.

mod connection;
mod linger;
mod plain;
#[cfg(test)]
mod tests;
pub mod tls;
mod turn;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::body::{BoxAnswer, Inbound};
use crate::gateway::Gateway;
use crate::identity::Peer;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;
use tls::Tls;
use turn::Turns;

pub use plain::serve as serve_health;

/// How much a listener takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Open connections; more wait in the kernel's queue.
    pub connections: usize,
    /// Handshakes under way; where there are more, the oldest give way.
    pub handshakes: usize,
}

/// What every connection shares.
struct Shared {
    answer: Box<Answer>,
    metrics: Arc<Metrics>,
    tls: Arc<Live<Tls>>,
    handshakes: Turns,
    patience: Patience,
    shutdown: Shutdown,
}

/// Whatever answers the requests of a peer.
type Answer = dyn Fn(Arc<Peer>, Request<Incoming>) -> BoxAnswer + Send + Sync;

/// How long a peer may take.
#[derive(Clone, Copy)]
struct Patience {
    /// For the handshake.
    handshake: Duration,
    /// For a request's head on HTTP/1.1; so long may such a connection also idle between requests.
    head: Duration,
    /// Without a stream on HTTP/2.
    idle: Duration,
    /// For its part in the end of an HTTP/2 connection when the server stops.
    stop: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { connections: 20_000, handshakes: 256 }
    }
}

impl Default for Patience {
    fn default() -> Self {
        let (second, idle) = (Duration::from_secs(1), Duration::from_secs(90));
        Self { handshake: 10 * second, head: idle, idle, stop: second / 2 }
    }
}

/// Accepts until the shutdown; connections that are open then finish what they have begun.
///
/// `tls` is read anew for every connection: swapping it changes the certificate from the next handshake on.
pub async fn serve(
    listener: TcpListener,
    (gateway, tls): (Arc<Gateway>, Arc<Live<Tls>>),
    settings: Settings,
    shutdown: Shutdown,
) {
    let metrics = gateway.metrics.clone();
    // Boxed: the pipeline's future is large, and an open stream should not keep its room.
    let answer = move |peer, request: Request<Incoming>| -> BoxAnswer {
        let gateway = gateway.clone();
        Box::pin(async move { Ok(gateway.handle(peer, request.map(Inbound::Wire)).await) })
    };
    let handshakes = Turns::new(settings.handshakes);
    let shared = Shared { answer: Box::new(answer), metrics, tls, handshakes, patience: Patience::default(), shutdown };
    accept_all(&listener, Arc::new(shared), settings.connections).await;
}

async fn accept_all(listener: &TcpListener, shared: Arc<Shared>, connections: usize) {
    let places = Arc::new(Semaphore::new(connections));
    loop {
        let accepted = tokio::select! {
            () = shared.shutdown.begun() => return,
            accepted = accept(listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                let own = shared.clone();
                shared.shutdown.spawn(async move {
                    connection::serve(&own, stream).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The next connection and its place among them.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    // A socket that takes no options is gone already; the handshake will say so.
    let _ = tune(&stream);
    Ok((stream, place))
}

/// Watch events are small: waiting for more would only delay them. A peer that is gone is noticed by the keep-alive while nothing is
/// sent; one that acknowledges nothing, or whose window stays shut, by the user timeout.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 2).with_retries(3))?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}

// After an accept that failed, for want of file descriptors or memory: some connection may end meanwhile.
const PAUSE: Duration = Duration::from_millis(50);

const KEEPALIVE: Duration = Duration::from_secs(30);

const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

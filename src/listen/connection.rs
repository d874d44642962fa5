//! One connection: the handshake under its deadline, then HTTP/1.1 or HTTP/2 by what was agreed.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::body::{Body, BoxAnswer};
use crate::gateway::{Gateway, LastOfConnection};
use crate::identity::Peer;

/// How long a handshake may take, the wait for its turn included.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a request's head may take; also how long an HTTP/1.1 connection may idle between requests.
const HEAD: Duration = Duration::from_secs(90);
/// Bytes of a request's head on HTTP/1.1.
const HEAD_BYTES: usize = 32 << 10;
/// Header lines of a request.
const HEADERS: usize = 128;
/// Bytes of a request's headers on HTTP/2.
const HEADER_LIST: u32 = 32 << 10;
/// Streams of one HTTP/2 connection, and what each may have on its way to us.
const STREAMS: u32 = 250;
const STREAM_WINDOW: u32 = 256 << 10;
/// Of all streams together: a connection cannot make us hold more than this.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// What is queued for a stream before its body is asked to wait.
const SEND_BUFFER: usize = 128 << 10;
/// Pings keep dead peers from holding streams: sent after this silence, answered within the next.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(15);
/// Resets by the peer before its requests were looked at, and by us for its faults (rapid reset and its kin).
const PENDING_RESETS: usize = 20;
const LOCAL_RESETS: usize = 128;

/// Serves one connection to its end.
pub(super) async fn serve(shared: &Arc<Shared>, stream: TcpStream) {
    let Ok(address) = stream.peer_addr() else { return };
    let stream = match tokio::time::timeout(HANDSHAKE, handshake(shared, stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            shared.gateway.metrics.handshake_failed();
            return tracing::debug!(%address, %error, "no handshake");
        }
        Err(_) => {
            shared.gateway.metrics.handshake_failed();
            return tracing::debug!(%address, "no handshake in time");
        }
    };
    let connections = shared.gateway.metrics.connections();
    connections.inc();
    let (_, session) = stream.get_ref();
    let chain = session.peer_certificates().unwrap_or_default().iter().map(|one| Bytes::copy_from_slice(one)).collect();
    let second = session.alpn_protocol() == Some(b"h2");
    let closing = shared.shutdown.child();
    let service = Calls { gateway: shared.gateway.clone(), peer: Arc::new(Peer::new(address, chain)), closing: closing.clone() };
    let ended =
        if second { Box::pin(http2(stream, service, closing)).await } else { Box::pin(http1(stream, service, closing)).await };
    if let Err(error) = ended {
        tracing::debug!(%address, %error, "a connection ended");
    }
    connections.dec();
}

async fn handshake(shared: &Shared, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
    let _turn = shared.handshakes.acquire().await.map_err(std::io::Error::other)?;
    let acceptor = shared.tls.peek(super::tls::Tls::acceptor);
    acceptor.accept(stream).await
}

async fn http1(stream: TlsStream<TcpStream>, service: Calls, closing: CancellationToken) -> hyper::Result<()> {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES).max_headers(HEADERS);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = closing.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

async fn http2(stream: TlsStream<TcpStream>, service: Calls, closing: CancellationToken) -> hyper::Result<()> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADER_LIST)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(LOCAL_RESETS);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = closing.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// The connection as the codec calls it.
#[derive(Clone)]
struct Calls {
    gateway: Arc<Gateway>,
    peer: Arc<Peer>,
    closing: CancellationToken,
}

impl Service<Request<Incoming>> for Calls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxAnswer;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (gateway, peer, closing) = (self.gateway.clone(), self.peer.clone(), self.closing.clone());
        // Boxed: the pipeline's future is large, and an open stream should not keep its room.
        Box::pin(async move {
            let response = gateway.handle(peer, request).await;
            if response.extensions().get::<LastOfConnection>().is_some() {
                closing.cancel();
            }
            Ok(response)
        })
    }
}

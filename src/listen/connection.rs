//! One connection: the handshake under its deadline, then HTTP/1.1 or HTTP/2 by what was agreed.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::linger::Linger;
use super::tls::Secured;
use crate::body::{Body, BoxAnswer};
use crate::gateway::LastOfConnection;
use crate::identity::Peer;
use crate::metrics::Gauge;
use crate::shutdown::Shutdown;

/// Serves one connection to its end.
pub(super) async fn serve(shared: &Arc<Shared>, stream: TcpStream) {
    let Ok(address) = stream.peer_addr() else { return };
    let _open = Open::new(shared.metrics.connections());
    let stream = match handshake(shared, stream).await {
        Ok(stream) => stream,
        Err(error) => {
            shared.metrics.handshake_failed();
            // The error's text may quote what the peer sent: it is escaped.
            return tracing::debug!(%address, error = ?error.to_string(), "no handshake");
        }
    };
    let chain = stream.chain().map(Bytes::copy_from_slice).collect();
    let peer = Arc::new(Peer::new(address, chain));
    // Boxed, so that this task does not keep the room of the handshake and of both protocols.
    let ended =
        if stream.is_http2() { Box::pin(http2(shared, stream, peer)).await } else { Box::pin(http1(shared, stream, peer)).await };
    if let Err(error) = ended {
        tracing::debug!(%address, error = ?error.to_string(), "a connection ended");
    }
}

/// A connection that is counted for as long as it is kept.
struct Open(Gauge);

impl Open {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

async fn handshake(shared: &Shared, stream: TcpStream) -> io::Result<Secured> {
    let mut turn = shared.handshakes.take();
    let shake = async {
        let tls = shared.tls.load();
        tls.accept(stream).await
    };
    tokio::select! {
        shaken = tokio::time::timeout(shared.patience.handshake, Box::pin(shake)) => shaken.unwrap_or_else(|late| Err(late.into())),
        () = turn.ousted() => Err(io::Error::other("too slow while others wait")),
        () = shared.shutdown.begun() => Err(io::Error::other("the server stops")),
    }
}

async fn http1(shared: &Arc<Shared>, stream: Secured, peer: Arc<Peer>) -> hyper::Result<()> {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(shared.patience.head)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(BUFFER_BYTES);
    let service = service_fn(|request| (shared.answer)(peer.clone(), request));
    let stream = Linger::new(stream, drain);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = shared.shutdown.begun() => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

async fn http2(shared: &Arc<Shared>, stream: Secured, peer: Arc<Peer>) -> hyper::Result<()> {
    let mut builder = http2::Builder::new(Streams(shared.shutdown.clone()));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(STREAM_WINDOW * STREAMS)
        .max_header_list_size(HEADER_LIST)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(LOCAL_RESETS);
    let calls = Calls { shared: shared.clone(), peer, activity: Arc::default(), last: CancellationToken::new() };
    let (activity, last) = (calls.activity.clone(), calls.last.clone());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), calls));
    let grace = tokio::select! {
        ended = connection.as_mut() => return ended,
        () = shared.shutdown.begun() => shared.patience.stop,
        () = last.cancelled() => shared.patience.handshake,
        () = activity.ceased(shared.patience.idle) => shared.patience.handshake,
    };
    connection.as_mut().graceful_shutdown();
    // The codec waits for the peer's part in the farewell; one that says nothing more is not waited for.
    tokio::select! {
        ended = connection => ended,
        () = activity.ceased(grace) => Ok(()),
    }
}

/// Runs the streams of HTTP/2 connections where the shutdown awaits them.
#[derive(Clone)]
struct Streams(Shutdown);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}

/// An HTTP/2 connection as the codec calls it.
struct Calls {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    activity: Arc<Activity>,
    last: CancellationToken,
}

impl Service<Request<Incoming>> for Calls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Call;

    fn call(&self, request: Request<Incoming>) -> Call {
        let answer = (self.shared.answer)(self.peer.clone(), request);
        Call { answer, stream: Some(Stream::begin(&self.activity)), last: self.last.clone() }
    }
}

/// One request on HTTP/2, until its answer begins.
struct Call {
    answer: BoxAnswer,
    stream: Option<Stream>,
    last: CancellationToken,
}

impl Future for Call {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answered = self.answer.as_mut().poll(context);
        answered.map_ok(|response| {
            if response.extensions().get::<LastOfConnection>().is_some() {
                self.last.cancel();
            }
            let stream = self.stream.take();
            response.map(|body| body.holding(stream))
        })
    }
}

/// The streams of a connection: those open in the low half, those ever begun in the high half.
#[derive(Default)]
struct Activity(AtomicU64);

impl Activity {
    /// Completes when there was no stream for `patience`.
    async fn ceased(&self, patience: Duration) {
        let mut before = None;
        loop {
            tokio::time::sleep(patience).await;
            let now = self.0.load(Ordering::Relaxed);
            if now & OPEN == 0 && before == Some(now) {
                return;
            }
            before = Some(now);
        }
    }
}

/// An open stream.
struct Stream(Arc<Activity>);

impl Stream {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.0.fetch_add(BEGUN + 1, Ordering::Relaxed);
        Self(activity.clone())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads what the peer still sends, undecrypted.
fn drain(stream: &mut Secured, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    Pin::new(stream.socket()).poll_read(context, buffer)
}

const BEGUN: u64 = 1 << 32;
const OPEN: u64 = BEGUN - 1;

/// Bytes of a request's head on HTTP/1.1, and of its headers on HTTP/2. The codec answers 431.
const HEAD_BYTES: usize = 32 << 10;
const HEADER_LIST: u32 = 32 << 10;

/// What an HTTP/1.1 connection reads and writes at once, at most.
const BUFFER_BYTES: usize = 64 << 10;

/// Streams of one HTTP/2 connection, and what each may have on its way to us. The connection's window is that of all streams
/// together, so that bodies that nobody reads yet do not stop the others.
const STREAMS: u32 = 250;
const STREAM_WINDOW: u32 = 128 << 10;

/// What is queued for a stream before its body is asked to wait.
const SEND_BUFFER: usize = 128 << 10;

/// Pings keep dead peers from holding streams: sent after this silence, answered within the next.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(15);

/// Resets by the peer before its requests were looked at, and by us for its faults (rapid reset and its kin).
const PENDING_RESETS: usize = 20;
const LOCAL_RESETS: usize = 128;

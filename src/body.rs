//! The one body type of answers, and the one of requests.
//!
//! An answer's body owns what its request holds (slot, stream record): they are released when the *stream* ends, not when the
//! headers leave. Knows nothing of Kubernetes.

use std::any::Any;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::status::Status;

/// The request as the backends see it.
pub type Request = http::Request<Inbound>;

/// The answer as the gateway sends it.
pub type Response = http::Response<Body>;

/// An answer that is being made, for the codec.
pub type BoxAnswer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// A body that is made while it is sent. It is asked for the next piece only when the socket has room.
pub trait Source: Send + 'static {
    /// The next piece, or `None` at the clean end.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>>;

    /// Called once when the right to the stream is withdrawn: the last piece to send, in the stream's own encoding.
    fn farewell(&mut self) -> Option<Bytes> {
        None
    }
}

/// The body of an answer.
pub struct Body {
    content: Content,
    sent: u64,
    report: Option<Box<dyn Report>>,
    held: Option<Box<dyn Any + Send>>,
}

/// Is told how the body ended.
pub trait Report: Send + 'static {
    /// Called exactly once, with the bytes that were handed to the connection.
    fn ended(self: Box<Self>, sent: u64, end: End);
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All of it was handed to the connection.
    Whole,
    /// The connection or the stream was gone before.
    Cut,
}

/// Why a stream ends before its source does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The server stops: the stream ends cleanly, without another word.
    Shutdown,
    /// The right to it was withdrawn: the stream says so in its own encoding.
    Withdrawn,
}

/// What an upgraded connection holds: the answer has no body there, so the task that serves the connection keeps a clone of this.
///
/// It stands in the extensions of every request that asks for an upgrade.
#[derive(Clone)]
pub struct Tether {
    held: Arc<Mutex<Vec<Box<dyn Any + Send>>>>,
    withdrawn: CancellationToken,
}

enum Content {
    Empty,
    Full(Bytes),
    Stream(Box<dyn Source>),
    Withdrawable(Box<Withdrawable>),
}

struct Withdrawable {
    source: Box<dyn Source>,
    over: Pin<Box<dyn Future<Output = Over> + Send>>,
}

impl Body {
    /// No body at all.
    pub fn empty() -> Self {
        Self::new(Content::Empty)
    }

    /// A body that is complete already.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::new(Content::Full(bytes.into()))
    }

    /// A body that `source` makes as it is sent.
    pub fn stream(source: impl Source) -> Self {
        Self::new(Content::Stream(Box::new(source)))
    }

    /// Keeps `guard` until the body has been sent or dropped.
    #[must_use]
    pub fn holding(mut self, guard: impl Any + Send) -> Self {
        self.held = Some(match self.held.take() {
            Some(earlier) => Box::new((earlier, guard)),
            None => Box::new(guard),
        });
        self
    }

    /// Tells `report` how the body ended.
    #[must_use]
    pub fn reporting(mut self, report: impl Report) -> Self {
        self.report = Some(Box::new(report));
        self
    }

    /// Ends a stream as soon as `over` says so. Other bodies stay as they are.
    #[must_use]
    pub fn until(mut self, over: impl Future<Output = Over> + Send + 'static) -> Self {
        self.content = match std::mem::replace(&mut self.content, Content::Empty) {
            Content::Stream(source) => Content::Withdrawable(Box::new(Withdrawable { source, over: Box::pin(over) })),
            content => content,
        };
        self
    }

    /// The answer to HEAD: the same without content.
    #[must_use]
    pub fn without_content(mut self) -> Self {
        self.content = Content::Empty;
        self
    }

    /// The content, where it is complete already.
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Full(bytes) => Some(bytes),
            Content::Empty | Content::Stream(_) | Content::Withdrawable(_) => None,
        }
    }

    fn new(content: Content) -> Self {
        Self { content, sent: 0, report: None, held: None }
    }

    fn end(&mut self, end: End) {
        self.content = Content::Empty;
        if let Some(report) = self.report.take() {
            report.ended(self.sent, end);
        }
        self.held = None;
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let end = if matches!(self.content, Content::Empty) { End::Whole } else { End::Cut };
        self.end(end);
    }
}

impl Withdrawable {
    /// The next piece, and whether it is the last.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<(Option<Bytes>, bool)> {
        match self.over.as_mut().poll(context) {
            Poll::Ready(Over::Shutdown) => Poll::Ready((None, true)),
            Poll::Ready(Over::Withdrawn) => Poll::Ready((self.source.farewell(), true)),
            Poll::Pending => self.source.poll_next(context).map(|piece| (piece, false)),
        }
    }
}

impl Tether {
    /// A tether that ends with `withdrawn`.
    pub fn new(withdrawn: CancellationToken) -> Self {
        Self { held: Arc::default(), withdrawn }
    }

    /// Keeps `guard` until the last clone is dropped.
    pub fn hold(&self, guard: impl Any + Send) {
        self.held.lock().push(Box::new(guard));
    }

    /// Completes when the connection must end.
    pub async fn withdrawn(&self) {
        self.withdrawn.cancelled().await;
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Empty => f.write_str("Body::Empty"),
            Content::Full(bytes) => write!(f, "Body::Full({} bytes)", bytes.len()),
            Content::Stream(_) | Content::Withdrawable(_) => f.write_str("Body::Stream"),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut self.content {
            Content::Empty => None,
            Content::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Empty;
                Some(bytes).filter(|bytes| !bytes.is_empty())
            }
            Content::Stream(source) => ready!(source.poll_next(context)),
            Content::Withdrawable(stream) => {
                let (piece, last) = ready!(stream.poll_next(context));
                if last {
                    self.content = Content::Empty;
                }
                piece
            }
        };
        match &piece {
            Some(bytes) => self.sent += bytes.len() as u64,
            None => self.end(End::Whole),
        }
        Poll::Ready(piece.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Full(bytes) => bytes.is_empty(),
            Content::Stream(_) | Content::Withdrawable(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(_) | Content::Withdrawable(_) => SizeHint::default(),
        }
    }
}

/// The body of a request: from the wire, or made in this process.
#[derive(Debug)]
pub enum Inbound {
    /// As it comes from a connection.
    Wire(Incoming),
    /// The same; what nobody read of it is handed back.
    Lent(Lent),
    /// Complete already.
    Full(http_body_util::Full<Bytes>),
}

/// A body that goes back to its owner when it is dropped before its end.
#[derive(Debug)]
pub struct Lent {
    body: Option<Incoming>,
    rest: Rest,
}

/// What nobody read of a request's body. HTTP/1 cannot go on with the next request before it is read.
#[derive(Clone, Debug, Default)]
pub struct Rest(Arc<Mutex<Option<Incoming>>>);

impl Inbound {
    /// The same, and where the rest of it will be; `None` for a body that has no rest to wait for.
    pub fn lend(self) -> (Self, Option<Rest>) {
        match self {
            Self::Wire(body) if !body.is_end_stream() => {
                let rest = Rest::default();
                (Self::Lent(Lent { body: Some(body), rest: rest.clone() }), Some(rest))
            }
            other => (other, None),
        }
    }
}

impl Rest {
    /// Reads what is left, if it is not much and comes soon, as Go's server does; whether the connection can go on.
    pub async fn read(self) -> bool {
        let Some(mut body) = self.0.lock().take() else { return true };
        if body.size_hint().lower() > REST as u64 {
            return false;
        }
        let read = async {
            let mut read = 0;
            while let Some(Ok(frame)) = body.frame().await {
                read += frame.data_ref().map_or(0, Bytes::len);
                if read > REST {
                    return false;
                }
            }
            body.is_end_stream()
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap_or(false)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.rest.0.lock() = self.body.take();
    }
}

impl Lent {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }
}

impl http_body::Body for Inbound {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Wire(body) => Pin::new(body).poll_frame(context),
            Self::Lent(lent) => lent.poll_frame(context),
            Self::Full(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Wire(body) => body.is_end_stream(),
            Self::Lent(lent) => lent.body.as_ref().is_none_or(Incoming::is_end_stream),
            Self::Full(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Wire(body) => body.size_hint(),
            Self::Lent(lent) => lent.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint),
            Self::Full(body) => body.size_hint(),
        }
    }
}

/// Reads a request's body whole.
///
/// # Errors
/// 413 when it is larger than `limit` bytes; 400 when the client breaks off or breaks the framing.
pub async fn collect<B>(body: B, limit: usize) -> Result<Bytes, Status>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    let mut body = body;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|cause| Status::bad_request("the body of the request could not be read").because(cause))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

fn too_large(limit: usize) -> Status {
    let message = format!("Request entity too large: limit is {limit}");
    Status::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
}

/// The largest body of a request that the API reads, in bytes: kube-apiserver's limit.
pub const LIMIT: usize = 3 << 20;

/// The most that is read of a body which nobody wants, in bytes, and for how long: Go's limit.
const REST: usize = 256 << 10;
const PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body_util::{Full, StreamBody};

    use super::*;

    struct Pieces(VecDeque<&'static str>);

    impl Source for Pieces {
        fn poll_next(&mut self, _context: &mut Context<'_>) -> Poll<Option<Bytes>> {
            match self.0.pop_front() {
                Some("...") => Poll::Pending,
                piece => Poll::Ready(piece.map(Bytes::from)),
            }
        }

        fn farewell(&mut self) -> Option<Bytes> {
            Some(Bytes::from("farewell"))
        }
    }

    struct Note(Arc<Mutex<Option<(u64, End)>>>);

    impl Report for Note {
        fn ended(self: Box<Self>, sent: u64, end: End) {
            assert!(self.0.lock().replace((sent, end)).is_none(), "reported twice");
        }
    }

    fn pieces(pieces: &[&'static str]) -> Body {
        Body::stream(Pieces(pieces.iter().copied().collect()))
    }

    async fn text(body: Body) -> String {
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_end_is_reported_once_with_the_bytes_sent() {
        let note = Arc::new(Mutex::new(None));
        text(pieces(&["ab", "c"]).reporting(Note(note.clone()))).await;
        assert_eq!(note.lock().take(), Some((3, End::Whole)));

        text(Body::full("four").reporting(Note(note.clone()))).await;
        assert_eq!(note.lock().take(), Some((4, End::Whole)));

        drop(Body::empty().reporting(Note(note.clone())));
        assert_eq!(note.lock().take(), Some((0, End::Whole)));

        drop(Body::full("never sent").reporting(Note(note.clone())));
        assert_eq!(note.lock().take(), Some((0, End::Cut)));

        let mut cut = pieces(&["ab", "..."]).reporting(Note(note.clone()));
        cut.frame().await.unwrap().unwrap();
        drop(cut);
        assert_eq!(note.lock().take(), Some((2, End::Cut)));
    }

    #[tokio::test]
    async fn guards_are_held_until_the_end_of_the_stream() {
        let guard = Arc::new(());
        let mut body = pieces(&["a"]).holding(guard.clone()).holding(guard.clone());
        assert_eq!(Arc::strong_count(&guard), 3);
        body.frame().await.unwrap().unwrap();
        assert_eq!(Arc::strong_count(&guard), 3);
        assert!(body.frame().await.is_none());
        assert_eq!(Arc::strong_count(&guard), 1);
    }

    #[tokio::test]
    async fn a_withdrawn_stream_says_farewell_and_a_stopped_one_just_ends() {
        let token = CancellationToken::new();
        let over = |token: CancellationToken, over| async move {
            token.cancelled().await;
            over
        };
        let mut withdrawn = pieces(&["a", "...", "b"]).until(over(token.clone(), Over::Withdrawn));
        let stopped = pieces(&["a", "...", "b"]).until(over(token.clone(), Over::Shutdown));
        let whole = Body::full("whole").until(over(token.clone(), Over::Shutdown));
        withdrawn.frame().await.unwrap().unwrap();
        token.cancel();
        assert_eq!(text(withdrawn).await, "farewell");
        assert_eq!(text(stopped).await, "");
        assert_eq!(text(whole).await, "whole");
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit_and_not_beyond() {
        let chunks = |sizes: &[usize]| {
            let frames = sizes.iter().map(|size| Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![b'x'; *size]))));
            StreamBody::new(futures_util::stream::iter(frames.collect::<Vec<_>>()))
        };
        assert_eq!(collect(Full::new(Bytes::from("12345")), 5).await.unwrap(), "12345");
        assert_eq!(collect(chunks(&[2, 0, 3]), 5).await.unwrap(), "xxxxx");
        for refused in [collect(Full::new(Bytes::from("123456")), 5).await, collect(chunks(&[3, 3]), 5).await] {
            let status = refused.unwrap_err();
            assert_eq!((status.code.as_u16(), status.reason), (413, "RequestEntityTooLarge"));
            assert_eq!(status.message, "Request entity too large: limit is 5");
        }
        let broken = StreamBody::new(futures_util::stream::iter([Err::<Frame<Bytes>, _>(std::io::Error::other("gone"))]));
        assert_eq!(collect(broken, 5).await.unwrap_err().code, 400);
    }
}

//! The one body type of answers, and the one of requests.
//!
//! An answer's body owns what its request holds (slot, stream record): they are released when the *stream* ends, not when the
//! headers leave. Knows nothing of Kubernetes.

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

/// The request as the backends see it.
pub type Request = http::Request<Inbound>;

/// The answer as the gateway sends it.
pub type Response = http::Response<Body>;

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
    held: Vec<Box<dyn Any + Send>>,
}

enum Content {
    Empty,
    Full(Bytes),
    Stream(Box<dyn Source>),
}

impl Body {
    /// No body at all.
    pub fn empty() -> Self {
        Self { content: Content::Empty, held: Vec::new() }
    }

    /// A body that is complete already.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Full(bytes.into()), held: Vec::new() }
    }

    /// A body that `source` makes as it is sent.
    pub fn stream(source: impl Source) -> Self {
        Self { content: Content::Stream(Box::new(source)), held: Vec::new() }
    }

    /// Keeps `guard` until the body has been sent or dropped.
    #[must_use]
    pub fn holding(mut self, guard: impl Any + Send) -> Self {
        self.held.push(Box::new(guard));
        self
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Empty => f.write_str("Body::Empty"),
            Content::Full(bytes) => write!(f, "Body::Full({} bytes)", bytes.len()),
            Content::Stream(_) => f.write_str("Body::Stream"),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut self.content {
            Content::Empty => None,
            Content::Full(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Content::Stream(source) => match source.poll_next(context) {
                Poll::Ready(piece) => piece,
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(piece.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Full(bytes) => bytes.is_empty(),
            Content::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(_) => SizeHint::default(),
        }
    }
}

/// The body of a request: from the wire, or made in this process.
#[derive(Debug)]
pub enum Inbound {
    /// As it comes from a connection.
    Wire(Incoming),
    /// Complete already.
    Full(http_body_util::Full<Bytes>),
}

impl http_body::Body for Inbound {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Wire(body) => Pin::new(body).poll_frame(context),
            Self::Full(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Wire(body) => body.is_end_stream(),
            Self::Full(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Wire(body) => body.size_hint(),
            Self::Full(body) => body.size_hint(),
        }
    }
}

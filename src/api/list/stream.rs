//! A list's body: the envelope around slices, made as the socket asks for it.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;

use crate::api::accept::Accept;
use crate::api::answer::{self, LARGE};
use crate::api::indent::Indenter;
use crate::api::object::Object;
use crate::api::render::Render;
use crate::api::walk::Walk;
use crate::body::{Body, Response, Source};

/// Where a list's items come from.
pub(super) enum Items {
    /// A page that has been gathered.
    Page(std::vec::IntoIter<Arc<Object>>),
    /// A walk over a root.
    Walk(Box<Walk>),
}

/// The compact JSON of a list, in pieces.
pub(super) struct Pieces {
    head: Vec<u8>,
    items: Items,
    render: Render,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    First,
    Middle,
    Done,
}

impl Pieces {
    pub(super) fn new(head: Vec<u8>, items: Items, render: Render) -> Self {
        Self { head, items, render, state: State::Head }
    }

    /// Everything at once.
    pub(super) fn whole(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.state != State::Done {
            self.fill(&mut out, usize::MAX);
        }
        out
    }

    /// The answer: complete if it is small, a stream otherwise.
    pub(super) fn answer(mut self, accept: &Accept) -> Response {
        let mut first = Vec::new();
        while self.state != State::Done && first.len() < CHUNK {
            self.fill(&mut first, CHUNK);
        }
        let polish = accept.pretty.then(Indenter::default);
        let mut listing = Listing { pieces: self, polish, gzip: None, first };
        let ended = listing.pieces.state == State::Done;
        if ended && (!accept.gzip || listing.first.len() <= LARGE) {
            let raw = std::mem::take(&mut listing.first);
            return answer::respond(StatusCode::OK, "application/json", Body::full(listing.polished(raw)));
        }
        if accept.gzip {
            listing.gzip = Some(GzEncoder::new(Vec::new(), Compression::fast()));
        }
        let mut response = answer::respond(StatusCode::OK, "application/json", Body::empty());
        if accept.gzip {
            answer::mark_compressed(&mut response);
        }
        response.map(|_| Body::stream(listing))
    }

    /// Appends items until the piece is full, the budget is spent or the list ends.
    fn fill(&mut self, out: &mut Vec<u8>, full: usize) {
        if self.state == State::Head {
            out.append(&mut self.head);
            self.state = State::First;
        }
        let (render, state) = (&self.render, &mut self.state);
        let mut put = |object: &Object| {
            if std::mem::replace(state, State::Middle) == State::Middle {
                out.push(b',');
            }
            render.item(object, out);
            if out.len() < full { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let ended = match &mut self.items {
            Items::Page(page) => page.by_ref().try_for_each(|object| put(&object)).is_continue(),
            Items::Walk(walk) => {
                walk.advance(BUDGET, |_, object| put(object));
                walk.is_done()
            }
        };
        if ended {
            self.state = State::Done;
            out.extend_from_slice(b"]}");
        }
    }
}

/// The body of a list that is too long for one piece.
struct Listing {
    pieces: Pieces,
    polish: Option<Indenter>,
    gzip: Option<GzEncoder<Vec<u8>>>,
    /// The piece that was made to see how long the list is.
    first: Vec<u8>,
}

impl Listing {
    /// Indented, or with the newline that ends compact JSON.
    fn polished(&mut self, mut raw: Vec<u8>) -> Vec<u8> {
        let Some(indenter) = &mut self.polish else {
            if self.pieces.state == State::Done {
                raw.push(b'\n');
            }
            return raw;
        };
        let mut out = Vec::new();
        indenter.push(&raw, &mut out);
        out
    }

    /// Compressed, when the client takes that. The end of the list ends the encoder.
    fn packed(&mut self, plain: Vec<u8>) -> Vec<u8> {
        let Some(mut encoder) = self.gzip.take() else { return plain };
        // Writing into a Vec cannot fail.
        let _ = encoder.write_all(&plain);
        if self.pieces.state == State::Done {
            return encoder.finish().unwrap_or_default();
        }
        let ready = std::mem::take(encoder.get_mut());
        self.gzip = Some(encoder);
        ready
    }
}

impl Source for Listing {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut raw = std::mem::take(&mut self.first);
        if raw.is_empty() {
            if self.pieces.state == State::Done {
                return Poll::Ready(None);
            }
            raw.reserve(CHUNK + CHUNK / 8);
            self.pieces.fill(&mut raw, CHUNK);
        }
        let plain = self.polished(raw);
        let ready = self.packed(plain);
        if ready.is_empty() && self.pieces.state != State::Done {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(ready.into()).filter(|ready: &Bytes| !ready.is_empty()))
    }
}

/// Bytes of a piece.
const CHUNK: usize = 128 * 1024;

/// Objects looked at for one piece.
const BUDGET: usize = 4096;

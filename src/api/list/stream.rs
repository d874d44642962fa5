//! A list's body: the envelope around slices, made as the socket asks for it.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use serde_json::Value;

use crate::api::accept::{Accept, Media};
use crate::api::answer::{self, LARGE};
use crate::api::indent::Indenter;
use crate::api::object::Object;
use crate::api::render::Render;
use crate::api::walk::Walk;
use crate::body::{Body, Response, Source};
use crate::schema::{protobuf_length, protobuf_member, yaml_item};

/// Where a list's items come from.
pub(super) enum Items {
    /// A page that has been gathered.
    Page(std::vec::IntoIter<Arc<Object>>),
    /// A walk over a root.
    Walk(Box<Walk>),
}

/// What stands around the items of a list.
#[derive(Default)]
pub(super) struct Envelope {
    /// Before the items.
    pub(super) head: Vec<u8>,
    /// Before the first item.
    pub(super) opening: &'static str,
    /// Instead of items, when there are none.
    pub(super) empty: &'static str,
    /// After the items.
    pub(super) tail: Vec<u8>,
    /// The protobuf number of the items.
    pub(super) number: u32,
}

/// A list in the negotiated encoding, in pieces.
pub(super) struct Pieces {
    envelope: Envelope,
    items: Items,
    render: Render,
    media: Media,
    scratch: Vec<u8>,
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
    pub(super) fn new(envelope: Envelope, items: Items, (render, media): (Render, Media)) -> Self {
        Self { envelope, items, render, media, scratch: Vec::new(), state: State::Head }
    }

    /// The answer: complete if it is small, a stream otherwise.
    pub(super) fn answer(mut self, accept: &Accept) -> Response {
        let mut first = Vec::new();
        while self.state != State::Done && first.len() < CHUNK {
            self.fill(&mut first, CHUNK);
        }
        let (polish, media) = (accept.pretty.then(Indenter::default), accept.media.name());
        let mut listing = Listing { pieces: self, polish, gzip: None, first };
        let ended = listing.pieces.state == State::Done;
        if ended && (!accept.gzip || listing.first.len() <= LARGE) {
            let raw = std::mem::take(&mut listing.first);
            return answer::respond(StatusCode::OK, media, Body::full(listing.polished(raw)));
        }
        if accept.gzip {
            listing.gzip = Some(GzEncoder::new(Vec::new(), Compression::fast()));
        }
        let mut response = answer::respond(StatusCode::OK, media, Body::empty());
        if accept.gzip {
            answer::mark_compressed(&mut response);
        }
        response.map(|_| Body::stream(listing))
    }

    /// Appends items until the piece is full, the budget is spent or the list ends.
    fn fill(&mut self, out: &mut Vec<u8>, full: usize) {
        if self.state == State::Head {
            out.append(&mut self.envelope.head);
            self.state = State::First;
        }
        let (render, state, scratch, envelope, media) =
            (&self.render, &mut self.state, &mut self.scratch, &self.envelope, self.media);
        let mut put = |object: &Object| {
            let first = std::mem::replace(state, State::Middle) != State::Middle;
            out.extend_from_slice(if first { envelope.opening.as_bytes() } else { separator(media) });
            item(render, (media, envelope.number), object, (scratch, out));
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
            if self.state == State::First {
                out.extend_from_slice(self.envelope.empty.as_bytes());
            }
            self.state = State::Done;
            out.append(&mut self.envelope.tail);
        }
    }
}

impl Items {
    /// All items, by a number each has, then by name. For kinds of which there are few.
    pub(super) fn ordered(self, place: fn(&Value) -> i64) -> Self {
        let mut all: Vec<Arc<Object>> = match self {
            Self::Page(page) => page.collect(),
            Self::Walk(mut walk) => {
                let mut all = Vec::new();
                walk.advance(usize::MAX, |_, object| {
                    all.push(Arc::clone(object));
                    ControlFlow::Continue(())
                });
                all
            }
        };
        all.sort_by_cached_key(|object| place(&object.value()));
        Self::Page(all.into_iter())
    }

    /// Bytes of all items as members of a protobuf message. Others get their turn meanwhile.
    pub(super) async fn length(&self, render: &Render) -> usize {
        let (mut all, mut scratch) = (0, Vec::new());
        let mut measure = |object: &Object| all += protobuf_length(render.message_length(object, &mut scratch));
        match self {
            Self::Page(page) => {
                for objects in page.as_slice().chunks(MEASURED) {
                    objects.iter().for_each(|object| measure(object));
                    tokio::task::yield_now().await;
                }
            }
            Self::Walk(walk) => {
                let mut walk = walk.clone();
                while !walk.is_done() {
                    walk.advance(MEASURED, |_, object| {
                        measure(object);
                        ControlFlow::Continue(())
                    });
                    tokio::task::yield_now().await;
                }
            }
        }
        all
    }
}

fn separator(media: Media) -> &'static [u8] {
    if media == Media::Json { b"," } else { b"" }
}

/// Appends one item in its encoding.
fn item(render: &Render, (media, number): (Media, u32), object: &Object, (scratch, out): (&mut Vec<u8>, &mut Vec<u8>)) {
    scratch.clear();
    match media {
        Media::Json => render.item(object, out),
        Media::Yaml => {
            render.item(object, scratch);
            yaml_item(scratch, out);
        }
        Media::Protobuf => {
            render.message(object, scratch);
            protobuf_member(out, number, scratch);
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
            if self.pieces.state == State::Done && self.pieces.media == Media::Json {
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

/// Objects measured before others get their turn.
const MEASURED: usize = 128;

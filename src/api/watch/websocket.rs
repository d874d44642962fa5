//! A watch over a WebSocket (RFC 6455): one message an event (contract 4.10).

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::stream::Events;
use crate::api::accept::Media;
use crate::body::{Body, Request, Response, Source, Tether};
use crate::shutdown::Shutdown;
use crate::status::Status;

/// Whether the request asks for a WebSocket.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    has_token(headers, &CONNECTION, "upgrade") && has_token(headers, &UPGRADE, "websocket")
}

/// Answers the handshake and sends the events in a task that ends with the process.
///
/// # Errors
/// 400 for a handshake that is none.
pub(super) fn serve(request: &mut Request, events: Events, media: Media, shutdown: &Shutdown) -> Result<Response, Status> {
    let headers = request.headers();
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let mut response = plain(StatusCode::BAD_REQUEST);
        response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Ok(response);
    }
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()).and_then(|origin| origin.parse::<Uri>().ok());
    if origin.is_none() {
        return Ok(plain(StatusCode::FORBIDDEN));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
    if STANDARD.decode(key).map(|nonce| nonce.len()) != Ok(16) {
        return Err(Status::bad_request("bad Sec-WebSocket-Key"));
    }
    let accept = HeaderValue::from_str(&accept(key)).map_err(Status::internal)?;
    let tether = request.extensions().get::<Tether>().cloned();
    let upgrade = hyper::upgrade::on(request);
    let own = shutdown.clone();
    shutdown.spawn(async move {
        run(upgrade, events, media, own).await;
        drop(tether);
    });
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

async fn run(upgrade: OnUpgrade, events: Events, media: Media, shutdown: Shutdown) {
    let upgraded = tokio::select! {
        upgraded = upgrade => upgraded,
        () = shutdown.begun() => return,
    };
    let Ok(upgraded) = upgraded else { return };
    // A broken connection ends the watch; there is nobody to tell.
    let _ = converse(TokioIo::new(upgraded), events, (media, &shutdown)).await;
}

/// Sends events and answers the client's control frames until either side has enough.
async fn converse(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    mut events: impl Source,
    how: (Media, &Shutdown),
) -> io::Result<()> {
    let (media, shutdown) = how;
    let mut input = BytesMut::new();
    loop {
        tokio::select! {
            () = shutdown.begun() => return send(&mut socket, &frame(CLOSE, &GOING_AWAY.to_be_bytes())).await,
            read = socket.read_buf(&mut input) => {
                if read? == 0 {
                    return Ok(());
                }
                match answer(&mut input)? {
                    Flow::End(reply) => return send(&mut socket, &reply).await,
                    Flow::Reply(reply) => send(&mut socket, &reply).await?,
                }
            }
            piece = poll_fn(|context| events.poll_next(context)) => match piece {
                Some(piece) => send(&mut socket, &messages(&piece, media)).await?,
                None => return send(&mut socket, &frame(CLOSE, &NORMAL.to_be_bytes())).await,
            },
        }
    }
}

/// What the client's frames ask for.
enum Flow {
    /// To go on, after this has been sent (which may be nothing).
    Reply(Vec<u8>),
    /// To end, after this has been sent.
    End(Vec<u8>),
}

/// Takes all complete frames off the input.
fn answer(input: &mut BytesMut) -> io::Result<Flow> {
    let mut reply = Vec::new();
    while let Some((operation, payload)) = take(input)? {
        match operation {
            CLOSE => {
                reply.extend_from_slice(&frame(CLOSE, payload.get(..2).unwrap_or_default()));
                return Ok(Flow::End(reply));
            }
            PING => reply.extend_from_slice(&frame(PONG, &payload)),
            // A watcher has nothing to say.
            _ => {}
        }
    }
    Ok(Flow::Reply(reply))
}

/// One frame of the client: masked, and not large.
fn take(input: &mut BytesMut) -> io::Result<Option<(u8, Bytes)>> {
    let Some((&[first, second], rest)) = input.split_first_chunk::<2>() else { return Ok(None) };
    if second & 0x80 == 0 {
        return Err(io::Error::other("a frame of a client must be masked"));
    }
    let (length, head) = match second & 0x7f {
        126 => match rest.split_first_chunk::<2>() {
            Some((length, _)) => (usize::from(u16::from_be_bytes(*length)), 8),
            None => return Ok(None),
        },
        127 => return Err(io::Error::other("a frame of a watcher is not that large")),
        length => (usize::from(length), 6),
    };
    if input.len() < head + length {
        return Ok(None);
    }
    input.advance(head - 4);
    let mask = [input[0], input[1], input[2], input[3]];
    input.advance(4);
    let mut payload = input.split_to(length);
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok(Some((first & 0x0f, payload.freeze())))
}

/// The frames of a piece of the stream: one an event.
fn messages(piece: &[u8], media: Media) -> Vec<u8> {
    let mut out = Vec::with_capacity(piece.len() + 64);
    if media == Media::Protobuf {
        let mut rest = piece;
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let Some((event, tail)) = tail.split_at_checked(u32::from_be_bytes(*length) as usize) else { break };
            out.extend_from_slice(&frame(BINARY, event));
            rest = tail;
        }
        return out;
    }
    for line in piece.split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(&frame(TEXT, line));
    }
    out
}

/// An unmasked, final frame.
fn frame(operation: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 10);
    out.push(0x80 | operation);
    match payload.len() {
        length @ 0..126 => out.push(length as u8),
        length @ 126..0x1_0000 => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

/// A client that does not read for a minute is gone.
async fn send(socket: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let work = async {
        socket.write_all(bytes).await?;
        socket.flush().await
    };
    tokio::time::timeout(PATIENCE, work).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

fn accept(key: &[u8]) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat()))
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
}

fn plain(code: StatusCode) -> Response {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = code;
    response
}

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(operation: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0x80 | operation, 0x80 | payload.len() as u8, 1, 2, 3, 4];
        out.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
        out
    }

    #[test]
    fn accepts_as_the_rfc_shows() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn one_message_an_event() {
        assert_eq!(messages(b"{1}\n{2}\n", Media::Json), [b"\x81\x04{1}\n".as_slice(), b"\x81\x04{2}\n"].concat());
        assert_eq!(messages(b"\0\0\0\x01a\0\0\0\x02bc", Media::Protobuf), b"\x82\x01a\x82\x02bc");
        assert_eq!(frame(TEXT, &[b'x'; 126])[..4], [0x81, 126, 0, 126]);
        assert_eq!(frame(TEXT, &vec![b'x'; 70_000])[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
    }

    #[test]
    fn answers_control_frames() {
        let mut input = BytesMut::from([masked(TEXT, b"hello"), masked(PING, b"p")].concat().as_slice());
        assert!(matches!(answer(&mut input), Ok(Flow::Reply(reply)) if reply == b"\x8a\x01p"));
        let mut input = BytesMut::from(masked(CLOSE, &[3, 232, b'b']).as_slice());
        assert!(matches!(answer(&mut input), Ok(Flow::End(reply)) if reply == b"\x88\x02\x03\xe8"));
        let whole = masked(PING, b"abc");
        for end in 0..whole.len() {
            let mut input = BytesMut::from(&whole[..end]);
            assert!(matches!(answer(&mut input), Ok(Flow::Reply(reply)) if reply.is_empty()), "{end} bytes");
        }
        for bad in [b"\x81\x01a".as_slice(), b"\x81\xff\0\0\0\0\0\0\0\0"] {
            assert!(answer(&mut BytesMut::from(bad)).is_err());
        }
    }

    /// Two events, then the end.
    struct Two(u8);

    impl Source for Two {
        fn poll_next(&mut self, _context: &mut std::task::Context<'_>) -> std::task::Poll<Option<Bytes>> {
            self.0 += 1;
            std::task::Poll::Ready((self.0 < 3).then(|| Bytes::from(format!("{{{}}}\n", self.0))))
        }
    }

    /// Nothing, ever.
    struct Silence;

    impl Source for Silence {
        fn poll_next(&mut self, _context: &mut std::task::Context<'_>) -> std::task::Poll<Option<Bytes>> {
            std::task::Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_conversation_ends_with_the_stream_the_client_or_the_process() {
        let (mut client, server) = tokio::io::duplex(4096);
        converse(server, Two(0), (Media::Json, &Shutdown::new())).await.expect("a clean end");
        let mut said = Vec::new();
        client.read_to_end(&mut said).await.expect("bytes");
        assert_eq!(said, b"\x81\x04{1}\n\x81\x04{2}\n\x88\x02\x03\xe8");

        let (mut client, server) = tokio::io::duplex(4096);
        client.write_all(&[masked(PING, b"p"), masked(CLOSE, &[3, 232])].concat()).await.expect("room");
        converse(server, Silence, (Media::Json, &Shutdown::new())).await.expect("a clean end");
        let mut said = Vec::new();
        client.read_to_end(&mut said).await.expect("bytes");
        assert_eq!(said, b"\x8a\x01p\x88\x02\x03\xe8".as_slice());

        let (mut client, server) = tokio::io::duplex(4096);
        let shutdown = Shutdown::new();
        shutdown.begin();
        converse(server, Silence, (Media::Json, &shutdown)).await.expect("a clean end");
        let mut said = Vec::new();
        client.read_to_end(&mut said).await.expect("bytes");
        assert_eq!(said, b"\x88\x02\x03\xe9");
    }
}

//! A stream that is closed gently.
//!
//! Closing a socket that holds unread bytes resets the connection, and the reset can overtake the answer: a client that is still sending
//! a refused body would never read the refusal. So the end is sent first, and what still comes is thrown away for a moment.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A stream over `S`, whose bytes are thrown away at the end without being decrypted.
pub(super) struct Linger<S> {
    stream: S,
    drain: fn(&mut S, &mut Context<'_>, &mut ReadBuf<'_>) -> Poll<io::Result<()>>,
    closing: Option<Closing>,
}

struct Closing {
    until: Pin<Box<Sleep>>,
    left: usize,
}

impl<S> Linger<S> {
    /// `drain` reads from below the stream.
    pub(super) fn new(stream: S, drain: fn(&mut S, &mut Context<'_>, &mut ReadBuf<'_>) -> Poll<io::Result<()>>) -> Self {
        Self { stream, drain, closing: None }
    }

    fn poll_drained(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let closing = self.closing.get_or_insert_with(|| Closing { until: Box::pin(tokio::time::sleep(LINGER)), left: MOST });
        let mut scrap = [0; SCRAP];
        while closing.left > 0 {
            let mut buffer = ReadBuf::new(&mut scrap);
            match (self.drain)(&mut self.stream, context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    closing.left = closing.left.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return closing.until.as_mut().poll(context),
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Linger<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Linger<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        self.poll_drained(context).map(Ok)
    }
}

// As Go does after an answer that left a body unread.
const LINGER: Duration = Duration::from_millis(500);

// More than a client has under way when it hears of the end; what sends on is reset.
const MOST: usize = 4 << 20;

const SCRAP: usize = 4096;

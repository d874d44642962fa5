//! A client that sends exactly the bytes it is told to, over TLS, and says what came back.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Longer than this without a byte is a hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub struct Raw {
    stream: StreamOwned<ClientConnection, TcpStream>,
    buffer: Vec<u8>,
}

/// An HTTP/1.1 answer.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    /// Lower-case names, and values.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl RawAnswer {
    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Raw {
    /// Connects and shakes hands.
    pub fn connect(address: SocketAddr, config: Arc<ClientConfig>) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        let session = ClientConnection::new(config, ServerName::try_from("localhost").expect("a name")).expect("a session");
        Self { stream: StreamOwned::new(session, stream), buffer: Vec::new() }
    }

    /// Sends these bytes; false when the server has closed already.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).is_ok()
    }

    /// The next answer to `method`; `None` when the connection ended first. The answer to HEAD has no body.
    pub fn answer_to(&mut self, method: &str) -> Option<RawAnswer> {
        loop {
            let end = loop {
                if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                    break at + 4;
                }
                if !self.fill() {
                    return None;
                }
            };
            let head = String::from_utf8_lossy(&self.take(end)).into_owned();
            let mut lines = head.split("\r\n");
            let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
            if status == 100 {
                continue;
            }
            let headers: Vec<(String, String)> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            let mut answer = RawAnswer { status, headers, body: String::new() };
            if status != 101 && method != "HEAD" {
                answer.body = String::from_utf8_lossy(&self.body(&answer)).into_owned();
            }
            return Some(answer);
        }
    }

    /// The next answer to anything but HEAD.
    pub fn answer(&mut self) -> Option<RawAnswer> {
        self.answer_to("GET")
    }

    /// Exactly so many bytes; `None` when the connection ended first.
    pub fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            if !self.fill() {
                return None;
            }
        }
        Some(self.take(count))
    }

    /// Whether the server has ended the connection, with nothing more said.
    pub fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill()
    }

    fn body(&mut self, answer: &RawAnswer) -> Vec<u8> {
        if let Some(length) = answer.header("content-length") {
            let length = length.parse().expect("a length");
            return self.exactly(length).expect("the whole body");
        }
        if answer.header("transfer-encoding") != Some("chunked") {
            while self.fill() {}
            return std::mem::take(&mut self.buffer);
        }
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk() {
            body.extend_from_slice(&chunk);
        }
        body
    }

    /// The next chunk of a chunked body; `None` after the last.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                break at;
            }
            assert!(self.fill(), "the body was cut");
        };
        let line = self.take(end + 2);
        let size = usize::from_str_radix(String::from_utf8_lossy(&line[..end]).trim(), 16).expect("a size");
        let chunk = self.exactly(size + 2).expect("a whole chunk");
        (size > 0).then(|| chunk[..size].to_vec())
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        self.buffer.drain(..count).collect()
    }

    /// Reads more; false at the end of the connection.
    fn fill(&mut self) -> bool {
        let mut piece = [0; 16 << 10];
        match self.stream.read(&mut piece) {
            Ok(0) => false,
            Ok(count) => {
                self.buffer.extend_from_slice(&piece[..count]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("nothing came for {PATIENCE:?}; so far {:?}", String::from_utf8_lossy(&self.buffer))
            }
            Err(_) => false,
        }
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

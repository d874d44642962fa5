//! The form of an access line.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// One request, when its answer has ended.
#[derive(Debug)]
pub struct Line<'a> {
    /// The audit id, which the client has as `Audit-Id`.
    pub id: &'a str,
    /// The client's address.
    pub address: SocketAddr,
    /// Whose credential was shown; empty when nobody is known.
    pub user: &'a str,
    /// In whose name, where that differs.
    pub impersonated: Option<&'a str>,
    /// The verb in Kubernetes' words.
    pub verb: &'a str,
    /// The HTTP method.
    pub method: &'a str,
    /// Path and query.
    pub uri: &'a str,
    /// The client's `User-Agent`.
    pub agent: &'a str,
    /// Why it was refused, for those who keep the server; the client is told less.
    pub reason: Option<&'a str>,
    /// The HTTP status; 499 when the client left before there was one.
    pub code: u16,
    /// Bytes of the answer's body.
    pub sent: u64,
    /// From the request's head to the end of the answer.
    pub took: Duration,
    /// Whether the answer was handed over whole.
    pub complete: bool,
}

impl Line<'_> {
    /// Appends the line and its newline. What a client chose is cut to a bounded length and escaped.
    pub fn append(&self, out: &mut Vec<u8>) {
        let mut decimal = itoa::Buffer::new();
        out.extend_from_slice(b"{\"time\":\"");
        let _ = write!(out, "{:.6}", jiff::Timestamp::now());
        out.extend_from_slice(b"\",\"auditID\":");
        text(out, self.id, 64);
        let _ = write!(out, ",\"address\":\"{}\",\"user\":", self.address);
        text(out, self.user, 512);
        if let Some(impersonated) = self.impersonated {
            out.extend_from_slice(b",\"impersonated\":");
            text(out, impersonated, 512);
        }
        for (key, value, most) in [
            (&b",\"verb\":"[..], self.verb, 32),
            (b",\"method\":", self.method, 32),
            (b",\"uri\":", self.uri, 1024),
            (b",\"agent\":", self.agent, 256),
        ] {
            out.extend_from_slice(key);
            text(out, value, most);
        }
        if let Some(reason) = self.reason {
            out.extend_from_slice(b",\"reason\":");
            text(out, reason, 512);
        }
        out.extend_from_slice(b",\"code\":");
        out.extend_from_slice(decimal.format(self.code).as_bytes());
        out.extend_from_slice(b",\"sent\":");
        out.extend_from_slice(decimal.format(self.sent).as_bytes());
        let micros = self.took.as_micros();
        let _ = write!(out, ",\"milliseconds\":{}.{:03}", micros / 1000, micros % 1000);
        out.extend_from_slice(if self.complete { b"}\n" } else { b",\"cut\":true}\n" });
    }
}

fn text(out: &mut Vec<u8>, value: &str, most: usize) {
    let cut = value.floor_char_boundary(most);
    let _ = serde_json::to_writer(out, &value[..cut]);
}

//! A watch over a WebSocket, by a client that speaks RFC 6455 itself.

use base64::Engine;
use http::Method;
use serde_json::{Value, json};

use crate::mission::{client, credentials, make, on_both};
use crate::support::Up;
use crate::support::client::{Protocol, tls};
use crate::support::raw::{Raw, RawAnswer};

const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// An open WebSocket.
struct Socket(Raw);

impl Socket {
    /// The handshake of RFC 6455, with its own example key.
    fn open(up: &Up, who: &str, path: &str, headers: &str) -> (Self, Option<RawAnswer>) {
        let (address, credentials) = credentials(up, who);
        let mut raw = Raw::connect(address, tls(&credentials, Protocol::Http1));
        let token = credentials.token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        raw.send(
            format!(
                "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{token}{headers}\r\n"
            )
            .as_bytes(),
        );
        let answer = raw.answer();
        (Self(raw), answer)
    }

    /// The next frame: operation and payload.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.0.exactly(2).expect("a frame");
        assert_eq!(head[0] & 0xf0, 0x80, "a whole message in one frame");
        let length = match head[1] {
            126 => u16::from_be_bytes(self.0.exactly(2).unwrap().try_into().unwrap()).into(),
            127 => u64::from_be_bytes(self.0.exactly(8).unwrap().try_into().unwrap()),
            length => length.into(),
        };
        (head[0] & 0x0f, self.0.exactly(usize::try_from(length).unwrap()).expect("a payload"))
    }

    /// The next event: one line of JSON in a text frame.
    fn event(&mut self) -> Value {
        let (operation, payload) = self.frame();
        assert_eq!(operation, TEXT);
        let text = String::from_utf8(payload).expect("UTF-8");
        assert_eq!(text.lines().count(), 1, "one event a message");
        serde_json::from_str(&text).expect("JSON")
    }

    fn send(&mut self, operation: u8, payload: &[u8]) {
        let mask = [7, 11, 13, 17];
        let mut frame = vec![0x80 | operation, 0x80 | u8::try_from(payload.len()).unwrap()];
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.0.send(&frame);
    }
}

#[test]
fn kube_proxy_watches_over_a_websocket() {
    on_both(|up| async move {
        let admin = client(&up, "admin", Protocol::Http2).await;
        let proxy = client(&up, "kube-proxy", Protocol::Http2).await;
        let list = proxy.get(SLICES).await.json();
        let version = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        let path = format!("{SLICES}?watch=true&resourceVersion={version}");
        let (mut socket, answer) =
            tokio::task::block_in_place(|| Socket::open(&up, "kube-proxy", &path, "Origin: https://localhost\r\n"));
        let answer = answer.unwrap();
        assert_eq!(answer.status, 101, "{answer:?}");
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        for turn in 0..3 {
            // The last one is larger than one TLS record.
            let addresses = [format!("10.1.0.{turn}")];
            let note = "x".repeat(if turn == 2 { 70_000 } else { 1 });
            let slice = json!({"metadata": {"name": format!("w{turn}"), "annotations": {"note": note}}, "addressType": "IPv4",
                "endpoints": [{"addresses": addresses}], "ports": [{"port": 80}]});
            make(&admin, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice).await;
            let event = tokio::task::block_in_place(|| socket.event());
            assert_eq!((&event["type"], &event["object"]["kind"]), (&json!("ADDED"), &json!("EndpointSlice")), "{event}");
            assert_eq!(event["object"]["endpoints"][0]["addresses"][0], addresses[0]);
        }
        let gone = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/w0";
        admin.request(Method::DELETE, gone, &[], "").await.unwrap();
        tokio::task::block_in_place(|| {
            assert_eq!(socket.event()["type"], "DELETED");
            socket.send(PING, b"are you there");
            assert_eq!(socket.frame(), (PONG, b"are you there".to_vec()));
            socket.send(CLOSE, &1000_u16.to_be_bytes());
            assert_eq!(socket.frame(), (CLOSE, 1000_u16.to_be_bytes().to_vec()));
            assert!(socket.0.is_closed());
        });
    });
}

#[test]
fn a_websocket_is_refused_like_any_request() {
    let up = Up::start(crate::support::Store::Embedded);
    let origin = "Origin: https://localhost\r\n";
    let rows = [
        ("kube-proxy", "/api/v1/services?watch=true", "", 403, "a browser's page without an Origin"),
        ("kube-proxy", "/api/v1/secrets?watch=true", origin, 403, "what kube-proxy may not read"),
        ("kubelet", "/api/v1/pods?watch=true", origin, 403, "a kubelet that asks for all pods"),
        ("admin", "/api/v1/pods?watch=true&resourceVersion=x", origin, 422, "a version that is none"),
        ("admin", "/api/v1/pods?watch=true", origin, 101, "an administrator"),
    ];
    for (who, path, headers, status, what) in rows {
        let (_, answer) = Socket::open(&up, who, path, headers);
        assert_eq!(answer.unwrap().status, status, "{what}");
    }
}

#[test]
fn a_token_comes_as_a_subprotocol_where_a_browser_has_no_header() {
    let up = Up::start(crate::support::Store::Embedded);
    let (address, credentials) = credentials(&up, "kube-proxy");
    let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(credentials.token.clone().unwrap());
    let anonymous = crate::support::client::Credentials { token: None, ..credentials };
    let rows = [
        (format!("base64url.bearer.authorization.k8s.io.{token}, base64.binary.k8s.io"), 101),
        (format!("base64url.bearer.authorization.k8s.io.{token}x, base64.binary.k8s.io"), 401),
        ("base64.binary.k8s.io".to_owned(), 401),
    ];
    for (protocols, status) in rows {
        let mut raw = Raw::connect(address, tls(&anonymous, Protocol::Http1));
        raw.send(
            format!(
                "GET /api/v1/services?watch=true HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://localhost\r\n\
                 Sec-WebSocket-Protocol: {protocols}\r\n\r\n"
            )
            .as_bytes(),
        );
        assert_eq!(raw.answer().unwrap().status, status, "{protocols}");
    }
}

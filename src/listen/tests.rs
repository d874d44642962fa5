//! Real sockets, real TLS: what a peer may do to a connection, and what becomes of it.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::tls::client::{Client, Speaks, shaken};
use super::*;
use crate::body::Body;
use crate::gateway::LastOfConnection;
use crate::pki::{Authority, Issued, Order};

const DAY: Duration = Duration::from_secs(86_400);

/// A listener with an authority, and a shutdown of its own.
struct Server {
    address: SocketAddr,
    authority: Authority,
    tls: Arc<Live<Tls>>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
}

impl Server {
    /// Answers `/whole` after reading the body, `/slow` after 200 ms, `/last` as the last of its connection, the rest at once.
    async fn start(patience: Patience, connections: usize) -> Self {
        let authority = Authority::new("serving", DAY).unwrap();
        let tls = Arc::new(Live::new(serving(&authority)));
        let (metrics, shutdown) = (Arc::new(Metrics::new()), Shutdown::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answer: Box::new(|peer, request| Box::pin(async move { Ok(answer(&peer, request).await) })),
            metrics: metrics.clone(),
            tls: tls.clone(),
            handshakes: Turns::new(8),
            patience,
            shutdown: shutdown.clone(),
        });
        shutdown.spawn(async move { accept_all(&listener, shared, connections).await });
        Self { address, authority, tls, metrics, shutdown }
    }

    fn client(&self, protocol: &str) -> Client {
        Client::new(self.authority.der(), None, (Speaks::Tls13, &[protocol]))
    }

    /// One request on a connection of its own; the body says what the server saw.
    async fn ask(&self, client: &Client, http2: bool) -> io::Result<String> {
        let stream = TokioIo::new(client.connect(self.address).await?);
        let request = Request::get("https://localhost/").body(Full::<Bytes>::default()).unwrap();
        let response = if http2 {
            let (mut send, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            send.send_request(request).await
        } else {
            let (mut send, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            send.send_request(request).await
        };
        let bytes = response.map_err(io::Error::other)?.into_body().collect().await.map_err(io::Error::other)?;
        Ok(String::from_utf8(bytes.to_bytes().to_vec()).unwrap())
    }
}

async fn answer(peer: &Peer, request: Request<Incoming>) -> Response<Body> {
    let seen = format!("{:?} {} certificates", request.version(), peer.chain().len());
    let mut response = Response::new(Body::full(seen));
    match request.uri().path() {
        "/whole" => _ = request.into_body().collect().await,
        "/slow" => tokio::time::sleep(Duration::from_millis(200)).await,
        "/last" => _ = response.extensions_mut().insert(LastOfConnection),
        "/refused" => *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE,
        _ => {}
    }
    response
}

fn serving(authority: &Authority) -> Tls {
    let issued = authority.issue(&Order::server("localhost", &["localhost"], DAY)).unwrap();
    Tls::new(issued.certificate_pem().as_bytes(), issued.key_pem().as_bytes(), Vec::new()).unwrap()
}

fn node() -> Issued {
    Authority::new("clients", DAY).unwrap().issue(&Order::client("system:node:a", &["system:nodes"], DAY)).unwrap()
}

fn short() -> Patience {
    let moment = Duration::from_millis(100);
    Patience { handshake: 2 * moment, head: 2 * moment, idle: moment, stop: moment }
}

/// Everything until the server closes.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await.expect("the server closes");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn versions_protocols_and_certificates_are_the_clients_choice() {
    let server = Server::start(Patience::default(), 100).await;
    let issued = node();
    let (chain, key) = (issued.certificate_pem(), issued.key_pem());
    for speaks in [Speaks::Tls12, Speaks::Tls13] {
        for (http2, protocols) in [(false, &["http/1.1"][..]), (false, &[]), (true, &["h2", "http/1.1"])] {
            for (shown, count) in [(None, 0), (Some((chain.as_str(), key.as_str())), 1)] {
                let client = Client::new(server.authority.der(), shown, (speaks, protocols));
                let seen = server.ask(&client, http2).await.unwrap();
                let version = if http2 { "HTTP/2.0" } else { "HTTP/1.1" };
                assert_eq!(seen, format!("{version} {count} certificates"), "{speaks:?} {protocols:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_or_in_a_long_chain_is_no_handshake() {
    let server = Server::start(Patience::default(), 100).await;
    let (issued, other) = (node(), node());
    let eight = issued.certificate_pem().repeat(8);
    for speaks in [Speaks::Tls12, Speaks::Tls13] {
        for (chain, key, good) in [
            (issued.certificate_pem(), issued.key_pem(), true),
            (issued.certificate_pem(), other.key_pem(), false),
            (eight.clone(), issued.key_pem(), true),
            (eight.clone() + &other.certificate_pem(), issued.key_pem(), false),
        ] {
            let client = Client::new(server.authority.der(), Some((&chain, &key)), (speaks, &["http/1.1"]));
            assert_eq!(server.ask(&client, false).await.is_ok(), good, "{speaks:?} {}", chain.len());
        }
    }
    assert!(server.metrics.exposition().contains("apiserver_tls_handshake_errors_total 4"));
}

#[tokio::test]
async fn no_session_is_resumed() {
    let server = Server::start(Patience::default(), 100).await;
    for speaks in [Speaks::Tls12, Speaks::Tls13] {
        let client = Client::new(server.authority.der(), None, (speaks, &["http/1.1"]));
        for _ in 0..3 {
            let mut stream = client.connect(server.address).await.unwrap();
            // Tickets would come with the first answer.
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
            assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200"));
            assert!(shaken(&stream).0, "{speaks:?}");
        }
    }
}

#[tokio::test]
async fn who_says_nothing_is_sent_away() {
    let server = Server::start(short(), 100).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(rest(&mut silent).await, "");
    let mut half = TcpStream::connect(server.address).await.unwrap();
    half.write_all(&[0x16, 3, 1, 2]).await.unwrap();
    assert_eq!(rest(&mut half).await, "");
    assert!(server.metrics.exposition().contains("apiserver_tls_handshake_errors_total 2"));

    let mut slow = server.client("http/1.1").connect(server.address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: lo").await.unwrap();
    assert!(!rest(&mut slow).await.contains("200"));
    let mut preface = server.client("h2").connect(server.address).await.unwrap();
    rest(&mut preface).await;
}

#[tokio::test]
async fn heads_are_bounded() {
    let server = Server::start(Patience::default(), 100).await;
    let many = (0..200).map(|n| format!("a{n}: b\r\n")).collect::<String>();
    for (lines, code) in [
        (format!("a: {}\r\n", "x".repeat(16 << 10)), "200"),
        (format!("a: {}\r\n", "x".repeat(40 << 10)), "431"),
        (many, "431"),
        ("a: b\r\n c: d\r\n".to_owned(), "400"),
        ("Content-Length: 1\r\nContent-Length: 2\r\n".to_owned(), "400"),
    ] {
        let mut stream = server.client("http/1.1").connect(server.address).await.unwrap();
        let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n");
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code}")), "{code}: {answer:.80} for {lines:.40}");
    }
}

#[tokio::test]
async fn a_refused_body_is_neither_read_as_requests_nor_hides_the_refusal() {
    let server = Server::start(Patience::default(), 100).await;
    let mut stream = server.client("http/1.1").connect(server.address).await.unwrap();
    let head = "POST /refused HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(300);
    for _ in 0..10 {
        // A simple client looks at the answer only after the body, and a write that fails is all it hears of.
        stream.write_all(piece.as_bytes()).await.expect("the server still takes what it does not read");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer:.80}");
    assert_eq!(answer.matches("date: ").count(), 1, "{answer}");
}

#[tokio::test]
async fn the_last_request_of_a_connection_is_answered_and_ends_it() {
    let server = Server::start(Patience::default(), 100).await;
    let stream = TokioIo::new(server.client("h2").connect(server.address).await.unwrap());
    let (mut send, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("https://localhost/last").body(Full::<Bytes>::default()).unwrap();
    let response = send.send_request(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "HTTP/2.0 0 certificates");
    tokio::time::timeout(Duration::from_secs(5), connection).await.expect("GOAWAY").unwrap().unwrap();
}

#[tokio::test]
async fn idle_http2_connections_end_and_busy_ones_do_not() {
    let server = Server::start(short(), 100).await;
    let stream = TokioIo::new(server.client("h2").connect(server.address).await.unwrap());
    let (mut send, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(800) {
        let request = Request::get("https://localhost/slow").body(Full::<Bytes>::default()).unwrap();
        assert_eq!(send.send_request(request).await.unwrap().status(), 200);
    }
    tokio::time::timeout(Duration::from_secs(5), connection).await.expect("the end of the idle").unwrap().unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let server = Server::start(Patience::default(), 1).await;
    let client = server.client("http/1.1");
    let first = client.connect(server.address).await.unwrap();
    let waiting = client.connect(server.address);
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut waiting).await.is_err());
    drop(first);
    tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("its turn").unwrap();
}

#[tokio::test]
async fn shutdown_answers_what_was_asked_and_ends_in_time() {
    for protocol in ["http/1.1", "h2"] {
        let server = Server::start(Patience::default(), 100).await;
        let client = server.client(protocol);
        let idle = client.connect(server.address).await.unwrap();
        let silent = TcpStream::connect(server.address).await.unwrap();
        let stream = TokioIo::new(client.connect(server.address).await.unwrap());
        let request = Request::get("https://localhost/slow").body(Full::<Bytes>::default()).unwrap();
        let asked = if protocol == "h2" {
            let (mut send, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            tokio::spawn(async move { send.send_request(request).await })
        } else {
            let (mut send, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            tokio::spawn(async move { send.send_request(request).await })
        };
        tokio::time::sleep(Duration::from_millis(50)).await;
        let begun = Instant::now();
        assert!(server.shutdown.finish(Duration::from_secs(5)).await, "{protocol}: connections are left");
        assert!(begun.elapsed() < Duration::from_secs(3), "{protocol}: {:?}", begun.elapsed());
        assert_eq!(asked.await.unwrap().unwrap().status(), 200, "{protocol}");
        assert!(TcpStream::connect(server.address).await.is_err(), "{protocol}: still accepting");
        drop((idle, silent));
    }
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections_while_requests_go_on() {
    let server = Server::start(Patience::default(), 100).await;
    let client = server.client("http/1.1");
    let mut seen = std::collections::HashSet::new();
    for round in 0..20 {
        if round % 2 == 1 {
            server.tls.swap(serving(&server.authority));
        }
        let (one, other) = tokio::join!(client.connect(server.address), server.ask(&client, false));
        seen.insert(shaken(&one.unwrap()).1);
        other.unwrap();
    }
    assert_eq!(seen.len(), 11, "one certificate at first and one after each of ten reloads");
    let stranger = Authority::new("other", DAY).unwrap();
    server.tls.swap(serving(&stranger));
    assert!(client.connect(server.address).await.is_err(), "the old certificate is still served");
}

#[tokio::test]
async fn those_who_say_nothing_keep_nobody_out() {
    let server = Server::start(Patience { handshake: DAY, ..Patience::default() }, 100).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    let asked = tokio::time::timeout(Duration::from_secs(10), server.ask(&server.client("http/1.1"), false)).await;
    assert_eq!(asked.expect("an answer in time").unwrap(), "HTTP/1.1 0 certificates");
    assert_eq!(rest(&mut idle[0]).await, "", "the oldest gives way");
}

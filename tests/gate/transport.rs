//! TLS, HTTP and identity on open connections.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use http::{Method, StatusCode};
use portcullis::testing;

use crate::support::client::{Client, Credentials, Protocol, tls, tls_of};
use crate::support::pki::{Life, Pki};
use crate::support::raw::Raw;
use crate::support::{Cluster, Store, plain_get, wait_until};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn both_protocols_and_both_tls_versions_answer() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    runtime().block_on(async {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            for protocol in [Protocol::Http1, Protocol::Http2] {
                let config = tls_of(&cluster.admin(), protocol, &[version]);
                let client = Client::connect(cluster.address(), config, None).await.unwrap();
                let answer = client.get("/api/v1/namespaces").await;
                assert_eq!(answer.status, StatusCode::OK, "{version:?} {protocol:?}");
                assert_eq!(answer.headers["cache-control"], "no-cache, private");
                assert!(answer.headers.contains_key("audit-id") && answer.headers.contains_key("date"));
            }
        }
    });
}

/// What `openssl s_client` prints, with the administrator's certificate.
fn s_client(cluster: &Cluster, args: &[&str]) -> String {
    let output = std::process::Command::new("openssl")
        .args(["s_client", "-connect", &cluster.address().to_string(), "-servername", "localhost", "-cert"])
        .arg(cluster.pki.path("admin.crt"))
        .arg("-key")
        .arg(cluster.pki.path("admin.key"))
        .arg("-CAfile")
        .arg(cluster.pki.path("ca.crt"))
        .args(args)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("openssl is installed");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn openssl_finds_a_certificate_that_is_asked_for_and_no_session_to_resume() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let said = s_client(&cluster, &[version, "-reconnect"]);
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        assert!(said.contains(&format!("New, {name}")), "{said}");
        assert!(!said.contains("Reused,"), "a session was resumed:\n{said}");
        assert!(!said.contains("session ticket"), "a ticket was given:\n{said}");
        // The subjects of the authorities are told, so that a client with several certificates can choose.
        assert!(said.contains("Acceptable client certificate CA names"), "{said}");
        let sessions = cluster.dir.path().join("sessions");
        s_client(&cluster, &[version, "-sess_out", &sessions.display().to_string()]);
        if sessions.exists() {
            let said = s_client(&cluster, &[version, "-sess_in", &sessions.display().to_string()]);
            assert!(!said.contains("Reused,"), "a stored session was resumed:\n{said}");
        }
    }
    for version in ["-tls1", "-tls1_1"] {
        let said = s_client(&cluster, &[version]);
        assert!(said.contains("Cipher is (NONE)"), "{version} was accepted:\n{said}");
    }
}

#[tokio::test]
async fn without_a_certificate_only_the_anonymous_paths_answer() {
    let server = testing::Server::start().await.unwrap();
    for (path, status) in [("/livez", 200), ("/version", 200), ("/api/v1/pods", 401), ("/metrics", 401)] {
        let client = Credentials::nobody(&server).connect(&server, Protocol::Http1).await;
        assert_eq!(client.get(path).await.status.as_u16(), status, "{path}");
    }
}

#[test]
fn an_expired_certificate_is_refused_on_its_open_connection() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let short = cluster.pki.client_for("short", ("kubernetes-admin", &["system:masters"]), Life::Seconds(4));
    runtime().block_on(async {
        let client = cluster.connect(cluster.address(), &short, Protocol::Http2).await;
        assert_eq!(client.get("/api/v1/namespaces").await.status, StatusCode::OK);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        loop {
            match client.request(Method::GET, "/api/v1/namespaces", &[], "").await {
                Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => break,
                Ok(answer) => assert_eq!(answer.status, StatusCode::OK),
                Err(error) => panic!("the connection ended without a 401: {error}"),
            }
            assert!(tokio::time::Instant::now() < deadline, "never refused");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

#[test]
fn a_withdrawn_authority_bites_on_open_connections() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    runtime().block_on(async {
        let first = cluster.client(Protocol::Http1).await;
        let second = cluster.client(Protocol::Http2).await;
        assert_eq!(first.get("/api/v1/namespaces").await.status, StatusCode::OK);
        let other = Pki::new(&cluster.dir.path().join("other"), "ca");
        let late = other.client("late", "kubernetes-admin", &["system:masters"]);
        replace(&cluster.pki.path("ca.crt"), &other.authority());
        until(StatusCode::UNAUTHORIZED, &second, "/api/v1/namespaces").await;
        assert_eq!(first.get("/api/v1/namespaces").await.status, StatusCode::UNAUTHORIZED);
        // The new authority's clients are believed, and its own certificate was not exchanged.
        let late = Credentials { authority: cluster.pki.authority(), ..late };
        let client = cluster.connect(cluster.address(), &late, Protocol::Http2).await;
        assert_eq!(client.get("/api/v1/namespaces").await.status, StatusCode::OK);
    });
}

#[test]
fn a_bad_reload_changes_nothing() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let path = |name: &str| cluster.pki.path(name);
    let stranger = Pki::new(&cluster.dir.path().join("stranger"), "ca");
    stranger.server("server");
    let foreign = std::fs::read(cluster.dir.path().join("stranger/server.key")).unwrap();
    type Spoil = Box<dyn Fn()>;
    let write = |name: &str, content: Vec<u8>| -> Spoil {
        let path = path(name);
        Box::new(move || replace(&path, &content))
    };
    let readable = path("server.key");
    let missing = path("sa.key");
    let config = cluster.config_path(0);
    let unknown = std::fs::read_to_string(&config).unwrap() + "unknown: 1\n";
    let rows: Vec<(&str, std::path::PathBuf, Spoil)> = vec![
        ("an authority that is none", path("ca.crt"), write("ca.crt", b"no certificate at all".to_vec())),
        ("an empty authority", path("ca.crt"), write("ca.crt", Vec::new())),
        ("half a serving certificate", path("server.crt"), write("server.crt", b"-----BEGIN CERTIFICATE-----\nMIIB".to_vec())),
        ("the key of another certificate", path("server.key"), write("server.key", foreign)),
        (
            "a key that everybody may read",
            path("server.key"),
            Box::new(move || std::fs::set_permissions(&readable, std::fs::Permissions::from_mode(0o644)).unwrap()),
        ),
        ("a signing key that is gone", path("sa.key"), Box::new(move || std::fs::remove_file(&missing).unwrap())),
        ("a configuration with a mistake", config.clone(), Box::new(move || replace(&config, unknown.as_bytes()))),
    ];
    runtime().block_on(async {
        let client = cluster.client(Protocol::Http2).await;
        for (what, file, spoil) in rows {
            let good = std::fs::read(&file).unwrap();
            let before = cluster.metric("portcullis_config_reloads_total").await;
            spoil();
            wait(&format!("{what} is refused"), async || cluster.metric("portcullis_config_reloads_total").await > before).await;
            assert_eq!(client.get("/api/v1/namespaces").await.status, StatusCode::OK, "{what}");
            let fresh = cluster.client(Protocol::Http1).await;
            assert_eq!(fresh.get("/api/v1/namespaces").await.status, StatusCode::OK, "{what}, on a new connection");
            let before = cluster.metric("portcullis_config_reloads_total{result=\"success\"}").await;
            replace(&file, &good);
            let took = async || cluster.metric("portcullis_config_reloads_total{result=\"success\"}").await > before;
            wait(&format!("the good file is read again after {what}"), took).await;
        }
    });
    assert!(!cluster.server().log().contains("PRIVATE KEY"), "a key is in the log");
}

/// Writes a file as a careful tool does: beside it, then over it. A key stays its owner's.
fn replace(path: &std::path::Path, content: &[u8]) {
    let beside = path.with_extension("new");
    crate::support::pki::secret(&beside, content);
    std::fs::rename(&beside, path).unwrap();
}

/// Asks until the answer has this status.
async fn until(status: StatusCode, client: &Client, path: &str) {
    wait(&format!("{path} is answered with {status}"), async || client.get(path).await.status == status).await;
}

/// Waits for something that others do, 20 s at most.
async fn wait(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

#[test]
fn a_renewed_serving_certificate_is_served_without_a_restart() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let serial = || {
        let output = std::process::Command::new("openssl")
            .args(["s_client", "-connect", &cluster.address().to_string(), "-servername", "localhost"])
            .stdin(std::process::Stdio::null())
            .output()
            .expect("openssl is installed");
        String::from_utf8_lossy(&output.stdout).split("-----BEGIN").nth(1).map(str::to_owned)
    };
    let before = serial().expect("a certificate");
    cluster.pki.server("server");
    wait_until("the new certificate is served", || serial().is_some_and(|now| now != before));
}

#[tokio::test]
async fn limits_of_the_wire_answer_in_their_own_codes() {
    let server = testing::Server::start().await.unwrap();
    let admin = Credentials::admin(&server);
    let client = admin.connect(&server, Protocol::Http1).await;
    let long = format!("/api/v1/namespaces?labelSelector={}", "a".repeat(20_000));
    let status = client.request(Method::GET, &long, &[], "").await.map(|answer| answer.status.as_u16());
    assert!(matches!(status, Ok(414 | 431)), "{status:?}");
    let client = admin.connect(&server, Protocol::Http2).await;
    let (path, headers) = ("/api/v1/namespaces/default/configmaps", [("content-type", "application/json")]);
    let answer = client.request(Method::POST, path, &headers, vec![b' '; 4 << 20]).await.unwrap();
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.json()["message"], "Request entity too large: limit is 3145728");
}

#[test]
fn a_connection_over_the_limit_waits_for_its_turn() {
    let server = testing::Server::builder().set("listen.connections", "2").start_blocking().unwrap();
    let (admin, address) = (tls(&Credentials::admin(&server), Protocol::Http1), server.address());
    let ask = |raw: &mut Raw| raw.send(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut held: Vec<Raw> = (0..2).map(|_| Raw::connect(address, admin.clone())).collect();
    for raw in &mut held {
        assert!(ask(raw));
        assert_eq!(raw.answer().unwrap().status, 200);
    }
    let (sender, answered) = std::sync::mpsc::channel();
    let third = std::thread::spawn(move || {
        let mut raw = Raw::connect(address, admin);
        assert!(ask(&mut raw));
        sender.send(raw.answer().unwrap().status).unwrap();
    });
    assert!(answered.recv_timeout(Duration::from_millis(300)).is_err(), "a third connection was served beside the two");
    held.pop();
    assert_eq!(answered.recv_timeout(Duration::from_secs(10)), Ok(200));
    third.join().unwrap();
}

#[tokio::test]
async fn a_full_server_says_429_and_goes_on() {
    let server = testing::Server::builder().set("limits.watchesPerIdentity", "3").start().await.unwrap();
    let client = Credentials::admin(&server).connect(&server, Protocol::Http2).await;
    let path = "/api/v1/namespaces?watch=true";
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(client.watch(path).await);
    }
    let answer = client.get(path).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        (&answer.headers["retry-after"], &answer.body[..]),
        (&"1".parse().unwrap(), &b"Too many requests, please try again later.\n"[..])
    );
    assert_eq!(client.get("/api/v1/namespaces").await.status, StatusCode::OK, "others are served");
    drop(open.pop());
    until_open(&client, path).await;
}

/// Waits until a watch can be opened.
async fn until_open(client: &Client, path: &str) {
    wait("a watch can be opened", async || client.open(Method::GET, path, &[], "").await.unwrap().status() == StatusCode::OK)
        .await;
}

/// HTTP/2 frames of a fresh connection: our preface, then GET requests of a client without a certificate.
mod second {
    use super::*;

    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;

    pub(super) fn connect(cluster: &Cluster, credentials: &Credentials) -> Raw {
        let mut raw = Raw::connect(cluster.address(), tls(credentials, Protocol::Http2));
        assert!(raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"));
        raw
    }

    /// GET of a path, as HEADERS that end the stream: indexed fields where there are some, else literals without indexing.
    pub(super) fn get(raw: &mut Raw, stream: u32, path: &str) -> bool {
        let mut block = vec![0x82, 0x87, 0x04, u8::try_from(path.len()).unwrap()];
        block.extend_from_slice(path.as_bytes());
        block.extend_from_slice(b"\x01\x09localhost");
        let mut frame = vec![0, 0, u8::try_from(block.len()).unwrap(), HEADERS, 0x05];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(&block);
        raw.send(&frame)
    }

    /// The next frame: type, stream, payload. Pings are answered. `None` at the end.
    pub(super) fn frame(raw: &mut Raw) -> Option<(u8, u32, Vec<u8>)> {
        let head = raw.exactly(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = raw.exactly(length)?;
        if head[3] == PING && head[4] == 0 {
            raw.send(&[&[0, 0, 8, PING, 1, 0, 0, 0, 0], &payload[..]].concat());
        }
        Some((head[3], stream, payload))
    }
}

#[test]
fn whoever_is_nobody_gets_one_answer_and_goaway() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let nobody = Credentials { authority: cluster.pki.authority(), ..Credentials::default() };
    // 200 on an anonymous path, and 401.
    for path in ["/version", "/api/v1/pods"] {
        let mut raw = second::connect(&cluster, &nobody);
        assert!(second::get(&mut raw, 1, path));
        let (mut answered, mut last) = (false, None);
        while let Some((kind, stream, payload)) = second::frame(&mut raw) {
            match kind {
                second::HEADERS => answered |= stream == 1,
                second::GOAWAY => {
                    let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
                    last = Some((number(0), number(4)));
                }
                _ => {}
            }
        }
        assert!(answered, "{path}: the answer was lost");
        assert_eq!(last, Some((1, 0)), "{path}: GOAWAY names the last stream and no error");
    }
    // Those who are known keep their connection.
    let mut raw = second::connect(&cluster, &cluster.admin());
    for stream in [1, 3, 5] {
        assert!(second::get(&mut raw, stream, "/version"));
        loop {
            let (kind, of, _) = second::frame(&mut raw).expect("an open connection");
            assert_ne!(kind, second::GOAWAY);
            if kind == second::DATA && of == stream {
                break;
            }
        }
    }
}

#[test]
fn http_2_tells_its_limits() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let mut raw = second::connect(&cluster, &cluster.admin());
    let (kind, _, payload) = second::frame(&mut raw).expect("settings");
    assert_eq!(kind, second::SETTINGS);
    let settings: std::collections::HashMap<u16, u32> = payload
        .chunks(6)
        .map(|one| (u16::from_be_bytes([one[0], one[1]]), u32::from_be_bytes(one[2..6].try_into().unwrap())))
        .collect();
    assert_eq!(settings.get(&3), Some(&250), "streams of a connection");
    assert_eq!(settings.get(&4), Some(&(128 << 10)), "the window of a stream");
    assert_eq!(settings.get(&6), Some(&(32 << 10)), "bytes of headers");
}

#[test]
fn an_early_refusal_leaves_nothing_of_the_body_behind() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let nobody = Credentials { authority: cluster.pki.authority(), ..Credentials::default() };
    let smuggled = "DELETE /api/v1/namespaces/default HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let pods = "/api/v1/namespaces/default/pods";
    let rows: [(&Credentials, String, u16, &str); 4] = [
        // Refused before the body is asked for; most of it never comes.
        (
            &nobody,
            format!("POST {pods} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{smuggled}"),
            401,
            "half a body",
        ),
        (
            &nobody,
            format!("POST {pods} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{smuggled}", smuggled.len()),
            401,
            "a body",
        ),
        (
            &nobody,
            format!(
                "POST {pods} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n",
                smuggled.len()
            ),
            401,
            "an open chunked body",
        ),
        (
            &cluster.admin(),
            format!(
                "POST {pods} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n{smuggled}"
            ),
            413,
            "a body that is announced too large",
        ),
    ];
    for (credentials, request, status, what) in rows {
        let mut raw = Raw::connect(cluster.address(), tls(credentials, Protocol::Http1));
        assert!(raw.send(request.as_bytes()));
        let answer = raw.answer().expect(what);
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        // Either the connection is over, or the next answer is the next request's.
        if raw.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            && let Some(next) = raw.answer()
        {
            assert_eq!((next.status, next.body.as_str()), (200, "ok"), "{what}: {next:?}");
        }
    }
}

#[test]
fn a_connection_outlives_a_body_that_nobody_wanted() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let mut raw = Raw::connect(cluster.address(), tls(&cluster.admin(), Protocol::Http1));
    // The body comes in a record of its own, as many clients send it: the refusal does not wait for it.
    for _ in 0..20 {
        let path = "/api/v1/namespaces/default/configmaps/none";
        let head = format!("PATCH {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n");
        assert!(raw.send(head.as_bytes()));
        std::thread::sleep(Duration::from_millis(5));
        assert!(raw.send(b"{}"));
        let answer = raw.answer().expect("the connection goes on");
        assert_eq!((answer.status, answer.header("connection")), (415, None), "{answer:?}");
    }
    // What is announced larger than is worth reading is refused, and the client told that the connection ends.
    let path = "/api/v1/namespaces/default/pods";
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 9000000\r\n\r\n");
    assert!(raw.send(head.as_bytes()));
    let answer = raw.answer().expect("an answer");
    assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let mut raw = Raw::connect(cluster.address(), tls(&cluster.admin(), Protocol::Http1));
    let body = r#"{"metadata":{"name":"asked"}}"#;
    assert!(
        raw.send(
            format!(
                "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
            .as_bytes()
        )
    );
    assert_eq!(raw.exactly(25).unwrap(), b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(raw.send(body.as_bytes()));
    assert_eq!(raw.answer().unwrap().status, 201);
}

#[test]
fn a_shutdown_lets_requests_end_and_streams_end_cleanly() {
    let mut cluster = Cluster::start_now(Store::Embedded, "");
    let body = r#"{"metadata":{"name":"late"}}"#;
    let mut slow = Raw::connect(cluster.address(), tls(&cluster.admin(), Protocol::Http1));
    assert!(
        slow.send(
            format!(
                "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{}",
                body.len(),
                &body[..5]
            )
            .as_bytes()
        )
    );
    let address = cluster.address();
    runtime().block_on(async {
        let client = cluster.client(Protocol::Http2).await;
        let mut watch = client.watch("/api/v1/namespaces?watch=true&resourceVersion=0").await;
        assert!(watch.next().await.is_some());
        // The slow request is under way once it is counted.
        wait("the slow request is under way", async || cluster.metric("apiserver_current_inflight_requests").await >= 1.0).await;
        cluster.server().signal("TERM");
        // The watch ends cleanly: no event is cut in the middle.
        while watch.next().await.is_some() {}
    });
    let health = cluster.server().health();
    assert_eq!(plain_get(health, "/readyz").map(|(status, _)| status), Some(500), "not ready while it drains");
    assert!(std::net::TcpStream::connect(address).is_err(), "new connections are refused");
    assert!(slow.send(&body.as_bytes()[5..]));
    let answer = slow.answer().expect("the answer of a request that was under way");
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(slow.is_closed());
    let begun = std::time::Instant::now();
    assert_eq!(cluster.servers()[0].wait(), Some(0), "everything ended in time");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_shutdown_does_not_wait_for_ever() {
    let mut cluster = Cluster::start_now(Store::Embedded, "");
    let mut stuck = Raw::connect(cluster.address(), tls(&cluster.admin(), Protocol::Http1));
    assert!(stuck.send(
        b"POST /api/v1/namespaces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    ));
    runtime()
        .block_on(wait("the request is under way", async || cluster.metric("apiserver_current_inflight_requests").await >= 1.0));
    cluster.server().signal("TERM");
    let begun = std::time::Instant::now();
    assert_eq!(cluster.servers()[0].wait(), Some(1), "the exit code says that something was cut");
    let took = begun.elapsed();
    assert!(Duration::from_secs(2) <= took && took < Duration::from_secs(6), "{took:?}");
}

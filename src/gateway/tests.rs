//! The pipeline's own promises, over real sockets, with whatever backend the test wants.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::*;
use crate::api::catalog::Catalog;
use crate::api::object::Object;
use crate::backend::{Backend, Canned};
use crate::body::Source;
use crate::cluster::Boot;
use crate::identity::{Anonymous, Authorities, Resolver, Trust};
use crate::limits::{self, Limits};
use crate::listen::tls::Tls;
use crate::listen::tls::client::{Client, Speaks};
use crate::listen::{self};
use crate::live::Live;
use crate::pki::{Authority, Order};
use crate::policy::{Authorizer, Ceilings, Facts, Mode};
use crate::store::{self, BoxFuture, Change, Log, Outcome, Revision, Store, StoreError};

const DAY: Duration = Duration::from_secs(86_400);

/// A log in which nothing happens.
struct Nothing;

impl Log for Nothing {
    fn commit(&self, _change: Change) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        Box::pin(async { Err(StoreError::Unavailable("nothing here".to_owned())) })
    }

    fn probe(&self) -> BoxFuture<'_, Result<Revision, StoreError>> {
        Box::pin(async { Ok(Revision(1)) })
    }

    fn compact(&self, _before: Revision) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

/// A stream that never ends, and says when it was dropped.
struct Endless(Arc<AtomicU32>, bool);

impl Source for Endless {
    fn poll_next(&mut self, _context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if std::mem::replace(&mut self.1, true) { Poll::Pending } else { Poll::Ready(Some(Bytes::from("{}\n"))) }
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Vec<u8>>>);

impl Write for Shelf {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A gateway on a port, and those it knows.
struct House {
    address: SocketAddr,
    gateway: Arc<Gateway>,
    serving: Authority,
    clients: Authority,
    lines: Shelf,
    dropped: Arc<AtomicU32>,
    shutdown: Shutdown,
}

/// An answer as a test reads it.
struct Seen {
    code: u16,
    headers: http::HeaderMap,
    body: String,
}

impl House {
    async fn open(mode: Mode, settings: limits::Settings) -> Self {
        let (serving, clients) = (Authority::new("serving", DAY).unwrap(), Authority::new("clients", DAY).unwrap());
        let dropped = Arc::new(AtomicU32::new(0));
        let cluster = Arc::new(cluster(&clients, mode, (settings, canned(dropped.clone()))));
        let (metrics, shutdown, lines) = (Arc::new(Metrics::new()), Shutdown::new(), Shelf::default());
        let access = audit::Log::to(Box::new(lines.clone()), metrics.access_lines_lost()).unwrap();
        let checks: Arc<[Check]> = Arc::new([Check::new("ping", || Ok(())), Check::ready("store", || Err("no".to_owned()))]);
        let gateway = Arc::new(Gateway { cluster, metrics, access, checks, streams: Arc::default(), shutdown: shutdown.clone() });
        let issued = serving.issue(&Order::server("localhost", &["localhost"], DAY)).unwrap();
        let tls = Tls::new(issued.certificate_pem().as_bytes(), issued.key_pem().as_bytes(), Vec::new()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server =
            listen::serve(listener, (gateway.clone(), Arc::new(Live::new(tls))), listen::Settings::default(), shutdown.clone());
        shutdown.spawn(server);
        Self { address, gateway, serving, clients, lines, dropped, shutdown }
    }

    fn client(&self, user: Option<&str>) -> Client {
        let issued = user.map(|user| self.clients.issue(&Order::client(user, &["staff"], DAY)).unwrap());
        let pems = issued.map(|issued| (issued.certificate_pem(), issued.key_pem()));
        let shown = pems.as_ref().map(|(chain, key)| (chain.as_str(), key.as_str()));
        Client::new(self.serving.der(), shown, (Speaks::Tls13, &["http/1.1"]))
    }

    async fn ask(&self, user: Option<&str>, request: http::request::Builder) -> Seen {
        let stream = TokioIo::new(self.client(user).connect(self.address).await.unwrap());
        let (mut send, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let response = send.send_request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        drop(send);
        connection.await.unwrap().unwrap();
        Seen { code: head.status.as_u16(), headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    async fn get(&self, user: Option<&str>, uri: &str) -> Seen {
        self.ask(user, http::Request::get(uri).header("host", "localhost")).await
    }

    /// Waits until a condition holds.
    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..500 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what}; metrics:\n{}", self.gateway.metrics.exposition());
    }
}

fn cluster(clients: &Authority, mode: Mode, (settings, answer): (limits::Settings, Canned)) -> Cluster {
    let authorities = Authorities::parse(clients.certificate_pem().as_bytes()).unwrap();
    let trust = Trust { authorities, anonymous: Anonymous::of(vec!["/livez".to_owned()]), ..Trust::default() };
    let accounts = Arc::new(Live::default());
    let reader = Arc::new(Catalog::builtin());
    let store: Arc<Store<Object>> =
        store::open(reader, store::Limits::default(), |_| Ok::<_, StoreError>(Arc::new(Nothing) as Arc<dyn Log>)).unwrap();
    Cluster {
        resolver: Arc::new(Resolver::new(trust, accounts.clone())),
        authorizer: Arc::new(Authorizer::new(mode, Ceilings::default(), Facts::default())),
        limits: Limits::new(settings),
        backend: Backend::Canned(answer),
        store,
        accounts,
        boot: watch::channel(Boot::Done).1,
    }
}

fn canned(dropped: Arc<AtomicU32>) -> Canned {
    Box::new(move |permit, request| {
        let dropped = dropped.clone();
        Box::pin(async move {
            if let Target::Resource(asked) = &permit.attributes().target
                && permit.attributes().verb == crate::request::Verb::Watch
            {
                assert_eq!(asked.resource, "pods");
                return Ok(Response::new(Body::stream(Endless(dropped, false))));
            }
            match request.uri().path() {
                "/panics" => panic!("as asked"),
                "/never" => std::future::pending().await,
                "/public" => {
                    let mut response = Response::new(Body::full("x"));
                    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public"));
                    Ok(response)
                }
                "/api/v1/namespaces/default/pods" => {
                    let who = permit.identity().map(|who| who.user().to_owned());
                    Ok(Response::new(Body::full(format!("{who:?} {:?}", request.headers().contains_key("authorization")))))
                }
                _ => Err(Status::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")),
            }
        })
    })
}

#[tokio::test]
async fn every_answer_has_the_headers_of_kubernetes() {
    let house = House::open(Mode::Open, limits::Settings::default()).await;
    #[rustfmt::skip]
    let rows = [
        (Some("jane"), "/api/v1/namespaces/default/pods", 200, "Some(\"jane\") false", "no-cache, private"),
        (Some("jane"), "/public", 200, "x", "public"),
        (Some("jane"), "/nothing", 404, r#""message":"the server could not find the requested resource","reason":"NotFound","code":404}"#, "no-cache, private"),
        (None, "/nothing", 401, r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#, "no-cache, private"),
        (None, "/livez", 200, "ok", "no-cache, private"),
        (Some("jane"), "/readyz", 500, "[+]ping ok\n[-]store failed: reason withheld\nreadyz check failed\n", "no-cache, private"),
        (Some("jane"), "/metrics", 200, "authentication_attempts", "no-cache, private"),
        (Some("jane"), "/panics", 500, "This request caused apiserver to panic. Look in the logs for details.\n", "no-cache, private"),
        (Some("jane"), "/never?timeout=20ms", 504, r#""message":"Timeout: request did not complete within the allotted timeout","reason":"Timeout","code":504}"#, "no-cache, private"),
        (Some("jane"), "/never?timeout=soon", 400, r#"invalid timeout specified in the request URL - time: invalid duration \"soon\""#, "no-cache, private"),
    ];
    for (user, uri, code, body, cache) in rows {
        let seen = house.get(user, uri).await;
        assert_eq!(seen.code, code, "{uri}: {}", seen.body);
        assert!(seen.body.contains(body), "{uri}: {}", seen.body);
        assert_eq!(seen.headers[CACHE_CONTROL], cache, "{uri}");
        assert_eq!(seen.headers["audit-id"].len(), 36, "{uri}");
        assert!(seen.headers.contains_key("date"), "{uri}");
        let nosniff = code == 401 || ["/livez", "/readyz", "/panics"].contains(&uri);
        assert_eq!(seen.headers.get("x-content-type-options").is_some_and(|value| value == "nosniff"), nosniff, "{uri}");
    }
    let long = format!("/{}", "x".repeat(9_000));
    assert_eq!(house.get(None, &long).await.code, 414);
    let own = house.ask(Some("jane"), http::Request::get("/public").header("host", "localhost").header("audit-id", "mine")).await;
    assert_eq!(own.headers["audit-id"], "mine");
    let head = house.ask(None, http::Request::head("/livez").header("host", "localhost")).await;
    assert_eq!((head.code, head.body.as_str(), &head.headers["content-length"]), (200, "", &HeaderValue::from_static("2")));
}

#[tokio::test]
async fn what_policy_refuses_never_reaches_the_backend() {
    let house = House::open(Mode::Builtin, limits::Settings::default()).await;
    let seen = house.get(Some("jane"), "/panics").await;
    assert_eq!(seen.code, 403);
    assert!(
        seen.body
            .contains(r#""message":"forbidden: User \"jane\" cannot get path \"/panics\"","reason":"Forbidden","details":{}"#),
        "{}",
        seen.body
    );
    assert_eq!(seen.headers["x-content-type-options"], "nosniff");
    house.until("a line is written", |house| house.lines.0.lock().ends_with(b"\n")).await;
    let line: serde_json::Value = serde_json::from_slice(&house.lines.0.lock()).unwrap();
    assert_eq!(line["reason"], "ceiling none: -");
    let text = house.gateway.metrics.exposition();
    assert!(
        text.contains(r#"authorization_attempts_total{result="denied"} 1"#) && text.contains(r#"step="policy"} 1"#),
        "{text}"
    );
}

#[tokio::test]
async fn a_full_house_answers_429_and_health_nevertheless() {
    let settings = limits::Settings { read_only: 0, long_running_each: 1, ..limits::Settings::default() };
    let house = House::open(Mode::Open, settings).await;
    let seen = house.get(Some("jane"), "/public").await;
    assert_eq!((seen.code, seen.body.as_str()), (429, "Too many requests, please try again later.\n"));
    assert_eq!(seen.headers["retry-after"], "1");
    assert_eq!(house.get(Some("jane"), "/livez").await.code, 200);

    let mut watch = house.client(Some("jane")).connect(house.address).await.unwrap();
    watch.write_all(b"GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut begun = [0; 15];
    watch.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200 OK");
    assert_eq!(house.get(Some("jane"), "/api/v1/pods?watch=1").await.code, 429);
    drop(watch);
    house.until("the watch leaves its place", |house| house.gateway.cluster.limits.long_running() == 0).await;
}

#[tokio::test]
async fn a_watch_is_counted_while_it_lasts_and_ends_with_the_server() {
    let house = House::open(Mode::Open, limits::Settings::default()).await;
    let mut watch = house.client(Some("jane")).connect(house.address).await.unwrap();
    watch.write_all(b"GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let labels = r#"{component="apiserver",group="",resource="pods",scope="cluster",subresource="",verb="WATCH",version="v1"}"#;
    let open = format!("apiserver_longrunning_requests{labels} 1");
    house.until("the watch is counted", |house| house.gateway.metrics.exposition().contains(&open)).await;
    assert!(house.shutdown.finish(Duration::from_secs(5)).await, "something is left");
    let mut rest = String::new();
    watch.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("3\r\n{}\n\r\n0\r\n\r\n"), "the stream ends cleanly: {rest:?}");
    assert_eq!(house.dropped.load(Ordering::SeqCst), 1);
    let text = house.gateway.metrics.exposition();
    assert!(text.contains(&format!("apiserver_longrunning_requests{labels} 0")), "{text}");
    assert!(text.contains(r#"apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="cluster",subresource="",verb="WATCH",version="v1"} 1"#), "{text}");
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_as_499_and_written_down() {
    let house = House::open(Mode::Open, limits::Settings::default()).await;
    let mut stream = house.client(Some("jane")).connect(house.address).await.unwrap();
    stream.write_all(b"GET /never HTTP/1.1\r\nHost: localhost\r\nUser-Agent: te\tst\r\n\r\n").await.unwrap();
    house.until("the request is at work", |house| house.gateway.cluster.limits.in_flight().1 == 1).await;
    drop(stream);
    house.until("the request is counted", |house| house.gateway.metrics.exposition().contains(r#"code="499""#)).await;
    assert_eq!(house.gateway.cluster.limits.in_flight(), (0, 0));
    house.until("a line is written", |house| house.lines.0.lock().ends_with(b"\n")).await;
    let line: serde_json::Value = serde_json::from_slice(&house.lines.0.lock()).unwrap();
    assert_eq!((line["user"].as_str(), line["uri"].as_str(), line["code"].as_u64()), (Some("jane"), Some("/never"), Some(499)));
    assert_eq!((line["agent"].as_str(), line["cut"].as_bool()), (Some("te\tst"), Some(true)));
}

//! Health and metrics: what probes and Prometheus see, and that no client can make it grow.

use std::collections::BTreeSet;

use http::{Method, StatusCode};

use crate::support::client::{Credentials, Protocol};
use crate::support::{Cluster, Store, plain_get, wait_until};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn checks_have_names_and_can_be_asked_one_by_one() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let livez = "[+]ping ok\n[+]log ok\nlivez check passed\n";
    let readyz =
        "[+]ping ok\n[+]log ok\n[+]embedded ok\n[+]poststarthook/rbac/bootstrap-roles ok\n[+]shutdown ok\nreadyz check passed\n";
    let rows = [
        ("/livez", 200, "ok".to_owned()),
        ("/healthz", 200, "ok".to_owned()),
        ("/readyz", 200, "ok".to_owned()),
        ("/livez?verbose", 200, livez.to_owned()),
        ("/healthz?verbose=true", 200, livez.replace("livez", "healthz")),
        ("/readyz?verbose", 200, readyz.to_owned()),
        ("/readyz?verbose&exclude=embedded", 200, readyz.replace("[+]embedded ok", "[+]embedded excluded: ok")),
        (
            "/livez?verbose&exclude=nothing",
            200,
            livez.replace("livez check", "warn: some health checks cannot be excluded: no matches for \"nothing\"\nlivez check"),
        ),
        ("/livez/ping", 200, "ok".to_owned()),
        ("/readyz/poststarthook/rbac/bootstrap-roles", 200, "ok".to_owned()),
    ];
    for (path, status, body) in &rows {
        assert_eq!(plain_get(cluster.server().health(), path), Some((*status, body.clone())), "health listener, {path}");
    }
    runtime().block_on(async {
        let admin = cluster.client(Protocol::Http2).await;
        for (path, status, body) in &rows {
            let answer = admin.get(path).await;
            assert_eq!((answer.status.as_u16(), &answer.body[..]), (*status, body.as_bytes()), "{path}");
            assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8", "{path}");
            assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        }
        assert_eq!(admin.get("/livez/no-such-check").await.status, StatusCode::NOT_FOUND);
        // Without a credential the three may be asked, and nothing below them.
        let nobody = Credentials { authority: cluster.pki.authority(), ..Credentials::default() };
        for (path, status) in [("/readyz?verbose", 200), ("/livez", 200), ("/livez/ping", 401), ("/metrics", 401)] {
            let client = cluster.connect(cluster.address(), &nobody, Protocol::Http1).await;
            assert_eq!(client.get(path).await.status.as_u16(), status, "{path}");
        }
    });
    assert_eq!(plain_get(cluster.server().health(), "/api/v1/pods").unwrap().0, 404, "the health listener serves nothing else");
}

#[test]
fn an_etcd_that_goes_away_makes_it_unready_and_comes_back() {
    let mut cluster = Cluster::start_now(Store::Etcd, "");
    let health = cluster.server().health();
    cluster.etcd.as_mut().unwrap().kill();
    runtime().block_on(async {
        let admin = cluster.client(Protocol::Http2).await;
        // What needs etcd fails as the server's fault, within the deadline; what does not need it is served.
        let begun = std::time::Instant::now();
        let answer = admin.send(Method::POST, "/api/v1/namespaces", &serde_json::json!({"metadata": {"name": "late"}})).await;
        assert!(matches!(answer.status.as_u16(), 500 | 503 | 504), "{answer:?}");
        assert!(begun.elapsed().as_secs() < 35, "{:?}", begun.elapsed());
        let cached = admin.get("/api/v1/namespaces/default?resourceVersion=0").await;
        assert_eq!(cached.status, StatusCode::OK);
    });
    wait_until("it is not ready", || plain_get(health, "/readyz").is_some_and(|(status, _)| status == 500));
    let (_, body) = plain_get(health, "/readyz").unwrap();
    assert!(body.contains("[-]etcd failed: reason withheld\n"), "{body}");
    assert_eq!(plain_get(health, "/livez").unwrap().0, 200, "it lives, and must not be restarted");
    cluster.etcd.as_mut().unwrap().revive();
    wait_until("it is ready again", || plain_get(health, "/readyz").is_some_and(|(status, _)| status == 200));
    runtime().block_on(async {
        let admin = cluster.client(Protocol::Http2).await;
        let answer = admin.send(Method::POST, "/api/v1/namespaces", &serde_json::json!({"metadata": {"name": "again"}})).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    });
}

/// The names of the issue, and what Prometheus' rules for kube-apiserver ask.
const NAMES: &[&str] = &[
    "apiserver_request_total",
    "apiserver_request_duration_seconds_bucket",
    "apiserver_response_sizes_bucket",
    "apiserver_longrunning_requests",
    "apiserver_current_inflight_requests",
    "apiserver_watch_events_total",
    "apiserver_storage_objects",
    "apiserver_tls_handshake_errors_total",
    "apiserver_client_certificate_expiration_seconds_bucket",
    "authentication_attempts",
    "authentication_duration_seconds_bucket",
    "authorization_attempts_total",
    "etcd_request_duration_seconds_bucket",
    "etcd_requests_total",
    "kubernetes_healthcheck",
    "kubernetes_healthchecks_total",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "portcullis_refused_total",
    "portcullis_view_lag_seconds",
    "portcullis_ring_bytes",
    "portcullis_cache_bytes",
    "portcullis_certificate_expiry_seconds",
    "portcullis_config_reloads_total",
    "portcullis_connections",
];

/// The series of an exposition, without their values.
fn series(text: &str) -> BTreeSet<String> {
    let of = |line: &str| line.rsplit_once(' ').map(|(series, _)| series.to_owned());
    text.lines().filter(|line| !line.starts_with('#')).filter_map(of).collect()
}

#[test]
fn the_metrics_have_their_names_and_no_client_makes_them_grow() {
    let cluster = Cluster::start_now(Store::Etcd, "");
    runtime().block_on(async {
        let admin = cluster.client(Protocol::Http2).await;
        let turn = async |number: usize| {
            let user = format!("user-{number}");
            let agent = format!("agent/{number}");
            let asked = [("impersonate-user", user.as_str()), ("user-agent", agent.as_str())];
            for path in [
                format!("/no/such/path/{number}"),
                format!("/apis/group-{number}.example.com/v1/things"),
                format!("/apis/apps/v0x{number}/deployments"),
                format!("/api/v1/thing-{number}"),
                format!("/api/v1/namespaces/ns-{number}/pods"),
                format!("/api/v1/namespaces/default/pods/pod-{number}"),
                format!("/api/v1/namespaces/default/pods/p/sub-{number}"),
                format!("/livez/check-{number}"),
                format!("/api/v1/pods?dryRun=odd-{number}"),
            ] {
                admin.request(Method::GET, &path, &asked, "").await.unwrap();
                admin.request(Method::GET, &path, &[], "").await.unwrap();
            }
            let method = Method::from_bytes(format!("BREW{number}").as_bytes()).unwrap();
            admin.request(method, "/version", &[], "").await.unwrap();
        };
        let mut watch = admin.watch("/api/v1/namespaces?watch=true").await;
        watch.next().await.unwrap();
        turn(0).await;
        let text = cluster.metrics().await;
        for name in NAMES {
            let found = text.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
            assert!(found, "no {name} in\n{text}");
        }
        let before = series(&text);
        for number in 1..=1000 {
            turn(number).await;
        }
        // A hundred certificates and addresses of their own.
        for number in 0..100 {
            let credentials = cluster.pki.client("one", &format!("person-{number}"), &[]);
            let client = cluster.connect(cluster.address(), &credentials, Protocol::Http1).await;
            client.get("/version").await;
            client.get("/api/v1/secrets").await;
        }
        let text = cluster.metrics().await;
        let grown: Vec<_> = series(&text).difference(&before).cloned().collect();
        // The requests of the hundred have shapes of their own, twenty-odd buckets each.
        let foreign: Vec<_> = grown.iter().filter(|one| !one.contains("secrets") && !one.contains("/version")).collect();
        assert!(foreign.is_empty() && grown.len() < 100, "{} new series: {grown:#?}", grown.len());
        for secret in ["user-", "person-", "agent/", "ns-5", "pod-5", "odd-", "check-", "BREW", "127.0.0.1"] {
            assert!(!text.contains(secret), "{secret} is in the metrics");
        }
        let promised = text.lines().filter(|line| line.starts_with("# HELP")).count();
        assert!(promised > 20, "each family says what it is: {promised}");
        // Over the API it is the same page, for those who may.
        let page = admin.get("/metrics").await;
        assert_eq!(
            (page.status, page.headers["content-type"].to_str().unwrap().starts_with("text/plain")),
            (StatusCode::OK, true)
        );
    });
}

//! TLS, HTTP and identity on open connections.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::support::client::{Client, Credentials, Protocol, tls};
use crate::support::pki::{Life, Pki};
use crate::support::{Cluster, Store, wait_until};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn both_protocols_and_both_tls_versions_answer() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    runtime().block_on(async {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let client = cluster.client(protocol).await;
            let answer = client.get("/version").await;
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(answer.headers["cache-control"], "no-cache, private");
            assert!(answer.headers.contains_key("audit-id"));
        }
    });
}

#[test]
fn without_a_certificate_only_the_anonymous_paths_answer() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    runtime().block_on(async {
        let nobody = Credentials { authority: cluster.pki.authority(), ..Credentials::default() };
        for (path, status) in [("/livez", 200), ("/version", 200), ("/api/v1/pods", 401), ("/metrics", 401)] {
            let client = cluster.connect(cluster.address(), &nobody, Protocol::Http1).await;
            assert_eq!(client.get(path).await.status.as_u16(), status, "{path}");
        }
    });
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
fn a_withdrawn_authority_bites_on_open_connections_and_a_bad_reload_changes_nothing() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let file = cluster.pki.path("ca.crt");
    let good = std::fs::read(&file).unwrap();
    runtime().block_on(async {
        let client = cluster.client(Protocol::Http2).await;
        assert_eq!(client.get("/api/v1/namespaces").await.status, StatusCode::OK);

        std::fs::write(&file, "no certificate at all").unwrap();
        wait_for_log(&cluster, "the configuration was not reloaded").await;
        assert_eq!(client.get("/api/v1/namespaces").await.status, StatusCode::OK, "the old authorities stay");

        let other = Pki::new(&cluster.dir.path().join("other"), "ca");
        std::fs::write(&file, other.authority()).unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while client.get("/api/v1/namespaces").await.status != StatusCode::UNAUTHORIZED {
            assert!(tokio::time::Instant::now() < deadline, "the withdrawn authority is still accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::fs::write(&file, good).unwrap();
    });
}

async fn wait_for_log(cluster: &Cluster, part: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !cluster.server().log().contains(part) {
        assert!(tokio::time::Instant::now() < deadline, "no line with {part:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
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

#[test]
fn limits_of_the_wire_answer_in_their_own_codes() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    runtime().block_on(async {
        let client = cluster.client(Protocol::Http1).await;
        let long = format!("/api/v1/namespaces?labelSelector={}", "a".repeat(20_000));
        let status = client.request(Method::GET, &long, &[], "").await.map(|answer| answer.status.as_u16());
        assert!(matches!(status, Ok(414 | 431)), "{status:?}");
        let client = cluster.client(Protocol::Http2).await;
        let answer = client
            .request(
                Method::POST,
                "/api/v1/namespaces/default/configmaps",
                &[("content-type", "application/json")],
                vec![b' '; 4 << 20],
            )
            .await
            .unwrap();
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(answer.json()["message"], "Request entity too large: limit is 3145728");
    });
}

#[test]
fn a_shutdown_ends_requests_in_flight_within_its_deadline() {
    let mut cluster = Cluster::start_now(Store::Embedded, "");
    runtime().block_on(async {
        let client = cluster.client(Protocol::Http2).await;
        let mut watch = client.watch("/api/v1/namespaces?watch=true&resourceVersion=0").await;
        assert!(watch.next().await.is_some());
        cluster.server().signal("TERM");
        // The watch ends cleanly: no event is cut in the middle.
        while watch.next().await.is_some() {}
    });
    let begun = std::time::Instant::now();
    assert_eq!(cluster.servers()[0].wait(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn identity_headers_of_a_client_mean_nothing() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let jane = cluster.pki.client("jane", "jane", &["developers"]);
    runtime().block_on(async {
        let address = cluster.address();
        let client = Client::connect(address, tls(&jane, Protocol::Http1), None).await.unwrap();
        let headers =
            [("x-remote-user", "kubernetes-admin"), ("x-remote-group", "system:masters"), ("x_remote_user", "kubernetes-admin")];
        let answer = client.request(Method::GET, "/api/v1/secrets", &headers, "").await.unwrap();
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(
            answer.json()["message"].as_str().unwrap().contains("User \"jane\" cannot list resource \"secrets\""),
            "{:?}",
            answer.body
        );
    });
}

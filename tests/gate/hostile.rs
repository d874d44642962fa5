//! Hostile requests, byte by byte: whatever comes, the answer is the client's fault or the connection ends, at once.

use std::sync::Arc;

use crate::support::client::{Protocol, tls};
use crate::support::raw::{Raw, RawAnswer};
use crate::support::{Cluster, Store};

/// Asked last: what answers it is not an answer to anything before.
const LAST: &[u8] = b"GET /livez/ping HTTP/1.1\r\nHost: localhost\r\nAudit-Id: last\r\nConnection: close\r\n\r\n";

/// Sends these bytes on a connection of their own. All answers to them, until the server ends the connection or answers what comes next.
fn answers(cluster: &Cluster, config: &Arc<rustls::ClientConfig>, bytes: &[u8]) -> Vec<RawAnswer> {
    let mut raw = Raw::connect(cluster.address(), config.clone());
    // A server that has seen enough closes while we still write; what it said is read nevertheless.
    let _ = raw.send(bytes);
    let method = String::from_utf8_lossy(bytes.split(|byte| *byte == b' ').next().unwrap_or_default()).into_owned();
    let Some(first) = raw.answer_to(&method) else { return Vec::new() };
    let mut answers = vec![first];
    let _ = raw.send(LAST);
    while let Some(next) = raw.answer() {
        if next.header("audit-id") == Some("last") {
            break;
        }
        answers.push(next);
    }
    answers
}

fn check(what: &str, answers: &[RawAnswer]) {
    for answer in answers {
        assert!(answer.status < 500, "{what}: {answer:?}");
        assert!(answer.header("content-length").is_some() || answer.header("transfer-encoding").is_some(), "{what}: {answer:?}");
    }
}

#[test]
fn framing_that_two_readers_read_differently_is_never_two_requests() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let admin = tls(&cluster.admin(), Protocol::Http1);
    let hidden = "DELETE /api/v1/namespaces/default/configmaps/witness HTTP/1.1\r\nHost: localhost\r\n\r\n";
    make_witness(&cluster, &admin);
    let length = hidden.len();
    let head = "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let rows = [
        ("length and chunks", format!("{head}Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}")),
        ("chunks and length", format!("{head}Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n0\r\n\r\n{hidden}")),
        ("two lengths", format!("{head}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{hidden}")),
        ("two lengths in one", format!("{head}Content-Length: 0, {length}\r\n\r\n{hidden}")),
        ("a signed length", format!("{head}Content-Length: +0\r\n\r\n{hidden}")),
        ("a negative length", format!("{head}Content-Length: -1\r\n\r\n{hidden}")),
        ("a length beyond numbers", format!("{head}Content-Length: 99999999999999999999999\r\n\r\n{hidden}")),
        ("an unknown coding", format!("{head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}")),
        ("a coding after chunks", format!("{head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}")),
        ("a coding with a tab", format!("{head}Transfer-Encoding:\tchunkedx\r\n\r\n0\r\n\r\n{hidden}")),
        ("a space before the colon", format!("{head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{hidden}")),
        ("a folded coding", format!("{head}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{hidden}")),
        ("a chunk size that is none", format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n{hidden}")),
        ("a chunk size with 0x", format!("{head}Transfer-Encoding: chunked\r\n\r\n0x5\r\n{hidden}")),
        ("a signed chunk size", format!("{head}Transfer-Encoding: chunked\r\n\r\n+5\r\n{hidden}")),
        ("a negative chunk size", format!("{head}Transfer-Encoding: chunked\r\n\r\n-1\r\n{hidden}")),
        ("a chunk size beyond numbers", format!("{head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff0\r\n{hidden}")),
        (
            "an endless chunk extension",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n0;{}\r\n\r\n{hidden}", "x".repeat(100_000)),
        ),
        ("a chunk line that ends in LF alone", format!("{head}Transfer-Encoding: chunked\r\n\r\n0\n\n{hidden}")),
        ("chunks in HTTP/1.0", format!("POST /version HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}")),
    ];
    for (what, request) in rows {
        let answers = answers(&cluster, &admin, request.as_bytes());
        check(what, &answers);
        if what == "length and chunks" || what == "chunks and length" {
            // RFC 9112 6.3: chunks win; or the request is refused.
            continue;
        }
        assert!(answers.len() <= 1, "{what}: {answers:?}");
    }
    // Where chunks won, the hidden request was a request of this very client; make sure that nothing else slipped through.
    make_witness(&cluster, &admin);
    end(&cluster);
}

fn make_witness(cluster: &Cluster, config: &Arc<rustls::ClientConfig>) {
    let body = r#"{"metadata":{"name":"witness"}}"#;
    let request = format!(
        "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answers = answers(cluster, config, request.as_bytes());
    assert!(matches!(answers[0].status, 201 | 409), "{answers:?}");
}

/// Nothing has panicked, and the next client is served.
fn end(cluster: &Cluster) {
    let (_, metrics) = crate::support::plain_get(cluster.server().health(), "/metrics").expect("metrics");
    assert!(metrics.lines().any(|line| line == "portcullis_panics_total 0"), "something panicked:\n{}", cluster.server().log());
    let answers = answers(cluster, &tls(&cluster.admin(), Protocol::Http1), b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(answers[0].status, 200);
}

#[test]
fn heads_that_are_none_are_refused() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let admin = tls(&cluster.admin(), Protocol::Http1);
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
    let with = |lines: &str| format!("GET /version HTTP/1.1\r\n{lines}\r\n").into_bytes();
    let rows: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("a path of 8 KiB", get(&format!("/{}", "a".repeat(8191))), &[404]),
        ("a path over 8 KiB", get(&format!("/{}", "a".repeat(8192))), &[414]),
        ("a path of 30 KiB", get(&format!("/{}", "a".repeat(30_000))), &[414, 431]),
        ("a path of 1 MiB", get(&format!("/{}", "a".repeat(1 << 20))), &[414, 431]),
        ("200 header lines", with(&"a: b\r\n".repeat(200)), &[431]),
        ("a header of 64 KiB", with(&format!("Host: localhost\r\na: {}\r\n", "b".repeat(64 << 10))), &[431]),
        ("an absolute form", get("https://localhost/version"), &[200]),
        ("an absolute form with another host", get("https://example.com/version"), &[200, 400, 421]),
        ("an authority form", get("localhost:6443"), &[200, 400, 404]),
        ("CONNECT", b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), &[400, 403, 404, 405]),
        ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), &[400, 403, 404, 405]),
        ("GET *", get("*"), &[400, 403, 404]),
        ("TRACE", b"TRACE /version HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), &[403, 404, 405]),
        ("an unknown method", b"BREW /version HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), &[400, 403, 404, 405]),
        ("a method in lower case", b"get /version HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), &[400, 403, 404, 405]),
        ("no method", b" /version HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), &[400]),
        ("HTTP/0.9", b"GET /version\r\n\r\n".to_vec(), &[400]),
        ("HTTP/9.9", b"GET /version HTTP/9.9\r\nHost: localhost\r\n\r\n".to_vec(), &[400, 505]),
        ("NUL in the path", get("/api/v1/\0"), &[400]),
        ("a space in the path", get("/api/v1/a b"), &[400]),
        ("a high byte in the path", b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), &[400, 404]),
        ("NUL in a header", with("Host: localhost\r\na: \0\r\n"), &[400]),
        ("CR in a header", with("Host: localhost\r\na: b\rc\r\n"), &[400]),
        ("a header without a colon", with("Host: localhost\r\nab\r\n"), &[400]),
        ("a header without a name", with("Host: localhost\r\n: b\r\n"), &[400]),
        ("a space in a header's name", with("Host: localhost\r\na b: c\r\n"), &[400]),
        ("a folded header", with("Host: localhost\r\na: b\r\n c\r\n"), &[200, 400]),
        ("two hosts", with("Host: localhost\r\nHost: example.com\r\n"), &[200, 400]),
        ("no host", with(""), &[200, 400]),
        ("a host that is none", with("Host: a b\r\n"), &[200, 400]),
        ("a body for GET", b"GET /version HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc".to_vec(), &[200]),
        ("not HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n".to_vec(), &[400]),
        ("an upgrade to nothing known", with("Host: localhost\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"), &[200, 400]),
    ];
    for (what, request, statuses) in rows {
        let answers = answers(&cluster, &admin, &request);
        assert!(answers.len() <= 1, "{what}: {answers:?}");
        if statuses != [505] {
            check(what, &answers);
        }
        // An ended connection without a word is as good as a 400.
        let status = answers.first().map_or(400, |answer| answer.status);
        assert!(statuses.contains(&status), "{what}: {answers:?}, not one of {statuses:?}");
    }
    end(&cluster);
}

#[test]
fn odd_targets_are_the_clients_fault() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let admin = tls(&cluster.admin(), Protocol::Http1);
    let pods = "/api/v1/namespaces/default/pods";
    let targets = [
        "/api/v1/../../etc/passwd".to_owned(),
        "/api/v1/%2e%2e/%2e%2e/etc/passwd".to_owned(),
        "/api/v1/namespaces/..%2f..%2fsecrets".to_owned(),
        "//api/v1/pods".to_owned(),
        "/api//v1/pods".to_owned(),
        "/api/v1/namespaces//pods".to_owned(),
        "/apis///".to_owned(),
        "/api/v1/pods/".to_owned(),
        "/api/v1/./pods".to_owned(),
        "/api/v1\\pods".to_owned(),
        "/api/v1/pods;a=b".to_owned(),
        format!("{pods}/%00"),
        format!("{pods}/a%2fb"),
        format!("{pods}/%zz"),
        format!("{pods}/%"),
        format!("{pods}/%c0%ae%c0%ae"),
        format!("{pods}/%ff"),
        format!("{pods}/%ef%bc%8f"),
        format!("{pods}/{}", "a".repeat(4000)),
        format!("{pods}/x/no-such-subresource"),
        format!("{pods}/x/status/y/z"),
        "/api/v1/watch?timeoutSeconds=1".to_owned(),
        "/api/v1/watch/namespaces?timeoutSeconds=1".to_owned(),
        "/api/v1/watch/namespaces/default/pods/x/y?timeoutSeconds=1".to_owned(),
        "/api/v1/proxy/namespaces/default/pods/x".to_owned(),
        format!("{pods}?limit=-1"),
        format!("{pods}?limit=99999999999999999999"),
        format!("{pods}?limit=x"),
        format!("{pods}?continue=x"),
        format!("{pods}?continue={}", "eyJ2Ijoi".repeat(200)),
        format!("{pods}?timeoutSeconds=x&watch=1"),
        format!("{pods}?timeout=x"),
        format!("{pods}?resourceVersion=-1"),
        format!("{pods}?resourceVersion=18446744073709551616"),
        format!("{pods}?resourceVersion=x&resourceVersionMatch=Exact"),
        format!("{pods}?resourceVersionMatch=Odd&resourceVersion=1"),
        format!("{pods}?labelSelector=%ff%00"),
        format!("{pods}?labelSelector=a%20in%20(((("),
        format!("{pods}?labelSelector={}", "a,".repeat(3000)),
        format!("{pods}?fieldSelector=a=b=c"),
        format!("{pods}?fieldSelector=spec.noSuchField=x"),
        format!("{pods}?fieldSelector={}", "metadata.name!=a,".repeat(400)),
        format!("{pods}?watch=maybe&timeoutSeconds=1"),
        format!("{pods}?sendInitialEvents=true"),
        format!("{pods}?%00=%00"),
        format!("{pods}?;;;&&&==="),
        format!("{pods}?{}", "a=1&".repeat(1900)),
        "/openapi/v3/%2e%2e".to_owned(),
        "/openapi/v3/apis/no/such".to_owned(),
        "/livez/%2e%2e/metrics".to_owned(),
        "/readyz?exclude=%00&verbose=%ff".to_owned(),
        "/metrics/../api".to_owned(),
        "/?".to_owned(),
    ];
    for target in &targets {
        for method in ["GET", "HEAD", "DELETE", "PATCH", "PUT", "POST"] {
            // What would be a real deletion is not part of this table.
            if method == "DELETE" && target.starts_with(&format!("{pods}?")) {
                continue;
            }
            let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            let answers = answers(&cluster, &admin, request.as_bytes());
            let cut = &target[..target.len().min(80)];
            assert_eq!(answers.len(), 1, "{method} {cut}");
            assert!((200..500).contains(&answers[0].status), "{method} {cut}: {:?}", answers[0]);
        }
    }
    end(&cluster);
}

#[test]
fn odd_bodies_are_the_clients_fault_and_change_nothing() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let admin = tls(&cluster.admin(), Protocol::Http1);
    make_witness(&cluster, &admin);
    let maps = "/api/v1/namespaces/default/configmaps";
    let witness = "/api/v1/namespaces/default/configmaps/witness";
    let (json, yaml, protobuf) = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf");
    let (operations, merge, strategic) =
        ("application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json");
    let bomb = (0..12).fold("a: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, level| {
        text + &format!("b{level}: &a{} [{}]\n", level + 1, vec![format!("*a{level}"); 9].join(","))
    });
    let many = format!("[{}]", vec![r#"{"op":"add","path":"/data","value":{}}"#; 10_001].join(","));
    let rows: Vec<(&str, &str, &str, &str, Vec<u8>)> = vec![
        ("nothing", "POST", maps, json, Vec::new()),
        ("null", "POST", maps, json, b"null".to_vec()),
        ("a list", "POST", maps, json, b"[]".to_vec()),
        ("a string", "POST", maps, json, b"\"x\"".to_vec()),
        ("half an object", "POST", maps, json, b"{\"metadata\":{\"name\":\"x\"".to_vec()),
        ("more than an object", "POST", maps, json, b"{\"metadata\":{\"name\":\"x\"}}{}".to_vec()),
        ("a depth of 100,000", "POST", maps, json, [vec![b'['; 100_000], vec![b']'; 100_000]].concat()),
        ("a depth of 100,000 in a field", "POST", maps, json, [&b"{\"data\":"[..], &b"{\"a\":".repeat(100_000)[..]].concat()),
        ("bytes that are no text", "POST", maps, json, b"{\"metadata\":{\"name\":\"\xff\xfe\"}}".to_vec()),
        ("half a surrogate", "POST", maps, json, br#"{"metadata":{"name":"\ud800"}}"#.to_vec()),
        ("a number for a string", "POST", maps, json, br#"{"metadata":{"name":1}}"#.to_vec()),
        ("a huge number", "POST", maps, json, br#"{"metadata":{"name":"x","generation":1e999}}"#.to_vec()),
        ("another kind", "POST", maps, json, br#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x"}}"#.to_vec()),
        ("another name", "PUT", witness, json, br#"{"metadata":{"name":"other"}}"#.to_vec()),
        ("a hostile name", "POST", maps, json, br#"{"metadata":{"name":"../../x"}}"#.to_vec()),
        ("another namespace", "POST", maps, json, br#"{"metadata":{"name":"x","namespace":"kube-system"}}"#.to_vec()),
        ("a key that is none", "POST", maps, json, br#"{"metadata":{"name":"x"},"data":{"../x":"y"}}"#.to_vec()),
        ("text that is no JSON", "POST", maps, json, b"metadata: {name: x}".to_vec()),
        ("an unknown type", "POST", maps, "text/plain", b"{}".to_vec()),
        ("a type that is none", "POST", maps, ";;;", b"{}".to_vec()),
        ("a YAML bomb", "POST", maps, yaml, bomb.into_bytes()),
        ("YAML with a tag", "POST", maps, yaml, b"!!python/object:os.system [x]".to_vec()),
        ("YAML that is a list", "POST", maps, yaml, b"- a\n- b\n".to_vec()),
        ("two YAML documents", "POST", maps, yaml, b"a: b\n---\nc: d\n".to_vec()),
        ("protobuf without its head", "POST", maps, protobuf, b"\x0a\x03abc".to_vec()),
        ("protobuf of nothing", "POST", maps, protobuf, b"k8s\0".to_vec()),
        ("protobuf that ends early", "POST", maps, protobuf, b"k8s\0\x0a\xff\xff\xff\xff\x0f".to_vec()),
        ("protobuf of zeros", "POST", maps, protobuf, [&b"k8s\0"[..], &[0; 1000]].concat()),
        ("a patch that is no list", "PATCH", witness, operations, b"{}".to_vec()),
        ("a patch with 10,001 operations", "PATCH", witness, operations, many.into_bytes()),
        ("a patch of what is not there", "PATCH", witness, operations, br#"[{"op":"remove","path":"/data/x/y/z"}]"#.to_vec()),
        ("a patch with an odd path", "PATCH", witness, operations, br#"[{"op":"add","path":"data~9","value":1}]"#.to_vec()),
        ("a patch of the whole", "PATCH", witness, operations, br#"[{"op":"replace","path":"","value":7}]"#.to_vec()),
        ("an unknown operation", "PATCH", witness, operations, br#"[{"op":"explode","path":"/data"}]"#.to_vec()),
        ("a failing test", "PATCH", witness, operations, br#"[{"op":"test","path":"/metadata/name","value":"x"}]"#.to_vec()),
        ("a merge patch that is a list", "PATCH", witness, merge, b"[]".to_vec()),
        ("a merge patch of the name", "PATCH", witness, merge, br#"{"metadata":{"name":"x"}}"#.to_vec()),
        ("a merge patch of the uid", "PATCH", witness, merge, br#"{"metadata":{"uid":"x"}}"#.to_vec()),
        ("a merge patch with a stale version", "PATCH", witness, merge, br#"{"metadata":{"resourceVersion":"1"}}"#.to_vec()),
        (
            "a strategic patch with an odd list",
            "PATCH",
            witness,
            strategic,
            br#"{"$deleteFromPrimitiveList/x":1,"metadata":{"$retainKeys":7}}"#.to_vec(),
        ),
        ("a patch of no type", "PATCH", witness, json, b"{}".to_vec()),
        ("options that are none", "DELETE", witness, json, b"[1,2]".to_vec()),
        ("options of another kind", "DELETE", witness, json, br#"{"kind":"Pod","apiVersion":"v1"}"#.to_vec()),
        ("a precondition that fails", "DELETE", witness, json, br#"{"preconditions":{"uid":"x"}}"#.to_vec()),
        ("an odd propagation", "DELETE", witness, json, br#"{"propagationPolicy":"Sideways"}"#.to_vec()),
    ];
    let read = |target: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        answers(&cluster, &admin, request.as_bytes()).remove(0).body
    };
    // The list's version, and the version of everything in it.
    let before = (read(witness), read(maps));
    for (what, method, target, kind, body) in rows {
        let mut request = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(&body);
        let answers = answers(&cluster, &admin, &request);
        assert_eq!(answers.len(), 1, "{what}");
        let answer = &answers[0];
        assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
        let status: serde_json::Value =
            serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{what}: no Status: {answer:?}"));
        assert_eq!((&status["kind"], &status["code"]), (&"Status".into(), &answer.status.into()), "{what}");
        assert!(status["message"].as_str().is_some_and(|message| !message.is_empty()), "{what}: {status}");
        assert!(answer.body.len() < 64 << 10, "{what}: an answer of {} bytes", answer.body.len());
    }
    assert_eq!((read(witness), read(maps)), before, "something was changed");
    end(&cluster);
}

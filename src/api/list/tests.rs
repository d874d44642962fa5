use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::api::testing::Stand;
use crate::schema::{self, Schema};
use crate::store::Limits;

async fn five() -> Stand {
    let stand = Stand::new();
    for (name, labels) in [
        ("a", json!({"n": "1", "tier": "front"})),
        ("b", json!({"n": "2", "tier": "front"})),
        ("c", json!({"n": "3", "tier": "back"})),
        ("d", json!({"n": "4", "tier": "back"})),
        ("e", json!({})),
    ] {
        stand.put("configmaps", json!({"metadata": {"name": name, "namespace": "n", "labels": labels}})).await;
    }
    stand.put("configmaps", json!({"metadata": {"name": "a", "namespace": "n2"}})).await;
    stand.put("configmaps", json!({"metadata": {"name": "z", "namespace": "m"}})).await;
    stand
}

const MAPS: &str = "/api/v1/namespaces/n/configmaps";

#[tokio::test]
async fn selects() {
    let stand = five().await;
    for (query, wanted) in [
        ("", "abcde"),
        ("?labelSelector=tier%3Dfront,n%3D1", "a"),
        ("?labelSelector=tier!%3Dfront", "cde"),
        ("?labelSelector=n%20in%20(1,4),tier%20notin%20(back)", "a"),
        ("?labelSelector=tier,!x", "abcd"),
        ("?labelSelector=n%3E2", "cd"),
        ("?fieldSelector=metadata.name%3Db", "b"),
        ("?fieldSelector=metadata.name!%3Db,metadata.namespace%3Dn", "acde"),
        ("?fieldSelector=metadata.namespace%3Dother", ""),
        ("?resourceVersion=0", "abcde"),
        ("?resourceVersion=0&limit=2", "abcde"),
        ("?resourceVersion=3&resourceVersionMatch=NotOlderThan", "abcde"),
    ] {
        assert_eq!(stand.names(&format!("{MAPS}{query}")).await.concat(), wanted, "{query}");
    }
    assert_eq!(stand.names("/api/v1/configmaps").await.concat(), "zabcdea");
    assert_eq!(stand.names("/api/v1/configmaps?fieldSelector=metadata.namespace%3Dn2").await.concat(), "a");
    assert_eq!(stand.names("/api/v1/namespaces/none/configmaps").await.len(), 0);
}

#[tokio::test]
async fn pages_show_one_moment() {
    let stand = five().await;
    let first = stand.json(&format!("{MAPS}?limit=2")).await;
    assert_eq!((&first["metadata"]["remainingItemCount"], first["items"].as_array().map(Vec::len)), (&json!(3), Some(2)));
    assert!(first["items"][0].get("kind").is_none());
    stand.remove("/registry/configmaps/n/e").await;
    let token = |page: &Value| page["metadata"]["continue"].as_str().expect("a token").to_owned();
    let second = stand.json(&format!("{MAPS}?limit=2&continue={}", token(&first))).await;
    assert_eq!(second["metadata"]["remainingItemCount"], 1);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let third = stand.json(&format!("{MAPS}?limit=2&continue={}", token(&second))).await;
    assert_eq!(third["items"][0]["metadata"]["name"], "e");
    assert!(third["metadata"].get("continue").is_none());
    let narrow = stand.json(&format!("{MAPS}?limit=1&labelSelector=tier%3Dfront")).await;
    assert!(narrow["metadata"].get("continue").is_some() && narrow["metadata"].get("remainingItemCount").is_none());
    let refused = stand.get(&format!("{MAPS}?limit=2&continue={}&resourceVersion=5", token(&first)), &[]).await;
    assert_eq!(refused.code, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_moment_of_the_past() {
    let stand = five().await;
    let before = stand.json(MAPS).await["metadata"]["resourceVersion"].as_str().expect("a version").to_owned();
    stand.remove("/registry/configmaps/n/e").await;
    assert_eq!(stand.names(&format!("{MAPS}?resourceVersion={before}&resourceVersionMatch=Exact")).await.concat(), "abcde");
    assert_eq!(stand.names(&format!("{MAPS}?resourceVersion={before}&limit=9")).await.concat(), "abcde");
    assert_eq!(stand.names(&format!("{MAPS}?resourceVersion={before}")).await.concat(), "abcd");
    for (query, code, reason) in [
        ("?resourceVersionMatch=Exact", 422, "Invalid"),
        ("?resourceVersion=abc", 400, "BadRequest"),
        ("?limit=ten", 400, "BadRequest"),
        ("?continue=garbage", 400, "BadRequest"),
        ("?labelSelector=a%20b", 400, "BadRequest"),
        ("?fieldSelector=spec.color%3Dx", 400, "BadRequest"),
        ("?sendInitialEvents=true&resourceVersionMatch=NotOlderThan", 422, "Invalid"),
    ] {
        let seen = stand.get(&format!("{MAPS}{query}"), &[]).await;
        let body: Value = serde_json::from_slice(&seen.body).expect("JSON");
        assert_eq!((seen.code.as_u16(), body["reason"].as_str()), (code, Some(reason)), "{query}");
    }
}

#[tokio::test]
async fn what_is_gone_is_said_to_be_gone() {
    let stand = Stand::with(Limits { ring_bytes: 0, roots_bytes: 0, keep: Duration::ZERO, ..Limits::default() });
    for name in ["a", "b", "c"] {
        stand.put("configmaps", json!({"metadata": {"name": name, "namespace": "n"}})).await;
    }
    let page = stand.json(&format!("{MAPS}?limit=1")).await;
    for turn in 0..50 {
        stand.put("configmaps", json!({"metadata": {"name": "a", "namespace": "n"}, "data": {"turn": turn.to_string()}})).await;
    }
    let exact = stand.get(&format!("{MAPS}?resourceVersion=1&resourceVersionMatch=Exact"), &[]).await;
    assert_eq!(exact.code, StatusCode::GONE);
    let token = page["metadata"]["continue"].as_str().expect("a token");
    let gone = stand.get(&format!("{MAPS}?limit=1&continue={token}"), &[]).await;
    let body: Value = serde_json::from_slice(&gone.body).expect("JSON");
    assert_eq!((gone.code.as_u16(), &body["reason"]), (410, &json!("Expired")));
    let again = body["metadata"]["continue"].as_str().expect("another token");
    assert_eq!(stand.names(&format!("{MAPS}?continue={again}")).await.concat(), "bc");
}

#[tokio::test(start_paused = true)]
async fn the_future_is_waited_for_and_then_refused() {
    let stand = five().await;
    for target in [format!("{MAPS}?resourceVersion=999999"), format!("{MAPS}/a?resourceVersion=999999")] {
        let seen = stand.get(&target, &[]).await;
        let body: Value = serde_json::from_slice(&seen.body).expect("JSON");
        assert_eq!((seen.code.as_u16(), &body["details"]["causes"][0]["reason"]), (504, &json!("ResourceVersionTooLarge")));
    }
}

#[tokio::test]
async fn other_forms() {
    let stand = five().await;
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let read = |body: &[u8]| serde_json::from_slice::<Value>(body).expect("JSON");
    let list = read(&stand.get(MAPS, &table).await.body);
    assert_eq!(
        (&list["kind"], &list["rows"][0]["cells"][0], &list["rows"][0]["object"]["kind"]),
        (&json!("Table"), &json!("a"), &json!("PartialObjectMetadata"))
    );
    let bare = read(&stand.get(&format!("{MAPS}?includeObject=None"), &table).await.body);
    assert_eq!(bare["rows"][0]["object"], Value::Null);
    let one = read(&stand.get(&format!("{MAPS}/a"), &table).await.body);
    assert_eq!((one["rows"].as_array().map(Vec::len), &one["metadata"]), (Some(1), &json!({"resourceVersion": "2"})));
    assert_eq!(stand.get(&format!("{MAPS}?includeObject=All"), &table).await.code, StatusCode::BAD_REQUEST);
    let metadata = [("accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")];
    let list = read(&stand.get(&format!("{MAPS}?limit=2"), &metadata).await.body);
    assert_eq!(
        (&list["kind"], &list["items"][1]["kind"], &list["metadata"]["remainingItemCount"]),
        (&json!("PartialObjectMetadataList"), &json!("PartialObjectMetadata"), &json!(3))
    );
    assert_eq!(stand.get(&format!("{MAPS}/a"), &metadata).await.code, StatusCode::NOT_ACCEPTABLE);
    let yaml = stand.get(&format!("{MAPS}/a"), &[("accept", "application/yaml")]).await;
    assert!(String::from_utf8_lossy(&yaml.body).contains("kind: ConfigMap\n"));
    let pretty = stand.get(&format!("{MAPS}?pretty=true"), &[]).await.body;
    assert!(pretty.starts_with(b"{\n  \"kind\": \"ConfigMapList\",") && pretty.ends_with(b"\n}"));
    assert_eq!(stand.get(MAPS, &[("accept", "text/plain")]).await.code, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn long_lists_come_in_pieces_and_compressed() {
    use std::io::Read;
    let stand = Stand::new();
    for at in 0..300 {
        stand
            .put(
                "configmaps",
                json!({"metadata": {"name": format!("m{at:03}"), "namespace": "n"}, "data": {"x": "y".repeat(2000)}}),
            )
            .await;
    }
    let plain = stand.get(MAPS, &[]).await;
    assert!(plain.body.len() > 600_000 && plain.body.ends_with(b"]}\n"));
    let list: Value = serde_json::from_slice(&plain.body).expect("JSON");
    assert_eq!(list["items"].as_array().map(Vec::len), Some(300));
    let packed = stand.get(MAPS, &[("accept-encoding", "gzip")]).await;
    assert_eq!(packed.headers["content-encoding"], "gzip");
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).expect("gzip");
    assert_eq!(unpacked, plain.body);
    let indented = stand.get(&format!("{MAPS}?pretty=1"), &[]).await;
    assert_eq!(serde_json::from_slice::<Value>(&indented.body).expect("JSON"), list);
    let small = stand.get("/api/v1/namespaces/n/configmaps/m000", &[("accept-encoding", "gzip")]).await;
    assert!(!small.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn what_cannot_be_decoded_does_not_disappear() {
    let stand = five().await;
    stand.change(Bytes::from_static(b"/registry/configmaps/n/broken"), Some(Bytes::from_static(b"garbage"))).await;
    for (target, code) in [
        (format!("{MAPS}/broken"), 500),
        (MAPS.to_owned(), 500),
        (format!("{MAPS}?labelSelector=tier%3Dfront"), 500),
        (format!("{MAPS}?limit=9"), 500),
        (format!("{MAPS}/a"), 200),
        ("/api/v1/namespaces/n2/configmaps".to_owned(), 200),
    ] {
        assert_eq!(stand.get(&target, &[]).await.code.as_u16(), code, "{target}");
    }
}

#[tokio::test]
async fn one_resource_in_two_versions() {
    let stand = Stand::new();
    stand
        .put("events", json!({"metadata": {"name": "e", "namespace": "n"}, "involvedObject": {"name": "p"}, "message": "m"}))
        .await;
    let event = stand.json("/apis/events.k8s.io/v1/namespaces/n/events/e").await;
    assert_eq!(
        (&event["apiVersion"], &event["regarding"]["name"], &event["note"]),
        (&json!("events.k8s.io/v1"), &json!("p"), &json!("m"))
    );
    let list = stand.json("/apis/events.k8s.io/v1/events?fieldSelector=regarding.name%3Dp").await;
    assert_eq!((&list["apiVersion"], &list["items"][0]["note"]), (&json!("events.k8s.io/v1"), &json!("m")));
    assert!(list["items"][0].get("kind").is_none());
}

#[tokio::test]
async fn protobuf_as_the_client_prefers_it() {
    let stand = five().await;
    for (target, accept, kind) in [
        (format!("{MAPS}/a"), "application/vnd.kubernetes.protobuf", Some("ConfigMap")),
        (MAPS.to_owned(), "application/vnd.kubernetes.protobuf", Some("ConfigMapList")),
        (
            MAPS.to_owned(),
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            Some("PartialObjectMetadataList"),
        ),
        (MAPS.to_owned(), "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1", None),
        (MAPS.to_owned(), "application/vnd.kubernetes.protobuf,application/json;q=0.5", Some("ConfigMapList")),
        (MAPS.to_owned(), "application/vnd.kubernetes.protobuf;q=0.5,application/json", None),
    ] {
        let seen = stand.get(&target, &[("accept", accept)]).await;
        let binary = seen.body.starts_with(b"k8s\0");
        assert_eq!(binary, kind.is_some(), "{accept}");
        let named = kind.is_none_or(|kind| memchr::memmem::find(&seen.body, kind.as_bytes()).is_some());
        assert!(named, "{accept}");
    }
    let stored = stand.get(&format!("{MAPS}/b"), &[("accept", "application/vnd.kubernetes.protobuf")]).await.body;
    stand.change(Bytes::from_static(b"/registry/configmaps/n/copy"), Some(stored.into())).await;
    assert_eq!(stand.json(&format!("{MAPS}/copy")).await["metadata"]["labels"]["n"], "2");
    let target = format!("{MAPS}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Da");
    let watch = stand.open(&target, &[("accept", "application/vnd.kubernetes.protobuf;stream=watch")]).await;
    assert_eq!(watch.headers()["content-type"], "application/vnd.kubernetes.protobuf;stream=watch");
    let piece = crate::api::testing::next(&mut watch.into_body()).await.expect("an event");
    let (length, event) = piece.split_first_chunk::<4>().expect("a length");
    assert_eq!((u32::from_be_bytes(*length) as usize, &event[..7]), (event.len(), b"\x0a\x05ADDED".as_slice()));
}

/// Long lists are made in pieces: they are what the list made at once would be.
#[tokio::test]
async fn long_lists_in_every_encoding() {
    let stand = Stand::new();
    for number in 0..300 {
        let object = json!({"metadata": {"name": format!("m{number:03}"), "namespace": "n"}, "data": {"text": "x".repeat(1000)}});
        stand.put("configmaps", object).await;
    }
    let lists = [
        ("", "ConfigMapList", ""),
        ("", "PartialObjectMetadataList", ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
        ("?limit=200", "ConfigMapList", ""),
        ("?labelSelector=none", "ConfigMapList", ""),
    ];
    for (query, kind, parameters) in lists {
        let target = format!("{MAPS}{query}");
        let get = async |media: &str| stand.get(&target, &[("accept", &format!("{media}{parameters}"))]).await.body;
        let plain = get("application/json").await;
        let json: Value = serde_json::from_slice(&plain).expect("JSON");
        let (group, version) = if parameters.is_empty() { ("", "v1") } else { ("meta.k8s.io", "v1") };
        let schema = Schema::builtin(group, version, kind).expect("a type");
        for _ in 0..2 {
            let binary = get("application/vnd.kubernetes.protobuf").await;
            assert!(binary == schema.protobuf(&plain).expect("a list"), "{query} {kind} in protobuf");
        }
        let text = String::from_utf8(get("application/yaml").await).expect("text");
        assert_eq!(schema::parse_yaml(text.as_bytes()).expect("YAML"), json, "{query} {kind} in YAML");
        assert!(text == String::from_utf8_lossy(&schema::yaml(&plain).expect("JSON")), "{query} {kind} in YAML");
    }
    let old = ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1beta1";
    let seen = stand.get(MAPS, &[("accept", &format!("application/vnd.kubernetes.protobuf{old}"))]).await;
    let at = memchr::memmem::find(&seen.body, b"PartialObjectMetadataList\x12").expect("an envelope") + 26;
    let length = seen.body[at..].iter().take_while(|byte| **byte >= 0x80).count() + 1;
    assert_eq!(seen.body[at + length], 0x0a, "items have the first number");
    let rest = &seen.body[..seen.body.len() - 4];
    let metadata = memchr::memmem::rfind(rest, b"\x12").is_some() && rest.ends_with(b"\x1a\0");
    assert!(metadata, "metadata comes last");
}

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::testing::{Stand, next, ready};
use crate::store::Limits;

const MAPS: &str = "/api/v1/namespaces/n/configmaps";

fn map(name: &str, label: &str, data: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "n", "labels": {"w": label}}, "data": {"n": data}})
}

/// Type, name and the object's version of each event.
fn told(events: &[Value]) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |event: &Value| {
        let metadata = &event["object"]["metadata"];
        (text(&event["type"]), text(&metadata["name"]), text(&metadata["resourceVersion"]))
    };
    events.iter().map(one).collect()
}

fn row(kind: &str, name: &str, revision: u64) -> (String, String, String) {
    (kind.to_owned(), name.to_owned(), revision.to_string())
}

#[tokio::test]
async fn selectors_see_objects_come_and_go() {
    let stand = Stand::new();
    let from = stand.put("configmaps", map("other", "none", "0")).await.0;
    let open = async |query: &str| stand.open(&format!("{MAPS}?watch=1&resourceVersion={from}&{query}"), &[]).await.into_body();
    let (mut wide, mut blue, mut named) =
        (open("").await, open("labelSelector=w%3Dblue").await, open("fieldSelector=metadata.name%3Done").await);
    for (label, data) in [("red", "1"), ("red", "2"), ("blue", "2"), ("blue", "3"), ("green", "3")] {
        stand.put("configmaps", map("one", label, data)).await;
    }
    stand.put("configmaps", json!({"metadata": {"name": "one", "namespace": "elsewhere"}})).await;
    stand.remove("/registry/configmaps/n/one").await;
    let all: Vec<_> = [("ADDED", 1), ("MODIFIED", 2), ("MODIFIED", 3), ("MODIFIED", 4), ("MODIFIED", 5), ("DELETED", 7)]
        .map(|(kind, after)| row(kind, "one", from + after))
        .to_vec();
    assert_eq!(told(&ready(&mut wide).await), all);
    assert_eq!(told(&ready(&mut named).await), all);
    let events = ready(&mut blue).await;
    assert_eq!(told(&events), [row("ADDED", "one", from + 3), row("MODIFIED", "one", from + 4), row("DELETED", "one", from + 5)]);
    // What leaves is shown as it was, under the version that took it away.
    assert_eq!(events[2]["object"]["metadata"]["labels"]["w"], "blue");
    let mut replay = open("timeoutSeconds=3").await;
    assert_eq!(told(&ready(&mut replay).await), all);
}

#[tokio::test]
async fn the_state_comes_first_where_it_is_asked_for() {
    let stand = Stand::new();
    let one = stand.put("configmaps", map("s1", "x", "1")).await.0;
    let two = stand.put("configmaps", map("s2", "x", "1")).await.0;
    let last = stand.put("configmaps", map("s3", "y", "1")).await.0;
    let state = [row("ADDED", "s1", one), row("ADDED", "s2", two)];
    let mark = row("BOOKMARK", "", last);
    let stream = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    for (query, marked) in [
        (String::new(), false),
        ("&resourceVersion=0".to_owned(), false),
        ("&allowWatchBookmarks=true".to_owned(), true),
        (format!("&{stream}"), false),
        (format!("&{stream}&allowWatchBookmarks=true"), true),
        (format!("&{stream}&allowWatchBookmarks=true&resourceVersion=2"), true),
    ] {
        let mut body = stand.open(&format!("{MAPS}?watch=true&labelSelector=w%3Dx{query}"), &[]).await.into_body();
        let events = ready(&mut body).await;
        let wanted: Vec<_> = state.iter().cloned().chain(marked.then(|| mark.clone())).collect();
        assert_eq!(told(&events), wanted, "{query}");
        if marked {
            assert_eq!(events[2]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
            assert_eq!(events[2]["object"]["kind"], "ConfigMap");
        }
        assert!(ready(&mut body).await.is_empty());
    }
    let mut legacy = stand.open("/api/v1/watch/namespaces/n/configmaps?labelSelector=w%3Dx", &[]).await.into_body();
    assert_eq!(told(&ready(&mut legacy).await), state);
    let mut now =
        stand.open(&format!("{MAPS}?watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"), &[]).await.into_body();
    assert!(ready(&mut now).await.is_empty());
    let next = stand.put("configmaps", map("s4", "x", "1")).await.0;
    assert_eq!(told(&ready(&mut now).await), [row("ADDED", "s4", next)]);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_and_the_end_comes() {
    let stand = Stand::new();
    let last = stand.put("configmaps", map("a", "x", "1")).await.0;
    let target = format!("{MAPS}?watch=1&resourceVersion={last}&allowWatchBookmarks=true&timeoutSeconds=100");
    let begun = tokio::time::Instant::now();
    let mut body = stand.open(&target, &[]).await.into_body();
    let mut pieces = Vec::new();
    while let Some(piece) = next(&mut body).await {
        pieces.push((begun.elapsed(), piece));
    }
    assert_eq!(pieces.len(), 2, "{pieces:?}");
    assert!((Duration::from_secs(55)..Duration::from_secs(61)).contains(&pieces[0].0), "{:?}", pieces[0].0);
    assert!((Duration::from_secs(97)..Duration::from_secs(99)).contains(&pieces[1].0), "{:?}", pieces[1].0);
    assert!((Duration::from_secs(100)..Duration::from_secs(101)).contains(&begun.elapsed()));
    let bookmark: Value = serde_json::from_slice(&pieces[0].1).expect("JSON");
    let wanted = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": last.to_string()}});
    assert_eq!(bookmark, json!({"type": "BOOKMARK", "object": wanted}));
    let pods = stand.open("/api/v1/pods?watch=1&resourceVersion=1&allowWatchBookmarks=true&timeoutSeconds=61", &[]).await;
    let piece = next(&mut pods.into_body()).await.expect("a bookmark");
    let bookmark: Value = serde_json::from_slice(&piece).expect("JSON");
    assert_eq!(bookmark["object"]["spec"], json!({"containers": null}));
}

#[tokio::test]
async fn what_is_too_old_is_told_in_the_stream() {
    let stand = Stand::with(Limits { ring_bytes: 0, roots_bytes: 0, keep: Duration::ZERO, ..Limits::default() });
    for turn in 0..200 {
        stand.put("configmaps", map("a", "x", &turn.to_string())).await;
    }
    let seen = stand.get(&format!("{MAPS}?watch=1&resourceVersion=1"), &[]).await;
    let event: Value = serde_json::from_slice(&seen.body).expect("one event");
    assert_eq!(
        (seen.code.as_u16(), &event["type"], &event["object"]["code"], &event["object"]["reason"]),
        (200, &json!("ERROR"), &json!(410), &json!("Expired"))
    );
    assert!(event["object"]["message"].as_str().is_some_and(|message| message.starts_with("too old resource version: 1 (")));
}

#[tokio::test]
async fn overtaken_inside_its_initial_events_a_reader_gets_the_difference() {
    let stand = Stand::with(Limits { ring_bytes: 0, roots_bytes: 0, keep: Duration::ZERO, ..Limits::default() });
    for at in 0..100 {
        stand.put("configmaps", map(&format!("m{at:02}"), "x", &"y".repeat(1500))).await;
    }
    let mut body = stand.open(&format!("{MAPS}?watch=1"), &[]).await.into_body();
    let first = next(&mut body).await.expect("a first piece");
    assert!(first.len() < 100 * 1500, "the state comes in pieces");
    for turn in 0..300 {
        stand.put("configmaps", map("m00", "x", &turn.to_string())).await;
    }
    stand.remove("/registry/configmaps/n/m01").await;
    let last = stand.put("configmaps", map("new", "x", "")).await.0;
    let events = ready(&mut body).await;
    let told = told(&events);
    let after: Vec<_> = told.iter().skip_while(|event| event.1 != "m99").skip(1).cloned().collect();
    assert_eq!(after, [row("MODIFIED", "m00", last - 2), row("DELETED", "m01", last), row("ADDED", "new", last)]);
}

#[tokio::test]
async fn tables_and_metadata() {
    let stand = Stand::new();
    stand.put("configmaps", map("s1", "x", "1")).await;
    let two = stand.put("configmaps", map("s2", "x", "1")).await.0;
    let open = async |accept: &str| stand.open(&format!("{MAPS}?watch=1"), &[("accept", accept)]).await.into_body();
    let mut table = open("application/json;as=Table;v=v1;g=meta.k8s.io").await;
    let events = ready(&mut table).await;
    assert_eq!(events[0]["object"]["columnDefinitions"][1]["name"], "Data");
    assert_eq!(
        (&events[1]["object"]["columnDefinitions"], &events[1]["object"]["rows"][0]["cells"][0]),
        (&Value::Null, &json!("s2"))
    );
    assert_eq!(events[1]["object"]["metadata"], json!({"resourceVersion": two.to_string()}));
    let mut metadata = open("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io").await;
    let events = ready(&mut metadata).await;
    assert_eq!(events[0]["object"]["kind"], "PartialObjectMetadata");
    assert!(events[0]["object"].get("data").is_none());
    stand.put("configmaps", map("s2", "x", "2")).await;
    assert_eq!(ready(&mut metadata).await[0]["object"]["apiVersion"], "meta.k8s.io/v1");
    assert_eq!(ready(&mut table).await[0]["type"], "MODIFIED");
}

#[tokio::test]
async fn bad_parameters_are_answers_not_streams() {
    let stand = Stand::new();
    for (query, code) in [
        ("sendInitialEvents=true&allowWatchBookmarks=true", 422),
        ("resourceVersion=x", 422),
        ("timeoutSeconds=x", 400),
        ("labelSelector=a%20b", 400),
        ("fieldSelector=spec.color%3Dx", 400),
    ] {
        assert_eq!(stand.get(&format!("{MAPS}?watch=1&{query}"), &[]).await.code.as_u16(), code, "{query}");
    }
    assert_eq!(stand.get(&format!("{MAPS}?watch=1"), &[("accept", "application/yaml")]).await.code.as_u16(), 406);
}

#[tokio::test]
async fn a_reader_that_sleeps_gets_everything_in_one_piece() {
    let stand = Stand::new();
    let from = stand.put("configmaps", map("a", "x", "0")).await.0;
    let mut body = stand.open(&format!("{MAPS}?watch=1&resourceVersion={from}"), &[]).await.into_body();
    for turn in 0..20 {
        stand.put("configmaps", map("a", "x", &turn.to_string())).await;
    }
    let piece = next(&mut body).await.expect("a piece");
    assert_eq!(piece.iter().filter(|byte| **byte == b'\n').count(), 20);
}

/// Frames of the binary stream: every object in an envelope of its own, bookmarks too.
#[tokio::test]
async fn binary_events_and_bookmarks() {
    use crate::schema::{Encoding, Schema};
    let stand = Stand::new();
    stand.put("configmaps", json!({"metadata": {"name": "a", "namespace": "n"}, "data": {"k": "v"}})).await;
    let query = "watch=1&timeoutSeconds=2&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    for (parameters, kind) in [("", "ConfigMap"), (";as=PartialObjectMetadata;g=meta.k8s.io;v=v1", "PartialObjectMetadata")] {
        let target = format!("/api/v1/namespaces/n/configmaps?{query}");
        let accept = format!("application/vnd.kubernetes.protobuf{parameters},application/json");
        let response = stand.open(&target, &[("accept", &accept)]).await;
        assert_eq!(response.headers()["content-type"], "application/vnd.kubernetes.protobuf;stream=watch");
        let mut body = response.into_body();
        let mut bytes = next(&mut body).await.expect("events").to_vec();
        if memchr::memmem::find(&bytes, b"BOOKMARK").is_none() {
            bytes.extend(next(&mut body).await.expect("a bookmark"));
        }
        let object =
            if kind == "ConfigMap" { Schema::builtin("", "v1", kind) } else { Schema::builtin("meta.k8s.io", "v1", kind) };
        let (object, mut rest, mut seen) = (object.expect("a type"), &bytes[..], Vec::new());
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let (frame, tail) = tail.split_at(u32::from_be_bytes(*length) as usize);
            let begin = memchr::memmem::find(frame, b"k8s\0").expect("an envelope");
            let value = object.read(&frame[begin..], Encoding::Protobuf).expect("an object").value;
            let word = String::from_utf8_lossy(&frame[2..2 + usize::from(frame[1])]).into_owned();
            assert_eq!(value["kind"], kind, "{word}");
            seen.push((word, value));
            rest = tail;
        }
        assert_eq!(seen.iter().map(|(word, _)| word.as_str()).collect::<Vec<_>>(), ["ADDED", "BOOKMARK"]);
        assert_eq!(seen[0].1["metadata"]["name"], "a");
        assert_eq!(seen[1].1["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    }
}

//! Vectors that others made: JSON that must and must not be read, JSON patches, objects in JSON and protobuf. They lie in `../shared`, or where
//! PORTCULLIS_SHARED says; where they are not, the tests say so.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(unreachable_pub, missing_docs, dead_code, reason = "nobody depends on a test")]

mod support;

use std::path::{Path, PathBuf};

use http::Method;
use portcullis::schema::{self, Encoding, Schema, patch};
use serde_json::Value;
use support::client::Protocol;
use support::{Cluster, Store};

fn shared(path: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let path = std::env::var_os("PORTCULLIS_SHARED").map_or_else(beside, PathBuf::from).join(path);
    if !path.exists() {
        eprintln!("SKIPPED: {} is not there (PORTCULLIS_SHARED names its folder)", path.display());
        return None;
    }
    Some(path)
}

/// The files of a folder whose names begin and end so, with what they hold.
fn files(folder: &Path, (begin, end): (&str, &str)) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path))
        .filter(|(name, _)| name.starts_with(begin) && name.ends_with(end))
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn json_is_read_or_refused() {
    let Some(folder) = shared("vectors/json-parsing") else { return };
    let (good, bad) = (files(&folder, ("y_", ".json")), files(&folder, ("n_", ".json")));
    assert!(good.len() > 90 && bad.len() > 180, "{} and {} documents", good.len(), bad.len());
    let refused: Vec<_> = good.iter().filter(|(_, text)| schema::parse(text).is_err()).map(|(name, _)| name).collect();
    let taken: Vec<_> = bad.iter().filter(|(_, text)| schema::parse(text).is_ok()).map(|(name, _)| name).collect();
    assert!(refused.is_empty() && taken.is_empty(), "refused: {refused:?}\ntaken: {taken:?}");
}

#[tokio::test]
async fn what_is_no_json_is_a_bad_request() {
    let Some(folder) = shared("vectors/json-parsing") else { return };
    let cluster = Cluster::start(Store::Embedded).await;
    let client = cluster.client(Protocol::Http1).await;
    let maps = "/api/v1/namespaces/default/configmaps";
    for (name, text) in files(&folder, ("n_", ".json")) {
        let answer = client.request(Method::POST, maps, &[("content-type", "application/json")], text).await.unwrap();
        let status = answer.json();
        assert_eq!((answer.status.as_u16(), &status["reason"]), (400, &"BadRequest".into()), "{name}: {status}");
    }
}

#[test]
fn json_patches() {
    for name in ["vectors/json-patch-tests.json", "vectors/json-patch-spec-tests.json"] {
        let Some(path) = shared(name) else { return };
        let tests: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let mut run = 0;
        for test in tests.iter().filter(|test| test["disabled"] != true && test.get("patch").is_some()) {
            let patched = patch::json(&test["doc"], test["patch"].to_string().as_bytes());
            match test.get("error") {
                Some(why) => assert!(patched.is_err(), "{why}: {test}"),
                None => assert_eq!(Some(&patched.unwrap()), test.get("expected").or(test.get("doc")), "{test}"),
            }
            run += 1;
        }
        assert!(run > 10, "{name}: {run} tests");
    }
}

#[test]
fn objects_in_json_and_protobuf() {
    let mut run = 0;
    for folder in ["vectors/api-testdata", "facts/protobuf-samples"] {
        let Some(folder) = shared(folder) else { return };
        for (name, protobuf) in files(&folder, ("", ".pb")).into_iter().filter(|(name, _)| name != "watch.pb") {
            let json = std::fs::read(folder.join(&name).with_extension("json")).unwrap();
            agree(&name, &json, &protobuf);
            run += 1;
        }
    }
    assert_eq!(run, 54);
}

/// JSON to the same bytes, and the bytes to the same value.
fn agree(name: &str, json: &[u8], protobuf: &[u8]) {
    let (api_version, kind) = schema::kind_of(json, Encoding::Json).unwrap();
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let schema = Schema::builtin(group, version, &kind).unwrap();
    let mut wanted: Value = serde_json::from_slice(json).unwrap();
    assert!(schema.protobuf(&schema::write(&wanted)).unwrap() == protobuf, "{name}: other bytes");
    let mut read = schema.read(protobuf, Encoding::Protobuf).unwrap().value;
    // Items of a metadata list say their kind in JSON only.
    for item in wanted.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
        item.retain(|name, _| name != "kind" && name != "apiVersion");
    }
    schema.normalise(&mut read);
    schema.normalise(&mut wanted);
    assert_eq!(read, wanted, "{name}");
}

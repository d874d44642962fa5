use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::super::tests::shared;
use super::super::{Encoding, write};
use super::*;

fn schema_of(value: &Value) -> Schema {
    let api_version = value["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Schema::builtin(group, version, value["kind"].as_str().unwrap()).unwrap()
}

/// Both ways: JSON to the same bytes, the bytes to the same JSON.
fn agree(path: &Path, json: &[u8], protobuf: &[u8]) {
    let mut wanted: Value = serde_json::from_slice(json).unwrap();
    let schema = schema_of(&wanted);
    // Items of a metadata list say their kind in JSON only.
    for item in wanted.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
        item.retain(|name, _| name != "kind" && name != "apiVersion");
    }
    let mut read = schema.read(protobuf, Encoding::Protobuf).unwrap().value;
    schema.normalise(&mut read);
    let mut normal = wanted.clone();
    schema.normalise(&mut normal);
    assert_eq!(read, normal, "{path:?}");
    let ours = schema.protobuf(&serde_json::to_vec(&wanted).unwrap()).unwrap();
    let place = ours.iter().zip(protobuf).position(|(ours, theirs)| ours != theirs).unwrap_or(ours.len().min(protobuf.len()));
    assert!(*ours == *protobuf, "{path:?} at byte {place}: {:?}\n{:?}", around(&ours, place), around(protobuf, place));
}

fn bare(schema: &Schema, value: &Value) -> Vec<u8> {
    let mut message = Vec::new();
    schema.encode(&write(value), &mut message).unwrap();
    message
}

fn around(bytes: &[u8], place: usize) -> String {
    String::from_utf8_lossy(&bytes[place.saturating_sub(30)..bytes.len().min(place + 30)]).into_owned()
}

#[test]
fn agrees_with_the_vectors() {
    let Some(folder) = shared("vectors/api-testdata") else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "pb") {
            agree(&path, &std::fs::read(path.with_extension("json")).unwrap(), &std::fs::read(&path).unwrap());
            seen += 1;
        }
    }
    assert_eq!(seen, 50);
}

#[test]
fn agrees_with_the_samples() {
    let Some(folder) = shared("facts/protobuf-samples") else { return };
    for name in ["list", "object", "notfound", "metadata-list"] {
        let path = folder.join(name);
        agree(&path, &std::fs::read(path.with_extension("json")).unwrap(), &std::fs::read(path.with_extension("pb")).unwrap());
    }
}

#[test]
fn frames_watch_events_like_the_sample() {
    let Some(folder) = shared("facts/protobuf-samples") else { return };
    let mut frames = Vec::new();
    for line in std::fs::read_to_string(folder.join("watch.json")).unwrap().lines() {
        let mut event: Value = serde_json::from_str(line).unwrap();
        if event["type"] == "BOOKMARK" {
            // The two samples were taken one after the other.
            event["object"]["metadata"]["resourceVersion"] = "1218".into();
        }
        let object = schema_of(&event["object"]).protobuf(&write(&event["object"])).unwrap();
        let (mut raw, mut frame) = (Vec::new(), Vec::new());
        protobuf_member(&mut raw, 1, &object);
        protobuf_member(&mut frame, 1, event["type"].as_str().unwrap().as_bytes());
        protobuf_member(&mut frame, 2, &raw);
        frames.extend(u32::try_from(frame.len()).unwrap().to_be_bytes());
        frames.extend(frame);
    }
    let wanted = std::fs::read(folder.join("watch.pb")).unwrap();
    let place = frames.iter().zip(&wanted).position(|(ours, theirs)| ours != theirs).unwrap_or(0);
    assert!(frames == wanted, "at byte {place}: {:?}\n{:?}", around(&frames, place), around(&wanted, place));
}

#[test]
fn writes_value_fields_always_and_pointers_when_set() {
    let rows: [(&str, Value, &[u8]); 4] = [
        (
            "ConfigMap",
            json!({"metadata": {"resourceVersion": "7"}, "binaryData": {"b": "aGk="}}),
            b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x1c\x0a\x11\x0a\x00\x12\x00\x1a\x00\"\x00*\x002\x017\x38\x00B\x00\
              \x1a\x07\x0a\x01b\x12\x02hi\x1a\x00\"\x00",
        ),
        ("ContainerPort", json!({"containerPort": 80}), b"\x0a\x00\x10\x00\x18\x50\x22\x00\x2a\x00"),
        ("ServicePort", json!({"targetPort": "web"}), b"\x0a\x00\x12\x00\x18\x00\x22\x09\x08\x01\x10\x00\x1a\x03web\x28\x00"),
        ("ConfigMapEnvSource", json!({"name": "a", "optional": false}), b"\x0a\x03\x0a\x01a\x10\x00"),
    ];
    let config_map = Schema::builtin("", "v1", "ConfigMap").unwrap();
    for (kind, value, wanted) in rows {
        let id = config_map.table.find(&format!("api.core.v1.{kind}")).unwrap();
        let schema = Schema { id, ..config_map.clone() };
        let written = if wanted.starts_with(&MAGIC) { schema.protobuf(&write(&value)).unwrap() } else { bare(&schema, &value) };
        assert_eq!(written, wanted, "{kind}");
    }
}

/// Every kind, with something in every member, comes back from its message as it was.
#[test]
fn every_kind_comes_back() {
    for gvk in Schema::builtins() {
        let schema = Schema::builtin(&gvk.group, &gvk.version, &gvk.kind).unwrap();
        let mut value = full(&schema, &super::super::table::Shape::Ref(schema.id), 0);
        value["apiVersion"] = gvk.api_version().into();
        value["kind"] = gvk.kind.to_string().into();
        schema.normalise(&mut value);
        let mut back = schema.read(&schema.protobuf(&write(&value)).unwrap(), Encoding::Protobuf).unwrap().value;
        schema.normalise(&mut back);
        assert_eq!(back, value, "{gvk:?}");
        let mut reading = schema.read(&write(&value), Encoding::Json).unwrap();
        schema.normalise(&mut reading.value);
        assert_eq!((&reading.value, &reading.faults[..]), (&value, &[] as &[String]), "{gvk:?}");
    }
}

fn full(schema: &Schema, shape: &super::super::table::Shape, depth: usize) -> Value {
    use super::super::table::{Shape, Special};
    let deep = depth > 9;
    match shape {
        Shape::String => json!("text"),
        Shape::Bytes => json!("aGk="),
        Shape::Bool => json!(true),
        Shape::Int32 => json!(-7),
        Shape::Int64 => json!(i64::MIN),
        Shape::Double => json!(1.5),
        Shape::List(item) => {
            if deep {
                json!([])
            } else {
                json!([full(schema, item, depth + 1)])
            }
        }
        Shape::Map(item) => {
            if deep {
                json!({})
            } else {
                json!({"a": full(schema, item, depth + 1), "": full(schema, item, depth + 1)})
            }
        }
        Shape::Ref(id) => match &schema.table.get(*id).form {
            Form::Struct(_) if deep => json!({}),
            Form::Struct(members) => {
                // Schemas hold schemas in many members: one within another is enough.
                let depth = depth
                    + if members.field("openAPIV3Schema").is_some() {
                        4
                    } else {
                        usize::from(members.field("$ref").is_some()) * 3
                    };
                members
                    .fields()
                    .iter()
                    .filter(|field| !field.numbers.is_empty())
                    .map(|field| (field.name.to_string(), full(schema, &field.shape, depth + 1)))
                    .collect()
            }
            Form::Special(Special::Time) => json!("1969-02-03T04:05:06Z"),
            Form::Special(Special::MicroTime) => json!("2026-02-03T04:05:06.000007Z"),
            Form::Special(Special::Quantity) => json!("1500m"),
            Form::Special(Special::IntOrString) => json!("25%"),
            Form::Special(Special::RawExtension | Special::FieldsV1 | Special::Any) => json!({"a": [1, null, 1.5]}),
            Form::Special(Special::SchemaOrArray) => json!([{"type": "a"}, {"type": "b"}]),
            Form::Special(Special::SchemaOrBool) => json!(false),
            Form::Special(Special::SchemaOrStrings) => json!(["a", "b"]),
        },
    }
}

#[test]
fn tolerates_what_others_send() {
    let schema = Schema::builtin("", "v1", "ConfigMap").unwrap();
    let rows: [(&[u8], Value); 5] = [
        (b"k8s\0\x12\x05\x0a\x03\x0a\x01a", json!({"metadata": {"name": "a"}})),
        (b"k8s\0\x12\x0e\x0a\x03\x0a\x01a\x0a\x07\x1a\x01n\xf8\x7f\x01\x10", json!(null)),
        (b"k8s\0\x12\x0e\x0a\x03\x0a\x01a\x0a\x07\x1a\x01n\xf8\x07\x01\x00", json!(null)),
        (b"k8s\0\x12\x0d\x0a\x03\x0a\x01a\x0a\x06\x1a\x01n\xf8\x07\x01", json!({"metadata": {"name": "a", "namespace": "n"}})),
        (b"k8s\0\x12\x04\x12\x02\x0a\x00", json!({"data": {"": ""}})),
    ];
    for (bytes, wanted) in rows {
        match schema.read(bytes, Encoding::Protobuf) {
            Ok(reading) => {
                let mut wanted = wanted;
                wanted["apiVersion"] = "v1".into();
                wanted["kind"] = "ConfigMap".into();
                assert_eq!(reading.value, wanted, "{bytes:?}");
            }
            Err(_) => assert_eq!(wanted, Value::Null, "{bytes:?}"),
        }
    }
    let other = protobuf_envelope("apps/v1", "Deployment", b"\xff\xff");
    assert_eq!(schema.read(&other, Encoding::Protobuf).unwrap().value, json!({"apiVersion": "apps/v1", "kind": "Deployment"}));
}

#[test]
fn refuses_in_kubes_words() {
    let schema = Schema::builtin("", "v1", "Pod").unwrap();
    let rows: [(&[u8], &str); 5] = [
        (b"", "empty data"),
        (b"{}", "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"),
        (b"k8s\0", "empty body"),
        (b"k8s\0\x12\xff\xff\xff\xff\x0f", "unexpected EOF"),
        (b"k8s\0\x0f", "proto: illegal wireType 7"),
    ];
    for (bytes, why) in rows {
        assert_eq!(schema.read(bytes, Encoding::Protobuf).unwrap_err().to_string(), why, "{bytes:?}");
    }
}

#[test]
fn a_list_without_items_in_a_map_is_none() {
    let schema = Schema::builtin("authorization.k8s.io", "v1", "SubjectAccessReview").unwrap();
    for extra in [json!({"a": []}), json!({"a": null})] {
        let bytes = schema.protobuf(&write(&json!({"spec": {"extra": extra, "user": "u"}}))).unwrap();
        let read = schema.read(&bytes, Encoding::Protobuf).unwrap().value;
        assert_eq!(read["spec"]["extra"], json!({"a": null}));
    }
}

#[test]
fn a_choice_that_was_not_made_is_none() {
    let schema = Schema::builtin("apiextensions.k8s.io", "v1", "CustomResourceDefinition").unwrap();
    let of = |properties: Value| json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": properties}}]}});
    for sent in [json!([]), json!(null)] {
        let mut value = of(json!({"dependencies": {"a": sent, "b": ["c"]}, "items": sent}));
        schema.normalise(&mut value);
        let place = "/spec/versions/0/schema/openAPIV3Schema";
        let wanted = json!({"dependencies": {"a": null, "b": ["c"]}});
        assert_eq!(value.pointer(place), Some(&wanted));
        let mut read = schema.read(&schema.protobuf(&write(&value)).unwrap(), Encoding::Protobuf).unwrap().value;
        schema.normalise(&mut read);
        assert_eq!(read.pointer(place), Some(&wanted));
    }
}

#[test]
fn bombs_are_refused() {
    let crd = Schema::builtin("apiextensions.k8s.io", "v1", "CustomResourceDefinition").unwrap();
    // `not` within `not`, each a message of one member.
    let not = crd.table.json_schema().and_then(|schema| schema.field("not")).unwrap().numbers[0];
    let mut deep = Vec::new();
    for _ in 0..5000 {
        let mut outer = Vec::new();
        protobuf_member(&mut outer, not, &deep);
        deep = outer;
    }
    let mut wide = Vec::new();
    for _ in 0..1_000_000 {
        protobuf_member(&mut wide, 2, b"");
    }
    let schema =
        Schema { id: crd.table.find("apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps").unwrap(), ..crd };
    let list = Schema::builtin("", "v1", "PodList").unwrap();
    assert_eq!(schema.read_protobuf_message(&deep).unwrap_err().to_string(), "proto: message is nested too deeply");
    assert_eq!(list.read_protobuf_message(&wide).unwrap_err().to_string(), "proto: message holds too many values");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for kind in ["Pod", "Event", "PodList"] {
            let schema = Schema::builtin("", "v1", kind).unwrap();
            if let Ok(mut value) = schema.read_protobuf_message(&bytes) {
                schema.normalise(&mut value);
                schema.protobuf(&write(&value)).unwrap();
            }
        }
    }

    #[test]
    fn never_panics_on_bent_messages(place in 0_usize..2000, byte in any::<u8>()) {
        let schema = Schema::builtin("apps", "v1", "Deployment").unwrap();
        let mut message = bare(&schema, &full(&schema, &super::super::table::Shape::Ref(schema.id), 0));
        let place = place * message.len() / 2000;
        message[place] = byte;
        let _ = schema.read_protobuf_message(&message);
    }
}

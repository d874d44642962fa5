use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::table::{ListType, MapType, Omit};
use super::*;

/// A folder of reference data beside the checkout; `None`, said aloud, where it is not.
pub(super) fn shared(path: &str) -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let path = std::env::var_os("PORTCULLIS_SHARED").map_or(beside, PathBuf::from).join(path);
    if !path.exists() {
        eprintln!("SKIPPED: {} is not there (PORTCULLIS_SHARED names its folder)", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn the_table_says_what_the_facts_say() {
    let Some(path) = shared("facts/types-1.36.jsonl") else { return };
    let table = load::builtin();
    let mut types = 0;
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let fact: Value = serde_json::from_str(line).unwrap();
        let name = fact["name"].as_str().unwrap();
        let kind = table.get(table.find(name).unwrap());
        assert_eq!(&*kind.name, name);
        assert_eq!(kind.atomic, fact["mapType"] == "atomic", "{name}");
        assert_eq!(kind.union, fact["union"] == true, "{name}");
        if let Some([group, version, kind]) = fact["gvk"].as_array().map(|gvk| [0, 1, 2].map(|part| gvk[part].as_str().unwrap()))
        {
            assert_eq!(table.kind(&Gvk::new(group, version, kind)), table.find(name));
        }
        let proto = fact["origin"] == "proto";
        for (field, fact) in fact["fields"].as_object().into_iter().flatten() {
            let known = kind.field(field).unwrap_or_else(|| panic!("{name}.{field}"));
            let mut said = facts(table, known);
            if proto {
                // What JSON leaves out is not in the messages: the script adds it.
                said.retain(|fact, _| fact != "omit" && fact != "ptr");
            }
            assert_eq!(&Value::Object(said), fact, "{name}.{field}");
        }
        types += 1;
    }
    assert_eq!(types, 591);
}

/// A field as the facts file puts it.
fn facts(table: &Table, field: &Field) -> Map<String, Value> {
    let mut said = shape(table, &field.shape, &field.values);
    let mut say = |fact: &str, value: Value| drop(said.insert(fact.to_owned(), value));
    match field.numbers[..] {
        [] => {}
        [number] => say("n", number.into()),
        _ => say("n", field.numbers.clone().into()),
    }
    for (fact, holds) in [("ptr", field.pointer), ("req", field.required)] {
        if holds {
            say(fact, true.into());
        }
    }
    match field.omit {
        Omit::Never => {}
        Omit::Empty => say("omit", "empty".into()),
        Omit::Zero => say("omit", "zero".into()),
    }
    match &field.list {
        None => {}
        Some(ListType::Atomic) => say("listType", "atomic".into()),
        Some(ListType::Set) => say("listType", "set".into()),
        Some(ListType::Map(keys)) => {
            say("listType", "map".into());
            say("keys", keys.iter().map(|key| key.to_string()).collect());
        }
    }
    match field.map {
        None => {}
        Some(MapType::Atomic) => say("mapType", "atomic".into()),
        Some(MapType::Granular) => say("mapType", "granular".into()),
    }
    let strategies = [(field.patch.merge, "merge"), (field.patch.retain_keys, "retainKeys"), (field.patch.replace, "replace")];
    let strategies: Vec<_> = strategies.iter().filter(|(said, _)| *said).map(|(_, name)| *name).collect();
    if !strategies.is_empty() {
        say("patch", strategies.join(",").into());
    }
    if let Some(key) = &field.merge_key {
        say("mergeKey", key.to_string().into());
    }
    if let Some(value) = &field.default {
        say("default", value.clone());
    }
    said
}

fn shape(table: &Table, said: &Shape, values: &[Box<str>]) -> Map<String, Value> {
    let (fact, value) = match said {
        Shape::String => ("type", json!("string")),
        Shape::Bytes => ("type", json!("string:byte")),
        Shape::Bool => ("type", json!("boolean")),
        Shape::Int32 => ("type", json!("integer:int32")),
        Shape::Int64 => ("type", json!("integer:int64")),
        Shape::Double => ("type", json!("number:double")),
        Shape::Ref(id) => ("ref", json!(table.get(*id).name)),
        Shape::List(item) => return Map::from_iter([("list".to_owned(), Value::Object(shape(table, item, values)))]),
        Shape::Map(item) => return Map::from_iter([("map".to_owned(), Value::Object(shape(table, item, values)))]),
    };
    let mut facts = Map::from_iter([(fact.to_owned(), value)]);
    if !values.is_empty() {
        facts.insert("enum".to_owned(), values.iter().map(|value| value.to_string()).collect());
    }
    facts
}

#[test]
fn kinds_are_found() {
    for gvk in Schema::builtins() {
        let schema = Schema::builtin(&gvk.group, &gvk.version, &gvk.kind).unwrap();
        assert_eq!(schema.gvk(), &gvk);
        assert!(schema.has(&["apiVersion"]) || schema.has(&["metadata"]) || schema.has(&["versions"]), "{gvk:?}");
    }
    let options = Schema::builtin("apps", "v1", "DeleteOptions").unwrap();
    assert_eq!(options.gvk().api_version(), "apps/v1");
    assert!(Schema::builtin("apps", "v1", "Pod").is_none());
    let pod = Schema::builtin("", "v1", "Pod").unwrap();
    assert!(pod.has(&["spec", "containers", "resources", "limits"]));
    assert!(!pod.has(&["spec", "containers", "nope"]) && !pod.has(&["metadata", "labels", "a"]) && !pod.has(&[]));
    assert_eq!(pod.field(&["spec", "containers"]).unwrap().merge_key.as_deref(), Some("name"));
}

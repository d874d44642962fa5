//! What holds for all objects and sets.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Sets over few names, so that they meet.
fn sets() -> impl Strategy<Value = FieldSet<'static>> {
    let leaf = Just(json!({}));
    let level = leaf.prop_recursive(4, 24, 4, |inner| {
        let key = prop::sample::select(vec![".", "f:a", "f:b", "f:c", "k:{\"n\":1}", "k:{\"n\":10}", "v:\"x\"", "i:0"]);
        prop::collection::btree_map(key, inner, 0..4).prop_map(|map| {
            map.into_iter().map(|(key, below)| (key.to_owned(), if key == "." { json!({}) } else { below })).collect()
        })
    });
    level.prop_map(|value: Value| FieldSet::read(&value).unwrap().into_owned())
}

/// Pods of few containers, volumes, labels.
fn pods() -> impl Strategy<Value = Value> {
    let word = || prop::sample::select(vec!["a", "b", "c"]);
    let port = (80..83_u16, prop::option::of(prop::sample::select(vec!["TCP", "UDP"])));
    let ports = prop::collection::vec(port, 0..3).prop_map(|list| {
        let mut seen = std::collections::BTreeSet::new();
        let list = list.into_iter().filter(|(port, protocol)| seen.insert((*port, protocol.unwrap_or("TCP"))));
        list.map(|(port, protocol)| match protocol {
            Some(protocol) => json!({"containerPort": port, "protocol": protocol}),
            None => json!({"containerPort": port}),
        })
        .collect::<Value>()
    });
    let container = (word(), word(), ports, prop::collection::btree_map(word(), word(), 0..3));
    let containers = prop::collection::vec(container, 1..4).prop_map(|list| {
        let mut seen = std::collections::BTreeSet::new();
        let list = list.into_iter().filter(|(name, ..)| seen.insert(*name));
        list.map(
            |(name, image, ports, limits)| json!({"name": name, "image": image, "ports": ports, "resources": {"limits": limits}}),
        )
        .collect::<Value>()
    });
    let finalizers = prop::collection::btree_set(word(), 0..3);
    let labels = prop::option::of(prop::collection::btree_map(word(), word(), 0..3));
    let selector = prop::option::of(prop::collection::btree_map(word(), word(), 0..2));
    (containers, finalizers, labels, selector).prop_map(|(containers, finalizers, labels, selector)| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "uid": "1", "finalizers": finalizers, "labels": labels},
            "spec": {"containers": containers, "nodeSelector": selector}})
    })
}

/// A configuration without what says nothing.
fn full(config: Value) -> Value {
    match config {
        Value::Object(map) => {
            let left = map.into_iter().map(|(name, value)| (name, full(value)));
            left.filter(|(_, value)| !matches!(value, Value::Null) && *value != json!({}) && *value != json!([])).collect()
        }
        Value::Array(list) => list.into_iter().map(full).collect(),
        scalar => scalar,
    }
}

fn schema() -> Schema {
    Schema::builtin("", "v1", "Pod").unwrap()
}

fn normal(mut object: Value) -> Value {
    schema().normalise(&mut object);
    object
}

proptest! {
    #[test]
    fn sets_obey_arithmetic(a in sets(), b in sets()) {
        prop_assert_eq!(a.clone().union(b.clone()), b.clone().union(a.clone()));
        prop_assert_eq!(a.intersection(&b), b.intersection(&a));
        prop_assert_eq!(a.clone().difference(&b).union(a.intersection(&b)), a.clone());
        prop_assert!(a.clone().difference(&b).intersection(&b).is_empty());
        prop_assert_eq!(a.clone().union(b.clone()).difference(&b), a.clone().difference(&b));
        let value = a.to_value();
        prop_assert_eq!(&FieldSet::read(&value).unwrap(), &a);
        let text: Value = serde_json::from_str(&a.json()).unwrap();
        prop_assert_eq!(value, text);
    }

    #[test]
    fn stored_fields_answer_as_their_set(a in sets(), b in sets()) {
        let value = a.to_value();
        let fields = Fields::read(&value).unwrap();
        prop_assert_eq!(fields.meets(&b), !a.intersection(&b).is_empty());
        prop_assert_eq!(fields.holds(&b), b.clone().difference(&a).is_empty());
        prop_assert_eq!(fields.is_empty(), a.is_empty());
        prop_assert_eq!(fields.set(), a);
    }

    #[test]
    fn differences_are_where_one_object_has_what_the_other_has_not(old in pods(), new in pods()) {
        let (old, new, schema, nothing) = (normal(old), normal(new), schema(), json!({}));
        let there = compare(&schema, &old, &new).unwrap();
        let back = compare(&schema, &new, &old).unwrap();
        prop_assert_eq!(&there.added, &back.removed);
        prop_assert_eq!(&there.modified, &back.modified);
        prop_assert!(compare(&schema, &old, &old).unwrap().is_empty());
        let before = compare(&schema, &nothing, &old).unwrap().added;
        let after = compare(&schema, &nothing, &new).unwrap().added;
        prop_assert!(there.added.intersection(&before).is_empty());
        prop_assert!(there.removed.intersection(&after).is_empty());
        prop_assert_eq!(before.clone().difference(&there.removed), after.clone().difference(&there.added));
        prop_assert!(there.modified.difference(&before.intersection(&after)).is_empty());
    }

    #[test]
    fn what_is_applied_is_there(live in pods(), config in pods()) {
        let (live, config, schema) = (normal(live), full(config), schema());
        let merged = merge(&schema, &live, &config).unwrap();
        prop_assert!(set_of(&schema, &config).unwrap().difference(&set_of(&schema, &merged).unwrap()).is_empty());
        prop_assert_eq!(merge(&schema, &merged, &config).unwrap(), merged);
    }

    #[test]
    fn nobody_owns_what_is_not_there(one in pods(), two in pods(), three in pods()) {
        let (schema, nothing) = (schema(), json!({}));
        let manager = |name| Manager { name, subresource: "", api_version: "v1", time: "2026-01-01T00:00:00Z" };
        let (a, b) = (manager("a"), manager("b"));
        let context = |manager| Context { schema: &schema, manager, filter: &Filter::All, versions: &OneVersion };
        let (mut made, config) = (normal(one), full(two));
        on_create(&context(&a), &mut made, Sent::Nothing);
        let mut applied = normal(on_apply(&context(&b), Some(&made), &config, Force::Yes).unwrap().object);
        let again = on_apply(&context(&b), Some(&applied), &config, Force::No).unwrap();
        prop_assert!(!again.changed);
        prop_assert_eq!(&again.object, &applied);
        let before = applied.clone();
        let sent = Sent::take(&mut applied);
        on_update(&context(&a), &before, &mut applied, sent);
        prop_assert_eq!(&applied, &before);
        let mut next = normal(three);
        on_update(&context(&a), &before, &mut next, Sent::Nothing);
        for object in [&made, &before, &next] {
            let managed = Managed::of(object).unwrap();
            let there = compare(&schema, &nothing, object).unwrap().added;
            for entry in &managed.entries {
                prop_assert!(matches!(entry.fields, Fields::Stored(_)));
                prop_assert!(entry.fields.set().difference(&there).is_empty(), "{} in {}", entry.fields.set(), object);
            }
        }
    }
}

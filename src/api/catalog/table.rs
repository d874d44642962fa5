//! Reads `builtin.txt`, the table of the resources that are compiled in.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Fields, Group, Habits, Kind, Storage, Subresource};
use crate::schema::Schema;
use crate::store::Space;

/// The built-in groups and kinds, in the table's order.
pub(super) fn builtin() -> (Vec<Group>, Vec<Kind>) {
    let mut table = Table::default();
    for line in include_str!("builtin.txt").lines() {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] | ["#", ..] => {}
            ["group", name, priority] => table.group(name, priority),
            ["version", name, priority] => table.version(name, priority),
            [first, verbs, rest @ ..] if first.starts_with('/') => table.subresource(&first[1..], verbs, rest.first().copied()),
            [plural, kind, scope, rest @ ..] => table.kind([plural, kind, scope], rest),
            _ => panic!("builtin.txt: {line}"),
        }
    }
    table.link();
    (table.groups, table.kinds)
}

#[derive(Default)]
struct Table {
    groups: Vec<Group>,
    kinds: Vec<Kind>,
}

impl Table {
    fn group(&mut self, name: &str, priority: &str) {
        self.groups.push(Group { name: group_name(name), priority: number(priority), versions: Vec::new() });
    }

    fn version(&mut self, name: &str, priority: &str) {
        if let Some(group) = self.groups.last_mut() {
            group.versions.push((name.to_owned(), number(priority)));
        }
    }

    fn kind(&mut self, [plural, kind, scope]: [&str; 3], rest: &[&str]) {
        let words = Words(rest);
        let group = self.groups.last().expect("builtin.txt: a kind before its group");
        let (group, version) = (group.name.clone(), group.versions.last().map(|it| it.0.clone()).unwrap_or_default());
        let schema = Schema::builtin(&group, &version, kind).unwrap_or_else(|| panic!("no type {group}/{version} {kind}"));
        let fields = Fields::parse(words.value("fields").unwrap_or_default());
        let list = |key| words.value(key).map(|list| list.split(',').map(str::to_owned).collect::<Vec<_>>());
        self.kinds.push(Kind {
            plural: plural.to_owned(),
            kind: kind.to_owned(),
            singular: words.value("singular").map_or_else(|| kind.to_lowercase(), str::to_owned),
            namespaced: scope == "namespaced",
            short_names: list("short").unwrap_or_default(),
            categories: list("categories").unwrap_or_default(),
            verbs: list("verbs").unwrap_or_else(|| ALL.map(str::to_owned).to_vec()),
            subresources: Vec::new(),
            schema,
            storage: storage(&words, plural, (&group, &version)),
            habits: Habits {
                create_on_update: words.has("create-on-update"),
                conditional_update: words.has("conditional"),
                delete_answers_object: words.has("answers-object"),
                orphan_by_default: words.has("orphan"),
                generation: words.has("generation"),
                selectable: fields.names().map(str::to_owned).collect(),
                ..Habits::default()
            },
            fields: Arc::new(fields),
            group,
            version,
        });
    }

    fn subresource(&mut self, name: &str, verbs: &str, body: Option<&str>) {
        let kind = self.kinds.last_mut().expect("builtin.txt: a subresource before its kind");
        let parts: Vec<&str> = body.map(|body| body.split('/').collect()).unwrap_or_default();
        let gvk = match parts.as_slice() {
            [group, version, kind] => (group_name(group), (*version).to_owned(), (*kind).to_owned()),
            [body] => (kind.group.clone(), kind.version.clone(), (*body).to_owned()),
            _ => (kind.group.clone(), kind.version.clone(), kind.kind.clone()),
        };
        let verbs = verbs.split(',').map(str::to_owned).collect();
        kind.subresources.push(Subresource { name: name.to_owned(), gvk, verbs });
        kind.habits.status |= name == "status";
        kind.habits.scale |= name == "scale";
    }

    /// Numbers the spaces; kinds with one prefix share one space.
    fn link(&mut self) {
        let mut spaces: BTreeMap<String, Space> = BTreeMap::new();
        for kind in &mut self.kinds {
            if let Some(storage) = &mut kind.storage {
                let next = Space(u32::try_from(spaces.len()).unwrap_or(u32::MAX));
                storage.space = *spaces.entry(storage.prefix.clone()).or_insert(next);
            }
        }
    }
}

/// The words of a line after its fixed ones.
struct Words<'a>(&'a [&'a str]);

impl<'a> Words<'a> {
    fn has(&self, flag: &str) -> bool {
        self.0.contains(&flag)
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }
}

fn storage(words: &Words<'_>, plural: &str, own: (&str, &str)) -> Option<Storage> {
    if words.has("unstored") {
        return None;
    }
    let (group, version) = match words.value("stored").and_then(|stored| stored.split_once('/')) {
        Some((group, version)) => (group_name(group), version.to_owned()),
        None => (own.0.to_owned(), own.1.to_owned()),
    };
    let prefix = format!("/registry/{}/", words.value("prefix").unwrap_or(plural));
    Some(Storage { prefix, space: Space(0), group, version })
}

fn group_name(word: &str) -> String {
    if word == "-" { String::new() } else { word.to_owned() }
}

fn number(word: &str) -> u32 {
    word.parse().unwrap_or_else(|_| panic!("builtin.txt: {word} is no number"))
}

const ALL: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

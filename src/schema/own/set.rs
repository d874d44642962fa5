//! Sets of fields: a tree of path elements.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Value};

use super::element::{BadElement, Element};
use super::scalar::{Escape, write_string};

/// A set of fields of an object. The object as a whole is never in it.
///
/// `{"f:spec":{"f:ports":{"k:{\"port\":80}":{".":{},"f:port":{}}}}}` holds `.spec.ports[port=80]` and `.spec.ports[port=80].port`, but
/// neither `.spec` nor `.spec.ports`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet<'a> {
    /// Sorted, each element once; none that is no member and has no children.
    entries: Vec<Entry<'a>>,
}

/// An element of a level of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) element: Element<'a>,
    /// The path up to here is in the set.
    pub(super) member: bool,
    pub(super) children: FieldSet<'a>,
}

impl<'a> FieldSet<'a> {
    /// The set of these paths of names.
    pub fn of(paths: &[&[&'a str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.insert_names(path);
        }
        set
    }

    /// Reads FieldsV1. Elements of an unknown type are passed over.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(fields: &'a Value) -> Result<Self, String> {
        Ok(read(fields)?.0)
    }

    /// FieldsV1 as a value. (The keys of a value are in the order of their bytes.)
    pub fn to_value(&self) -> Value {
        Value::Object(self.map(false))
    }

    /// FieldsV1 as text, in the order that kube-apiserver writes: ports as numbers, `80` before `443`.
    pub fn json(&self) -> String {
        let mut text = String::new();
        self.write(false, &mut text);
        text
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a path is in the set.
    pub fn has(&self, path: &[Element<'_>]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        self.get(first).is_some_and(|entry| if rest.is_empty() { entry.member } else { entry.children.has(rest) })
    }

    /// What is in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let mut entries = Vec::with_capacity(self.entries.len().max(other.entries.len()));
        let (mut mine, mut theirs) = (self.entries.into_iter().peekable(), other.entries.into_iter().peekable());
        loop {
            let order = match (mine.peek(), theirs.peek()) {
                (Some(mine), Some(theirs)) => mine.element.cmp(&theirs.element),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return Self { entries },
            };
            let other = if order == Ordering::Less { None } else { theirs.next() };
            let entry = if order == Ordering::Greater { None } else { mine.next() };
            entries.extend(match (entry, other) {
                (Some(entry), Some(other)) => Some(Entry {
                    element: entry.element,
                    member: entry.member || other.member,
                    children: entry.children.union(other.children),
                }),
                (entry, other) => entry.or(other),
            });
        }
    }

    /// What is in both sets.
    #[must_use]
    pub fn intersection(&self, other: &FieldSet<'_>) -> Self {
        let mut entries = Vec::new();
        let mut theirs = Seek::of(self.entries.len(), other);
        for mine in &self.entries {
            let Some(other) = theirs.next(&mine.element) else { continue };
            let children = mine.children.intersection(&other.children);
            let member = mine.member && other.member;
            if member || !children.is_empty() {
                entries.push(Entry { element: mine.element.clone(), member, children });
            }
        }
        Self { entries }
    }

    /// What is in this set and not in the other. A path in the other set does not take the paths below it away.
    #[must_use]
    pub fn difference(mut self, other: &FieldSet<'_>) -> Self {
        self.subtract(other, Below::Stays);
        self
    }

    /// What is in this set and neither in the other nor below a path of it.
    #[must_use]
    pub fn recursive_difference(mut self, other: &FieldSet<'_>) -> Self {
        self.subtract(other, Below::Goes);
        self
    }

    /// The paths of the set that have no longer path in it.
    #[must_use]
    pub fn leaves(mut self) -> Self {
        for entry in &mut self.entries {
            entry.member &= entry.children.is_empty();
            entry.children = std::mem::take(&mut entry.children).leaves();
        }
        self
    }

    /// All paths, each level's own before those below them, as messages name fields.
    pub fn paths(&self) -> Vec<Vec<Element<'a>>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    /// The set without what it borrows.
    pub fn into_owned(self) -> FieldSet<'static> {
        let entries = self.entries.into_iter().map(|entry| Entry {
            element: entry.element.into_owned(),
            member: entry.member,
            children: entry.children.into_owned(),
        });
        FieldSet { entries: entries.collect() }
    }

    pub(super) fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    pub(super) fn get(&self, element: &Element<'_>) -> Option<&Entry<'a>> {
        let place = self.entries.binary_search_by(|entry| entry.element.cmp(element)).ok()?;
        self.entries.get(place)
    }

    /// Adds an element with what is below it. Elements mostly come in order.
    pub(super) fn push(&mut self, element: Element<'a>, member: bool, children: Self) {
        if !member && children.is_empty() {
            return;
        }
        if self.entries.last().is_none_or(|last| last.element < element) {
            self.entries.push(Entry { element, member, children });
            return;
        }
        match self.entries.binary_search_by(|entry| entry.element.cmp(&element)) {
            Ok(place) => {
                let entry = &mut self.entries[place];
                entry.member |= member;
                entry.children = std::mem::take(&mut entry.children).union(children);
            }
            Err(place) => self.entries.insert(place, Entry { element, member, children }),
        }
    }

    /// Keeps what the closure leaves of each entry.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut Entry<'a>)) {
        self.entries.retain_mut(|entry| {
            keep(entry);
            entry.member || !entry.children.is_empty()
        });
    }

    /// Sorts entries that came in the order of a text, and makes those of one element one.
    fn order(&mut self) {
        if self.entries.is_sorted_by(|one, next| one.element < next.element) {
            return;
        }
        self.entries.sort_by(|mine, theirs| mine.element.cmp(&theirs.element));
        self.entries.dedup_by(|next, last| {
            let same = next.element == last.element;
            if same {
                last.member |= next.member;
                last.children = std::mem::take(&mut last.children).union(std::mem::take(&mut next.children));
            }
            same
        });
    }

    /// What is in any of the sets.
    pub(super) fn union_all(mut sets: Vec<Self>) -> Self {
        // Two by two: one after the other would pass what is there already for every set.
        while sets.len() > 1 {
            let mut pairs = std::mem::take(&mut sets).into_iter();
            while let Some(one) = pairs.next() {
                sets.push(match pairs.next() {
                    Some(next) => one.union(next),
                    None => one,
                });
            }
        }
        sets.pop().unwrap_or_default()
    }

    fn insert_names(&mut self, path: &[&'a str]) {
        let Some((name, rest)) = path.split_first() else { return };
        let mut children = Self::default();
        children.insert_names(rest);
        self.push(Element::Field((*name).into()), rest.is_empty(), children);
    }

    fn subtract(&mut self, other: &FieldSet<'_>, below: Below) {
        if other.is_empty() {
            return;
        }
        let mut theirs = Seek::of(self.entries.len(), other);
        self.retain(|entry| {
            let Some(other) = theirs.next(&entry.element) else { return };
            if other.member {
                entry.member = false;
                if below == Below::Goes {
                    entry.children = FieldSet::default();
                }
            }
            entry.children.subtract(&other.children, below);
        });
    }

    fn collect(&self, way: &mut Vec<Element<'a>>, paths: &mut Vec<Vec<Element<'a>>>) {
        for entry in self.entries.iter().filter(|entry| entry.member) {
            paths.push(way.iter().chain([&entry.element]).cloned().collect());
        }
        for entry in &self.entries {
            way.push(entry.element.clone());
            entry.children.collect(way, paths);
            way.pop();
        }
    }

    fn map(&self, member: bool) -> Map<String, Value> {
        let itself = (member && !self.is_empty()).then(|| (".".to_owned(), Value::Object(Map::new())));
        let entries = self.entries.iter();
        itself
            .into_iter()
            .chain(entries.map(|entry| (entry.element.text(), Value::Object(entry.children.map(entry.member)))))
            .collect()
    }

    fn write(&self, member: bool, text: &mut String) {
        text.push('{');
        let mut first = !member || self.is_empty();
        if !first {
            text.push_str("\".\":{}");
        }
        for entry in &self.entries {
            if !std::mem::take(&mut first) {
                text.push(',');
            }
            write_string(&entry.element.text(), Escape::Json, text);
            text.push(':');
            entry.children.write(entry.member, text);
        }
        text.push('}');
    }
}

impl fmt::Display for FieldSet<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.json())
    }
}

/// What a difference does to the paths below those that are taken away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    Stays,
    Goes,
}

/// A path as messages name it: `.spec.ports[port=80]`.
pub fn show(path: &[Element<'_>]) -> String {
    path.iter().map(ToString::to_string).collect()
}

/// The entries of one level, looked up in order: side by side, or one by one where they are so many more than those that are asked for
/// that passing them all would be the work. An object has as many sets as it has managers.
enum Seek<'s, 'a> {
    Beside(std::iter::Peekable<std::slice::Iter<'s, Entry<'a>>>),
    Among(&'s FieldSet<'a>),
}

impl<'s, 'a> Seek<'s, 'a> {
    fn of(asked: usize, set: &'s FieldSet<'a>) -> Self {
        if set.entries.len() / MANY > asked { Self::Among(set) } else { Self::Beside(set.entries.iter().peekable()) }
    }

    /// The entry of an element; those before it are passed.
    fn next(&mut self, element: &Element<'_>) -> Option<&'s Entry<'a>> {
        match self {
            Self::Among(set) => set.get(element),
            Self::Beside(entries) => {
                while entries.next_if(|entry| entry.element < *element).is_some() {}
                entries.next_if(|entry| entry.element == *element)
            }
        }
    }
}

/// A level of FieldsV1, and whether the path to it is in the set.
fn read(fields: &Value) -> Result<(FieldSet<'_>, bool), String> {
    let map = match fields {
        Value::Object(map) => map,
        Value::Null => return Ok((FieldSet::default(), true)),
        _ => return Err("expected an object in a set of fields".to_owned()),
    };
    let mut set = FieldSet { entries: Vec::with_capacity(map.len()) };
    let mut member = false;
    for (key, below) in map {
        if key == "." {
            member = true;
            continue;
        }
        let element = match Element::parse(key) {
            Ok(element) => element,
            Err(BadElement::Unknown) => continue,
            Err(BadElement::Invalid(why)) => return Err(why),
        };
        let (children, held) = read(below)?;
        if held || !children.is_empty() {
            set.entries.push(Entry { element, member: held, children });
        }
    }
    set.order();
    member |= set.is_empty();
    Ok((set, member))
}

/// So many times as many entries are searched, not passed.
const MANY: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn set(json: &str) -> FieldSet<'static> {
        let value: Value = serde_json::from_str(json).unwrap();
        FieldSet::read(&value).unwrap().into_owned()
    }

    #[test]
    fn reads_and_writes() {
        for json in [
            "{}",
            r#"{"f:data":{}}"#,
            r#"{"f:data":{".":{},"f:a":{}}}"#,
            r#"{"f:spec":{"f:ports":{"k:{\"port\":80}":{".":{},"f:port":{}},"k:{\"port\":443}":{}}}}"#,
            r#"{"f:metadata":{"f:finalizers":{"v:\"a\"":{}}}}"#,
        ] {
            assert_eq!(set(json).json(), json);
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(set(json).to_value(), value);
        }
        assert_eq!(set(r#"{"x:new":{"f:a":{}},"f:b":{"x:y":{}}}"#).json(), r#"{"f:b":{}}"#);
        assert_eq!(set(r#"{"f:a":null}"#).json(), r#"{"f:a":{}}"#);
        for json in [r#"[]"#, r#"{"f:a":1}"#, r#"{"a":{}}"#] {
            let value: Value = serde_json::from_str(json).unwrap();
            assert!(FieldSet::read(&value).is_err(), "{json}");
        }
    }

    #[test]
    fn knows_set_arithmetic() {
        let a = || set(r#"{"f:a":{".":{},"f:x":{},"f:y":{}},"f:b":{}}"#);
        let b = || set(r#"{"f:a":{".":{},"f:y":{}},"f:c":{"f:z":{}}}"#);
        for (name, made, expected) in [
            ("union", a().union(b()), r#"{"f:a":{".":{},"f:x":{},"f:y":{}},"f:b":{},"f:c":{"f:z":{}}}"#),
            ("intersection", a().intersection(&b()), r#"{"f:a":{".":{},"f:y":{}}}"#),
            ("difference", a().difference(&b()), r#"{"f:a":{"f:x":{}},"f:b":{}}"#),
            ("other way", b().difference(&a()), r#"{"f:c":{"f:z":{}}}"#),
            ("parent stays", a().difference(&set(r#"{"f:a":{"f:x":{},"f:y":{}}}"#)), r#"{"f:a":{},"f:b":{}}"#),
            ("children stay", a().difference(&set(r#"{"f:a":{}}"#)), r#"{"f:a":{"f:x":{},"f:y":{}},"f:b":{}}"#),
            ("recursive", a().recursive_difference(&set(r#"{"f:a":{}}"#)), r#"{"f:b":{}}"#),
            ("recursive below", a().recursive_difference(&set(r#"{"f:a":{"f:x":{}}}"#)), r#"{"f:a":{".":{},"f:y":{}},"f:b":{}}"#),
            ("leaves", a().leaves(), r#"{"f:a":{"f:x":{},"f:y":{}},"f:b":{}}"#),
            ("nothing", a().difference(&a()), "{}"),
        ] {
            assert_eq!(made.json(), expected, "{name}");
        }
    }

    #[test]
    fn names_paths_of_a_level_before_those_below() {
        let set = set(r#"{"f:spec":{"f:a":{"f:deep":{}},"f:b":{}}}"#);
        let shown: Vec<_> = set.paths().iter().map(|path| show(path)).collect();
        assert_eq!(shown, [".spec.b", ".spec.a.deep"]);
        assert!(set.has(&[Element::Field("spec".into()), Element::Field("b".into())]));
        assert!(!set.has(&[Element::Field("spec".into())]));
        assert_eq!(FieldSet::of(&[&["spec", "b"], &["spec", "a", "deep"]]), set);
    }
}

//! What becomes of an object when a configuration is laid over it, and when fields are taken from it.

use serde_json::{Map, Value};

use super::element::Element;
use super::kind::{Inner, Kind, Merge, Types};
use super::set::FieldSet;
use crate::schema::Schema;

/// The object with the configuration laid over it: nothing goes, leaves are the configuration's, items of lists are found by their key.
/// Items that both have are in the configuration's order, those of the object alone stay where they are among them.
///
/// # Errors
/// In words: an item of a list has not the keys by which it is known, or the configuration has an item twice.
pub fn merge(schema: &Schema, object: &Value, config: &Value) -> Result<Value, String> {
    let types = Types::of(schema);
    let merged = Merged { types }.pair(types.root(schema), (Some(object), Some(config)))?;
    Ok(merged.unwrap_or(Value::Null))
}

/// The object without these fields and items. What has no content left is null.
pub fn remove(schema: &Schema, object: &Value, fields: &FieldSet<'_>) -> Value {
    let types = Types::of(schema);
    Removing { types }.value(types.root(schema), object, fields)
}

/// What the object has and what the configuration has; at least one of them.
type Pair<'a> = (Option<&'a Value>, Option<&'a Value>);

struct Merged<'a> {
    types: Types<'a>,
}

impl<'a> Merged<'a> {
    fn pair(&self, kind: Kind<'a>, (object, config): Pair<'a>) -> Result<Option<Value>, String> {
        let kind = kind.seen(config.or(object));
        match kind {
            Kind::List { merge: merge @ (Merge::Set | Merge::Keys(_)), item } => {
                let (mine, theirs) = (items(object), items(config));
                if !(mine.is_empty() && theirs.is_empty()) {
                    let out = self.items((merge, item), mine, theirs)?;
                    return Ok((!out.is_empty()).then_some(Value::Array(out)));
                }
            }
            Kind::Struct { whole: false, .. } | Kind::Map { whole: false, .. } => {
                let (mine, theirs) = (members(object), members(config));
                if mine.or(theirs).is_some() {
                    let out = self.members(kind, mine, theirs)?;
                    return Ok((!out.is_empty()).then_some(Value::Object(out)));
                }
            }
            _ => {}
        }
        Ok(config.or(object).cloned())
    }

    fn members(&self, kind: Kind<'a>, mine: Members<'a>, theirs: Members<'a>) -> Result<Map<String, Value>, String> {
        let mut out = Map::new();
        for (name, value) in mine.into_iter().flatten() {
            match theirs.and_then(|theirs| theirs.get(name)) {
                None => drop(out.insert(name.clone(), value.clone())),
                Some(config) => out.extend(self.member(kind, name, (Some(value), Some(config)))?),
            }
        }
        for (name, config) in theirs.into_iter().flatten() {
            if mine.is_none_or(|mine| !mine.contains_key(name)) {
                out.extend(self.member(kind, name, (None, Some(config)))?);
            }
        }
        Ok(out)
    }

    fn member(&self, kind: Kind<'a>, name: &str, pair: Pair<'a>) -> Result<Option<(String, Value)>, String> {
        let kind = self.types.member(kind, name).unwrap_or(Kind::Free);
        Ok(self.pair(kind, pair)?.map(|value| (name.to_owned(), value)))
    }

    fn items(&self, list: (Merge<'a>, Inner<'a>), mine: &'a [Value], theirs: &'a [Value]) -> Result<Vec<Value>, String> {
        let mine = Index::of(self.types, list, mine)?;
        let theirs = Index::of(self.types, list, theirs)?;
        if let Some(twice) = theirs.sorted.windows(2).find(|two| theirs.items[two[0]].0 == theirs.items[two[1]].0) {
            return Err(format!("duplicate entries for key {}", theirs.items[twice[0]].0));
        }
        Weave { merged: self, kind: self.types.inner(list.1), mine, theirs }.run()
    }
}

/// A list with its items' keys.
struct Index<'a> {
    items: Vec<(Element<'a>, &'a Value)>,
    /// Places, by key.
    sorted: Vec<usize>,
}

impl<'a> Index<'a> {
    fn of(types: Types<'a>, (merge, item): (Merge<'a>, Inner<'a>), list: &'a [Value]) -> Result<Self, String> {
        let mut items = Vec::with_capacity(list.len());
        for (place, value) in list.iter().enumerate() {
            items.push((types.element(merge, item, value).map_err(|why| format!("element {place}: {why}"))?, value));
        }
        let mut sorted: Vec<usize> = (0..items.len()).collect();
        sorted.sort_by(|mine, theirs| items[*mine].0.cmp(&items[*theirs].0));
        Ok(Self { items, sorted })
    }

    /// The item of a key: null where there are more than one, none where there is none.
    fn get(&self, key: &Element<'_>) -> Option<&'a Value> {
        const TWICE: &Value = &Value::Null;
        let first = self.first(key);
        self.held(first, key).map(|place| if self.held(first + 1, key).is_some() { TWICE } else { self.items[place].1 })
    }

    /// The place in the list of the first item of a key.
    fn place(&self, key: &Element<'_>) -> Option<usize> {
        self.held(self.first(key), key)
    }

    fn first(&self, key: &Element<'_>) -> usize {
        self.sorted.partition_point(|place| self.items[*place].0 < *key)
    }

    fn held(&self, rank: usize, key: &Element<'_>) -> Option<usize> {
        self.sorted.get(rank).copied().filter(|place| self.items[*place].0 == *key)
    }
}

/// Two lists becoming one.
struct Weave<'s, 'a> {
    merged: &'s Merged<'a>,
    kind: Kind<'a>,
    mine: Index<'a>,
    theirs: Index<'a>,
}

impl Weave<'_, '_> {
    fn run(&self) -> Result<Vec<Value>, String> {
        let (mine, theirs) = (&self.mine.items, &self.theirs.items);
        let mut shared = theirs.iter().map(|(key, _)| key).filter(|key| self.mine.place(key).is_some()).peekable();
        let (mut left, mut right) = (0, 0);
        let mut out = Vec::with_capacity(mine.len().max(theirs.len()));
        while left < mine.len() || right < theirs.len() {
            let key = mine.get(left).map(|(key, _)| key);
            if let (Some(key), Some((next, _))) = (key, theirs.get(right)) {
                if key == next {
                    out.extend(self.both(right)?);
                    (left, right) = (left + 1, right + 1);
                    shared.next();
                    continue;
                }
                if self.theirs.place(key).is_some() && shared.peek().is_some_and(|awaited| *awaited != key) {
                    // One that both have, but not the one whose turn it is.
                    left += 1;
                    continue;
                }
            }
            if let Some(key) = key {
                let other = self.theirs.place(key);
                if other.is_none() {
                    out.extend(self.merged.pair(self.kind, (Some(mine[left].1), None))?);
                    left += 1;
                    continue;
                }
                if other.is_some_and(|place| place < right) {
                    // It is out already.
                    left += 1;
                }
            }
            if let Some((next, _)) = theirs.get(right) {
                out.extend(self.both(right)?);
                right += 1;
                shared.next_if(|awaited| *awaited == next);
            }
        }
        Ok(out)
    }

    /// An item of the configuration over the object's, where it has one.
    fn both(&self, right: usize) -> Result<Option<Value>, String> {
        let (key, config) = &self.theirs.items[right];
        self.merged.pair(self.kind, (self.mine.get(key), Some(config)))
    }
}

struct Removing<'a> {
    types: Types<'a>,
}

impl<'a> Removing<'a> {
    fn value(&self, kind: Kind<'a>, value: &'a Value, fields: &FieldSet<'_>) -> Value {
        match (kind.seen(Some(value)), value) {
            (Kind::List { merge: merge @ (Merge::Set | Merge::Keys(_)), item }, Value::Array(items)) => {
                let left = items.iter().filter_map(|value| self.item((merge, item), value, fields));
                Some(left.collect::<Vec<_>>()).filter(|left| !left.is_empty()).map_or(Value::Null, Value::Array)
            }
            (kind @ (Kind::Struct { whole: false, .. } | Kind::Map { whole: false, .. }), Value::Object(map)) => {
                let left = map.iter().filter_map(|(name, value)| Some((name.clone(), self.member(kind, (name, value), fields)?)));
                Some(left.collect::<Map<_, _>>()).filter(|left| !left.is_empty()).map_or(Value::Null, Value::Object)
            }
            (Kind::Scalar(_), value) => value.clone(),
            _ => Value::Null,
        }
    }

    fn member(&self, kind: Kind<'a>, (name, value): (&str, &'a Value), fields: &FieldSet<'_>) -> Option<Value> {
        self.left(&Element::Field(name.into()), value, fields, || self.types.member(kind, name).unwrap_or(Kind::Free))
    }

    fn item(&self, (merge, item): (Merge<'a>, Inner<'a>), value: &'a Value, fields: &FieldSet<'_>) -> Option<Value> {
        match self.types.element(merge, item, value) {
            Ok(element) => self.left(&element, value, fields, || self.types.inner(item)),
            Err(_) => Some(value.clone()),
        }
    }

    fn left(
        &self,
        element: &Element<'_>,
        value: &'a Value,
        fields: &FieldSet<'_>,
        kind: impl FnOnce() -> Kind<'a>,
    ) -> Option<Value> {
        match fields.get(element) {
            None => Some(value.clone()),
            Some(entry) if entry.member => None,
            Some(entry) => Some(self.value(kind(), value, &entry.children)),
        }
    }
}

type Members<'a> = Option<&'a Map<String, Value>>;

fn members(value: Option<&Value>) -> Members<'_> {
    value.and_then(Value::as_object).filter(|map| !map.is_empty())
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

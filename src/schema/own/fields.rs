//! The fields of an object, and those in which two objects differ.
//!
//! Objects are in the form that Go prints, but for an applied configuration, which is as the client wrote it.

use serde_json::{Map, Value};

use super::element::Element;
use super::filter::Filter;
use super::kind::{Inner, Kind, Merge, Types};
use super::set::FieldSet;
use crate::schema::Schema;

/// The fields in which one object differs from another. No field is in two of the sets.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison<'a> {
    /// The new object has it, the old had not.
    pub added: FieldSet<'a>,
    /// Both have it, with different values.
    pub modified: FieldSet<'a>,
    /// The old object had it.
    pub removed: FieldSet<'a>,
}

/// Every leaf of the object and every item of its lists, as far as they are owned one by one.
///
/// # Errors
/// In words: an item of a list has not the keys by which it is known.
pub fn set_of<'a>(schema: &'a Schema, object: &'a Value) -> Result<FieldSet<'a>, String> {
    let types = Types::of(schema);
    Ok(Owned { types }.value(types.root(schema), object)?.below)
}

/// How the new object differs from the old.
///
/// # Errors
/// As [`set_of`].
pub fn compare<'a>(schema: &'a Schema, old: &'a Value, new: &'a Value) -> Result<Comparison<'a>, String> {
    if old == new {
        return Ok(Comparison::default());
    }
    let types = Types::of(schema);
    let mut found = Found::default();
    Compared { types }.pair(types.root(schema), (Some(old), Some(new)), &mut found)?;
    Ok(found.below)
}

impl Comparison<'_> {
    /// What of it is tracked.
    #[must_use]
    pub fn filtered(self, filter: &Filter) -> Self {
        let Self { added, modified, removed } = self;
        Self { added: filter.apply(added), modified: filter.apply(modified), removed: filter.apply(removed) }
    }

    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }
}

/// Whether a value is owned itself, and what is owned below it.
struct Holding<'a> {
    own: bool,
    below: FieldSet<'a>,
}

struct Owned<'a> {
    types: Types<'a>,
}

impl<'a> Owned<'a> {
    fn value(&self, kind: Kind<'a>, value: &'a Value) -> Result<Holding<'a>, String> {
        let leaf = Holding { own: true, below: FieldSet::default() };
        let below = match (kind.seen(Some(value)), value) {
            (Kind::Scalar(_), _)
            | (Kind::List { merge: Merge::Whole, .. }, _)
            | (Kind::Struct { whole: true, .. } | Kind::Map { whole: true, .. }, _) => return Ok(leaf),
            (Kind::List { merge, item }, Value::Array(items)) => self.items(merge, item, items)?,
            (kind @ (Kind::Struct { .. } | Kind::Map { .. }), Value::Object(map)) => self.members(kind, map)?,
            _ => FieldSet::default(),
        };
        Ok(Holding { own: false, below })
    }

    fn members(&self, kind: Kind<'a>, map: &'a Map<String, Value>) -> Result<FieldSet<'a>, String> {
        let mut set = FieldSet::default();
        for (name, value) in map {
            let found = self.value(self.types.member(kind, name).unwrap_or(Kind::Free), value)?;
            let own = found.own || empty(value) || !kind.declares(name);
            set.push(Element::Field(name.as_str().into()), own, found.below);
        }
        Ok(set)
    }

    fn items(&self, merge: Merge<'a>, item: Inner<'a>, items: &'a [Value]) -> Result<FieldSet<'a>, String> {
        let mut set = FieldSet::default();
        for Same { element, values } in sorted(self.types, (merge, item), items)? {
            let below = match values[..] {
                [value] => self.value(self.types.inner(item), value)?.below,
                _ => FieldSet::default(),
            };
            set.push(element, true, below);
        }
        Ok(set)
    }
}

/// What was found at a value, and below it.
#[derive(Default)]
struct Found<'a> {
    own: Difference,
    below: Comparison<'a>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Difference {
    #[default]
    None,
    Added,
    Modified,
    Removed,
}

/// An old value and a new one.
type Pair<'a> = (Option<&'a Value>, Option<&'a Value>);

struct Compared<'a> {
    types: Types<'a>,
}

impl<'a> Compared<'a> {
    fn pair(&self, kind: Kind<'a>, (old, new): Pair<'a>, found: &mut Found<'a>) -> Result<(), String> {
        match (old, new) {
            (None, Some(new)) => {
                found.own = Difference::Added;
                found.below.added = self.all(kind, new)?;
                return Ok(());
            }
            (Some(old), None) => {
                found.own = Difference::Removed;
                found.below.removed = self.all(kind, old)?;
                return Ok(());
            }
            _ => {}
        }
        // Where the form itself changed, both forms are looked at.
        if let (true, Some(before), Some(after)) = (kind.varies(), old, new)
            && form(before) != form(after)
        {
            self.as_one(kind.seen(old), (old, new), found)?;
        }
        self.as_one(kind.seen(new.or(old)), (old, new), found)
    }

    fn as_one(&self, kind: Kind<'a>, (old, new): Pair<'a>, found: &mut Found<'a>) -> Result<(), String> {
        let leaf = match kind {
            Kind::List { merge: Merge::Set | Merge::Keys(_), .. } => list(old).is_empty() && list(new).is_empty(),
            Kind::Struct { whole, .. } | Kind::Map { whole, .. } => whole || (no_members(old) && no_members(new)),
            Kind::List { merge: Merge::Whole, .. } | Kind::Scalar(_) | Kind::Free | Kind::Opaque => true,
        };
        match kind {
            _ if leaf => {}
            Kind::List { merge, item } => self.items((merge, item), (list(old), list(new)), &mut found.below)?,
            _ => self.members(kind, (map(old), map(new)), &mut found.below)?,
        }
        if let (true, Some(old), Some(new)) = (leaf, old, new)
            && !equal(old, new)
        {
            found.own = Difference::Modified;
        }
        Ok(())
    }

    /// All that came, or went, with a value.
    fn all(&self, kind: Kind<'a>, value: &'a Value) -> Result<FieldSet<'a>, String> {
        let mut set = FieldSet::default();
        match (kind.seen(Some(value)), value) {
            (Kind::List { merge: merge @ (Merge::Set | Merge::Keys(_)), item }, Value::Array(items)) => {
                for Same { element, values } in sorted(self.types, (merge, item), items)? {
                    let below = match values[..] {
                        [value] => self.all(self.types.inner(item), value)?,
                        _ => FieldSet::default(),
                    };
                    set.push(element, true, below);
                }
            }
            (kind @ (Kind::Struct { whole: false, .. } | Kind::Map { whole: false, .. }), Value::Object(map)) => {
                for (name, value) in map {
                    let below = match value {
                        Value::Object(_) | Value::Array(_) => {
                            self.all(self.types.member(kind, name).unwrap_or(Kind::Free), value)?
                        }
                        _ => FieldSet::default(),
                    };
                    set.push(Element::Field(name.as_str().into()), true, below);
                }
            }
            _ => {}
        }
        Ok(set)
    }

    fn members(&self, kind: Kind<'a>, (old, new): (Members<'a>, Members<'a>), below: &mut Comparison<'a>) -> Result<(), String> {
        let (mut old, mut new) = (iter(old).peekable(), iter(new).peekable());
        loop {
            let name = match (old.peek(), new.peek()) {
                (Some((before, _)), Some((after, _))) => before.min(after).as_str(),
                (Some((name, _)), None) | (None, Some((name, _))) => name.as_str(),
                (None, None) => return Ok(()),
            };
            let pair = (old.next_if(|(next, _)| *next == name), new.next_if(|(next, _)| *next == name));
            let pair = (pair.0.map(|(_, value)| value), pair.1.map(|(_, value)| value));
            if pair.0 == pair.1 {
                continue;
            }
            let mut found = Found::default();
            self.pair(self.types.member(kind, name).unwrap_or(Kind::Free), pair, &mut found)?;
            note(Element::Field(name.into()), found, below);
        }
    }

    fn items(
        &self,
        list: (Merge<'a>, Inner<'a>),
        pair: (&'a [Value], &'a [Value]),
        below: &mut Comparison<'a>,
    ) -> Result<(), String> {
        let mut old = sorted(self.types, list, pair.0)?.into_iter().peekable();
        let mut new = sorted(self.types, list, pair.1)?.into_iter().peekable();
        loop {
            let order = match (old.peek(), new.peek()) {
                (Some(before), Some(after)) => before.element.cmp(&after.element),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => return Ok(()),
            };
            let before = if order.is_gt() { None } else { old.next() };
            let after = if order.is_lt() { None } else { new.next() };
            self.same(list.1, before, after, below)?;
        }
    }

    /// The items of one key. Where there is more than one they are compared as a whole.
    fn same(
        &self,
        item: Inner<'a>,
        old: Option<Same<'a>>,
        new: Option<Same<'a>>,
        below: &mut Comparison<'a>,
    ) -> Result<(), String> {
        let (before, after) = (values(old.as_ref()), values(new.as_ref()));
        let mut found = Found::default();
        let alone = match (before.len(), after.len()) {
            (0 | 1, 0 | 1) if before == after => return Ok(()),
            (0 | 1, 0 | 1) => (before.first().copied(), after.first().copied()),
            (_, 0 | 1) => (None, after.first().copied()),
            (0 | 1, _) => (before.first().copied(), None),
            _ => (None, None),
        };
        if alone != (None, None) {
            self.pair(self.types.inner(item), alone, &mut found)?;
        }
        let more = match (before.len() > 1, after.len() > 1) {
            (true, true) if before != after => Difference::Modified,
            (true, false) => Difference::Removed,
            (false, true) => Difference::Added,
            _ => Difference::None,
        };
        if let Some(same) = old.or(new) {
            if more != Difference::None {
                note(same.element.clone(), Found { own: more, below: Comparison::default() }, below);
            }
            note(same.element, found, below);
        }
        Ok(())
    }
}

type Members<'a> = Option<&'a Map<String, Value>>;

/// Items of one key, in the order of the list.
pub(super) struct Same<'a> {
    pub(super) element: Element<'a>,
    pub(super) values: smallvec::SmallVec<[&'a Value; 1]>,
}

/// The items of a list, sorted by key.
fn sorted<'a>(types: Types<'a>, (merge, item): (Merge<'a>, Inner<'a>), items: &'a [Value]) -> Result<Vec<Same<'a>>, String> {
    let mut all: Vec<Same<'a>> = Vec::with_capacity(items.len());
    for (place, value) in items.iter().enumerate() {
        let element = types.element(merge, item, value).map_err(|why| format!("element {place}: {why}"))?;
        all.push(Same { element, values: smallvec::smallvec![value] });
    }
    all.sort_by(|mine, theirs| mine.element.cmp(&theirs.element));
    all.dedup_by(|next, last| {
        let same = next.element == last.element;
        if same {
            last.values.append(&mut next.values);
        }
        same
    });
    Ok(all)
}

fn note<'a>(element: Element<'a>, found: Found<'a>, into: &mut Comparison<'a>) {
    let Found { own, below } = found;
    let sides = [
        (Difference::Added, below.added, &mut into.added),
        (Difference::Modified, below.modified, &mut into.modified),
        (Difference::Removed, below.removed, &mut into.removed),
    ];
    for (difference, below, into) in sides {
        if own == difference || !below.is_empty() {
            into.push(element.clone(), own == difference, below);
        }
    }
}

fn values<'s, 'a>(same: Option<&'s Same<'a>>) -> &'s [&'a Value] {
    same.map_or(&[], |same| &same.values[..])
}

fn iter(members: Members<'_>) -> impl Iterator<Item = (&String, &Value)> {
    members.into_iter().flatten()
}

fn map(value: Option<&Value>) -> Members<'_> {
    value.and_then(Value::as_object)
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn no_members(value: Option<&Value>) -> bool {
    map(value).is_none_or(Map::is_empty)
}

/// Null, or an object without members.
fn empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

/// Numbers are equal by value, whatever they are written like.
pub(super) fn equal(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Number(old), Value::Number(new)) => {
            old == new || ((old.is_f64() || new.is_f64()) && old.as_f64() == new.as_f64())
        }
        (Value::Array(old), Value::Array(new)) => old.len() == new.len() && old.iter().zip(new).all(|(old, new)| equal(old, new)),
        (Value::Object(old), Value::Object(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|((name, old), (other, new))| name == other && equal(old, new))
        }
        _ => old == new,
    }
}

#[derive(PartialEq, Eq)]
enum Form {
    Scalar,
    List,
    Map,
    Null,
}

fn form(value: &Value) -> Form {
    match value {
        Value::Object(_) => Form::Map,
        Value::Array(_) => Form::List,
        Value::Null => Form::Null,
        _ => Form::Scalar,
    }
}

//! Strategic merge patch: lists are merged by the keys that the types name.
//!
//! The rules and the texts are those of Kubernetes' apimachinery. Items are found by hash, so that long lists cost no square.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::PatchError;
use super::json::kind;
use crate::schema::Schema;
use crate::schema::table::{Field, Shape, Table};

/// The patch applied by the merge keys of the type.
pub(super) fn apply(schema: &Schema, old: &Value, patch: &Value) -> Result<Value, PatchError> {
    let Value::Object(changes) = patch else {
        let what = kind(patch);
        return Err(PatchError::Malformed(format!(
            "json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
        )));
    };
    let members = match old {
        Value::Object(members) => members.clone(),
        _ => Map::new(),
    };
    let merge = Merge { table: schema.table() };
    let root = schema.table().kind(schema.gvk()).map(Shape::Ref);
    let root = root.ok_or_else(|| PatchError::Plain("unable to find the type of the object".to_owned()))?;
    merge.map(members, changes.clone(), &root).map(Value::Object)
}

type Members = Map<String, Value>;

#[derive(Clone, Copy)]
struct Merge<'a> {
    table: &'a Table,
}

/// How the list of one field is merged.
struct List<'a> {
    item: &'a Shape,
    key: Option<&'a str>,
    merge: bool,
}

/// What one patch list says.
enum Purpose {
    Merge,
    Delete,
}

impl<'a> Merge<'a> {
    fn map(self, mut original: Members, mut patch: Members, shape: &'a Shape) -> Result<Members, PatchError> {
        if let Some(directive) = patch.get(PATCH) {
            return match directive.as_str() {
                Some("replace") => {
                    patch.remove(PATCH);
                    Ok(patch)
                }
                Some("delete") => Ok(Members::new()),
                _ => Err(unknown_directive(&patch)),
            };
        }
        retain(&mut original, &mut patch)?;
        self.order(&mut original, &mut patch, shape)?;
        for (name, change) in patch {
            match name.starts_with(DELETE) {
                true => self.member(&mut original, target(&name, DELETE, BAD_DELETE)?, (change, Purpose::Delete), shape)?,
                false => self.member(&mut original, &name, (change, Purpose::Merge), shape)?,
            }
        }
        Ok(original)
    }

    fn member(
        self,
        original: &mut Members,
        name: &str,
        (change, purpose): (Value, Purpose),
        shape: &'a Shape,
    ) -> Result<(), PatchError> {
        if change.is_null() {
            original.remove(name);
            return Ok(());
        }
        let merged = match (original.remove(name), change) {
            (Some(Value::Object(old)), Value::Object(change)) => {
                let field = self.field(shape, name)?;
                Some(Value::Object(if field.patch.replace { change } else { self.map(old, change, &field.shape)? }))
            }
            (Some(Value::Array(old)), Value::Array(change)) => {
                let list = List::of(self.field(shape, name)?);
                Some(Value::Array(self.list(old, change, (&list, purpose))?))
            }
            (old, change) => match purpose {
                Purpose::Delete => old,
                Purpose::Merge => without_directives(change),
            },
        };
        if let Some(merged) = merged {
            original.insert(name.to_owned(), merged);
        }
        Ok(())
    }

    fn list(self, old: Vec<Value>, change: Vec<Value>, (list, purpose): (&List<'a>, Purpose)) -> Result<Vec<Value>, PatchError> {
        if !list.merge {
            return Ok(change);
        }
        if old.is_empty() && change.is_empty() {
            return Ok(old);
        }
        if !elements_are_maps(&old, &change)? {
            return Ok(scalars(old, change, purpose));
        }
        let Some(key) = list.key else {
            return Err(PatchError::Plain("cannot merge lists without merge key for type struct".to_owned()));
        };
        let (old, change) = special(old, change, key)?;
        let server_order = places(&old, Some(key));
        let patch_order = places(&change, Some(key));
        let merged = self.items(old, change, (key, list.item))?;
        arrange(merged, &patch_order, &server_order, Some(key))
    }

    /// Merges items into those of the same key; others are appended.
    fn items(self, mut old: Vec<Value>, change: Vec<Value>, (key, item): (&str, &'a Shape)) -> Result<Vec<Value>, PatchError> {
        let mut index = places(&old, Some(key));
        for entry in change {
            let place = index.get(&identity(&entry, Some(key))).copied();
            match (entry, place) {
                (Value::Object(patch), _) if !patch.contains_key(key) => return Err(no_merge_key(&patch, key)),
                (Value::Object(patch), Some(place)) => {
                    let Value::Object(original) = old[place].take() else { continue };
                    old[place] = Value::Object(self.map(original, patch, item)?);
                }
                (entry, _) => {
                    index.insert(identity(&entry, Some(key)), old.len());
                    old.extend(without_directives(entry));
                }
            }
        }
        Ok(old)
    }

    /// Takes the `$setElementOrder` lists of the patch, and the lists they order, and merges these into the original.
    fn order(self, original: &mut Members, patch: &mut Members, shape: &'a Shape) -> Result<(), PatchError> {
        let directives: Vec<String> = patch.keys().filter(|name| name.starts_with(ORDER)).cloned().collect();
        for directive in directives {
            let wanted = array(patch.remove(&directive).unwrap_or_default())?;
            let name = target(&directive, ORDER, BAD_ORDER)?;
            let change = patch.remove(name).map(array).transpose()?;
            let old = original.get(name).cloned().map(array).transpose()?;
            let list = List::of(self.field(shape, name)?);
            validate_order(change.as_deref().unwrap_or_default(), &wanted, list.key)?;
            let server_order = places(old.as_deref().unwrap_or_default(), list.key);
            if old.is_none() && change.is_none() {
                continue;
            }
            elements_are_maps(old.as_deref().unwrap_or_default(), change.as_deref().unwrap_or_default())?;
            let merged = match (old, change) {
                (old, None) => old.unwrap_or_default(),
                (None, Some(change)) => change.into_iter().filter_map(without_directives).collect(),
                (Some(old), Some(change)) => self.list(old, change, (&list, Purpose::Merge))?,
            };
            let sorted = arrange(merged, &places(&wanted, list.key), &server_order, list.key)?;
            original.insert(name.to_owned(), Value::Array(sorted));
        }
        Ok(())
    }

    fn field(self, shape: &'a Shape, name: &str) -> Result<&'a Field, PatchError> {
        let Shape::Ref(id) = shape else {
            let what = if matches!(shape, Shape::Map(_)) { "map" } else { "slice" };
            let text = format!("merging an object in json but data type is not struct, instead is: {what}");
            return Err(PatchError::Plain(text));
        };
        let of = self.table.get(*id);
        of.field(name).ok_or_else(|| {
            PatchError::Plain(format!("unable to find api field in struct {} for the json field {name:?}", of.short_name()))
        })
    }
}

impl<'a> List<'a> {
    fn of(field: &'a Field) -> Self {
        let item = field.shape.item().unwrap_or(&field.shape);
        Self { item, key: field.merge_key.as_deref(), merge: field.patch.merge }
    }
}

/// Applies `$retainKeys`: what it does not name goes, and the patch may set nothing else.
fn retain(original: &mut Members, patch: &mut Members) -> Result<(), PatchError> {
    let Some(names) = patch.remove(RETAIN) else { return Ok(()) };
    let bad = || PatchError::Malformed(BAD_RETAIN.to_owned());
    let Value::Array(names) = names else { return Err(bad()) };
    let names: HashSet<&str> = names.iter().filter_map(Value::as_str).collect();
    let free = |name: &str| name.starts_with(DELETE) || name.starts_with(ORDER);
    if patch.iter().any(|(name, change)| !change.is_null() && !free(name) && !names.contains(name.as_str())) {
        return Err(bad());
    }
    original.retain(|name, _| names.contains(name.as_str()));
    Ok(())
}

/// Carries out the items that are directives and returns what is left of both lists.
fn special(mut old: Vec<Value>, change: Vec<Value>, key: &str) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let (mut rest, mut deleted, mut replace) = (Vec::with_capacity(change.len()), HashSet::new(), false);
    for entry in change {
        let Some(directive) = entry.get(PATCH) else {
            rest.push(entry);
            continue;
        };
        let Value::Object(members) = &entry else { continue };
        match directive.as_str() {
            Some("delete") if members.contains_key(key) => drop(deleted.insert(identity(&entry, Some(key)))),
            Some("delete") => return Err(no_merge_key(members, key)),
            Some("replace") => replace = true,
            Some("merge") => return Err(PatchError::Plain("merging lists cannot yet be specified in the patch".to_owned())),
            _ => return Err(unknown_directive(members)),
        }
    }
    if replace {
        return Ok((rest, Vec::new()));
    }
    old.retain(|item| item.get(key).is_none() || !deleted.contains(&identity(item, Some(key))));
    Ok((old, rest))
}

fn scalars(old: Vec<Value>, change: Vec<Value>, purpose: Purpose) -> Vec<Value> {
    let (server_order, patch_order) = (places(&old, None), places(&change, None));
    if matches!(purpose, Purpose::Delete) {
        return old.into_iter().filter(|item| !patch_order.contains_key(&identity(item, None))).collect();
    }
    let mut seen = HashSet::new();
    let merged = old.into_iter().chain(change).filter(|item| seen.insert(identity(item, None))).collect();
    sort(merged, &patch_order, &server_order, None)
}

/// Like [`sort`], but every item must have the merge key.
fn arrange(merged: Vec<Value>, patch_order: &Places, server_order: &Places, key: Option<&str>) -> Result<Vec<Value>, PatchError> {
    if let Some(key) = key {
        for item in &merged {
            match item {
                Value::Object(members) if members.contains_key(key) => {}
                Value::Object(members) => return Err(no_merge_key(members, key)),
                other => return Err(bad_type(MAP, other)),
            }
        }
    }
    Ok(sort(merged, patch_order, server_order, key))
}

/// The patch's items in the patch's order, the others in their own; one of the others goes first only where both were there before
/// and it stood in front.
fn sort(merged: Vec<Value>, patch_order: &Places, server_order: &Places, key: Option<&str>) -> Vec<Value> {
    let named = merged.into_iter().map(|item| (identity(&item, key), item));
    let (mut patched, mut others): (Vec<_>, Vec<_>) = named.partition(|(identity, _)| patch_order.contains_key(identity));
    patched.sort_by_key(|(identity, _)| patch_order.get(identity));
    others.sort_by_key(|(identity, _)| server_order.get(identity));
    let mut sorted = Vec::with_capacity(patched.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (identity, item) in patched {
        let place = server_order.get(&identity);
        while let Some((_, other)) = others.next_if(|(other, _)| match (server_order.get(other), place) {
            (Some(other), Some(place)) => other < place,
            _ => false,
        }) {
            sorted.push(other);
        }
        sorted.push(item);
    }
    sorted.extend(others.map(|(_, item)| item));
    sorted
}

/// The patch's items must stand in the wanted order, and all of them in it.
fn validate_order(change: &[Value], wanted: &[Value], key: Option<&str>) -> Result<(), PatchError> {
    if change.is_empty() || wanted.is_empty() {
        return Ok(());
    }
    for item in change.iter().chain(wanted) {
        match (item, key) {
            (Value::Object(members), Some(key)) if members.contains_key(key) || members.contains_key(PATCH) => {}
            (Value::Object(members), Some(key)) => return Err(no_merge_key(members, key)),
            (other, Some(_)) => return Err(bad_type(MAP, other)),
            (_, None) => {}
        }
    }
    let mut places = wanted.iter().map(|item| identity(item, key));
    let mut plain = change.iter().filter(|item| item.get(PATCH).is_none());
    if plain.all(|item| places.any(|place| place == identity(item, key))) {
        return Ok(());
    }
    let (change, wanted) = (print_list(change), print_list(wanted));
    Err(PatchError::Plain(format!("The order in patch list:\n{change}\n doesn't match {ORDER} list:\n{wanted}\n")))
}

/// Whether the items are objects; all must be of one type, and not lists.
fn elements_are_maps(old: &[Value], change: &[Value]) -> Result<bool, PatchError> {
    let mut types = old.iter().chain(change).map(kind);
    let first = types.next().ok_or_else(|| PatchError::Plain("no elements in any of the given slices".to_owned()))?;
    if first == "array" {
        return Err(PatchError::Inapplicable("lists of lists are not supported".to_owned()));
    }
    if types.any(|kind| kind != first) {
        let lists = format!("[{} {}]", print_list(old), print_list(change));
        return Err(PatchError::Plain(format!("list element types are not identical: {lists}")));
    }
    Ok(first == "object")
}

/// What is new is taken as it is, but what carries `$patch` is no content. The other directives stay, for the reader to refuse.
fn without_directives(value: Value) -> Option<Value> {
    Some(match value {
        Value::Object(members) if members.contains_key(PATCH) => return None,
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.filter_map(|(name, value)| Some((name, without_directives(value)?))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().filter_map(without_directives).collect()),
        other => other,
    })
}

/// Where each item stands first.
type Places = HashMap<String, usize>;

fn places(items: &[Value], key: Option<&str>) -> Places {
    let mut places = Places::with_capacity(items.len());
    for (place, item) in items.iter().enumerate() {
        places.entry(identity(item, key)).or_insert(place);
    }
    places
}

/// What two items must share to be one. An item without the key is like no other that has it.
fn identity(item: &Value, key: Option<&str>) -> String {
    match key {
        Some(key) => item.get(key).map(Value::to_string).unwrap_or_default(),
        None => item.to_string(),
    }
}

/// The field that a directive like `$setElementOrder/ports` is about.
fn target<'n>(name: &'n str, directive: &str, bad: &str) -> Result<&'n str, PatchError> {
    let field = name.strip_prefix(directive).and_then(|rest| rest.strip_prefix('/'));
    field.ok_or_else(|| PatchError::Malformed(bad.to_owned()))
}

fn array(value: Value) -> Result<Vec<Value>, PatchError> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(bad_type("[]interface {}", &other)),
    }
}

fn no_merge_key(members: &Members, key: &str) -> PatchError {
    PatchError::Plain(format!("map: {} does not contain declared merge key: {key}", print_map(members)))
}

fn unknown_directive(members: &Members) -> PatchError {
    let directive = print(members.get(PATCH).unwrap_or(&Value::Null));
    PatchError::Plain(format!("unknown patch type: {directive} in map: {}", print_map(members)))
}

fn bad_type(expected: &str, actual: &Value) -> PatchError {
    let actual = match actual {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => MAP,
    };
    PatchError::Plain(format!("expected a {expected}, but received a {actual}"))
}

/// A value as Go's `%v` prints it.
fn print(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => print_list(items),
        Value::Object(members) => print_map(members),
        other => other.to_string(),
    }
}

fn print_list(items: &[Value]) -> String {
    format!("[{}]", items.iter().map(print).collect::<Vec<_>>().join(" "))
}

fn print_map(members: &Members) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{name}:{}", print(value))).collect();
    format!("map[{}]", members.join(" "))
}

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder";
const DELETE: &str = "$deleteFromPrimitiveList";
const MAP: &str = "map[string]interface {}";
const BAD_DELETE: &str = "invalid patch format of primitive list";
const BAD_ORDER: &str = "invalid patch format of setElementOrder list";
const BAD_RETAIN: &str = "invalid patch format of retainKeys";

#[cfg(test)]
#[path = "strategic_tests.rs"]
mod tests;

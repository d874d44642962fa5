//! Members of an object, as Go's structs have them: `null` is absent; of a value field the zero is absent too.

use serde_json::{Map, Value};

pub(super) type Members = Map<String, Value>;

/// Whether a pointer field is nil.
pub(super) fn is_absent(members: &Members, name: &str) -> bool {
    members.get(name).is_none_or(Value::is_null)
}

/// Whether a value field is zero, or a list or map empty.
pub(super) fn is_zero(members: &Members, name: &str) -> bool {
    match members.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Number(number)) => number.as_f64() == Some(0.0),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(members)) => members.is_empty(),
        Some(Value::Bool(true)) => false,
    }
}

/// Sets a pointer field that is nil.
pub(super) fn put(members: &mut Members, name: &str, value: impl Into<Value>) {
    if is_absent(members, name) {
        members.insert(name.to_owned(), value.into());
    }
}

/// Sets a value field that is zero.
pub(super) fn put_zero(members: &mut Members, name: &str, value: impl Into<Value>) {
    if is_zero(members, name) {
        members.insert(name.to_owned(), value.into());
    }
}

/// The text of a member, empty where there is none.
pub(super) fn text<'a>(members: &'a Members, name: &str) -> &'a str {
    members.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The object of a pointer field, where it is not nil.
pub(super) fn object<'a>(members: &'a mut Members, name: &str) -> Option<&'a mut Members> {
    members.get_mut(name).and_then(Value::as_object_mut)
}

/// The object of a value field, which is always there. `None` where the member is something else.
pub(super) fn make<'a>(members: &'a mut Members, name: &str) -> Option<&'a mut Members> {
    let value = members.entry(name).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(Members::new());
    }
    value.as_object_mut()
}

/// Does something to each object of a list.
pub(super) fn each(members: &mut Members, name: &str, change: impl FnMut(&mut Members)) {
    let items = members.get_mut(name).and_then(Value::as_array_mut);
    items.into_iter().flatten().filter_map(Value::as_object_mut).for_each(change);
}

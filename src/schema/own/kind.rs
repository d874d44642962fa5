//! How server-side apply sees the values of a type: what is owned as a whole, what by parts.

use std::borrow::Cow;

use serde_json::Value;

use super::element::Element;
use super::scalar::Scalar;
use crate::schema::Schema;
use crate::schema::table::{Field, Form, ListType, Shape, Special, Struct, Table, Type};

/// The types of one table.
#[derive(Clone, Copy)]
pub(super) struct Types<'a> {
    table: &'a Table,
}

/// What a value is to server-side apply.
#[derive(Clone, Copy)]
pub(super) enum Kind<'a> {
    Scalar(Plain),
    List {
        merge: Merge<'a>,
        item: Inner<'a>,
    },
    Struct {
        members: &'a Struct,
        whole: bool,
    },
    Map {
        item: Inner<'a>,
        whole: bool,
    },
    /// Any JSON: objects by their members, lists as a whole.
    Free,
    /// Any JSON, owned as a whole.
    Opaque,
}

/// What kind of scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    Text,
    Number,
    Bool,
    Any,
}

/// How the items of a list are known.
#[derive(Clone, Copy)]
pub(super) enum Merge<'a> {
    /// Not: the list is one value.
    Whole,
    /// By their value.
    Set,
    /// By these members, the second form being the patch merge key.
    Keys(&'a [Box<str>]),
}

/// What the items of a list or map are.
#[derive(Clone, Copy)]
pub(super) enum Inner<'a> {
    Shape(&'a Shape),
    Free,
    Opaque,
}

impl<'a> Types<'a> {
    pub(super) fn of(schema: &'a Schema) -> Self {
        Self { table: schema.table() }
    }

    pub(super) fn root(self, schema: &'a Schema) -> Kind<'a> {
        self.of_type(schema.root(), schema.root().atomic)
    }

    /// A member of a struct, an entry of a map; `None` when the struct has no such member.
    pub(super) fn member(self, kind: Kind<'a>, name: &str) -> Option<Kind<'a>> {
        match kind {
            Kind::Struct { members, .. } => members.field(name).map(|field| self.of_field(field)),
            Kind::Map { item, .. } => Some(self.inner(item)),
            Kind::Free => Some(Kind::Free),
            Kind::Opaque => Some(Kind::Opaque),
            Kind::Scalar(_) | Kind::List { .. } => None,
        }
    }

    pub(super) fn inner(self, inner: Inner<'a>) -> Kind<'a> {
        match inner {
            Inner::Shape(shape) => self.of_shape(shape),
            Inner::Free => Kind::Free,
            Inner::Opaque => Kind::Opaque,
        }
    }

    /// How an item of a list is known.
    ///
    /// # Errors
    /// In words: it has no such key, or it is of a form that has none.
    pub(super) fn element(self, merge: Merge<'a>, item: Inner<'a>, value: &'a Value) -> Result<Element<'a>, String> {
        match merge {
            Merge::Whole => Err("invalid indexing of non-associative list".to_owned()),
            Merge::Set => match value {
                Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
                Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
                Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
                _ => Ok(Element::Value(Scalar::of(value))),
            },
            Merge::Keys(keys) => self.keyed(keys, item, value),
        }
    }

    fn keyed(self, keys: &'a [Box<str>], item: Inner<'a>, value: &'a Value) -> Result<Element<'a>, String> {
        let map = match value {
            Value::Object(map) => map,
            Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
            _ => return Err("associative list with keys may not have non-map elements".to_owned()),
        };
        let mut members = Vec::with_capacity(keys.len());
        for key in keys {
            let value = map.get(&**key).or_else(|| self.default_of(item, key)).ok_or_else(|| {
                format!(
                    "associative list with keys has an element that omits key field \"{key}\" (and doesn't have default value)"
                )
            })?;
            members.push((Cow::Borrowed(&**key), Scalar::of(value)));
        }
        members.sort_by(|(mine, _), (theirs, _)| mine.cmp(theirs));
        Ok(Element::Key(members.into_boxed_slice()))
    }

    fn default_of(self, item: Inner<'a>, key: &str) -> Option<&'a Value> {
        let Kind::Struct { members, .. } = self.inner(item) else { return None };
        members.field(key)?.default.as_ref()
    }

    fn of_field(self, field: &'a Field) -> Kind<'a> {
        match &field.shape {
            Shape::List(item) => Kind::List { merge: merge(field), item: Inner::Shape(item) },
            Shape::Map(item) => Kind::Map { item: Inner::Shape(item), whole: self.table.atomic(field) },
            Shape::Ref(id) => self.of_type(self.table.get(*id), self.table.atomic(field)),
            shape => self.of_shape(shape),
        }
    }

    fn of_shape(self, shape: &'a Shape) -> Kind<'a> {
        match shape {
            Shape::String | Shape::Bytes => Kind::Scalar(Plain::Text),
            Shape::Bool => Kind::Scalar(Plain::Bool),
            Shape::Int32 | Shape::Int64 | Shape::Double => Kind::Scalar(Plain::Number),
            Shape::List(item) => Kind::List { merge: Merge::Whole, item: Inner::Shape(item) },
            Shape::Map(item) => Kind::Map { item: Inner::Shape(item), whole: false },
            Shape::Ref(id) => {
                let kind = self.table.get(*id);
                self.of_type(kind, kind.atomic)
            }
        }
    }

    fn of_type(self, kind: &'a Type, whole: bool) -> Kind<'a> {
        match &kind.form {
            // An object without members is to OpenAPI an object of any.
            Form::Struct(members) if members.fields().is_empty() => Kind::Map { item: Inner::Free, whole },
            Form::Struct(members) => Kind::Struct { members, whole },
            Form::Special(special) => match special {
                Special::Time | Special::MicroTime | Special::Quantity | Special::IntOrString => Kind::Scalar(Plain::Any),
                Special::RawExtension => Kind::Opaque,
                Special::FieldsV1 => Kind::Map { item: Inner::Free, whole },
                _ => Kind::Free,
            },
        }
    }
}

impl<'a> Kind<'a> {
    /// What a value of any form is, now that it is seen. Null, and nothing, may be an object.
    pub(super) fn seen(self, value: Option<&Value>) -> Self {
        let (inner, whole) = match self {
            Kind::Free => (Inner::Free, false),
            Kind::Opaque => (Inner::Opaque, true),
            known => return known,
        };
        match value {
            Some(Value::String(_) | Value::Number(_) | Value::Bool(_)) => Kind::Scalar(Plain::Any),
            Some(Value::Array(_)) => Kind::List { merge: Merge::Whole, item: Inner::Opaque },
            Some(Value::Object(_) | Value::Null) | None => Kind::Map { item: inner, whole },
        }
    }

    /// Whether values may be of more than one form.
    pub(super) fn varies(self) -> bool {
        matches!(self, Kind::Free | Kind::Opaque)
    }

    /// Whether a member of this name is one that the type declares.
    pub(super) fn declares(self, name: &str) -> bool {
        matches!(self, Kind::Struct { members, .. } if members.field(name).is_some())
    }
}

fn merge(field: &Field) -> Merge<'_> {
    match &field.list {
        Some(ListType::Map(keys)) => Merge::Keys(keys),
        Some(ListType::Set) => Merge::Set,
        Some(ListType::Atomic) => Merge::Whole,
        None if !field.patch.merge => Merge::Whole,
        None => field.merge_key.as_ref().map_or(Merge::Set, |key| Merge::Keys(std::slice::from_ref(key))),
    }
}

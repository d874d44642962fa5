//! Brings an object into the one form that Go would print once it was stored.

use serde_json::{Map, Value};

use super::quantity::Quantity;
use super::table::{Field, Form, Omit, Shape, Special, Struct, Table};
use super::time::{self, Precision};

impl Table {
    pub(super) fn normalise(&self, shape: &Shape, value: &mut Value) {
        match (shape, value) {
            (Shape::Ref(id), value) => match &self.get(*id).form {
                Form::Struct(members) => {
                    if let Value::Object(map) = value {
                        self.normalise_members(members, map);
                    }
                }
                Form::Special(special) => self.normalise_special(*special, value),
            },
            (Shape::List(item), Value::Array(list)) if !item.plain() => {
                for value in list {
                    if value.is_null() {
                        *value = self.zero(item);
                    }
                    self.normalise(item, value);
                }
            }
            (Shape::Map(item), Value::Object(map)) if !item.plain() => {
                for value in map.values_mut() {
                    self.normalise(item, value);
                }
            }
            (Shape::Double, value) => {
                if let Some(whole) = value.as_f64().and_then(whole) {
                    *value = Value::from(whole);
                }
            }
            _ => {}
        }
    }

    fn normalise_members(&self, members: &Struct, map: &mut Map<String, Value>) {
        let mut fields = members.fields().iter().peekable();
        map.retain(|name, value| {
            while fields.next_if(|field| *field.name < **name).is_some() {}
            let Some(field) = fields.next_if(|field| *field.name == **name) else { return false };
            self.normalise(&field.shape, value);
            self.stays(members, field, value)
        });
        for place in &members.always {
            let field = &members.fields()[usize::from(*place)];
            if !map.contains_key(&*field.name) {
                let value = self.absent(field);
                map.insert(field.name.to_string(), value);
            }
        }
    }

    fn stays(&self, members: &Struct, field: &Field, value: &Value) -> bool {
        let empty = match value {
            Value::Null => return false,
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::String(text) => text.is_empty(),
            Value::Bool(set) => !set,
            Value::Number(number) => number.as_f64() == Some(0.0),
        };
        match (&field.shape, field.omit) {
            (Shape::List(_) | Shape::Map(_), Omit::Never) if empty => self.is_items(members, field),
            (Shape::Ref(_), _) | (_, Omit::Never) => true,
            (Shape::List(_) | Shape::Map(_), _) => !empty,
            _ => !empty || field.pointer,
        }
    }

    /// The items of a list are [] when there are none: lists do not come out of the store.
    fn is_items(&self, members: &Struct, field: &Field) -> bool {
        let Some(Shape::Ref(metadata)) = members.field("metadata").map(|field| &field.shape) else { return false };
        *field.name == *"items" && self.get(*metadata).short_name() == "ListMeta"
    }

    fn absent(&self, field: &Field) -> Value {
        if field.pointer || field.shape == Shape::Bytes {
            return Value::Null;
        }
        let mut value = self.zero(&field.shape);
        self.normalise(&field.shape, &mut value);
        value
    }

    fn normalise_special(&self, special: Special, value: &mut Value) {
        match (special, &mut *value) {
            (Special::Time, Value::String(text)) => moment(text, Precision::Second).apply(value),
            (Special::MicroTime, Value::String(text)) => moment(text, Precision::Micro).apply(value),
            (Special::Quantity, Value::String(text)) => {
                if let Some(canonical) = Quantity::canonical(text) {
                    *text = canonical;
                }
            }
            (Special::Quantity, Value::Number(number)) => {
                let text = number.to_string();
                *value = Value::String(Quantity::canonical(&text).unwrap_or(text));
            }
            // As Go prints a choice that was not made.
            (Special::SchemaOrArray | Special::SchemaOrStrings, Value::Array(list)) if list.is_empty() => *value = Value::Null,
            (Special::SchemaOrArray, Value::Array(list)) => {
                for value in list {
                    self.normalise_schema(value);
                }
            }
            (Special::SchemaOrArray | Special::SchemaOrBool | Special::SchemaOrStrings, Value::Object(_)) => {
                self.normalise_schema(value)
            }
            _ => {}
        }
    }

    fn normalise_schema(&self, value: &mut Value) {
        if let Some(shape) = self.json_schema_shape() {
            self.normalise(&shape, value);
        }
    }
}

/// What becomes of a time's text.
enum Moment {
    Kept,
    Printed(Option<String>),
}

impl Moment {
    fn apply(self, value: &mut Value) {
        if let Self::Printed(text) = self {
            *value = text.map_or(Value::Null, Value::String);
        }
    }
}

fn moment(text: &str, precision: Precision) -> Moment {
    if time::is_canonical(text, precision) { Moment::Kept } else { Moment::Printed(time::canonical(text, precision)) }
}

/// Go prints a whole float64 without a fraction, and with an exponent from 1e21 on.
pub(super) fn whole(number: f64) -> Option<i64> {
    #[allow(clippy::cast_possible_truncation)]
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

impl Shape {
    /// Whether nothing in a value of this shape has more than one form.
    fn plain(&self) -> bool {
        matches!(self, Self::String | Self::Bytes | Self::Bool | Self::Int32 | Self::Int64)
    }
}

#[cfg(test)]
#[path = "normalise_tests.rs"]
mod tests;

//! Whether an applied configuration is of its type at all, in the words of kube-apiserver.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::element::Element;
use super::kind::{Inner, Kind, Merge, Plain, Types};
use crate::schema::Schema;
use crate::schema::quote::quote;

/// Whether the configuration has the forms that its type asks for, and every item of a list once.
///
/// # Errors
/// One fault: `.spec.replicas: expected numeric (int or float), got string`; more: `errors:` and a line for each.
pub fn check(schema: &Schema, config: &Value) -> Result<(), String> {
    let types = Types::of(schema);
    let mut checked = Checked { types, path: String::new(), faults: Vec::new() };
    checked.value(types.root(schema), config);
    match &checked.faults[..] {
        [] => Ok(()),
        [fault] => Err(fault.clone()),
        faults => Err(faults.iter().fold(String::from("errors:"), |text, fault| text + "\n  " + fault)),
    }
}

struct Checked<'a> {
    types: Types<'a>,
    path: String,
    faults: Vec<String>,
}

impl<'a> Checked<'a> {
    fn value(&mut self, kind: Kind<'a>, value: &'a Value) {
        match (kind.seen(Some(value)), value) {
            (_, Value::Null) => {}
            (Kind::Scalar(plain), value) => self.scalar(plain, value),
            (Kind::List { merge, item }, Value::Array(items)) => self.items((merge, item), items),
            (Kind::List { .. }, value) => self.fault(&format!("expected list, got &{{{}}}", plain(value))),
            (kind, Value::Object(map)) => self.members(kind, map),
            (_, value) => self.fault(&format!("expected map, got &{{{}}}", plain(value))),
        }
    }

    fn scalar(&mut self, plain_type: Plain, value: &Value) {
        match (plain_type, value) {
            (Plain::Number, Value::Number(_)) | (Plain::Text, Value::String(_)) | (Plain::Bool, Value::Bool(_)) => {}
            (Plain::Any, Value::Number(_) | Value::String(_) | Value::Bool(_)) => {}
            (Plain::Number, value) => self.fault(&format!("expected numeric (int or float), got {}", go_type(value))),
            (Plain::Text, value) => {
                self.fault(&format!("expected string, got &value.valueUnstructured{{Value:{}}}", go_syntax(value)));
            }
            (Plain::Bool, value) => self.fault(&format!("expected boolean, got &{{{}}}", plain(value))),
            (Plain::Any, value) => self.fault(&format!("expected any scalar, got &{{{}}}", plain(value))),
        }
    }

    fn members(&mut self, kind: Kind<'a>, map: &'a Map<String, Value>) {
        for (name, value) in map {
            let member = self.types.member(kind, name);
            self.at(&format!(".{name}"), |checked| match member {
                Some(kind) => checked.value(kind, value),
                None => checked.fault("field not declared in schema"),
            });
            if member.is_none() {
                return;
            }
        }
    }

    fn items(&mut self, (merge, item): (Merge<'a>, Inner<'a>), items: &'a [Value]) {
        let mut seen = BTreeSet::new();
        for (place, value) in items.iter().enumerate() {
            let element = match merge {
                Merge::Whole => Element::Index(i64::try_from(place).unwrap_or(i64::MAX)),
                _ => match self.types.element(merge, item, value) {
                    Ok(element) => element,
                    Err(why) => return self.fault(&format!("element {place}: {why}")),
                },
            };
            let step = element.to_string();
            if !seen.insert(element) {
                self.fault(&format!("duplicate entries for key {step}"));
            }
            self.at(&step, |checked| checked.value(checked.types.inner(item), value));
        }
    }

    fn at(&mut self, step: &str, look: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(step);
        look(self);
        self.path.truncate(length);
    }

    fn fault(&mut self, what: &str) {
        if self.faults.len() < MOST {
            let colon = if self.path.is_empty() { "" } else { ": " };
            self.faults.push(format!("{}{colon}{what}", self.path));
        }
    }
}

/// Go's `%T` of a decoded value.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// Go's `%#v` of a decoded value.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => quote(text),
        Value::Array(items) => format!("[]interface {{}}{{{}}}", joined(items.iter().map(go_syntax), ", ")),
        Value::Object(map) => {
            let members = map.iter().map(|(name, value)| format!("{}:{}", quote(name), go_syntax(value)));
            format!("map[string]interface {{}}{{{}}}", joined(members, ", "))
        }
        scalar => scalar.to_string(),
    }
}

/// Go's `%v` of a decoded value.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", joined(items.iter().map(plain), " ")),
        Value::Object(map) => format!("map[{}]", joined(map.iter().map(|(name, value)| format!("{name}:{}", plain(value))), " ")),
        scalar => scalar.to_string(),
    }
}

fn joined(parts: impl Iterator<Item = String>, between: &str) -> String {
    parts.collect::<Vec<_>>().join(between)
}

/// Faults that are told; a configuration may have more.
const MOST: usize = 100;

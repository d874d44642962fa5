//! What the fuzz targets share: which type a body is of, and mutations that know the types.

mod dice;
mod mutate;

use portcullis::api::catalog::Catalog;
use portcullis::api::kinds;
use portcullis::schema::table::{Gvk, Shape, Table};
use portcullis::schema::{Encoding, Schema, kind_of, write};
use serde_json::Value;
use std::sync::LazyLock;

pub use mutate::{documents, protobuf};

/// Between the documents of an input that has two.
pub const SEPARATOR: &[u8] = b"\n---\n";

static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::builtin);

/// The type that a body names; a Pod where it names none.
pub fn schema(body: &[u8], encoding: Encoding) -> Schema {
    let (api_version, kind) = kind_of(body, encoding).unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let pod = || Schema::builtin("", "v1", "Pod").expect("the type of pods");
    Schema::builtin(group, version, &kind).unwrap_or_else(pod)
}

/// The object in the form in which it is stored: read, defaulted, normalised.
pub fn stored(schema: &Schema, body: &[u8]) -> Option<Value> {
    let mut value = schema.read(body, Encoding::Json).ok()?.value;
    name(schema, &mut value);
    fill(schema.gvk(), &mut value);
    schema.normalise(&mut value);
    Some(value)
}

/// Writes the kind where the server writes it.
pub fn name(schema: &Schema, value: &mut Value) {
    value["kind"] = schema.kind().into();
    value["apiVersion"] = schema.gvk().api_version().into();
}

/// The defaults of a kind, if it is one that is served.
pub fn fill(gvk: &Gvk, value: &mut Value) {
    let served = CATALOG.all().iter().find(|kind| kind.schema.gvk() == gvk);
    if let Some(kind) = served {
        kinds::default(kind, value);
    }
}

/// The two documents of an input.
pub fn two(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let place = data.windows(SEPARATOR.len()).position(|window| window == SEPARATOR)?;
    Some((&data[..place], &data[place + SEPARATOR.len()..]))
}

/// An object in protobuf, with the envelope.
pub fn protobuf_of(schema: &Schema, value: &Value) -> Vec<u8> {
    schema.protobuf(&write(value)).expect("an object that was written")
}

/// Whether it is a list of objects: nobody sends those.
pub fn is_list(schema: &Schema) -> bool {
    schema.has(&["metadata", "continue"])
}

/// Whether objects of the kind have owners of their fields.
pub fn is_managed(schema: &Schema) -> bool {
    schema.has(&["metadata", "managedFields"])
}

/// What protobuf carries of an object: neither kind nor apiVersion of objects within it, and no difference between null and an empty list
/// in a map.
pub fn carried(schema: &Schema, value: &Value) -> Value {
    let mut value = value.clone();
    let root = schema.table().kind(schema.gvk()).map(Shape::Ref);
    if let (Some(members), Some(map)) = (root.and_then(|root| schema.table().members(&root)), value.as_object_mut()) {
        for field in members.fields() {
            if let Some(value) = map.get_mut(&*field.name) {
                strip(schema.table(), &field.shape, value);
            }
        }
    }
    value
}

fn strip(table: &Table, shape: &Shape, value: &mut Value) {
    match (shape, value) {
        (Shape::List(item), Value::Array(list)) => list.iter_mut().for_each(|value| strip(table, item, value)),
        (Shape::Map(item), Value::Object(map)) => {
            for value in map.values_mut() {
                strip(table, item, value);
                if value.as_array().is_some_and(Vec::is_empty) {
                    *value = Value::Null;
                }
            }
        }
        (shape, Value::Object(map)) => {
            for field in table.members(shape).map_or(&[][..], |members| members.fields()) {
                if field.numbers.is_empty() {
                    map.remove(&*field.name);
                } else if let Some(value) = map.get_mut(&*field.name) {
                    strip(table, &field.shape, value);
                }
            }
        }
        _ => {}
    }
}

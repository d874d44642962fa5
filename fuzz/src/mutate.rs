//! Mutations of documents that know the types: they add members that exist, of the form that they have, and sometimes not.

use libfuzzer_sys::fuzzer_mutate;
use portcullis::schema::table::{Form, Gvk, Shape, Special, Table};
use portcullis::schema::{Encoding, Schema, write};
use serde_json::{Map, Value, json};

use crate::SEPARATOR;
use crate::dice::Dice;

/// Mutates one of the JSON documents in `data`, as libFuzzer's custom mutators do: in place, the new size comes back. Documents stand
/// between [`SEPARATOR`]s; all are of the type that the first names.
pub fn documents(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut dice = Dice::new(seed);
    let made = if dice.roll(4) == 0 { None } else { tree(&data[..size], &mut dice) };
    put(data, size, max_size, made)
}

/// Mutates a body in the protobuf envelope, likewise.
pub fn protobuf(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut dice = Dice::new(seed);
    if dice.roll(2) == 0 {
        return put(data, size, max_size, None);
    }
    let old = &data[..size];
    let made = if dice.roll(32) == 0 {
        let schema = any(&mut dice);
        Some(crate::protobuf_of(&schema, &blank(&schema)))
    } else {
        let schema = crate::schema(old, Encoding::Protobuf);
        schema.read(old, Encoding::Protobuf).ok().map(|reading| {
            let (mut value, mut tree) = (reading.value, Tree { table: schema.table(), dice: &mut dice });
            tree.mutate(&mut value, root(&schema).as_ref());
            crate::protobuf_of(&schema, &value)
        })
    };
    put(data, size, max_size, made)
}

fn put(data: &mut [u8], size: usize, max_size: usize, made: Option<Vec<u8>>) -> usize {
    match made {
        Some(made) if made.len() <= max_size && made.len() <= data.len() => {
            data[..made.len()].copy_from_slice(&made);
            made.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
}

fn tree(data: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let mut rest = data;
    while let Some((before, after)) = crate::two(rest) {
        parts.push(before.to_vec());
        rest = after;
    }
    parts.push(rest.to_vec());
    if dice.roll(64) == 0 {
        let schema = any(dice);
        parts.iter_mut().for_each(|part| *part = write(&blank(&schema)));
    }
    let schema = crate::schema(&parts[0], Encoding::Json);
    let place = dice.roll(parts.len());
    if dice.roll(16) == 0 && parts.len() > 1 {
        parts[place] = dice.pick(&parts).clone();
    }
    let mut value: Value = serde_json::from_slice(&parts[place]).ok()?;
    let mut tree = Tree { table: schema.table(), dice };
    for _ in 0..=tree.dice.roll(3) {
        tree.mutate(&mut value, root(&schema).as_ref());
    }
    parts[place] = write(&value);
    Some(parts.join(SEPARATOR))
}

fn any(dice: &mut Dice) -> Schema {
    let kinds = Schema::builtins();
    let Gvk { group, version, kind } = dice.pick(&kinds);
    Schema::builtin(group, version, kind).expect("a type of the table")
}

fn blank(schema: &Schema) -> Value {
    json!({"kind": schema.kind(), "apiVersion": schema.gvk().api_version()})
}

fn root(schema: &Schema) -> Option<Shape> {
    schema.table().kind(schema.gvk()).map(Shape::Ref)
}

struct Tree<'t, 'd> {
    table: &'t Table,
    dice: &'d mut Dice,
}

impl Tree<'_, '_> {
    /// Changes something in a value of a shape, if that is known.
    fn mutate(&mut self, value: &mut Value, shape: Option<&Shape>) {
        match value {
            Value::Object(map) if self.dice.roll(8) > 0 => self.object(map, shape),
            Value::Array(list) if self.dice.roll(8) > 0 => self.list(list, shape.and_then(Shape::item)),
            _ => *value = self.fresh(shape, 0),
        }
    }

    fn object(&mut self, map: &mut Map<String, Value>, shape: Option<&Shape>) {
        let names: Vec<String> = map.keys().cloned().collect();
        let action = if names.is_empty() { 0 } else { self.dice.roll(10) };
        match action {
            0 | 1 => {
                if let Some((name, shape)) = self.member(shape) {
                    let value = self.fresh(shape.as_ref(), 0);
                    map.insert(name, value);
                }
            }
            2 => _ = map.remove(self.dice.pick(&names)),
            3 => {
                let name = self.dice.pick(&names).clone();
                let value = map[&name].clone();
                map.insert((*self.dice.pick(WORDS)).to_owned(), value);
            }
            _ => {
                let name = self.dice.pick(&names).clone();
                let below = self.below(shape, &name);
                self.mutate(&mut map[&name], below.as_ref());
            }
        }
    }

    fn list(&mut self, list: &mut Vec<Value>, item: Option<&Shape>) {
        let action = if list.is_empty() { 0 } else { self.dice.roll(6) };
        match action {
            0 => list.push(self.fresh(item, 0)),
            1 => _ = list.remove(self.dice.roll(list.len())),
            2 => list.push(self.dice.pick(list).clone()),
            3 => {
                let (one, other) = (self.dice.roll(list.len()), self.dice.roll(list.len()));
                list.swap(one, other);
            }
            _ => {
                let place = self.dice.roll(list.len());
                self.mutate(&mut list[place], item);
            }
        }
    }

    /// A member that may stand in an object of this shape.
    fn member(&mut self, shape: Option<&Shape>) -> Option<(String, Option<Shape>)> {
        if self.dice.roll(12) == 0 {
            return Some(((*self.dice.pick(WORDS)).to_owned(), None));
        }
        match shape? {
            Shape::Map(item) => Some(((*self.dice.pick(WORDS)).to_owned(), Some((**item).clone()))),
            shape => {
                let fields = self.table.members(shape)?.fields();
                let field = fields.get(self.dice.roll(fields.len().max(1)))?;
                Some((field.name.to_string(), Some(field.shape.clone())))
            }
        }
    }

    fn below(&self, shape: Option<&Shape>, name: &str) -> Option<Shape> {
        match shape? {
            Shape::Map(item) => Some((**item).clone()),
            shape => self.table.members(shape)?.field(name).map(|field| field.shape.clone()),
        }
    }

    /// A new value: mostly one of the shape.
    fn fresh(&mut self, shape: Option<&Shape>, depth: usize) -> Value {
        let Some(shape) = shape.filter(|_| self.dice.roll(16) > 0) else { return self.odd() };
        match shape {
            Shape::String => self.text(),
            Shape::Bytes => json!(self.dice.pick(&["", "YQ==", "AP8=", "YWJj", "a", "!"])),
            Shape::Bool => json!(self.dice.roll(2) == 0),
            Shape::Int32 | Shape::Int64 => {
                json!(self.dice.pick(&[0, 1, 2, -1, 80, 600, 65_535, i64::from(i32::MAX), i64::MAX, i64::MIN]))
            }
            Shape::Double => json!(self.dice.pick(&[0.0, 1.0, -0.0, 0.5, 1e21, 5e-324, 1e308])),
            Shape::List(item) => (0..self.dice.roll(3)).map(|_| self.fresh(Some(item), depth + 1)).collect(),
            Shape::Map(item) => {
                (0..self.dice.roll(3)).map(|_| ((*self.dice.pick(WORDS)).to_owned(), self.fresh(Some(item), depth + 1))).collect()
            }
            Shape::Ref(id) => match &self.table.get(*id).form {
                Form::Special(special) => self.special(*special),
                Form::Struct(_) if depth > 3 => json!({}),
                Form::Struct(members) => {
                    let mut map = Map::new();
                    for field in members.fields() {
                        if (field.required || self.dice.roll(4) == 0) && map.len() < 8 {
                            let value = match field.values.as_slice() {
                                values if !values.is_empty() && field.shape == Shape::String => json!(**self.dice.pick(values)),
                                _ => self.fresh(Some(&field.shape), depth + 1),
                            };
                            map.insert(field.name.to_string(), value);
                        }
                    }
                    Value::Object(map)
                }
            },
        }
    }

    fn special(&mut self, special: Special) -> Value {
        match special {
            Special::Time | Special::MicroTime => json!(self.dice.pick(&[
                "2026-01-02T03:04:05Z",
                "2026-01-02T03:04:05.123456Z",
                "2026-01-02T03:04:05+14:00",
                "0001-01-01T00:00:00Z",
                "9999-12-31T23:59:59-23:59",
                "2026-02-30T00:00:00Z",
                ""
            ])),
            Special::Quantity => json!(self.dice.pick(&[
                "1",
                "100m",
                "1Gi",
                "1.5Ki",
                "1e3",
                "0",
                "-1n",
                "0.1u",
                "9223372036854775807",
                "1E",
                "1e-9",
                "12345678901234567890",
                "",
                "x"
            ])),
            Special::IntOrString => {
                self.dice.pick(&[json!(0), json!(80), json!("http"), json!("25%"), json!(-1), json!("")]).clone()
            }
            _ => self.odd(),
        }
    }

    fn text(&mut self) -> Value {
        json!(*self.dice.pick(WORDS))
    }

    fn odd(&mut self) -> Value {
        match self.dice.roll(12) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-1),
            3 => json!(u64::MAX),
            4 => json!(1e300),
            5 => json!([]),
            6 => json!({}),
            7 => json!([null, {}, [], "", 0]),
            8 => json!({"a": null, "name": "a", "f:a": {}, ".": {}, "$patch": "delete"}),
            9 => json!({"type": "object", "properties": {"a": {"type": "string"}}, "items": [{}, {"not": {}}]}),
            _ => self.text(),
        }
    }
}

const WORDS: &[&str] = &[
    "",
    "a",
    "b",
    "c",
    "name",
    "v1",
    "apps/v1",
    "Always",
    "TCP",
    "UDP",
    "ClusterIP",
    "10.0.0.1",
    "fd00::1",
    "10.0.0.0/8",
    "example.com/a",
    "kubernetes.io/x",
    "x y",
    "true",
    "null",
    "0x1",
    "1e3",
    "~",
    "-",
    "# a",
    "a: b",
    "\u{0}",
    "\u{7f}\u{85}\u{2028}",
    "\u{e9}\u{1f4a9}\u{ffff}",
    "\"\\\n\t<&>",
    "2026-01-02T03:04:05Z",
    "50%",
    "100m",
    "/a~1b/0",
    "$patch",
    "$retainKeys",
    "$deleteFromPrimitiveList/finalizers",
    "$setElementOrder/containers",
    "f:spec",
    "k:{\"name\":\"a\"}",
    "v:\"a\"",
    "i:0",
    ".",
    "FieldsV1",
    "Apply",
    "Update",
];

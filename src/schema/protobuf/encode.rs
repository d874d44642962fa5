//! JSON values to messages, byte for byte as gogo's encoder writes them: members in the order of their numbers, value fields
//! always,
//! pointers and lists only where there is something.

use serde_json::{Map, Value};
use smallvec::{SmallVec, smallvec};

use super::super::bytes;
use super::super::table::{Field, Form, Shape, Special, Struct, Table};
use super::super::time::{self, Precision};
use super::super::wire::Wire;

pub(super) struct Encoder<'t> {
    table: &'t Table,
    pub(super) out: Vec<u8>,
}

type Slots<'v> = SmallVec<[Option<&'v Value>; 48]>;

impl<'t> Encoder<'t> {
    pub(super) fn new(table: &'t Table) -> Self {
        Self { table, out: Vec::with_capacity(1024) }
    }

    /// The members of a message, without its length.
    pub(super) fn members(&mut self, members: &Struct, map: Option<&Map<String, Value>>) {
        let mut slots: Slots = smallvec![None; members.fields().len()];
        let mut fields = members.fields().iter().zip(&mut slots).peekable();
        for (name, value) in map.into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            while fields.next_if(|(field, _)| *field.name < **name).is_some() {}
            if let Some((_, slot)) = fields.next_if(|(field, _)| *field.name == **name) {
                *slot = Some(value);
            }
        }
        self.wire(&members.wire, members.fields(), &slots);
    }

    fn wire(&mut self, wire: &[Wire], fields: &[Field], slots: &Slots) {
        for member in wire {
            match member {
                Wire::Field { number, field } => self.field(*number, &fields[usize::from(*field)], slots[usize::from(*field)]),
                Wire::Inlined { number, members } => {
                    let at = self.open(*number);
                    self.wire(members, fields, slots);
                    self.close(at);
                }
            }
        }
    }

    fn field(&mut self, number: u32, field: &Field, value: Option<&Value>) {
        match (&field.shape, value) {
            (Shape::List(item), Some(Value::Array(list))) => {
                for value in list {
                    self.value(number, item, value);
                }
            }
            (Shape::Map(item), Some(Value::Object(map))) => {
                for (key, value) in map {
                    let at = self.open(number);
                    self.bytes(1, key.as_bytes());
                    self.value(2, item, value);
                    self.close(at);
                }
            }
            (Shape::List(_) | Shape::Map(_), _) => {}
            (shape, Some(value)) => self.value(number, shape, value),
            (Shape::Bytes, None) => {}
            (shape, None) if !field.pointer => self.value(number, shape, &Value::Null),
            _ => {}
        }
    }

    /// A value; null is written as the zero of its shape.
    fn value(&mut self, number: u32, shape: &Shape, value: &Value) {
        match shape {
            Shape::String => self.bytes(number, value.as_str().unwrap_or_default().as_bytes()),
            Shape::Bytes => {
                let content = bytes::decode(value.as_str().unwrap_or_default()).unwrap_or_default();
                self.bytes(number, &content);
            }
            Shape::Bool => self.number(number, value.as_bool().unwrap_or_default().into()),
            Shape::Int32 | Shape::Int64 => self.number(number, value.as_i64().unwrap_or_default()),
            Shape::Double => {
                self.tag(number, 1);
                self.out.extend_from_slice(&value.as_f64().unwrap_or_default().to_le_bytes());
            }
            Shape::Ref(id) => {
                let at = self.open(number);
                match &self.table.get(*id).form {
                    Form::Struct(members) => self.members(members, value.as_object()),
                    Form::Special(special) => self.special(*special, value),
                }
                self.close(at);
            }
            Shape::List(item) => {
                let at = self.open(number);
                for value in value.as_array().into_iter().flatten() {
                    self.value(1, item, value);
                }
                self.close(at);
            }
            Shape::Map(_) => {}
        }
    }

    fn special(&mut self, special: Special, value: &Value) {
        match special {
            Special::Time => self.time(value, Precision::Second),
            Special::MicroTime => self.time(value, Precision::Micro),
            Special::Quantity => match value {
                Value::String(text) => self.bytes(1, text.as_bytes()),
                Value::Number(number) => self.bytes(1, number.to_string().as_bytes()),
                _ => self.bytes(1, b"0"),
            },
            Special::IntOrString => {
                self.number(1, value.is_string().into());
                self.number(2, value.as_i64().unwrap_or_default());
                self.bytes(3, value.as_str().unwrap_or_default().as_bytes());
            }
            Special::RawExtension | Special::FieldsV1 | Special::Any if value.is_null() => {}
            Special::RawExtension | Special::FieldsV1 | Special::Any => {
                // The members of a map in their order, as Go writes them.
                self.bytes(1, value.to_string().as_bytes());
            }
            Special::SchemaOrArray | Special::SchemaOrStrings | Special::SchemaOrBool => self.schema(special, value),
        }
    }

    fn schema(&mut self, special: Special, value: &Value) {
        let Some(schema) = self.table.json_schema_shape() else { return };
        let alone = if special == Special::SchemaOrBool { 2 } else { 1 };
        let item = if special == Special::SchemaOrStrings { Shape::String } else { schema.clone() };
        if special == Special::SchemaOrBool {
            self.number(1, value.as_bool().unwrap_or(value.is_object()).into());
        }
        match value {
            Value::Object(_) => self.value(alone, &schema, value),
            Value::Array(list) => {
                for value in list {
                    self.value(2, &item, value);
                }
            }
            _ => {}
        }
    }

    fn time(&mut self, value: &Value, precision: Precision) {
        let instant = value.as_str().and_then(|text| time::parse(text, precision).ok());
        if let Some(instant) = instant.filter(|instant| !instant.is_zero()) {
            self.number(1, instant.seconds);
            self.number(2, if precision == Precision::Second { 0 } else { i64::from(instant.nanos / 1000 * 1000) });
        }
    }

    fn number(&mut self, number: u32, value: i64) {
        self.tag(number, 0);
        varint(&mut self.out, value.cast_unsigned());
    }

    fn bytes(&mut self, number: u32, content: &[u8]) {
        super::protobuf_member(&mut self.out, number, content);
    }

    fn tag(&mut self, number: u32, kind: u64) {
        varint(&mut self.out, u64::from(number) << 3 | kind);
    }

    /// Begins a message; most are shorter than 128 bytes, so one byte is kept for the length.
    fn open(&mut self, number: u32) -> usize {
        self.tag(number, 2);
        self.out.push(0);
        self.out.len()
    }

    fn close(&mut self, at: usize) {
        let length = self.out.len() - at;
        let mut prefix = SmallVec::<[u8; 10]>::new();
        let mut rest = length;
        while rest >= 0x80 {
            prefix.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        prefix.push(rest.to_le_bytes()[0]);
        let more = prefix.len() - 1;
        if more > 0 {
            self.out.resize(self.out.len() + more, 0);
            self.out.copy_within(at..at + length, at + more);
        }
        self.out[at - 1..at + more].copy_from_slice(&prefix);
    }
}

pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

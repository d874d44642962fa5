//! JSON to messages, byte for byte as gogo's encoder writes them: members in the order of their numbers, value fields always, pointers and
//! lists only where there is something.
//!
//! Goes once over the text, without values in between: members are written as they come, and then put into their order. The text must have
//! been checked before; what is of another form than its field is written as the zero of the field.

use smallvec::{SmallVec, smallvec};

use super::super::bytes;
use super::super::json::{Lexer, Start, Syntax, Turn};
use super::super::table::{Field, Form, Shape, Special, Struct, Table, Type};
use super::super::time::{self, Precision};
use super::super::wire::Wire;

/// What the object says of itself.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) api_version: Option<String>,
    pub(super) kind: Option<String>,
}

struct Encoder<'t, 'j, 'o> {
    table: &'t Table,
    lexer: Lexer<'j>,
    out: &'o mut Vec<u8>,
    said: Said,
    level: u32,
}

/// Where each member stands in what is written; nothing when it is absent.
type Spans = SmallVec<[(u32, u32); 48]>;

type Written<T = ()> = Result<T, Syntax>;

/// Appends the message of a JSON object.
pub(super) fn message(table: &Table, members: &Struct, json: &[u8], out: &mut Vec<u8>) -> Written<Said> {
    let mut encoder = Encoder { table, lexer: Lexer::new(json), out, said: Said::default(), level: 0 };
    match encoder.lexer.start()? {
        Start::Object => encoder.members(members)?,
        _ => {
            encoder.lexer.skip()?;
            encoder.out.extend_from_slice(&members.blank);
        }
    }
    encoder.lexer.end()?;
    Ok(encoder.said)
}

/// The message of an object of this type without members. Those of its value fields are made already.
pub(in crate::schema) fn blank(table: &Table, kind: &Type) -> Vec<u8> {
    let mut out = Vec::new();
    if let Form::Struct(members) = &kind.form {
        let mut encoder = Encoder { table, lexer: Lexer::new(b""), out: &mut out, said: Said::default(), level: 0 };
        encoder.arrange(&members.wire, members.fields(), &smallvec![(0, 0); members.fields().len()]);
    }
    out
}

impl Encoder<'_, '_, '_> {
    /// The object that begins here.
    fn members(&mut self, members: &Struct) -> Written {
        let (base, fields) = (self.out.len(), members.fields());
        let mut spans: Spans = smallvec![(0, 0); fields.len()];
        self.level += 1;
        self.lexer.enter()?;
        let (mut turn, mut next) = (Turn::First, 0);
        while let Some(key) = self.lexer.member(turn)? {
            turn = Turn::Next;
            let Some(place) = members.place_from(next, &key) else {
                self.lexer.skip()?;
                continue;
            };
            next = place + 1;
            let start = self.out.len();
            match (fields[place].numbers.last(), self.lexer.start()?) {
                (_, Start::Null) => self.lexer.null()?,
                (Some(number), _) => self.field(*number, &fields[place])?,
                (None, kind) => self.head(&key, kind)?,
            }
            spans[place] = (short(start), short(self.out.len()));
        }
        self.level -= 1;
        let made = self.out.len();
        self.arrange(&members.wire, fields, &spans);
        let length = self.out.len() - made;
        self.out.copy_within(made.., base);
        self.out.truncate(base + length);
        Ok(())
    }

    /// `kind` and `apiVersion` are not in the message.
    fn head(&mut self, key: &str, start: Start) -> Written {
        match (key, start) {
            ("kind", Start::String) if self.level == 1 => self.said.kind = Some(self.lexer.string()?.into_owned()),
            ("apiVersion", Start::String) if self.level == 1 => self.said.api_version = Some(self.lexer.string()?.into_owned()),
            _ => self.lexer.skip()?,
        }
        Ok(())
    }

    /// Appends the members in the order of their numbers.
    fn arrange(&mut self, wire: &[Wire], fields: &[Field], spans: &Spans) {
        for member in wire {
            match member {
                Wire::Field { number, field } => match spans[usize::from(*field)] {
                    (start, end) if start < end => self.out.extend_from_within(start as usize..end as usize),
                    _ => self.absent(*number, &fields[usize::from(*field)]),
                },
                Wire::Inlined { number, members } => {
                    let at = self.open(*number);
                    self.arrange(members, fields, spans);
                    self.close(at);
                }
            }
        }
    }

    fn absent(&mut self, number: u32, field: &Field) {
        match &field.shape {
            Shape::List(_) | Shape::Map(_) | Shape::Bytes => {}
            _ if field.pointer => {}
            shape => self.zero(number, shape),
        }
    }

    /// A member with the zero of its shape.
    fn zero(&mut self, number: u32, shape: &Shape) {
        match shape {
            Shape::String | Shape::Bytes | Shape::List(_) => self.bytes(number, b""),
            Shape::Bool | Shape::Int32 | Shape::Int64 => self.number(number, 0),
            Shape::Double => self.double(number, 0.0),
            Shape::Map(_) => {}
            Shape::Ref(id) => {
                let table = self.table;
                match &table.get(*id).form {
                    Form::Struct(members) => self.bytes(number, &members.blank),
                    Form::Special(Special::Quantity) => self.bytes(number, b"\x0a\x010"),
                    Form::Special(Special::IntOrString) => self.bytes(number, b"\x08\0\x10\0\x1a\0"),
                    Form::Special(Special::SchemaOrBool) => self.bytes(number, b"\x08\0"),
                    Form::Special(_) => self.bytes(number, b""),
                }
            }
        }
    }

    fn field(&mut self, number: u32, field: &Field) -> Written {
        match (&field.shape, self.lexer.start()?) {
            (Shape::List(item), Start::Array) => self.items(number, item),
            (Shape::Map(item), Start::Object) => {
                self.lexer.enter()?;
                let mut turn = Turn::First;
                while let Some(key) = self.lexer.member(turn)? {
                    turn = Turn::Next;
                    let at = self.open(number);
                    self.bytes(1, key.as_bytes());
                    self.value(2, item)?;
                    self.close(at);
                }
                Ok(())
            }
            (Shape::List(_) | Shape::Map(_), _) => self.lexer.skip(),
            (shape, _) => self.value(number, shape),
        }
    }

    fn items(&mut self, number: u32, item: &Shape) -> Written {
        self.lexer.enter()?;
        let mut turn = Turn::First;
        while self.lexer.item(turn)? {
            turn = Turn::Next;
            self.value(number, item)?;
        }
        Ok(())
    }

    /// A value; null is written as the zero of its shape.
    fn value(&mut self, number: u32, shape: &Shape) -> Written {
        match (shape, self.lexer.start()?) {
            (Shape::String, Start::String) => {
                let text = self.lexer.string()?;
                self.bytes(number, text.as_bytes());
            }
            (Shape::Bytes, Start::String) => {
                let text = self.lexer.string()?;
                let at = self.open(number);
                if bytes::append(&text, self.out).is_err() {
                    self.out.truncate(at);
                }
                self.close(at);
            }
            (Shape::Bool, Start::Bool) => {
                let set = self.lexer.bool()?;
                self.number(number, set.into());
            }
            (Shape::Int32 | Shape::Int64, Start::Number) => {
                let value = self.lexer.number()?.parse().unwrap_or_default();
                self.number(number, value);
            }
            (Shape::Double, Start::Number) => {
                let value = self.lexer.number()?.parse().unwrap_or_default();
                self.double(number, value);
            }
            (Shape::List(item), Start::Array) => {
                let at = self.open(number);
                self.items(1, item)?;
                self.close(at);
            }
            (Shape::Ref(id), start) if start != Start::Null => {
                let table = self.table;
                let at = self.open(number);
                match (&table.get(*id).form, start) {
                    (Form::Struct(members), Start::Object) => self.members(members)?,
                    (Form::Struct(members), _) => {
                        self.lexer.skip()?;
                        self.out.extend_from_slice(&members.blank);
                    }
                    (Form::Special(special), _) => self.special(*special, start)?,
                }
                self.close(at);
            }
            _ => {
                self.lexer.skip()?;
                self.zero(number, shape);
            }
        }
        Ok(())
    }

    fn special(&mut self, special: Special, start: Start) -> Written {
        match (special, start) {
            (Special::Time, Start::String) => self.time(Precision::Second),
            (Special::MicroTime, Start::String) => self.time(Precision::Micro),
            (Special::Quantity, Start::String) => {
                let text = self.lexer.string()?;
                self.bytes(1, text.as_bytes());
                Ok(())
            }
            (Special::Quantity, Start::Number) => {
                let text = self.lexer.number()?;
                self.bytes(1, text.as_bytes());
                Ok(())
            }
            (Special::IntOrString, Start::String | Start::Number) => self.int_or_string(start),
            (Special::RawExtension | Special::FieldsV1 | Special::Any, _) => {
                let text = self.lexer.raw()?;
                self.bytes(1, text);
                Ok(())
            }
            (Special::SchemaOrArray | Special::SchemaOrStrings | Special::SchemaOrBool, _) => self.schema(special, start),
            _ => self.lexer.skip(),
        }
    }

    fn int_or_string(&mut self, start: Start) -> Written {
        if start == Start::String {
            let text = self.lexer.string()?;
            self.number(1, 1);
            self.number(2, 0);
            self.bytes(3, text.as_bytes());
        } else {
            let value = self.lexer.number()?.parse().unwrap_or_default();
            self.number(1, 0);
            self.number(2, value);
            self.bytes(3, b"");
        }
        Ok(())
    }

    /// A schema, or what else may stand in its place.
    fn schema(&mut self, special: Special, start: Start) -> Written {
        let Some(schema) = self.table.json_schema_shape() else { return self.lexer.skip() };
        let alone = if special == Special::SchemaOrBool { 2 } else { 1 };
        match start {
            Start::Object => {
                if special == Special::SchemaOrBool {
                    self.number(1, 1);
                }
                self.value(alone, &schema)
            }
            Start::Bool if special == Special::SchemaOrBool => self.value(1, &Shape::Bool),
            Start::Array => self.items(2, if special == Special::SchemaOrStrings { &Shape::String } else { &schema }),
            _ => self.lexer.skip(),
        }
    }

    fn time(&mut self, precision: Precision) -> Written {
        let text = self.lexer.string()?;
        let instant = time::parse(&text, precision).ok();
        if let Some(instant) = instant.filter(|instant| !instant.is_zero()) {
            self.number(1, instant.seconds);
            self.number(2, if precision == Precision::Second { 0 } else { i64::from(instant.nanos / 1000 * 1000) });
        }
        Ok(())
    }

    fn number(&mut self, number: u32, value: i64) {
        tag(self.out, number, 0);
        varint(self.out, value.cast_unsigned());
    }

    fn double(&mut self, number: u32, value: f64) {
        tag(self.out, number, 1);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, number: u32, content: &[u8]) {
        super::protobuf_member(self.out, number, content);
    }

    /// Begins a message; most are shorter than 128 bytes, so one byte is kept for the length.
    fn open(&mut self, number: u32) -> usize {
        tag(self.out, number, 2);
        self.out.push(0);
        self.out.len()
    }

    fn close(&mut self, at: usize) {
        let length = self.out.len() - at;
        if let Ok(short @ ..0x80) = u8::try_from(length) {
            self.out[at - 1] = short;
            return;
        }
        let mut prefix = Vec::with_capacity(5);
        varint(&mut prefix, length as u64);
        let more = prefix.len() - 1;
        self.out.resize(self.out.len() + more, 0);
        self.out.copy_within(at..at + length, at + more);
        self.out[at - 1..at + more].copy_from_slice(&prefix);
    }
}

fn tag(out: &mut Vec<u8>, number: u32, kind: u32) {
    match u8::try_from(number << 3 | kind) {
        Ok(short @ ..0x80) => out.push(short),
        _ => varint(out, u64::from(number << 3 | kind)),
    }
}

pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// What is written is far below 4 GiB: bodies are bounded.
fn short(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

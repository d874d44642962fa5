//! Messages to JSON values. Unknown members are passed over; depth and memory are bounded; nothing is allocated because a length
//! says so.

use serde_json::{Map, Value};

use super::super::bytes;
use super::super::json::{self, ITEM, OBJECT};
use super::super::quantity::Quantity;
use super::super::table::{Field, Form, Shape, Special, Struct, Table};
use super::super::time::{self, Instant, Precision};
use super::super::wire::Wire;
use super::Envelope;
use super::scan::{Content, Fault, Result, Scan, last};

pub(super) struct Decoder<'t> {
    table: &'t Table,
    depth: u16,
    room: usize,
}

pub(super) fn envelope(message: &[u8]) -> Result<Envelope<'_>> {
    let mut envelope = Envelope { api_version: String::new(), kind: String::new(), raw: &[] };
    let mut scan = Scan { rest: message };
    while let Some(member) = scan.next()? {
        match member {
            (1, Content::Bytes(meta)) => {
                let mut scan = Scan { rest: meta };
                while let Some(member) = scan.next()? {
                    match member {
                        (1, Content::Bytes(name)) => envelope.api_version = text(name),
                        (2, Content::Bytes(name)) => envelope.kind = text(name),
                        _ => {}
                    }
                }
            }
            (2, Content::Bytes(raw)) => envelope.raw = raw,
            _ => {}
        }
    }
    Ok(envelope)
}

impl<'t> Decoder<'t> {
    pub(super) fn new(table: &'t Table) -> Self {
        Self { table, depth: 0, room: MAX_MEMORY }
    }

    /// Reads a message into a map that may have members already: a message sent in pieces is one.
    pub(super) fn members(&mut self, members: &Struct, message: &[u8], map: &mut Map<String, Value>) -> Result<()> {
        self.enter(OBJECT)?;
        self.wire(&members.wire, (members.fields(), message), map)?;
        self.depth -= 1;
        Ok(())
    }

    fn wire(&mut self, wire: &[Wire], (fields, message): (&[Field], &[u8]), map: &mut Map<String, Value>) -> Result<()> {
        let mut scan = Scan { rest: message };
        while let Some((number, content)) = scan.next()? {
            let Ok(place) = wire.binary_search_by_key(&number, Wire::number) else { continue };
            match (&wire[place], content) {
                (Wire::Field { field, .. }, content) => self.field(&fields[usize::from(*field)], content, map)?,
                (Wire::Inlined { members, .. }, Content::Bytes(message)) => self.wire(members, (fields, message), map)?,
                (Wire::Inlined { number, .. }, _) => return Err(Fault::Form(number.to_string())),
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &Field, content: Content, map: &mut Map<String, Value>) -> Result<()> {
        let wrong = || Fault::Form(field.name.to_string());
        match &field.shape {
            Shape::List(item) => {
                let list = map.entry(&*field.name).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    self.item(item, content, list, &wrong)?;
                }
            }
            Shape::Map(item) => {
                let Content::Bytes(entry) = content else { return Err(wrong()) };
                let inner = map.entry(&*field.name).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(inner) = inner {
                    self.entry(item, entry, inner)?;
                }
            }
            Shape::Ref(id) => {
                let Content::Bytes(message) = content else { return Err(wrong()) };
                if let Form::Struct(members) = &self.table.get(*id).form {
                    let inner = map.entry(&*field.name).or_insert_with(|| Value::Object(Map::new()));
                    if let Value::Object(inner) = inner {
                        self.members(members, message, inner)?;
                    }
                } else {
                    let value = self.value(&field.shape, content)?.ok_or_else(wrong)?;
                    set(map, field, value);
                }
            }
            shape => {
                let value = self.value(shape, content)?.ok_or_else(wrong)?;
                let absent = !field.pointer && field.shape != Shape::Bytes && is_zero(&value);
                set(map, field, if absent { Value::Null } else { value });
            }
        }
        Ok(())
    }

    /// An item, or several numbers packed into one member.
    fn item(&mut self, shape: &Shape, content: Content, list: &mut Vec<Value>, wrong: &dyn Fn() -> Fault) -> Result<()> {
        match (shape, content) {
            (Shape::Int32 | Shape::Int64 | Shape::Bool, Content::Bytes(packed)) => {
                let mut scan = Scan { rest: packed };
                while !scan.rest.is_empty() {
                    self.spend(ITEM)?;
                    list.extend(self.value(shape, Content::Number(scan.varint()?))?);
                }
            }
            _ => {
                self.spend(ITEM)?;
                list.push(self.value(shape, content)?.ok_or_else(wrong)?);
            }
        }
        Ok(())
    }

    fn entry(&mut self, shape: &Shape, entry: &[u8], map: &mut Map<String, Value>) -> Result<()> {
        self.spend(if map.is_empty() { OBJECT } else { 2 * ITEM })?;
        let (mut key, mut value) = (String::new(), None);
        let mut scan = Scan { rest: entry };
        while let Some(member) = scan.next()? {
            match member {
                (1, Content::Bytes(name)) => key = text(name),
                (2, content) => value = Some(self.value(shape, content)?.ok_or_else(|| Fault::Form("value".to_owned()))?),
                _ => {}
            }
        }
        map.insert(key, value.unwrap_or_else(|| self.table.zero(shape)));
        Ok(())
    }

    /// `None` when the content is of another form than the shape.
    fn value(&mut self, shape: &Shape, content: Content) -> Result<Option<Value>> {
        Ok(Some(match (shape, content) {
            (Shape::String, Content::Bytes(content)) => Value::String(text(content)),
            (Shape::Bytes, Content::Bytes(content)) => Value::String(bytes::encode(content)),
            (Shape::Bool, Content::Number(number)) => Value::Bool(number != 0),
            #[allow(clippy::cast_possible_truncation)]
            (Shape::Int32, Content::Number(number)) => Value::from(number.cast_signed() as i32),
            (Shape::Int64, Content::Number(number)) => Value::from(number.cast_signed()),
            (Shape::Double, Content::Fixed(bits)) => Value::from(f64::from_bits(bits)),
            (Shape::Ref(id), Content::Bytes(message)) => match &self.table.get(*id).form {
                Form::Struct(members) => {
                    let mut map = Map::new();
                    self.members(members, message, &mut map)?;
                    Value::Object(map)
                }
                Form::Special(special) => {
                    self.enter(ITEM)?;
                    let value = self.special(*special, message)?;
                    self.depth -= 1;
                    value
                }
            },
            (Shape::List(item), Content::Bytes(message)) => {
                let mut list = Vec::new();
                let mut scan = Scan { rest: message };
                while let Some(member) = scan.next()? {
                    if let (1, content) = member {
                        self.item(item, content, &mut list, &|| Fault::Form("items".to_owned()))?;
                    }
                }
                // As Go: what has no items is no list.
                if list.is_empty() { Value::Null } else { Value::Array(list) }
            }
            _ => return Ok(None),
        }))
    }

    fn special(&mut self, special: Special, message: &[u8]) -> Result<Value> {
        match special {
            Special::Time => instant(message, Precision::Second),
            Special::MicroTime => instant(message, Precision::Micro),
            Special::Quantity => {
                let text = last(message, 1)?.map_or_else(|| "0".to_owned(), text);
                Quantity::parse(&text).map_err(|why| Fault::Value(why.to_string()))?;
                Ok(Value::String(text))
            }
            Special::IntOrString => int_or_string(message),
            Special::RawExtension | Special::FieldsV1 | Special::Any => match last(message, 1)? {
                None | Some([]) => Ok(Value::Null),
                Some(raw) => json::document_at(raw, 2 * self.depth).map_err(|json::Syntax(why)| Fault::Value(why)),
            },
            Special::SchemaOrArray | Special::SchemaOrBool | Special::SchemaOrStrings => self.schema(special, message),
        }
    }

    fn schema(&mut self, special: Special, message: &[u8]) -> Result<Value> {
        let Some(schema) = self.table.json_schema_shape() else { return Ok(Value::Null) };
        let (mut alone, mut list, mut allows) = (None, Vec::new(), false);
        let mut scan = Scan { rest: message };
        while let Some(member) = scan.next()? {
            match (special, member) {
                (Special::SchemaOrBool, (1, Content::Number(number))) => allows = number != 0,
                (Special::SchemaOrBool, (2, content)) | (_, (1, content)) => alone = self.value(&schema, content)?,
                (Special::SchemaOrStrings, (2, content)) => list.extend(self.value(&Shape::String, content)?),
                (Special::SchemaOrArray, (2, content)) => list.extend(self.value(&schema, content)?),
                _ => {}
            }
        }
        Ok(match (alone, special) {
            (Some(schema), _) => schema,
            (None, Special::SchemaOrBool) => Value::Bool(allows),
            (None, _) if list.is_empty() => Value::Null,
            (None, _) => Value::Array(list),
        })
    }

    fn enter(&mut self, bytes: usize) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::Depth);
        }
        self.spend(bytes)
    }

    fn spend(&mut self, bytes: usize) -> Result<()> {
        self.room = self.room.checked_sub(bytes).ok_or(Fault::Room)?;
        Ok(())
    }
}

fn instant(message: &[u8], precision: Precision) -> Result<Value> {
    if message.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    let mut scan = Scan { rest: message };
    while let Some(member) = scan.next()? {
        match member {
            (1, Content::Number(number)) => seconds = number.cast_signed(),
            (2, Content::Number(number)) => nanos = number.cast_signed(),
            _ => {}
        }
    }
    let seconds = seconds.saturating_add(nanos.div_euclid(1_000_000_000));
    let nanos = u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or_default();
    let instant = Instant { seconds, nanos };
    match instant.printable() {
        _ if instant.is_zero() => Ok(Value::Null),
        true => Ok(Value::String(time::print(instant, precision))),
        false => Err(Fault::Value("Time.MarshalJSON: year outside of range [0,9999]".to_owned())),
    }
}

fn int_or_string(message: &[u8]) -> Result<Value> {
    let (mut kind, mut number, mut string) = (0, 0, String::new());
    let mut scan = Scan { rest: message };
    while let Some(member) = scan.next()? {
        match member {
            (1, Content::Number(value)) => kind = value,
            #[allow(clippy::cast_possible_truncation)]
            (2, Content::Number(value)) => number = value.cast_signed() as i32,
            (3, Content::Bytes(value)) => string = text(value),
            _ => {}
        }
    }
    match kind {
        0 => Ok(number.into()),
        1 => Ok(string.into()),
        _ => Err(Fault::Value("impossible IntOrString.Type".to_owned())),
    }
}

/// A member that is absent again stays away.
fn set(map: &mut Map<String, Value>, field: &Field, value: Value) {
    if value.is_null() {
        map.remove(&*field.name);
    } else {
        map.insert(field.name.to_string(), value);
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_f64() == Some(0.0),
        _ => false,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A message is at most two levels of JSON: what is read here is no deeper than what is read as JSON.
const MAX_DEPTH: u16 = 55;
const MAX_MEMORY: usize = 64 << 20;

//! Reads a JSON body against a type, in one pass: checks types, drops what is unknown, notes faults. The texts are
//! kube-apiserver's.

use std::borrow::Cow;

use serde_json::map::Entry;
use serde_json::{Map, Value};
use smallvec::{SmallVec, smallvec};

use super::json::{ITEM, Lexer, OBJECT, Start, Syntax, Turn, number};
use super::quote::quote;
use super::table::{Field, Form, Shape, Special, Struct, Table, Type};
use super::{ReadError, Reading, Schema, quantity, time};

/// Where a value stands, from the root of the object. Lives on the stack: it is spelt out only when there is a fault.
#[derive(Clone, Copy)]
enum Path<'p> {
    Root,
    Field { parent: &'p Self, owner: &'p Type, name: &'p str },
    Key { parent: &'p Self, key: &'p str },
    Index { parent: &'p Self, index: usize },
}

struct Reader<'t, 'b> {
    table: &'t Table,
    lexer: Lexer<'b>,
    faults: Vec<String>,
    wrong: Option<String>,
    noting: Noting,
}

/// Members with a decoder of their own (schemas in lists) are read without a word, as in Go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Noting {
    Aloud,
    Silent,
}

type Read<T> = Result<T, Syntax>;

/// A JSON body.
pub(super) fn json(schema: &Schema, body: &[u8]) -> Result<Reading, ReadError> {
    let (table, lexer) = (&*schema.table, Lexer::new(body));
    let mut reader = Reader { table, lexer, faults: Vec::new(), wrong: None, noting: Noting::Aloud };
    let value = reader.document(schema.root()).map_err(|Syntax(why)| ReadError::Syntax(why))?;
    match reader.wrong {
        Some(why) => Err(ReadError::Type(why)),
        None => Ok(Reading { value, faults: reader.faults }),
    }
}

/// `apiVersion` and `kind` of a JSON body, empty where it has none. As Go's own decoder looks for them, in whatever case.
pub(super) fn kind(body: &[u8]) -> Result<(String, String), ReadError> {
    let mut found = (String::new(), String::new());
    let wrong = find(body, &mut found).map_err(|Syntax(why)| why);
    match wrong {
        Ok(None) => Ok(found),
        Ok(Some(why)) | Err(why) => Err(ReadError::Syntax(format!("couldn't get version/kind; json parse error: {why}"))),
    }
}

/// The first value of a wrong type is told when all has been read.
fn find(body: &[u8], found: &mut (String, String)) -> Read<Option<String>> {
    let mut lexer = Lexer::new(body);
    let mut wrong = None;
    match lexer.start()? {
        Start::Object => {
            lexer.enter()?;
            let mut turn = Turn::First;
            while let Some(key) = lexer.member(turn)? {
                turn = Turn::Next;
                let name = ["apiVersion", "kind"].into_iter().find(|name| key.eq_ignore_ascii_case(name));
                match (name, lexer.start()?) {
                    (Some("apiVersion"), Start::String) => found.0 = lexer.string()?.into_owned(),
                    (Some(_), Start::String) => found.1 = lexer.string()?.into_owned(),
                    (Some(name), start) if start != Start::Null => {
                        lexer.skip()?;
                        let form = start.go_name();
                        wrong.get_or_insert(format!("json: cannot unmarshal {form} into Go struct field .{name} of type string"));
                    }
                    _ => lexer.skip()?,
                }
            }
        }
        Start::Null => lexer.null()?,
        start => {
            lexer.skip()?;
            wrong = Some(format!("json: cannot unmarshal {} into Go value of type {FIND_KIND}", start.go_name()));
        }
    }
    lexer.end()?;
    Ok(wrong)
}

impl Reader<'_, '_> {
    fn document(&mut self, kind: &Type) -> Read<Value> {
        let value = match self.lexer.start()? {
            Start::Object => self.typed(kind, &Path::Root)?.unwrap_or_default(),
            Start::Null => {
                self.lexer.null()?;
                Value::Object(Map::new())
            }
            other => {
                self.lexer.skip()?;
                self.lexer.end()?;
                return Err(Syntax(format!("json: cannot unmarshal {} into Go value of type {FIND_KIND}", other.go_name())));
            }
        };
        self.lexer.end()?;
        Ok(value)
    }

    /// `None` when it is null, or wrong.
    fn value(&mut self, shape: &Shape, path: &Path) -> Read<Option<Value>> {
        let start = self.lexer.start()?;
        Ok(match (shape, start) {
            (Shape::Ref(id), _) => return self.typed(self.table.get(*id), path),
            (_, Start::Null) => {
                self.lexer.null()?;
                None
            }
            (Shape::String, Start::String) => Some(Value::String(self.lexer.string()?.into_owned())),
            (Shape::Bytes, Start::String) => self.bytes()?,
            (Shape::Bool, Start::Bool) => Some(Value::Bool(self.lexer.bool()?)),
            (Shape::Int32 | Shape::Int64 | Shape::Double, Start::Number) => self.number(shape, path)?,
            (Shape::List(item), Start::Array) => Some(self.list(item, path)?),
            (Shape::Map(item), Start::Object) => Some(self.map(item, path)?),
            _ => self.mismatch(path, &self.table.go_type(shape))?,
        })
    }

    fn typed(&mut self, kind: &Type, path: &Path) -> Read<Option<Value>> {
        match (&kind.form, self.lexer.start()?) {
            (Form::Special(special), _) => self.special(*special, kind, path),
            (Form::Struct(_), Start::Null) => {
                self.lexer.null()?;
                Ok(None)
            }
            (Form::Struct(members), Start::Object) => self.object(kind, members, path).map(Some),
            (Form::Struct(_), _) => self.mismatch(path, kind.go_name()),
        }
    }

    fn object(&mut self, kind: &Type, members: &Struct, path: &Path) -> Read<Value> {
        self.lexer.spend(OBJECT)?;
        self.lexer.enter()?;
        let mut map = Map::new();
        let mut seen: SmallVec<[u64; 2]> = smallvec![0; members.fields().len() / 64 + 1];
        let mut turn = Turn::First;
        while let Some(key) = self.lexer.member(turn)? {
            turn = Turn::Next;
            let Some(place) = members.place(&key) else {
                self.note("unknown", &Path::Key { parent: path, key: &key });
                self.lexer.skip()?;
                continue;
            };
            let field = &members.fields()[place];
            let path = Path::Field { parent: path, owner: kind, name: &field.name };
            if seen[place / 64] & 1 << (place % 64) != 0 {
                self.note("duplicate", &path);
            }
            seen[place / 64] |= 1 << (place % 64);
            self.head(field, &path)?;
            match self.value(&field.shape, &path)? {
                Some(value) => map.insert(key.into_owned(), value),
                None => map.remove(&*key),
            };
        }
        Ok(Value::Object(map))
    }

    /// The kind is looked for before anything is read: a wrong form there is no wrong type, but no document.
    fn head(&mut self, field: &Field, path: &Path) -> Read<()> {
        if let Path::Field { parent: Path::Root, name: "apiVersion" | "kind", .. } = path
            && let start @ (Start::Object | Start::Array | Start::Number | Start::Bool) = self.lexer.start()?
        {
            let found = start.go_name();
            return Err(Syntax(format!("json: cannot unmarshal {found} into Go struct field .{} of type string", field.name)));
        }
        Ok(())
    }

    fn list(&mut self, shape: &Shape, path: &Path) -> Read<Value> {
        self.lexer.enter()?;
        let mut list = Vec::new();
        let mut turn = Turn::First;
        while self.lexer.item(turn)? {
            turn = Turn::Next;
            self.lexer.spend(ITEM)?;
            let item = self.value(shape, &Path::Index { parent: path, index: list.len() })?;
            list.push(item.unwrap_or_else(|| self.table.zero(shape)));
        }
        Ok(Value::Array(list))
    }

    fn map(&mut self, shape: &Shape, path: &Path) -> Read<Value> {
        self.lexer.enter()?;
        let mut map = Map::new();
        let mut turn = Turn::First;
        while let Some(key) = self.lexer.member(turn)? {
            if turn == Turn::First {
                self.lexer.spend(OBJECT)?;
            }
            turn = Turn::Next;
            match map.entry(key) {
                Entry::Vacant(entry) => {
                    let item = self.value(shape, &Path::Key { parent: path, key: entry.key() })?;
                    entry.insert(item.unwrap_or_else(|| self.table.zero(shape)));
                }
                Entry::Occupied(mut entry) => {
                    let key = entry.key().clone();
                    let path = Path::Key { parent: path, key: &key };
                    self.note("duplicate", &path);
                    let item = self.value(shape, &path)?;
                    entry.insert(item.unwrap_or_else(|| self.table.zero(shape)));
                }
            }
        }
        Ok(Value::Object(map))
    }

    fn number(&mut self, shape: &Shape, path: &Path) -> Read<Option<Value>> {
        let text = self.lexer.number()?;
        let value = match shape {
            Shape::Int32 => text.parse::<i32>().ok().map(Value::from),
            Shape::Int64 => text.parse::<i64>().ok().map(Value::from),
            _ => number(text).map(Value::Number),
        };
        if value.is_none() {
            self.wrong_type(&format!("number {text}"), path, &self.table.go_type(shape));
        }
        Ok(value)
    }

    fn bytes(&mut self) -> Read<Option<Value>> {
        let text = self.lexer.string()?;
        Ok(match super::bytes::canonical(text) {
            Ok(text) => Some(Value::String(text.into_owned())),
            Err(at) => self.wrong(format!("illegal base64 data at input byte {at}")),
        })
    }

    fn special(&mut self, special: Special, kind: &Type, path: &Path) -> Read<Option<Value>> {
        let start = self.lexer.start()?;
        if start == Start::Null {
            self.lexer.null()?;
            return Ok(None);
        }
        match (special, start) {
            (Special::RawExtension | Special::FieldsV1 | Special::Any, _) => self.lexer.value().map(Some),
            (Special::Time | Special::MicroTime, Start::String) => {
                let text = self.lexer.string()?;
                let precision = if special == Special::Time { time::Precision::Second } else { time::Precision::Micro };
                Ok(match time::parse(&text, precision) {
                    Ok(_) => Some(Value::String(text.into_owned())),
                    Err(why) => self.wrong(why),
                })
            }
            (Special::Time | Special::MicroTime, _) => self.mismatch(path, "string"),
            (Special::Quantity, _) => self.quantity(start),
            (Special::IntOrString, Start::String) => Ok(Some(Value::String(self.lexer.string()?.into_owned()))),
            (Special::IntOrString, Start::Number) => self.number(&Shape::Int32, path),
            (Special::IntOrString, _) => self.mismatch(path, "int32"),
            (Special::SchemaOrArray | Special::SchemaOrBool | Special::SchemaOrStrings, _) => {
                let outer = std::mem::replace(&mut self.noting, Noting::Silent);
                let value = self.schema(special, start, (kind, path));
                self.noting = outer;
                value
            }
        }
    }

    fn quantity(&mut self, start: Start) -> Read<Option<Value>> {
        let text = match start {
            Start::String => self.lexer.string()?,
            Start::Number => Cow::Borrowed(self.lexer.number()?),
            _ => {
                self.lexer.skip()?;
                Cow::Borrowed("{}")
            }
        };
        let text = text.trim();
        Ok(match quantity::Quantity::parse(text) {
            Ok(_) => Some(Value::String(text.to_owned())),
            Err(why) => self.wrong(why.to_string()),
        })
    }

    /// A schema, or what else may stand in its place.
    fn schema(&mut self, special: Special, start: Start, place: (&Type, &Path)) -> Read<Option<Value>> {
        let (kind, path) = place;
        match (special, start) {
            (_, Start::Object) => match self.table.json_schema() {
                Some(schema) => self.typed(schema, path),
                None => self.lexer.value().map(Some),
            },
            (Special::SchemaOrBool, Start::Bool) => Ok(Some(Value::Bool(self.lexer.bool()?))),
            (Special::SchemaOrArray, Start::Array) => match self.table.json_schema_shape() {
                Some(shape) => self.list(&shape, path).map(Some),
                None => self.lexer.value().map(Some),
            },
            (Special::SchemaOrStrings, Start::Array) => self.list(&Shape::String, path).map(Some),
            (Special::SchemaOrBool, _) => {
                self.lexer.skip()?;
                Ok(self.wrong("boolean or JSON schema expected".to_owned()))
            }
            _ => self.mismatch(path, kind.go_name()),
        }
    }

    fn mismatch(&mut self, path: &Path, wanted: &str) -> Read<Option<Value>> {
        let found = self.lexer.start()?;
        self.lexer.skip()?;
        self.wrong_type(found.go_name(), path, wanted);
        Ok(None)
    }

    fn wrong_type(&mut self, found: &str, path: &Path, wanted: &str) {
        let place = path.go_field().map_or_else(|| "value".to_owned(), |field| format!("struct field {field}"));
        self.wrong(format!("json: cannot unmarshal {found} into Go {place} of type {wanted}"));
    }

    /// The first wrong value is told; the rest is read for its syntax.
    fn wrong(&mut self, why: String) -> Option<Value> {
        self.wrong.get_or_insert(why);
        None
    }

    fn note(&mut self, what: &str, path: &Path) {
        if self.noting == Noting::Silent || self.faults.len() >= MAX_FAULTS {
            return;
        }
        let fault = format!("{what} field {}", quote(&path.spell()));
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

impl Path<'_> {
    /// `spec.containers[0].image`
    fn spell(&self) -> String {
        let (mut text, name) = match self {
            Self::Root => return String::new(),
            Self::Index { parent, index } => return format!("{}[{index}]", parent.spell()),
            Self::Field { parent, name, .. } => (parent.spell(), *name),
            Self::Key { parent, key } => (parent.spell(), *key),
        };
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(name);
        text
    }

    /// `Container.spec.containers.image`: the innermost struct, then the names of all fields. `None` outside of any field.
    fn go_field(&self) -> Option<String> {
        match self {
            Self::Root => None,
            Self::Key { parent, .. } | Self::Index { parent, .. } => parent.go_field(),
            Self::Field { owner, .. } => Some(format!("{}.{}", owner.short_name(), self.names())),
        }
    }

    fn names(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key { parent, .. } | Self::Index { parent, .. } => parent.names(),
            Self::Field { parent, name, .. } => match parent.names() {
                outer if outer.is_empty() => (*name).to_owned(),
                outer => format!("{outer}.{name}"),
            },
        }
    }
}

impl Start {
    fn go_name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Number => "number",
            Self::Bool => "bool",
            Self::Null => "null",
        }
    }
}

/// As kube-apiserver's strict decoder.
const MAX_FAULTS: usize = 100;
/// The type into which Go reads a body first, to learn its kind.
const FIND_KIND: &str = r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;

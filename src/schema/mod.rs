//! Types as data: one engine reads, checks, prunes, normalises, patches and transcodes every kind from a table.
//!
//! Knows the form of objects, not their meaning: rules between fields live in `api/kinds/`.

use std::sync::Arc;

use serde_json::Value;

mod bytes;
mod check;
mod json;
mod load;
mod normalise;
pub mod openapi;
pub mod own;
pub mod patch;
mod plain;
mod protobuf;
pub mod quantity;
mod quote;
mod read;
pub mod table;
pub mod time;
mod wire;
mod write;
mod yaml;

pub use check::{Fault, FaultKind};
pub use protobuf::{MAGIC, TAIL, protobuf_envelope, protobuf_head, protobuf_length, protobuf_member, protobuf_open};
use table::{Field, Gvk, Id, Shape, Table, Type};
pub use write::{html_safe, write};

/// The type of one kind: a cheap handle into the table.
#[derive(Clone, Debug)]
pub struct Schema {
    table: Arc<Table>,
    id: Id,
    gvk: Arc<Gvk>,
}

/// A body read against a type.
#[derive(Debug)]
pub struct Reading {
    /// The object, pruned of unknown fields; of duplicates the last stands.
    pub value: Value,
    /// `unknown field "spec.foo"` and `duplicate field "data.a"`, in order, at most 100.
    pub faults: Vec<String>,
}

/// A configuration to be applied: no object of its type yet.
#[derive(Debug)]
pub struct Configuration {
    /// As it was written, of duplicates the last.
    pub value: Value,
    /// What tells of duplicate keys.
    pub fault: Option<String>,
}

/// Why a body cannot be read. The texts are kube-apiserver's.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bytes are no document of their encoding.
    #[error("{0}")]
    Syntax(String),
    /// A value has the wrong type, like `json: cannot unmarshal number into Go struct field ConfigMap.data of type string`.
    #[error("{0}")]
    Type(String),
}

/// How a request's body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`
    Json,
    /// `application/yaml`
    Yaml,
    /// `application/vnd.kubernetes.protobuf`
    Protobuf,
}

impl Schema {
    /// The built-in type of a group, version and kind.
    pub fn builtin(group: &str, version: &str, kind: &str) -> Option<Self> {
        let (table, gvk) = (load::builtin(), Gvk::new(group, version, kind));
        Some(Self { id: table.kind(&gvk)?, table: table.clone(), gvk: Arc::new(gvk) })
    }

    /// All built-in kinds, sorted.
    pub fn builtins() -> Vec<Gvk> {
        let mut kinds: Vec<Gvk> = load::builtin().kinds().map(|(gvk, _)| gvk.clone()).collect();
        kinds.sort();
        kinds
    }

    /// The table that the type is of.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The type.
    pub fn root(&self) -> &Type {
        self.table.get(self.id)
    }

    /// The API group; empty for the core group.
    pub fn group(&self) -> &str {
        &self.gvk.group
    }

    /// `v1`
    pub fn version(&self) -> &str {
        &self.gvk.version
    }

    /// `Pod`
    pub fn kind(&self) -> &str {
        &self.gvk.kind
    }

    /// Group, version and kind.
    pub fn gvk(&self) -> &Gvk {
        &self.gvk
    }

    /// The field at this path of names. Lists and maps are passed through: `["spec", "containers", "image"]`; a map's key is no
    /// name.
    pub fn field(&self, path: &[&str]) -> Option<&Field> {
        let (last, way) = path.split_last()?;
        let mut kind = self.root();
        for name in way {
            let mut shape = &kind.field(name)?.shape;
            while let Some(item) = shape.item() {
                shape = item;
            }
            let Shape::Ref(id) = shape else { return None };
            kind = self.table.get(*id);
        }
        kind.field(last)
    }

    /// Reads a body: checks types, drops what is unknown, notes faults. Protobuf bodies carry the envelope and have no faults;
    /// one that
    /// names another kind is not read further: the value then is that kind and apiVersion alone.
    /// Presence is as in the body: nothing is defaulted, `null` stands for absent (in lists of structs and strings for their
    /// zero).
    ///
    /// # Errors
    /// [`ReadError`] when the body is not an object of this type at all.
    pub fn read(&self, body: &[u8], encoding: Encoding) -> Result<Reading, ReadError> {
        match encoding {
            Encoding::Json => read::json(self, body),
            Encoding::Yaml => self.read_yaml(body),
            Encoding::Protobuf => self.read_protobuf(body),
        }
    }

    /// Reads a configuration that is to be applied: YAML, and most often JSON, of whatever form. Numbers are as Go has them when it
    /// knows no type.
    ///
    /// # Errors
    /// [`ReadError`] when it is no document, or no object.
    pub fn read_config(&self, body: &[u8]) -> Result<Configuration, ReadError> {
        let plain = body.trim_ascii_start().starts_with(b"{").then(|| read::json(self, body));
        let unique = |reading: &Reading| reading.faults.iter().all(|fault| !fault.starts_with("duplicate"));
        let (mut value, fault) = match plain {
            Some(Ok(reading)) if unique(&reading) => (parse(body)?, None),
            _ => yaml::json(body).map_err(|why| ReadError::Syntax(format!("error converting YAML to JSON: {why}")))?,
        };
        if !value.is_object() && !value.is_null() {
            let form = go_name(&value);
            let why = format!("json: cannot unmarshal {form} into Go value of type map[string]interface {{}}");
            return Err(ReadError::Type(format!("error unmarshaling JSON: while decoding JSON: {why}")));
        }
        whole(&mut value);
        Ok(Configuration { value, fault })
    }

    /// Reads a value as if it had come as a body: what a patch made, for example.
    ///
    /// # Errors
    /// As [`Schema::read`].
    pub fn read_value(&self, value: &Value) -> Result<Reading, ReadError> {
        read::json(self, &write(value))
    }

    /// Brings an object into the one form that Go would print once it was stored: value fields are written, what `omit` says is
    /// left out,
    /// quantities and times are canonical, an empty list that must be written is null.
    pub fn normalise(&self, value: &mut Value) {
        self.table.normalise(&Shape::Ref(self.id), value);
    }

    /// Whether the type has a field at this path of names (lists and maps are passed through).
    pub fn has(&self, path: &[&str]) -> bool {
        self.field(path).is_some()
    }

    /// Most YAML that clients send is JSON: that is read as such, unless YAML would say something else of it.
    fn read_yaml(&self, body: &[u8]) -> Result<Reading, ReadError> {
        if body.trim_ascii_start().starts_with(b"{") {
            match read::json(self, body) {
                Ok(reading) if reading.faults.iter().all(|fault| !fault.starts_with("duplicate")) => return Ok(reading),
                Err(why @ ReadError::Type(_)) => return Err(why),
                _ => {}
            }
        }
        let (value, fault) = yaml::json(body)?;
        let mut reading = self.read_value(&value)?;
        reading.faults.splice(0..0, fault);
        Ok(reading)
    }

    /// Whether this is the type of a kind.
    fn is(&self, api_version: &str, kind: &str) -> bool {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.table.kind(&Gvk::new(group, version, kind)) == Some(self.id)
    }
}

/// Go's name of what a value is in JSON.
fn go_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Go prints a whole float64 without a fraction.
fn whole(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(number) = number.as_f64().and_then(normalise::whole) {
                *value = Value::from(number);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole),
        Value::Object(members) => members.values_mut().for_each(whole),
        _ => {}
    }
}

/// `apiVersion` and `kind` of a body, empty where it has none. To tell whose fault a body is that cannot be read.
///
/// # Errors
/// [`ReadError::Syntax`] when the bytes are no document of their encoding.
pub fn kind_of(body: &[u8], encoding: Encoding) -> Result<(String, String), ReadError> {
    match encoding {
        Encoding::Json => read::kind(body),
        Encoding::Yaml => read::kind(&write(&yaml::json(body)?.0)),
        Encoding::Protobuf => protobuf::kind(body),
    }
}

/// YAML of no type as JSON: bounded in depth, and in what its aliases make of it.
///
/// # Errors
/// [`ReadError::Syntax`], begun with `yaml: `.
pub fn parse_yaml(text: &[u8]) -> Result<Value, ReadError> {
    yaml::json(text).map(|(value, _)| value)
}

/// The YAML form of a JSON document.
///
/// # Errors
/// [`ReadError::Syntax`] when the text is no JSON.
pub fn yaml(json: &[u8]) -> Result<Vec<u8>, ReadError> {
    let mut out = Vec::with_capacity(json.len());
    yaml::print(&parse(json)?, &mut out);
    Ok(out)
}

/// Appends the YAML of a JSON object as an item of a list at the margin.
pub fn yaml_item(json: &[u8], out: &mut Vec<u8>) {
    if let Ok(value) = parse(json) {
        yaml::print_item(&value, out);
    }
}

/// JSON of no type, as Go reads it: bounded in depth and memory.
///
/// # Errors
/// [`ReadError::Syntax`], in Go's words.
pub fn parse(text: &[u8]) -> Result<Value, ReadError> {
    json::document(text).map_err(|json::Syntax(why)| ReadError::Syntax(why))
}

#[cfg(test)]
mod tests;

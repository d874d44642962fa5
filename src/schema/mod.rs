//! Types as data: one engine reads, checks, prunes, normalises, patches and transcodes every kind from a table.
//!
//! Knows the form of objects, not their meaning: rules between fields live in `api/kinds/`.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

mod load;
pub mod openapi;
pub mod patch;
pub mod table;

use table::{Field, Gvk, Id, Shape, Table, Type};

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

    /// Group, version and kind.
    pub fn gvk(&self) -> &Gvk {
        &self.gvk
    }

    /// The field at this path of names. Lists and maps are passed through: `["spec", "containers", "image"]`; a map's key is no name.
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

    /// Reads a body: checks types, drops what is unknown, notes faults. Protobuf bodies carry the envelope and have no faults.
    /// Presence is as in the body: nothing is defaulted, `null` stands for absent.
    ///
    /// # Errors
    /// [`ReadError`] when the body is not an object of this type at all.
    pub fn read(&self, _body: &[u8], _encoding: Encoding) -> Result<Reading, ReadError> {
        todo!()
    }

    /// Brings an object into the one form that Go would print: value fields are written, what `omit` says is left out, quantities and
    /// times are canonical, null items are gone.
    pub fn normalise(&self, _value: &mut Value) {
        todo!()
    }

    /// The protobuf form, with the envelope.
    pub fn protobuf(&self, _value: &Value) -> Bytes {
        todo!()
    }

    /// Whether the type has a field at this path of names (lists and maps are passed through).
    pub fn has(&self, path: &[&str]) -> bool {
        self.field(path).is_some()
    }
}

/// The compact JSON bytes of an object: `kind`, `apiVersion`, `metadata` first, then the other members in order.
pub fn write(_value: &Value) -> Vec<u8> {
    todo!()
}

//! Reads the embedded text of types (its form: `tools/types.py`).
//!
//! The text is ours and a test reads it whole: a line that cannot be read stops the program at its first use.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::table::{Field, Form, Gvk, Id, ListType, MapType, Omit, Patch, Served, Shape, Special, Struct, Table, Type};

/// The built-in types of Kubernetes 1.36.
pub(super) fn builtin() -> &'static Arc<Table> {
    static TABLE: OnceLock<Arc<Table>> = OnceLock::new();
    TABLE.get_or_init(|| Arc::new(load(TYPES).unwrap_or_else(|line| panic!("types.txt: cannot read {line:?}"))))
}

type Names<'a> = HashMap<&'a str, Id>;

/// The error is the line that cannot be read.
fn load(text: &str) -> Result<Table, String> {
    let heads = text.lines().filter(|line| !line.starts_with(' '));
    let names: Names = heads.zip(0..).map(|(line, id)| (word(line).0, Id(id))).collect();
    let mut types: Vec<(Type, Option<Served>)> = Vec::with_capacity(names.len());
    let mut fields = Vec::new();
    for line in text.lines() {
        if let Some(line_of_field) = line.strip_prefix("  ") {
            fields.push(field(line_of_field, &names).ok_or(line)?);
        } else {
            finish(&mut types, &mut fields);
            types.push(head(line).ok_or(line)?);
        }
    }
    finish(&mut types, &mut fields);
    Ok(Table::new(types))
}

fn finish(types: &mut [(Type, Option<Served>)], fields: &mut Vec<Field>) {
    if let Some((Type { form: form @ Form::Struct(_), .. }, _)) = types.last_mut() {
        *form = Form::Struct(Struct::new(std::mem::take(fields)));
    }
}

fn head(line: &str) -> Option<(Type, Option<Served>)> {
    let (name, facts) = word(line);
    let form = Form::Struct(Struct::default());
    let mut kind = Type { name: name.into(), form, atomic: false, union: false };
    let mut served = None;
    for fact in facts.split_whitespace() {
        match fact.split_once('=') {
            Some(("kind", gvk)) => served = Some(served_as(gvk)?),
            // A struct without members.
            Some(("is", "object")) if name.ends_with(".CustomResourceSubresourceStatus") => {}
            Some(("is", _)) => kind.form = Form::Special(special(name)?),
            None if fact == "atomic" => kind.atomic = true,
            None if fact == "union" => kind.union = true,
            _ => return None,
        }
    }
    Some((kind, served))
}

fn served_as(gvk: &str) -> Option<Served> {
    let mut parts = gvk.split('/');
    let (group, version, kind) = (parts.next()?, parts.next()?, parts.next()?);
    Some(if group == "*" { Served::Everywhere(kind.into()) } else { Served::As(Gvk::new(group, version, kind)) })
}

fn special(name: &str) -> Option<Special> {
    Some(match name.rsplit('.').next()? {
        "Time" => Special::Time,
        "MicroTime" => Special::MicroTime,
        "Quantity" => Special::Quantity,
        "IntOrString" => Special::IntOrString,
        "RawExtension" => Special::RawExtension,
        "FieldsV1" => Special::FieldsV1,
        "JSON" | "Patch" => Special::Any,
        "JSONSchemaPropsOrArray" => Special::SchemaOrArray,
        "JSONSchemaPropsOrBool" => Special::SchemaOrBool,
        "JSONSchemaPropsOrStringArray" => Special::SchemaOrStrings,
        _ => return None,
    })
}

fn field(line: &str, names: &Names) -> Option<Field> {
    let (line, values) = match line.split_once(" enum=") {
        Some((line, values)) => (line, serde_json::from_str(values).ok()?),
        None => (line, Vec::new()),
    };
    let (name, rest) = word(line);
    let (said, rest) = word(rest);
    let (numbers, facts) = word(rest);
    let mut field = Field {
        name: name.into(),
        shape: shape(said, names)?,
        numbers: if numbers == "-" { Vec::new() } else { numbers.split('.').map(|n| n.parse().ok()).collect::<Option<_>>()? },
        pointer: false,
        omit: Omit::Never,
        required: false,
        list: None,
        map: None,
        patch: Patch::default(),
        merge_key: None,
        default: None,
        values,
    };
    for fact in facts.split_whitespace() {
        learn(&mut field, fact)?;
    }
    Some(field)
}

fn learn(field: &mut Field, fact: &str) -> Option<()> {
    match fact.split_once('=').unwrap_or((fact, "")) {
        ("*", _) => field.pointer = true,
        ("!", _) => field.required = true,
        ("?", _) => field.omit = Omit::Empty,
        ("?zero", _) => field.omit = Omit::Zero,
        ("list", "atomic") => field.list = Some(ListType::Atomic),
        ("list", "set") => field.list = Some(ListType::Set),
        ("list", keys) => field.list = Some(ListType::Map(keys.strip_prefix("map:")?.split(',').map(Into::into).collect())),
        ("map", "atomic") => field.map = Some(MapType::Atomic),
        ("map", "granular") => field.map = Some(MapType::Granular),
        ("key", key) => field.merge_key = Some(key.into()),
        ("default", json) => field.default = Some(serde_json::from_str(json).ok()?),
        ("patch", strategies) => {
            for strategy in strategies.split(',') {
                match strategy {
                    "merge" => field.patch.merge = true,
                    "retainKeys" => field.patch.retain_keys = true,
                    "replace" => field.patch.replace = true,
                    _ => return None,
                }
            }
        }
        _ => return None,
    }
    Some(())
}

fn shape(said: &str, names: &Names) -> Option<Shape> {
    Some(match said {
        "string" => Shape::String,
        "bytes" => Shape::Bytes,
        "bool" => Shape::Bool,
        "int32" => Shape::Int32,
        "int64" => Shape::Int64,
        "double" => Shape::Double,
        _ if said.starts_with('@') => Shape::Ref(*names.get(&said[1..])?),
        _ if said.starts_with("[]") => Shape::List(Box::new(shape(&said[2..], names)?)),
        _ if said.starts_with("{}") => Shape::Map(Box::new(shape(&said[2..], names)?)),
        _ => return None,
    })
}

/// The first word of a line, and the rest.
fn word(line: &str) -> (&str, &str) {
    line.split_once(' ').unwrap_or((line, ""))
}

const TYPES: &str = include_str!("types.txt");

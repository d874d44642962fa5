//! `components.schemas`: the types that a document refers to, and what these refer to.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::schema::table::{Field, Form, Gvk, Id, ListType, MapType, Omit, Shape, Special, Table, Type};
use crate::schema::{Schema, load};

/// The schemas of one document, as they are asked for.
pub(super) struct Components {
    schemas: Map<String, Value>,
    waiting: Vec<(Arc<Table>, Id)>,
    group_versions: Vec<(Box<str>, Box<str>)>,
}

impl Components {
    pub(super) fn new(group_versions: Vec<(Box<str>, Box<str>)>) -> Self {
        Self { schemas: Map::new(), waiting: Vec::new(), group_versions }
    }

    /// A reference to the type of a kind.
    pub(super) fn kind(&mut self, schema: &Schema) -> Value {
        match schema.table().kind(schema.gvk()) {
            Some(id) => self.reference(schema.table(), id),
            None => json!({"type": "object"}),
        }
    }

    /// A reference to the list of a kind.
    pub(super) fn list(&mut self, schema: &Schema) -> Value {
        let gvk = schema.gvk();
        let list = Gvk::new(&gvk.group, &gvk.version, &format!("{}List", gvk.kind));
        match schema.table().kind(&list) {
            Some(id) => self.reference(schema.table(), id),
            None => json!({"type": "object"}),
        }
    }

    /// A reference to a built-in type by its name without `io.k8s.`.
    pub(super) fn named(&mut self, name: &str) -> Value {
        let table = load::builtin();
        match table.find(name) {
            Some(id) => self.reference(table, id),
            None => json!({"type": "object"}),
        }
    }

    /// All that was referred to.
    pub(super) fn finish(mut self) -> Value {
        let mut kinds: HashMap<*const Table, HashMap<Id, Vec<Gvk>>> = HashMap::new();
        while let Some((table, id)) = self.waiting.pop() {
            let kinds = kinds.entry(Arc::as_ptr(&table)).or_insert_with(|| kinds_of(&table));
            let served = kinds.get(&id).map(Vec::as_slice).unwrap_or_default();
            let schema = self.schema((&table, table.get(id)), served);
            self.schemas.insert(component_name(table.get(id)), schema);
        }
        Value::Object(self.schemas)
    }

    fn reference(&mut self, table: &Arc<Table>, id: Id) -> Value {
        let name = component_name(table.get(id));
        let reference = json!({"$ref": format!("#/components/schemas/{name}")});
        if !self.schemas.contains_key(&name) {
            self.schemas.insert(name, Value::Null);
            self.waiting.push((table.clone(), id));
        }
        reference
    }

    fn schema(&mut self, (table, of): (&Arc<Table>, &Type), served: &[Gvk]) -> Value {
        let members = match &of.form {
            Form::Special(special) => return form(*special),
            Form::Struct(members) => members,
        };
        let mut schema = Map::new();
        let required: Vec<&str> = members.fields().iter().filter(|field| field.required).map(|field| &*field.name).collect();
        let properties: Map<String, Value> =
            members.fields().iter().map(|field| (field.name.to_string(), self.property(table, field))).collect();
        schema.insert("type".into(), "object".into());
        if !properties.is_empty() {
            schema.insert("properties".into(), properties.into());
        }
        if !required.is_empty() {
            schema.insert("required".into(), required.into());
        }
        if of.atomic {
            schema.insert("x-kubernetes-map-type".into(), "atomic".into());
        }
        let everywhere = matches!(of.short_name(), "DeleteOptions" | "WatchEvent") && served.is_empty();
        let served: Vec<Value> = match everywhere {
            true => self.group_versions.iter().map(|(group, version)| kind_json(group, version, of.short_name())).collect(),
            false => served.iter().map(|gvk| kind_json(&gvk.group, &gvk.version, &gvk.kind)).collect(),
        };
        if !served.is_empty() {
            schema.insert(KINDS.into(), served.into());
        }
        schema.into()
    }

    fn property(&mut self, table: &Arc<Table>, field: &Field) -> Value {
        let default = field.default.clone().or_else(|| zero(table, field));
        let mut property = self.shape(table, &field.shape, &field.values);
        if let Some(default) = default {
            set_default(&mut property, default);
        }
        let mut say = |name: &str, value: Value| drop(property.insert(name.to_owned(), value));
        match &field.list {
            Some(ListType::Atomic) => say("x-kubernetes-list-type", "atomic".into()),
            Some(ListType::Set) => say("x-kubernetes-list-type", "set".into()),
            Some(ListType::Map(keys)) => {
                say("x-kubernetes-list-type", "map".into());
                say("x-kubernetes-list-map-keys", keys.iter().map(|key| &**key).collect::<Vec<_>>().into());
            }
            None => {}
        }
        match field.map {
            Some(MapType::Atomic) => say("x-kubernetes-map-type", "atomic".into()),
            Some(MapType::Granular) => say("x-kubernetes-map-type", "granular".into()),
            None => {}
        }
        let patch = [(field.patch.merge, "merge"), (field.patch.retain_keys, "retainKeys"), (field.patch.replace, "replace")];
        let patch: Vec<&str> = patch.iter().filter(|(said, _)| *said).map(|(_, name)| *name).collect();
        if !patch.is_empty() {
            say("x-kubernetes-patch-strategy", patch.join(",").into());
        }
        if let Some(key) = &field.merge_key {
            say("x-kubernetes-patch-merge-key", (**key).into());
        }
        property.into()
    }

    fn shape(&mut self, table: &Arc<Table>, shape: &Shape, values: &[Box<str>]) -> Map<String, Value> {
        let schema = match shape {
            Shape::String => json!({"type": "string"}),
            Shape::Bytes => json!({"type": "string", "format": "byte"}),
            Shape::Bool => json!({"type": "boolean"}),
            Shape::Int32 => json!({"type": "integer", "format": "int32"}),
            Shape::Int64 => json!({"type": "integer", "format": "int64"}),
            Shape::Double => json!({"type": "number", "format": "double"}),
            Shape::Ref(id) => self.reference(table, *id),
            Shape::List(item) => json!({"type": "array", "items": self.item(table, item, values)}),
            Shape::Map(item) => json!({"type": "object", "additionalProperties": self.item(table, item, values)}),
        };
        let mut schema = match schema {
            Value::Object(schema) => schema,
            _ => Map::new(),
        };
        if matches!(shape, Shape::String) && !values.is_empty() {
            schema.insert("enum".into(), values.iter().map(|value| &**value).collect::<Vec<_>>().into());
        }
        schema
    }

    fn item(&mut self, table: &Arc<Table>, shape: &Shape, values: &[Box<str>]) -> Value {
        let mut item = self.shape(table, shape, values);
        if let Some(zero) = zero_of(table, shape) {
            set_default(&mut item, zero);
        }
        item.into()
    }
}

/// Group, version and kind as extensions name them.
pub(super) fn kind_json(group: &str, version: &str, kind: &str) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}

fn kinds_of(table: &Table) -> HashMap<Id, Vec<Gvk>> {
    let mut kinds: HashMap<Id, Vec<Gvk>> = HashMap::new();
    for (gvk, id) in table.kinds() {
        kinds.entry(id).or_default().push(gvk.clone());
    }
    kinds.values_mut().for_each(|served| served.sort_unstable());
    kinds
}

/// `io.k8s.api.core.v1.Pod`; names of custom types stay as they are.
fn component_name(of: &Type) -> String {
    let ours = ["api.", "apimachinery.", "apiextensions-apiserver.", "kube-aggregator."];
    let prefix = if ours.iter().any(|start| of.name.starts_with(start)) { "io.k8s." } else { "" };
    format!("{prefix}{}", of.name)
}

/// What stands for a value field that the client leaves out, where JSON always writes it.
fn zero(table: &Table, field: &Field) -> Option<Value> {
    match &field.shape {
        Shape::Ref(_) if !field.pointer => zero_of(table, &field.shape),
        Shape::List(_) | Shape::Map(_) | Shape::Ref(_) => None,
        shape => zero_of(table, shape).filter(|_| field.omit == Omit::Never && !field.pointer),
    }
}

fn zero_of(table: &Table, shape: &Shape) -> Option<Value> {
    match shape {
        Shape::String => Some("".into()),
        Shape::Bool => Some(false.into()),
        Shape::Int32 | Shape::Int64 | Shape::Double => Some(0.into()),
        Shape::Ref(id) => table.get(*id).members().map(|_| json!({})),
        Shape::Bytes | Shape::List(_) | Shape::Map(_) => None,
    }
}

/// A reference has no neighbours in OpenAPI 3.0: with a default it becomes the only member of `allOf`.
fn set_default(schema: &mut Map<String, Value>, default: Value) {
    if let Some(reference) = schema.remove("$ref") {
        schema.insert("allOf".into(), json!([{ "$ref": reference }]));
    }
    schema.insert("default".into(), default);
}

fn form(special: Special) -> Value {
    match special {
        Special::Time | Special::MicroTime => json!({"type": "string", "format": "date-time"}),
        Special::Quantity => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        Special::IntOrString => json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
        Special::Any | Special::SchemaOrArray | Special::SchemaOrBool | Special::SchemaOrStrings => json!({}),
        _ => json!({"type": "object"}),
    }
}

const KINDS: &str = "x-kubernetes-group-version-kind";

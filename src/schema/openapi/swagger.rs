//! The OpenAPI v2 document: the same types as definitions, as JSON and as the message that clients of that form read (contract 2.7).
//!
//! What they look for in it are the fields of types and which kinds there are; it tells of no paths.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Api;
use super::component::Components;

impl Api {
    /// The document as a value.
    pub fn swagger(&self) -> Value {
        let mut components = Components::new(self.group_versions());
        for resource in &self.resources {
            components.kind(&resource.schema);
            components.list(&resource.schema);
            for subresource in resource.subresources.iter().filter_map(|subresource| subresource.schema.as_ref()) {
                components.kind(subresource);
            }
        }
        for name in ["APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "DeleteOptions", "Status", "WatchEvent"] {
            components.named(&format!("apimachinery.pkg.apis.meta.v1.{name}"));
        }
        let definitions = match components.finish() {
            Value::Object(schemas) => schemas.into_iter().map(|(name, schema)| (name, definition(schema))).collect(),
            _ => Map::new(),
        };
        json!({
            "swagger": "2.0",
            "info": {"title": "Kubernetes", "version": self.version},
            "paths": {},
            "definitions": definitions,
            "securityDefinitions": {"BearerToken": {
                "description": "Bearer Token authentication", "type": "apiKey", "name": "authorization", "in": "header",
            }},
            "security": [{"BearerToken": []}],
        })
    }
}

/// The message `openapi.v2.Document` of the document.
pub fn message(document: &Value) -> Bytes {
    let mut out = Vec::new();
    put(&mut out, 1, text(&document["swagger"]));
    let mut info = Vec::new();
    put(&mut info, 1, text(&document["info"]["title"]));
    put(&mut info, 2, text(&document["info"]["version"]));
    put(&mut out, 2, &info);
    put(&mut out, 8, b"");
    put(&mut out, 9, &named(&document["definitions"]));
    out.into()
}

/// A schema as the second version has it: no `oneOf`, and references without a wrapping.
fn definition(schema: Value) -> Value {
    let Value::Object(members) = schema else { return schema };
    let mut made = Map::new();
    for (name, value) in members {
        match name.as_str() {
            "$ref" => drop(made.insert(name, reference(&value))),
            "allOf" => drop(made.insert("$ref".into(), reference(&value[0]["$ref"]))),
            "oneOf" => drop(made.insert("type".into(), "string".into())),
            "properties" => {
                let properties = value.as_object().cloned().unwrap_or_default();
                let properties: Map<String, Value> =
                    properties.into_iter().map(|(name, schema)| (name, definition(schema))).collect();
                made.insert(name, properties.into());
            }
            "items" | "additionalProperties" => drop(made.insert(name, definition(value))),
            _ => drop(made.insert(name, value)),
        }
    }
    if made.contains_key("$ref") {
        made.remove("default");
    }
    made.into()
}

fn reference(to: &Value) -> Value {
    to.as_str().unwrap_or_default().replace("#/components/schemas/", "#/definitions/").into()
}

/// `NamedSchema`, each in the field 1.
fn named(schemas: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, schema) in schemas.as_object().into_iter().flatten() {
        let mut entry = Vec::new();
        put(&mut entry, 1, name.as_bytes());
        put(&mut entry, 2, &schema_message(schema));
        put(&mut out, 1, &entry);
    }
    out
}

fn schema_message(schema: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in schema.as_object().into_iter().flatten() {
        match name.as_str() {
            "$ref" => put(&mut out, 1, text(value)),
            "format" => put(&mut out, 2, text(value)),
            "default" => put(&mut out, 5, &any(value)),
            "required" => value.as_array().into_iter().flatten().for_each(|name| put(&mut out, 19, text(name))),
            "enum" => value.as_array().into_iter().flatten().for_each(|value| put(&mut out, 20, &any(value))),
            "additionalProperties" => put(&mut out, 21, &boxed(&schema_message(value))),
            "type" => put(&mut out, 22, &boxed(text(value))),
            "items" => put(&mut out, 23, &boxed(&schema_message(value))),
            "properties" => put(&mut out, 25, &named(value)),
            extension if extension.starts_with("x-") => {
                let mut entry = Vec::new();
                put(&mut entry, 1, extension.as_bytes());
                put(&mut entry, 2, &any(value));
                put(&mut out, 31, &entry);
            }
            _ => {}
        }
    }
    out
}

/// A message whose field 1 is this.
fn boxed(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, 1, content);
    out
}

/// `Any`: the value as YAML, which JSON is.
fn any(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, 2, format!("{value}\n").as_bytes());
    out
}

fn text(value: &Value) -> &[u8] {
    value.as_str().unwrap_or_default().as_bytes()
}

/// A field of the kind that has a length.
fn put(out: &mut Vec<u8>, field: usize, content: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, content.len());
    out.extend_from_slice(content);
}

fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        // Seven bits at a time: nothing is lost.
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_those_of_the_second_version() {
        let schema = json!({
            "type": "object",
            "properties": {
                "spec": {"allOf": [{"$ref": "#/components/schemas/a.Spec"}], "default": {}},
                "size": {"oneOf": [{"type": "string"}, {"type": "number"}]},
                "list": {"type": "array", "items": {"$ref": "#/components/schemas/a.Item"}},
            },
        });
        let made = definition(schema);
        let properties = &made["properties"];
        assert_eq!(properties["spec"], json!({"$ref": "#/definitions/a.Spec"}));
        assert_eq!(properties["size"], json!({"type": "string"}));
        assert_eq!(properties["list"]["items"], json!({"$ref": "#/definitions/a.Item"}));
    }

    #[test]
    fn the_message_has_its_fields_in_their_places() {
        let document =
            json!({"swagger": "2.0", "info": {"title": "K", "version": "v"}, "definitions": {"a": {"type": "string"}}});
        let info = b"\x12\x06\x0a\x01K\x12\x01v";
        let definitions = b"\x4a\x12\x0a\x10\x0a\x01a\x12\x0b\xb2\x01\x08\x0a\x06string";
        assert_eq!(message(&document), [&b"\x0a\x032.0"[..], info, b"\x42\x00", definitions].concat());
        let mut long = Vec::new();
        put(&mut long, 31, &[7; 300]);
        assert_eq!(long[..4], [0xfa, 0x01, 0xac, 0x02]);
    }
}

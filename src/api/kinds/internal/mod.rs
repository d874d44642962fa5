//! Objects as kube-apiserver prints them in refusals: its Go structures as JSON, every member in its place, absent ones as Go's zero.
//!
//! The structures are data (`types.txt`); types that are not listed have the form that clients see.

mod diff;

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::api::error::escaped;

/// A structure's members: the name in Go, where the value is in the object, and what it is.
type Type = Vec<(&'static str, &'static str, Form)>;

/// What a member is, and so what stands for it when it is absent.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// As it is; the text when absent, and nothing at all when there is none.
    Plain(Option<&'static str>),
    /// A structure; null when absent if it is behind a pointer.
    One(&'static str, Behind),
    /// A list of structures; null when absent.
    Many(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    Pointer,
    Value,
}

/// How the text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Compact,
    Lines,
}

/// A structure in one line.
pub(super) fn print(name: &str, value: &Value) -> String {
    let mut out = String::new();
    write(name, value, (Layout::Compact, 0), &mut out);
    out
}

/// What has changed of a structure, as a unified diff.
pub(super) fn difference(name: &str, old: &Value, new: &Value) -> String {
    let text = |value: &Value| {
        let mut out = String::new();
        write(name, value, (Layout::Lines, 0), &mut out);
        out
    };
    diff::unified(&text(old), &text(new))
}

fn write(name: &str, value: &Value, (layout, depth): (Layout, usize), out: &mut String) {
    let moved;
    let mut value = value;
    if name == "PodSpec" {
        moved = gathered(value);
        value = &moved;
    }
    let members = TYPES.get(name).map_or(&[][..], Vec::as_slice);
    let mut listing = Listing::open('{', (layout, depth), out);
    for (name, path, form) in members {
        let own = path.split('.').fold(value, |value, member| &value[member]);
        match form {
            Form::Plain(None) if own.is_null() => {}
            Form::Plain(absent) => {
                listing.member(name);
                match absent {
                    Some(absent) if own.is_null() => listing.out.push_str(absent),
                    _ => plain(own, (layout, depth + 1), listing.out),
                }
            }
            Form::One(_, Behind::Pointer) | Form::Many(_) if own.is_null() => {
                listing.member(name);
                listing.out.push_str("null");
            }
            Form::One(kind, _) => {
                listing.member(name);
                write(kind, own, (layout, depth + 1), listing.out);
            }
            Form::Many(kind) => {
                listing.member(name);
                let mut items = Listing::open('[', (layout, depth + 1), listing.out);
                for item in own.as_array().into_iter().flatten() {
                    items.item();
                    write(kind, item, (layout, depth + 2), items.out);
                }
                items.close(']');
            }
        }
    }
    listing.close('}');
}

/// A value in the form that clients see.
fn plain(value: &Value, (layout, depth): (Layout, usize), out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut listing = Listing::open('{', (layout, depth), out);
            for (name, value) in members {
                listing.member(name);
                plain(value, (layout, depth + 1), listing.out);
            }
            listing.close('}');
        }
        Value::Array(items) => {
            let mut listing = Listing::open('[', (layout, depth), out);
            for item in items {
                listing.item();
                plain(item, (layout, depth + 1), listing.out);
            }
            listing.close(']');
        }
        Value::String(text) => out.push_str(&string(text)),
        other => out.push_str(&other.to_string()),
    }
}

/// Members or items between brackets.
struct Listing<'a> {
    layout: Layout,
    depth: usize,
    empty: bool,
    out: &'a mut String,
}

impl<'a> Listing<'a> {
    fn open(bracket: char, (layout, depth): (Layout, usize), out: &'a mut String) -> Self {
        out.push(bracket);
        Self { layout, depth, empty: true, out }
    }

    fn item(&mut self) {
        if !std::mem::replace(&mut self.empty, false) {
            self.out.push(',');
        }
        self.line(self.depth + 1);
    }

    fn member(&mut self, name: &str) {
        self.item();
        self.out.push_str(&string(name));
        self.out.push(':');
        if self.layout == Layout::Lines {
            self.out.push(' ');
        }
    }

    fn close(mut self, bracket: char) {
        if !self.empty {
            self.line(self.depth);
        }
        self.out.push(bracket);
    }

    fn line(&mut self, depth: usize) {
        if self.layout == Layout::Lines {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', depth));
        }
    }
}

/// A JSON string as Go writes it: nothing in it can end a script.
fn string(text: &str) -> String {
    escaped(Value::from(text).to_string())
}

/// What pods share with their node stands with the security context.
fn gathered(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for member in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"] {
        let own = spec[member].take();
        if !own.is_null() {
            spec["securityContext"][member] = own;
        }
    }
    spec
}

fn parse(text: &'static str) -> HashMap<&'static str, Type> {
    let mut types: HashMap<&str, Type> = HashMap::new();
    let mut current = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["=", name] => current = name,
            ["+", name] => {
                let members = types.get(name).cloned().unwrap_or_default();
                types.entry(current).or_default().extend(members);
            }
            [name, path, form] => types.entry(current).or_default().push((name, path, Form::parse(form))),
            _ => panic!("types.txt: {line}"),
        }
    }
    types
}

impl Form {
    fn parse(word: &'static str) -> Self {
        match word {
            "s" => Self::Plain(Some("\"\"")),
            "i" => Self::Plain(Some("0")),
            "b" => Self::Plain(Some("false")),
            "q" => Self::Plain(Some("\"0\"")),
            "n" => Self::Plain(Some("null")),
            "?" => Self::Plain(None),
            _ => match (word.strip_prefix('*'), word.strip_prefix('[')) {
                (Some(kind), _) => Self::One(kind, Behind::Pointer),
                (_, Some(kind)) => Self::Many(kind),
                _ => Self::One(word, Behind::Value),
            },
        }
    }
}

static TYPES: LazyLock<HashMap<&'static str, Type>> =
    LazyLock::new(|| parse(concat!(include_str!("types.txt"), include_str!("cluster.txt"))));

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_type_that_is_named_is_listed() {
        for (name, members) in TYPES.iter() {
            for (member, _, form) in members {
                if let Form::One(kind, _) | Form::Many(kind) = form {
                    assert!(TYPES.contains_key(kind), "{name}.{member}: {kind}");
                }
            }
        }
    }

    #[test]
    fn structures_in_one_line() {
        let port = json!({"containerPort": 80, "protocol": "TCP"});
        let expected = r#"{"Name":"","HostPort":0,"ContainerPort":80,"Protocol":"TCP","HostIP":""}"#;
        assert_eq!(print("ContainerPort", &port), expected);
        let variable = json!({"name": "a", "value": "<&>"});
        assert_eq!(print("EnvVar", &variable), "{\"Name\":\"a\",\"Value\":\"\\u003c\\u0026\\u003e\",\"ValueFrom\":null}");
        let context = print("PodSpec", &json!({"hostNetwork": true, "securityContext": {}}));
        assert!(context.contains(r#""SecurityContext":{"HostNetwork":true,"HostPID":false,"HostIPC":false,"#), "{context}");
    }

    #[test]
    fn differences_of_structures() {
        let old = json!({"name": "a"});
        let new = json!({"name": "b"});
        assert_eq!(
            difference("EnvVar", &old, &new),
            "@@ -1,5 +1,5 @@\n {\n- \"Name\": \"a\",\n+ \"Name\": \"b\",\n  \"Value\": \"\",\n  \"ValueFrom\": null\n }\n"
        );
    }
}

//! The scalars by which items of lists are known, and how Go writes them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::element::BadElement;
use crate::schema::quote::quote;

/// The value of a key or of a set's item.
#[derive(Clone, Debug)]
pub enum Scalar<'a> {
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// true or false.
    Bool(bool),
    /// What should be no key: null, a list, an object.
    Other(Box<Value>),
}

/// What Go escapes in a string besides what JSON must.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    Json,
    /// And `<`, `>`, `&` and the two line separators.
    Html,
}

struct ScalarVisitor;

impl<'a> Scalar<'a> {
    /// From a value of an object.
    pub fn of(value: &'a Value) -> Self {
        match value {
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Number(number) => Self::number(number),
            Value::Bool(set) => Self::Bool(*set),
            other => Self::Other(Box::new(other.clone())),
        }
    }

    pub(super) fn parse(text: &'a str) -> Result<Self, BadElement> {
        let mut reader = serde_json::Deserializer::from_str(text);
        reader.deserialize_any(ScalarVisitor).map_err(|why| BadElement::Invalid(why.to_string()))
    }

    fn number(number: &Number) -> Self {
        number.as_i64().map_or_else(|| Self::float(number.as_f64().unwrap_or_default()), Self::Int)
    }

    fn float(number: f64) -> Self {
        #[allow(clippy::cast_possible_truncation)]
        if number.fract() == 0.0 && number.abs() < 9e15 { Self::Int(number as i64) } else { Self::Float(number) }
    }

    pub(super) fn write(&self, text: &mut String) {
        match self {
            Self::Text(value) => write_string(value, Escape::Html, text),
            Self::Int(number) => text.push_str(itoa::Buffer::new().format(*number)),
            Self::Float(number) => text.push_str(&Value::from(*number).to_string()),
            Self::Bool(set) => text.push_str(if *set { "true" } else { "false" }),
            Self::Other(value) => text.push_str(&value.to_string()),
        }
    }

    pub(super) fn into_owned(self) -> Scalar<'static> {
        match self {
            Self::Int(number) => Scalar::Int(number),
            Self::Float(number) => Scalar::Float(number),
            Self::Text(text) => Scalar::Text(Cow::Owned(text.into_owned())),
            Self::Bool(set) => Scalar::Bool(set),
            Self::Other(value) => Scalar::Other(value),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Int(_) | Self::Float(_) => 0,
            Self::Text(_) => 1,
            Self::Bool(_) => 2,
            Self::Other(_) => 3,
        }
    }
}

impl Ord for Scalar<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        #[allow(clippy::cast_precision_loss)]
        match (self, other) {
            (Self::Int(mine), Self::Int(theirs)) => mine.cmp(theirs),
            (Self::Int(mine), Self::Float(theirs)) => (*mine as f64).total_cmp(theirs),
            (Self::Float(mine), Self::Int(theirs)) => mine.total_cmp(&(*theirs as f64)),
            (Self::Float(mine), Self::Float(theirs)) => mine.total_cmp(theirs),
            (Self::Text(mine), Self::Text(theirs)) => mine.cmp(theirs),
            (Self::Bool(mine), Self::Bool(theirs)) => mine.cmp(theirs),
            (Self::Other(mine), Self::Other(theirs)) => mine.to_string().cmp(&theirs.to_string()),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Scalar<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scalar<'_> {}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(out, "{number}"),
            Self::Float(number) => write!(out, "{number}"),
            Self::Text(text) => out.write_str(&quote(text)),
            Self::Bool(set) => write!(out, "{set}"),
            Self::Other(value) => write!(out, "{value}"),
        }
    }
}

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::number(&number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::float(number))
    }

    fn visit_bool<E>(self, set: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Bool(set))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Other(Box::new(Value::Null)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let object = serde::Deserialize::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(Scalar::Other(Box::new(Value::Object(object))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        let list = serde::Deserialize::deserialize(serde::de::value::SeqAccessDeserializer::new(list))?;
        Ok(Scalar::Other(Box::new(Value::Array(list))))
    }
}

impl<'de> serde::Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(ScalarVisitor)
    }
}

/// Appends a JSON string as Go writes it.
pub(super) fn write_string(value: &str, escape: Escape, text: &mut String) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' if escape == Escape::Html => {
                text.push_str(&format!("\\u{:04x}", character as u32));
            }
            '\0'..='\u{1f}' => text.push_str(&format!("\\u{:04x}", character as u32)),
            _ => text.push(character),
        }
    }
    text.push('"');
}

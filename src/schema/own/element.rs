//! One step of a field's path, and its forms: `f:name`, `k:{"name":"x"}`, `v:"x"`, `i:0` on the wire, `.name`, `[name="x"]`, `[="x"]`, `[0]`
//! in messages.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use super::scalar::{Escape, Scalar, write_string};
use serde::de::{Deserializer, MapAccess, Visitor};

/// How a value selects one of its children. The order is the one of kube-apiserver's sets.
#[derive(Clone, Debug)]
pub enum Element<'a> {
    /// A member of an object.
    Field(Cow<'a, str>),
    /// The item of a list whose key members have these values; sorted by name.
    Key(Box<[(Cow<'a, str>, Scalar<'a>)]>),
    /// The item of a set.
    Value(Scalar<'a>),
    /// The item of a list by its place. Never made here; understood where it is stored.
    Index(i64),
}

/// Why a stored path element is not read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadElement {
    /// Its type is not one of this version: it is passed over.
    #[error("unknown path element type")]
    Unknown,
    /// The whole set is invalid.
    #[error("{0}")]
    Invalid(String),
}

impl<'a> Element<'a> {
    /// Reads the wire form.
    ///
    /// # Errors
    /// [`BadElement`].
    pub fn parse(text: &'a str) -> Result<Self, BadElement> {
        let (kind, rest) = match text.as_bytes() {
            [kind, b':', ..] => (kind, &text[2..]),
            [_, _, ..] => return Err(BadElement::Invalid(format!("missing colon: {text}"))),
            _ => return Err(BadElement::Invalid("key must be 2 characters long:".to_owned())),
        };
        match kind {
            b'f' => Ok(Self::Field(Cow::Borrowed(rest))),
            b'k' => read_key(rest),
            b'v' => Scalar::parse(rest).map(Self::Value),
            b'i' => rest.parse().map(Self::Index).map_err(|why| BadElement::Invalid(why.to_string())),
            _ => Err(BadElement::Unknown),
        }
    }

    /// The wire form.
    pub fn text(&self) -> String {
        match self {
            Self::Field(name) => {
                let mut text = String::with_capacity(name.len() + 2);
                text.push_str("f:");
                text.push_str(name);
                text
            }
            Self::Key(members) => {
                let mut text = String::from("k:{");
                for (place, (name, value)) in members.iter().enumerate() {
                    if place > 0 {
                        text.push(',');
                    }
                    write_string(name, Escape::Json, &mut text);
                    text.push(':');
                    value.write(&mut text);
                }
                text.push('}');
                text
            }
            Self::Value(value) => {
                let mut text = String::from("v:");
                value.write(&mut text);
                text
            }
            Self::Index(place) => format!("i:{place}"),
        }
    }

    /// The element without what it borrows.
    pub fn into_owned(self) -> Element<'static> {
        match self {
            Self::Field(name) => Element::Field(Cow::Owned(name.into_owned())),
            Self::Key(members) => {
                let members = members.into_iter().map(|(name, value)| (Cow::Owned(name.into_owned()), value.into_owned()));
                Element::Key(members.collect())
            }
            Self::Value(value) => Element::Value(value.into_owned()),
            Self::Index(place) => Element::Index(place),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl Ord for Element<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(mine), Self::Field(theirs)) => mine.cmp(theirs),
            (Self::Key(mine), Self::Key(theirs)) => mine.cmp(theirs),
            (Self::Value(mine), Self::Value(theirs)) => mine.cmp(theirs),
            (Self::Index(mine), Self::Index(theirs)) => mine.cmp(theirs),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Element<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Element<'_> {}

impl fmt::Display for Element<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(out, ".{name}"),
            Self::Key(members) => {
                out.write_str("[")?;
                for (place, (name, value)) in members.iter().enumerate() {
                    write!(out, "{}{name}={value}", if place > 0 { "," } else { "" })?;
                }
                out.write_str("]")
            }
            Self::Value(value) => write!(out, "[={value}]"),
            Self::Index(place) => write!(out, "[{place}]"),
        }
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Vec<(Cow<'de, str>, Scalar<'de>)>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object of keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(2);
        while let Some(Text(name)) = map.next_key()? {
            members.push((name, map.next_value::<Scalar<'de>>()?));
        }
        Ok(members)
    }
}

#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn read_key(text: &str) -> Result<Element<'_>, BadElement> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut members = reader.deserialize_map(KeyVisitor).map_err(|why| BadElement::Invalid(why.to_string()))?;
    members.sort_by(|(mine, _), (theirs, _)| mine.cmp(theirs));
    Ok(Element::Key(members.into_boxed_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        for (wire, shown) in [
            ("f:spec", ".spec"),
            ("f:", "."),
            (r#"k:{"name":"x"}"#, r#"[name="x"]"#),
            (r#"k:{"containerPort":80,"protocol":"TCP"}"#, r#"[containerPort=80,protocol="TCP"]"#),
            (r#"k:{"a":true}"#, "[a=true]"),
            (r#"k:{"a":1.5}"#, "[a=1.5]"),
            (r#"k:{"a":null}"#, "[a=null]"),
            (r#"v:"a\u003cb""#, r#"[="a<b"]"#),
            ("v:3", "[=3]"),
            ("i:7", "[7]"),
        ] {
            let element = Element::parse(wire).unwrap();
            assert_eq!(element.text(), wire);
            assert_eq!(element.to_string(), shown);
            assert_eq!(element.clone().into_owned(), element);
        }
        assert_eq!(Element::parse(r#"k:{"b":1,"a":2}"#).unwrap().text(), r#"k:{"a":2,"b":1}"#);
        assert_eq!(Element::parse("v:2.0").unwrap().text(), "v:2");
    }

    #[test]
    fn refuses() {
        assert_eq!(Element::parse("x:1"), Err(BadElement::Unknown));
        for text in ["", "f", "spec", "k:[1]", "k:", "v:", "i:x", "k:{\"a\"}"] {
            assert!(matches!(Element::parse(text), Err(BadElement::Invalid(_))), "{text}");
        }
    }

    #[test]
    fn orders() {
        let sorted = [
            "f:a",
            "f:b",
            r#"k:{"port":80}"#,
            r#"k:{"port":443}"#,
            r#"k:{"port":"a"}"#,
            r#"k:{"port":80,"x":1}"#,
            "v:1",
            "v:1.5",
            "v:2",
            r#"v:"a""#,
            "v:false",
            "v:true",
            "i:0",
            "i:1",
        ];
        let mut elements: Vec<_> = sorted.iter().map(|text| Element::parse(text).unwrap()).collect();
        elements.reverse();
        elements.sort();
        let texts: Vec<_> = elements.iter().map(Element::text).collect();
        // Keys are compared member by member: the shorter of two equal beginnings is first.
        let expected = [
            "f:a",
            "f:b",
            r#"k:{"port":80}"#,
            r#"k:{"port":80,"x":1}"#,
            r#"k:{"port":443}"#,
            r#"k:{"port":"a"}"#,
            "v:1",
            "v:1.5",
            "v:2",
            r#"v:"a""#,
            "v:false",
            "v:true",
            "i:0",
            "i:1",
        ];
        assert_eq!(texts, expected);
    }
}

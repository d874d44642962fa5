//! The text of JSON that Kubernetes keeps as it was written: the `data` of a ControllerRevision.
//!
//! Such data never changes, and kube-apiserver compares it byte by byte. A patch writes the whole object anew, without spaces between
//! tokens: to data that was sent with some, any patch is a change.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::catalog::Kind;
use super::error::FieldError;
use crate::schema::{self, Encoding};

/// Where the text of an object's data comes from in a write.
#[derive(Debug, Default)]
pub(crate) enum Text {
    /// It stays: the write is the server's own.
    #[default]
    Kept,
    /// A patch writes it anew.
    Anew,
    /// A body brings it.
    Sent(Box<str>),
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

impl Text {
    /// The text that a body brings.
    pub(crate) fn sent(kind: &Kind, (body, encoding): (&[u8], Encoding), object: &Value) -> Self {
        if !is_kept(kind) {
            return Self::Kept;
        }
        match of(kind, body).filter(|_| encoding == Encoding::Json) {
            Some(text) => Self::Sent(text.into()),
            None => Self::Sent(String::from_utf8_lossy(&schema::write(&object["data"])).into()),
        }
    }

    /// The text after a write, by what is stored.
    fn after<'t>(&'t self, stored: &'t str) -> Cow<'t, str> {
        match self {
            Self::Kept => Cow::Borrowed(stored),
            Self::Anew => compact(stored),
            Self::Sent(text) => Cow::Borrowed(text),
        }
    }

    /// The fault of an update that changes nothing but the text.
    pub(crate) fn fault(&self, kind: &Kind, stored: &[u8], new: &Value) -> Option<FieldError> {
        let stored = of(kind, stored)?;
        (self.after(stored) != stored).then(|| FieldError::invalid("data", &new["data"], "field is immutable"))
    }

    /// The object to be stored, its data as it was written.
    pub(crate) fn within(&self, kind: &Kind, object: Bytes, stored: Option<&[u8]>) -> Bytes {
        let Some(own) = of(kind, &object) else { return object };
        let text = match (self, stored.and_then(|stored| of(kind, stored))) {
            (Self::Sent(text), _) => Cow::Borrowed(&**text),
            (_, Some(stored)) => self.after(stored),
            (_, None) => return object,
        };
        let start = own.as_ptr() as usize - object.as_ptr() as usize;
        [&object[..start], text.as_bytes(), &object[start + own.len()..]].concat().into()
    }
}

/// Whether a kind has such data.
fn is_kept(kind: &Kind) -> bool {
    (kind.group.as_str(), kind.plural.as_str()) == ("apps", "controllerrevisions")
}

/// The text of the data in an object's JSON; `None` where only its meaning counts.
fn of<'a>(kind: &Kind, json: &'a [u8]) -> Option<&'a str> {
    if !is_kept(kind) {
        return None;
    }
    serde_json::from_slice::<Data<'a>>(json).ok()?.data.map(RawValue::get)
}

/// JSON without the spaces between its tokens.
fn compact(json: &str) -> Cow<'_, str> {
    let (mut quoted, mut escaped) = (false, false);
    let mut stays = |character: char| {
        let inside = quoted;
        match character {
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = quoted && character == '\\' && !escaped;
        inside || !matches!(character, ' ' | '\t' | '\n' | '\r')
    };
    Cow::Owned(json.chars().filter(|character| stays(*character)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_between_tokens_go() {
        for (json, expected) in [
            (r#"{"a": [1, 2] , "b" : "c d"}"#, r#"{"a":[1,2],"b":"c d"}"#),
            (r#"{"a":"\" \\", "b": "x"}"#, r#"{"a":"\" \\","b":"x"}"#),
            ("1", "1"),
        ] {
            assert_eq!(compact(json), expected);
        }
    }
}

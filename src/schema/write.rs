//! Writes an object as compact JSON.

use serde_json::{Map, Value};

/// The compact JSON bytes of an object: `kind`, `apiVersion`, `metadata` first, then the other members in order.
pub fn write(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    match value {
        Value::Object(map) => members(&mut out, map),
        _ => plain(&mut out, value),
    }
    html_safe(out)
}

/// Go escapes what could end a script in HTML. Outside of strings these characters do not occur in JSON.
pub fn html_safe(json: Vec<u8>) -> Vec<u8> {
    let ends = |json: &[u8]| memchr::memchr3(b'<', b'>', b'&', json);
    let separators = memchr::memmem::find(&json, &SEPARATOR).is_some();
    if ends(&json).is_none() && !separators {
        return json;
    }
    let mut safe = Vec::with_capacity(json.len() + json.len() / 16 + 16);
    let mut rest = &json[..];
    while let Some((byte, tail)) = rest.split_first() {
        match (byte, tail) {
            (b'<', _) => safe.extend_from_slice(b"\\u003c"),
            (b'>', _) => safe.extend_from_slice(b"\\u003e"),
            (b'&', _) => safe.extend_from_slice(b"\\u0026"),
            (0xe2, [0x80, last @ (0xa8 | 0xa9), after @ ..]) => {
                safe.extend_from_slice(if *last == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                rest = after;
                continue;
            }
            _ => safe.push(*byte),
        }
        rest = tail;
    }
    safe
}

fn members(out: &mut Vec<u8>, map: &Map<String, Value>) {
    let head = HEAD.iter().filter_map(|name| map.get_key_value(*name));
    let rest = map.iter().filter(|(name, _)| !HEAD.contains(&name.as_str()));
    let mut before = b'{';
    for (name, value) in head.chain(rest) {
        out.push(before);
        before = b',';
        plain(out, name);
        out.push(b':');
        plain(out, value);
    }
    out.extend_from_slice(if before == b'{' { b"{}" } else { b"}" });
}

/// Writing JSON values into memory cannot fail: their keys are strings.
fn plain(out: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok());
}

/// What line and paragraph separators begin with in UTF-8.
const SEPARATOR: [u8; 2] = [0xe2, 0x80];

const HEAD: [&str; 3] = ["kind", "apiVersion", "metadata"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn writes_the_head_first() {
        let rows = [
            (json!({}), "{}"),
            (
                json!({"a": 1, "metadata": {"b": "<\u{e9}>&\u{2028}\u{2029}\u{2014}"}, "kind": "K", "apiVersion": "v1"}),
                "{\"kind\":\"K\",\"apiVersion\":\"v1\",\"metadata\":{\"b\":\"\\u003c\u{e9}\\u003e\\u0026\\u2028\\u2029\u{2014}\"},\"a\":1}",
            ),
            (json!({"spec": null}), r#"{"spec":null}"#),
            (json!([1, "\n"]), r#"[1,"\n"]"#),
        ];
        for (value, text) in rows {
            assert_eq!(String::from_utf8(write(&value)).unwrap(), text);
        }
    }
}

//! Writes an object as compact JSON.

use serde_json::{Map, Value};

/// The compact JSON bytes of an object: `kind`, `apiVersion`, `metadata` first, then the other members in order.
pub fn write(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    match value {
        Value::Object(map) => members(&mut out, map),
        _ => plain(&mut out, value),
    }
    out
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
                json!({"a": 1, "metadata": {"b": "<\u{e9}>"}, "kind": "K", "apiVersion": "v1"}),
                "{\"kind\":\"K\",\"apiVersion\":\"v1\",\"metadata\":{\"b\":\"<\u{e9}>\"},\"a\":1}",
            ),
            (json!({"spec": null}), r#"{"spec":null}"#),
            (json!([1, "\n"]), r#"[1,"\n"]"#),
        ];
        for (value, text) in rows {
            assert_eq!(String::from_utf8(write(&value)).unwrap(), text);
        }
    }
}

//! YAML in and out. A body is turned into JSON before it is read, as kube-apiserver does it; what aliases blow up is bounded.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde_json::{Map, Value};

use super::{ReadError, plain};
use print::Printer;

mod print;
mod scalar;

/// Appends a JSON value as a document.
pub(super) fn print(value: &Value, out: &mut Vec<u8>) {
    Printer::new(out).document(value);
}

/// Appends a JSON value as an item of a list at the margin.
pub(super) fn print_item(value: &Value, out: &mut Vec<u8>) {
    Printer::new(out).item(value);
}

/// The JSON of a document, and the fault that tells of its duplicate keys.
pub(super) fn json(body: &[u8]) -> Result<(Value, Option<String>), ReadError> {
    if flow_work(body) > MAX_FLOW_WORK {
        return Err(ReadError::Syntax("yaml: exceeded max depth".to_owned()));
    }
    let marked = plain::marked(body);
    let body = marked.as_deref().unwrap_or(body);
    let mut limits = Limits { room: MAX_MEMORY, duplicates: Vec::new(), stop_at: usize::MAX };
    let value = limits.read(body).map_err(|why| ReadError::Syntax(format!("yaml: {}", told(&why.to_string()))))?;
    let lines: Vec<_> = (0..limits.duplicates.len()).map(|which| line(body, which)).collect();
    let told: Vec<_> = limits
        .duplicates
        .iter()
        .zip(lines)
        .map(|(key, line)| format!("  line {line}: key {} already set in map", super::quote::quote(key)))
        .collect();
    let fault = (!told.is_empty()).then(|| format!("yaml: unmarshal errors:\n{}", told.join("\n")));
    Ok((value, fault))
}

/// The line of a duplicate key: the parser tells places only in errors, so it is made to fail there.
fn line(body: &[u8], which: usize) -> usize {
    let mut limits = Limits { room: MAX_MEMORY, duplicates: Vec::new(), stop_at: which };
    limits.read(body).err().and_then(|why| why.location()).map_or(0, |place| place.line())
}

/// How many steps the parser may take: at every token it looks at every flow collection that is open, and it tells nobody
/// meanwhile.
///
/// What is open is never more than the brackets seen, less those that a line closes itself where nothing can hide a bracket from
/// the parser.
fn flow_work(body: &[u8]) -> usize {
    let mut open = 0;
    let mut work = 0_usize;
    for line in body.split(|byte| *byte == b'\n' || *byte == b'\r') {
        let hides = line.iter().any(|byte| matches!(byte, b'#' | b'"' | b'\''));
        let mut more = 0_usize;
        for byte in line {
            match byte {
                b'[' | b'{' => more += 1,
                b']' | b'}' if !hides => more = more.saturating_sub(1),
                _ => {}
            }
            work = work.saturating_add(open + more);
        }
        open += more;
    }
    work
}

struct Limits {
    room: usize,
    duplicates: Vec<String>,
    stop_at: usize,
}

struct Any<'l>(&'l mut Limits);

/// A key, and whether the object has it already.
struct Key<'l, 'm>(&'l mut Limits, &'m Map<String, Value>);

impl Limits {
    fn read(&mut self, body: &[u8]) -> Result<Value, serde_yaml::Error> {
        // Of several documents the first is read, and the others are not looked at.
        let first = serde_yaml::Deserializer::from_slice(body).next();
        first.map_or(Ok(Value::Null), |document| Any(self).deserialize(document))
    }

    fn spend<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        self.room = self.room.checked_sub(bytes).ok_or_else(|| E::custom("document contains excessive aliasing"))?;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Any<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("json: unsupported value"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.0.spend(ITEM + value.len())?;
        Ok(plain::unmarked(value).unwrap_or_else(|| value.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = access.next_element_seed(Any(self.0))? {
            self.0.spend(ITEM)?;
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let mut merged = Vec::new();
        while let Some(key) = access.next_key_seed(Key(self.0, &map))? {
            if map.is_empty() {
                self.0.spend(super::json::OBJECT)?;
            }
            let value = access.next_value_seed(Any(self.0))?;
            match (&*key, value) {
                (MERGE, Value::Object(other)) => merged.push(other),
                (MERGE, Value::Array(list)) => merged.extend(list.into_iter().filter_map(object)),
                (_, value) => drop(map.insert(key, value)),
            }
        }
        for (key, value) in merged.into_iter().flatten() {
            map.entry(key).or_insert(value);
        }
        Ok(Value::Object(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        let (IgnoredAny, tagged) = access.variant()?;
        tagged.newtype_variant_seed(self)
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = String;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_, '_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar as map key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        let key = match plain::unmarked(key) {
            None => Cow::Borrowed(key),
            Some(Value::String(key)) => Cow::Owned(key),
            Some(other) => Cow::Owned(other.to_string()),
        };
        let key = &*key;
        if self.1.contains_key(key) && self.0.duplicates.len() < MAX_DUPLICATES {
            if self.0.duplicates.len() == self.0.stop_at {
                return Err(E::custom("duplicate key"));
            }
            self.0.duplicates.push(key.to_owned());
        }
        Ok(key.to_owned())
    }
}

/// An error of the parser in the words of Go's, which is the same parser: `line 2: mapping values are not allowed in this context`.
fn told(why: &str) -> String {
    let (problem, context) = match why.split_once(", while ") {
        Some((problem, context)) => (problem, Some(context)),
        None => (why, None),
    };
    let place = |text: &str| -> Option<(usize, usize)> {
        let at = text.rfind(" at line ")?;
        let line: usize = text[at..].split(' ').nth(3)?.parse().ok()?;
        Some((at, line.saturating_sub(1)))
    };
    let Some((end, line)) = place(problem) else { return why.to_owned() };
    let line = context.and_then(place).map(|(_, line)| line).filter(|line| *line != 0).unwrap_or(line);
    let problem = &problem[..end];
    let parsed =
        ["did not find expected key", "did not find expected '-'", "did not find expected ','", "did not find expected node"];
    let scanned = usize::from(!parsed.iter().any(|head| problem.starts_with(head)));
    if line == 0 { problem.to_owned() } else { format!("line {}: {problem}", line + scanned) }
}

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

/// Half a second or less.
const MAX_FLOW_WORK: usize = 2_000_000_000;
const MERGE: &str = "<<";
const ITEM: usize = 40;
const MAX_MEMORY: usize = 64 << 20;
const MAX_DUPLICATES: usize = 10;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;

    #[test]
    fn reads() {
        let rows = [
            ("a: 1\nb: [x, 2.5, null, true]\n", json!({"a": 1, "b": ["x", 2.5, null, true]})),
            ("1: a\ntrue: b\n", json!({"1": "a", "true": "b"})),
            ("x: &x {a: 1, b: 2}\nz: {<<: *x, b: 3}\n", json!({"x": {"a": 1, "b": 2}, "z": {"a": 1, "b": 3}})),
            ("a: !thing b\n", json!({"a": "b"})),
            ("---\na: 1\n---\nb: [\n", json!({"a": 1})),
            ("t: 2020-01-01T00:00:00Z\n", json!({"t": "2020-01-01T00:00:00Z"})),
            ("", Value::Null),
            ("Y: {no: \"no\", a: 'y', b: [on, \" y\"]}\n", json!({"true": {"false": "no", "a": "y", "b": [true, " y"]}})),
            (
                "a: 0644\nb: \"0644\"\nc: y # no\nd: |-\n  y\ne: !!str y\nf: y or n\n",
                json!({"a": 420, "b": "0644", "c": true, "d": "y", "e": "y", "f": "y or n"}),
            ),
        ];
        for (text, value) in rows {
            assert_eq!(json(text.as_bytes()).unwrap(), (value, None), "{text}");
        }
    }

    #[test]
    fn tells_errors_as_go_does() {
        for (text, expected) in [
            ("a: b: c\n", "yaml: mapping values are not allowed in this context"),
            ("x: 1\na: b: c\n", "yaml: line 2: mapping values are not allowed in this context"),
            ("x: 1\na: [1, 2\nb: 3\n", "yaml: line 1: did not find expected ',' or ']'"),
            ("a:\n\tb: 1\n", "yaml: line 2: found character that cannot start any token"),
        ] {
            assert_eq!(json(text.as_bytes()).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn tells_of_duplicates_with_their_lines() {
        let (value, fault) = json(b"a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2\n").unwrap();
        assert_eq!(value, json!({"a": 2, "b": {"c": 3, "d": 2}}));
        let wanted = "yaml: unmarshal errors:\n  line 5: key \"c\" already set in map\n  line 6: key \"a\" already set in map";
        assert_eq!(fault.as_deref(), Some(wanted));
    }

    #[test]
    fn bombs_are_refused_at_once() {
        let mut aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let list = vec![format!("*a{}", n - 1); 10].join(", ");
            aliases.push_str(&format!("a{n}: &a{n} [{list}]\n"));
        }
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), vec!["*a"; 1000].join(", "));
        let rows = [
            aliases,
            long,
            "[".repeat(1 << 20),
            "[".repeat(60_000),
            "[#]\n".repeat(1 << 18),
            "[\"]\",".repeat(1 << 18),
            "a: \"\n]\n\"\n".to_owned() + &"[#]\n]".repeat(1 << 18),
            "{a: ".repeat(1 << 19),
            "- ".repeat(1 << 19),
            format!("{}x", "? ".repeat(1 << 19)),
        ];
        for text in rows {
            let start = Instant::now();
            let name: String = text.chars().take(20).collect();
            assert!(json(text.as_bytes()).is_err(), "{name}");
            assert!(start.elapsed() < Duration::from_secs(4), "{name} {:?}", start.elapsed());
        }
    }
}

//! Prints YAML as kube-apiserver does: block style, sorted keys, lines of eighty columns, quotes only where they are needed.
//!
//! Follows libyaml's emitter, as Go's port of it has it; knows no types. What can be written plainly is told by [`super::scalar`].

use serde_json::{Map, Number, Value};

use super::scalar::{self, Scalar};

/// Where on the line the printer stands.
pub(super) struct Printer<'o> {
    out: &'o mut Vec<u8>,
    column: usize,
    /// The last thing written was white space, or an indicator that needs none after it.
    whitespace: bool,
    /// Nothing but indentation and indicators stand on the line.
    indention: bool,
}

/// Where a scalar stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Key,
    Value,
}

impl<'o> Printer<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, column: 0, whitespace: true, indention: true }
    }

    /// A document.
    pub(super) fn document(&mut self, value: &Value) {
        match value {
            Value::Object(map) if !map.is_empty() => self.map(map, 0),
            Value::Array(list) if !list.is_empty() => self.list(list, 0),
            _ => self.value(value, 0),
        }
        self.end();
    }

    /// An item of a list at the margin.
    pub(super) fn item(&mut self, value: &Value) {
        self.list(std::slice::from_ref(value), 0);
        self.end();
    }

    fn end(&mut self) {
        if self.column > 0 {
            self.line();
        }
    }

    fn map(&mut self, map: &Map<String, Value>, indent: usize) {
        for (key, value) in scalar::sorted(map) {
            self.indent(indent);
            if scalar::is_simple_key(key) {
                self.text(key, Place::Key, indent + STEP);
                self.indicator(b":", Mark::Tight);
            } else {
                self.indicator(b"?", Mark::Open);
                self.text(key, Place::Value, indent + STEP);
                self.indent(indent);
                self.indicator(b":", Mark::Open);
            }
            match value {
                // Within a map, a list stands at the map's own margin.
                Value::Array(list) if !list.is_empty() => self.list(list, indent),
                value => self.value(value, indent),
            }
        }
    }

    fn list(&mut self, list: &[Value], indent: usize) {
        for value in list {
            self.indent(indent);
            self.indicator(b"-", Mark::Open);
            match value {
                Value::Array(inner) if !inner.is_empty() => self.list(inner, indent + STEP),
                value => self.value(value, indent),
            }
        }
    }

    /// A value within something at `indent`.
    fn value(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Object(map) if map.is_empty() => self.word("{}"),
            Value::Object(map) => self.map(map, indent + STEP),
            Value::Array(list) if list.is_empty() => self.word("[]"),
            Value::Array(list) => self.list(list, indent + STEP),
            Value::String(text) => self.text(text, Place::Value, indent + STEP),
            Value::Number(number) => self.word(&printed(number)),
            Value::Bool(set) => self.word(if *set { "true" } else { "false" }),
            Value::Null => self.word("null"),
        }
    }

    fn text(&mut self, text: &str, place: Place, indent: usize) {
        match Scalar::of(text, place == Place::Key) {
            Scalar::Plain => {
                if !text.is_empty() {
                    self.space();
                }
                self.flow(text, (place, indent), Quote::None);
                self.whitespace &= text.is_empty();
                self.indention = false;
            }
            Scalar::Single => {
                self.indicator(b"'", Mark::Quote);
                self.flow(text, (place, indent), Quote::Single);
                self.indicator(b"'", Mark::Tight);
            }
            Scalar::Double => {
                self.indicator(b"\"", Mark::Quote);
                self.escaped(text, (place, indent));
                self.indicator(b"\"", Mark::Tight);
            }
            Scalar::Literal => self.literal(text, indent),
        }
    }

    /// Text without escapes, folded at single spaces.
    fn flow(&mut self, text: &str, (place, indent): (Place, usize), quote: Quote) {
        let (mut spaces, mut breaks) = (false, false);
        let mut rest = text.chars().enumerate().peekable();
        let last = text.chars().count().saturating_sub(1);
        while let Some((at, character)) = rest.next() {
            if character == ' ' {
                let single = !spaces && rest.peek().is_none_or(|(_, next)| *next != ' ');
                let inside = quote == Quote::None || (at > 0 && at < last);
                if place == Place::Value && single && inside && self.column > WIDTH {
                    self.indent(indent);
                } else {
                    self.put(character);
                }
                spaces = true;
            } else if scalar::is_break(character) {
                if !breaks && character == '\n' {
                    self.line();
                }
                self.put_break(character);
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                if character == '\'' && quote == Quote::Single {
                    self.put('\'');
                }
                self.put(character);
                self.indention = false;
                (spaces, breaks) = (false, false);
            }
        }
    }

    fn escaped(&mut self, text: &str, (place, indent): (Place, usize)) {
        let mut spaces = false;
        let mut rest = text.chars().enumerate().peekable();
        let last = text.chars().count().saturating_sub(1);
        while let Some((at, character)) = rest.next() {
            if scalar::needs_escape(character) {
                self.write(&scalar::escape(character));
                spaces = false;
            } else if character == ' ' {
                if place == Place::Value && !spaces && self.column > WIDTH && at > 0 && at < last {
                    self.indent(indent);
                    if rest.peek().is_some_and(|(_, next)| *next == ' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(character);
                }
                spaces = true;
            } else {
                self.put(character);
                spaces = false;
            }
        }
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.indicator(b"|", Mark::Quote);
        if text.starts_with(' ') || text.starts_with(scalar::is_break) {
            self.indicator(b"2", Mark::Tight);
        }
        let mut ends = text.chars().rev();
        match (ends.next().is_some_and(scalar::is_break), ends.next().is_none_or(scalar::is_break)) {
            (false, _) => self.indicator(b"-", Mark::Tight),
            (true, true) => self.indicator(b"+", Mark::Tight),
            (true, false) => {}
        }
        self.line();
        self.whitespace = true;
        let mut breaks = true;
        for character in text.chars() {
            if scalar::is_break(character) {
                self.put_break(character);
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                self.put(character);
                self.indention = false;
                breaks = false;
            }
        }
    }

    /// A new line, unless this one still is nothing but indentation, and the margin.
    fn indent(&mut self, indent: usize) {
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn indicator(&mut self, text: &[u8], mark: Mark) {
        if mark != Mark::Tight {
            self.space();
        }
        self.out.extend_from_slice(text);
        self.column += text.len();
        self.whitespace = false;
        self.indention &= mark == Mark::Open;
    }

    fn space(&mut self) {
        if !self.whitespace {
            self.put(' ');
        }
    }

    fn word(&mut self, word: &str) {
        self.space();
        self.write(word);
        self.whitespace = false;
        self.indention = false;
    }

    fn write(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
        self.column += text.len();
    }

    fn put(&mut self, character: char) {
        self.out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        self.column += 1;
    }

    fn put_break(&mut self, character: char) {
        if character == '\n' {
            return self.line();
        }
        self.put(character);
        self.column = 0;
        self.indention = true;
    }

    fn line(&mut self) {
        self.out.push(b'\n');
        self.column = 0;
        self.indention = true;
    }
}

/// What stands around an indicator.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// A space before it; something may follow on the line as if it were indented.
    Open,
    /// A space before it.
    Quote,
    /// Nothing.
    Tight,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Single,
}

/// As Go prints a float64 in its shortest form.
fn printed(number: &Number) -> String {
    if number.is_i64() || number.is_u64() {
        return number.to_string();
    }
    let value = number.as_f64().unwrap_or_default();
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    format!("{value}")
}

/// Spaces of one level.
const STEP: usize = 2;
/// Columns after which lines are folded.
const WIDTH: usize = 80;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn looks_like_kube_apiservers() {
        let long = "word ".repeat(20).trim_end().to_owned();
        let rows = [
            (json!({}), "{}\n"),
            (json!({"b": 1, "a": [], "c": {}, "d": null, "e": true}), "a: []\nb: 1\nc: {}\nd: null\ne: true\n"),
            (json!({"a": {"b": {"c": "x"}}}), "a:\n  b:\n    c: x\n"),
            (json!({"a": [{"b": 1, "c": [1, 2]}, "x", [3]]}), "a:\n- b: 1\n  c:\n  - 1\n  - 2\n- x\n- - 3\n"),
            (json!({"a": "x\ny\n", "b": ["p\nq"]}), "a: |\n  x\n  y\nb:\n- |-\n  p\n  q\n"),
            (json!({"a": "\n", "b": " x\ny\n\n"}), "a: |2+\n\nb: |2+\n   x\n  y\n\n"),
            (json!({"a": "1", "b": "true", "c": "", "d": "it's: x"}), "a: \"1\"\nb: \"true\"\nc: \"\"\nd: 'it''s: x'\n"),
            (json!({"n": 1.5, "m": 1e21, "o": 1234567.5, "p": 1e-7}), "m: 1e+21\n\"n\": 1.5\no: 1.2345675e+06\np: 1e-07\n"),
            (json!({"f:a": {".": {}}, "k:{\"name\":\"a\"}": {}}), "f:a:\n  .: {}\nk:{\"name\":\"a\"}: {}\n"),
            (json!({"t": "a\tb"}), "t: \"a\\tb\"\n"),
            (json!({"k".repeat(129): 1}), &format!("? {}\n: 1\n", "k".repeat(129))),
            (json!({ "a": long }), &format!("a: {}\n  {}\n", ["word"; 16].join(" "), ["word"; 4].join(" "))),
        ];
        for (value, text) in rows {
            let mut out = Vec::new();
            Printer::new(&mut out).document(&value);
            assert_eq!(String::from_utf8(out).unwrap(), text, "{value}");
        }
    }
}

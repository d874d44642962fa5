//! Reads JSON as Go does, piece by piece.
//!
//! Clients match the texts of syntax errors, quantities need a number's own text, and Go takes what strict parsers refuse (bytes
//! that are
//! no UTF-8, lone surrogates): so this reader is ours. Knows nothing of types. Depth and memory are bounded.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use super::quote::quoted;

/// A place in a document.
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    depth: u16,
    room: usize,
}

/// What a value begins as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

/// Whether a member or an item was read before in the same object or list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    First,
    Next,
}

/// Why the bytes are no document, in Go's words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Syntax(pub(super) String);

type Result<T> = std::result::Result<T, Syntax>;

/// The whole document as one value.
pub(super) fn document(text: &[u8]) -> Result<Value> {
    document_at(text, 0)
}

/// A document within another, which is so deep already.
pub(super) fn document_at(text: &[u8], depth: u16) -> Result<Value> {
    let mut lexer = Lexer { depth, ..Lexer::new(text) };
    let value = lexer.value()?;
    lexer.end()?;
    Ok(value)
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, depth: 0, room: MAX_MEMORY }
    }

    /// What the next value is. Nothing of it is taken.
    pub(super) fn start(&mut self) -> Result<Start> {
        match self.peek() {
            Some(b'{') => Ok(Start::Object),
            Some(b'[') => Ok(Start::Array),
            Some(b'"') => Ok(Start::String),
            Some(b'-' | b'0'..=b'9') => Ok(Start::Number),
            Some(b't' | b'f') => Ok(Start::Bool),
            Some(b'n') => Ok(Start::Null),
            _ => Err(self.unexpected("looking for beginning of value")),
        }
    }

    /// Enters the object or list that begins here.
    pub(super) fn enter(&mut self) -> Result<()> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Syntax("exceeded max depth".to_owned())) } else { Ok(()) }
    }

    /// The key of the next member, its colon taken; `None` when the object ends here.
    pub(super) fn member(&mut self, turn: Turn) -> Result<Option<Cow<'a, str>>> {
        match (self.peek(), turn) {
            (Some(b'}'), _) => {
                self.leave();
                return Ok(None);
            }
            (Some(b','), Turn::Next) => self.at += 1,
            (_, Turn::Next) => return Err(self.unexpected("after object key:value pair")),
            (_, Turn::First) => {}
        }
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("looking for beginning of object key string"));
        }
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.unexpected("after object key"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Whether another item follows.
    pub(super) fn item(&mut self, turn: Turn) -> Result<bool> {
        match (self.peek(), turn) {
            (Some(b']'), _) => {
                self.leave();
                Ok(false)
            }
            (Some(b','), Turn::Next) => {
                self.at += 1;
                Ok(true)
            }
            (_, Turn::Next) => Err(self.unexpected("after array element")),
            (_, Turn::First) => Ok(true),
        }
    }

    /// The string that begins here.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>> {
        self.at += 1;
        let start = self.at;
        self.plain();
        if self.text.get(self.at) == Some(&b'"') {
            let bytes = &self.text[start..self.at];
            self.at += 1;
            return Ok(utf8(bytes));
        }
        let mut text = utf8(&self.text[start..self.at]).into_owned();
        loop {
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                Some(0x20..) => {
                    let start = self.at;
                    self.plain();
                    text.push_str(&utf8(&self.text[start..self.at]));
                }
                _ => return Err(self.unexpected("in string literal")),
            }
        }
    }

    /// The text of the number that begins here.
    pub(super) fn number(&mut self) -> Result<&'a str> {
        let start = self.at;
        self.at += usize::from(self.text[self.at] == b'-');
        match self.text.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.unexpected("in numeric literal")),
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits("after decimal point in numeric literal")?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.text.get(self.at), Some(b'+' | b'-')));
            self.some_digits("in exponent of numeric literal")?;
        }
        std::str::from_utf8(&self.text[start..self.at]).map_err(|_| self.unexpected("in numeric literal"))
    }

    /// `true` or `false`.
    pub(super) fn bool(&mut self) -> Result<bool> {
        let word = if self.text[self.at] == b't' { "true" } else { "false" };
        self.literal(word)?;
        Ok(word == "true")
    }

    /// `null`
    pub(super) fn null(&mut self) -> Result<()> {
        self.literal("null")
    }

    /// Passes over the value that follows.
    pub(super) fn skip(&mut self) -> Result<()> {
        match self.start()? {
            Start::Object => {
                self.enter()?;
                let mut turn = Turn::First;
                while self.member(turn)?.is_some() {
                    self.skip()?;
                    turn = Turn::Next;
                }
                Ok(())
            }
            Start::Array => {
                self.enter()?;
                let mut turn = Turn::First;
                while self.item(turn)? {
                    self.skip()?;
                    turn = Turn::Next;
                }
                Ok(())
            }
            Start::String => self.string().map(drop),
            Start::Number => self.number().map(drop),
            Start::Bool => self.bool().map(drop),
            Start::Null => self.null(),
        }
    }

    /// The text of the value that follows.
    pub(super) fn raw(&mut self) -> Result<&'a [u8]> {
        self.start()?;
        let start = self.at;
        self.skip()?;
        Ok(&self.text[start..self.at])
    }

    /// The value that follows, of whatever kind. Of duplicate keys the last stands.
    pub(super) fn value(&mut self) -> Result<Value> {
        Ok(match self.start()? {
            Start::Object => {
                self.enter()?;
                let mut map = Map::new();
                let mut turn = Turn::First;
                while let Some(key) = self.member(turn)? {
                    if turn == Turn::First {
                        self.spend(OBJECT)?;
                    }
                    map.insert(key.into_owned(), self.value()?);
                    turn = Turn::Next;
                }
                Value::Object(map)
            }
            Start::Array => {
                self.enter()?;
                let mut list = Vec::new();
                let mut turn = Turn::First;
                while self.item(turn)? {
                    self.spend(ITEM)?;
                    list.push(self.value()?);
                    turn = Turn::Next;
                }
                Value::Array(list)
            }
            Start::String => Value::String(self.string()?.into_owned()),
            Start::Number => {
                let text = self.number()?;
                Value::Number(number(text).ok_or_else(|| out_of_range(text))?)
            }
            Start::Bool => Value::Bool(self.bool()?),
            Start::Null => {
                self.null()?;
                Value::Null
            }
        })
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("after top-level value")),
        }
    }

    /// Takes memory from what one document may use.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<()> {
        self.room = self.room.checked_sub(bytes).ok_or_else(|| Syntax(TOO_MANY.to_owned()))?;
        Ok(())
    }

    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    fn leave(&mut self) {
        self.at += 1;
        self.depth -= 1;
    }

    fn plain(&mut self) {
        let (words, rest) = self.text[self.at..].as_chunks::<8>();
        for word in words {
            let marks = ends(u64::from_le_bytes(*word));
            if marks != 0 {
                self.at += marks.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        let plain = rest.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\');
        self.at += plain.unwrap_or(rest.len());
    }

    fn escape(&mut self) -> Result<char> {
        let plain = match self.text.get(self.at) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.unexpected("in string escape code")),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode(&mut self) -> Result<char> {
        self.at += 1;
        let first = self.hex()?;
        if let Some(plain) = char::from_u32(first) {
            return Ok(plain);
        }
        // A surrogate: half of a pair, or replaced, and then what follows stands for itself.
        let after = self.at;
        if first < 0xdc00 && self.text[self.at..].starts_with(b"\\u") {
            self.at += 2;
            let second = self.hex()?;
            if (0xdc00..0xe000).contains(&second) {
                return Ok(
                    char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).unwrap_or(char::REPLACEMENT_CHARACTER)
                );
            }
            self.at = after;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Result<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.text.get(self.at).and_then(|byte| char::from(*byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.unexpected("in \\u hexadecimal character escape"))?;
            self.at += 1;
        }
        Ok(code)
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self, wanted: &str) -> Result<()> {
        let start = self.at;
        self.digits();
        if self.at == start { Err(self.unexpected(wanted)) } else { Ok(()) }
    }

    fn literal(&mut self, word: &str) -> Result<()> {
        for expected in word.bytes() {
            if self.text.get(self.at) != Some(&expected) {
                return Err(self.unexpected(&format!("in literal {word} (expecting {})", quoted(expected))));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn unexpected(&self, place: &str) -> Syntax {
        Syntax(match self.text.get(self.at) {
            Some(byte) => format!("invalid character {} {place}", quoted(*byte)),
            None => "unexpected end of JSON input".to_owned(),
        })
    }
}

/// The high bit of the first byte among eight that ends a plain stretch of a string: a quote, a backslash, a control character. Bits above
/// it say nothing.
fn ends(word: u64) -> u64 {
    let each = |byte: u8| u64::from_le_bytes([byte; 8]);
    let zero = |word: u64| word.wrapping_sub(each(1)) & !word;
    let control = word.wrapping_sub(each(0x20)) & !word;
    (zero(word ^ each(b'"')) | zero(word ^ each(b'\\')) | control) & each(0x80)
}

/// A number as Go keeps it where no type is known: an int64, else a float64; `None` when it is neither.
pub(super) fn number(text: &str) -> Option<Number> {
    if let Ok(integer) = text.parse::<i64>() {
        return Some(integer.into());
    }
    Number::from_f64(text.parse().ok()?)
}

/// Go puts one replacement character in the place of every byte that belongs to no character.
fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}

fn out_of_range(text: &str) -> Syntax {
    Syntax(format!("json: cannot unmarshal number {text} into Go value of type float64"))
}

/// What an object takes in memory, beyond its text: a node of the map that holds it.
pub(super) const OBJECT: usize = 700;
/// What an item of a list takes.
pub(super) const ITEM: usize = 40;

/// Less than serde_json's 128, so that whatever was read here can be read again there.
const MAX_DEPTH: u16 = 120;
const MAX_MEMORY: usize = 64 << 20;
const TOO_MANY: &str = "the document holds too many values";

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;

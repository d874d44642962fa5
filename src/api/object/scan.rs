//! One pass over an object's JSON: checks it whole, and finds what the index needs.
//!
//! Knows JSON and the shape of `metadata`, nothing else. Depth is bounded; nothing is copied but strings with escapes.

use smallvec::SmallVec;

use crate::api::catalog::Fields;

/// A stretch of text: of the object's bytes, or, from their length on, of the unescaped texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) start: u32,
    pub(super) len: u32,
}

/// What the pass finds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The inside of `metadata`'s braces begins here.
    pub(super) inside: usize,
    /// `metadata`, with its braces.
    pub(super) metadata: Slot,
    pub(super) name: Slot,
    pub(super) namespace: Slot,
    pub(super) uid: Slot,
    /// Whether it is being deleted.
    pub(super) deleting: bool,
    /// A `resourceVersion` inside `metadata`: the member with one comma, if it has a neighbour.
    pub(super) version: Option<(usize, usize)>,
    /// By path number.
    pub(super) fields: SmallVec<[Slot; 12]>,
    pub(super) labels: SmallVec<[(Slot, Slot); 8]>,
    /// Texts whose JSON had escapes.
    pub(super) unescaped: String,
}

/// Scans an object that begins with `head` (through the opening brace of `metadata`). `None`: not of this form, or no JSON.
pub(super) fn scan(bytes: &[u8], head: usize, fields: &Fields) -> Option<Found> {
    u32::try_from(bytes.len()).ok().filter(|len| *len < u32::MAX / 2)?;
    std::str::from_utf8(bytes).ok()?;
    let mut scan = Scan { bytes, at: head, found: Found::default(), fields };
    scan.found.fields.resize(fields.len(), Slot::default());
    scan.found.inside = head;
    scan.metadata()?;
    scan.found.metadata = slot(head - 1, scan.at);
    let all = 1_u32.checked_shl(u32::try_from(fields.len()).ok()?).map_or(u32::MAX, |bit| bit - 1);
    while scan.bytes.get(scan.at) == Some(&b',') {
        scan.at += 1;
        scan.member(all, 0)?;
    }
    scan.expect(b'}')?;
    (scan.at == bytes.len()).then_some(scan.found)
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    found: Found,
    fields: &'a Fields,
}

impl Scan<'_> {
    /// The members of `metadata`; its brace is open already.
    fn metadata(&mut self) -> Option<()> {
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        let mut comma = None;
        loop {
            self.space();
            let begin = self.at;
            let (start, end) = self.key()?;
            let key: &[u8] = &self.bytes[start..end];
            match key {
                b"name" => self.found.name = self.text()?,
                b"namespace" => self.found.namespace = self.text()?,
                b"uid" => self.found.uid = self.text()?,
                b"labels" => self.labels()?,
                b"resourceVersion" => self.version(begin, comma)?,
                b"deletionTimestamp" => self.found.deleting = self.peek()? == b'"' && self.skip(0).is_some(),
                _ => self.skip(0)?,
            }
            self.space();
            comma = Some(self.at);
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn version(&mut self, begin: usize, comma: Option<usize>) -> Option<()> {
        self.skip(0)?;
        let cut = match comma {
            Some(comma) => (comma, self.at),
            None if self.peek()? == b',' => (begin, self.at + 1),
            None => (begin, self.at),
        };
        self.found.version = Some(cut);
        Some(())
    }

    fn labels(&mut self) -> Option<()> {
        if self.peek()? == b'n' {
            return self.literal(b"null");
        }
        self.expect(b'{')?;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.space();
            let key = self.text()?;
            self.space();
            self.expect(b':')?;
            self.space();
            let value = self.text()?;
            self.found.labels.push((key, value));
            self.space();
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// One member of an object at `level`; the paths in `wanted` lead through here.
    fn member(&mut self, wanted: u32, level: usize) -> Option<()> {
        self.space();
        let (start, end) = self.key()?;
        let key = &self.bytes[start..end];
        let mut through = 0_u32;
        let mut here = None;
        for (at, path) in self.fields.paths().enumerate().filter(|(at, _)| wanted & (1 << at) != 0) {
            match path.get(level) {
                Some(segment) if segment.as_bytes() == key && path.len() == level + 1 => here = Some(at),
                Some(segment) if segment.as_bytes() == key => through |= 1 << at,
                _ => {}
            }
        }
        match here {
            Some(at) if !matches!(self.peek()?, b'{' | b'[' | b'n') => self.found.fields[at] = self.scalar()?,
            _ if through != 0 && self.peek()? == b'{' => self.members(through, level + 1)?,
            _ => self.skip(level)?,
        }
        self.space();
        Some(())
    }

    fn members(&mut self, wanted: u32, level: usize) -> Option<()> {
        self.expect(b'{')?;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.member(wanted, level)?;
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A string's text, or a number or literal as it is written.
    fn scalar(&mut self) -> Option<Slot> {
        if self.peek()? == b'"' {
            return self.text();
        }
        let start = self.at;
        self.skip(0)?;
        Some(slot(start, self.at))
    }

    fn text(&mut self) -> Option<Slot> {
        let (start, end, escaped) = self.string()?;
        if !escaped {
            return Some(slot(start, end));
        }
        let text: String = serde_json::from_slice(&self.bytes[start - 1..=end]).ok()?;
        let begin = self.bytes.len() + self.found.unescaped.len();
        self.found.unescaped.push_str(&text);
        Some(slot(begin, begin + text.len()))
    }

    fn key(&mut self) -> Option<(usize, usize)> {
        let (start, end, _) = self.string()?;
        self.space();
        self.expect(b':')?;
        self.space();
        Some((start, end))
    }

    /// A string: where its inside begins and ends, and whether it has escapes.
    fn string(&mut self) -> Option<(usize, usize, bool)> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(self.at..)?;
            let stop = memchr::memchr2(b'"', b'\\', rest)?;
            if rest[..stop].iter().any(|byte| *byte < 0x20) {
                return None;
            }
            self.at += stop + 1;
            if rest[stop] == b'"' {
                return Some((start, self.at - 1, escaped));
            }
            escaped = true;
            match self.next()? {
                b'u' => {
                    let digits = self.bytes.get(self.at..self.at + 4)?;
                    digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                    self.at += 4;
                }
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                _ => return None,
            }
        }
    }

    /// Passes over one value.
    fn skip(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH {
            return None;
        }
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' => self.skip_object(depth),
            b'[' => self.skip_list(depth),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => self.number(),
        }
    }

    fn skip_object(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.space();
            self.key()?;
            self.skip(depth + 1)?;
            self.space();
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn skip_list(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.space();
            self.skip(depth + 1)?;
            self.space();
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        let rest = &self.bytes[self.at..];
        let end =
            rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')).unwrap_or(rest.len());
        let written = &rest[..end];
        let plain = !written.is_empty() && written.iter().all(u8::is_ascii_digit) && (written.len() == 1 || written[0] != b'0');
        if !plain {
            serde_json::from_slice::<f64>(written).ok()?;
        }
        self.at += end;
        Some(())
    }

    fn literal(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }
}

fn slot(start: usize, end: usize) -> Slot {
    let short = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Slot { start: short(start), len: short(end - start) }
}

/// As deep as `serde_json` goes.
const DEPTH: usize = 120;

//! Indents compact JSON while it streams: two spaces, as Go does. Knows nothing but JSON's punctuation.

/// Where the stream stands between two pieces.
#[derive(Debug, Default)]
pub(super) struct Indenter {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// A bracket was opened and nothing has followed yet.
    opened: bool,
}

impl Indenter {
    /// Appends the indented form of the next piece.
    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len() + piece.len() / 2);
        for &byte in piece {
            if self.in_string {
                self.inside(byte);
                out.push(byte);
            } else {
                self.between(byte, out);
            }
        }
    }

    fn inside(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
    }

    fn between(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => return,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if !std::mem::take(&mut self.opened) {
                    self.line(out);
                }
                out.push(byte);
                return;
            }
            _ => {}
        }
        if std::mem::take(&mut self.opened) {
            self.line(out);
        }
        out.push(byte);
        match byte {
            b'{' | b'[' => {
                self.depth += 1;
                self.opened = true;
            }
            b',' => self.line(out),
            b':' => out.push(b' '),
            b'"' => self.in_string = true,
            _ => {}
        }
    }

    fn line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', self.depth * 2));
    }
}

#[cfg(test)]
mod tests {
    use super::Indenter;

    #[test]
    fn looks_like_gos() {
        let compact = r#"{"a":{},"b":[],"c":[1,{"d":"x,\"{"}],"e":null}"#;
        let pretty =
            "{\n  \"a\": {},\n  \"b\": [],\n  \"c\": [\n    1,\n    {\n      \"d\": \"x,\\\"{\"\n    }\n  ],\n  \"e\": null\n}";
        for size in [1, 3, 100] {
            let (mut indenter, mut out) = (Indenter::default(), Vec::new());
            compact.as_bytes().chunks(size).for_each(|piece| indenter.push(piece, &mut out));
            assert_eq!(String::from_utf8(out).as_deref(), Ok(pretty), "in pieces of {size}");
        }
    }
}

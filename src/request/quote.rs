//! Go's `%q` and `%#v` of strings, as kube-apiserver's messages have them.

/// The text in double quotes, escaped as Go's `strconv.Quote`.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            char if is_printable(char) => quoted.push(char),
            char if (char as u32) < 0x80 => quoted.push_str(&format!("\\x{:02x}", char as u32)),
            char if (char as u32) < 0x1_0000 => quoted.push_str(&format!("\\u{:04x}", char as u32)),
            char => quoted.push_str(&format!("\\U{:08x}", char as u32)),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether Go would print the character. An approximation outside the Basic Latin block: of Unicode's classes it knows controls,
/// spaces, formats, private use and noncharacters, not the unassigned code points.
pub(crate) fn is_printable(char: char) -> bool {
    if char.is_ascii() {
        return matches!(char, ' '..='~');
    }
    let hidden = char.is_control()
        || char.is_whitespace()
        || matches!(char, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(char, '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}')
        || matches!(char as u32 & 0xffff, 0xfffe | 0xffff)
        || char as u32 >= 0xe_0000;
    !hidden
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quotes_as_go_does() {
        #[rustfmt::skip]
        let rows = [
            ("plain", r#""plain""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\n\t\u{1}\u{7f}", r#""\n\t\x01\x7f""#),
            ("gr\u{fc}n", "\"gr\u{fc}n\""),
            ("\u{85}\u{200b}\u{10ffff}", r#""\u0085\u200b\U0010ffff""#),
        ];
        for (text, expected) in rows {
            assert_eq!(quote(text), expected);
        }
    }
}

//! Text in errors, as Go quotes it.

/// Go's `%q`.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '\'' => quoted.push('\''),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\u{b}' => quoted.push_str("\\v"),
            '"' | '\\' | '\n' | '\r' | '\t' => quoted.extend(character.escape_debug()),
            _ if (character as u32) < 0x80 && character.is_control() => quoted.push_str(&format!("\\x{:02x}", character as u32)),
            _ if character.escape_debug().len() == 1 => quoted.push(character),
            _ if (character as u32) < 0x10000 => quoted.push_str(&format!("\\u{:04x}", character as u32)),
            _ => quoted.push_str(&format!("\\U{:08x}", character as u32)),
        }
    }
    quoted.push('"');
    quoted
}

/// A byte as Go's JSON scanner names it.
pub(super) fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        _ => {
            let quoted = quote(char::from(byte).encode_utf8(&mut [0; 4]));
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go() {
        for (text, quoted) in
            [("a.b", r#""a.b""#), ("a\"b\\\n\u{1}", r#""a\"b\\\n\x01""#), ("\u{e9}'\u{200b}", "\"\u{e9}'\\u200b\"")]
        {
            assert_eq!(quote(text), quoted);
        }
    }
}

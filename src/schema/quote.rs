//! Text and bytes in errors, as Go quotes them.

pub(super) use crate::request::quote;

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

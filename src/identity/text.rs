//! The strings of a certificate's name, decoded as Go decodes them.

/// Decodes a string value by its universal tag. `None` where Go refuses the certificate, and for control characters.
pub(super) fn decode(tag: u32, value: &[u8]) -> Option<String> {
    let text = match tag {
        UTF8 => std::str::from_utf8(value).ok()?.to_owned(),
        PRINTABLE if value.iter().all(|byte| is_printable(*byte)) => ascii(value)?,
        IA5 => ascii(value)?,
        NUMERIC if value.iter().all(|byte| byte.is_ascii_digit() || *byte == b' ') => ascii(value)?,
        // Read as Latin-1, which is what everybody means by it.
        T61 => value.iter().map(|byte| char::from(*byte)).collect(),
        BMP => bmp(value)?,
        _ => return None,
    };
    (!text.chars().any(char::is_control)).then_some(text)
}

fn ascii(value: &[u8]) -> Option<String> {
    value.is_ascii().then(|| value.iter().map(|byte| char::from(*byte)).collect())
}

/// The characters of PrintableString, and the two that Go adds because they are common: `*` and `&`.
fn is_printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(&byte)
}

/// UCS-2 with an optional terminator; no surrogates and no noncharacters.
fn bmp(value: &[u8]) -> Option<String> {
    if !value.len().is_multiple_of(2) {
        return None;
    }
    let value = value.strip_suffix(&[0, 0]).unwrap_or(value);
    let unit = |pair: &[u8]| {
        let point = u32::from(pair[0]) << 8 | u32::from(pair[1]);
        let noncharacter = matches!(point, 0xfffe | 0xffff | 0xfdd0..=0xfdef);
        char::from_u32(point).filter(|_| !noncharacter)
    };
    value.chunks_exact(2).map(unit).collect()
}

const UTF8: u32 = 12;
const NUMERIC: u32 = 18;
const PRINTABLE: u32 = 19;
const T61: u32 = 20;
const IA5: u32 = 22;
const BMP: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_as_go_does() {
        #[rustfmt::skip]
        let rows: [(u32, &[u8], Option<&str>); 24] = [
            (UTF8, b"gr\xc3\xbcn", Some("gr\u{fc}n")),
            (UTF8, b"", Some("")),
            (UTF8, b"\xff", None),
            (UTF8, b"a\0b", None),
            (UTF8, b"a\nb", None),
            (UTF8, b"a\xc2\x85b", None),
            (PRINTABLE, b"system:node:n-1", Some("system:node:n-1")),
            (PRINTABLE, b"*&", Some("*&")),
            (PRINTABLE, b"a@b", None),
            (PRINTABLE, b"a_b", None),
            (IA5, b"a@b_c", Some("a@b_c")),
            (IA5, b"a\x80", None),
            (IA5, b"a\x7f", None),
            (NUMERIC, b"12 3", Some("12 3")),
            (NUMERIC, b"12a", None),
            (T61, b"gr\xfcn", Some("gr\u{fc}n")),
            (T61, b"a\0", None),
            (BMP, b"\0a\0b", Some("ab")),
            (BMP, b"\0a\0b\0\0", Some("ab")),
            (BMP, b"\0a\0", None),
            (BMP, b"\xd8\x00\xdc\x00", None),
            (BMP, b"\xff\xfe", None),
            (28, b"\0\0\0a", None),
            (4, b"a", None),
        ];
        for (tag, value, expected) in rows {
            assert_eq!(decode(tag, value).as_deref(), expected, "{tag} {value:?}");
        }
    }
}

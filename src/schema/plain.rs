//! Plain scalars that Go reads otherwise than our YAML parser: `yes` and `N` are booleans there, `0644` is octal, `1_000` a number.
//!
//! The parser does not tell plain scalars from quoted ones. So every such word that may be a scalar of its own is marked in the text
//! before it is parsed; a scalar that is a mark and a word was plain, and from all others the marks are taken again.

use serde_json::Value;

/// A text with its marks; `None` where it needs none.
pub(super) fn marked(body: &[u8]) -> Option<Vec<u8>> {
    let mut text: Option<Vec<u8>> = None;
    let mut done = 0;
    let mut place = 0;
    while place < body.len() {
        if !is_word(body[place]) {
            place += 1;
            continue;
        }
        let end = place + body[place..].iter().take_while(|byte| is_word(**byte)).count();
        let word = std::str::from_utf8(&body[place..end]).unwrap_or("");
        if resolved(word).is_some() && stands_alone(body, place, end) {
            if text.is_none() && memchr::memmem::find(body, MARK.as_bytes()).is_some() {
                return None;
            }
            let text = text.get_or_insert_with(|| Vec::with_capacity(body.len() + body.len() / 8));
            text.extend_from_slice(&body[done..place]);
            text.extend_from_slice(MARK.as_bytes());
            done = place;
        }
        place = end;
    }
    text.map(|mut text| {
        text.extend_from_slice(&body[done..]);
        text
    })
}

/// What a scalar of a marked text says; `None` where it has no mark.
pub(super) fn unmarked(scalar: &str) -> Option<Value> {
    if !scalar.contains(MARK) {
        return None;
    }
    let plain = scalar.strip_prefix(MARK).and_then(resolved);
    Some(plain.unwrap_or_else(|| Value::String(scalar.replace(MARK, ""))))
}

/// The value of a plain scalar whose value is another in YAML 1.2.
fn resolved(word: &str) -> Option<Value> {
    match word {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Some(Value::Bool(true)),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Some(Value::Bool(false)),
        _ => {}
    }
    let (negative, digits) = match word.as_bytes().first()? {
        b'-' => (true, &word[1..]),
        b'+' => (false, &word[1..]),
        _ => (false, word),
    };
    let bytes = digits.as_bytes();
    let odd = bytes.contains(&b'_') || (bytes.len() > 1 && bytes[0] == b'0' && bytes[1].is_ascii_digit());
    if !bytes.first()?.is_ascii_digit() || !odd || word.len() > LONGEST {
        return None;
    }
    let plain = digits.replace('_', "");
    let (digits, base) = match plain.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&plain[2..], 16),
        [b'0', b'o' | b'O', ..] => (&plain[2..], 8),
        [b'0', b'b' | b'B', ..] => (&plain[2..], 2),
        [b'0', _, ..] => (&plain[1..], 8),
        _ => (&plain[..], 10),
    };
    let whole = i128::from_str_radix(digits, base).ok().filter(|_| !digits.starts_with(['+', '-']));
    let whole = whole.map(|whole| if negative { -whole } else { whole });
    if let Some(whole) = whole {
        let number = i64::try_from(whole).map(Value::from);
        return number.or_else(|_| u64::try_from(whole).map(Value::from)).ok();
    }
    let float: f64 = plain.parse().ok()?;
    serde_json::Number::from_f64(if negative { -float } else { float }).map(Value::Number)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'-' | b'.') || byte >= 0x80
}

/// Whether a word may be a whole plain scalar, by what is before and after it.
fn stands_alone(body: &[u8], begin: usize, end: usize) -> bool {
    let after = body.get(end).is_none_or(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b']' | b'}' | b':'));
    let before = begin == 0 || matches!(body[begin - 1], b' ' | b'\t' | b'\n' | b'\r' | b',' | b'[' | b'{');
    after && before && !is_told_otherwise(&body[begin.saturating_sub(NEAR)..begin])
}

/// Whether a tag or the head of a block scalar stands before a word.
fn is_told_otherwise(before: &[u8]) -> bool {
    let trimmed = before.trim_ascii_end();
    let line = trimmed.rsplit(|byte| *byte == b'\n').next().unwrap_or(trimmed);
    let line = match memchr::memmem::find(line, b" #") {
        Some(comment) => line[..comment].trim_ascii_end(),
        None => line,
    };
    let last = line.rsplit(|byte| matches!(byte, b' ' | b'\t' | b',' | b'[' | b'{')).next().unwrap_or(line);
    let another_line = before[trimmed.len()..].contains(&b'\n');
    let head = matches!(last.first(), Some(b'|' | b'>'));
    last.first() == Some(&b'!') || (another_line && head)
}

/// Two characters for private use: nobody's text has them in a row.
const MARK: &str = "\u{f8f7}\u{f8f6}";

/// Bytes that are looked at before a word.
const NEAR: usize = 200;

/// Bytes of a number.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words() {
        for (word, expected) in [
            ("Y", Some(json!(true))),
            ("off", Some(json!(false))),
            ("yEs", None),
            ("true", None),
            ("0644", Some(json!(420))),
            ("-010", Some(json!(-8))),
            ("08", Some(json!(8.0))),
            ("0", None),
            ("10", None),
            ("1_000", Some(json!(1000))),
            ("0x_ff", Some(json!(255))),
            ("0b1_1", Some(json!(3))),
            ("1__x", None),
            ("_1", None),
            ("00.5", Some(json!(0.5))),
        ] {
            assert_eq!(resolved(word), expected, "{word}");
        }
    }

    #[test]
    fn a_flood_of_words_is_marked_in_time() {
        let begun = std::time::Instant::now();
        for text in ["y ".repeat(1 << 15), "y\n".repeat(1 << 15), format!("{}y", " ".repeat(1 << 16)), "#y ".repeat(1 << 15)] {
            let marked = marked(text.as_bytes());
            assert!(marked.is_none_or(|marked| marked.len() <= text.len() * 4));
        }
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    }
}

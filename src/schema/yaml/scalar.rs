//! How a text can stand in YAML: what it would be read as without quotes, and what it must be escaped for.

use std::cmp::Ordering;

use serde_json::{Map, Value};

/// The style of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Plain,
    Single,
    Double,
    Literal,
}

/// What libyaml's analysis finds.
#[derive(Default)]
struct Found {
    indicators: bool,
    special: bool,
    breaks: bool,
    edge: bool,
    trailing_space: bool,
    break_space: bool,
    space_break: bool,
}

impl Scalar {
    /// The style of a text, as a key or as a value.
    pub(super) fn of(text: &str, key: bool) -> Self {
        if text.is_empty() {
            return Self::Double;
        }
        let found = Found::of(text);
        if key && found.breaks {
            return Self::Double;
        }
        if text.contains('\n') {
            let block = !key && !found.trailing_space && !found.space_break && !found.special;
            return if block { Self::Literal } else { Self::Double };
        }
        if is_other(text) {
            return Self::Double;
        }
        let broken = found.break_space || found.space_break || found.special;
        match (found.edge || found.breaks || found.indicators || broken, broken) {
            (false, _) => Self::Plain,
            (true, false) => Self::Single,
            (true, true) => Self::Double,
        }
    }
}

impl Found {
    fn of(text: &str) -> Self {
        let mut found = Self { indicators: text.starts_with("---") || text.starts_with("..."), ..Self::default() };
        let (mut after_blank, mut space, mut newline) = (true, false, false);
        let mut rest = text.chars().peekable();
        let mut first = true;
        while let Some(character) = rest.next() {
            let last = rest.peek().is_none();
            let before_blank = rest.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
            found.indicators |= match character {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' if first => true,
                '?' | '-' if first => before_blank,
                ':' => before_blank,
                '#' => after_blank,
                _ => false,
            };
            found.special |= !is_printable(character);
            found.edge |= (first || last) && (character == ' ' || is_break(character));
            found.trailing_space |= last && character == ' ';
            found.break_space |= newline && character == ' ';
            found.space_break |= space && is_break(character);
            found.breaks |= is_break(character);
            (space, newline) = (character == ' ', is_break(character));
            after_blank = matches!(character, ' ' | '\t') || is_break(character);
            first = false;
        }
        found
    }
}

/// Whether a key stands on one line with its value.
pub(super) fn is_simple_key(key: &str) -> bool {
    key.len() <= 128 && !key.contains(is_break)
}

/// Line feed, carriage return, next line, line and paragraph separator.
pub(super) fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether a character must be escaped between double quotes.
pub(super) fn needs_escape(character: char) -> bool {
    !is_printable(character) || is_break(character) || matches!(character, '"' | '\\')
}

/// The escape of a character.
pub(super) fn escape(character: char) -> String {
    let short = match character {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' | '\\' => character,
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let code = u32::from(character);
            return match code {
                0..0x100 => format!("\\x{code:02X}"),
                0x100..0x1_0000 => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}

/// Keys in the order of Go's library: numbers within them by value, letters after what is none.
pub(super) fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = map.iter().collect();
    if !members.is_sorted_by(|a, b| order(a.0, b.0) == Ordering::Less) {
        members.sort_by(|a, b| order(a.0, b.0));
    }
    members
}

fn order(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut digits = false;
    for at in 0..a.len().min(b.len()) {
        let (one, other) = (a[at], b[at]);
        if one == other {
            digits = one.is_ascii_digit();
            continue;
        }
        return match (one.is_alphabetic(), other.is_alphabetic()) {
            (true, true) => one.cmp(&other),
            (true, false) => {
                if digits {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (false, true) => {
                if digits {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (false, false) => numbers(&a, &b, at).then(one.cmp(&other)),
        };
    }
    a.len().cmp(&b.len())
}

/// Two keys that part at `at`, by the numbers that stand there.
fn numbers(a: &[char], b: &[char], at: usize) -> Ordering {
    let before = a[..at].iter().rev().take_while(|digit| digit.is_ascii_digit());
    let zero = a[at] == '0' || b[at] == '0';
    let start = i64::from(zero && before.into_iter().any(|digit| *digit != '0'));
    let read = |text: &[char]| {
        let digits = text[at..].iter().map_while(|digit| digit.to_digit(10));
        digits.fold((start, 0), |(number, length), digit| (number.wrapping_mul(10).wrapping_add(digit.into()), length + 1))
    };
    read(a).cmp(&read(b))
}

/// Whether the text would be read as something else than text: null, a boolean, a number, a time.
fn is_other(text: &str) -> bool {
    match text.as_bytes() {
        [b'+' | b'-' | b'0'..=b'9', ..] => {
            INFINITE.contains(&text.trim_start_matches(['+', '-'])) || is_time(text) || is_number(text) || is_base_60(text)
        }
        [b'.', ..] => INFINITE.contains(&text) || NAN.contains(&text) || is_go_float(text),
        [b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~', ..] => WORDS.contains(&text),
        _ => false,
    }
}

fn is_number(text: &str) -> bool {
    let plain = text.replace('_', "");
    is_integer(&plain) || is_float(&plain)
}

/// Go's `ParseInt` with base 0: decimal, `0x`, `0o`, `0b`, or octal after a zero. Of any length.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let all = |digits: &str, base: u32| !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(base));
    match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => all(&digits[2..], 16),
        [b'0', b'o' | b'O', ..] => all(&digits[2..], 8),
        [b'0', b'b' | b'B', ..] => all(&digits[2..], 2),
        [b'0', _, ..] => all(&digits[1..], 8),
        _ => all(digits, 10),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, "0"), |(mantissa, exponent)| (mantissa, exponent));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty()) && !exponent.is_empty() && digits(exponent)
}

/// What begins with a dot and Go reads as a float.
fn is_go_float(text: &str) -> bool {
    text.len() > 1 && is_float(text)
}

/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`
fn is_base_60(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let mut places = whole.split(':');
    let first = places.next().unwrap_or_default();
    let mut more = 0;
    let sixties = places.all(|place| {
        more += 1;
        matches!(place.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9'])
    });
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    sixties && more > 0 && first.starts_with(|digit: char| digit.is_ascii_digit()) && digits(first) && digits(part)
}

/// A date, alone or with a time, as Go's library recognises them.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return false;
    }
    let end = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let (date, time) = text.split_at(end);
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let Some((year, month, day)) = year.zip(month).zip(day).map(|((year, month), day)| (year, month, day)) else { return false };
    let number = |text: &str, range: std::ops::RangeInclusive<u32>| {
        matches!(text.len(), 1 | 2)
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse().is_ok_and(|n| range.contains(&n))
    };
    if !number(month, 1..=12) || !number(day, 1..=31) {
        return false;
    }
    let (year, month, day): (i16, i8, i8) = (year.parse().unwrap_or(0), month.parse().unwrap_or(0), day.parse().unwrap_or(0));
    if jiff::civil::Date::new(year, month, day).is_err() {
        return false;
    }
    let Some(clock) = time.get(1..) else { return true };
    let zoned = !time.starts_with(' ');
    let at = clock.find(['Z', '+', '-']);
    let (clock, zone) = at.map_or((clock, ""), |at| clock.split_at(at));
    if zoned == zone.is_empty() {
        return false;
    }
    let offset = zone == "Z"
        || zone.is_empty()
        || matches!(zone.as_bytes(), [b'+' | b'-', h1, h2, b':', m1, m2] if [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit()));
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(clock, fraction)| (clock, Some(fraction)));
    let fraction = fraction.is_none_or(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
    let mut fields = clock.split(':');
    let mut field = |most| fields.next().is_some_and(|text| number(text, 0..=most));
    offset && fraction && field(23) && field(59) && field(59) && fields.next().is_none()
}

/// As libyaml has it: nothing beyond the basic plane, no tab.
fn is_printable(character: char) -> bool {
    matches!(character, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && character != '\u{feff}'
}

const INFINITE: [&str; 3] = [".inf", ".Inf", ".INF"];
const NAN: [&str; 3] = [".nan", ".NaN", ".NAN"];
const WORDS: [&str; 26] = [
    "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", "n", "N", "no", "No", "NO", "false", "False",
    "FALSE", "off", "Off", "OFF", "~", "null", "Null", "NULL",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles() {
        use Scalar::{Double, Literal, Plain, Single};
        let rows = [
            ("", Double),
            ("text", Plain),
            ("a b", Plain),
            ("a: b", Single),
            ("a:b", Plain),
            ("a #b", Single),
            ("a#b", Plain),
            ("yes", Double),
            ("Y", Double),
            ("yEs", Plain),
            ("null", Double),
            ("nULL", Plain),
            ("~", Double),
            ("<<", Plain),
            ("1", Double),
            ("1.5", Double),
            ("1.5.0", Plain),
            ("0x1F", Double),
            ("0o17", Double),
            ("08", Double),
            ("0x", Plain),
            ("1_000", Double),
            ("-", Single),
            ("-a", Plain),
            ("+1", Double),
            ("1e3", Double),
            ("1e", Plain),
            ("12:30", Double),
            ("12:60", Plain),
            ("1:2:3.4", Double),
            (".5", Double),
            (".", Plain),
            ("..", Plain),
            ("...", Single),
            ("-.inf", Double),
            ("+.nan", Plain),
            ("2026-01-02T03:04:05Z", Double),
            ("2026-01-02", Double),
            ("2026-13-02", Plain),
            ("2026-01-02 3:4:5", Double),
            ("2026-01-02T03:04:05", Plain),
            ("*", Single),
            ("{a}", Single),
            ("a{b", Plain),
            ("- a", Single),
            ("? a", Single),
            ("?a", Plain),
            (":a", Plain),
            (": a", Single),
            ("a:", Single),
            (" a", Single),
            ("a ", Single),
            ("it's", Plain),
            ("\"q\"", Single),
            ("a\tb", Double),
            ("a\nb", Literal),
            ("a \nb", Double),
            ("a\nb ", Double),
            ("\n", Literal),
            ("a\r\nb", Double),
            ("\u{1f600}", Double),
            ("\u{e4}", Plain),
            ("100m", Plain),
            ("1Gi", Plain),
            ("@x", Single),
            ("%x", Single),
            ("`x`", Single),
            ("x@y", Plain),
            ("=", Plain),
        ];
        for (text, style) in rows {
            assert_eq!(Scalar::of(text, false), style, "{text:?}");
        }
    }

    #[test]
    fn keys_are_ordered_as_go_orders_them() {
        for sorted in [
            ["a2", "a10", "b"],
            ["a", "a.b", "ab"],
            ["a1", "a02", "a3"],
            ["-", "A", "a"],
            ["1", "a", "b1"],
            ["a-b", "a.b", "a_b"],
        ] {
            for pair in sorted.windows(2) {
                assert_eq!(order(pair[0], pair[1]), Ordering::Less, "{pair:?}");
                assert_eq!(order(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
            }
        }
    }
}

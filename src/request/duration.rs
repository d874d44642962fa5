//! Go's durations, like `1h30m` or `1.5s`.

use std::time::Duration;

use super::quote::quote;

/// Reads a duration as Go's `time.ParseDuration`; `None` for a negative one.
///
/// # Errors
/// Go's own complaint.
pub(super) fn parse(text: &str) -> Result<Option<Duration>, String> {
    let invalid = || format!("time: invalid duration {}", quote(text));
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(Some(Duration::ZERO));
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after.find(|char: char| char == '.' || char.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", quote(text)));
        }
        let scale = scale(unit).ok_or_else(|| format!("time: unknown unit {} in duration {}", quote(unit), quote(text)))?;
        nanos += part(whole, fraction, scale).ok_or_else(invalid)?;
        if nanos > i64::MAX as u128 {
            return Err(invalid());
        }
        rest = after;
    }
    let nanos = u64::try_from(nanos).map_err(|_| invalid())?;
    Ok((!negative || nanos == 0).then(|| Duration::from_nanos(nanos)))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len()))
}

fn scale(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn part(whole: &str, fraction: &str, scale: u128) -> Option<u128> {
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.into() };
    // Digits beyond the fifteenth are less than a nanosecond in every unit.
    let fraction = &fraction[..fraction.len().min(15)];
    let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    Some(whole * scale + part * scale / 10u128.pow(fraction.len() as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_go_does() {
        #[rustfmt::skip]
        let rows = [
            ("5s", Ok(5_000_000_000)),
            ("1h30m", Ok(5_400_000_000_000)),
            ("1.5s", Ok(1_500_000_000)),
            (".5m", Ok(30_000_000_000)),
            ("5.s", Ok(5_000_000_000)),
            ("+10ms", Ok(10_000_000)),
            ("0", Ok(0)),
            ("3us2ns", Ok(3_002)),
            ("", Err(r#"time: invalid duration """#)),
            ("10", Err(r#"time: missing unit in duration "10""#)),
            ("10x", Err(r#"time: unknown unit "x" in duration "10x""#)),
            ("s", Err(r#"time: invalid duration "s""#)),
            (".s", Err(r#"time: invalid duration ".s""#)),
            ("9223372036854775808ns", Err(r#"time: invalid duration "9223372036854775808ns""#)),
            ("99999999999999999999h", Err(r#"time: invalid duration "99999999999999999999h""#)),
            ("2562048h", Err(r#"time: invalid duration "2562048h""#)),
        ];
        for (text, expected) in rows {
            let read = parse(text).map(|duration| duration.unwrap().as_nanos());
            assert_eq!(read, expected.map_err(str::to_owned), "{text}");
        }
        assert_eq!(parse("-5s"), Ok(None));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[-+.0-9a-z\u{b5}]{0,40}") {
            let _ = parse(&text);
        }
    }
}

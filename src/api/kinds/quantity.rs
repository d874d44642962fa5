//! Quantities as numbers, to compare them: `500m` is half of `1`.

/// The value in thousand-millionths; `None` for what is no quantity. Saturates.
pub(crate) fn nanos(text: &str) -> Option<i128> {
    let split = text.find(|character: char| !matches!(character, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || !(whole.bytes().chain(fraction.bytes())).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: i128 = format!("{whole}{}", &fraction[..fraction.len().min(18)]).parse().ok()?;
    let places = i32::try_from(fraction.len().min(18)).ok()?;
    let value = scale(digits, suffix, places)?;
    Some(if negative { -value } else { value })
}

fn scale(digits: i128, suffix: &str, places: i32) -> Option<i128> {
    if let Some(power) = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].iter().position(|known| *known == suffix) {
        let factor = 1i128 << (10 * (power + 1));
        return Some(tens(digits.saturating_mul(factor), 9 - places));
    }
    let exponent = match suffix {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "" => 0,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        other => other.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?.clamp(-40, 40),
    };
    Some(tens(digits, exponent + 9 - places))
}

/// Times a power of ten; fractions are rounded up.
fn tens(value: i128, exponent: i32) -> i128 {
    let Ok(power) = u32::try_from(exponent.abs()) else { return value };
    let factor = 10i128.saturating_pow(power.min(38));
    if exponent >= 0 { value.saturating_mul(factor) } else { value.saturating_add(factor - 1) / factor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (text, expected) in [
            ("1", Some(1_000_000_000)),
            ("500m", Some(500_000_000)),
            ("0.5", Some(500_000_000)),
            ("1Ki", Some(1_024_000_000_000)),
            ("1.5Gi", Some(1_610_612_736_000_000_000)),
            ("1e3", Some(1_000_000_000_000)),
            ("-1", Some(-1_000_000_000)),
            ("1n", Some(1)),
            ("", None),
            ("x", None),
            ("1x", None),
        ] {
            assert_eq!(nanos(text), expected, "{text}");
        }
    }
}

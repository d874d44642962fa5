//! Amounts: `100m`, `1.5Gi`, `1e3`. Their one printed form is kube-apiserver's (contract 7.4).

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

/// An amount, exact to a nano.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    mantissa: i128,
    exponent: i32,
    format: Format,
}

/// Why a text is no quantity, in kube-apiserver's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The text has another form.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// The number has no meaning or too many digits.
    #[error("unable to parse numeric part of quantity")]
    Number,
    /// No such suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// In which family of suffixes an amount is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Exponent,
    Decimal,
    Binary,
}

/// A text taken apart.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

struct Suffix {
    format: Format,
    exponent: i32,
}

impl Quantity {
    /// Reads a text.
    ///
    /// # Errors
    /// See [`QuantityError`].
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        Self::read(text).map(|(quantity, _)| quantity)
    }

    /// Reads a value: a text, or a number as it was written; `None` for what is no quantity.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text).ok(),
            Value::Number(number) => Self::parse(&number.to_string()).ok(),
            _ => None,
        }
    }

    /// A whole number.
    pub fn whole(number: i64) -> Self {
        Self { mantissa: number.into(), exponent: 0, format: Format::Decimal }
    }

    /// The one form of a text; `None` when it already has it (or is no quantity).
    pub fn canonical(text: &str) -> Option<String> {
        match Self::read(text) {
            Ok((quantity, Kept::No)) => Some(quantity.to_string()).filter(|printed| printed != text),
            _ => None,
        }
    }

    /// Rounded up, away from zero, to a power of ten: -3 for thousandths.
    #[must_use]
    pub fn round_up(self, scale: i32) -> Self {
        let (mantissa, exponent) = round(self.mantissa, self.exponent, scale);
        Self { mantissa, exponent, ..self }
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// Whether it is a whole number of units.
    pub fn is_whole(self) -> bool {
        self.exponent >= 0 || power(-self.exponent).is_some_and(|power| self.mantissa % power == 0) || self.mantissa == 0
    }

    /// Whether it is as much, however it is printed.
    pub fn equals(self, other: Self) -> bool {
        self.partial_cmp(&other) == Some(Ordering::Equal)
    }

    /// Whether it is less than nothing.
    pub fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    /// The whole units, rounded up, within int64.
    pub fn value(self) -> i64 {
        let (mantissa, exponent) = round(self.mantissa, self.exponent, 0);
        let value = power(exponent).and_then(|power| mantissa.checked_mul(power));
        let limit = if mantissa < 0 { i64::MIN } else { i64::MAX };
        value.and_then(|value| i64::try_from(value).ok()).unwrap_or(limit)
    }

    /// The thousandths, rounded up; `None` beyond int64.
    pub fn thousandths(self) -> Option<i64> {
        let (mantissa, exponent) = round(self.mantissa, self.exponent, -3);
        let value = power(exponent + 3).and_then(|power| mantissa.checked_mul(power))?;
        i64::try_from(value).ok()
    }

    /// The billionths, rounded up; what is beyond all bounds is at them.
    pub fn nanos(self) -> i128 {
        let (mantissa, exponent) = round(self.mantissa, self.exponent, NANO);
        let all = power(exponent - NANO).and_then(|power| mantissa.checked_mul(power));
        all.unwrap_or(if mantissa < 0 { i128::MIN } else { i128::MAX })
    }

    /// The same amount below nothing.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { mantissa: -self.mantissa, ..self }
    }

    /// The sum, printed in the family of the first that is not nothing; `None` beyond 38 digits.
    pub fn plus(self, other: Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        let mantissa = self.scaled(exponent)?.checked_add(other.scaled(exponent)?)?;
        Some(Self { mantissa, exponent, format: if self.is_zero() { other.format } else { self.format } })
    }

    fn read(text: &str) -> Result<(Self, Kept), QuantityError> {
        let parts = Parts::of(text)?;
        let suffix = Suffix::of(parts.suffix).ok_or(QuantityError::Suffix)?;
        if let Some(fast) = parts.fast(&suffix)? {
            return Ok(fast);
        }
        parts.slow(&suffix).map(|quantity| (quantity, Kept::No))
    }

    fn scaled(self, exponent: i32) -> Option<i128> {
        self.mantissa.checked_mul(power(self.exponent - exponent)?)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mantissa == 0 {
            return f.write_str("0");
        }
        let (mut number, mut exponent) = (self.mantissa, self.exponent);
        while number % 10 == 0 {
            number /= 10;
            exponent += 1;
        }
        if self.format == Format::Binary
            && let Some(whole) =
                power(exponent).and_then(|power| number.checked_mul(power)).filter(|whole| whole.unsigned_abs() >= 1024)
        {
            let (mut number, mut suffix) = (whole, 0);
            while number % 1024 == 0 && suffix < BINARY.len() - 1 {
                number /= 1024;
                suffix += 1;
            }
            return write!(f, "{number}{}", BINARY[suffix]);
        }
        let missing = exponent.rem_euclid(3);
        // What no i128 holds is printed with an exponent that is no multiple of three.
        let (number, exponent) = number
            .checked_mul(10_i128.pow(missing.unsigned_abs()))
            .map_or((number, exponent), |number| (number, exponent - missing));
        let place = usize::try_from(exponent / 3 + 3).ok().filter(|_| exponent % 3 == 0 && self.format != Format::Exponent);
        match place.and_then(|place| DECIMAL.get(place)) {
            Some(suffix) => write!(f, "{number}{suffix}"),
            None if exponent == 0 => write!(f, "{number}"),
            None => write!(f, "{number}e{exponent}"),
        }
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let sign = self.mantissa.signum().cmp(&other.mantissa.signum());
        if sign != Ordering::Equal || self.mantissa == 0 {
            return Some(sign);
        }
        let exponent = self.exponent.min(other.exponent);
        Some(match (self.scaled(exponent), other.scaled(exponent)) {
            (Some(one), Some(other)) => one.cmp(&other),
            (one, _) => {
                let larger = if one.is_none() { Ordering::Greater } else { Ordering::Less };
                if self.mantissa < 0 { larger.reverse() } else { larger }
            }
        })
    }
}

/// Whether a text already has the form in which it would be kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Yes,
    No,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, QuantityError> {
        if text.is_empty() {
            return Err(QuantityError::Format);
        }
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, rest) = digits(unsigned.trim_start_matches('0'));
        let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), digits);
        let exponent = suffix.trim_start_matches(|letter| "eEinumkKMGTP".contains(letter));
        let (_, rest) = digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent));
        if !rest.is_empty() {
            return Err(QuantityError::Format);
        }
        let whole = if whole.is_empty() { "0" } else { whole };
        Ok(Self { negative: text.starts_with('-'), whole, fraction, suffix })
    }

    /// Kube's short way: only what goes it may be kept as it was sent.
    fn fast(&self, suffix: &Suffix) -> Result<Option<(Quantity, Kept)>, QuantityError> {
        let length = self.whole.len() + self.fraction.len();
        let (fits, exponent, factor) = match suffix.format {
            Format::Binary => {
                let precision = 15_i64.saturating_sub_unsigned(self.whole.len() as u64) - i64::from(suffix.exponent * 3 / 10) - 1;
                (self.fraction.is_empty() && precision >= 0, 0, 1_i64 << suffix.exponent)
            }
            _ => (length <= 18, suffix.exponent, 1),
        };
        if !fits {
            return Ok(None);
        }
        let exponent = exponent.saturating_sub(i32::try_from(self.fraction.len()).unwrap_or(i32::MAX));
        if exponent < NANO {
            return Ok(None);
        }
        let shifted = [self.whole, self.fraction].concat();
        let value: i64 = shifted.parse().map_err(|_| QuantityError::Number)?;
        let Some(amount) = value.checked_mul(factor) else { return Ok(None) };
        let kept = match suffix.format {
            Format::Binary => value % 8 != 0,
            _ => exponent % 3 == 0 && !shifted.ends_with("000") && !shifted.starts_with('0'),
        };
        let mantissa = if self.negative { -i128::from(amount) } else { i128::from(amount) };
        let quantity = Quantity { mantissa, exponent, format: suffix.format };
        Ok(Some((quantity, if kept { Kept::Yes } else { Kept::No })))
    }

    fn slow(&self, suffix: &Suffix) -> Result<Quantity, QuantityError> {
        let fraction = self.fraction.trim_end_matches('0');
        if suffix.format == Format::Binary && self.whole.len() > 19 {
            return Ok(if self.negative { MOST.negated() } else { MOST });
        }
        let number: i128 = [self.whole, fraction].concat().parse().map_err(|_| QuantityError::Number)?;
        let places = i32::try_from(fraction.len()).map_err(|_| QuantityError::Number)?;
        let (number, exponent) = match suffix.format {
            Format::Binary => match number.checked_mul(1_i128 << suffix.exponent) {
                Some(number) => (number, -places),
                None => return Ok(if self.negative { MOST.negated() } else { MOST }),
            },
            _ => (number, suffix.exponent.checked_sub(places).ok_or(QuantityError::Number)?),
        };
        let (mantissa, exponent) = round(number, exponent, NANO);
        let mut amount = Quantity { mantissa, exponent, format: suffix.format };
        if amount.format == Format::Binary {
            if amount > MOST {
                amount = MOST;
            }
            if amount < ONE {
                amount.format = Format::Decimal;
            }
        }
        amount.mantissa = if self.negative { -amount.mantissa } else { amount.mantissa };
        Ok(amount)
    }
}

impl Suffix {
    fn of(text: &str) -> Option<Self> {
        if let Some(place) = (0..).zip(DECIMAL).find_map(|(place, suffix)| (suffix == text).then_some(place)) {
            return Some(Self { format: Format::Decimal, exponent: (place - 3) * 3 });
        }
        if let Some(place) = (0..).zip(BINARY).find_map(|(place, suffix)| (suffix == text).then_some(place)) {
            return Some(Self { format: Format::Binary, exponent: place * 10 });
        }
        let exponent = text.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?;
        Some(Self { format: Format::Exponent, exponent })
    }
}

/// Rounds away from zero so that nothing is left below the scale.
fn round(mantissa: i128, exponent: i32, scale: i32) -> (i128, i32) {
    if exponent >= scale || mantissa == 0 {
        return (mantissa, exponent.max(scale.min(exponent)));
    }
    match power(scale.saturating_sub(exponent)) {
        Some(power) => (mantissa / power + if mantissa % power == 0 { 0 } else { mantissa.signum() }, scale),
        None => (mantissa.signum(), scale),
    }
}

fn power(exponent: i32) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(exponent).ok()?)
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
/// The first never matches: what has no suffix is decimal.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const NANO: i32 = -9;
const MOST: Quantity = Quantity { mantissa: i64::MAX as i128, exponent: 0, format: Format::Binary };
const ONE: Quantity = Quantity { mantissa: 1, exponent: 0, format: Format::Decimal };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_one_form() {
        let rows = "1000m=1 1500m=1500m 0.5=500m 1.50=1500m 2.0=2 100000=100k 1500=1500 1e3=1e3 1.5e3=1500 12E=12E 1Ki=1Ki \
            0.0001=100u 0.1n=1n 1024Mi=1Gi 1.5Gi=1536Mi 1.25Mi=1280Ki 0.5Ki=512 1000Ki=1000Ki 1e9=1e9 1000000000=1G 1024=1024 \
            1048576Ki=1Gi 9Ei=9223372036854775807 1.500=1.500 0100m=0100m +2=+2 0=0 0m=0 -0=0 0Ki=0 -1000m=-1 -1.5Gi=-1536Mi \
            1.=1. .5=500m 1E=1E 1e=! 100000E=100e21 8Ki=8Ki 16384Ki=16Mi 0.1Ki=102400m 1e-3=1e-3 10e-4=1e-3 1e-10=1e-9 \
            99999999999999999999Ei=9223372036854775807 12345678901234567890=12345678901234567890 1.0000000001=1000000001n 123456789012345678901234567890n=123456789012345678901234567890n \
            1e100=10e99 10e99=10e99";
        for row in rows.split_whitespace() {
            let (text, wanted) = row.split_once('=').unwrap();
            let printed = match Quantity::parse(text) {
                Ok(_) => Quantity::canonical(text).unwrap_or_else(|| text.to_owned()),
                Err(_) => "!".to_owned(),
            };
            assert_eq!(printed, wanted, "{text}");
        }
    }

    /// Numbers that come again with every run.
    fn texts() -> Vec<String> {
        let mut state = 42_u64;
        let mut next = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let suffixes = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "e-2", "E5"];
        let mut text = || {
            let sign = ["", "-", "+"][next(3) as usize];
            let (digits, places) = (10_u64.pow(next(10) as u32 + 1), next(4) as usize);
            let (whole, fraction) = (next(digits), next(10_u64.pow(places as u32)));
            let fraction = if places == 0 { String::new() } else { format!(".{fraction:0places$}") };
            format!("{sign}{whole}{fraction}{}", suffixes[next(suffixes.len() as u64) as usize])
        };
        (0..2000).map(|_| text()).collect()
    }

    #[test]
    fn what_is_printed_means_the_same_and_is_printed_the_same() {
        for text in texts() {
            let own = Quantity::parse(&text).unwrap();
            let printed = own.to_string();
            let again = Quantity::parse(&printed).unwrap();
            assert!(own.equals(again), "{text} {printed}");
            assert_eq!(again.to_string(), printed, "{text}");
            assert_eq!(Quantity::canonical(&printed), None, "{text}");
        }
    }

    #[test]
    fn sums_and_order_are_those_of_numbers() {
        let texts = texts();
        for pair in texts.windows(2) {
            let (one, two) = (Quantity::parse(&pair[0]).unwrap(), Quantity::parse(&pair[1]).unwrap());
            assert_eq!(one.partial_cmp(&two), Some(one.nanos().cmp(&two.nanos())), "{pair:?}");
            let sum = one.plus(two).unwrap();
            assert_eq!(sum.nanos(), one.nanos() + two.nanos(), "{pair:?}");
            assert!(sum.equals(two.plus(one).unwrap()), "{pair:?}");
            assert!(sum.plus(two.negated()).unwrap().equals(one), "{pair:?}");
            let up = one.round_up(-3);
            assert!(if one.is_negative() { up <= one } else { up >= one }, "{pair:?}");
            assert_eq!(up.equals(one), one.nanos() % 1_000_000 == 0, "{pair:?}");
            assert_eq!(one.is_whole(), one.nanos() % 1_000_000_000 == 0, "{pair:?}");
        }
    }

    #[test]
    fn refuses_in_kubes_words() {
        let rows = [
            ("", QuantityError::Format),
            ("x", QuantityError::Format),
            ("1 Gi", QuantityError::Format),
            ("1Gi1x", QuantityError::Format),
            ("1Gi1", QuantityError::Suffix),
            ("1mm", QuantityError::Suffix),
            ("1K", QuantityError::Suffix),
            ("1e99999999999", QuantityError::Suffix),
            ("99999999999999999999999999999999999999999999", QuantityError::Number),
        ];
        for (text, why) in rows {
            assert_eq!(Quantity::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn compares_adds_and_rounds() {
        let read = |text| Quantity::parse(text).unwrap();
        for (less, more) in [("1", "1001m"), ("-1", "0"), ("999Mi", "1Gi"), ("1e100", "1e101"), ("-2", "-1"), ("1n", "1e100")] {
            assert!(read(less) < read(more), "{less} {more}");
        }
        assert_eq!(read("1").partial_cmp(&read("1000m")), Some(Ordering::Equal));
        assert_eq!(read("1Gi").plus(read("512Mi")).unwrap().to_string(), "1536Mi");
        assert_eq!(read("0").plus(read("250m")).unwrap().to_string(), "250m");
        assert_eq!((read("1.1").value(), read("-1.1").value(), read("1e30").value()), (2, -2, i64::MAX));
        assert_eq!(read("100u").round_up(-3).to_string(), "1m");
    }
}

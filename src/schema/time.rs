//! Times as Go reads and prints them.

use crate::request::quote;

/// Seconds and nanoseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant {
    /// Whole seconds; negative before 1970.
    pub seconds: i64,
    /// Below 1,000,000,000.
    pub nanos: u32,
}

/// How exact a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// `metav1.Time`: `2026-01-02T15:04:05Z`.
    Second,
    /// `metav1.MicroTime`: `2026-01-02T15:04:05.000000Z`; exactly six digits are accepted.
    Micro,
}

/// Reads RFC 3339.
///
/// # Errors
/// Go's words: `parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"`.
pub fn parse(text: &str, precision: Precision) -> Result<Instant, String> {
    Scan { text, rest: text, precision }.run()
}

/// Prints RFC 3339 in UTC; the rest of the precision is cut off.
pub fn print(instant: Instant, precision: Precision) -> String {
    let (days, second) = (instant.seconds.div_euclid(86_400), instant.seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    match precision {
        Precision::Second => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"),
        Precision::Micro => {
            let micros = instant.nanos / 1000;
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
        }
    }
}

/// The time in the one form that Go prints; `None` for Go's zero time, which is printed as null, and for what is no time.
pub fn canonical(text: &str, precision: Precision) -> Option<String> {
    parse(text, precision).ok().filter(|instant| !instant.is_zero()).map(|instant| print(instant, precision))
}

/// Whether the text already is in the one form, and is not Go's zero time. Says nothing of what is no time at all.
pub(super) fn is_canonical(text: &str, precision: Precision) -> bool {
    let length = if precision == Precision::Second { 20 } else { 27 };
    text.len() == length && text.ends_with('Z') && !text.starts_with("0001-01-01T")
}

impl Instant {
    /// Go's zero time, the first of January of the year 1.
    pub const ZERO: Self = Self { seconds: -62_135_596_800, nanos: 0 };

    /// Whether it is Go's zero time.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Whether it lies in the years 0 to 9999, which RFC 3339 can say.
    pub fn printable(self) -> bool {
        (-62_167_219_200..253_402_300_800).contains(&self.seconds) && self.nanos < 1_000_000_000
    }
}

/// Goes through the text element by element of Go's layout, so that a fault names the element.
struct Scan<'a> {
    text: &'a str,
    rest: &'a str,
    precision: Precision,
}

impl Scan<'_> {
    fn run(mut self) -> Result<Instant, String> {
        let year = self.digits(4, "2006")?;
        self.literal("-")?;
        let month = self.digits(2, "01")?;
        if !(1..=12).contains(&month) {
            return Err(self.out_of_range("month"));
        }
        self.literal("-")?;
        let day = self.digits(2, "02")?;
        self.literal("T")?;
        let hour = self.bounded("15", 24, "hour")?;
        self.literal(":")?;
        let minute = self.bounded("04", 60, "minute")?;
        self.literal(":")?;
        let second = self.bounded("05", 60, "second")?;
        let nanos = self.fraction()?;
        let offset = self.offset()?;
        if !self.rest.is_empty() {
            return Err(format!("parsing time {}: extra text: {}", quote(self.text), quote(self.rest)));
        }
        if !(1..=days_in(year, month)).contains(&day) {
            return Err(self.out_of_range("day"));
        }
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
        let instant = Instant { seconds, nanos };
        if instant.printable() { Ok(instant) } else { Err(self.out_of_range("year")) }
    }

    fn digits(&mut self, count: usize, element: &str) -> Result<i64, String> {
        let number = self.rest.get(..count).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let number = number.and_then(|text| text.parse().ok()).ok_or_else(|| self.cannot(element))?;
        self.rest = &self.rest[count..];
        Ok(number)
    }

    fn bounded(&mut self, element: &str, end: i64, name: &str) -> Result<i64, String> {
        let number = self.digits(2, element)?;
        if number < end { Ok(number) } else { Err(self.out_of_range(name)) }
    }

    fn literal(&mut self, element: &str) -> Result<(), String> {
        self.rest = self.rest.strip_prefix(element).ok_or_else(|| self.cannot(element))?;
        Ok(())
    }

    fn fraction(&mut self) -> Result<u32, String> {
        let digits = self.rest.strip_prefix(['.', ',']).unwrap_or("");
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        let count = match self.precision {
            Precision::Micro if count < 6 || !self.rest.starts_with('.') => return Err(self.cannot(".000000")),
            Precision::Micro => 6,
            Precision::Second if count == 0 => return Ok(0),
            Precision::Second => count,
        };
        self.rest = &digits[count..];
        let nanos = digits[..count].bytes().chain(std::iter::repeat(b'0')).take(9);
        Ok(nanos.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
    }

    /// Seconds east of UTC.
    fn offset(&mut self) -> Result<i64, String> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(0);
        }
        let bytes = self.rest.as_bytes();
        let digit = |at: usize| bytes.get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| i64::from(byte - b'0'));
        let two = |at: usize| Some(digit(at)? * 10 + digit(at + 1)?);
        let (Some(sign @ (b'+' | b'-')), Some(hours), Some(b':'), Some(minutes)) = (bytes.first(), two(1), bytes.get(3), two(4))
        else {
            return Err(self.cannot("Z07:00"));
        };
        if hours > 24 || minutes > 60 {
            return Err(self.out_of_range(if hours > 24 { "time zone offset hour" } else { "time zone offset minute" }));
        }
        self.rest = &self.rest[6..];
        let offset = hours * 3600 + minutes * 60;
        Ok(if *sign == b'-' { -offset } else { offset })
    }

    fn cannot(&self, element: &str) -> String {
        let (text, layout, rest) = (quote(self.text), self.layout(), quote(self.rest));
        format!("parsing time {text} as \"{layout}\": cannot parse {rest} as \"{element}\"")
    }

    fn out_of_range(&self, name: &str) -> String {
        format!("parsing time {}: {name} out of range", quote(self.text))
    }

    fn layout(&self) -> &'static str {
        match self.precision {
            Precision::Second => "2006-01-02T15:04:05Z07:00",
            Precision::Micro => "2006-01-02T15:04:05.000000Z07:00",
        }
    }
}

/// Days since 1970 of a date, after Howard Hinnant.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year * 365 + year / 4 - year / 100 + day - 719_468
}

/// Year, month and day of the days since 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (month, day) = ((month + 2) % 12 + 1, day - (153 * month + 2) / 5 + 1);
    (year + era * 400 + i64::from(month <= 2), month, day)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        let rows = [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"),
            ("2024-02-29T23:59:59+02:00", 1_709_243_999, "2024-02-29T21:59:59Z"),
            ("2026-11-23T19:07:07.987654321Z", 1_795_460_827, "2026-11-23T19:07:07Z"),
            ("1969-12-31T23:59:59,5-00:30", 1799, "1970-01-01T00:29:59Z"),
            ("0000-01-01T00:00:00Z", -62_167_219_200, "0000-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59Z", 253_402_300_799, "9999-12-31T23:59:59Z"),
        ];
        for (text, seconds, printed) in rows {
            let instant = parse(text, Precision::Second).unwrap();
            assert_eq!((instant.seconds, print(instant, Precision::Second).as_str()), (seconds, printed), "{text}");
        }
        let micro = parse("2026-01-02T03:04:05.678901+01:00", Precision::Micro).unwrap();
        assert_eq!(print(micro, Precision::Micro), "2026-01-02T02:04:05.678901Z");
        assert_eq!(canonical("0001-01-01T00:00:00Z", Precision::Second), None);
    }

    #[test]
    fn says_why_in_gos_words() {
        let layout = r#""2006-01-02T15:04:05Z07:00""#;
        let rows = [
            ("x", format!(r#"parsing time "x" as {layout}: cannot parse "x" as "2006""#)),
            ("", format!(r#"parsing time "" as {layout}: cannot parse "" as "2006""#)),
            ("2020-01-01", format!(r#"parsing time "2020-01-01" as {layout}: cannot parse "" as "T""#)),
            ("2020-13-01T00:00:00Z", r#"parsing time "2020-13-01T00:00:00Z": month out of range"#.to_owned()),
            ("2021-02-29T00:00:00Z", r#"parsing time "2021-02-29T00:00:00Z": day out of range"#.to_owned()),
            ("2020-01-01T24:00:00Z", r#"parsing time "2020-01-01T24:00:00Z": hour out of range"#.to_owned()),
            ("2020-01-01T00:00:00", format!(r#"parsing time "2020-01-01T00:00:00" as {layout}: cannot parse "" as "Z07:00""#)),
            ("2020-01-01T00:00:00Zz", r#"parsing time "2020-01-01T00:00:00Zz": extra text: "z""#.to_owned()),
        ];
        for (text, why) in rows {
            assert_eq!(parse(text, Precision::Second), Err(why), "{text}");
        }
        let why = r#"parsing time "2020-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000""#;
        assert_eq!(parse("2020-01-01T00:00:00Z", Precision::Micro), Err(why.to_owned()));
    }

    #[test]
    fn every_day_comes_back() {
        for day in -719_528..2_932_896 {
            let (year, month, date) = civil(day);
            assert_eq!(days(year, month, date), day);
        }
    }
}

//! The query string, decoded once; the first value of a key wins.

use std::borrow::Cow;
use std::time::Duration;

use super::duration;
use super::quote::quote;

/// A decoded query. Pairs that Go drops (bad escapes, semicolons) are dropped.
#[derive(Clone, Debug, Default)]
pub struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// A parameter that cannot be read: 400, with this message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadQuery(pub String);

impl<'a> Query<'a> {
    /// Decodes what follows the `?`.
    pub fn parse(query: &'a str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';'));
        let pairs = pairs.filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(key)?, decode(value)?))
        });
        Self { pairs: pairs.collect() }
    }

    /// The first value of a key; a key without `=` has the empty value.
    pub fn first(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_ref())
    }

    /// All values of a key, in order.
    pub fn all<'q>(&'q self, key: &'q str) -> impl Iterator<Item = &'q str> {
        self.pairs.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_ref())
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The value of `pretty`, if it is given: true for what Go's ParseBool takes as true.
    pub fn pretty(&self) -> Option<bool> {
        let value = self.first("pretty").filter(|value| !value.is_empty())?;
        Some(matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True"))
    }

    /// The client's own deadline. Zero stands for none.
    ///
    /// # Errors
    /// The value is no Go duration.
    pub fn timeout(&self) -> Result<Option<Duration>, BadQuery> {
        match self.first("timeout").unwrap_or_default() {
            "" => Ok(None),
            value => match duration::parse(value) {
                Ok(timeout) => Ok(timeout.filter(|timeout| !timeout.is_zero())),
                Err(fault) => Err(BadQuery(format!("invalid timeout specified in the request URL - {fault}"))),
            },
        }
    }

    /// A string, empty when it is not given.
    pub(super) fn text(&self, key: &str) -> String {
        self.first(key).unwrap_or_default().to_owned()
    }

    /// A flag; anything but `false` and `0` is true.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.first(key).map(is_true)
    }

    /// A whole number.
    pub(super) fn number(&self, key: &str) -> Result<Option<i64>, BadQuery> {
        self.first(key).map(parse_int).transpose()
    }
}

/// Kubernetes' reading of a boolean parameter: everything but `false` and `0` is true, the empty value too.
pub(super) fn is_true(value: &str) -> bool {
    !value.eq_ignore_ascii_case("false") && value != "0"
}

/// Percent-decodes; `None` for an incomplete escape. In a query `+` is a space.
pub(super) fn unescape(text: &str, plus_is_space: bool) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => nibble(rest.next()?)? << 4 | nibble(rest.next()?)?,
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let bytes = unescape(text, true)?;
    Some(Cow::Owned(String::from_utf8(bytes).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())))
}

fn parse_int(text: &str) -> Result<i64, BadQuery> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};

    text.parse().map_err(|error: std::num::ParseIntError| {
        let fault = if matches!(error.kind(), PosOverflow | NegOverflow) { "value out of range" } else { "invalid syntax" };
        BadQuery(format!("strconv.ParseInt: parsing {}: {fault}", quote(text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_as_go_does() {
        #[rustfmt::skip]
        let rows = [
            ("a=1&a=2", "a", Some("1")),
            ("a", "a", Some("")),
            ("a=b=c", "a", Some("b=c")),
            ("a=x%20y+z", "a", Some("x y z")),
            ("a=%zz&a=2", "a", Some("2")),
            ("a=1;b=2&b=3", "b", Some("3")),
            ("a=1;b=2", "a", None),
            ("%61=1", "a", Some("1")),
            ("a=%ff", "a", Some("\u{fffd}")),
            ("&&=x", "", Some("x")),
            ("", "a", None),
        ];
        for (query, key, expected) in rows {
            assert_eq!(Query::parse(query).first(key), expected, "{query}");
        }
    }

    #[test]
    fn numbers_fail_in_gos_words() {
        #[rustfmt::skip]
        let rows = [
            ("limit=5", Ok(Some(5))),
            ("limit=-5", Ok(Some(-5))),
            ("", Ok(None)),
            ("limit=", Err(r#"strconv.ParseInt: parsing "": invalid syntax"#)),
            ("limit=ten", Err(r#"strconv.ParseInt: parsing "ten": invalid syntax"#)),
            ("limit=1e3", Err(r#"strconv.ParseInt: parsing "1e3": invalid syntax"#)),
            ("limit=9223372036854775808", Err(r#"strconv.ParseInt: parsing "9223372036854775808": value out of range"#)),
        ];
        for (query, expected) in rows {
            assert_eq!(Query::parse(query).number("limit"), expected.map_err(|text| BadQuery(text.to_owned())), "{query}");
        }
    }

    #[test]
    fn pretty_and_timeout() {
        assert_eq!(Query::parse("pretty=true").pretty(), Some(true));
        assert_eq!(Query::parse("pretty=yes").pretty(), Some(false));
        assert_eq!(Query::parse("pretty=").pretty(), None);
        assert_eq!(Query::parse("timeout=32s").timeout(), Ok(Some(Duration::from_secs(32))));
        assert_eq!(Query::parse("timeout=0s").timeout(), Ok(None));
        assert_eq!(Query::parse("timeout=-5s").timeout(), Ok(None));
        let fault = Query::parse("timeout=soon").timeout().unwrap_err();
        assert_eq!(fault.0, r#"invalid timeout specified in the request URL - time: invalid duration "soon""#);
    }
}

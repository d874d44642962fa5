//! Field selectors: `metadata.name=x,status.phase!=Failed`.

use super::SelectorError;

/// A compiled field selector: all terms must hold. The default matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<FieldTerm>,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    /// The field, like `spec.nodeName`.
    pub field: String,
    /// The value, unescaped.
    pub value: String,
    /// Whether the field must have the value, or must not.
    pub equal: bool,
}

impl FieldSelector {
    /// Reads a selector. In values `\\`, `\,` and `\=` stand for the second character.
    ///
    /// # Errors
    /// The text is no selector.
    pub fn parse(selector: &str) -> Result<Self, SelectorError> {
        let mut parts = split(selector);
        parts.sort_unstable();
        let terms = parts.into_iter().filter(|part| !part.is_empty()).map(|part| term(part, selector));
        Ok(Self { terms: terms.collect::<Result<_, _>>()? })
    }

    /// Whether every object matches.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// The terms, in the order of their texts.
    pub fn terms(&self) -> &[FieldTerm] {
        &self.terms
    }

    /// The value that the field must have, if the selector says so.
    pub fn requires_exact(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|term| term.equal && term.field == field).map(|term| term.value.as_str())
    }

    /// Whether the object whose fields `lookup` knows matches. An absent field is the empty string.
    pub fn matches<'o>(&self, lookup: impl Fn(&str) -> Option<&'o str>) -> bool {
        self.terms.iter().all(|term| (lookup(&term.field).unwrap_or_default() == term.value) == term.equal)
    }
}

/// Splits at commas that are not escaped.
fn split(selector: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (index, byte) in selector.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b',' => {
                parts.push(&selector[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&selector[start..]);
    parts
}

fn term(part: &str, selector: &str) -> Result<FieldTerm, SelectorError> {
    let found = part.char_indices().find_map(|(index, _)| {
        let operator = ["!=", "==", "="].into_iter().find(|operator| part[index..].starts_with(operator))?;
        Some((&part[..index], operator, &part[index + operator.len()..]))
    });
    let Some((field, operator, value)) = found else {
        return Err(SelectorError(format!("invalid selector: '{selector}'; can't understand '{part}'")));
    };
    Ok(FieldTerm { field: field.to_owned(), value: unescape(value)?, equal: operator != "!=" })
}

fn unescape(value: &str) -> Result<String, SelectorError> {
    let sequence = |sequence: &str| SelectorError(format!("invalid field selector: invalid escape sequence: {sequence}"));
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                Some(other) => return Err(sequence(&format!("\\{other}"))),
                None => return Err(sequence("\\")),
            },
            // Go prints the character as its number.
            ',' | '=' => {
                let fault = format!("invalid field selector: unescaped character in value: {}", char as u32);
                return Err(SelectorError(fault));
            }
            other => plain.push(other),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(selector: &FieldSelector) -> String {
        let terms: Vec<_> =
            selector.terms().iter().map(|t| format!("{}{}{}", t.field, if t.equal { "=" } else { "!=" }, t.value)).collect();
        terms.join(" & ")
    }

    #[test]
    fn reads_terms() {
        #[rustfmt::skip]
        let rows = [
            ("", ""),
            (",,", ""),
            ("a=b", "a=b"),
            ("a==b", "a=b"),
            ("a!=b", "a!=b"),
            ("x=y,a!=", "a!= & x=y"),
            ("a=", "a="),
            ("=b", "=b"),
            (r"a=b\,c\=d\\", r"a=b,c=d\"),
            ("a =b", "a =b"),
        ];
        for (text, expected) in rows {
            assert_eq!(show(&FieldSelector::parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn refuses_in_kubernetes_words() {
        #[rustfmt::skip]
        let rows = [
            ("a", "invalid selector: 'a'; can't understand 'a'"),
            ("a=b,c", "invalid selector: 'a=b,c'; can't understand 'c'"),
            ("a=b=c", "invalid field selector: unescaped character in value: 61"),
            ("a===b", "invalid field selector: unescaped character in value: 61"),
            (r"a=\n", r"invalid field selector: invalid escape sequence: \n"),
            (r"a=b\", r"invalid field selector: invalid escape sequence: \"),
        ];
        for (text, expected) in rows {
            assert_eq!(FieldSelector::parse(text).unwrap_err().0, expected, "{text}");
        }
    }

    #[test]
    fn matches_fields() {
        let lookup = |field: &str| match field {
            "metadata.name" => Some("a"),
            "spec.nodeName" => Some(""),
            _ => None,
        };
        #[rustfmt::skip]
        let rows = [
            ("", true),
            ("metadata.name=a", true),
            ("metadata.name!=a", false),
            ("metadata.name=b", false),
            ("spec.nodeName=", true),
            ("other=", true),
            ("other!=x,metadata.name=a", true),
            ("other=x,metadata.name=a", false),
        ];
        for (text, expected) in rows {
            assert_eq!(FieldSelector::parse(text).unwrap().matches(lookup), expected, "{text}");
        }
        let selector = FieldSelector::parse("a!=x,metadata.name=b,metadata.name=c").unwrap();
        assert_eq!(selector.requires_exact("metadata.name"), Some("b"));
        assert_eq!(selector.requires_exact("a"), None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[a-z=!,\\\\\u{fc}]{0,30}") {
            let _ = FieldSelector::parse(&text);
        }
    }
}

//! What a raw field selector fixes. Reads the grammar of Kubernetes' `fields.ParseSelector`, no more.

use std::borrow::Cow;

/// The value that `raw` requires of `field` by `=` or `==`; `None` when it requires none, or cannot be read.
///
/// A requirement is one term of a conjunction: whatever else the selector says, the objects it leaves have this value.
pub(super) fn required<'a>(raw: &'a str, field: &str) -> Option<Cow<'a, str>> {
    let mut found = None;
    for term in terms(raw) {
        if term.is_empty() {
            continue;
        }
        let (name, operator, value) = split(term)?;
        let value = unescape(value)?;
        if name == field && operator == Operator::Equals && found.is_none() {
            found = Some(value);
        }
    }
    found
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equals,
    Differs,
}

/// The terms between commas that no backslash escapes.
fn terms(raw: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    raw.split(move |sign: char| {
        let separates = sign == ',' && !escaped;
        escaped = sign == '\\' && !escaped;
        separates
    })
}

fn split(term: &str) -> Option<(&str, Operator, &str)> {
    let at = term.find(['=', '!'])?;
    let (name, rest) = term.split_at(at);
    if let Some(value) = rest.strip_prefix("!=") {
        return Some((name, Operator::Differs, value));
    }
    let value = rest.strip_prefix("==").or_else(|| rest.strip_prefix('='))?;
    Some((name, Operator::Equals, value))
}

/// Takes `\\`, `\,` and `\=` apart. Any other backslash, and a bare `=` or `,`, makes the selector unreadable.
fn unescape(value: &str) -> Option<Cow<'_, str>> {
    if !value.contains(['\\', '=', ',']) {
        return Some(Cow::Borrowed(value));
    }
    let mut plain = String::with_capacity(value.len());
    let mut signs = value.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '\\' => plain.push(signs.next().filter(|next| matches!(next, '\\' | ',' | '='))?),
            '=' | ',' => return None,
            _ => plain.push(sign),
        }
    }
    Some(Cow::Owned(plain))
}

#[cfg(test)]
mod tests {
    use super::required;

    #[test]
    fn finds_what_is_required() {
        for (raw, field, value) in [
            ("spec.nodeName=n", "spec.nodeName", Some("n")),
            ("spec.nodeName==n", "spec.nodeName", Some("n")),
            ("spec.nodeName!=n", "spec.nodeName", None),
            ("a=b,spec.nodeName=n", "spec.nodeName", Some("n")),
            ("a=b\\,spec.nodeName=n", "spec.nodeName", None),
            ("spec.nodeName=a\\,b", "spec.nodeName", Some("a,b")),
            ("spec.nodeName=", "spec.nodeName", Some("")),
            ("xspec.nodeName=n", "spec.nodeName", None),
            ("spec.nodeName=n,broken", "spec.nodeName", None),
            ("spec.nodeName=n\\x", "spec.nodeName", None),
            ("spec.nodeName=a=b", "spec.nodeName", None),
            ("", "spec.nodeName", None),
        ] {
            assert_eq!(required(raw, field).as_deref(), value, "{raw}");
        }
    }
}

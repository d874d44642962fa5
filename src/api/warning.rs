//! `Warning` headers (contract 1.6).

use http::HeaderValue;
use http::header::WARNING;

use crate::body::Response;

/// Adds one header for each text, doubles left out.
pub(crate) fn attach(mut response: Response, warnings: &[String]) -> Response {
    let mut told: Vec<&str> = Vec::new();
    let total: usize = warnings.iter().map(|text| text.chars().count()).sum();
    for text in warnings {
        if told.contains(&text.as_str()) {
            continue;
        }
        told.push(text);
        if let Some(header) = header(text, if total > TOTAL { EACH } else { TOTAL }) {
            response.headers_mut().append(WARNING, header);
        }
    }
    response
}

/// `299 - "text"`, with `"` and `\` escaped; `None` for a text that cannot stand in a header.
fn header(text: &str, most: usize) -> Option<HeaderValue> {
    if text.is_empty() {
        return None;
    }
    let mut value = String::with_capacity(text.len() + 10);
    value.push_str("299 - \"");
    for character in text.chars().take(most) {
        match character {
            '"' | '\\' => value.extend(['\\', character]),
            other if other.is_control() => value.push(' '),
            other => value.push(other),
        }
    }
    value.push('"');
    HeaderValue::from_bytes(value.as_bytes()).ok()
}

const TOTAL: usize = 4096;
const EACH: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Body;

    #[test]
    fn texts_are_quoted_and_told_once() {
        let texts = ["unknown field \"a\"".to_owned(), "b\nc".to_owned(), "b\nc".to_owned()];
        let response = attach(Response::new(Body::empty()), &texts);
        let headers: Vec<&[u8]> = response.headers().get_all(WARNING).iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(headers, [br#"299 - "unknown field \"a\"""#.as_slice(), b"299 - \"b c\""]);
    }

    #[test]
    fn too_much_is_cut() {
        let texts = ["x".repeat(5000)];
        let response = attach(Response::new(Body::empty()), &texts);
        assert_eq!(response.headers()[WARNING].len(), 256 + 8);
    }
}

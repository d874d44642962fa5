//! `Warning` headers (contract 1.6).

use http::HeaderValue;
use http::header::WARNING;

use crate::body::Response;

/// Adds one header for each text, doubles left out. When they are too long together, each is cut.
pub(crate) fn attach(mut response: Response, warnings: &[String]) -> Response {
    let mut texts: Vec<&str> = Vec::new();
    for text in warnings.iter().filter(|text| !text.is_empty()) {
        if !texts.contains(&text.as_str()) {
            texts.push(text);
        }
    }
    let cut = length(&texts, usize::MAX) > TOTAL;
    let mut written = 0;
    for text in texts {
        if cut && written >= TOTAL {
            break;
        }
        let most = if cut { EACH } else { TOTAL };
        if let Some(header) = header(text, most) {
            written += text.chars().take(most).count();
            response.headers_mut().append(WARNING, header);
        }
    }
    response
}

fn length(texts: &[&str], most: usize) -> usize {
    texts.iter().filter(|text| !text.contains(char::is_control)).map(|text| text.chars().take(most).count()).sum()
}

/// `299 - "text"`, with `"` and `\` escaped; `None` for a text that cannot stand in a header.
fn header(text: &str, most: usize) -> Option<HeaderValue> {
    let mut value = String::with_capacity(text.len() + 10);
    value.push_str("299 - \"");
    for character in text.chars().take(most) {
        match character {
            '"' | '\\' => value.extend(['\\', character]),
            other if other.is_control() => return None,
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
        let texts = ["unknown field \"a\"", "b\nc", "", "d", "d"].map(str::to_owned);
        let response = attach(Response::new(Body::empty()), &texts);
        let headers: Vec<&[u8]> = response.headers().get_all(WARNING).iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(headers, [br#"299 - "unknown field \"a\"""#.as_slice(), b"299 - \"d\""]);
    }

    #[test]
    fn too_much_is_cut() {
        for (texts, lengths) in [
            (vec!["x".repeat(5000)], vec![256]),
            (vec!["x".repeat(4000), "y".repeat(96)], vec![4000, 96]),
            (vec!["x".repeat(4000), "y".repeat(97)], vec![256, 97]),
            ((0..20).map(|n| format!("{n:0>300}")).collect(), vec![256; 16]),
        ] {
            let response = attach(Response::new(Body::empty()), &texts);
            let seen: Vec<usize> = response.headers().get_all(WARNING).iter().map(|value| value.len() - 8).collect();
            assert_eq!(seen, lengths);
        }
    }
}

//! The words of a label selector.

/// One word. Words that are operators are names where a name is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    End,
    Name,
    In,
    NotIn,
    Not,
    Equals,
    DoubleEquals,
    NotEquals,
    Above,
    Below,
    Open,
    Close,
    Comma,
}

/// The words in order, ended by [`Token::End`]. A NUL ends the text, as in Go.
pub(super) fn scan(text: &str) -> Vec<(Token, &str)> {
    let text = text.split('\0').next().unwrap_or_default();
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(SPACE);
    while !rest.is_empty() {
        let (token, length) = symbol(rest).unwrap_or_else(|| word(rest));
        tokens.push((token, &rest[..length]));
        rest = rest[length..].trim_start_matches(SPACE);
    }
    tokens.push((Token::End, ""));
    tokens
}

fn symbol(text: &str) -> Option<(Token, usize)> {
    Some(match text.as_bytes() {
        [b'=', b'=', ..] => (Token::DoubleEquals, 2),
        [b'!', b'=', ..] => (Token::NotEquals, 2),
        [b'=', ..] => (Token::Equals, 1),
        [b'!', ..] => (Token::Not, 1),
        [b'(', ..] => (Token::Open, 1),
        [b')', ..] => (Token::Close, 1),
        [b',', ..] => (Token::Comma, 1),
        [b'>', ..] => (Token::Above, 1),
        [b'<', ..] => (Token::Below, 1),
        _ => return None,
    })
}

fn word(text: &str) -> (Token, usize) {
    let end = text.find(|char| SPACE.contains(&char) || "=!(),<>".contains(char)).unwrap_or(text.len());
    let token = match &text[..end] {
        "in" => Token::In,
        "notin" => Token::NotIn,
        _ => Token::Name,
    };
    (token, end)
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

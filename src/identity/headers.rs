//! The credentials in a request's headers: read, and taken off on every path.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, CONNECTION, PROXY_AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Asked;
use super::proxy::Remote;

/// What a request's headers brought. Printed without the token.
#[derive(PartialEq, Eq)]
pub struct Brought {
    pub(super) bearer: Bearer,
    /// For whom a front proxy would speak, or the header that cannot be read.
    pub(super) remote: Option<Result<Remote, &'static str>>,
    /// Impersonation, or the message of a 400.
    pub(super) asked: Result<Option<Asked>, String>,
}

/// A token, or what stands in its place.
#[derive(PartialEq, Eq)]
pub(super) enum Bearer {
    None,
    Token(String),
    Bad(&'static str),
}

impl fmt::Debug for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Brought").field("bearer", &self.bearer).field("remote", &self.remote).field("asked", &self.asked).finish()
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Token(_) => f.write_str("Token"),
            Self::Bad(why) => write!(f, "Bad({why:?})"),
        }
    }
}

/// Reads the credentials and removes them, with every header that only a trusted front proxy may send.
pub(super) fn take(headers: &mut HeaderMap) -> Brought {
    let websocket = is_websocket(headers);
    let brought = Brought { bearer: authorization(headers), remote: Remote::read(headers), asked: Asked::read(headers) };
    let bearer = match (take_subprotocol(headers), brought.bearer) {
        (subprotocol, Bearer::None) if websocket => subprotocol,
        (_, bearer) => bearer,
    };
    let claims: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name.as_str())).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
    Brought { bearer, ..brought }
}

fn authorization(headers: &HeaderMap) -> Bearer {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Bearer::None };
    if values.next().is_some() {
        return Bearer::Bad("several Authorization headers");
    }
    let Ok(value) = value.to_str() else { return Bearer::Bad("an Authorization header that is no text") };
    let mut parts = value.trim().splitn(3, ' ');
    match (parts.next(), parts.next()) {
        (Some(""), None) => Bearer::None,
        (Some(scheme), Some(token)) if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() => {
            Bearer::Token(token.to_owned())
        }
        _ => Bearer::Bad("an Authorization header that is no bearer token"),
    }
}

/// Takes the token's protocol off the list a WebSocket client offers. Browsers have no other way to send one.
fn take_subprotocol(headers: &mut HeaderMap) -> Bearer {
    let offered = |name: &str| name.trim().starts_with(SUBPROTOCOL);
    let carries = |value: &HeaderValue| value.as_bytes().windows(SUBPROTOCOL.len()).any(|part| part == SUBPROTOCOL.as_bytes());
    if !headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().any(carries) {
        return Bearer::None;
    }
    let lines: Vec<String> = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    let (tokens, others): (Vec<&str>, Vec<&str>) = lines.iter().flat_map(|line| line.split(',')).partition(|name| offered(name));
    let others: Vec<&str> = others.into_iter().map(str::trim).filter(|name| !name.is_empty()).collect();
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Ok(rest) = HeaderValue::from_str(&others.join(","))
        && !others.is_empty()
    {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, rest);
    }
    match tokens[..] {
        [] => Bearer::None,
        [_] if others.is_empty() => Bearer::Bad("a token's subprotocol without another subprotocol"),
        [token] => decode(token.trim()),
        _ => Bearer::Bad("several tokens in subprotocols"),
    }
}

fn decode(protocol: &str) -> Bearer {
    let encoded = protocol.strip_prefix(SUBPROTOCOL).unwrap_or_default();
    match URL_SAFE_NO_PAD.decode(encoded).ok().and_then(|token| String::from_utf8(token).ok()) {
        Some(token) if token.is_empty() => Bearer::None,
        Some(token) => Bearer::Token(token),
        None => Bearer::Bad("a token's subprotocol that cannot be decoded"),
    }
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let lists = |name, token: &str| {
        let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.any(|value| value.split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
    };
    lists(CONNECTION, "upgrade") && lists(UPGRADE, "websocket")
}

/// Whether a header claims an identity. Underscores and escapes count as the hyphens that somebody behind us might read them as.
fn is_claim(name: &str) -> bool {
    if name == AUTHORIZATION || name == PROXY_AUTHORIZATION {
        return true;
    }
    let claims = |name: &str| name.starts_with("x-remote-") || name.starts_with("impersonate-");
    if !name.contains(['_', '%']) {
        return claims(name);
    }
    claims(&name.replace("%2d", "-").replace("%5f", "_").replace('_', "-"))
}

const SUBPROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines.split('|').filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap();
            headers.append(HeaderName::from_bytes(name.trim().as_bytes()).unwrap(), value.trim().parse().unwrap());
        }
        headers
    }

    #[test]
    fn bearer_tokens() {
        let none = "an Authorization header that is no bearer token";
        #[rustfmt::skip]
        let rows = [
            ("", Bearer::None),
            ("Authorization:", Bearer::None),
            ("Authorization: Bearer abc", Bearer::Token("abc".to_owned())),
            ("authorization: bEARER abc", Bearer::Token("abc".to_owned())),
            ("Authorization: Bearer abc def", Bearer::Token("abc".to_owned())),
            ("Authorization: Bearer  abc", Bearer::Bad(none)),
            ("Authorization: Bearer", Bearer::Bad(none)),
            ("Authorization: Basic abc", Bearer::Bad(none)),
            ("Authorization: Bearer a|Authorization: Bearer b", Bearer::Bad("several Authorization headers")),
        ];
        for (lines, expected) in rows {
            let mut headers = map(lines);
            assert_eq!(take(&mut headers).bearer, expected, "{lines}");
            assert!(headers.is_empty(), "{lines}");
        }
    }

    #[test]
    fn subprotocol_tokens() {
        let upgrade = "Connection: keep-alive, Upgrade|Upgrade: WebSocket|";
        #[rustfmt::skip]
        let rows = [
            ("Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.YWJj, v4.channel.k8s.io", Bearer::Token("abc".to_owned()), "v4.channel.k8s.io"),
            ("Sec-WebSocket-Protocol: a|Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.YWJj|Sec-WebSocket-Protocol: b", Bearer::Token("abc".to_owned()), "a,b"),
            ("Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.YWJj", Bearer::Bad("a token's subprotocol without another subprotocol"), ""),
            ("Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.YW=,a", Bearer::Bad("a token's subprotocol that cannot be decoded"), "a"),
            ("Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io._w,a", Bearer::Bad("a token's subprotocol that cannot be decoded"), "a"),
            ("Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.YQ,base64url.bearer.authorization.k8s.io.Yg,a", Bearer::Bad("several tokens in subprotocols"), "a"),
            ("Sec-WebSocket-Protocol: v4.channel.k8s.io, b", Bearer::None, "v4.channel.k8s.io, b"),
            ("Authorization: Bearer x|Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.YWJj, a", Bearer::Token("x".to_owned()), "a"),
        ];
        for (lines, expected, left) in rows {
            let mut headers = map(&format!("{upgrade}{lines}"));
            assert_eq!(take(&mut headers).bearer, expected, "{lines}");
            let rest = headers.get(SEC_WEBSOCKET_PROTOCOL).map(|value| value.to_str().unwrap()).unwrap_or_default();
            assert_eq!(rest, left, "{lines}");
        }
    }

    #[test]
    fn a_subprotocol_without_an_upgrade_is_removed_and_not_used() {
        let mut headers = map("Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.YWJj, a");
        assert_eq!(take(&mut headers).bearer, Bearer::None);
        assert_eq!(headers[SEC_WEBSOCKET_PROTOCOL], "a");
    }

    #[test]
    fn claims_are_removed_however_they_are_spelled() {
        let lines = "X-Remote-User: a|x_remote_user: a|X-Remote_Group: b|X-REMOTE-EXTRA-Scopes%2Ffoo: c|x%2dremote%2duid: d|X-Remote-Uid: e\
                     |Impersonate-User: u|impersonate_group: g|Proxy-Authorization: Basic x|Authorization: Bearer t|Accept: y|X-Remoteness: z";
        let mut headers = map(lines);
        take(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "x-remoteness"]);
    }

    #[test]
    fn underscores_ask_nothing() {
        let brought = take(&mut map("impersonate_user: root"));
        assert_eq!(brought.asked, Ok(None));
    }
}

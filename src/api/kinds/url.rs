//! Where a webhook is called: a URL as Go reads it, or a service.

use super::field::Field;
use crate::api::error::{FieldError, quoted};
use crate::api::meta::name;

/// The parts of a URL that a webhook's rules look at.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parts<'a> {
    scheme: String,
    user: Option<&'a str>,
    host: &'a str,
    query: &'a str,
    fragment: &'a str,
}

/// The faults of a webhook's URL.
pub(super) fn check(url: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let parts = match Parts::read(url.text()) {
        Ok(parts) => parts,
        Err(fault) => {
            let text = url.text().split('#').next().unwrap_or("");
            errors.push(url.required(&format!("url must be a valid URL: parse {}: {fault}{FORM}", quoted(text))));
            return;
        }
    };
    if parts.scheme != "https" {
        errors.push(url.invalid_text(&parts.scheme, &format!("'https' is the only allowed URL scheme{FORM}")));
    }
    if parts.host.is_empty() {
        errors.push(url.invalid_text("", &format!("host must be specified{FORM}")));
    }
    if let Some(user) = parts.user {
        errors.push(url.invalid_text(user, "user information is not permitted in the URL"));
    }
    if !parts.fragment.is_empty() {
        errors.push(url.invalid_text(parts.fragment, "fragments are not permitted in the URL"));
    }
    if !parts.query.is_empty() {
        errors.push(url.invalid_text(parts.query, "query parameters are not permitted in the URL"));
    }
}

/// The faults of a webhook's service.
pub(super) fn check_service(service: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    // kube-apiserver has the two the wrong way round.
    for (looked_at, told) in [("namespace", "name"), ("name", "namespace")] {
        if service.at(looked_at).is_empty() {
            errors.push(service.at(told).required(""));
        }
    }
    let port = service.at("port");
    if !(1..=65535).contains(&port.count()) {
        errors.push(port.invalid_number("port is not valid: must be between 1 and 65535, inclusive"));
    }
    check_path(&service.at("path"), errors);
}

fn check_path(path: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let text = path.text();
    if matches!(text, "" | "/") {
        return;
    }
    if text == "//" {
        errors.push(path.invalid("segment[0] may not be empty"));
        return;
    }
    if !text.starts_with('/') {
        errors.push(path.invalid("must start with a '/'"));
    }
    let mut rest = text.chars();
    rest.next();
    let rest = rest.as_str();
    for (index, segment) in rest.strip_suffix('/').unwrap_or(rest).split('/').enumerate() {
        if segment.is_empty() {
            errors.push(path.invalid(&format!("segment[{index}] may not be empty")));
            continue;
        }
        errors.extend(name::subdomain(segment).iter().map(|fault| path.invalid(&format!("segment[{index}]: {fault}"))));
    }
}

impl<'a> Parts<'a> {
    /// Reads a URL, or tells in Go's words why it is none.
    fn read(text: &'a str) -> Result<Self, String> {
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let (scheme, rest) = scheme(text)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut parts = Parts { scheme: scheme.to_lowercase(), query, fragment, ..Parts::default() };
        if !rest.starts_with('/') {
            if scheme.is_empty() && rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
            if !scheme.is_empty() {
                return Ok(parts);
            }
        }
        let mut path = rest;
        if let Some(rest) = rest.strip_prefix("//").filter(|rest| !scheme.is_empty() || !rest.starts_with('/')) {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, after) = rest.split_at(end);
            let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
            check_host(host)?;
            if user.is_some_and(|user| {
                !user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte))
            }) {
                return Err("net/url: invalid userinfo".to_owned());
            }
            (parts.user, parts.host, path) = (user, host, after);
        }
        check_escapes(path)?;
        Ok(parts)
    }
}

fn scheme(text: &str) -> Result<(&str, &str), String> {
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if index > 0 => {}
            b':' if index == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..index], &text[index + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn check_host(host: &str) -> Result<(), String> {
    let port = match host.strip_prefix('[') {
        Some(rest) => rest.rsplit_once(']').map(|(_, port)| port).ok_or("missing ']' in host")?,
        None => host.rfind(':').map_or("", |at| &host[at..]),
    };
    let valid = port.is_empty() || port.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    if !valid {
        return Err(format!("invalid port {} after host", quoted(port)));
    }
    match host.chars().find(|c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_.~!$&'()*+,;=:[]<>\"%".contains(*c)) {
        Some(bad) => Err(format!("invalid character {} in host name", quoted(&bad.to_string()))),
        None => check_escapes(host),
    }
}

fn check_escapes(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('%') {
        let escape: String = text[at..].chars().take(3).collect();
        if escape.len() != 3 || !escape[1..].bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("invalid URL escape {}", quoted(&escape)));
        }
    }
    Ok(())
}

const FORM: &str = "; desired format: https://host[/path]";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(check: fn(&Field<'_, '_>, &mut Vec<FieldError>), value: serde_json::Value) -> Vec<String> {
        let mut errors = Vec::new();
        check(&Field::new(&value, "x"), &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn urls() {
        for (url, expected) in [
            ("https://a.b/c", ""),
            ("https://[::1]:443/c", ""),
            (
                "http://a",
                "x: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
            ),
            ("https://", "x: Invalid value: \"\": host must be specified; desired format: https://host[/path]"),
            ("https://u:p@a", "x: Invalid value: \"u:p\": user information is not permitted in the URL"),
            ("https://a#f", "x: Invalid value: \"f\": fragments are not permitted in the URL"),
            ("https://a?q=1", "x: Invalid value: \"q=1\": query parameters are not permitted in the URL"),
            (
                "https://a:b",
                "x: Required value: url must be a valid URL: parse \"https://a:b\": invalid port \":b\" after host; desired format: \
                 https://host[/path]",
            ),
            (
                "https://a/%zz",
                "x: Required value: url must be a valid URL: parse \"https://a/%zz\": invalid URL escape \"%zz\"; desired format: \
                 https://host[/path]",
            ),
        ] {
            assert_eq!(faults(check, json!(url)).join(" | "), expected, "{url}");
        }
        assert_eq!(faults(check, json!("example.com")).len(), 2);
    }

    #[test]
    fn services() {
        let service = |path: &str| json!({"name": "a", "namespace": "b", "port": 443, "path": path});
        for (service, expected) in [
            (service("/a/b/"), ""),
            (service("/"), ""),
            (service("//"), "x.path: Invalid value: \"//\": segment[0] may not be empty"),
            (service("/a//b"), "x.path: Invalid value: \"/a//b\": segment[1] may not be empty"),
            (json!({"namespace": "b", "port": 1}), "x.namespace: Required value"),
            (
                json!({"name": "a", "namespace": "b", "port": 0}),
                "x.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive",
            ),
        ] {
            assert_eq!(faults(check_service, service).join(" | "), expected);
        }
    }
}

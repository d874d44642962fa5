//! The path and method of a request into its verb and target, as kube-apiserver's RequestInfo.

use std::borrow::Cow;

use http::{Method, Uri};
use smallvec::SmallVec;

use super::options::ListOptions;
use super::query::{Query, is_true, unescape};
use super::{Attributes, Resource, Target, Verb};

impl Attributes {
    /// Reads the request line. Total: a path that is no resource, or that cannot be decoded, is a [`Target::Path`].
    pub fn parse(method: &Method, uri: &Uri) -> Self {
        let Some(path) = decode(uri.path()) else {
            return of_path(method, uri.path().to_owned());
        };
        match resource(method, &path, uri.query().unwrap_or_default()) {
            Some((verb, resource)) => Self { verb, target: Target::Resource(resource) },
            None => of_path(method, path.into_owned()),
        }
    }
}

/// A name may be a path segment when it is neither `.` nor `..` and has neither `/` nor `%`. The text is kube-apiserver's complaint.
pub fn segment_fault(name: &str) -> Option<&'static str> {
    match name {
        "." => Some("may not be '.'"),
        ".." => Some("may not be '..'"),
        _ if name.contains('/') => Some("may not contain '/'"),
        _ if name.contains('%') => Some("may not contain '%'"),
        _ => None,
    }
}

fn of_path(method: &Method, path: String) -> Attributes {
    let verb = match method.as_str() {
        "GET" => Verb::Get,
        "HEAD" => Verb::Head,
        "POST" => Verb::Post,
        "PUT" => Verb::Put,
        "PATCH" => Verb::Patch,
        "DELETE" => Verb::Delete,
        "OPTIONS" => Verb::Options,
        _ => Verb::Other,
    };
    Attributes { verb, target: Target::Path(path) }
}

/// Percent-decodes one segment; `None` for bad escapes or bytes that are no UTF-8 text.
pub(crate) fn unescape_segment(segment: &str) -> Option<String> {
    decode(segment).map(Cow::into_owned)
}

/// Percent-decodes a path as Go's `URL.Path`; `None` for bad escapes or bytes that are no UTF-8 text.
fn decode(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    String::from_utf8(unescape(path, false)?).ok().map(Cow::Owned)
}

fn resource(method: &Method, path: &str, query: &str) -> Option<(Verb, Resource)> {
    let parts: SmallVec<[&str; 12]> = path.trim_matches('/').split('/').collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        _ => return None,
    };
    let mut resource = Resource { group: group.to_owned(), version: version.to_owned(), ..Resource::default() };
    let (special, rest) = special_verb(rest)?;
    let rest = place(rest, &mut resource);
    name_parts(rest, special, &mut resource);
    let verb = match special {
        Some(verb) => verb,
        None => refine(method_verb(method), query, &mut resource),
    };
    Some((verb, resource))
}

/// The legacy prefixes `watch/` and `proxy/` decide the verb. `None` when nothing follows them.
fn special_verb<'a>(parts: &'a [&'a str]) -> Option<(Option<Verb>, &'a [&'a str])> {
    let verb = match *parts.first()? {
        "watch" => Verb::Watch,
        "proxy" => Verb::Proxy,
        _ => return Some((None, parts)),
    };
    (parts.len() > 1).then_some((Some(verb), &parts[1..]))
}

fn method_verb(method: &Method) -> Verb {
    match method.as_str() {
        "POST" => Verb::Create,
        "GET" | "HEAD" => Verb::Get,
        "PUT" => Verb::Update,
        "PATCH" => Verb::Patch,
        "DELETE" => Verb::Delete,
        _ => Verb::Other,
    }
}

/// Takes `namespaces/NAME` off, unless the request is about the namespace itself.
fn place<'a>(parts: &'a [&'a str], resource: &mut Resource) -> &'a [&'a str] {
    match parts {
        ["namespaces", namespace, rest @ ..] => {
            resource.namespace = (*namespace).to_owned();
            match rest {
                [] | ["status" | "finalize", ..] => parts,
                _ => rest,
            }
        }
        _ => parts,
    }
}

fn name_parts(parts: &[&str], special: Option<Verb>, resource: &mut Resource) {
    let part = |index: usize| parts.get(index).copied().unwrap_or_default().to_owned();
    resource.resource = part(0);
    resource.name = part(1);
    let rest = if special == Some(Verb::Proxy) {
        2
    } else {
        resource.subresource = part(2);
        3
    };
    resource.rest = parts.get(rest..).map(|rest| rest.join("/")).unwrap_or_default();
}

/// A get without a name is a list or a watch, a delete without a name is a deletecollection.
fn refine(verb: Verb, query: &str, resource: &mut Resource) -> Verb {
    if !resource.name.is_empty() {
        return verb;
    }
    let query = Query::parse(query);
    let verb = match verb {
        Verb::Get => list_or_watch(&query, resource),
        Verb::Delete => Verb::DeleteCollection,
        other => return other,
    };
    resource.field_selector = query.first("fieldSelector").unwrap_or_default().to_owned();
    resource.label_selector = query.first("labelSelector").unwrap_or_default().to_owned();
    verb
}

fn list_or_watch(query: &Query<'_>, resource: &mut Resource) -> Verb {
    let watch = match ListOptions::parse(query) {
        Ok(options) => {
            let name = options.field_selector.requires_exact("metadata.name").unwrap_or_default();
            if segment_fault(name).is_none() {
                name.clone_into(&mut resource.name);
            }
            options.watch
        }
        Err(_) => query.first("watch").is_some_and(is_true),
    };
    if watch { Verb::Watch } else { Verb::List }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Attributes {
        let (method, uri) = line.split_once(' ').unwrap();
        Attributes::parse(&method.parse().unwrap(), &uri.parse().unwrap())
    }

    /// One line: verb, then `group/version`, resource, subresource, namespace, name, rest, selectors as far as they are there.
    fn show(attributes: &Attributes) -> String {
        match &attributes.target {
            Target::Path(path) => format!("{} path {path}", attributes.verb),
            Target::Resource(r) => {
                let parts = [
                    ("", &r.resource),
                    ("sub", &r.subresource),
                    ("ns", &r.namespace),
                    ("name", &r.name),
                    ("rest", &r.rest),
                    ("fields", &r.field_selector),
                    ("labels", &r.label_selector),
                ];
                let mut line = format!("{} {}/{}", attributes.verb, r.group, r.version);
                for (key, value) in parts.iter().filter(|(key, value)| key.is_empty() || !value.is_empty()) {
                    line += &if key.is_empty() { format!(" {value}") } else { format!(" {key}={value}") };
                }
                line
            }
        }
    }

    #[test]
    fn reads_what_kube_apiserver_reads() {
        for row in include_str!("paths.txt").lines().filter(|row| !row.is_empty() && !row.starts_with('#')) {
            let (line, expected) = row.split_once(" -> ").unwrap();
            assert_eq!(show(&read(line.trim())).trim(), expected.trim(), "{line}");
        }
    }

    #[test]
    fn long_running_requests() {
        #[rustfmt::skip]
        let rows = [
            ("GET /api/v1/pods?watch=1", true),
            ("GET /api/v1/watch/pods", true),
            ("GET /api/v1/proxy/nodes/n/x", true),
            ("POST /api/v1/namespaces/a/pods/p/exec", true),
            ("GET /api/v1/namespaces/a/pods/p/log", true),
            ("GET /api/v1/namespaces/a/pods/p/portforward", true),
            ("POST /api/v1/namespaces/a/pods/p/attach", true),
            ("GET /api/v1/namespaces/a/services/s/proxy/x", true),
            ("GET /debug/pprof/profile", true),
            ("GET /debug/pprof", false),
            ("GET /api/v1/pods", false),
            ("GET /api/v1/namespaces/a/pods/p/status", false),
            ("GET /healthz?watch=1", false),
        ];
        for (line, expected) in rows {
            assert_eq!(read(line).is_long_running(), expected, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(method in "[A-Z]{1,8}", path in "(/(api|apis|v1|namespaces|watch|proxy|%2f|%zz|\\.\\.|[a-z%]{0,4})){0,8}/?", query in "[a-z=&%;,!.]{0,40}") {
            if let Ok(uri) = format!("{path}?{query}").parse() {
                Attributes::parse(&method.parse().unwrap(), &uri);
            }
        }
    }
}

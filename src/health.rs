//! Whether the server lives and is ready: named checks, and kube-apiserver's answers about them.
//!
//! Knows no check itself: `app` fills the list.

use std::fmt;
use std::fmt::Write;

use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};

use crate::body::{Body, Response};
use crate::metrics::Metrics;

/// What a check does: it answers at once, and its error is for the log.
pub type Probe = dyn Fn() -> Result<(), String> + Send + Sync;

/// One named check.
pub struct Check {
    /// `ping`, `etcd`, `poststarthook/rbac/bootstrap-roles`
    pub name: &'static str,
    /// A name by which several checks are excluded together; empty for none.
    pub group: &'static str,
    /// Where it counts.
    pub endpoints: &'static [Endpoint],
    /// The check.
    pub probe: Box<Probe>,
}

/// The three questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/healthz`
    Healthz,
    /// `/livez`
    Livez,
    /// `/readyz`
    Readyz,
}

impl Check {
    /// A check that counts everywhere.
    pub fn new(name: &'static str, probe: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { name, group: "", endpoints: &[Endpoint::Healthz, Endpoint::Livez, Endpoint::Readyz], probe: Box::new(probe) }
    }

    /// A check of readiness only.
    pub fn ready(name: &'static str, probe: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { endpoints: &[Endpoint::Readyz], ..Self::new(name, probe) }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

impl Endpoint {
    fn name(self) -> &'static str {
        match self {
            Self::Healthz => "healthz",
            Self::Livez => "livez",
            Self::Readyz => "readyz",
        }
    }

    /// The endpoint that a path asks, and the check it names (empty for all).
    fn of(path: &str) -> Option<(Self, &str)> {
        let path = path.strip_prefix('/')?;
        let (first, check) = path.split_once('/').unwrap_or((path, ""));
        let endpoint = [Self::Healthz, Self::Livez, Self::Readyz].into_iter().find(|endpoint| endpoint.name() == first)?;
        Some((endpoint, check))
    }
}

/// Whether a path is one of the three questions, or below one.
pub fn asks(path: &str) -> bool {
    Endpoint::of(path).is_some()
}

/// Answers `/livez`, `/readyz` and `/healthz`, and each of them with the name of a check. `None` for other paths and unknown checks.
pub fn answer(path: &str, query: &str, (checks, metrics): (&[Check], &Metrics)) -> Option<Response> {
    let (endpoint, name) = Endpoint::of(path)?;
    let mut checks = checks.iter().filter(|check| check.endpoints.contains(&endpoint));
    if name.is_empty() {
        return Some(all(endpoint, query, (checks.collect(), metrics)));
    }
    let check = checks.find(|check| check.name == name)?;
    Some(match (check.probe)() {
        Ok(()) => text(StatusCode::OK, "ok".to_owned()),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("internal server error: {error}\n")),
    })
}

fn all(endpoint: Endpoint, query: &str, (checks, metrics): (Vec<&Check>, &Metrics)) -> Response {
    let parameters = || query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut excluded = parameters().filter(|(key, _)| *key == "exclude").map(|(_, name)| decoded(name)).collect::<Vec<_>>();
    let mut matched = Vec::new();
    let (mut lines, mut failed) = (String::new(), Vec::new());
    for check in checks {
        if let Some(name) = excluded.iter().find(|name| *name == check.name || (!check.group.is_empty() && *name == check.group))
        {
            let with = if name == check.name { String::new() } else { format!(" with {name}") };
            let _ = writeln!(lines, "[+]{} excluded{with}: ok", check.name);
            matched.push(name.clone());
            continue;
        }
        let result = (check.probe)();
        metrics.health_checked(check.name, endpoint.name(), result.is_ok());
        match result {
            Ok(()) => {
                let _ = writeln!(lines, "[+]{} ok", check.name);
            }
            Err(error) => {
                // The endpoint is public: the reason stands in the log only.
                let _ = writeln!(lines, "[-]{} failed: reason withheld", check.name);
                failed.push(format!("{}: {error}", check.name));
            }
        }
    }
    excluded.retain(|name| !matched.contains(name));
    excluded.sort_unstable();
    excluded.dedup();
    if !excluded.is_empty() {
        let quoted = excluded.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(lines, "warn: some health checks cannot be excluded: no matches for {quoted}");
    }
    if !failed.is_empty() {
        tracing::debug!(endpoint = endpoint.name(), failed = failed.join(", "), "health check failed");
        return text(StatusCode::INTERNAL_SERVER_ERROR, format!("{lines}{} check failed\n", endpoint.name()));
    }
    if parameters().any(|(key, _)| key == "verbose") {
        return text(StatusCode::OK, format!("{lines}{} check passed\n", endpoint.name()));
    }
    text(StatusCode::OK, "ok".to_owned())
}

/// A value of a query, decoded as far as names of checks need it.
fn decoded(value: &str) -> String {
    let plain = value.get(..MAX_NAME.min(value.len())).unwrap_or_default();
    plain.replace("%2F", "/").replace("%2f", "/").replace('+', " ")
}

fn text(code: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

const MAX_NAME: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kubernetes() {
        let checks = [
            Check::new("ping", || Ok(())),
            Check::ready("etcd-readiness", || Err("dial 10.0.0.7".to_owned())),
            Check { group: "etcd", ..Check::new("etcd-override-0", || Ok(())) },
            Check::ready("poststarthook/rbac", || Ok(())),
        ];
        let rows = [
            ("/livez", "", 200, "ok"),
            ("/livez", "verbose", 200, "[+]ping ok\n[+]etcd-override-0 ok\nlivez check passed\n"),
            (
                "/readyz",
                "",
                500,
                "[+]ping ok\n[-]etcd-readiness failed: reason withheld\n[+]etcd-override-0 ok\n[+]poststarthook/rbac ok\nreadyz check failed\n",
            ),
            ("/readyz", "exclude=etcd-readiness", 200, "ok"),
            (
                "/readyz",
                "verbose=1&exclude=etcd-readiness&exclude=poststarthook%2Frbac&exclude=etcd&exclude=x",
                200,
                "[+]ping ok\n[+]etcd-readiness excluded: ok\n[+]etcd-override-0 excluded with etcd: ok\n\
                 [+]poststarthook/rbac excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"x\"\nreadyz check passed\n",
            ),
            ("/healthz/ping", "", 200, "ok"),
            ("/readyz/poststarthook/rbac", "", 200, "ok"),
            ("/readyz/etcd-readiness", "", 500, "internal server error: dial 10.0.0.7\n"),
            ("/livez/etcd-readiness", "", 0, ""),
            ("/livezz", "", 0, ""),
            ("/", "", 0, ""),
        ];
        for (path, query, code, body) in rows {
            let metrics = Metrics::new();
            match answer(path, query, (&checks, &metrics)) {
                Some(response) => {
                    let bytes = response.body().bytes().unwrap();
                    assert_eq!((response.status().as_u16(), bytes.as_ref()), (code, body.as_bytes()), "{path}?{query}");
                }
                None => assert_eq!(code, 0, "{path}"),
            }
        }
    }
}

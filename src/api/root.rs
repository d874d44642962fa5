//! Paths that are no resources: the index, `/version`, and the way to discovery and OpenAPI.

use http::{Method, StatusCode};
use serde_json::json;

use super::catalog::Catalog;
use super::discovery;
use super::issuer;
use super::openapi;
use super::{Api, answer, refusal};
use crate::body::{Body, Request, Response};
use crate::status::Status;

pub(super) async fn serve(api: &Api, path: &str, request: &Request) -> Result<Response, Status> {
    if request.uri().path().starts_with("//") {
        return Ok(not_found());
    }
    let name = path.trim_matches('/');
    match name {
        "" | "index.html" => return get(request).map(|()| indented(&json!({"paths": paths(&api.catalog)}))),
        "version" => return get(request).map(|()| version()),
        "openapi/v2" => {
            get(request)?;
            return openapi::Documents::serve_old(&api.openapi, request).await;
        }
        "openapi/v3" => {
            get(request)?;
            return openapi::Documents::serve(&api.openapi, "", request).await;
        }
        _ => {}
    }
    if let Some(answer) = issuer::serve(api, name, request) {
        get(request)?;
        return answer;
    }
    if let Some(document) = name.strip_prefix("openapi/v3/") {
        get(request)?;
        return openapi::Documents::serve(&api.openapi, document, request).await;
    }
    if let Some(answer) = api.documents.serve(name, request) {
        get(request)?;
        return answer;
    }
    if is_served(&api.catalog, name) { Err(refusal::no_route()) } else { Ok(not_found()) }
}

/// 404 in plain text.
pub(super) fn not_found() -> Response {
    answer::respond(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", Body::full("404 page not found\n"))
}

fn get(request: &Request) -> Result<(), Status> {
    if request.method() == Method::GET { Ok(()) } else { Err(refusal::no_method()) }
}

/// Whether a path without a document lies under a group that is served.
fn is_served(catalog: &Catalog, name: &str) -> bool {
    let mut segments = name.split('/');
    match (segments.next(), segments.next()) {
        (Some("api"), _) => true,
        (Some("apis"), Some(group)) => !group.is_empty() && discovery::knows(catalog, group),
        _ => false,
    }
}

fn paths(catalog: &Catalog) -> Vec<String> {
    let mut paths: Vec<String> = PATHS.map(str::to_owned).to_vec();
    for group in catalog.groups().iter().filter(|group| !group.name.is_empty()) {
        paths.push(format!("/apis/{}", group.name));
        paths.extend(group.versions.iter().map(|(version, _)| format!("/apis/{}/{version}", group.name)));
    }
    paths.sort_unstable();
    paths
}

fn version() -> Response {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    indented(&json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": concat!("v1.36.2+portcullis.", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{architecture}", std::env::consts::OS),
    }))
}

/// These two documents are indented for everybody.
fn indented(document: &serde_json::Value) -> Response {
    let body = answer::pretty(&crate::schema::write(document));
    answer::respond(StatusCode::OK, "application/json", Body::full(body))
}

/// The version of Kubernetes whose API this is.
pub(super) const VERSION: &str = "v1.36.2";

const PATHS: [&str; 14] = [
    "/.well-known/openid-configuration",
    "/api",
    "/api/v1",
    "/apis",
    "/apis/",
    "/healthz",
    "/livez",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/",
    "/openid/v1/jwks",
    "/readyz",
    "/version",
];

#[cfg(test)]
#[path = "root_tests.rs"]
mod tests;

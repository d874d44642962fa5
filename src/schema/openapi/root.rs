//! Paths of the documents that belong to no group version.

use serde_json::{Value, json};

use super::component::Components;
use super::path::{content, responses};

/// The names of documents that are always there.
pub(super) const NAMES: [&str; 5] = [".well-known/openid-configuration", "api", "apis", "openid/v1/jwks", "version"];

/// The paths of a document that is no group version's: one of [`NAMES`], or `apis/<group>`.
pub(super) fn paths(name: &str, components: &mut Components) -> Option<Value> {
    let meta = |components: &mut Components, name: &str| components.named(&format!("apimachinery.pkg.apis.meta.v1.{name}"));
    let text = json!({"type": "string"});
    let (path, id, answer, types): (_, _, _, &[&str]) = match name {
        "api" => ("/api/".to_owned(), "getCoreAPIVersions", meta(components, "APIVersions"), &NEGOTIATED),
        "apis" => ("/apis/".to_owned(), "getAPIVersions", meta(components, "APIGroupList"), &NEGOTIATED),
        "version" => ("/version/".to_owned(), "getCodeVersion", json!({"type": "object"}), &NEGOTIATED[..1]),
        ".well-known/openid-configuration" => {
            (format!("/{name}/"), "getServiceAccountIssuerOpenIDConfiguration", text, &NEGOTIATED[..1])
        }
        "openid/v1/jwks" => (format!("/{name}/"), "getServiceAccountIssuerOpenIDKeyset", text, &["application/jwk-set+json"]),
        group if group.starts_with("apis/") => (format!("/{group}/"), "getAPIGroup", meta(components, "APIGroup"), &NEGOTIATED),
        _ => return None,
    };
    let operation = json!({"operationId": id, "responses": responses(&[("200", "OK")], content(&answer, types))});
    Some(json!({ path: { "get": operation } }))
}

const NEGOTIATED: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

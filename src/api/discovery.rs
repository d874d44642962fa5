//! Discovery, plain and aggregated: documents made once from the catalogue (contract 2.2, 2.3).

use std::collections::HashMap;
use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, VARY};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::accept::{Accept, Form, Place};
use super::answer;
use super::catalog::{Catalog, Group, Kind, Subresource, api_version};
use crate::body::{Body, Request, Response};
use crate::status::Status;

/// The documents of discovery, by path without slashes around it.
pub(super) struct Documents {
    plain: HashMap<String, Vec<u8>>,
    aggregated: HashMap<&'static str, Aggregated>,
}

/// A document with the ETag it is served under.
struct Aggregated {
    json: Vec<u8>,
    tag: HeaderValue,
}

impl Documents {
    pub(super) fn of(catalog: &Catalog) -> Self {
        let named = catalog.groups().iter().filter(|group| !group.name.is_empty());
        let groups: Vec<Value> = named.clone().map(group_document).collect();
        let mut plain = HashMap::new();
        plain.insert("apis".to_owned(), json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}));
        for group in named.clone() {
            let mut document = group_document(group);
            document["kind"] = "APIGroup".into();
            document["apiVersion"] = "v1".into();
            plain.insert(format!("apis/{}", group.name), document);
        }
        for group in catalog.groups() {
            for (version, _) in &group.versions {
                plain.insert(place(group, version), resources(catalog, group, version));
            }
        }
        let core: Vec<&Group> = catalog.groups().iter().filter(|group| group.name.is_empty()).collect();
        let aggregated = [("api", aggregate(catalog, &core)), ("apis", aggregate(catalog, &named.collect::<Vec<_>>()))];
        Self {
            plain: plain.into_iter().map(|(path, document)| (path, crate::schema::write(&document))).collect(),
            aggregated: aggregated.into_iter().collect(),
        }
    }

    /// The document at a path, if there is one.
    pub(super) fn serve(&self, path: &str, request: &Request) -> Option<Result<Response, Status>> {
        let aggregated = self.aggregated.get(path);
        if aggregated.is_none() && !self.plain.contains_key(path) {
            return None;
        }
        let place = if aggregated.is_some() { Place::Discovery } else { Place::Document };
        let accept = match Accept::negotiate(request.headers(), request.uri().query().unwrap_or_default(), place) {
            Ok(accept) => accept,
            Err(refusal) => return Some(Err(refusal)),
        };
        if let Some(document) = aggregated.filter(|_| accept.form == Form::Groups) {
            return Some(document.serve(&accept, request));
        }
        let json = if path == "api" { versions(request) } else { self.plain.get(path)?.clone() };
        Some(answer::finish(&accept, StatusCode::OK, json))
    }
}

impl Aggregated {
    fn serve(&self, accept: &Accept, request: &Request) -> Result<Response, Status> {
        let known = request.headers().get(IF_NONE_MATCH).is_some_and(|known| known == self.tag);
        let mut response = if known {
            let mut response = http::Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            answer::finish(accept, StatusCode::OK, self.json.clone())?
        };
        let headers = response.headers_mut();
        if !known {
            let media = format!("{}{PARAMETERS}", accept.media.name());
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(&media).map_err(Status::internal)?);
        }
        headers.insert(ETAG, self.tag.clone());
        headers.append(VARY, HeaderValue::from_static("Accept"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
        Ok(response)
    }
}

/// Whether a group is served: under any other, all paths are 404 in plain text.
pub(super) fn knows(catalog: &Catalog, group: &str) -> bool {
    catalog.groups().iter().any(|known| known.name == group)
}

/// A hash in upper-case hexadecimal digits, as ETags carry it.
pub(super) fn upper_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// `/api`: the only document that knows where it is asked.
fn versions(request: &Request) -> Vec<u8> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let address = host.or_else(|| request.uri().authority().map(http::uri::Authority::as_str)).unwrap_or_default();
    let clients = json!([{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]);
    crate::schema::write(&json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": clients}))
}

fn place(group: &Group, version: &str) -> String {
    if group.name.is_empty() { format!("api/{version}") } else { format!("apis/{}/{version}", group.name) }
}

fn group_document(group: &Group) -> Value {
    let version = |version: &String| json!({"groupVersion": format!("{}/{version}", group.name), "version": version});
    let versions: Vec<Value> = group.versions.iter().map(|(name, _)| version(name)).collect();
    json!({"name": group.name, "preferredVersion": versions.first(), "versions": versions})
}

fn of_version<'a>(catalog: &'a Catalog, group: &'a Group, version: &'a str) -> impl Iterator<Item = &'a Kind> {
    catalog.all().iter().map(|kind| &**kind).filter(move |kind| kind.group == group.name && kind.version == version)
}

/// An APIResourceList. The core group's has no apiVersion.
fn resources(catalog: &Catalog, group: &Group, version: &str) -> Value {
    let mut list = Vec::new();
    for kind in of_version(catalog, group, version) {
        list.push(resource(kind));
        list.extend(kind.subresources.iter().map(|subresource| subresource_entry(kind, subresource)));
    }
    let mut document = json!({"kind": "APIResourceList", "groupVersion": api_version(&group.name, version), "resources": list});
    if !group.name.is_empty() {
        document["apiVersion"] = "v1".into();
    }
    document
}

fn resource(kind: &Kind) -> Value {
    let mut entry = json!({
        "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind, "verbs": kind.verbs,
    });
    if !kind.short_names.is_empty() {
        entry["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        entry["categories"] = json!(kind.categories);
    }
    if let Some(storage) = &kind.storage {
        entry["storageVersionHash"] = storage_hash(&storage.group, &storage.version, &kind.kind).into();
    }
    entry
}

fn subresource_entry(kind: &Kind, subresource: &Subresource) -> Value {
    let (group, version, body) = &subresource.gvk;
    let mut entry = json!({
        "name": format!("{}/{}", kind.plural, subresource.name), "singularName": "", "namespaced": kind.namespaced,
        "kind": body, "verbs": subresource.verbs,
    });
    if (group, version) != (&kind.group, &kind.version) {
        entry["group"] = json!(group);
        entry["version"] = json!(version);
    }
    entry
}

/// The first eight bytes of the SHA-256 of `group/version/kind`, in base64.
fn storage_hash(group: &str, version: &str, kind: &str) -> String {
    let hash = digest(&SHA256, format!("{group}/{version}/{kind}").as_bytes());
    STANDARD.encode(&hash.as_ref()[..8])
}

fn aggregate(catalog: &Catalog, groups: &[&Group]) -> Aggregated {
    let items: Vec<Value> = groups.iter().map(|group| aggregated_group(catalog, group)).collect();
    let document =
        json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items});
    let json = crate::schema::write(&document);
    let tag = format!("\"{}\"", upper_hex(digest(&SHA512, &json).as_ref()));
    Aggregated { json, tag: HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\"")) }
}

fn aggregated_group(catalog: &Catalog, group: &Group) -> Value {
    let version = |version: &str| {
        let resources: Vec<Value> = of_version(catalog, group, version).map(aggregated_resource).collect();
        json!({"version": version, "freshness": "Current", "resources": resources})
    };
    let versions: Vec<Value> = group.versions.iter().map(|(name, _)| version(name)).collect();
    let metadata = if group.name.is_empty() { json!({}) } else { json!({"name": group.name}) };
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(kind: &Kind) -> Value {
    let own = (kind.group.as_str(), kind.version.as_str());
    let mut entry = json!({
        "resource": kind.plural, "responseKind": response_kind(own, (own.0, own.1, &kind.kind)),
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" }, "singularResource": kind.singular, "verbs": kind.verbs,
    });
    if !kind.short_names.is_empty() {
        entry["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        entry["categories"] = json!(kind.categories);
    }
    if !kind.subresources.is_empty() {
        let one = |it: &Subresource| {
            let body = (it.gvk.0.as_str(), it.gvk.1.as_str(), it.gvk.2.as_str());
            json!({"subresource": it.name, "responseKind": response_kind(own, body), "verbs": it.verbs})
        };
        entry["subresources"] = kind.subresources.iter().map(one).collect();
    }
    entry
}

/// Group and version are empty where they are the enclosing ones.
fn response_kind(own: (&str, &str), (group, version, kind): (&str, &str, &str)) -> Value {
    let (group, version) = if own == (group, version) { ("", "") } else { (group, version) };
    json!({"group": group, "version": version, "kind": kind})
}

const PARAMETERS: &str = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_hashes_are_kubernetes_own() {
        for (group, version, kind, hash) in [
            ("", "v1", "Pod", "xPOwRZ+Yhw8="),
            ("", "v1", "ConfigMap", "qFsyl6wFWjQ="),
            ("apps", "v1", "Deployment", "8aSe+NMegvE="),
            ("autoscaling", "v2", "HorizontalPodAutoscaler", "qwQve8ut294="),
            ("rbac.authorization.k8s.io", "v1", "Role", "7FuwZcIIItM="),
        ] {
            assert_eq!(storage_hash(group, version, kind), hash, "{kind}");
        }
    }

    #[test]
    fn documents_lie_where_clients_look() {
        let documents = Documents::of(&Catalog::builtin());
        let parse = |path: &str| serde_json::from_slice::<Value>(&documents.plain[path]).expect("JSON");
        assert_eq!(parse("apis")["groups"][0]["name"], "apiregistration.k8s.io");
        assert_eq!(parse("apis/autoscaling")["preferredVersion"]["version"], "v2");
        assert!(parse("api/v1").get("apiVersion").is_none());
        assert_eq!(parse("apis/apps/v1")["apiVersion"], "v1");
        let names = parse("api/v1")["resources"].as_array().map(Vec::len);
        assert_eq!(names, Some(39));
        let core: Value = serde_json::from_slice(&documents.aggregated["api"].json).expect("JSON");
        let pods = core["items"][0]["versions"][0]["resources"]
            .as_array()
            .and_then(|all| all.iter().find(|it| it["resource"] == "pods"));
        let eviction = &pods.expect("pods")["subresources"][3];
        assert_eq!(eviction["responseKind"], json!({"group": "policy", "version": "v1", "kind": "Eviction"}));
    }
}

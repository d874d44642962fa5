//! OpenAPI documents, made from the table of types and a plain list of what is served (contract 2.8).
//!
//! What kubectl reads of them: whether `patch` of a kind has the parameter `fieldValidation` and takes strategic merges, the merge keys of
//! lists, and the fields of types for `explain`. There is no prose: the table has none. Knows no HTTP; nothing is cached here.

use aws_lc_rs::digest::{SHA512, digest};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Schema;
use super::table::Gvk;

mod component;
mod path;
mod root;
mod swagger;

use component::Components;
pub use swagger::message;

/// All that is served.
#[derive(Debug)]
pub struct Api {
    /// `v1.36.2`
    pub version: String,
    /// The resources, in any order.
    pub resources: Vec<Resource>,
}

/// One resource of one group version.
#[derive(Debug)]
pub struct Resource {
    /// Group, version and kind of its objects.
    pub gvk: Gvk,
    /// `pods`
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Kubernetes' verbs, like `list` and `deletecollection`.
    pub verbs: Vec<String>,
    /// DELETE answers with the object, not with a Status.
    pub delete_answers_object: bool,
    /// The type of its objects.
    pub schema: Schema,
    /// Its subresources.
    pub subresources: Vec<Subresource>,
}

/// A subresource.
#[derive(Debug)]
pub struct Subresource {
    /// `status`
    pub name: String,
    /// Group, version and kind of its body.
    pub gvk: Gvk,
    /// Kubernetes' verbs.
    pub verbs: Vec<String>,
    /// The type of its body; `None` for streams and text.
    pub schema: Option<Schema>,
}

impl Api {
    /// The names of all documents: `api/v1`, `apis/apps/v1`, `apis/apps`, `version` and so on, sorted.
    pub fn documents(&self) -> Vec<String> {
        let mut names: Vec<String> = self.resources.iter().map(|resource| name(&resource.gvk)).collect();
        let groups = self.resources.iter().filter(|resource| !resource.gvk.group.is_empty());
        names.extend(groups.map(|resource| format!("apis/{}", resource.gvk.group)));
        names.extend(root::NAMES.map(str::to_owned));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The JSON of the document of this name, with the types that it refers to and no others; `None` for a name that is not among
    /// [`Api::documents`].
    pub fn document(&self, wanted: &str) -> Option<Bytes> {
        let mut components = Components::new(self.group_versions());
        let served: Vec<&Resource> = self.resources.iter().filter(|resource| name(&resource.gvk) == wanted).collect();
        let paths = match served.first() {
            Some(first) => path::of_group_version(&first.gvk, &served, &mut components),
            None => root::paths(wanted, &mut components).filter(|_| self.documents().iter().any(|name| name == wanted))?,
        };
        let document = json!({
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": self.version},
            "paths": paths,
            "components": {
                "schemas": components.finish(),
                "securitySchemes": {"BearerToken": {
                    "type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer Token authentication",
                }},
            },
        });
        Some(serde_json::to_vec(&document).unwrap_or_default().into())
    }

    fn group_versions(&self) -> Vec<(Box<str>, Box<str>)> {
        let mut all: Vec<_> =
            self.resources.iter().map(|resource| (resource.gvk.group.clone(), resource.gvk.version.clone())).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The hash of a document as URLs and ETags carry it: SHA-512 in upper-case hexadecimal digits.
pub fn hash(document: &[u8]) -> String {
    digest(&SHA512, document).as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}

/// The document at `/openapi/v3`, of names and hashes.
pub fn index<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str)>) -> Bytes {
    let entry = |(name, hash)| (String::from(name), json!({"serverRelativeURL": format!("/openapi/v3/{name}?hash={hash}")}));
    let paths: Map<String, Value> = documents.into_iter().map(entry).collect();
    serde_json::to_vec(&json!({ "paths": paths })).unwrap_or_default().into()
}

fn name(gvk: &Gvk) -> String {
    match &*gvk.group {
        "" => format!("api/{}", gvk.version),
        group => format!("apis/{group}/{}", gvk.version),
    }
}

#[cfg(test)]
mod tests;

//! DefaultStorageClass and DefaultIngressClass: the class of claims and ingresses that name none.

use std::sync::Arc;

use serde_json::Value;

use super::{Operation, Review};
use crate::api::catalog::Kind;
use crate::api::{Api, meta};

pub(super) fn admit(api: &Api, review: &Review<'_>, object: &mut Value) {
    let annotated = |key: &str| object["metadata"]["annotations"].get(key).is_some();
    if review.is("", "persistentvolumeclaims", Operation::Create) {
        if object["spec"]["storageClassName"].is_null() && !annotated("volume.beta.kubernetes.io/storage-class") {
            let classes = api.catalog.find("storage.k8s.io", "v1", "storageclasses");
            let keys = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
            if let Some(name) = default_of(api, classes, &keys) {
                object["spec"]["storageClassName"] = Value::from(name);
            }
        }
    } else if review.is("networking.k8s.io", "ingresses", Operation::Create)
        && object["spec"]["ingressClassName"].is_null()
        && !annotated("kubernetes.io/ingress.class")
    {
        let classes = api.catalog.find("networking.k8s.io", "v1", "ingressclasses");
        if let Some(name) = default_of(api, classes, &["ingressclass.kubernetes.io/is-default-class"]) {
            object["spec"]["ingressClassName"] = Value::from(name);
        }
    }
}

/// The name of the class that is annotated as the default; of several the newest, then the first by name.
fn default_of(api: &Api, kind: Option<&Arc<Kind>>, keys: &[&str]) -> Option<String> {
    let root = api.store.view().root(kind?.storage.as_ref()?.space);
    let classes = root.items.values().map(|class| class.value());
    let marked = classes.filter(|class| keys.iter().any(|key| class["metadata"]["annotations"][*key] == "true"));
    let rank = |class: &Value| {
        (meta::text(class, "creationTimestamp").to_owned(), std::cmp::Reverse(meta::text(class, "name").to_owned()))
    };
    marked.max_by_key(rank).map(|class| meta::text(&class, "name").to_owned())
}

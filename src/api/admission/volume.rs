//! StorageObjectInUseProtection: what is in use does not go before its users.

use serde_json::Value;

use super::{Operation, Review};
use crate::api::meta;

pub(super) fn admit(review: &Review<'_>, object: &mut Value) {
    let finalizer = match (review.kind.group.as_str(), review.kind.plural.as_str()) {
        ("", "persistentvolumeclaims") => "kubernetes.io/pvc-protection",
        ("", "persistentvolumes") => "kubernetes.io/pv-protection",
        ("storage.k8s.io", "volumeattributesclasses") => "kubernetes.io/vac-protection",
        _ => return,
    };
    if review.operation != Operation::Create || !review.subresource.is_empty() {
        return;
    }
    let mut finalizers: Vec<String> = meta::finalizers(object).map(str::to_owned).collect();
    if !finalizers.iter().any(|own| own == finalizer) {
        finalizers.push(finalizer.to_owned());
        meta::set_finalizers(object, &finalizers);
    }
}

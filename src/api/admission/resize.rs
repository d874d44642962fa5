//! PersistentVolumeClaimResize: a claim grows where its class lets it, and only once it is bound.

use serde_json::Value;

use super::{Operation, Review};
use crate::api::Api;
use crate::schema::quantity::Quantity;
use crate::status::Status;

pub(super) fn check(api: &Api, review: &Review<'_>, object: Option<&Value>) -> Result<(), Status> {
    let (Some(new), Some(old)) = (object, review.old) else { return Ok(()) };
    if !review.is("", "persistentvolumeclaims", Operation::Update) || !grows(new, old) {
        return Ok(());
    }
    if old["status"]["phase"] != "Bound" {
        return Err(review.forbid(new, "Only bound persistent volume claims can be expanded"));
    }
    let class = class_of(new);
    if class.is_empty() || class != class_of(old) {
        return Err(review.forbid(new, STATIC));
    }
    let kind = api.catalog.find("storage.k8s.io", "v1", "storageclasses");
    let class = kind.and_then(|kind| api.seen(kind, "", class)).map(|class| class.value()).unwrap_or_default();
    if class["allowVolumeExpansion"] == true {
        return Ok(());
    }
    Err(review.forbid(new, STATIC))
}

/// The class of a claim; the annotation of old comes before the field.
fn class_of(claim: &Value) -> &str {
    let noted = claim["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"].as_str();
    noted.or(claim["spec"]["storageClassName"].as_str()).unwrap_or("")
}

fn grows(new: &Value, old: &Value) -> bool {
    let size =
        |claim: &Value| claim["spec"]["resources"]["requests"]["storage"].as_str().and_then(|text| Quantity::parse(text).ok());
    match (size(new), size(old)) {
        (Some(new), Some(old)) => new > old,
        _ => false,
    }
}

const STATIC: &str =
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";

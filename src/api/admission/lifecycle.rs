//! NamespaceLifecycle: nothing new where there is no namespace or where it ends; three namespaces never end.

use serde_json::Value;

use super::{Operation, Review};
use crate::api::error::{self, Subject};
use crate::api::{Api, meta};
use crate::status::{Cause, Status};

pub(super) fn admit(api: &Api, review: &Review<'_>, object: &Value) -> Result<(), Status> {
    let exempt = review.namespace.is_empty() || review.kind.plural == "namespaces" || review.operation == Operation::Delete;
    if exempt || review.kind.group == "authorization.k8s.io" {
        return Ok(());
    }
    let missing = || error::not_found(Subject { group: "", what: "namespaces", name: review.namespace });
    let kind = api.catalog.find("", "v1", "namespaces").ok_or_else(missing)?;
    let namespace = api.seen(kind, "", review.namespace).ok_or_else(missing)?;
    if review.operation != Operation::Create || namespace.field("status.phase") != Some("Terminating") {
        return Ok(());
    }
    let own = review.namespace;
    let cause = format!("unable to create new content in namespace {own} because it is being terminated");
    let mut refusal = review.forbid(object, cause);
    if let Some(details) = &mut refusal.details {
        details.causes.push(Cause {
            reason: "NamespaceTerminating",
            message: format!("namespace {own} is being terminated"),
            field: "metadata.namespace".to_owned(),
        });
    }
    Err(refusal)
}

/// Refuses the deletion of the namespaces that everything needs.
pub(super) fn check(review: &Review<'_>) -> Result<(), Status> {
    if review.is("", "namespaces", Operation::Delete) && IMMORTAL.contains(&review.name) {
        return Err(review.forbid(review.old.unwrap_or(&Value::Null), "this namespace may not be deleted"));
    }
    Ok(())
}

/// Whether the namespace was made so lately that what others make in it may still be on its way.
pub(super) fn is_young(api: &Api, namespace: &str) -> bool {
    let Some(kind) = api.catalog.find("", "v1", "namespaces") else { return false };
    let Some(object) = api.seen(kind, "", namespace) else { return false };
    let made: Option<jiff::Timestamp> = meta::text(&object.value(), "creationTimestamp").parse().ok();
    made.is_some_and(|made| jiff::Timestamp::now().duration_since(made).as_secs() < YOUNG)
}

const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];
const YOUNG: i64 = 5;

//! The admission plugins that are on by default, in kube-apiserver's order: all mutating ones, then all validating ones (contract 7.1).

mod account;
mod amount;
mod class;
mod escalation;
mod lifecycle;
mod limit;
mod node;
mod priority;
pub(super) mod quota;
mod resize;
mod restriction;
mod runtime;
mod secret;
mod security;
mod signer;
mod toleration;
pub(super) mod topology;
mod volume;

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::catalog::Kind;
use super::error::{self, Subject};
use super::object::Object;
use super::{Api, meta};
use crate::policy::Permit;
use crate::status::Status;

/// What is about to be written.
pub struct Review<'a> {
    /// Whose right it is.
    pub permit: &'a Permit,
    /// The resource.
    pub kind: &'a Kind,
    /// The subresource, or empty.
    pub subresource: &'a str,
    /// The operation.
    pub operation: Operation,
    /// The namespace, or empty.
    pub namespace: &'a str,
    /// The name; empty while `generateName` has not been used.
    pub name: &'a str,
    /// The stored object of an update or deletion.
    pub old: Option<&'a Value>,
    /// Whether nothing will be stored.
    pub dry_run: bool,
}

/// The operation under review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum Operation {
    Create,
    Update,
    Delete,
}

impl Review<'_> {
    /// Whether the resource itself, no part of it, is under this operation.
    fn is(&self, group: &str, plural: &str, operation: Operation) -> bool {
        self.operation == operation && self.subresource.is_empty() && self.kind.group == group && self.kind.plural == plural
    }

    /// 403 in kube-apiserver's form; an object without a name is named as it will be.
    fn forbid(&self, object: &Value, cause: impl std::fmt::Display) -> Status {
        let base = meta::text(object, "generateName");
        let name = match (self.name, meta::text(object, "name")) {
            ("", "") if base.is_empty() => "Unknown",
            ("", "") => base,
            ("", own) => own,
            (name, _) => name,
        };
        error::forbidden(Subject::resource(self.kind, name), cause)
    }
}

/// Lets the mutating plugins change the object, in order.
///
/// # Errors
/// The refusal of a plugin.
pub async fn mutate(api: &Api, review: &Review<'_>, object: &mut Value) -> Result<(), Status> {
    lifecycle::admit(api, review, object)?;
    limit::admit(api, review, object);
    account::admit(api, review, object).await?;
    restriction::admit(api, review, object)?;
    node::admit(review, object);
    priority::admit(api, review, object)?;
    toleration::admit(review, object);
    class::admit(api, review, object);
    volume::admit(review, object);
    runtime::admit(api, review, object)?;
    topology::admit(api, review, object);
    escalation::admit(api, review, object)
}

/// Refuses the create of a part of an object where there is no namespace or where it ends.
///
/// # Errors
/// 404 or 403.
pub fn enter(api: &Api, review: &Review<'_>, body: &Value) -> Result<(), Status> {
    lifecycle::admit(api, review, body)
}

/// Lets the validating plugins look at the final object (`None` for deletions); what they have to say to the client goes to `warnings`.
///
/// # Errors
/// The refusal of a plugin.
pub async fn validate(api: &Api, review: &Review<'_>, object: Option<&Value>, warnings: &mut Vec<String>) -> Result<(), Status> {
    lifecycle::check(review)?;
    if review.operation == Operation::Delete {
        restriction::admit(api, review, review.old.unwrap_or(&Value::Null))?;
    }
    limit::check(api, review, object)?;
    account::check(api, review, object).await?;
    security::check(api, review, object, warnings)?;
    priority::check(api, review, object)?;
    resize::check(api, review, object)?;
    runtime::check(api, review, object)?;
    signer::check(api, review, object)?;
    quota::charge(api, review, object).await
}

/// The objects of a kind in a namespace, ordered by name.
fn within(api: &Api, kind: &Kind, namespace: &str) -> Vec<Arc<Object>> {
    let Some(storage) = &kind.storage else { return Vec::new() };
    let first = Bytes::from(kind.name_in_space(namespace, ""));
    let root = api.store.view().root(storage.space);
    let all = root.items.range((Bound::Included(first.clone()), Bound::Unbounded));
    all.take_while(|(name, _)| name.starts_with(&first)).map(|(_, object)| Arc::clone(object)).collect()
}

#[cfg(test)]
mod tests;

//! The admission plugins that are on by default, in kube-apiserver's order: all mutating ones, then all validating ones.

use serde_json::Value;

use super::Api;
use super::catalog::Kind;
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

/// Lets the mutating plugins change the object, in order.
///
/// # Errors
/// The refusal of a plugin.
pub async fn mutate(_api: &Api, _review: &Review<'_>, _object: &mut Value) -> Result<(), Status> {
    Ok(())
}

/// Lets the validating plugins look at the final object (`None` for deletions).
///
/// # Errors
/// The refusal of a plugin.
pub async fn validate(_api: &Api, _review: &Review<'_>, _object: Option<&Value>) -> Result<(), Status> {
    Ok(())
}

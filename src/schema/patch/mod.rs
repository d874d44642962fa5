//! The patch types: (old, patch) -> new. Pure.

use serde_json::Value;

use super::Schema;

/// Why a patch does not apply.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// The patch is malformed: 400.
    #[error("{0}")]
    Malformed(String),
    /// The patch does not fit the object (a failed `test`, a path that is not there): 422.
    #[error("{0}")]
    Inapplicable(String),
    /// More operations or bytes than allowed: 413.
    #[error("{0}")]
    TooLarge(String),
    /// What kube-apiserver answers with 500, because it is a plain error there.
    #[error("{0}")]
    Plain(String),
}

/// RFC 6902. At most 10,000 operations; `copy` may not make the document grow by more than 3 MiB.
///
/// # Errors
/// See [`PatchError`].
pub fn json(_old: &Value, _patch: &[u8]) -> Result<Value, PatchError> {
    todo!()
}

/// RFC 7386.
///
/// # Errors
/// See [`PatchError`].
pub fn merge(_old: &Value, _patch: &Value) -> Result<Value, PatchError> {
    todo!()
}

/// Kubernetes' strategic merge, with its directives, by the merge keys of the type.
///
/// # Errors
/// See [`PatchError`].
pub fn strategic(_schema: &Schema, _old: &Value, _patch: &Value) -> Result<Value, PatchError> {
    todo!()
}

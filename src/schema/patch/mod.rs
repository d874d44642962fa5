//! The patch types: (old, patch) -> new. Pure.

mod json;
mod merge;
mod strategic;

use serde_json::Value;

use super::Schema;

pub use json::faults as json_faults;

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
pub fn json(old: &Value, patch: &[u8]) -> Result<Value, PatchError> {
    json::apply(old, patch)
}

/// RFC 7386.
///
/// # Errors
/// See [`PatchError`].
pub fn merge(old: &Value, patch: &Value) -> Result<Value, PatchError> {
    merge::apply(old, patch)
}

/// Kubernetes' strategic merge, with its directives, by the merge keys of the type.
///
/// # Errors
/// See [`PatchError`].
pub fn strategic(schema: &Schema, old: &Value, patch: &Value) -> Result<Value, PatchError> {
    strategic::apply(schema, old, patch)
}

/// A file of the folder with recordings and vectors of others; says so when it is not there.
#[cfg(test)]
pub(crate) fn shared(path: &str) -> Option<String> {
    let beside = || concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned();
    let root = std::env::var("PORTCULLIS_SHARED").unwrap_or_else(|_| beside());
    let text = std::fs::read_to_string(format!("{root}/{path}"));
    if text.is_err() {
        eprintln!("NOT RUN: {path} is not in {root} (set PORTCULLIS_SHARED)");
    }
    text.ok()
}

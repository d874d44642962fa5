//! What is special about a kind and no table can say: defaults, allocation, cross-field rules, immutability. One small file a kind.

mod default;

use serde_json::Value;

use super::catalog::Kind;

/// Fills what kube-apiserver's defaulting functions fill (contract 7.4), for a body of this kind and version.
/// Runs after decoding, on create, update and patch, and on what is read from storage.
pub fn default(kind: &Kind, value: &mut Value) {
    default::fill(kind, value);
}

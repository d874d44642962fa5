//! The defaults of contract 7.4, by kind.

use serde_json::Value;

use crate::api::catalog::Kind;

pub(super) fn fill(_kind: &Kind, _value: &mut Value) {
    todo!()
}

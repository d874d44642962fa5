//! One fault of a request's options, in the words of kube-apiserver's `field.Error`.

use super::quote::quote;

/// A fault that the api puts into a 422: `field: message` in the text, and a cause of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The option's name.
    pub field: &'static str,
    /// The class.
    pub kind: FaultKind,
    /// The message without the field, like `Forbidden: ...`.
    pub message: String,
}

/// The class of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum FaultKind {
    Required,
    Invalid,
    NotSupported,
    Forbidden,
    TooLong,
}

impl FaultKind {
    /// The reason of the cause.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
        }
    }
}

impl Fault {
    pub(super) fn forbidden(field: &'static str, detail: &str) -> Self {
        Self { field, kind: FaultKind::Forbidden, message: format!("Forbidden: {detail}") }
    }

    pub(super) fn required(field: &'static str, detail: &str) -> Self {
        Self { field, kind: FaultKind::Required, message: format!("Required value: {detail}") }
    }

    pub(super) fn invalid(field: &'static str, value: &str, detail: &str) -> Self {
        Self { field, kind: FaultKind::Invalid, message: format!("Invalid value: {}: {detail}", quote(value)) }
    }

    pub(super) fn too_long(field: &'static str, limit: usize) -> Self {
        Self { field, kind: FaultKind::TooLong, message: format!("Too long: may not be more than {limit} bytes") }
    }

    /// `shown` is the value as it stands in the message, quoted already.
    pub(super) fn unsupported(field: &'static str, shown: &str, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|value| quote(value)).collect();
        let message = format!("Unsupported value: {shown}: supported values: {}", supported.join(", "));
        Self { field, kind: FaultKind::NotSupported, message }
    }
}

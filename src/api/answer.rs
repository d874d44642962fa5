//! Answers of one object, in the negotiated form.

use http::StatusCode;
use serde_json::Value;

use super::accept::Accept;
use super::catalog::Kind;
use super::object::Object;
use crate::body::Response;
use crate::status::Status;

/// An object of `kind` as the view keeps it (in its stored form).
///
/// # Errors
/// 500 for what cannot be decoded, 406 for a transformation that does not fit.
pub fn object(_kind: &Kind, _accept: &Accept, _code: StatusCode, _object: &Object) -> Result<Response, Status> {
    todo!()
}

/// A value in the form in which `kind` serves it: a dry run's outcome, a review, a `Status` (which is never transformed).
///
/// # Errors
/// 406 for a transformation that does not fit.
pub fn value(_kind: &Kind, _accept: &Accept, _code: StatusCode, _value: &Value) -> Result<Response, Status> {
    todo!()
}

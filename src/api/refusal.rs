//! Refusals that more than one verb needs, in kube-apiserver's words.

use http::StatusCode;

use super::catalog::Kind;
use crate::request::Fault;
use crate::status::{Cause, Details, Status};
use crate::store::StoreError;

/// 404 of a path under a served group that leads nowhere.
pub fn no_route() -> Status {
    Status::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
        .with_details(Details::default())
}

/// 405 of the router.
pub fn no_method() -> Status {
    let message = "the server does not allow this method on the requested resource";
    Status::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).with_details(Details::default())
}

/// 404 of an object.
pub fn not_found(kind: &Kind, name: &str) -> Status {
    let details = Details { name: name.to_owned(), group: kind.group.clone(), kind: kind.plural.clone(), ..Details::default() };
    let message = format!("{} \"{name}\" not found", kind.group_resource());
    Status::new(StatusCode::NOT_FOUND, "NotFound", message).with_details(details)
}

/// 422 of a request's options, like those of `ListOptions.meta.k8s.io`.
pub fn bad_options(kind: &str, faults: &[Fault]) -> Status {
    let parts: Vec<String> = faults.iter().map(|fault| format!("{}: {}", fault.field, fault.message)).collect();
    let list = if parts.len() == 1 { parts.concat() } else { format!("[{}]", parts.join(", ")) };
    let cause =
        |fault: &Fault| Cause { reason: fault.kind.reason(), message: fault.message.clone(), field: fault.field.to_owned() };
    let details = Details {
        group: "meta.k8s.io".to_owned(),
        kind: kind.to_owned(),
        causes: faults.iter().map(cause).collect(),
        ..Details::default()
    };
    let message = format!("{kind}.meta.k8s.io \"\" is invalid: {list}");
    Status::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).with_details(details)
}

/// 410 with a text of its own.
pub fn expired(message: impl Into<String>) -> Status {
    Status::new(StatusCode::GONE, "Expired", message)
}

/// 500 of a stored value that nobody can read.
pub fn undecodable(key: &str, cause: &str) -> Status {
    let message = format!("failed to read one or more stored objects: {key}: {cause}");
    Status::new(StatusCode::INTERNAL_SERVER_ERROR, "StorageReadError", message)
}

/// What the store could not do.
pub fn store(error: &StoreError) -> Status {
    match error {
        StoreError::Future(asked, current) => {
            let cause =
                Cause { reason: "ResourceVersionTooLarge", message: "Too large resource version".to_owned(), ..Cause::default() };
            let details = Details { causes: vec![cause], retry_after_seconds: 1, ..Details::default() };
            let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
            Status::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message).with_details(details)
        }
        StoreError::Unavailable(_) => {
            let details = Details { retry_after_seconds: 1, ..Details::default() };
            Status::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "the store is unavailable").with_details(details)
        }
        StoreError::Timeout(_) => {
            let message = "Timeout: request did not complete within requested timeout - context deadline exceeded";
            Status::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message).with_details(Details::default())
        }
        StoreError::TooLarge => {
            let message = "Request entity too large: etcdserver: request is too large";
            Status::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
        }
    }
    .because(error.clone())
}

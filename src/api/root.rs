//! Paths that are no resources: the index, `/version`, and the way to discovery and OpenAPI.

use super::Api;
use crate::body::{Request, Response};
use crate::status::Status;

pub(super) fn serve(_api: &Api, _path: &str, _request: &Request) -> Result<Response, Status> {
    todo!()
}

pub(super) fn not_found() -> Response {
    todo!()
}

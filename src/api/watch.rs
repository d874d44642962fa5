//! Stub.

use super::{Api, Call};
use crate::body::Response;
use crate::status::Status;

pub(super) async fn serve(_api: &Api, _call: Call<'_>) -> Result<Response, Status> {
    todo!()
}

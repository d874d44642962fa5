//! Who answers: one enum, one match.

use crate::api::Api;
use crate::body::{Request, Response};
use crate::policy::Permit;
use crate::status::Status;

/// The backend of a cluster.
pub enum Backend {
    /// The built-in API.
    Builtin(Box<Api>),
}

impl Backend {
    /// Answers what is permitted. The permit is the proof that every step before has been taken.
    ///
    /// # Errors
    /// The refusal, as the client reads it.
    pub async fn serve(&self, permit: &Permit, request: Request) -> Result<Response, Status> {
        match self {
            Self::Builtin(api) => api.serve(permit, request).await,
        }
    }
}

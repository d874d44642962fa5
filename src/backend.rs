//! Who answers: one enum, one match.

use crate::api::Api;
use crate::body::{Request, Response};
use crate::policy::Permit;
use crate::request::Resource;
use crate::status::Status;

/// The backend of a cluster.
pub enum Backend {
    /// The built-in API.
    Builtin(std::sync::Arc<Api>),
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

    /// Whether a PUT of this resource creates what is missing.
    pub fn creates_on_update(&self, asked: &Resource) -> bool {
        match self {
            Self::Builtin(api) => {
                api.catalog.find(&asked.group, &asked.version, &asked.resource).is_some_and(|kind| kind.habits.create_on_update)
            }
        }
    }

    /// Whether a resource is one that this backend serves, so that metrics may name it.
    pub fn knows(&self, group: &str, version: &str, resource: &str) -> bool {
        match self {
            Self::Builtin(api) => api.catalog.find(group, version, resource).is_some(),
        }
    }
}

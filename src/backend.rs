//! Who answers: one enum, one match.

use crate::api::Api;
use crate::body::{Request, Response};
use crate::policy::Permit;
use crate::request::Resource;
use crate::status::Status;

/// A test's answers.
#[cfg(test)]
pub type Canned = Box<dyn Fn(Permit, Request) -> crate::store::BoxFuture<'static, Result<Response, Status>> + Send + Sync>;

/// The backend of a cluster.
pub enum Backend {
    /// The built-in API.
    Builtin(std::sync::Arc<Api>),
    /// Whatever a test answers.
    #[cfg(test)]
    Canned(Canned),
}

impl Backend {
    /// Answers what is permitted. The permit is the proof that every step before has been taken.
    ///
    /// # Errors
    /// The refusal, as the client reads it.
    pub async fn serve(&self, permit: &Permit, request: Request) -> Result<Response, Status> {
        match self {
            Self::Builtin(api) => api.serve(permit, request).await,
            #[cfg(test)]
            Self::Canned(answer) => answer(permit.clone(), request).await,
        }
    }

    /// Whether a PUT of this resource creates what is missing.
    pub fn creates_on_update(&self, asked: &Resource) -> bool {
        match self {
            Self::Builtin(api) => {
                api.catalog.find(&asked.group, &asked.version, &asked.resource).is_some_and(|kind| kind.habits.create_on_update)
            }
            #[cfg(test)]
            Self::Canned(_) => false,
        }
    }

    /// Whether a resource is one that this backend serves, so that metrics may name it.
    pub fn knows(&self, asked: &Resource) -> bool {
        match self {
            Self::Builtin(api) => api.catalog.find(&asked.group, &asked.version, &asked.resource).is_some(),
            #[cfg(test)]
            Self::Canned(_) => asked.resource == "pods",
        }
    }
}

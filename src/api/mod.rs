//! The built-in Kubernetes API.
//!
//! One generic path serves every resource of the [`catalog`]; what is special about a kind stands in `kinds/`. Never sees certificates,
//! tokens or rules: it serves what a [`Permit`](crate::policy::Permit) names.

pub mod admission;
pub mod catalog;
pub mod kinds;
pub mod object;

use std::sync::Arc;

use crate::body::{Request, Response};
use crate::policy::Permit;
use crate::status::Status;
use crate::store::Store;
use catalog::Catalog;
use object::Object;

/// The built-in API over one store.
pub struct Api {
    /// Which resources exist.
    pub catalog: Arc<Catalog>,
    /// Their objects.
    pub store: Arc<Store<Object>>,
}

impl Api {
    /// Answers what `permit` names.
    ///
    /// # Errors
    /// The refusal, in kube-apiserver's words.
    pub async fn serve(&self, _permit: &Permit, _request: Request) -> Result<Response, Status> {
        todo!()
    }
}

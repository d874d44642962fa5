//! The built-in Kubernetes API.
//!
//! One generic path serves every resource of the [`catalog`]; what is special about a kind stands in `kinds/`. Never sees certificates,
//! tokens or rules: it serves what a [`Permit`] names.

pub mod accept;
pub mod admission;
pub mod answer;
pub mod boot;
pub mod catalog;
mod convert;
pub mod create;
mod decode;
pub mod delete;
pub mod discovery;
mod error;
mod get;
mod indent;
mod issuer;
pub mod kinds;
mod list;
mod meta;
pub mod object;
mod openapi;
mod own;
pub mod patch;
pub mod refusal;
mod registry;
mod removal;
mod render;
pub mod review;
mod root;
pub mod route;
mod select;
pub mod solo;
pub mod subresource;
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;
pub mod update;
mod walk;
mod warning;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use crate::body::{Request, Response};
use crate::metrics::Metrics;
use crate::policy::Permit;
use crate::request::Target;
use crate::shutdown::Shutdown;
use crate::status::Status;
use crate::store::Store;
use catalog::Catalog;
use discovery::Documents;
use object::Object;
use review::Asking;
use route::{Action, Route};

/// The built-in API over one store.
pub struct Api {
    /// Which resources exist.
    pub catalog: Arc<Catalog>,
    /// Their objects.
    pub store: Arc<Store<Object>>,
    documents: Documents,
    openapi: Arc<openapi::Documents>,
    /// Whom reviews, token requests and admission ask.
    asking: Option<Asking>,
    settings: Settings,
    /// Which node ports are taken.
    node_ports: kinds::NodePorts,
    /// Where events are counted.
    metrics: Option<Arc<Metrics>>,
    /// What ends the streams that have tasks of their own.
    shutdown: Shutdown,
}

/// What is configured about objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long events are kept.
    pub event_ttl: Duration,
    /// The first and the last node port.
    pub node_ports: (u16, u16),
}

impl Default for Settings {
    /// As kube-apiserver has it: an hour, and 30000-32767.
    fn default() -> Self {
        Self { event_ttl: Duration::from_secs(3600), node_ports: (30_000, 32_767) }
    }
}

/// One request to a resource: whose right it is, where it goes, and what was sent.
pub struct Call<'a> {
    /// The right.
    pub permit: &'a Permit,
    /// The resource and the action.
    pub route: Route,
    /// Headers and body.
    pub request: Request,
}

impl Api {
    /// The API of `catalog` over `store`, which must have been opened with the same catalogue.
    pub fn new(catalog: Arc<Catalog>, store: Arc<Store<Object>>, shutdown: Shutdown) -> Self {
        let openapi = Arc::new(openapi::Documents::of(&catalog));
        Self {
            documents: Documents::of(&catalog),
            openapi,
            catalog,
            store,
            asking: None,
            settings: Settings::default(),
            node_ports: kinds::NodePorts::default(),
            metrics: None,
            shutdown,
        }
    }

    /// The same, with somebody to ask. Without, reviews and token requests are refused, and admission allows nothing that needs asking.
    #[must_use]
    pub fn with_asking(self, asking: Asking) -> Self {
        Self { asking: Some(asking), ..self }
    }

    /// The same with other settings.
    #[must_use]
    pub fn with_settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// The same, counting in `metrics`.
    #[must_use]
    pub fn with_metrics(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics: Some(metrics), ..self }
    }

    /// Answers what `permit` names.
    ///
    /// # Errors
    /// The refusal, in kube-apiserver's words.
    pub async fn serve(&self, permit: &Permit, request: Request) -> Result<Response, Status> {
        let attributes = permit.attributes();
        let asked = match &attributes.target {
            Target::Path(path) => return root::serve(self, path, &request).await,
            Target::Resource(asked) => asked,
        };
        let path = request.uri().path();
        if path.starts_with("//") || !discovery::knows(&self.catalog, &asked.group) {
            return Ok(root::not_found());
        }
        let route = route::find(&self.catalog, asked, attributes.verb, (request.method(), path))?;
        self.perform(Call { permit, route, request }).await
    }

    async fn perform(&self, call: Call<'_>) -> Result<Response, Status> {
        if !call.route.subresource.is_empty() {
            return subresource::serve(self, call).await;
        }
        if call.route.kind.storage.is_none() && call.route.action == Action::Create {
            return review::serve(self, call).await;
        }
        let deprecation = Vec::from_iter(kinds::deprecation(&call.route.kind).map(str::to_owned));
        let told = |response| warning::attach(response, &deprecation);
        match call.route.action {
            Action::Get => get::serve(self, call).await.map(told),
            Action::List => list::serve(self, call).await.map(told),
            Action::Watch => watch::serve(self, call).await.map(told),
            Action::Create => create::serve(self, call).await,
            Action::Update => update::serve(self, call).await,
            Action::Patch => patch::serve(self, call).await,
            Action::Delete => delete::serve(self, call).await,
            Action::DeleteCollection => delete::collection(self, call).await,
        }
    }
}

//! A client without a wire, for the tests of this room: requests go to an API over a store in memory, and answers come back read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use crate::api::Api;
use crate::api::boot;
use crate::api::catalog::Catalog;
use crate::api::object::Object;
use crate::body::Inbound;
use crate::policy::{Permit, Purpose};
use crate::request::{Attributes, Target, Verb};
use crate::shutdown::Shutdown;
use crate::store::embedded::{Embedded, Medium, OpenError, Options};
use crate::store::{self, Limits, Log, Sink, Store};

/// Sends requests as the server itself.
pub(crate) struct Client {
    pub(crate) api: Arc<Api>,
}

impl Client {
    /// An API with everything that the server makes at its start.
    pub(crate) async fn new() -> Self {
        let client = Self::bare();
        boot::run(&client.api, &settings(), &permit()).await.expect("the boot objects");
        client
    }

    /// An API over an empty store.
    pub(crate) fn bare() -> Self {
        Self::over(|sink| Ok(Embedded::open_on(Medium::memory(), Options::default(), sink)? as Arc<dyn Log>))
    }

    /// An API over a log.
    pub(crate) fn over(connect: impl FnOnce(Arc<dyn Sink>) -> Result<Arc<dyn Log>, OpenError>) -> Self {
        let catalog = Arc::new(Catalog::builtin());
        let limits = Limits {
            ring_bytes: 64 << 20,
            roots_bytes: 64 << 20,
            keep: Duration::from_secs(75),
            patience: Duration::from_secs(5),
        };
        let store: Result<Arc<Store<Object>>, OpenError> = store::open(Arc::clone(&catalog) as _, limits, connect);
        Self { api: Arc::new(Api::new(catalog, store.expect("a store"), Shutdown::new())) }
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Method::GET, path, ("", Bytes::new())).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(Method::POST, path, ("application/json", body.to_string().into())).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(Method::PUT, path, ("application/json", body.to_string().into())).await
    }

    pub(crate) async fn merge(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(Method::PATCH, path, ("application/merge-patch+json", body.to_string().into())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        self.send(Method::DELETE, path, ("", Bytes::new())).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, (media, body): (&str, Bytes)) -> (u16, Value) {
        let request = http::Request::builder().method(method).uri(path).header("content-type", media);
        let request = request.body(Inbound::Full(Full::new(body))).expect("a request");
        let permit = Permit::internal(Purpose::Solo, Attributes::parse(request.method(), request.uri()));
        match self.api.serve(&permit, request).await {
            Ok(response) => {
                let code = response.status().as_u16();
                let body = response.into_body().collect().await.expect("a body").to_bytes();
                (code, serde_json::from_slice(&body).unwrap_or_default())
            }
            Err(refusal) => (refusal.code.as_u16(), serde_json::from_slice(&refusal.to_json()).unwrap_or_default()),
        }
    }
}

/// The server's own right, for what has no request.
pub(crate) fn permit() -> Permit {
    Permit::internal(Purpose::Boot, Attributes { verb: Verb::Get, target: Target::Path("/".to_owned()) })
}

/// What a server on the loopback knows of itself.
pub(crate) fn settings() -> boot::Settings {
    boot::Settings {
        service_range: "10.0.0.0/24".parse().expect("a network"),
        advertise: "127.0.0.1".parse().expect("an address"),
        port: 6443,
        client_ca: "PEM".to_owned(),
        front_proxy: None,
        extra: Vec::new(),
    }
}

/// The refusal's own words.
pub(crate) fn message(answer: &(u16, Value)) -> &str {
    answer.1["message"].as_str().unwrap_or("")
}

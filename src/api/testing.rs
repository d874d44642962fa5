//! An API over a store in memory, for the tests of this room: objects are put straight into the store.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body::Body as _;
use http_body_util::Full;
use serde_json::Value;

use super::Api;
use super::catalog::Catalog;
use super::object::Object;
use crate::body::{Body, Inbound, Response};
use crate::policy::{Permit, Purpose};
use crate::request::Attributes;
use crate::shutdown::Shutdown;
use crate::store::embedded::{Embedded, Medium, OpenError, Options};
use crate::store::{self, Change, Expect, Limits, Log, Outcome, Revision};

/// An API and its store.
pub(super) struct Stand {
    pub(super) api: Api,
}

/// What a client sees.
pub(super) struct Seen {
    pub(super) code: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Stand {
    pub(super) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> Self {
        let catalog = Arc::new(Catalog::builtin());
        let options = Options { reserve_bytes: 0, ..Options::default() };
        let open = |sink| -> Result<Arc<dyn Log>, OpenError> { Ok(Embedded::open_on(Medium::memory(), options, sink)?) };
        let store = store::open(catalog.clone(), limits, open).expect("a store in memory");
        Self { api: Api::new(catalog, store, Shutdown::new()) }
    }

    /// Stores an object of a plural of the core group (or `GROUP/PLURAL`), whatever was there before.
    pub(super) async fn put(&self, plural: &str, mut object: Value) -> Revision {
        let (group, plural) = plural.split_once('/').unwrap_or(("", plural));
        let kind = self.api.catalog.all().iter().find(|kind| kind.group == group && kind.plural == plural).expect("a kind");
        object["kind"] = kind.kind.clone().into();
        object["apiVersion"] = kind.api_version().into();
        let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
        let key = kind.key(&text("namespace"), &text("name")).expect("a key");
        self.change(key, Some(Object::to_stored(&object))).await
    }

    /// Removes a key's value.
    pub(super) async fn remove(&self, key: &str) -> Revision {
        self.change(Bytes::copy_from_slice(key.as_bytes()), None).await
    }

    /// Stores any bytes.
    pub(super) async fn change(&self, key: Bytes, value: Option<Bytes>) -> Revision {
        let mut expect = Expect::Absent;
        loop {
            let change = Change { key: key.clone(), expect, value: value.clone(), ttl: None, guard: None };
            match self.api.store.commit(change).await.expect("a working store") {
                Outcome::Committed(revision) => return revision,
                Outcome::Conflict(Some(entry)) => expect = Expect::At(entry.revision),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Opens an answer without reading it; refusals as the gateway writes them.
    pub(super) async fn open(&self, target: &str, headers: &[(&str, &str)]) -> Response {
        self.ask(Method::GET, target, headers).await
    }

    pub(super) async fn ask(&self, method: Method, target: &str, headers: &[(&str, &str)]) -> Response {
        let uri: Uri = target.parse().expect("a target");
        let permit = Permit::internal(Purpose::Upkeep, Attributes::parse(&method, &uri));
        let mut request = http::Request::new(Inbound::Full(Full::default()));
        (*request.method_mut(), *request.uri_mut()) = (method, uri);
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().expect("a name");
            request.headers_mut().append(name, value.parse().expect("a value"));
        }
        self.api.serve(&permit, request).await.unwrap_or_else(|refusal| {
            let mut response = http::Response::new(Body::full(refusal.to_json()));
            *response.status_mut() = refusal.code;
            response
        })
    }

    pub(super) async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Seen {
        let (parts, mut body) = self.open(target, headers).await.into_parts();
        let mut bytes = Vec::new();
        while let Some(piece) = next(&mut body).await {
            bytes.extend_from_slice(&piece);
        }
        Seen { code: parts.status, headers: parts.headers, body: bytes }
    }

    /// The answer as JSON.
    pub(super) async fn json(&self, target: &str) -> Value {
        serde_json::from_slice(&self.get(target, &[]).await.body).expect("JSON")
    }

    /// The names of a list's items.
    pub(super) async fn names(&self, target: &str) -> Vec<String> {
        let list = self.json(target).await;
        let items = list["items"].as_array().cloned().unwrap_or_else(|| panic!("no list: {list}"));
        items.iter().map(|item| item["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// The next piece of a body.
pub(super) async fn next(body: &mut Body) -> Option<Bytes> {
    let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
    frame.ok()?.into_data().ok()
}

/// The lines that are ready now.
pub(super) async fn ready(body: &mut Body) -> Vec<Value> {
    let mut bytes = Vec::new();
    for _ in 0..10 {
        let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut *body).poll_frame(context))).await;
        match polled {
            Poll::Ready(Some(Ok(frame))) => bytes.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Poll::Ready(_) => break,
            Poll::Pending => tokio::task::yield_now().await,
        }
    }
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect()
}

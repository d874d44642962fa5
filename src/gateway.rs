//! The pipeline: what happens to every request, in order. Read it first.
//!
//! Skipping a step does not compile: only `identity` makes a `Caller`, only `policy` makes a `Permit`, and a backend demands one.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderName};
use http::{HeaderValue, Method, StatusCode, Version};

use crate::audit;
use crate::body::{Body, Over, Request, Response, Rest, Tether};
use crate::cluster::Cluster;
use crate::health::{self, Check};
use crate::identity::{self, Brought, Caller, Peer, Resolver};
use crate::limits::{Kind, Slot};
use crate::metrics::{self, Attempt, Decision, Metrics, Step};
use crate::policy::{self, Permit};
use crate::request::{Attributes, Query, Target};
use crate::shutdown::Shutdown;
use crate::status::{Form, Plain, Refusal, Status};
use record::{Lasting, Record};
use streams::Right;
pub use streams::Streams;

mod record;
mod streams;
#[cfg(test)]
mod tests;

/// Everything a request passes.
pub struct Gateway {
    /// Who is believed, what is permitted, who answers.
    pub cluster: Arc<Cluster>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where the access lines go.
    pub access: audit::Log,
    /// The health checks.
    pub checks: Arc<[Check]>,
    /// The streams that are open.
    pub streams: Arc<Streams>,
    /// What ends them all.
    pub shutdown: Shutdown,
}

/// Stands in the extensions of an answer after which its connection takes no more requests.
#[derive(Clone, Copy, Debug)]
pub struct LastOfConnection;

impl Gateway {
    /// Answers one request. Every failure is an answer.
    pub async fn handle(self: Arc<Self>, peer: Arc<Peer>, request: Request) -> Response {
        let form = Form::of(request.uri(), request.headers());
        let asked = Asked { head: request.method() == Method::HEAD, http2: request.version() == Version::HTTP_2 };
        let attributes = Attributes::parse(request.method(), request.uri());
        let (request, rest) = lend(request);
        let mut record = Record::begin(&self, &peer, &request, &attributes);
        let answered = AssertUnwindSafe(self.answer(&peer, request, attributes, &mut record)).catch_unwind().await;
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(refusal)) => {
                record.refused(&refusal);
                refusal.answer(form)
            }
            Err(_) => {
                self.metrics.panicked();
                Plain::new(StatusCode::INTERNAL_SERVER_ERROR, PANICKED).answer()
            }
        };
        let mut response = finish(response, record, asked);
        if let Some(rest) = rest
            && response.status() != StatusCode::SWITCHING_PROTOCOLS
            && !rest.read().await
        {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The steps, in order.
    async fn answer(
        &self,
        peer: &Arc<Peer>,
        mut request: Request,
        attributes: Attributes,
        record: &mut Record,
    ) -> Result<Response, Refusal> {
        if request.uri().path_and_query().is_some_and(|asked| asked.as_str().len() > URI) {
            self.metrics.refused(Step::Wire, "", "");
            return Err(Plain::new(StatusCode::URI_TOO_LONG, "the URI is longer than 8192 bytes").into());
        }
        let brought = Resolver::take(request.headers_mut());
        let caller = self.identify(peer, (&brought, &attributes), record).await?;
        record.called_by(&caller);
        let permit = self.permit(caller.clone(), (attributes, &request), record).await?;
        record.permitted(&permit);
        let slot = self.enter(&permit)?;
        if permit.attributes().is_long_running() {
            let right = Right { peer: Arc::clone(peer), caller, permit };
            return self.serve_long((right, slot), request, record).await;
        }
        let response = self.serve_in_time(&permit, request).await?;
        Ok(response.map(|body| body.holding(slot)))
    }

    async fn identify(
        &self,
        peer: &Peer,
        (brought, attributes): (&Brought, &Attributes),
        record: &mut Record,
    ) -> Result<Caller, Refusal> {
        let begun = Instant::now();
        let resolve = || self.cluster.resolver.resolve(peer, brought, attributes);
        let mut resolved = resolve();
        if resolved.as_ref().is_err_and(identity::Refusal::hangs_on_facts) && self.cluster.caught_up().await {
            resolved = resolve();
        }
        let attempt = if resolved.is_ok() { Attempt::Success } else { Attempt::Failure };
        self.metrics.authenticated(attempt, begun.elapsed());
        if let Some(until) = peer.expires() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.metrics.client_certificate(Duration::from_secs(until).saturating_sub(now));
        }
        resolved.map_err(|refusal| {
            self.metrics.refused(Step::Identity, "", "");
            record.because(refusal.to_string());
            Status::from(refusal).into()
        })
    }

    async fn permit(
        &self,
        caller: Caller,
        (attributes, request): (Attributes, &Request),
        record: &mut Record,
    ) -> Result<Permit, Refusal> {
        self.cluster.current(caller.effective(), &attributes)?;
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let reach = self.cluster.reach(&attributes, content_type);
        let attributes = Arc::new(attributes);
        let decide = || self.cluster.authorizer.authorize(caller.clone(), attributes.clone(), reach);
        let mut decided = decide();
        if decided.as_ref().is_err_and(|denied| denied.step() == policy::Step::Backend) && self.cluster.caught_up().await {
            decided = decide();
        }
        self.metrics.authorized(if decided.is_ok() { Decision::Allowed } else { Decision::Denied });
        decided.map_err(|denied| {
            self.metrics.refused(Step::Policy, denied.component(), denied.rule());
            record.because(format!("{} {}: {}", denied.step().label(), denied.component(), denied.rule()));
            Status::from(denied).into()
        })
    }

    /// A place among the requests at work. It is counted for whoever showed the credential, whatever name they act in.
    fn enter(&self, permit: &Permit) -> Result<Slot, Refusal> {
        let caller = permit.caller().ok_or_else(|| Status::internal("a request without a caller"))?;
        self.cluster.limits.enter(Kind::of(permit.attributes()), caller.real()).map_err(|full| {
            self.metrics.refused(Step::Slot, permit.component(), "");
            full.into()
        })
    }

    /// A stream, or a connection that becomes something else: it has no deadline, and ends with its right or with the server.
    async fn serve_long(&self, (right, slot): (Right, Slot), mut request: Request, record: &Record) -> Result<Response, Refusal> {
        let end = self.shutdown.child();
        let permit = right.permit.clone();
        let held = (self.streams.enter(right, end.clone()), slot);
        let tether = record.upgrades().then(|| Tether::new(end.clone()));
        if let Some(tether) = &tether {
            request.extensions_mut().insert(tether.clone());
        }
        let mut response = self.serve(&permit, request).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some(tether) = tether
        {
            tether.hold(held);
            response.extensions_mut().insert(tether);
            return Ok(response);
        }
        let shutdown = self.shutdown.clone();
        let over = async move {
            end.cancelled().await;
            if shutdown.has_begun() { Over::Shutdown } else { Over::Withdrawn }
        };
        Ok(response.map(|body| body.until(over).holding(held)))
    }

    async fn serve_in_time(&self, permit: &Permit, request: Request) -> Result<Response, Refusal> {
        let asked = match request.uri().query().filter(|query| query.contains("timeout")) {
            Some(query) => Query::parse(query).timeout().map_err(|bad| Status::bad_request(bad.0))?,
            None => None,
        };
        let deadline = asked.map_or(DEADLINE, |asked| asked.min(DEADLINE));
        let served = tokio::time::timeout(deadline, self.serve(permit, request)).await;
        Ok(served.unwrap_or_else(|_| {
            let message = "Timeout: request did not complete within the allotted timeout";
            Err(Status::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message))
        })?)
    }

    /// Our own pages, else the backend's.
    async fn serve(&self, permit: &Permit, request: Request) -> Result<Response, Status> {
        if let Target::Path(path) = &permit.attributes().target {
            let query = request.uri().query().unwrap_or_default();
            if let Some(answer) = health::answer(path, query, (&self.checks, &self.metrics)) {
                return Ok(answer);
            }
            if path == "/metrics" {
                return Ok(metrics_page(&self.metrics));
            }
        }
        self.cluster.backend.serve(permit, request).await
    }
}

/// Over HTTP/1 what nobody reads of a body must be read before the next request. A client that waits for leave to send it is told with
/// the answer.
fn lend(request: Request) -> (Request, Option<Rest>) {
    if request.version() == Version::HTTP_2 || request.headers().contains_key(EXPECT) {
        return (request, None);
    }
    let (head, body) = request.into_parts();
    let (body, rest) = body.lend();
    (Request::from_parts(head, body), rest)
}

/// What the answer's form depends on.
struct Asked {
    head: bool,
    http2: bool,
}

/// The families in Prometheus' text format.
pub(crate) fn metrics_page(metrics: &Metrics) -> Response {
    let mut response = Response::new(Body::full(metrics.exposition()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
    response
}

/// The headers of every answer, and the record that ends with it. Those whom nobody knows get one request per HTTP/2 connection, as
/// from kube-apiserver.
fn finish(mut response: Response, mut record: Record, asked: Asked) -> Response {
    record.answered(response.status());
    if asked.http2 && (record.is_anonymous() || response.status() == StatusCode::UNAUTHORIZED) {
        response.extensions_mut().insert(LastOfConnection);
    }
    let length = if asked.head { response.body().bytes().map(Bytes::len) } else { None };
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
    if let Ok(id) = HeaderValue::from_str(record.id()) {
        headers.insert(AUDIT_ID, id);
    }
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    match response.extensions_mut().remove::<Tether>() {
        Some(tether) => {
            tether.hold(Lasting(Some(record)));
            response
        }
        None => response.map(|body| if asked.head { body.without_content() } else { body }.reporting(record)),
    }
}

/// The longest URI that is read.
const URI: usize = 8 << 10;

/// How long a request may take that is not a stream: kube-apiserver's default.
const DEADLINE: Duration = Duration::from_secs(60);

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

const PANICKED: &str = "This request caused apiserver to panic. Look in the logs for details.";

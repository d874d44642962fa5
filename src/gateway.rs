//! The pipeline: what happens to every request, in order. Read it first.
//!
//! Skipping a step does not compile: only `identity` makes a `Caller`, only `policy` makes a `Permit`, and a backend demands one.

mod record;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode, Version};
use hyper::body::Incoming;

use crate::audit;
use crate::body::{Body, Inbound, Over, Request, Response, Tether};
use crate::cluster::Cluster;
use crate::health::{self, Check};
use crate::identity::{Caller, Peer};
use crate::limits::Kind;
use crate::metrics::{self, Attempt, Decision, Metrics, Step};
use crate::policy::Permit;
use crate::request::{Attributes, Query, Target};
use crate::shutdown::Shutdown;
use crate::status::{Form, Plain, Refusal, Status};
use record::Record;

/// The longest URI that is read.
const URI: usize = 8 << 10;
/// How long a request may take that is not a stream.
const DEADLINE: Duration = Duration::from_secs(60);

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
    /// What ends streams.
    pub shutdown: Shutdown,
}

/// Stands in the extensions of an answer after which its connection takes no more requests.
#[derive(Clone, Copy, Debug)]
pub struct LastOfConnection;

impl Gateway {
    /// Answers one request. Every failure is an answer.
    pub async fn handle(self: Arc<Self>, peer: Arc<Peer>, request: http::Request<Incoming>) -> Response {
        let form = Form::of(request.uri(), request.headers());
        let (head, version) = (request.method() == Method::HEAD, request.version());
        let attributes = Attributes::parse(request.method(), request.uri());
        let mut record = Record::begin(&self, &peer, &request, &attributes);
        let answered =
            AssertUnwindSafe(self.answer(&peer, request.map(Inbound::Wire), attributes, &mut record)).catch_unwind().await;
        let mut response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(refusal)) => {
                record.refused(&refusal);
                refusal.answer(form)
            }
            Err(_) => {
                self.metrics.panicked();
                Plain::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "This request caused apiserver to panic. Look in the logs for details.",
                )
                .answer()
            }
        };
        record.answered(response.status().as_u16());
        self.finish(&mut response, &record, version);
        response.map(|body| if head { body.without_content() } else { body }.reporting(record))
    }

    /// The steps, in order.
    async fn answer(
        &self,
        peer: &Peer,
        mut request: Request,
        attributes: Attributes,
        record: &mut Record,
    ) -> Result<Response, Refusal> {
        if request.uri().path_and_query().is_some_and(|asked| asked.as_str().len() > URI) {
            return Err(Plain::new(StatusCode::URI_TOO_LONG, "the URI is longer than 8192 bytes").into());
        }
        let caller = self.identify(peer, &mut request, &attributes)?;
        record.called_by(&caller);
        let permit = self.permit(caller, attributes, &request)?;
        let identity = permit.identity().ok_or_else(|| Status::internal("a request without a caller"))?;
        let slot = self.cluster.limits.enter(Kind::of(permit.attributes()), identity)?;
        let tether = Tether::new(self.shutdown.child());
        let long_running = permit.attributes().is_long_running();
        request.extensions_mut().insert(tether.clone());
        let response =
            if long_running { self.serve(&permit, request).await? } else { self.serve_in_time(&permit, request).await? };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            tether.hold(slot);
            return Ok(response);
        }
        let end = self.shutdown.child();
        let bound = |body: Body| {
            if long_running {
                body.until(async move {
                    end.cancelled().await;
                    Over::Shutdown
                })
            } else {
                body
            }
        };
        Ok(response.map(|body| bound(body).holding(slot)))
    }

    fn identify(&self, peer: &Peer, request: &mut Request, attributes: &Attributes) -> Result<Caller, Refusal> {
        let begun = Instant::now();
        let resolved = self.cluster.resolver.resolve(peer, request.headers_mut(), attributes);
        let attempt = if resolved.is_ok() { Attempt::Success } else { Attempt::Failure };
        self.metrics.authenticated(attempt, begun.elapsed());
        resolved.map_err(|refusal| {
            self.metrics.refused(Step::Identity, "", "");
            tracing::info!(address = %peer.address(), %refusal, "unauthenticated");
            Status::from(refusal).into()
        })
    }

    fn permit(&self, caller: Caller, attributes: Attributes, request: &Request) -> Result<Permit, Refusal> {
        self.cluster.current(caller.effective(), &attributes)?;
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let reach = self.cluster.reach(&attributes, content_type);
        let decided = self.cluster.authorizer.authorize(caller, attributes, reach);
        self.metrics.authorized(if decided.is_ok() { Decision::Allowed } else { Decision::Denied });
        decided.map_err(|denied| {
            self.metrics.refused(Step::Policy, denied.component(), denied.rule());
            Status::from(denied).into()
        })
    }

    /// Our own pages, else the backend's.
    async fn serve(&self, permit: &Permit, request: Request) -> Result<Response, Status> {
        if let Target::Path(path) = &permit.attributes().target {
            let query = request.uri().query().unwrap_or_default();
            if let Some(answer) = health::answer(path, query, (&self.checks, &self.metrics)) {
                return Ok(answer);
            }
            if path == "/metrics" {
                let mut response = Response::new(Body::full(self.metrics.exposition()));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
                return Ok(response);
            }
        }
        self.cluster.backend.serve(permit, request).await
    }

    async fn serve_in_time(&self, permit: &Permit, request: Request) -> Result<Response, Status> {
        let asked =
            Query::parse(request.uri().query().unwrap_or_default()).timeout().map_err(|bad| Status::bad_request(bad.0))?;
        let deadline = asked.filter(|asked| !asked.is_zero()).map_or(DEADLINE, |asked| asked.min(DEADLINE));
        tokio::time::timeout(deadline, self.serve(permit, request)).await.unwrap_or_else(|_| {
            let message = "Timeout: request did not complete within the allotted timeout";
            Err(Status::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message))
        })
    }

    /// The headers of every answer. Those whom nobody knows get one request per HTTP/2 connection, as from kube-apiserver.
    fn finish(&self, response: &mut Response, record: &Record, version: Version) {
        let nobody = record.is_anonymous() || response.status() == StatusCode::UNAUTHORIZED;
        if version == Version::HTTP_2 && nobody {
            response.extensions_mut().insert(LastOfConnection);
        }
        let headers = response.headers_mut();
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
        if let Ok(id) = HeaderValue::from_str(record.id()) {
            headers.insert("audit-id", id);
        }
    }
}

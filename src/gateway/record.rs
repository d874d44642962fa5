//! What is noted of a request: begun with it, written when its stream has ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::header::{CONTENT_TYPE, HeaderName, UPGRADE, USER_AGENT};
use http::{Method, StatusCode};
use uuid::Uuid;

use super::Gateway;
use crate::audit::Line;
use crate::body::{End, Report, Request};
use crate::identity::{Caller, Peer, Proof};
use crate::metrics::{Labels, Ongoing, Scope, Series};
use crate::policy::Permit;
use crate::request::{Attributes, Target, Verb};
use crate::status::Refusal;

/// One request, from its head to the end of its stream.
pub(super) struct Record {
    gateway: Arc<Gateway>,
    begun: Instant,
    address: SocketAddr,
    method: Method,
    verb: Verb,
    // Copies: a slice of the head would keep the connection's whole buffer for as long as the stream lasts.
    id: Box<str>,
    uri: Box<str>,
    agent: Box<str>,
    upgrades: bool,
    caller: Option<Caller>,
    reason: Option<Box<str>>,
    series: Arc<Series>,
    ongoing: Option<Ongoing>,
    code: u16,
    done: bool,
}

/// The record of a request whose connection became something else: it ends when that is dropped.
pub(super) struct Lasting(pub(super) Option<Record>);

impl Record {
    pub(super) fn begin(gateway: &Arc<Gateway>, peer: &Peer, request: &Request, attributes: &Attributes) -> Self {
        let text = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let given = text(HeaderName::from_static("audit-id"));
        let labels = labels(attributes, request);
        let known = || match &attributes.target {
            Target::Resource(asked) => gateway.cluster.backend.knows(asked) && known_subresource(&asked.subresource),
            Target::Path(path) => PATHS.contains(&path.as_str()),
        };
        let series = gateway.metrics.requests.series(&labels, known);
        let ongoing = attributes.is_long_running().then(|| series.ongoing());
        Self {
            gateway: gateway.clone(),
            begun: Instant::now(),
            address: peer.address(),
            method: request.method().clone(),
            verb: attributes.verb,
            id: if given.is_empty() || given.len() > ID { Uuid::new_v4().to_string().into() } else { given.into() },
            uri: request.uri().path_and_query().map_or("", |asked| cut(asked.as_str(), URI)).into(),
            agent: cut(text(USER_AGENT), AGENT).into(),
            upgrades: request.headers().contains_key(UPGRADE),
            caller: None,
            reason: None,
            series,
            ongoing,
            code: GONE,
            done: false,
        }
    }

    pub(super) fn called_by(&mut self, caller: &Caller) {
        self.caller = Some(caller.clone());
    }

    /// Notes in whose name the request acts.
    pub(super) fn permitted(&mut self, permit: &Permit) {
        if let Some(caller) = permit.caller().filter(|caller| !Arc::ptr_eq(caller.real(), caller.effective())) {
            self.caller = Some(caller.clone());
        }
    }

    /// Notes what the client is not told: why nobody is believed, which rule refused.
    pub(super) fn because(&mut self, reason: String) {
        if !self.gateway.access.is_on() {
            // It may quote what the client sent: it is escaped.
            tracing::info!(address = %self.address, uri = ?self.uri, ?reason, "refused");
        }
        self.reason = Some(reason.into());
    }

    /// Notes why there is no better answer; what is ours to mend goes to the log with its cause.
    pub(super) fn refused(&self, refusal: &Refusal) {
        let Refusal::Status(status) = refusal else { return };
        if status.code.is_server_error() {
            let cause = status.cause.as_ref().map(ToString::to_string);
            // What a client may have chosen is escaped.
            let (uri, status) = (&self.uri, status.to_string());
            tracing::error!(id = ?self.id, ?uri, ?status, ?cause, "a request failed");
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether the connection is to become something else.
    pub(super) fn upgrades(&self) -> bool {
        self.upgrades
    }

    pub(super) fn is_anonymous(&self) -> bool {
        self.caller.as_ref().is_some_and(|caller| *caller.real().proof() == Proof::Anonymous)
    }

    /// Notes the code of the answer that is about to be sent.
    pub(super) fn answered(&mut self, code: StatusCode) {
        self.code = code.as_u16();
    }

    fn write(&mut self, sent: u64, end: End) {
        self.done = true;
        self.ongoing = None;
        let took = self.begun.elapsed();
        self.series.ended(self.code, took, sent);
        if !self.gateway.access.is_on() {
            return;
        }
        let user = self.caller.as_ref().map_or("", |caller| caller.real().user());
        let acting = self.caller.as_ref().map_or("", |caller| caller.effective().user());
        self.gateway.access.write(&Line {
            id: &self.id,
            address: self.address,
            user,
            impersonated: (user != acting).then_some(acting),
            verb: self.verb.as_str(),
            method: self.method.as_str(),
            uri: &self.uri,
            agent: &self.agent,
            reason: self.reason.as_deref(),
            code: self.code,
            sent,
            took,
            complete: end == End::Whole,
        });
    }
}

impl Report for Record {
    fn ended(mut self: Box<Self>, sent: u64, end: End) {
        self.write(sent, end);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // The client went away before there was an answer.
        if !self.done {
            self.code = GONE;
            self.write(0, End::Cut);
        }
    }
}

impl Drop for Lasting {
    fn drop(&mut self) {
        if let Some(mut record) = self.0.take() {
            record.write(0, End::Whole);
        }
    }
}

fn labels<'a>(attributes: &'a Attributes, request: &Request) -> Labels<'a> {
    let asked = match &attributes.target {
        Target::Resource(asked) => asked,
        Target::Path(path) => {
            let verb = word(attributes.verb, "");
            return Labels { verb, group: "", version: "", resource: "", subresource: path, scope: Scope::None, dry_run: "" };
        }
    };
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let apply = attributes.verb == Verb::Patch && content_type.starts_with("application/apply-patch");
    let scope = match (attributes.verb, asked.name.is_empty(), asked.namespace.is_empty()) {
        (Verb::Create, ..) | (_, false, _) => Scope::Resource,
        (_, _, false) => Scope::Namespace,
        _ => Scope::Cluster,
    };
    Labels {
        verb: if apply { "APPLY" } else { word(attributes.verb, &asked.subresource) },
        group: &asked.group,
        version: &asked.version,
        resource: &asked.resource,
        subresource: &asked.subresource,
        scope,
        dry_run: dry_run(request.uri().query().unwrap_or_default()),
    }
}

/// The verb as kube-apiserver's metrics have it.
fn word(verb: Verb, subresource: &str) -> &'static str {
    if matches!(subresource, "exec" | "attach" | "portforward" | "proxy" | "log") {
        return "CONNECT";
    }
    match verb {
        Verb::Get | Verb::Head => "GET",
        Verb::List => "LIST",
        Verb::Watch => "WATCH",
        Verb::Create | Verb::Post => "POST",
        Verb::Update | Verb::Put => "PUT",
        Verb::Patch => "PATCH",
        Verb::Delete => "DELETE",
        Verb::DeleteCollection => "DELETECOLLECTION",
        Verb::Proxy => "CONNECT",
        Verb::Options | Verb::Other => "other",
    }
}

fn dry_run(query: &str) -> &'static str {
    let mut values = query.split('&').filter_map(|pair| pair.strip_prefix("dryRun="));
    match (values.next(), values.next()) {
        (None | Some(""), None) => "",
        (Some("All"), None) => "All",
        _ => "invalid",
    }
}

fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn known_subresource(name: &str) -> bool {
    name.is_empty() || SUBRESOURCES.split(' ').any(|known| known == name)
}

/// The code that is counted when the client went away before it had its answer.
const GONE: u16 = 499;

/// The longest audit id that is taken over from a client, and what is kept of its URI and agent.
const ID: usize = 64;
const URI: usize = 1024;
const AGENT: usize = 256;

/// The paths that metrics name.
const PATHS: [&str; 9] = ["/livez", "/readyz", "/healthz", "/metrics", "/version", "/api", "/apis", "/openapi/v3", "/"];

/// The subresources that metrics name.
const SUBRESOURCES: &str =
    "status scale binding eviction finalize approval token log exec attach portforward proxy ephemeralcontainers resize";

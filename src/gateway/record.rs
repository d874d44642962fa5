//! What is noted of a request: begun with it, written when its stream has ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, Method, Uri};
use uuid::Uuid;

use super::Gateway;
use crate::audit::Line;
use crate::body::{End, Report};
use crate::identity::{Caller, Peer, Proof};
use crate::metrics::{Labels, Ongoing, Scope, Series};
use crate::request::{Attributes, Target, Verb};
use crate::status::Refusal;

/// The code that is counted when the client went away before it had its answer.
const GONE: u16 = 499;
/// The longest audit id that is taken over from a client.
const ID: usize = 64;

/// One request, from its head to the end of its stream.
pub(super) struct Record {
    gateway: Arc<Gateway>,
    begun: Instant,
    id: String,
    address: SocketAddr,
    method: Method,
    uri: Uri,
    agent: String,
    verb: Verb,
    caller: Option<Caller>,
    series: Arc<Series>,
    ongoing: Option<Ongoing>,
    code: u16,
    done: bool,
}

impl Record {
    pub(super) fn begin<B>(gateway: &Arc<Gateway>, peer: &Peer, request: &http::Request<B>, attributes: &Attributes) -> Self {
        let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let given = text("audit-id").filter(|id| !id.is_empty() && id.len() <= ID);
        let labels = labels(attributes, request.headers());
        let backend = &gateway.cluster.backend;
        let known = || match &attributes.target {
            Target::Resource(asked) => {
                backend.knows(&asked.group, &asked.version, &asked.resource) && known_subresource(&asked.subresource)
            }
            Target::Path(path) => PATHS.contains(&path.as_str()),
        };
        let series = gateway.metrics.requests.series(&labels, known);
        let ongoing = attributes.is_long_running().then(|| series.ongoing());
        Self {
            begun: Instant::now(),
            id: given.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned),
            address: peer.address(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            agent: text("user-agent").unwrap_or_default().to_owned(),
            verb: attributes.verb,
            caller: None,
            series,
            ongoing,
            code: GONE,
            done: false,
            gateway: gateway.clone(),
        }
    }

    pub(super) fn called_by(&mut self, caller: &Caller) {
        self.caller = Some(caller.clone());
    }

    /// Notes why there is no better answer; what is ours to mend goes to the log with its cause.
    pub(super) fn refused(&self, refusal: &Refusal) {
        let Refusal::Status(status) = refusal else { return };
        if status.code.is_server_error() {
            let cause = status.cause.as_ref().map(ToString::to_string);
            tracing::error!(id = self.id, uri = %self.uri, status = %status, cause, "a request failed");
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn is_anonymous(&self) -> bool {
        self.caller.as_ref().is_some_and(|caller| *caller.real().proof() == Proof::Anonymous)
    }

    /// Notes the code of the answer that is about to be sent.
    pub(super) fn answered(&mut self, code: u16) {
        self.code = code;
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
        let uri = self.uri.path_and_query().map_or("", |asked| asked.as_str());
        self.gateway.access.write(&Line {
            id: &self.id,
            address: self.address,
            user,
            impersonated: (user != acting).then_some(acting),
            verb: self.verb.as_str(),
            method: self.method.as_str(),
            uri,
            agent: &self.agent,
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

fn labels<'a>(attributes: &'a Attributes, headers: &HeaderMap) -> Labels<'a> {
    let asked = match &attributes.target {
        Target::Resource(asked) => asked,
        Target::Path(path) => {
            let verb = word(attributes.verb, "");
            return Labels { verb, group: "", version: "", resource: "", subresource: path, scope: Scope::None, dry_run: "" };
        }
    };
    let content_type = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
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
        dry_run: "",
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

fn known_subresource(name: &str) -> bool {
    name.is_empty() || SUBRESOURCES.contains(&name)
}

/// The paths that metrics name.
const PATHS: [&str; 9] = ["/livez", "/readyz", "/healthz", "/metrics", "/version", "/api", "/apis", "/openapi/v3", "/"];
/// The subresources that metrics name.
const SUBRESOURCES: [&str; 14] = [
    "status",
    "scale",
    "binding",
    "eviction",
    "finalize",
    "approval",
    "token",
    "log",
    "exec",
    "attach",
    "portforward",
    "proxy",
    "ephemeralcontainers",
    "resize",
];

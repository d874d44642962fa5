//! What stands in a cell: a plain value by its path, or the outcome of a named function.

use jiff::Timestamp;
use serde_json::Value;

use super::format::{count, dig, each, items, labels, none, number, selector, text};
use super::{age, cluster, network, pod, scaler, storage, workload};

/// How a cell is made from an object.
#[derive(Debug)]
pub(super) enum Cell {
    Name,
    Age,
    /// A value; the text when it is absent or empty.
    Plain(Path, String),
    Number(Path),
    Flag(Path),
    Count(Path),
    Made(Made, Path),
}

type Path = Vec<String>;
type Made = fn(&Value, &Path, Timestamp) -> Value;

impl Cell {
    /// Reads the notation of `columns.txt`.
    pub(super) fn parse(word: &str) -> Self {
        match (word, word.split_at(word.len().min(2))) {
            ("name", _) => Self::Name,
            ("age", _) => Self::Age,
            (_, ("#.", rest)) => Self::Number(path(rest)),
            (_, ("?.", rest)) => Self::Flag(path(rest)),
            (_, ("+.", rest)) => Self::Count(path(rest)),
            _ if word.starts_with('@') => made(&word[1..]),
            _ => {
                let (from, otherwise) = word[1..].split_once('?').unwrap_or((&word[1..], ""));
                Self::Plain(path(from), otherwise.to_owned())
            }
        }
    }

    pub(super) fn of(&self, object: &Value, now: Timestamp) -> Value {
        match self {
            Self::Name => object["metadata"]["name"].clone(),
            Self::Age => age::since(&object["metadata"]["creationTimestamp"], now).into(),
            Self::Plain(path, otherwise) => match dig(object, path) {
                Value::String(value) if !value.is_empty() => value.clone().into(),
                value @ (Value::Number(_) | Value::Bool(_)) => value.to_string().into(),
                _ => otherwise.clone().into(),
            },
            Self::Number(path) => number(dig(object, path)).into(),
            Self::Flag(path) => dig(object, path).as_bool().unwrap_or_default().into(),
            Self::Count(path) => count(dig(object, path)).into(),
            Self::Made(make, path) => make(object, path, now),
        }
    }
}

fn path(dotted: &str) -> Path {
    dotted.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// `FUNCTION` or `FUNCTION.PATH`; functions may have a dot in their name.
fn made(word: &str) -> Cell {
    let known = |name: &str| MADE.iter().find(|(known, _)| *known == name).map(|(_, make)| *make);
    if let Some(make) = known(word) {
        return Cell::Made(make, Path::new());
    }
    let (name, rest) = word.split_once('.').unwrap_or((word, ""));
    let make = known(name).unwrap_or_else(|| panic!("columns.txt: @{word}"));
    Cell::Made(make, path(rest))
}

const MADE: [(&str, Made); 69] = [
    ("labels", |object, path, _| labels(dig(object, path)).into()),
    ("selector", |object, path, _| selector(dig(object, path)).into()),
    ("list", |object, path, _| items(dig(object, path)).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",").into()),
    ("modes", |object, path, _| storage::modes(dig(object, path)).into()),
    ("int", |object, path, _| dig(object, path).as_i64().map_or_else(|| "<none>".into(), Value::from)),
    ("since", |object, path, now| match dig(object, path) {
        Value::Null => "<none>".into(),
        moment => age::since(moment, now).into(),
    }),
    ("containers", |object, _, _| each(&workload::template(object)["containers"], "name").join(",").into()),
    ("images", |object, _, _| each(&workload::template(object)["containers"], "image").join(",").into()),
    ("ready", |object, _, _| {
        let wanted = object["spec"]["replicas"].as_i64().unwrap_or_default();
        format!("{}/{wanted}", number(&object["status"]["readyReplicas"])).into()
    }),
    ("suspend", |object, _, _| match object["spec"]["suspend"] {
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        _ => "<unset>".into(),
    }),
    ("data", |object, _, _| (count(&object["data"]) + count(&object["binaryData"])).into()),
    ("default", |object, _, _| storage::class_name(object).into()),
    ("controller", |object, _, _| workload::controller(object).into()),
    ("pod.ready", |object, _, now| pod::Summary::of(object, now).ready.into()),
    ("pod.status", |object, _, now| pod::Summary::of(object, now).reason.into()),
    ("pod.restarts", |object, _, now| pod::Summary::of(object, now).restarts.into()),
    ("pod.ip", |object, _, _| none(text(&object["status"]["podIPs"][0], "ip").to_owned()).into()),
    ("pod.gates", |object, _, _| pod::gates(object).into()),
    ("job.status", |object, _, _| workload::job_status(object).into()),
    ("job.completions", |object, _, _| workload::job_completions(object).into()),
    ("job.duration", |object, _, now| workload::job_duration(object, now).into()),
    ("service.ip", |object, _, _| none(object["spec"]["clusterIPs"][0].as_str().unwrap_or_default().to_owned()).into()),
    ("service.external", |object, _, _| network::external(object).into()),
    ("service.ports", |object, _, _| network::ports(object).into()),
    ("endpoints", |object, _, _| network::endpoints(object).into()),
    ("slice.ports", |object, _, _| network::slice_ports(object).into()),
    ("slice.endpoints", |object, _, _| network::slice_endpoints(object).into()),
    ("ingress.hosts", |object, _, _| network::hosts(object).into()),
    ("ingress.address", |object, _, _| network::balancer(object).into()),
    ("ingress.ports", |object, _, _| if count(&object["spec"]["tls"]) > 0 { "80, 443".into() } else { "80".into() }),
    ("ingress.parameters", |object, _, _| network::parameters(object).into()),
    ("parent", |object, _, _| network::parent(object).into()),
    ("node.status", |object, _, _| cluster::node_status(object).into()),
    ("node.roles", |object, _, _| cluster::node_roles(object).into()),
    ("node.internal", |object, _, _| cluster::node_address(object, "InternalIP").into()),
    ("node.external", |object, _, _| cluster::node_address(object, "ExternalIP").into()),
    ("volume.phase", |object, _, _| storage::phase(object).into()),
    ("volume.claim", |object, _, _| storage::claim(object).into()),
    ("volume.class", |object, _, _| storage::class(object).into()),
    ("claim.capacity", |object, _, _| storage::claim_capacity(object).into()),
    ("claim.modes", |object, _, _| storage::claim_modes(object).into()),
    ("driver.attach", |object, _, _| object["spec"]["attachRequired"].as_bool().unwrap_or(true).into()),
    ("driver.audiences", |object, _, _| storage::audiences(object).into()),
    ("driver.modes", |object, _, _| storage::driver_modes(object).into()),
    ("event.last", |object, _, now| cluster::event_last(object, now).into()),
    ("event.first", |object, _, now| cluster::event_first(object, now).into()),
    ("event.object", |object, _, _| cluster::event_object(object).into()),
    ("event.source", |object, _, _| cluster::event_source(object).into()),
    ("event.message", |object, _, _| text(object, "message").trim().into()),
    ("event.count", |object, _, _| cluster::event_count(object).into()),
    ("scaler.reference", |object, _, _| {
        let target = &object["spec"]["scaleTargetRef"];
        format!("{}/{}", text(target, "kind"), text(target, "name")).into()
    }),
    ("scaler.targets", |object, _, _| scaler::targets(object).into()),
    ("quota.request", |object, _, _| cluster::quota(object, cluster::Side::Request).into()),
    ("quota.limit", |object, _, _| cluster::quota(object, cluster::Side::Limit).into()),
    ("state", |object, _, _| cluster::claim_state(object).into()),
    ("csr.duration", |object, _, _| {
        object["spec"]["expirationSeconds"].as_i64().map_or_else(|| "<none>".to_owned(), age::human).into()
    }),
    ("csr.condition", |object, _, _| cluster::csr_condition(object).into()),
    ("param.kind", |object, _, _| cluster::param_kind(object).into()),
    ("param.ref", |object, _, _| cluster::param_ref(object).into()),
    ("binding.role", |object, _, _| {
        let role = &object["roleRef"];
        format!("{}/{}", text(role, "kind"), text(role, "name")).into()
    }),
    ("binding.users", |object, _, _| cluster::subjects(object, "User").into()),
    ("binding.groups", |object, _, _| cluster::subjects(object, "Group").into()),
    ("binding.accounts", |object, _, _| cluster::subjects(object, "ServiceAccount").into()),
    ("flow.missing", |object, _, _| cluster::dangling(object).into()),
    ("service.of", |object, _, _| cluster::api_service(object).into()),
    ("service.available", |object, _, _| cluster::available(object).into()),
    ("health.status", |object, _, _| cluster::health(object, "status").into()),
    ("health.message", |object, _, _| cluster::health(object, "message").into()),
    ("health.error", |object, _, _| cluster::health(object, "error").into()),
];

//! What is counted: every metric family, with kube-apiserver's name where it has one.
//!
//! A leaf: knows numbers and labels. Label values come from closed sets only (a verb, a result, a resource of the catalog); users,
//! addresses and paths never become labels.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use prometheus::process_collector::ProcessCollector;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder};

mod family;
mod request;

pub use request::{Labels, Ongoing, Requests, Scope, Series};

use family::Families;

/// The content type of [`Metrics::exposition`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All families of this process.
pub struct Metrics {
    registry: Registry,
    /// The families of the requests themselves.
    pub requests: Requests,
    refused: IntCounterVec,
    handshake_errors: IntCounter,
    connections: IntGauge,
    inflight: IntGaugeVec,
    authentication: [(IntCounter, Histogram); 3],
    authorization: [IntCounter; 2],
    certificate_expiration: Histogram,
    watch_events: IntCounterVec,
    stores: [StoreSeries; STORE_OPERATIONS.len()],
    storage_objects: IntGaugeVec,
    health: IntGaugeVec,
    health_total: IntCounterVec,
    view_lag: prometheus::Gauge,
    view_revision: IntGauge,
    ring_bytes: IntGaugeVec,
    cache_bytes: IntGauge,
    reloads: IntCounterVec,
    expiry: IntGaugeVec,
    audit_lost: IntCounter,
    panics: IntCounter,
    scrape: RwLock<Vec<Arc<Refresh>>>,
}

/// A number that only rises.
#[derive(Clone, Debug)]
pub struct Counter(IntCounter);

/// A number that rises and falls.
#[derive(Clone, Debug)]
pub struct Gauge(IntGauge);

/// How an authentication ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Somebody is known (the anonymous user included).
    Success,
    /// A credential was shown and is not good.
    Failure,
    /// It could not be judged.
    Error,
}

/// What authorization said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A permit was given.
    Allowed,
    /// It was refused.
    Denied,
}

/// The step of the pipeline that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Accepting and the handshake.
    Connection,
    /// The wire's own limits.
    Wire,
    /// Who asks.
    Identity,
    /// Rates.
    Rate,
    /// Whether they may.
    Policy,
    /// Whether there is room.
    Slot,
}

/// An operation of the log, in kube-apiserver's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum StoreOperation {
    Get,
    List,
    Create,
    Update,
    Delete,
    Compact,
    /// The linearizable read that finds the newest revision.
    Probe,
    Lease,
    /// A group of changes written to the disk.
    Batch,
}

type Refresh = dyn Fn(&Metrics) + Send + Sync;

struct StoreSeries {
    total: IntCounter,
    errors: IntCounter,
    duration: Histogram,
}

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// `more` more.
    pub fn add(&self, more: u64) {
        self.0.inc_by(more);
    }

    /// The number.
    pub fn value(&self) -> u64 {
        self.0.get()
    }
}

impl Gauge {
    /// The new number.
    pub fn set(&self, value: i64) {
        self.0.set(value);
    }

    /// One more.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// One less.
    pub fn dec(&self) {
        self.0.dec();
    }

    /// The number.
    pub fn value(&self) -> i64 {
        self.0.get()
    }
}

impl Metrics {
    /// Families at zero, those of the process included.
    pub fn new() -> Self {
        let registry = Registry::new();
        let families = Families(&registry);
        families.register(ProcessCollector::for_self());
        announce_build(&families);
        Self {
            requests: Requests::new(&families),
            refused: families.counters(
                "portcullis_refused_total",
                "Requests refused, by component, rule and step.",
                &["component", "rule", "step"],
            ),
            handshake_errors: families.counter(
                "apiserver_tls_handshake_errors_total",
                "[ALPHA] Number of requests dropped with 'TLS handshake error from' error",
            ),
            connections: families.gauge("portcullis_connections", "Open client connections."),
            inflight: families.gauges(
                "apiserver_current_inflight_requests",
                "[STABLE] Number of currently used inflight request limit of this apiserver per request kind.",
                &["request_kind"],
            ),
            authentication: authentication(&families),
            authorization: authorization(&families),
            certificate_expiration: families.histogram(
                "apiserver_client_certificate_expiration_seconds",
                "[ALPHA] Distribution of the remaining lifetime on the certificate used to authenticate a request.",
                CERTIFICATE_BUCKETS,
            ),
            watch_events: families.counters(
                "apiserver_watch_events_total",
                "[ALPHA] Number of events sent in watch clients",
                &["group", "resource", "version"],
            ),
            stores: stores(&families),
            storage_objects: families.gauges(
                "apiserver_storage_objects",
                "[STABLE] Number of stored objects at the time of last check split by kind.",
                &["resource"],
            ),
            health: families.gauges(
                "kubernetes_healthcheck",
                "[STABLE] This metric records the result of a single healthcheck.",
                &["name", "type"],
            ),
            health_total: families.counters(
                "kubernetes_healthchecks_total",
                "[STABLE] This metric records the results of all healthcheck.",
                &["name", "status", "type"],
            ),
            view_lag: families.fraction("portcullis_view_lag_seconds", "Seconds since the view was last proven fresh."),
            view_revision: families.gauge("portcullis_view_revision", "The newest revision the view has applied."),
            ring_bytes: families.gauges("portcullis_ring_bytes", "Bytes of recent events kept for watches.", &["resource"]),
            cache_bytes: families.gauge("portcullis_cache_bytes", "Bytes of derived forms kept."),
            reloads: families.counters(
                "portcullis_config_reloads_total",
                "Reloads of the configuration and its files.",
                &["result"],
            ),
            expiry: families.gauges(
                "portcullis_certificate_expiry_seconds",
                "When a certificate of this server ends, in seconds of the Unix epoch.",
                &["name"],
            ),
            audit_lost: families.counter("portcullis_access_lines_lost_total", "Access lines that found no room."),
            panics: families.counter("portcullis_panics_total", "Requests that ended in a panic."),
            scrape: RwLock::default(),
            registry,
        }
        .with_zeros()
    }

    /// What is rare stands at zero before it happens: a rule that waits for its rise would miss the first one.
    fn with_zeros(self) -> Self {
        for result in ["success", "failure"] {
            self.reloads.with_label_values(&[result]);
        }
        self
    }

    /// Calls `refresh` before each exposition: for gauges that are looked up rather than kept.
    pub fn before_exposition(&self, refresh: impl Fn(&Self) + Send + Sync + 'static) {
        self.scrape.write().push(Arc::new(refresh));
    }

    /// All families in Prometheus' text format.
    pub fn exposition(&self) -> String {
        let refreshes = self.scrape.read().clone();
        for refresh in refreshes {
            refresh(self);
        }
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }

    /// Counts a refusal. `component` and `rule` are names of the configuration, or empty.
    pub fn refused(&self, step: Step, component: &str, rule: &str) {
        self.refused.with_label_values(&[component, rule, step.name()]).inc();
    }

    /// Counts a failed handshake.
    pub fn handshake_failed(&self) {
        self.handshake_errors.inc();
    }

    /// Open connections.
    pub fn connections(&self) -> Gauge {
        Gauge(self.connections.clone())
    }

    /// Requests in flight: those that change something, and the others. Long-running ones are not among them.
    pub fn in_flight(&self, mutating: i64, read_only: i64) {
        self.inflight.with_label_values(&["mutating"]).set(mutating);
        self.inflight.with_label_values(&["readOnly"]).set(read_only);
    }

    /// Counts an authentication and how long it took.
    pub fn authenticated(&self, attempt: Attempt, took: Duration) {
        let (count, duration) = &self.authentication[attempt as usize];
        count.inc();
        duration.observe(took.as_secs_f64());
    }

    /// Counts a decision of authorization.
    pub fn authorized(&self, decision: Decision) {
        self.authorization[decision as usize].inc();
    }

    /// Notes how long the client certificate of a request still lives.
    pub fn client_certificate(&self, remaining: Duration) {
        self.certificate_expiration.observe(remaining.as_secs_f64());
    }

    /// The counter of the watch events of a resource of the catalog: look it up once a watch.
    pub fn watch_events(&self, group: &str, version: &str, resource: &str) -> Counter {
        Counter(self.watch_events.with_label_values(&[group, resource, version]))
    }

    /// Counts an operation of the log.
    pub fn stored(&self, operation: StoreOperation, took: Duration, good: bool) {
        let series = &self.stores[operation as usize];
        series.total.inc();
        series.duration.observe(took.as_secs_f64());
        if !good {
            series.errors.inc();
        }
    }

    /// How many objects of a resource (`pods`, `deployments.apps`) are stored.
    pub fn storage_objects(&self, resource: &str, count: i64) {
        self.storage_objects.with_label_values(&[resource]).set(count);
    }

    /// Notes the result of one health check of one endpoint (`livez`).
    pub fn health_checked(&self, name: &str, endpoint: &str, good: bool) {
        self.health.with_label_values(&[name, endpoint]).set(i64::from(good));
        let status = if good { "success" } else { "error" };
        self.health_total.with_label_values(&[name, status, endpoint]).inc();
    }

    /// How old the view may be, and what it has applied.
    pub fn view(&self, lag: Duration, revision: u64) {
        self.view_lag.set(lag.as_secs_f64());
        self.view_revision.set(i64::try_from(revision).unwrap_or(i64::MAX));
    }

    /// Bytes of events kept of a resource (`pods`, `deployments.apps`).
    pub fn ring_bytes(&self, resource: &str, bytes: usize) {
        self.ring_bytes.with_label_values(&[resource]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Bytes of derived forms.
    pub fn cache_bytes(&self, bytes: usize) {
        self.cache_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Counts a reload of configuration, certificates, keys or policy.
    pub fn reloaded(&self, good: bool) {
        self.reloads.with_label_values(&[if good { "success" } else { "failure" }]).inc();
    }

    /// When the certificate called `name` (a name of the configuration) ends, in seconds of the Unix epoch.
    pub fn certificate_expiry(&self, name: &str, not_after: i64) {
        self.expiry.with_label_values(&[name]).set(not_after);
    }

    /// The counter of access lines that were dropped because the sink is slower than the requests.
    pub fn access_lines_lost(&self) -> Counter {
        Counter(self.audit_lost.clone())
    }

    /// Counts a panic.
    pub fn panicked(&self) {
        self.panics.inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Wire => "wire",
            Self::Identity => "identity",
            Self::Rate => "rate",
            Self::Policy => "policy",
            Self::Slot => "slot",
        }
    }
}

fn authentication(families: &Families<'_>) -> [(IntCounter, Histogram); 3] {
    let attempts = families.counters("authentication_attempts", "[ALPHA] Counter of authenticated attempts.", &["result"]);
    let durations: HistogramVec = families.histograms(
        "authentication_duration_seconds",
        "[ALPHA] Authentication duration in seconds broken out by result.",
        &["result"],
        AUTHENTICATION_BUCKETS,
    );
    ["success", "failure", "error"].map(|result| (attempts.with_label_values(&[result]), durations.with_label_values(&[result])))
}

fn authorization(families: &Families<'_>) -> [IntCounter; 2] {
    let attempts = families.counters(
        "authorization_attempts_total",
        "[ALPHA] Counter of authorization attempts broken down by result. It can be either 'allowed', 'denied', 'no-opinion' or 'error'.",
        &["result"],
    );
    ["allowed", "denied"].map(|result| attempts.with_label_values(&[result]))
}

fn stores(families: &Families<'_>) -> [StoreSeries; STORE_OPERATIONS.len()] {
    let labels = &["operation", "group", "resource"];
    let total =
        families.counters("etcd_requests_total", "[ALPHA] Etcd request counts for each operation and object type.", labels);
    let errors = families.counters(
        "etcd_request_errors_total",
        "[ALPHA] Etcd failed request counts for each operation and object type.",
        labels,
    );
    let durations = families.histograms(
        "etcd_request_duration_seconds",
        "[ALPHA] Etcd request latency in seconds for each operation and object type.",
        labels,
        DURATION_BUCKETS,
    );
    STORE_OPERATIONS.map(|operation| StoreSeries {
        total: total.with_label_values(&[operation, "", ""]),
        errors: errors.with_label_values(&[operation, "", ""]),
        duration: durations.with_label_values(&[operation, "", ""]),
    })
}

fn announce_build(families: &Families<'_>) {
    let labels =
        &["build_date", "compiler", "git_commit", "git_tree_state", "git_version", "go_version", "major", "minor", "platform"];
    let info = families.gauges(
        "kubernetes_build_info",
        "[ALPHA] A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, \
         Go version, and compiler from which Kubernetes was built, and platform on which it is running.",
        labels,
    );
    let version = concat!("v", env!("CARGO_PKG_VERSION"), "+portcullis");
    let platform = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
    info.with_label_values(&["", "rustc", "", "", version, "", "1", "36", platform.as_str()]).set(1);
}

const STORE_OPERATIONS: [&str; 9] = ["get", "list", "create", "update", "delete", "compact", "probe", "lease", "batch"];

const DURATION_BUCKETS: &[f64] = &[
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
];

const AUTHENTICATION_BUCKETS: &[f64] =
    &[0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384];

const CERTIFICATE_BUCKETS: &[f64] = &[
    0.0,
    1800.0,
    3600.0,
    7200.0,
    21600.0,
    43200.0,
    86400.0,
    172_800.0,
    345_600.0,
    604_800.0,
    2_592_000.0,
    7_776_000.0,
    15_552_000.0,
    31_104_000.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_exposed_under_its_name() {
        let metrics = Metrics::new();
        metrics.before_exposition(|metrics| metrics.view(Duration::from_millis(1500), 7));
        metrics.refused(Step::Policy, "kubelet", "no-secrets");
        metrics.authenticated(Attempt::Failure, Duration::from_micros(3));
        metrics.authorized(Decision::Denied);
        metrics.client_certificate(Duration::from_secs(7000));
        metrics.watch_events("apps", "v1", "deployments").add(3);
        metrics.stored(StoreOperation::Probe, Duration::from_millis(1), false);
        metrics.storage_objects("pods", 2);
        metrics.health_checked("etcd", "readyz", false);
        metrics.ring_bytes("pods", 10);
        metrics.reloaded(false);
        metrics.certificate_expiry("serving", 12);
        metrics.in_flight(1, 2);
        let text = metrics.exposition();
        for line in [
            r#"portcullis_refused_total{component="kubelet",rule="no-secrets",step="policy"} 1"#,
            r#"authentication_attempts{result="failure"} 1"#,
            r#"authentication_duration_seconds_count{result="failure"} 1"#,
            r#"authorization_attempts_total{result="denied"} 1"#,
            r#"apiserver_client_certificate_expiration_seconds_bucket{le="7200"} 1"#,
            r#"apiserver_watch_events_total{group="apps",resource="deployments",version="v1"} 3"#,
            r#"etcd_request_errors_total{group="",operation="probe",resource=""} 1"#,
            r#"apiserver_storage_objects{resource="pods"} 2"#,
            r#"kubernetes_healthcheck{name="etcd",type="readyz"} 0"#,
            r#"kubernetes_healthchecks_total{name="etcd",status="error",type="readyz"} 1"#,
            r#"portcullis_ring_bytes{resource="pods"} 10"#,
            r#"portcullis_config_reloads_total{result="failure"} 1"#,
            r#"portcullis_certificate_expiry_seconds{name="serving"} 12"#,
            r#"apiserver_current_inflight_requests{request_kind="readOnly"} 2"#,
            "portcullis_view_lag_seconds 1.5",
            "portcullis_view_revision 7",
            "apiserver_tls_handshake_errors_total 0",
            "process_open_fds",
            "kubernetes_build_info",
        ] {
            assert!(text.contains(line), "{line} is missing from\n{text}");
        }
    }
}

//! The families of the requests, with the children of every (resource, verb) kept at hand: a request costs a look-up and three additions.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hashbrown::{Equivalent, HashMap};
use parking_lot::Mutex;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use crate::live::Live;

use super::DURATION_BUCKETS;
use super::family::Families;

/// What a request is counted as, in kube-apiserver's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Labels<'a> {
    /// `GET`, `LIST`, `WATCH`, `POST`, `PUT`, `PATCH`, `APPLY`, `DELETE`, `DELETECOLLECTION`, `CONNECT` or `other`.
    pub verb: &'static str,
    /// The API group; empty for the core group and for paths.
    pub group: &'a str,
    /// The version, or empty.
    pub version: &'a str,
    /// The plural, or empty.
    pub resource: &'a str,
    /// The subresource, or the path where there is no resource.
    pub subresource: &'a str,
    /// How much the request names.
    pub scope: Scope,
    /// ``, `All` or `invalid`.
    pub dry_run: &'static str,
}

/// How much a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// No resource at all.
    None,
    /// One object.
    Resource,
    /// A namespace.
    Namespace,
    /// Everything.
    Cluster,
}

/// The families of the requests.
pub struct Requests {
    total: IntCounterVec,
    duration: HistogramVec,
    sizes: HistogramVec,
    long: IntGaugeVec,
    series: Live<Map>,
    // Growing the map is copying it: one at a time.
    growing: Mutex<()>,
}

/// The children of one set of labels.
pub struct Series {
    key: Key,
    total: IntCounterVec,
    codes: [OnceLock<IntCounter>; CODES.len()],
    duration: Histogram,
    sizes: Option<Histogram>,
    long: IntGauge,
}

/// Counts a long-running request for as long as it is kept.
#[derive(Debug)]
pub struct Ongoing(IntGauge);

type Map = HashMap<Key, Arc<Series>, foldhash::fast::RandomState>;

#[derive(Clone, PartialEq, Eq)]
struct Key {
    verb: &'static str,
    group: Box<str>,
    version: Box<str>,
    resource: Box<str>,
    subresource: Box<str>,
    scope: Scope,
    dry_run: &'static str,
}

impl Scope {
    fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Resource => "resource",
            Self::Namespace => "namespace",
            Self::Cluster => "cluster",
        }
    }
}

impl Requests {
    pub(super) fn new(families: &Families<'_>) -> Self {
        Self {
            total: families.counters(
                "apiserver_request_total",
                "[STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, \
                 component, and HTTP response code.",
                &["verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component", "code"],
            ),
            duration: families.histograms(
                "apiserver_request_duration_seconds",
                "[STABLE] Response latency distribution in seconds for each verb, dry run value, group, version, resource, \
                 subresource, scope and component.",
                &["verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component"],
                DURATION_BUCKETS,
            ),
            sizes: families.histograms(
                "apiserver_response_sizes",
                "[STABLE] Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component.",
                &["verb", "group", "version", "resource", "subresource", "scope", "component"],
                SIZE_BUCKETS,
            ),
            long: families.gauges(
                "apiserver_longrunning_requests",
                "[STABLE] Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and \
                 component. Not all requests are tracked this way.",
                &["verb", "group", "version", "resource", "subresource", "scope", "component"],
            ),
            series: Live::default(),
            growing: Mutex::new(()),
        }
    }

    /// The children for these labels. `known` says whether the catalog has the resource (or we the path); what is unknown is counted
    /// together as `other`. It is asked once for each set of labels that is known.
    pub fn series(&self, labels: &Labels<'_>, known: impl FnOnce() -> bool) -> Arc<Series> {
        let found = self.series.peek(|map| map.get(labels).cloned());
        found.unwrap_or_else(|| if known() { self.add(labels) } else { self.add(&labels.other()) })
    }

    fn add(&self, labels: &Labels<'_>) -> Arc<Series> {
        let _growing = self.growing.lock();
        let map = self.series.load();
        if let Some(series) = map.get(labels) {
            return series.clone();
        }
        let series = Arc::new(self.make(labels));
        if map.len() < MAX_SERIES {
            let mut grown = Map::clone(&map);
            grown.insert(Key::from(labels), series.clone());
            self.series.swap(grown);
        }
        series
    }

    fn make(&self, labels: &Labels<'_>) -> Series {
        let Labels { verb, group, version, resource, subresource, scope, dry_run } = *labels;
        let common = [verb, group, version, resource, subresource, scope.name(), COMPONENT];
        let sized = matches!(verb, "GET" | "LIST");
        Series {
            key: Key::from(labels),
            total: self.total.clone(),
            codes: [const { OnceLock::new() }; CODES.len()],
            duration: self.duration.with_label_values(&[
                verb,
                dry_run,
                group,
                version,
                resource,
                subresource,
                scope.name(),
                COMPONENT,
            ]),
            sizes: sized.then(|| self.sizes.with_label_values(&common)),
            long: self.long.with_label_values(&common),
        }
    }
}

impl Series {
    /// Counts a request that has ended: its code, its whole duration and the bytes of its body.
    pub fn ended(&self, code: u16, took: Duration, bytes: u64) {
        match CODES.iter().position(|known| *known == code) {
            Some(place) => self.codes[place].get_or_init(|| self.counter(code)).inc(),
            None => self.counter(code).inc(),
        }
        self.duration.observe(took.as_secs_f64());
        if let Some(sizes) = &self.sizes {
            // Bytes are far below 2^52.
            #[allow(clippy::cast_precision_loss)]
            sizes.observe(bytes as f64);
        }
    }

    /// Counts a long-running request until the answer is dropped.
    pub fn ongoing(&self) -> Ongoing {
        self.long.inc();
        Ongoing(self.long.clone())
    }

    fn counter(&self, code: u16) -> IntCounter {
        let Key { verb, group, version, resource, subresource, scope, dry_run } = &self.key;
        let mut decimal = itoa::Buffer::new();
        self.total.with_label_values(&[
            *verb,
            *dry_run,
            &**group,
            &**version,
            &**resource,
            &**subresource,
            scope.name(),
            COMPONENT,
            decimal.format(code),
        ])
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Labels<'_> {
    fn other(&self) -> Labels<'static> {
        let resource = if self.resource.is_empty() { "" } else { "other" };
        let subresource = if self.resource.is_empty() { "other" } else { "" };
        Labels { verb: self.verb, group: "", version: "", resource, subresource, scope: self.scope, dry_run: self.dry_run }
    }
}

impl From<&Labels<'_>> for Key {
    fn from(labels: &Labels<'_>) -> Self {
        Self {
            verb: labels.verb,
            group: labels.group.into(),
            version: labels.version.into(),
            resource: labels.resource.into(),
            subresource: labels.subresource.into(),
            scope: labels.scope,
            dry_run: labels.dry_run,
        }
    }
}

impl Key {
    fn labels(&self) -> Labels<'_> {
        Labels {
            verb: self.verb,
            group: &self.group,
            version: &self.version,
            resource: &self.resource,
            subresource: &self.subresource,
            scope: self.scope,
            dry_run: self.dry_run,
        }
    }
}

// The hash of a key is the hash of its labels, so that labels find it without being copied.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.labels().hash(state);
    }
}

impl Equivalent<Key> for Labels<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.labels()
    }
}

const COMPONENT: &str = "apiserver";

// The labels of the catalog multiply to far less; beyond this number children are looked up by name each time.
const MAX_SERIES: usize = 50_000;

const SIZE_BUCKETS: &[f64] = &[1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

const CODES: [u16; 24] =
    [200, 201, 404, 409, 403, 401, 101, 202, 400, 405, 406, 410, 413, 414, 415, 421, 422, 429, 499, 500, 501, 502, 503, 504];

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    fn pods(verb: &'static str) -> Labels<'static> {
        Labels { verb, group: "", version: "v1", resource: "pods", subresource: "", scope: Scope::Namespace, dry_run: "" }
    }

    #[test]
    fn a_request_is_counted_with_code_duration_and_size() {
        let metrics = Metrics::new();
        let series = metrics.requests.series(&pods("LIST"), || true);
        series.ended(200, Duration::from_millis(30), 2_000);
        metrics.requests.series(&pods("LIST"), || unreachable!("known already")).ended(418, Duration::ZERO, 0);
        let text = metrics.exposition();
        let labels = r#"group="",resource="pods",scope="namespace",subresource="",verb="LIST",version="v1""#;
        for line in [
            format!(r#"apiserver_request_total{{code="200",component="apiserver",dry_run="",{labels}}} 1"#),
            format!(r#"apiserver_request_total{{code="418",component="apiserver",dry_run="",{labels}}} 1"#),
            format!(r#"apiserver_request_duration_seconds_bucket{{component="apiserver",dry_run="",{labels},le="0.05"}} 2"#),
            format!(r#"apiserver_response_sizes_bucket{{component="apiserver",{labels},le="10000"}} 2"#),
        ] {
            assert!(text.contains(&line), "{line} is missing from\n{text}");
        }
    }

    #[test]
    fn unknown_resources_share_one_child() {
        let metrics = Metrics::new();
        for resource in ["a", "b", "c"] {
            let labels = Labels { group: "evil.example", resource, ..pods("GET") };
            metrics.requests.series(&labels, || false).ended(404, Duration::ZERO, 0);
        }
        let text = metrics.exposition();
        assert!(!text.contains("evil"), "{text}");
        let lines = text.lines().filter(|line| line.starts_with("apiserver_request_total")).collect::<Vec<_>>();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(r#"resource="other""#) && lines[0].ends_with(" 3"), "{lines:?}");
    }

    #[test]
    fn long_running_requests_are_counted_while_they_last() {
        let metrics = Metrics::new();
        let series = metrics.requests.series(&pods("WATCH"), || true);
        let two = [series.ongoing(), series.ongoing()];
        assert_eq!(series.long.get(), 2);
        drop(two);
        assert_eq!(series.long.get(), 0);
    }
}

//! PodTopologyLabels: where a node stands is told to its pods.

use serde_json::{Map, Value};

use super::{Operation, Review};
use crate::api::Api;

/// A new pod that has a node already.
pub(super) fn admit(api: &Api, review: &Review<'_>, pod: &mut Value) {
    if !review.is("", "pods", Operation::Create) {
        return;
    }
    let Some(node) = pod["spec"]["nodeName"].as_str().filter(|node| !node.is_empty()) else { return };
    for (key, value) in of(api, node) {
        pod["metadata"]["labels"][key] = value;
    }
}

/// The labels of a node that its pods get.
pub(in crate::api) fn of(api: &Api, node: &str) -> Map<String, Value> {
    let node = api.catalog.find("", "v1", "nodes").and_then(|kind| api.seen(kind, "", node));
    let told = LABELS.iter().filter_map(|key| Some(((*key).to_owned(), Value::from(node.as_ref()?.label(key)?))));
    told.collect()
}

const LABELS: [&str; 2] = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

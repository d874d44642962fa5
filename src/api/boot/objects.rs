//! The objects themselves.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{Duty, Settings};
use crate::api::catalog::Catalog;
use crate::api::kinds::{self, Range};
use crate::api::meta;

/// What is kept for as long as the server runs.
pub(super) fn kept(catalog: &Catalog, settings: &Settings) -> Vec<(Duty, Value)> {
    let range = Range(settings.service_range);
    let made = NAMESPACES.into_iter().map(namespace);
    let made = made.chain([service_cidr(settings), ip_address(range.first()), service(range.first(), settings.port), tracking()]);
    let made = made.chain(api_services(catalog)).map(|object| (Duty::Make, object));
    made.chain(flow_control().map(|object| (Duty::Match, object))).collect()
}

/// What is looked for at the start only.
pub(super) fn once(settings: &Settings) -> Vec<Value> {
    let classes = PRIORITIES.iter().map(|(name, value, description)| {
        json!({"kind": "PriorityClass", "apiVersion": "scheduling.k8s.io/v1", "metadata": {"name": name}, "value": value,
            "description": description, "preemptionPolicy": "PreemptLowerPriority"})
    });
    classes.chain(settings.extra.iter().cloned()).collect()
}

/// The service by which pods reach the server.
fn service(address: IpAddr, port: u16) -> Value {
    json!({"kind": "Service", "apiVersion": "v1",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"clusterIP": address.to_string(), "clusterIPs": [address.to_string()], "sessionAffinity": "None", "type": "ClusterIP",
            "internalTrafficPolicy": "Cluster", "ipFamilies": [family(address)], "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]},
        "status": {"loadBalancer": {}}})
}

/// The address of that service, taken.
fn ip_address(address: IpAddr) -> Value {
    json!({"kind": "IPAddress", "apiVersion": "networking.k8s.io/v1",
        "metadata": {"name": address.to_string(), "labels": {"ipaddress.kubernetes.io/ip-family": family(address),
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}},
        "spec": {"parentRef": {"group": "", "resource": "services", "namespace": "default", "name": "kubernetes"}}})
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

fn namespace(name: &str) -> Value {
    json!({"kind": "Namespace", "apiVersion": "v1",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
}

/// Since when the use of old tokens is noted.
fn tracking() -> Value {
    let today = meta::now();
    let name = "kube-apiserver-legacy-service-account-token-tracking";
    json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "namespace": "kube-system"},
        "data": {"since": today.split('T').next().unwrap_or("")}})
}

fn service_cidr(settings: &Settings) -> Value {
    json!({"kind": "ServiceCIDR", "apiVersion": "networking.k8s.io/v1", "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [settings.service_range.trunc().to_string()]},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "", "lastTransitionTime": meta::now(),
            "message": "Kubernetes default Service CIDR is ready"}]}})
}

/// One APIService for every built-in group version but its own.
fn api_services(catalog: &Catalog) -> Vec<Value> {
    let mut objects = Vec::new();
    for group in catalog.groups().iter().filter(|group| group.name != "apiregistration.k8s.io") {
        for (version, priority) in &group.versions {
            let mut spec = json!({"version": version, "groupPriorityMinimum": group.priority, "versionPriority": priority});
            if !group.name.is_empty() {
                spec["group"] = Value::from(group.name.as_str());
            }
            objects.push(json!({"kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1",
                "metadata": {"name": format!("{version}.{}", group.name),
                    "labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"}},
                "spec": spec,
                "status": {"conditions": [{"type": "Available", "status": "True", "lastTransitionTime": meta::now(),
                    "reason": "Local", "message": "Local APIServices are always available"}]}}));
        }
    }
    objects
}

/// The priority levels and flow schemas that clients expect to find; nothing here enforces them.
fn flow_control() -> impl Iterator<Item = Value> {
    let objects: Vec<Value> = serde_json::from_str(include_str!("flow.json")).unwrap_or_default();
    objects.into_iter().map(|mut object| {
        object["apiVersion"] = Value::from("flowcontrol.apiserver.k8s.io/v1");
        object["metadata"]["annotations"] = json!({"apf.kubernetes.io/autoupdate-spec": "true"});
        object["status"] = match object["spec"]["priorityLevelConfiguration"]["name"].as_str() {
            Some(level) => json!({"conditions": [kinds::dangling(level)]}),
            None => json!({}),
        };
        object
    })
}

const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

const PRIORITIES: [(&str, i64, &str); 2] = [
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    ("system-node-critical", 2_000_001_000, "Used for system critical pods that must not be moved from their current node."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flow_objects_are_all_there() {
        let objects: Vec<Value> = flow_control().collect();
        let of = |kind: &str| objects.iter().filter(|object| object["kind"] == kind).count();
        assert_eq!((of("PriorityLevelConfiguration"), of("FlowSchema")), (8, 11));
    }
}

//! The objects themselves.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::Settings;
use crate::api::catalog::Catalog;
use crate::api::meta;

/// Everything at the cluster's scope but the roles.
pub(super) fn cluster(catalog: &Catalog, settings: &Settings) -> Vec<Value> {
    let mut objects: Vec<Value> = NAMESPACES.into_iter().map(namespace).collect();
    objects.extend(PRIORITIES.iter().map(|(name, value, description)| {
        json!({"kind": "PriorityClass", "apiVersion": "scheduling.k8s.io/v1", "metadata": {"name": name}, "value": value,
            "description": description, "preemptionPolicy": "PreemptLowerPriority"})
    }));
    objects.push(service_cidr(settings));
    objects.extend(api_services(catalog));
    objects.extend(flow_control());
    objects
}

/// The config maps of `kube-system`.
pub(super) fn namespaced(settings: &Settings) -> Vec<Value> {
    let mut objects = Vec::new();
    if !settings.authentication.is_empty() {
        objects.push(config_map("extension-apiserver-authentication", json!(settings.authentication)));
    }
    let today = meta::now();
    let since = today.split('T').next().unwrap_or("");
    objects.push(config_map("kube-apiserver-legacy-service-account-token-tracking", json!({"since": since})));
    objects
}

/// The service by which pods reach the server.
pub(super) fn service(address: IpAddr, port: u16) -> Value {
    json!({"kind": "Service", "apiVersion": "v1",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"clusterIP": address.to_string(), "clusterIPs": [address.to_string()], "sessionAffinity": "None", "type": "ClusterIP",
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]}})
}

/// Where that service leads, in both forms.
pub(super) fn endpoints(address: IpAddr, port: u16) -> Vec<Value> {
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let ports = json!([{"name": "https", "port": port, "protocol": "TCP"}]);
    vec![
        json!({"kind": "Endpoints", "apiVersion": "v1",
            "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
            "subsets": [{"addresses": [{"ip": address.to_string()}], "ports": ports}]}),
        json!({"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
            "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": family, "endpoints": [{"addresses": [address.to_string()], "conditions": {"ready": true}}], "ports": ports}),
    ]
}

fn namespace(name: &str) -> Value {
    json!({"kind": "Namespace", "apiVersion": "v1",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
}

fn config_map(name: &str, data: Value) -> Value {
    json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "namespace": "kube-system"}, "data": data})
}

fn service_cidr(settings: &Settings) -> Value {
    json!({"kind": "ServiceCIDR", "apiVersion": "networking.k8s.io/v1", "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [settings.service_range.trunc().to_string()]},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "", "lastTransitionTime": meta::now(),
            "message": "Kubernetes default Service CIDR is ready"}]}})
}

/// One APIService for every built-in group version.
fn api_services(catalog: &Catalog) -> Vec<Value> {
    let mut objects = Vec::new();
    for group in catalog.groups() {
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
fn flow_control() -> Vec<Value> {
    let objects: Vec<Value> = serde_json::from_str(include_str!("flow.json")).unwrap_or_default();
    objects
        .into_iter()
        .map(|mut object| {
            object["apiVersion"] = Value::from("flowcontrol.apiserver.k8s.io/v1");
            object["metadata"]["annotations"] = json!({"apf.kubernetes.io/autoupdate-spec": "true"});
            object
        })
        .collect()
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
        let objects = flow_control();
        let of = |kind: &str| objects.iter().filter(|object| object["kind"] == kind).count();
        assert_eq!((of("PriorityLevelConfiguration"), of("FlowSchema")), (8, 11));
    }
}

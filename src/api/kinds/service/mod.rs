//! Services: what is filled in, what is refused, what does not change (contract 8.9).

mod address;
mod change;
mod check;
mod family;
mod port;
mod range;

use serde_json::{Value, json};

use super::field::{is_empty, is_zero};
use crate::api::Api;
use crate::api::error::{FieldError, Subject, invalid};
use crate::api::meta;
use crate::api::registry::Aim;
use crate::status::Status;

pub(crate) use address::Range;
pub(super) use change::{check_change, warn};
pub(super) use check::{check, check_host, check_status, ingress_addresses};
pub(crate) use range::NodePorts;

pub(super) fn prepare_create(new: &mut Value) {
    new["status"] = json!({"loadBalancer": {}});
    let own = new["spec"]["clusterIP"].clone();
    if !is_empty(&own) && is_empty(&new["spec"]["clusterIPs"]) {
        new["spec"]["clusterIPs"] = json!([own]);
    }
}

/// What a PUT leaves out stays as it was; what no longer applies goes.
pub(super) fn prepare_update(new: &mut Value, old: &Value) {
    patch_addresses(new, old);
    port::keep(new, old);
    normalise(new, old);
    drop_stale(new, old);
}

/// Takes the addresses and ports that the service asks for, or free ones.
pub(super) async fn allocate(api: &Api, aim: &Aim<'_>, new: &mut Value, old: Option<&Value>) -> Result<(), Status> {
    if has_address(&new["spec"]) {
        address::allocate(api, aim, new, old).await?;
    }
    if let Err(refusal) = port::allocate(api, aim, new, old).await {
        address::release(api, aim, new, old).await;
        return Err(refusal);
    }
    Ok(())
}

pub(super) async fn release(api: &Api, aim: &Aim<'_>, gone: &Value, kept: Option<&Value>) {
    address::release(api, aim, gone, kept).await;
    port::release(api, aim, gone, kept).await;
}

/// Makes right what a crash left behind: addresses and node ports are those of the services that there are.
///
/// # Errors
/// What the store says.
pub(crate) async fn repair(api: &Api) -> Result<(), Status> {
    let Some(storage) = api.catalog.find("", "v1", "services").and_then(|kind| kind.storage.as_ref()) else { return Ok(()) };
    let services: Vec<Value> = api.store.view().root(storage.space).items.values().map(|service| service.value()).collect();
    address::repair(api, &services).await?;
    range::repair(api).await
}

/// Whether a service of this kind has an address of its own, or is headless.
fn has_address(spec: &Value) -> bool {
    spec["type"] != "ExternalName"
}

/// Whether it is reached from outside.
fn is_exposed(spec: &Value) -> bool {
    match spec["type"].as_str().unwrap_or("") {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !is_empty(&spec["externalIPs"]),
        _ => false,
    }
}

/// Whether load balancers ask nodes if they have pods of the service.
fn needs_health_check(spec: &Value) -> bool {
    spec["type"] == "LoadBalancer" && spec["externalTrafficPolicy"] == "Local"
}

/// Addresses that are left out stay.
fn patch_addresses(new: &mut Value, old: &Value) {
    if !has_address(&new["spec"]) || !has_address(&old["spec"]) {
        return;
    }
    if is_empty(&new["spec"]["clusterIP"]) {
        new["spec"]["clusterIP"] = old["spec"]["clusterIP"].clone();
    }
    if is_empty(&new["spec"]["clusterIPs"]) && new["spec"]["clusterIP"] == old["spec"]["clusterIP"] {
        new["spec"]["clusterIPs"] = old["spec"]["clusterIPs"].clone();
    }
}

/// A client that knows the single address only changes the list with it.
fn normalise(new: &mut Value, old: &Value) {
    let own = new["spec"]["clusterIP"].clone();
    if own == old["spec"]["clusterIP"] || new["spec"]["clusterIPs"] != old["spec"]["clusterIPs"] {
        if !is_empty(&own) && is_empty(&new["spec"]["clusterIPs"]) {
            new["spec"]["clusterIPs"] = json!([own]);
        }
        return;
    }
    new["spec"]["clusterIPs"] = if is_empty(&own) { Value::Null } else { json!([own]) };
}

/// What was meant for the kind that the service was, and was not changed, goes.
fn drop_stale(new: &mut Value, old: &Value) {
    let (own, stored) = (new["spec"].clone(), &old["spec"]);
    let lost = |does: fn(&Value) -> bool| does(stored) && !does(&own);
    let node_ports = |spec: &Value| matches!(spec["type"].as_str(), Some("NodePort" | "LoadBalancer"));
    let balances = |spec: &Value| spec["type"] == "LoadBalancer";
    let groups: [(bool, &[&str]); 5] = [
        (
            lost(has_address) && own["clusterIPs"] == stored["clusterIPs"],
            &["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"],
        ),
        (lost(needs_health_check), &["healthCheckNodePort"]),
        (lost(balances), &["allocateLoadBalancerNodePorts", "loadBalancerClass"]),
        (lost(is_exposed), &["externalTrafficPolicy"]),
        (lost(has_address), &["internalTrafficPolicy"]),
    ];
    let Some(spec) = new["spec"].as_object_mut() else { return };
    for (applies, members) in groups {
        for member in members.iter().filter(|member| applies && own[**member] == stored[**member]) {
            spec.remove(*member);
        }
    }
    let same = |at: usize| own["ports"][at]["nodePort"] == stored["ports"][at]["nodePort"];
    let count = own["ports"].as_array().map_or(0, Vec::len);
    if lost(node_ports) && stored["ports"].as_array().map_or(0, Vec::len) == count && (0..count).all(same) {
        for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
            if port.get("nodePort").is_some_and(|port| !is_zero(port)) {
                port.remove("nodePort");
            }
        }
    }
}

fn refuse(new: &Value, fault: FieldError) -> Status {
    refuse_all(new, &[fault])
}

fn refuse_all(new: &Value, faults: &[FieldError]) -> Status {
    invalid(Subject { group: "", what: "Service", name: meta::text(new, "name") }, faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stays() {
        let old = json!({"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"]}});
        let mut same = json!({"spec": {"type": "ClusterIP"}});
        prepare_update(&mut same, &old);
        assert_eq!(same["spec"]["clusterIPs"], json!(["10.0.0.9"]));
        let mut other = old.clone();
        other["spec"]["clusterIP"] = json!("10.0.0.8");
        prepare_update(&mut other, &old);
        assert_eq!(other["spec"]["clusterIPs"], json!(["10.0.0.8"]));
    }

    #[test]
    fn what_no_longer_applies_goes() {
        let old = json!({"spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"], "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "allocateLoadBalancerNodePorts": true, "externalTrafficPolicy": "Local", "healthCheckNodePort": 30001,
            "internalTrafficPolicy": "Cluster", "ports": [{"port": 80, "nodePort": 30000}]}});
        let mut plain = old.clone();
        plain["spec"]["type"] = json!("ClusterIP");
        prepare_update(&mut plain, &old);
        assert_eq!(
            plain["spec"],
            json!({"type": "ClusterIP", "clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"], "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster", "ports": [{"port": 80}]})
        );
        let mut named = old.clone();
        named["spec"]["type"] = json!("ExternalName");
        prepare_update(&mut named, &old);
        assert_eq!(named["spec"], json!({"type": "ExternalName", "ports": [{"port": 80}]}));
    }
}

//! Services: what is filled in, what is refused, what does not change (contract 8.9).

mod address;
mod port;

use serde_json::{Value, json};

use super::field::{is_empty, items, one_of};
use crate::api::Api;
use crate::api::error::{FieldError, Subject, invalid};
use crate::api::meta::{self, name};
use crate::api::registry::Aim;
use crate::status::Status;

pub(crate) use address::Range;

pub(super) fn prepare_create(new: &mut Value) {
    new["status"] = json!({"loadBalancer": {}});
    normalise(new, None);
}

/// What a PUT leaves out stays as it was.
pub(super) fn prepare_update(new: &mut Value, old: &Value) {
    normalise(new, Some(old));
    if !has_address(&new["spec"]) || !has_address(&old["spec"]) {
        return;
    }
    for member in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if is_empty(&new["spec"][member]) && !old["spec"][member].is_null() {
            new["spec"][member] = old["spec"][member].clone();
        }
    }
    port::keep(new, old);
}

pub(super) fn check(new: &Value, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    one_of(&spec["type"], "spec.type", &kinds, errors);
    one_of(&spec["sessionAffinity"], "spec.sessionAffinity", &["ClientIP", "None"], errors);
    let external = spec["type"] == "ExternalName";
    if is_empty(&spec["ports"]) && !external && spec["clusterIP"] != "None" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    if external {
        match spec["externalName"].as_str().unwrap_or("") {
            "" => errors.push(FieldError::required("spec.externalName", "")),
            host => {
                let faults = name::subdomain(host.trim_end_matches('.'));
                errors.extend(faults.iter().map(|fault| FieldError::invalid_text("spec.externalName", host, fault)));
            }
        }
    }
    meta::check_labels(&spec["selector"], "spec.selector", errors);
    let several = spec["ports"].as_array().is_some_and(|ports| ports.len() > 1);
    let mut names: Vec<&Value> = Vec::new();
    for (path, item) in items(&spec["ports"], "spec.ports") {
        port::check(item, &path, several, errors);
        if !is_empty(&item["name"]) {
            if names.contains(&&item["name"]) {
                errors.push(FieldError::duplicate(format!("{path}.name"), &item["name"]));
            }
            names.push(&item["name"]);
        }
    }
}

pub(super) fn check_change(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if !has_address(&new["spec"]) || !has_address(&old["spec"]) {
        return;
    }
    let (own, stored) = (&new["spec"]["clusterIPs"], &old["spec"]["clusterIPs"]);
    if !is_empty(&stored[0]) && own[0] != stored[0] {
        errors.push(FieldError::invalid("spec.clusterIPs[0]", own, "may not change once set"));
    }
}

/// Takes the addresses and ports that the service asks for, or free ones.
pub(super) async fn allocate(api: &Api, aim: &Aim<'_>, new: &mut Value, old: Option<&Value>) -> Result<(), Status> {
    let known = old.is_some_and(|old| has_address(&old["spec"]) && !is_empty(&old["spec"]["clusterIP"]));
    if has_address(&new["spec"]) && !known {
        address::allocate(api, aim, new).await?;
    }
    if let Err(refusal) = port::allocate(api, aim, new, old).await {
        release(api, aim, new, old).await;
        return Err(refusal);
    }
    Ok(())
}

pub(super) async fn release(api: &Api, aim: &Aim<'_>, gone: &Value, kept: Option<&Value>) {
    address::release(api, gone, kept).await;
    port::release(api, aim, gone, kept).await;
}

/// Whether a service of this kind has an address of its own, or is headless.
fn has_address(spec: &Value) -> bool {
    spec["type"] != "ExternalName"
}

/// The singular and the plural form of the address say the same.
fn normalise(new: &mut Value, old: Option<&Value>) {
    let spec = &mut new["spec"];
    if spec["type"] == "ExternalName" {
        if let Some(members) = spec.as_object_mut() {
            for member in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
                members.remove(member);
            }
        }
        return;
    }
    let own = spec["clusterIP"].clone();
    let changed = old.is_none_or(|old| old["spec"]["clusterIP"] != own);
    if is_empty(&own) || !changed {
        return;
    }
    let first = spec["clusterIPs"][0].clone();
    let stale = old.is_some_and(|old| old["spec"]["clusterIPs"] == spec["clusterIPs"]);
    if is_empty(&first) || stale {
        spec["clusterIPs"] = json!([own]);
    }
}

fn refuse(new: &Value, fault: FieldError) -> Status {
    invalid(Subject { group: "", what: "Service", name: meta::text(new, "name") }, &[fault])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults() {
        let rows = [
            (json!({"ports": [{"port": 80}]}), ""),
            (json!({}), "spec.ports: Required value"),
            (json!({"clusterIP": "None"}), ""),
            (json!({"type": "ExternalName"}), "spec.externalName: Required value"),
            (json!({"ports": [{"port": 80}, {"port": 81, "name": "b"}]}), "spec.ports[0].name: Required value"),
            (
                json!({"ports": [{"port": 80, "name": "b"}, {"port": 81, "name": "b"}]}),
                "spec.ports[1].name: Duplicate value: \"b\"",
            ),
        ];
        for (spec, expected) in rows {
            let mut errors = Vec::new();
            check(&json!({"spec": spec}), &mut errors);
            let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(all.join("; "), expected);
        }
    }

    #[test]
    fn an_address_stays() {
        let old = json!({"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"]}});
        let mut same = json!({"spec": {"type": "ClusterIP"}});
        prepare_update(&mut same, &old);
        assert_eq!(same["spec"]["clusterIPs"], json!(["10.0.0.9"]));
        let mut other = old.clone();
        other["spec"]["clusterIP"] = json!("10.0.0.8");
        prepare_update(&mut other, &old);
        let mut errors = Vec::new();
        check_change(&other, &old, &mut errors);
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(all, ["spec.clusterIPs[0]: Invalid value: [\"10.0.0.8\"]: may not change once set"]);
    }
}

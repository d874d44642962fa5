//! Ports of services, and the node ports among them: each taken one is a key of its own in the store.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::refuse;
use crate::api::error::FieldError;
use crate::api::kinds::field::{is_empty, one_of, port};
use crate::api::meta::name;
use crate::api::registry::Aim;
use crate::api::{Api, meta, refusal};
use crate::status::Status;
use crate::store::{Change, Expect, Outcome};

pub(super) fn check(item: &Value, path: &str, several: bool, errors: &mut Vec<FieldError>) {
    match item["name"].as_str().unwrap_or("") {
        "" if several => errors.push(FieldError::required(format!("{path}.name"), "")),
        "" => {}
        own => {
            let faults = name::label(own);
            errors.extend(faults.iter().map(|fault| FieldError::invalid_text(format!("{path}.name"), own, fault)));
        }
    }
    port(&item["port"], &format!("{path}.port"), errors);
    one_of(&item["protocol"], &format!("{path}.protocol"), &["SCTP", "TCP", "UDP"], errors);
}

/// A node port that an update leaves out stays.
pub(super) fn keep(new: &mut Value, old: &Value) {
    if !has_ports(&new["spec"]) || !has_ports(&old["spec"]) {
        return;
    }
    let known = old["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let mut given: BTreeSet<i64> = taken(&new["spec"]);
    for item in new["spec"]["ports"].as_array_mut().into_iter().flatten() {
        if item["nodePort"].as_i64().unwrap_or(0) != 0 {
            continue;
        }
        let stored = known.iter().find(|stored| stored["port"] == item["port"] && stored["protocol"] == item["protocol"]);
        if let Some(number) = stored.and_then(|stored| stored["nodePort"].as_i64()).filter(|number| given.insert(*number)) {
            item["nodePort"] = Value::from(number);
        }
    }
}

/// Takes the node ports that the service asks for, or free ones.
pub(super) async fn allocate(api: &Api, aim: &Aim<'_>, new: &mut Value, old: Option<&Value>) -> Result<(), Status> {
    if !has_ports(&new["spec"]) {
        for item in new["spec"]["ports"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            item.remove("nodePort");
        }
        return Ok(());
    }
    let mut own: BTreeSet<i64> = old.map(|old| taken(&old["spec"])).unwrap_or_default();
    let owner = owner(new);
    for index in 0..new["spec"]["ports"].as_array().map_or(0, Vec::len) {
        let asked = new["spec"]["ports"][index]["nodePort"].as_i64().unwrap_or(0);
        if asked == 0 {
            let Some(number) = free(api, aim, (&owner, &own)).await? else {
                return Err(Status::internal("failed to allocate a nodePort: range is full"));
            };
            own.insert(number);
            new["spec"]["ports"][index]["nodePort"] = Value::from(number);
        } else if !own.contains(&asked) {
            let fault = |cause: &str| FieldError::invalid(format!("spec.ports[{index}].nodePort"), &json!(asked), cause);
            let (first, last) = range(api);
            if !(first..=last).contains(&asked) {
                let cause = format!("provided port is not in the valid range. The range of valid ports is {first}-{last}");
                return Err(refuse(new, fault(&cause)));
            }
            if !claim(api, aim, &owner, asked).await? {
                return Err(refuse(new, fault("provided port is already allocated")));
            }
            own.insert(asked);
        }
    }
    Ok(())
}

/// Gives back the node ports that the service had and keeps no longer.
pub(super) async fn release(api: &Api, aim: &Aim<'_>, gone: &Value, kept: Option<&Value>) {
    if aim.dry_run {
        return;
    }
    let still = kept.map(|kept| taken(&kept["spec"])).unwrap_or_default();
    let owner = owner(gone);
    for number in taken(&gone["spec"]).difference(&still) {
        if let Err(cause) = give_back(api, &owner, *number).await {
            tracing::warn!(number, %cause, "a node port is not given back");
        }
    }
}

async fn free(api: &Api, aim: &Aim<'_>, (owner, own): (&Bytes, &BTreeSet<i64>)) -> Result<Option<i64>, Status> {
    let (first, last) = range(api);
    let size = last - first + 1;
    // Dynamic picks leave the lower band to those who ask for a port by number (contract 8.9).
    let band = (size / 32).clamp(16, 128).min(size - 1);
    let upper = size - band;
    let start = i64::try_from(Uuid::new_v4().as_u128() % 100_000).unwrap_or(0) % upper;
    let candidates = (0..upper).map(|step| first + band + (start + step) % upper).chain(first..first + band);
    for number in candidates {
        if !own.contains(&number) && claim(api, aim, owner, number).await? {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

fn range(api: &Api) -> (i64, i64) {
    let (first, last) = api.settings.node_ports;
    (first.into(), last.into())
}

/// Takes a port; false when somebody has it.
async fn claim(api: &Api, aim: &Aim<'_>, owner: &Bytes, number: i64) -> Result<bool, Status> {
    if aim.dry_run {
        return Ok(true);
    }
    let change = Change { key: key(number), expect: Expect::Absent, value: Some(owner.clone()), ttl: None, guard: None };
    let outcome = api.store.commit(change).await.map_err(|cause| refusal::store(&cause))?;
    Ok(matches!(outcome, Outcome::Committed(_)))
}

/// Frees a port if it is this owner's: a create that cannot happen tells whose it is.
async fn give_back(api: &Api, owner: &Bytes, number: i64) -> Result<(), crate::store::StoreError> {
    let probe = Change { key: key(number), expect: Expect::Absent, value: Some(owner.clone()), ttl: None, guard: None };
    let revision = match api.store.commit(probe).await? {
        Outcome::Conflict(Some(entry)) if entry.value == *owner => entry.revision,
        Outcome::Committed(revision) => revision,
        _ => return Ok(()),
    };
    let change = Change { key: key(number), expect: Expect::At(revision), value: None, ttl: None, guard: None };
    api.store.commit(change).await.map(drop)
}

fn has_ports(spec: &Value) -> bool {
    match spec["type"].as_str().unwrap_or("") {
        "NodePort" => true,
        "LoadBalancer" => spec["allocateLoadBalancerNodePorts"] != false || !taken(spec).is_empty(),
        _ => false,
    }
}

fn taken(spec: &Value) -> BTreeSet<i64> {
    let ports = spec["ports"].as_array().into_iter().flatten();
    ports.filter_map(|item| item["nodePort"].as_i64()).filter(|number| *number != 0).collect()
}

fn owner(service: &Value) -> Bytes {
    let parts = ["namespace", "name", "uid"].map(|member| meta::text(service, member));
    Bytes::from(if is_empty(service) { String::new() } else { parts.join("/") })
}

fn key(number: i64) -> Bytes {
    Bytes::from(format!("/registry/ranges/servicenodeports/{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_keeps_node_ports() {
        let old = json!({"spec": {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]}});
        let mut new =
            json!({"spec": {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}]}});
        keep(&mut new, &old);
        assert_eq!(new["spec"]["ports"][0]["nodePort"], 30080);
        assert!(new["spec"]["ports"][1]["nodePort"].is_null());
    }
}

//! The rules of a pod's status: what a node may not say.

use std::collections::HashSet;
use std::net::IpAddr;

use serde_json::Value;

use super::change::check_annotations;
use super::schedule::check_address;
use crate::api::error::FieldError;
use crate::api::kinds::field::{self, Field, is_full};
use crate::api::meta::name;

/// The rules of a change of the status, after those of the metadata.
pub(super) fn check_update((new, old): (&Value, &Value), errors: &mut Vec<FieldError>) {
    check_annotations((new, old), errors);
    let root = Field::new(new, "");
    let (status, stored) = (root.at("status"), &old["status"]);
    check_conditions(&status.at("conditions"), errors);
    check_nominated(&status.at("nominatedNodeName"), old, errors);
    if status.at("observedGeneration").count() < 0 {
        errors.push(status.at("observedGeneration").invalid("must be a non-negative integer"));
    }
    let class = status.at("qosClass");
    if class.value() != &stored["qosClass"] {
        errors.push(class.invalid("field is immutable"));
    }
    let states: [(&str, Restart); 3] = [
        ("containerStatuses", restarts_main),
        ("initContainerStatuses", restarts_initial),
        ("ephemeralContainerStatuses", |_, _, _| false),
    ];
    for (list, may) in states {
        check_transition(&status.at(list), (&stored[list], &old["spec"]), may, errors);
    }
    check_claims(&status.at("resourceClaimStatuses"), &new["spec"]["resourceClaims"], errors);
    check_addresses(&status.at("podIPs"), errors);
    let hosts = status.at("hostIPs");
    if !hosts.is_empty() {
        let first = hosts.index(0);
        if first.at("ip").text() != status.at("hostIP").text() {
            errors.push(first.at("ip").invalid("must be equal to `hostIP`"));
        }
        check_addresses(&hosts, errors);
    }
    for (list, _) in states {
        check_users(&status.at(list), &new["spec"]["os"]["name"], errors);
    }
}

/// Whether a container of this name that ended with this code may begin again.
type Restart = fn(&Value, &str, i64) -> bool;

fn check_conditions(list: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    for condition in list.items() {
        if is_full(errors) {
            return;
        }
        let generation = condition.at("observedGeneration");
        if generation.count() < 0 {
            errors.push(generation.invalid("must be a non-negative integer"));
        }
        let kind = condition.at("type").text();
        if !["PodScheduled", "Ready", "Initialized"].contains(&kind) {
            let told = condition.at("Type");
            errors.extend(name::qualified(kind).iter().map(|fault| told.invalid_text(kind, fault)));
        }
    }
}

fn check_nominated(own: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    if own.is_empty() || *own.value() == old["status"]["nominatedNodeName"] {
        return;
    }
    own.named(name::subdomain, errors);
    if !field::is_empty(&old["spec"]["nodeName"]) {
        errors.push(own.forbidden("may not be set on pods that are already bound to a node"));
    }
}

fn check_transition(list: &Field<'_, '_>, (old, spec): (&Value, &Value), may: Restart, errors: &mut Vec<FieldError>) {
    let alive: HashSet<&str> = list
        .items()
        .filter(|status| status.value()["state"]["terminated"].is_null())
        .map(|status| status.at("name").text())
        .collect();
    for (index, stored) in old.as_array().into_iter().flatten().enumerate() {
        let ended = &stored["state"]["terminated"];
        let name = stored["name"].as_str().unwrap_or("");
        if ended.is_null() || !alive.contains(name) || may(spec, name, ended["exitCode"].as_i64().unwrap_or(0)) {
            continue;
        }
        errors.push(list.index(index).at("state").forbidden("may not be transitioned to non-terminated state"));
    }
}

fn restarts_main(spec: &Value, name: &str, code: i64) -> bool {
    let Some(container) = find(&spec["containers"], name) else { return false };
    for rule in container["restartPolicyRules"].as_array().into_iter().flatten() {
        let listed = rule["exitCodes"]["values"].as_array().is_some_and(|values| values.contains(&Value::from(code)));
        let wanted = rule["exitCodes"]["operator"] == "In";
        if rule["action"] == "Restart" && listed == wanted {
            return true;
        }
    }
    let policy = container["restartPolicy"].as_str().or(spec["restartPolicy"].as_str()).unwrap_or("Always");
    restarts(policy, code)
}

fn restarts_initial(spec: &Value, name: &str, code: i64) -> bool {
    let sidecar = find(&spec["initContainers"], name).is_some_and(|container| container["restartPolicy"] == "Always");
    sidecar || restarts(spec["restartPolicy"].as_str().unwrap_or("Always"), code)
}

fn restarts(policy: &str, code: i64) -> bool {
    policy == "Always" || policy == "OnFailure" && code != 0
}

fn find<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|container| container["name"] == name)
}

fn check_claims(list: &Field<'_, '_>, claims: &Value, errors: &mut Vec<FieldError>) {
    let known: HashSet<&str> = claims.as_array().into_iter().flatten().filter_map(|claim| claim["name"].as_str()).collect();
    let mut seen = HashSet::new();
    for status in list.items() {
        if is_full(errors) {
            return;
        }
        let own = status.at("name");
        if !known.contains(own.text()) {
            errors.push(own.invalid("must match the name of an entry in `spec.resourceClaims`"));
        }
        if !seen.insert(own.text()) {
            errors.push(own.duplicate());
        }
        let claim = status.at("resourceClaimName");
        if !claim.is_absent() {
            errors.extend(name::subdomain(claim.text()).iter().map(|fault| own.invalid_text(claim.text(), fault)));
        }
    }
}

/// At most one address of each family.
fn check_addresses(list: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let mut families = Vec::new();
    for item in list.items() {
        if is_full(errors) {
            return;
        }
        check_address(&item.with(&item.value()["ip"]), errors);
        families.push(item.at("ip").text().parse::<IpAddr>().ok().map(|address| address.is_ipv4()));
    }
    let apart = families.len() == 2 && families[0] != families[1];
    if list.len() > 1 && !apart {
        let printed: Vec<String> = list.items().map(|item| format!("{{\"IP\":{}}}", Value::from(item.at("ip").text()))).collect();
        let fault = "may specify no more than one IP for each IP family";
        errors.push(list.invalid_as(&format!("[{}]", printed.join(",")), fault));
    }
}

fn check_users(list: &Field<'_, '_>, os: &Value, errors: &mut Vec<FieldError>) {
    for status in list.items() {
        let user = &status.value()["user"]["linux"];
        if user.is_null() {
            continue;
        }
        let told = status.at("linux");
        let told = told.with(user);
        if os == "windows" {
            errors.push(told.forbidden("cannot be set for a windows pod"));
            continue;
        }
        told.at("uid").within(0..=2_147_483_647, errors);
        told.at("gid").within(0..=2_147_483_647, errors);
        for group in told.at("supplementalGroups").items() {
            group.within(0..=2_147_483_647, errors);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_node_may_not_say() {
        let spec = json!({"containers": [{"name": "c"}], "restartPolicy": "Never"});
        let pod = |status: Value| json!({"metadata": {}, "spec": spec, "status": status});
        let ended = json!({"containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 1}}}]});
        let rows = [
            (pod(json!({})), json!({}), ""),
            (
                pod(json!({"containerStatuses": [{"name": "c", "state": {"running": {}}}]})),
                ended,
                "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state",
            ),
            (
                pod(json!({"qosClass": "Burstable"})),
                json!({}),
                "status.qosClass: Invalid value: \"Burstable\": field is immutable",
            ),
            (
                pod(json!({"podIPs": [{"ip": "x"}]})),
                json!({}),
                "status.podIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ),
            (
                pod(json!({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]})),
                json!({}),
                "status.podIPs: Invalid value: [{\"IP\":\"10.0.0.1\"},{\"IP\":\"10.0.0.2\"}]: may specify no more than one IP for \
                 each IP family",
            ),
            (pod(json!({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::2"}]})), json!({}), ""),
            (
                pod(json!({"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.2"}]})),
                json!({}),
                "status.hostIPs[0].ip: Invalid value: \"10.0.0.2\": must be equal to `hostIP`",
            ),
            (
                pod(json!({"resourceClaimStatuses": [{"name": "r"}]})),
                json!({}),
                "status.resourceClaimStatuses[0].name: Invalid value: \"r\": must match the name of an entry in `spec.resourceClaims`",
            ),
        ];
        for (new, status, expected) in rows {
            let mut errors = Vec::new();
            check_update((&new, &pod(status)), &mut errors);
            let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(all.join("; "), expected);
        }
    }
}

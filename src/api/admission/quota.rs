//! ResourceQuota: what a write would use is added to the namespace's quotas, or refused where it would exceed one.
//!
//! Holds to what a quota's status says: who makes and lowers that is not known here.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::amount::{self, Amounts, Overhead, Side, list};
use super::{Operation, Review, within};
use crate::api::catalog::Kind;
use crate::api::kinds::{Part, is_empty};
use crate::api::object::Object;
use crate::api::registry::Aim;
use crate::api::{Api, meta, own, refusal};
use crate::schema::quantity::Quantity;
use crate::status::Status;
use crate::store::{Expect, Outcome};

/// What a write adds to one quota.
struct Charge {
    stored: Arc<Object>,
    /// The quota with the use that it would have then.
    after: Value,
}

pub(super) async fn charge(api: &Api, review: &Review<'_>, object: Option<&Value>) -> Result<(), Status> {
    let Some(object) = object.filter(|_| concerns(review)) else { return Ok(()) };
    let Some(kind) = api.catalog.find("", "v1", "resourcequotas") else { return Ok(()) };
    let mut paid: Vec<String> = Vec::new();
    for _ in 0..ATTEMPTS {
        let mut quotas = within(api, kind, review.namespace);
        quotas.retain(|quota| !paid.iter().any(|uid| uid == quota.uid()));
        if quotas.is_empty() {
            return Ok(());
        }
        // All must have room before any is charged.
        let charges = charges(review, object, quotas)?;
        if review.dry_run {
            return Ok(());
        }
        let mut lost = false;
        for mut charge in charges {
            own::told(&api.catalog, kind, &charge.stored.value(), &mut charge.after);
            let aim = Aim {
                permit: review.permit,
                kind,
                part: Part::Status,
                namespace: review.namespace,
                name: charge.stored.name(),
                dry_run: false,
            };
            let expect = Expect::At(charge.stored.revision());
            let (outcome, _) = api.put(&aim, charge.stored.name(), (expect, Some(&charge.after)), None).await?;
            match outcome {
                Outcome::Committed(_) => paid.push(charge.stored.uid().to_owned()),
                _ => lost = true,
            }
        }
        if !lost {
            return Ok(());
        }
        api.store.latest().await.map_err(|cause| refusal::store(&cause))?;
    }
    Err(Status::internal("unable to update the usage of the quotas of this namespace"))
}

/// The status of a quota whose use is counted anew.
pub(in crate::api) fn counted(api: &Api, quota: &Value) -> Value {
    let hard = amount::of(&quota["spec"]["hard"]);
    let mut used: Amounts = hard.keys().map(|resource| (resource.clone(), units(0))).collect();
    let kinds = api.catalog.all().iter().filter(|kind| kind.namespaced && kind.is_stored_form());
    for kind in kinds.filter(|kind| hard.keys().any(|resource| is_counted(kind, resource))) {
        for object in within(api, kind, meta::text(quota, "namespace")) {
            let object = object.value();
            if in_scope(&quota["spec"], kind, &object) {
                let mut more = usage(kind, &object);
                more.retain(|resource, _| hard.contains_key(resource));
                amount::add(&mut used, &more);
            }
        }
    }
    if hard.is_empty() {
        return json!({});
    }
    let used: serde_json::Map<String, Value> =
        used.into_iter().map(|(resource, amount)| (resource, Value::from(amount.to_string()))).collect();
    json!({"hard": quota["spec"]["hard"], "used": used})
}

/// What each quota is to be charged. First every quota is asked whether it can judge the object, then whether it has room.
fn charges(review: &Review<'_>, object: &Value, quotas: Vec<Arc<Object>>) -> Result<Vec<Charge>, Status> {
    let mut pertinent = Vec::new();
    for stored in quotas {
        let quota = stored.value();
        let hard = amount::of(&quota["status"]["hard"]);
        let matching: Vec<&String> = hard.keys().filter(|resource| is_counted(review.kind, resource)).collect();
        if matching.is_empty() || !in_scope(&quota["spec"], review.kind, object) {
            continue;
        }
        let name = stored.name();
        if review.kind.group.is_empty() && review.kind.plural == "pods" {
            check_given(&matching, &object["spec"])
                .map_err(|fault| review.forbid(object, format!("failed quota: {name}: {fault}")))?;
        }
        let used = amount::of(&quota["status"]["used"]);
        if matching.iter().any(|own| !used.contains_key(*own)) {
            let names: Vec<&str> = matching.iter().map(|own| own.as_str()).collect();
            let cause = format!("status unknown for quota: {name}, resources: {}", names.join(","));
            return Err(review.forbid(object, cause));
        }
        pertinent.push((stored, quota));
    }
    if pertinent.is_empty() {
        return Ok(Vec::new());
    }
    let asked = asked(review, object)?;
    let charged = pertinent.into_iter().map(|(stored, quota)| add(review, object, (stored, quota, &asked)));
    charged.filter_map(Result::transpose).collect()
}

/// What the write uses more than before.
fn asked(review: &Review<'_>, object: &Value) -> Result<Amounts, Status> {
    let mut asked = usage(review.kind, object);
    let negative: Vec<&str> =
        asked.iter().filter(|(_, amount)| amount.is_negative()).map(|(resource, _)| resource.as_str()).collect();
    if !negative.is_empty() {
        let cause = format!("quota usage is negative for resource(s): {}", negative.join(","));
        return Err(review.forbid(object, cause));
    }
    if let Some(old) = review.old.filter(|_| review.operation == Operation::Update) {
        let before = usage(review.kind, old).into_iter().map(|(resource, amount)| (resource, amount.negated())).collect();
        amount::add(&mut asked, &before);
    }
    asked.retain(|_, amount| !amount.is_zero());
    Ok(asked)
}

/// The charge of one quota, if the write uses any of what it counts.
fn add(
    review: &Review<'_>,
    object: &Value,
    (stored, mut quota, asked): (Arc<Object>, Value, &Amounts),
) -> Result<Option<Charge>, Status> {
    let (hard, used) = (amount::of(&quota["status"]["hard"]), amount::of(&quota["status"]["used"]));
    let mut asked = asked.clone();
    asked.retain(|resource, _| hard.contains_key(resource));
    if asked.is_empty() {
        return Ok(None);
    }
    let mut after = used.clone();
    amount::add(&mut after, &asked);
    let exceeds =
        |resource: &String| after.get(resource).is_some_and(|after| hard.get(resource).is_some_and(|hard| after > hard));
    if asked.keys().any(exceeds) {
        let only = |mut amounts: Amounts| {
            amounts.retain(|resource, _| asked.contains_key(resource) && exceeds(resource));
            amount::print(&amounts)
        };
        let parts = (only(asked.clone()), only(used), only(hard.clone()));
        let name = stored.name();
        let cause = format!("exceeded quota: {name}, requested: {}, used: {}, limited: {}", parts.0, parts.1, parts.2);
        return Err(review.forbid(object, cause));
    }
    quota["status"]["used"] = after.iter().map(|(name, amount)| (name.clone(), amount.to_string())).collect();
    Ok(Some(Charge { stored, after: quota }))
}

/// Creates of everything that lies in a namespace, and updates that may need more.
fn concerns(review: &Review<'_>) -> bool {
    let (kind, plural) = (review.kind, review.kind.plural.as_str());
    if !kind.namespaced || kind.storage.is_none() || plural == "events" {
        return false;
    }
    match (review.operation, review.subresource) {
        (Operation::Create, "") => true,
        (Operation::Update, "") => kind.group.is_empty() && matches!(plural, "services" | "persistentvolumeclaims"),
        (Operation::Update, "resize") => kind.group.is_empty() && plural == "pods",
        _ => false,
    }
}

/// Whether a resource that a quota names is one that objects of this kind use.
fn is_counted(kind: &Kind, resource: &str) -> bool {
    if resource == count_name(kind) {
        return true;
    }
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => {
            let plain = resource.strip_prefix("requests.").or_else(|| resource.strip_prefix("limits.")).unwrap_or(resource);
            let extended = resource.starts_with("requests.") && is_extended(plain);
            resource == "pods"
                || matches!(plain, "cpu" | "memory" | "ephemeral-storage")
                || plain.starts_with("hugepages-")
                || extended
        }
        ("", "services") => matches!(resource, "services" | "services.nodeports" | "services.loadbalancers"),
        ("", "persistentvolumeclaims") => {
            let plain = resource.split_once(CLASS).map_or(resource, |(_, plain)| plain);
            matches!(plain, "persistentvolumeclaims" | "requests.storage")
        }
        ("", plural @ ("configmaps" | "secrets" | "replicationcontrollers" | "resourcequotas")) => resource == plural,
        ("resource.k8s.io", "resourceclaims") => resource.ends_with(DEVICES),
        _ => false,
    }
}

/// What an object uses, by the names under which quotas count.
fn usage(kind: &Kind, object: &Value) -> Amounts {
    let mut used = Amounts::from([(count_name(kind), units(1))]);
    let plural = kind.plural.as_str();
    match (kind.group.as_str(), plural) {
        ("", "pods") => use_of_pod(object, &mut used),
        ("", "services") => use_of_service(&object["spec"], &mut used),
        ("", "persistentvolumeclaims") => use_of_claim(object, &mut used),
        ("resource.k8s.io", "resourceclaims") => use_of_devices(&object["spec"], &mut used),
        ("", "configmaps" | "secrets" | "replicationcontrollers" | "resourcequotas") => {
            used.insert(plural.to_owned(), units(1));
        }
        _ => {}
    }
    used
}

fn use_of_pod(pod: &Value, used: &mut Amounts) {
    if matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) || is_overdue(pod) {
        return;
    }
    used.insert("pods".to_owned(), units(1));
    for (name, amount) in amount::pod(&pod["spec"], Side::Requests, Overhead::Counted) {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-") {
            used.insert(format!("requests.{name}"), amount);
            used.insert(name, amount);
        } else if is_extended(&name) {
            used.insert(format!("requests.{name}"), amount);
        }
    }
    for (name, amount) in amount::pod(&pod["spec"], Side::Limits, Overhead::Counted) {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            used.insert(format!("limits.{name}"), amount);
        }
    }
}

/// Whether a pod should have ended by now: a node that is lost is not its namespace's fault.
fn is_overdue(pod: &Value) -> bool {
    let grace = pod["metadata"]["deletionGracePeriodSeconds"].as_i64();
    let due: Option<jiff::Timestamp> = meta::text(pod, "deletionTimestamp").parse().ok();
    match (due, grace) {
        (Some(due), Some(grace)) => jiff::Timestamp::now().duration_since(due).as_secs() > grace,
        _ => false,
    }
}

/// Devices by their class. Of alternatives, those that need most of a class count.
fn use_of_devices(spec: &Value, used: &mut Amounts) {
    let device = |request: &Value| {
        let flat = &request["exactly"];
        let request = if flat.is_object() { flat } else { request };
        let count = match request["allocationMode"].as_str() {
            Some("All") => MOST_DEVICES,
            Some("ExactCount") => usize::try_from(request["count"].as_i64().unwrap_or(0)).unwrap_or(0),
            _ => 0,
        };
        (format!("{}{DEVICES}", request["deviceClassName"].as_str().unwrap_or("")), count)
    };
    for request in list(&spec["devices"], "requests") {
        let mut most: BTreeMap<String, usize> = BTreeMap::new();
        let alternatives: Vec<&Value> = list(request, "firstAvailable").collect();
        let all = if alternatives.is_empty() { vec![request] } else { alternatives };
        for (class, count) in all.into_iter().map(device) {
            let known = most.entry(class).or_default();
            *known = count.max(*known);
        }
        amount::add(used, &most.into_iter().map(|(class, count)| (class, units(count))).collect());
    }
}

fn use_of_service(spec: &Value, used: &mut Amounts) {
    let all = list(spec, "ports").count();
    let chosen = list(spec, "ports").filter(|port| port["nodePort"].as_i64().unwrap_or(0) != 0).count();
    let (ports, balancers) = match spec["type"].as_str() {
        Some("NodePort") => (all, 0),
        Some("LoadBalancer") if spec["allocateLoadBalancerNodePorts"] == false => (chosen, 1),
        Some("LoadBalancer") => (all, 1),
        _ => (0, 0),
    };
    for (name, number) in [("services", 1), ("services.nodeports", ports), ("services.loadbalancers", balancers)] {
        used.insert(name.to_owned(), units(number));
    }
}

fn use_of_claim(claim: &Value, used: &mut Amounts) {
    let old = claim["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"].as_str();
    let class = old.or(claim["spec"]["storageClassName"].as_str()).unwrap_or("");
    let mut put = |name: &str, amount: Quantity| {
        used.insert(name.to_owned(), amount);
        if !class.is_empty() {
            used.insert(format!("{class}{CLASS}{name}"), amount);
        }
    };
    put("persistentvolumeclaims", units(1));
    let asked = claim["spec"]["resources"]["requests"]["storage"].as_str().and_then(|text| Quantity::parse(text).ok());
    let given = claim["status"]["allocatedResources"]["storage"].as_str().and_then(|text| Quantity::parse(text).ok());
    let most = match (asked, given) {
        (Some(asked), Some(given)) if given > asked => Some(given),
        (asked, _) => asked,
    };
    if let Some(amount) = most {
        put("requests.storage", amount);
    }
}

/// Every container must say what a quota counts, unless the pod says it for all.
fn check_given(matching: &[&String], spec: &Value) -> Result<(), String> {
    if !is_empty(&spec["resources"]["requests"]) || !is_empty(&spec["resources"]["limits"]) {
        return Ok(());
    }
    let mut faults = Vec::new();
    for resource in matching.iter().filter(|resource| GIVEN.contains(&resource.as_str())) {
        let (side, plain) = match resource.split_once('.') {
            Some(("limits", plain)) => ("limits", plain),
            Some((_, plain)) => ("requests", plain),
            None => ("requests", resource.as_str()),
        };
        let containers = list(spec, "containers").chain(list(spec, "initContainers"));
        let without = containers.filter(|container| container["resources"][side].get(plain).is_none());
        let mut names: Vec<&str> = without.filter_map(|container| container["name"].as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if !names.is_empty() {
            faults.push(format!("must specify {resource} for: {}", names.join(",")));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

/// Whether an object is one of those that a quota is about.
fn in_scope(spec: &Value, kind: &Kind, object: &Value) -> bool {
    let plain = list(spec, "scopes").filter_map(Value::as_str).map(|scope| (scope, "Exists", &Value::Null));
    let terms = list(&spec["scopeSelector"], "matchExpressions");
    let given = terms.filter_map(|term| Some((term["scopeName"].as_str()?, term["operator"].as_str()?, &term["values"])));
    { plain }.chain(given).all(|term| is_in(term, kind, object))
}

fn is_in((scope, operator, values): (&str, &str, &Value), kind: &Kind, object: &Value) -> bool {
    let spec = &object["spec"];
    let named = |name: &Value| {
        let listed = || values.as_array().is_some_and(|values| values.contains(name));
        match operator {
            "Exists" => !is_empty(name),
            "DoesNotExist" => is_empty(name),
            "In" => !is_empty(name) && listed(),
            "NotIn" => is_empty(name) || !listed(),
            _ => false,
        }
    };
    match (kind.plural.as_str(), scope) {
        ("pods", "Terminating") => spec["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds >= 0),
        ("pods", "NotTerminating") => spec["activeDeadlineSeconds"].as_i64().is_none_or(|seconds| seconds < 0),
        ("pods", "BestEffort") => crate::api::kinds::qos(spec) == "BestEffort",
        ("pods", "NotBestEffort") => crate::api::kinds::qos(spec) != "BestEffort",
        ("pods", "PriorityClass") => named(&spec["priorityClassName"]),
        ("pods", "CrossNamespacePodAffinity") => reaches_out(&spec["affinity"]),
        ("persistentvolumeclaims", "VolumeAttributesClass") => {
            let status = &object["status"];
            let target = &status["modifyVolumeStatus"]["targetVolumeAttributesClassName"];
            [&spec["volumeAttributesClassName"], &status["currentVolumeAttributesClassName"], target].into_iter().any(named)
        }
        _ => false,
    }
}

/// Whether a pod's affinity names other namespaces.
fn reaches_out(affinity: &Value) -> bool {
    let reaches = |term: &Value| !is_empty(&term["namespaces"]) || term["namespaceSelector"].is_object();
    ["podAffinity", "podAntiAffinity"].iter().any(|side| {
        let side = &affinity[*side];
        list(side, "requiredDuringSchedulingIgnoredDuringExecution").any(reaches)
            || list(side, "preferredDuringSchedulingIgnoredDuringExecution").any(|term| reaches(&term["podAffinityTerm"]))
    })
}

/// `count/pods`, `count/deployments.apps`.
fn count_name(kind: &Kind) -> String {
    let dot = if kind.group.is_empty() { "" } else { "." };
    format!("count/{}{dot}{}", kind.plural, kind.group)
}

fn is_extended(resource: &str) -> bool {
    resource.contains('/') && !resource.contains("kubernetes.io/")
}

fn units(number: usize) -> Quantity {
    Quantity::whole(i64::try_from(number).unwrap_or(i64::MAX))
}

const CLASS: &str = ".storageclass.storage.k8s.io/";
const DEVICES: &str = ".deviceclass.resource.k8s.io/devices";
/// The devices that one claim can be given.
const MOST_DEVICES: usize = 32;
const GIVEN: [&str; 6] = ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];
const ATTEMPTS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::catalog::Catalog;

    fn used(plural: &str, object: &Value) -> String {
        let catalog = Catalog::builtin();
        let group = match plural {
            "deployments" => "apps",
            "resourceclaims" => "resource.k8s.io",
            _ => "",
        };
        amount::print(&usage(catalog.find(group, "v1", plural).expect("a kind"), object))
    }

    #[test]
    fn what_is_used() {
        #[rustfmt::skip]
        let rows = [
            ("configmaps", json!({}), "configmaps=1,count/configmaps=1"),
            ("deployments", json!({}), "count/deployments.apps=1"),
            ("pods", json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "1", "example.com/x": "2"}, "limits": {"memory": "1Gi"}}}]}}), "count/pods=1,cpu=1,limits.memory=1Gi,pods=1,requests.cpu=1,requests.example.com/x=2"),
            ("pods", json!({"spec": {"containers": [{}]}, "status": {"phase": "Failed"}}), "count/pods=1"),
            ("pods", json!({"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30}, "spec": {"containers": [{}]}}), "count/pods=1"),
            ("resourceclaims", json!({"spec": {"devices": {"requests": [{"exactly": {"deviceClassName": "c", "allocationMode": "ExactCount", "count": 2}}, {"firstAvailable": [{"deviceClassName": "c", "allocationMode": "All"}, {"deviceClassName": "d", "allocationMode": "ExactCount", "count": 1}]}]}}}),
                "c.deviceclass.resource.k8s.io/devices=34,count/resourceclaims.resource.k8s.io=1,d.deviceclass.resource.k8s.io/devices=1"),
            ("services", json!({"spec": {"type": "NodePort", "ports": [{}, {}]}}), "count/services=1,services=1,services.loadbalancers=0,services.nodeports=2"),
            ("services", json!({"spec": {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [{}]}}), "count/services=1,services=1,services.loadbalancers=1,services.nodeports=0"),
            ("persistentvolumeclaims", json!({"spec": {"storageClassName": "s", "resources": {"requests": {"storage": "1Gi"}}}}), "count/persistentvolumeclaims=1,persistentvolumeclaims=1,requests.storage=1Gi,s.storageclass.storage.k8s.io/persistentvolumeclaims=1,s.storageclass.storage.k8s.io/requests.storage=1Gi"),
        ];
        for (plural, object, expected) in rows {
            assert_eq!(used(plural, &object), expected, "{object}");
        }
    }

    #[test]
    fn what_containers_must_say() {
        let matching: Vec<String> = ["limits.memory", "pods", "requests.cpu"].map(str::to_owned).into();
        let matching: Vec<&String> = matching.iter().collect();
        let spec = json!({"containers": [{"name": "b", "resources": {"limits": {"memory": "1"}}}, {"name": "a"}]});
        let expected = "must specify limits.memory for: a; must specify requests.cpu for: a,b";
        assert_eq!(check_given(&matching, &spec), Err(expected.to_owned()));
        let spec = json!({"containers": [{"name": "a"}], "resources": {"limits": {"cpu": "1"}}});
        assert_eq!(check_given(&matching, &spec), Ok(()));
    }

    #[test]
    fn scopes() {
        let catalog = Catalog::builtin();
        let pods = catalog.find("", "v1", "pods").expect("a kind");
        let by_class = |operator: &str| json!({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": operator, "values": ["high"]}]}});
        for (spec, pod, expected) in [
            (json!({}), json!({}), true),
            (json!({"scopes": ["BestEffort"]}), json!({"spec": {"containers": [{}]}}), true),
            (json!({"scopes": ["NotBestEffort"]}), json!({"spec": {"containers": [{}]}}), false),
            (json!({"scopes": ["Terminating"]}), json!({"spec": {"activeDeadlineSeconds": 1}}), true),
            (by_class("In"), json!({"spec": {"priorityClassName": "high"}}), true),
            (by_class("In"), json!({"spec": {"priorityClassName": "low"}}), false),
            (by_class("NotIn"), json!({"spec": {}}), true),
        ] {
            assert_eq!(in_scope(&spec, pods, &pod), expected, "{spec} {pod}");
        }
    }
}

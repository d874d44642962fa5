//! LimitRanger: what a container gets that asks for nothing, and how much or little one may ask for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Operation, Review};
use crate::api::{Api, kinds, meta};
use crate::schema::quantity::Quantity;
use crate::status::Status;

/// Amounts by resource.
type Amounts = BTreeMap<String, Quantity>;

pub(super) fn admit(api: &Api, review: &Review<'_>, pod: &mut Value) {
    if !review.is("", "pods", Operation::Create) {
        return;
    }
    for range in ranges(api, review.namespace) {
        fill(&range, pod);
    }
}

pub(super) fn check(api: &Api, review: &Review<'_>, object: Option<&Value>) -> Result<(), Status> {
    let Some(object) = object.filter(|object| !meta::is_deleting(object)) else { return Ok(()) };
    let resized = review.kind.plural == "pods" && review.subresource == "resize";
    let faults: fn(&Value, &Value) -> Vec<String> = match (review.kind.group.as_str(), review.kind.plural.as_str()) {
        ("", "pods") if review.is("", "pods", Operation::Create) || resized => pod_faults,
        ("", "persistentvolumeclaims") if review.subresource.is_empty() => claim_faults,
        _ => return Ok(()),
    };
    for range in ranges(api, review.namespace) {
        match faults(&range, object).as_slice() {
            [] => {}
            [one] => return Err(review.forbid(object, one)),
            many => return Err(review.forbid(object, format!("[{}]", many.join(", ")))),
        }
    }
    Ok(())
}

fn ranges(api: &Api, namespace: &str) -> Vec<Value> {
    super::content(api, ("", "limitranges"), namespace).iter().map(|range| range.value()).collect()
}

/// The limits of a type.
fn limits<'a>(range: &'a Value, of: &'a str) -> impl Iterator<Item = &'a Value> {
    range["spec"]["limits"].as_array().into_iter().flatten().filter(move |limit| limit["type"] == of)
}

/// Gives every container what it does not say itself.
fn fill(range: &Value, pod: &mut Value) {
    let mut told = Vec::new();
    for (list, word) in [("containers", "container"), ("initContainers", "init container")] {
        for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or("").to_owned();
            for (member, defaults, what) in [("requests", "defaultRequest", "request"), ("limits", "default", "limit")] {
                let set = give(range, container, (member, defaults));
                if !set.is_empty() {
                    told.push(format!("{} {what} for {word} {name}", set.join(", ")));
                }
            }
        }
    }
    if !told.is_empty() {
        pod["metadata"]["annotations"][ANNOTATION] = Value::from(format!("LimitRanger plugin set: {}", told.join("; ")));
    }
}

/// Gives what is missing; which resources were.
fn give(range: &Value, container: &mut Value, (member, defaults): (&str, &str)) -> Vec<String> {
    let mut set = Vec::new();
    for (resource, amount) in limits(range, "Container").flat_map(|limit| limit[defaults].as_object().into_iter().flatten()) {
        let own = &mut container["resources"];
        if own[member].get(resource).is_none() {
            if !own[member].is_object() {
                own[member] = json!({});
            }
            own[member][resource] = amount.clone();
            set.push(resource.clone());
        }
    }
    set.sort();
    set
}

fn pod_faults(range: &Value, pod: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let lists = ["containers", "initContainers"].into_iter();
    let containers: Vec<&Value> = lists.flat_map(|list| pod["spec"][list].as_array().into_iter().flatten()).collect();
    for limit in limits(range, "Container") {
        for container in &containers {
            let resources = &container["resources"];
            compare(limit, (&amounts(&resources["requests"]), &amounts(&resources["limits"])), &mut faults);
        }
    }
    for limit in limits(range, "Pod") {
        compare(limit, (&total(pod, "requests"), &total(pod, "limits")), &mut faults);
    }
    faults
}

fn claim_faults(range: &Value, claim: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let requests = amounts(&claim["spec"]["resources"]["requests"]);
    for limit in limits(range, CLAIM) {
        let max = amounts(&limit["max"]);
        for (name, most) in &max {
            match requests.get(name) {
                None => faults.push(format!("maximum {name} usage per {CLAIM} is {most}.  No request is specified")),
                Some(own) if own > most => {
                    faults.push(format!("maximum {name} usage per {CLAIM} is {most}, but request is {own}"));
                }
                Some(_) => {}
            }
        }
        let least = json!({"type": CLAIM, "min": limit["min"]});
        compare(&least, (&requests, &Amounts::new()), &mut faults);
    }
    faults
}

fn compare(limit: &Value, (requests, limits): (&Amounts, &Amounts), faults: &mut Vec<String>) {
    let of = limit["type"].as_str().unwrap_or("");
    for (name, least) in &amounts(&limit["min"]) {
        match (requests.get(name), limits.get(name)) {
            (None, _) => faults.push(format!("minimum {name} usage per {of} is {least}.  No request is specified")),
            (Some(own), _) if own < least => {
                faults.push(format!("minimum {name} usage per {of} is {least}, but request is {own}"))
            }
            (_, Some(own)) if own < least => faults.push(format!("minimum {name} usage per {of} is {least}, but limit is {own}")),
            _ => {}
        }
    }
    for (name, most) in &amounts(&limit["max"]) {
        match (requests.get(name), limits.get(name)) {
            (_, None) => faults.push(format!("maximum {name} usage per {of} is {most}.  No limit is specified")),
            (_, Some(own)) if own > most => faults.push(format!("maximum {name} usage per {of} is {most}, but limit is {own}")),
            (Some(own), _) if own > most => faults.push(format!("maximum {name} usage per {of} is {most}, but request is {own}")),
            _ => {}
        }
    }
    for (name, most) in &amounts(&limit["maxLimitRequestRatio"]) {
        let head = format!("{name} max limit to request ratio per {of} is {most}, but");
        let some = |own: Option<&Quantity>| own.filter(|own| !own.is_zero()).copied();
        match (some(requests.get(name)), some(limits.get(name))) {
            (None, _) => faults.push(format!("{head} no request is specified or request is 0")),
            (_, None) => faults.push(format!("{head} no limit is specified or limit is 0")),
            (Some(request), Some(own)) => {
                let ratio = number(own) / number(request);
                if ratio > number(*most) {
                    faults.push(format!("{head} provided ratio is {ratio:.6}"));
                }
            }
        }
    }
}

/// What a pod needs altogether: its containers at once, or one of those before them, if that is more. A resource that not every
/// container names is not known.
fn total(pod: &Value, member: &str) -> Amounts {
    let list = |list: &str| -> Vec<Amounts> {
        let containers = pod["spec"][list].as_array().into_iter().flatten();
        containers.map(|container| amounts(&container["resources"][member])).collect()
    };
    let containers = list("containers");
    let mut sum = containers.first().cloned().unwrap_or_default();
    for other in containers.iter().skip(1) {
        sum = sum.iter().filter_map(|(name, own)| Some((name.clone(), own.plus(*other.get(name)?)?))).collect();
    }
    for (name, own) in list("initContainers").into_iter().flatten() {
        let most = sum.entry(name).or_insert(own);
        if own > *most {
            *most = own;
        }
    }
    sum
}

fn amounts(value: &Value) -> Amounts {
    let members = value.as_object().into_iter().flatten();
    members.filter_map(|(name, amount)| Some((name.clone(), Quantity::parse(amount.as_str()?).ok()?))).collect()
}

/// Near enough for a ratio.
fn number(quantity: Quantity) -> f64 {
    kinds::nanos(&quantity.to_string()).map_or(0.0, |nanos| nanos as f64 / 1e9)
}

const ANNOTATION: &str = "kubernetes.io/limit-ranger";
const CLAIM: &str = "PersistentVolumeClaim";

#[cfg(test)]
mod tests {
    use super::*;

    fn range(limit: Value) -> Value {
        json!({"spec": {"limits": [limit]}})
    }

    #[test]
    fn containers_get_what_they_do_not_say() {
        let range =
            range(json!({"type": "Container", "default": {"cpu": "500m", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"}}));
        let mut pod = json!({"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "2"}}}], "initContainers": [{"name": "i"}]}});
        fill(&range, &mut pod);
        assert_eq!(
            pod["spec"]["containers"][0]["resources"],
            json!({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "100m"}})
        );
        assert_eq!(
            pod["metadata"]["annotations"][ANNOTATION],
            "LimitRanger plugin set: cpu request for container c; memory limit for container c; cpu request for init container i; cpu, \
             memory limit for init container i"
        );
        let once = pod.clone();
        fill(&range, &mut pod);
        assert_eq!(pod, once);
    }

    #[test]
    fn faults() {
        let container = |requests: Value, limits: Value| json!({"resources": {"requests": requests, "limits": limits}});
        let rows = [
            (
                json!({"type": "Container", "max": {"cpu": "2"}}),
                json!({}),
                json!({"cpu": "3"}),
                "maximum cpu usage per Container is 2, but limit is 3",
            ),
            (
                json!({"type": "Container", "max": {"cpu": "2"}}),
                json!({}),
                json!({}),
                "maximum cpu usage per Container is 2.  No limit is specified",
            ),
            (
                json!({"type": "Container", "max": {"cpu": "2"}}),
                json!({"cpu": "3"}),
                json!({"cpu": "1"}),
                "maximum cpu usage per Container is 2, but request is 3",
            ),
            (
                json!({"type": "Container", "min": {"cpu": "100m"}}),
                json!({"cpu": "50m"}),
                json!({}),
                "minimum cpu usage per Container is 100m, but request is 50m",
            ),
            (
                json!({"type": "Container", "min": {"cpu": "100m"}}),
                json!({}),
                json!({}),
                "minimum cpu usage per Container is 100m.  No request is specified",
            ),
            (
                json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}}),
                json!({"cpu": "100m"}),
                json!({"cpu": "300m"}),
                "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
            ),
            (
                json!({"type": "Pod", "max": {"memory": "1Gi"}}),
                json!({}),
                json!({"memory": "2Gi"}),
                "maximum memory usage per Pod is 1Gi, but limit is 2Gi",
            ),
            (json!({"type": "Container", "max": {"cpu": "2"}}), json!({}), json!({"cpu": "2"}), ""),
        ];
        for (limit, requests, limits, expected) in rows {
            let pod = json!({"spec": {"containers": [container(requests, limits)]}});
            assert_eq!(pod_faults(&range(limit), &pod).join("; "), expected);
        }
    }

    #[test]
    fn a_pod_needs_the_sum_or_its_greediest_beginning() {
        let with = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
        let pod = json!({"spec": {"containers": [with("1"), with("500m")], "initContainers": [with("2")]}});
        assert_eq!(total(&pod, "requests")["cpu"].to_string(), "2");
        let pod = json!({"spec": {"containers": [with("1"), with("500m")], "initContainers": [with("1")]}});
        assert_eq!(total(&pod, "requests")["cpu"].to_string(), "1500m");
        let pod = json!({"spec": {"containers": [with("1"), {}]}});
        assert!(total(&pod, "requests").is_empty());
    }
}

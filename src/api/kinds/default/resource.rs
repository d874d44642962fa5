//! Lists of resources: rounded up to thousandths, and summed over the containers of a pod.

use std::collections::BTreeMap;

use serde_json::Value;

use super::member::{Members, each, is_zero, make, object, put, text};
use crate::schema::quantity::Quantity;

/// Rounds up the quantities of a resource list that are finer than a thousandth.
pub(super) fn round(members: &mut Members, name: &str) {
    for value in object(members, name).into_iter().flat_map(Members::values_mut) {
        if let Some(amount) = Quantity::of(value).filter(|amount| !amount.round_up(MILLI).equals(*amount)) {
            *value = Value::String(amount.round_up(MILLI).to_string());
        }
    }
}

/// Rounds `limits` and `requests` of a value field `resources`.
pub(super) fn round_requirements(members: &mut Members, name: &str) {
    if let Some(resources) = object(members, name) {
        round(resources, "limits");
        round(resources, "requests");
    }
}

/// Requests that are not said are the limits.
pub(super) fn request_limits(container: &mut Members) {
    let Some(resources) = object(container, "resources") else { return };
    let Some(limits) = object(resources, "limits").cloned() else { return };
    let Some(requests) = make(resources, "requests") else { return };
    for (name, limit) in limits {
        put(requests, &name, limit);
    }
}

/// The resources of a pod as a whole, where some are said: huge page limits and requests from its containers, requests from its limits.
pub(super) fn fill_pod(spec: &mut Members) {
    let (limits, requests) = (sum(spec, "limits"), sum(spec, "requests"));
    let Some(resources) = object(spec, "resources") else { return };
    if is_zero(resources, "limits") && is_zero(resources, "requests") {
        return;
    }
    for (name, amount) in limits.iter().filter(|(name, _)| name.starts_with(HUGE_PAGES)) {
        let requested = object(resources, "requests").is_some_and(|requests| requests.contains_key(name));
        if let Some(limits) = make(resources, "limits").filter(|_| !requested) {
            put(limits, name, amount.to_string());
        }
    }
    let limits = object(resources, "limits").cloned().unwrap_or_default();
    if limits.is_empty() {
        return;
    }
    let Some(of_pod) = make(resources, "requests") else { return };
    for (name, amount) in requests.iter().filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory")) {
        put(of_pod, name, amount.to_string());
    }
    for (name, limit) in limits {
        if matches!(name.as_str(), "cpu" | "memory") || name.starts_with(HUGE_PAGES) {
            put(of_pod, &name, limit);
        }
    }
    if of_pod.is_empty() {
        resources.remove("requests");
    }
}

type Amounts = BTreeMap<String, Quantity>;

/// What the containers of a pod need at once: all of them with their sidecars, or the neediest step of the initialisation.
fn sum(spec: &mut Members, which: &str) -> Amounts {
    let mut total = Amounts::new();
    each(spec, "containers", |container| add(&mut total, &amounts(container, which)));
    let (mut sidecars, mut initial) = (Amounts::new(), Amounts::new());
    each(spec, "initContainers", |container| {
        let own = amounts(container, which);
        let mut step = sidecars.clone();
        add(&mut step, &own);
        if text(container, "restartPolicy") == "Always" {
            add(&mut total, &own);
            sidecars.clone_from(&step);
        }
        max(&mut initial, step);
    });
    max(&mut total, initial);
    total
}

/// The same of a spec that is only read: name and printed amount.
pub(super) fn sum_of(spec: &Value, which: &str) -> Vec<(String, String)> {
    let mut copy = Members::new();
    for list in ["containers", "initContainers"] {
        let containers = spec[list].as_array().into_iter().flatten();
        let slim = containers.map(|container| {
            serde_json::json!({"resources": {which: container["resources"][which]}, "restartPolicy": container["restartPolicy"]})
        });
        copy.insert(list.to_owned(), slim.collect());
    }
    sum(&mut copy, which).into_iter().map(|(name, amount)| (name, amount.to_string())).collect()
}

fn amounts(container: &mut Members, which: &str) -> Amounts {
    let list = object(container, "resources").and_then(|resources| object(resources, which));
    let list = list.into_iter().flatten();
    list.filter_map(|(name, value)| Some((name.clone(), Quantity::of(value)?))).collect()
}

fn add(total: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = total.get(name).map_or(Some(*amount), |own| own.plus(*amount));
        total.insert(name.clone(), sum.unwrap_or(*amount));
    }
}

fn max(total: &mut Amounts, other: Amounts) {
    for (name, amount) in other {
        let most = total.entry(name).or_insert(amount);
        if amount > *most {
            *most = amount;
        }
    }
}

/// Rounds the resource lists of the containers' states.
pub(super) fn round_status(status: &mut Members) {
    for list in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
        each(status, list, |container| {
            round(container, "allocatedResources");
            round_requirements(container, "resources");
        });
    }
}

/// A list that is nil, or will be when it has been stored, becomes a copy of another.
pub(super) fn copy_list(members: &mut Members, from: &str, to: &str) {
    if let (true, Some(list @ Value::Object(_))) = (is_zero(members, to), members.get(from).cloned()) {
        members.insert(to.to_owned(), list);
    }
}

const HUGE_PAGES: &str = "hugepages-";
/// The power of ten of a thousandth.
const MILLI: i32 = -3;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Members, fill_pod, round};

    fn members(value: Value) -> Members {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn quantities_are_rounded_up_to_thousandths() {
        let rows = [
            (json!("0.0001"), json!("1m")),
            (json!("0.1n"), json!("1m")),
            (json!("1.0005"), json!("1001m")),
            (json!("1500u"), json!("2m")),
            (json!("1000u"), json!("1000u")),
            (json!("1e-4"), json!("1e-3")),
            (json!("1e-300"), json!("1e-3")),
            (json!(1e-300), json!("1e-3")),
            (json!("1e300"), json!("1e300")),
            (json!("-0.0001"), json!("-1m")),
            (json!("0.0001Ki"), json!("103m")),
            (json!("1Gi"), json!("1Gi")),
            (json!("100m"), json!("100m")),
            (json!("1.500"), json!("1.500")),
            (json!("12E"), json!("12E")),
            (json!("nonsense"), json!("nonsense")),
            (json!(0.0001), json!("1m")),
            (json!(2), json!(2)),
        ];
        for (sent, kept) in rows {
            let mut list = members(json!({"l": {"cpu": sent}}));
            round(&mut list, "l");
            assert_eq!(list["l"]["cpu"], kept, "{sent}");
        }
    }

    #[test]
    fn resources_of_a_pod_as_a_whole() {
        let container = |cpu: &str, memory: &str| json!({"resources": {"requests": {"cpu": cpu, "memory": memory}}});
        let mut sidecar = container("50m", "64Mi");
        sidecar["restartPolicy"] = json!("Always");
        let mut spec = members(json!({
            "containers": [container("100m", "64Mi"), container("200m", "64Mi")],
            "initContainers": [sidecar, container("1", "1Mi")],
            "resources": {"limits": {"cpu": "2", "hugepages-2Mi": "4Mi", "memory": "1Gi"}},
        }));
        fill_pod(&mut spec);
        assert_eq!(spec["resources"]["requests"], json!({"cpu": "1050m", "memory": "192Mi", "hugepages-2Mi": "4Mi"}));
        let mut spec = members(json!({"containers": [container("1", "1Mi")], "resources": {}}));
        fill_pod(&mut spec);
        assert_eq!(spec["resources"], json!({}));
    }
}

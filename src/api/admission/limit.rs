//! LimitRanger: containers get the amounts that a namespace has as defaults; what is too small, too big or too uneven is refused.

use serde_json::{Map, Value};

use super::amount::{self, Amounts, Overhead, Side, list};
use super::{Operation, Review, within};
use crate::api::Api;
use crate::schema::quantity::Quantity;
use crate::status::Status;

/// Amounts that a limit is held against, and what they are of: a container, a pod, a claim.
struct Held<'a> {
    kind: &'a str,
    requests: Amounts,
    limits: Amounts,
}

pub(super) fn admit(api: &Api, review: &Review<'_>, pod: &mut Value) {
    if !concerns(review) || review.kind.plural != "pods" {
        return;
    }
    for range in ranges(api, review) {
        fill(&range, pod);
    }
}

pub(super) fn check(api: &Api, review: &Review<'_>, object: Option<&Value>) -> Result<(), Status> {
    let Some(object) = object.filter(|_| concerns(review)) else { return Ok(()) };
    for range in ranges(api, review) {
        let mut faults = Vec::new();
        for limit in list(&range["spec"], "limits") {
            for held in held(limit["type"].as_str().unwrap_or(""), object, review.kind.plural == "pods") {
                held.check(limit, &mut faults);
            }
        }
        faults.dedup();
        match faults.as_slice() {
            [] => {}
            [one] => return Err(review.forbid(object, one)),
            many => return Err(review.forbid(object, format!("[{}]", many.join(", ")))),
        }
    }
    Ok(())
}

/// New pods, pods that are resized, and claims; not what is on its way out.
fn concerns(review: &Review<'_>) -> bool {
    let plural = review.kind.plural.as_str();
    let meant = match (review.subresource, review.operation) {
        ("", Operation::Create) => matches!(plural, "pods" | "persistentvolumeclaims"),
        ("", Operation::Update) => plural == "persistentvolumeclaims",
        ("resize", Operation::Update) => plural == "pods",
        _ => false,
    };
    meant && review.kind.group.is_empty() && review.old.is_none_or(|old| old["metadata"]["deletionTimestamp"].is_null())
}

fn ranges(api: &Api, review: &Review<'_>) -> Vec<Value> {
    let kind = api.catalog.find("", "v1", "limitranges");
    kind.map(|kind| within(api, kind, review.namespace)).unwrap_or_default().iter().map(|range| range.value()).collect()
}

/// Sets what containers leave open to the defaults, and says so in an annotation.
fn fill(range: &Value, pod: &mut Value) {
    let (mut requests, mut limits) = (Map::new(), Map::new());
    for limit in list(&range["spec"], "limits").filter(|limit| limit["type"] == "Container") {
        requests.extend(limit["defaultRequest"].as_object().cloned().unwrap_or_default());
        limits.extend(limit["default"].as_object().cloned().unwrap_or_default());
    }
    let mut told = Vec::new();
    for (containers, word) in [("containers", "container"), ("initContainers", "init container")] {
        for container in pod["spec"][containers].as_array_mut().into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or("").to_owned();
            for (member, defaults, side) in [("requests", &requests, "request"), ("limits", &limits, "limit")] {
                let set = complete(&mut container["resources"], member, defaults);
                if !set.is_empty() {
                    told.push(format!("{} {side} for {word} {name}", set.join(", ")));
                }
            }
        }
    }
    if !told.is_empty() {
        pod["metadata"]["annotations"][ANNOTATION] = Value::from(format!("LimitRanger plugin set: {}", told.join("; ")));
    }
}

/// The names of what was set, ordered.
fn complete(resources: &mut Value, member: &str, defaults: &Map<String, Value>) -> Vec<String> {
    let mut set: Vec<String> = defaults.keys().filter(|name| resources[member].get(name).is_none()).cloned().collect();
    set.sort_unstable();
    for name in &set {
        resources[member][name] = defaults[name].clone();
    }
    set
}

/// What a limit of this type is held against.
fn held<'a>(kind: &'a str, object: &Value, is_pod: bool) -> Vec<Held<'a>> {
    let spec = &object["spec"];
    let own = |of: &Value| Held {
        kind,
        requests: amount::of(&of["resources"]["requests"]),
        limits: amount::of(&of["resources"]["limits"]),
    };
    let whole = |side| amount::pod(spec, side, Overhead::Ignored);
    match (kind, is_pod) {
        ("Container", true) => list(spec, "containers").chain(list(spec, "initContainers")).map(own).collect(),
        ("Pod", true) => vec![Held { kind, requests: whole(Side::Requests), limits: whole(Side::Limits) }],
        ("PersistentVolumeClaim", false) => vec![Held { limits: Amounts::new(), ..own(spec) }],
        _ => Vec::new(),
    }
}

impl Held<'_> {
    fn check(&self, limit: &Value, faults: &mut Vec<String>) {
        for (name, least) in amount::of(&limit["min"]) {
            faults.extend(self.least(&name, least));
        }
        for (name, most) in amount::of(&limit["max"]) {
            let of_claim = self.kind == "PersistentVolumeClaim";
            faults.extend(if of_claim { self.most_requested(&name, most) } else { self.most(&name, most) });
        }
        for (name, ratio) in amount::of(&limit["maxLimitRequestRatio"]) {
            faults.extend(self.ratio(&name, ratio));
        }
    }

    fn least(&self, name: &str, least: Quantity) -> Option<String> {
        let head = format!("minimum {name} usage per {} is {least}", self.kind);
        match (self.requests.get(name), self.limits.get(name)) {
            (None, _) => Some(format!("{head}.  No request is specified")),
            (Some(request), _) if *request < least => Some(format!("{head}, but request is {request}")),
            (_, Some(limit)) if *limit < least => Some(format!("{head}, but limit is {limit}")),
            _ => None,
        }
    }

    fn most(&self, name: &str, most: Quantity) -> Option<String> {
        let head = format!("maximum {name} usage per {} is {most}", self.kind);
        match (self.limits.get(name), self.requests.get(name)) {
            (None, _) => Some(format!("{head}.  No limit is specified")),
            (Some(limit), _) if *limit > most => Some(format!("{head}, but limit is {limit}")),
            (_, Some(request)) if *request > most => Some(format!("{head}, but request is {request}")),
            _ => None,
        }
    }

    fn most_requested(&self, name: &str, most: Quantity) -> Option<String> {
        let head = format!("maximum {name} usage per {} is {most}", self.kind);
        match self.requests.get(name) {
            None => Some(format!("{head}.  No request is specified")),
            Some(request) if *request > most => Some(format!("{head}, but request is {request}")),
            Some(_) => None,
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "kube-apiserver prints what a double makes of it")]
    fn ratio(&self, name: &str, ratio: Quantity) -> Option<String> {
        let head = format!("{name} max limit to request ratio per {} is {ratio}", self.kind);
        let thousandths = |amount: &Quantity| amount.thousandths().filter(|amount| *amount != 0);
        let Some(request) = self.requests.get(name).and_then(thousandths) else {
            return Some(format!("{head}, but no request is specified or request is 0"));
        };
        let Some(limit) = self.limits.get(name).and_then(thousandths) else {
            return Some(format!("{head}, but no limit is specified or limit is 0"));
        };
        let own = limit as f64 / request as f64;
        let most = ratio.thousandths().unwrap_or(i64::MAX) as f64;
        (own * 1000.0 > most).then(|| format!("{head}, but provided ratio is {own:.6}"))
    }
}

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(limit: &Value, pod: &Value) -> String {
        let mut faults = Vec::new();
        for held in held(limit["type"].as_str().expect("a type"), pod, pod["spec"]["containers"].is_array()) {
            held.check(limit, &mut faults);
        }
        faults.join("; ")
    }

    #[test]
    fn defaults_are_set_and_told() {
        let range = json!({"spec": {"limits": [
            {"type": "Container", "default": {"cpu": "500m", "memory": "256Mi"}, "defaultRequest": {"cpu": "100m", "memory": "256Mi"}},
            {"type": "Pod", "max": {"cpu": "2"}}]}});
        let mut pod = json!({"metadata": {}, "spec": {"containers": [{"name": "a"}, {"name": "b", "resources": {"limits": {"cpu": "1", "memory": "1Mi"}, "requests": {"cpu": "1"}}}],
            "initContainers": [{"name": "i", "resources": {"limits": {"cpu": "1", "memory": "1Mi"}}}]}});
        fill(&range, &mut pod);
        assert_eq!(pod["spec"]["containers"][0]["resources"]["requests"], json!({"cpu": "100m", "memory": "256Mi"}));
        assert_eq!(pod["spec"]["containers"][1]["resources"]["limits"], json!({"cpu": "1", "memory": "1Mi"}));
        assert_eq!(
            pod["metadata"]["annotations"][ANNOTATION],
            "LimitRanger plugin set: cpu, memory request for container a; cpu, memory limit for container a; \
             memory request for container b; cpu, memory request for init container i"
        );
    }

    #[test]
    fn too_little_too_much_too_uneven() {
        let with = |resources: Value| json!({"spec": {"containers": [{"name": "c", "resources": resources}]}});
        #[rustfmt::skip]
        let rows = [
            (json!({"type": "Container", "max": {"cpu": "2"}}), with(json!({"limits": {"cpu": "3"}})), "maximum cpu usage per Container is 2, but limit is 3"),
            (json!({"type": "Container", "max": {"cpu": "2"}}), with(json!({})), "maximum cpu usage per Container is 2.  No limit is specified"),
            (json!({"type": "Container", "min": {"cpu": "2"}}), with(json!({"requests": {"cpu": "1"}})), "minimum cpu usage per Container is 2, but request is 1"),
            (json!({"type": "Container", "min": {"memory": "1Gi"}}), with(json!({})), "minimum memory usage per Container is 1Gi.  No request is specified"),
            (json!({"type": "Pod", "max": {"memory": "1Gi"}}), with(json!({"limits": {"memory": "2Gi"}})), "maximum memory usage per Pod is 1Gi, but limit is 2Gi"),
            (json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}}), with(json!({"limits": {"cpu": "3"}, "requests": {"cpu": "1"}})), "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"),
            (json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}}), with(json!({"limits": {"cpu": "2"}, "requests": {"cpu": "1"}})), ""),
            (json!({"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}), json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}}), "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"),
            (json!({"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}), with(json!({})), ""),
        ];
        for (limit, pod, expected) in rows {
            assert_eq!(faults(&limit, &pod), expected, "{limit} {pod}");
        }
    }
}

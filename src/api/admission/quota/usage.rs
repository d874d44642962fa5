//! What one object uses of a quota, and which quotas it falls under. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::catalog::Kind;
use crate::api::kinds::{is_empty, qos};
use crate::schema::quantity::Quantity;

/// Amounts by resource.
pub(in crate::api) type Amounts = BTreeMap<String, Quantity>;

/// What an object uses.
pub(in crate::api) fn usage(kind: &Kind, object: &Value) -> Amounts {
    let mut used = Amounts::new();
    let counted = match kind.group.as_str() {
        "" => format!("count/{}", kind.plural),
        group => format!("count/{}.{group}", kind.plural),
    };
    used.insert(counted, number(1));
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => pod(object, &mut used),
        ("", "persistentvolumeclaims") => claim(object, &mut used),
        ("", "services") => service(object, &mut used),
        ("", plural @ ("configmaps" | "secrets" | "replicationcontrollers" | "resourcequotas")) => {
            used.insert(plural.to_owned(), number(1));
        }
        _ => {}
    }
    used
}

/// Whether a quota with these scopes counts an object.
pub(in crate::api) fn is_in_scope(kind: &Kind, quota: &Value, object: &Value) -> bool {
    let named = quota["spec"]["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut named = named.map(|scope| (scope, "Exists", &Value::Null));
    let selected = quota["spec"]["scopeSelector"]["matchExpressions"].as_array().into_iter().flatten();
    let mut selected = selected.map(|term| {
        let text = |member: &str| term[member].as_str().unwrap_or("");
        (text("scopeName"), text("operator"), &term["values"])
    });
    let mut meets = |(scope, operator, values)| {
        (kind.group.as_str(), kind.plural.as_str()) == ("", "pods") && matches(scope, (operator, values), object)
    };
    named.all(&mut meets) && selected.all(&mut meets)
}

/// The containers of a pod that do not say what a quota counts: `must specify ...`, or nothing.
pub(super) fn unsaid(hard: &Amounts, pod: &Value) -> Option<String> {
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for resource in hard.keys().filter(|resource| is_compute(resource)) {
        let (member, name) = place(resource);
        for list in ["containers", "initContainers"] {
            for container in pod["spec"][list].as_array().into_iter().flatten() {
                if container["resources"][member].get(name).is_none() {
                    missing.entry(resource).or_default().push(container["name"].as_str().unwrap_or(""));
                }
            }
        }
    }
    if missing.is_empty() {
        return None;
    }
    let told = missing.into_iter().map(|(resource, mut names)| {
        names.sort_unstable();
        names.dedup();
        format!("{resource} for: {}", names.join(","))
    });
    Some(format!("must specify {}", told.collect::<Vec<_>>().join("; ")))
}

pub(super) fn number(count: usize) -> Quantity {
    Quantity::parse(&count.to_string()).unwrap_or_else(|_| unreachable!("digits are a quantity"))
}

fn pod(pod: &Value, used: &mut Amounts) {
    // What has ended is only counted as an object.
    if matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded")) {
        return;
    }
    used.insert("pods".to_owned(), number(1));
    for (name, amount) in total(pod, "requests") {
        match name.as_str() {
            "cpu" | "memory" | "ephemeral-storage" => {
                used.insert(name.clone(), amount);
            }
            other if other.starts_with("hugepages-") => {
                used.insert(name.clone(), amount);
            }
            _ => {}
        }
        used.insert(format!("requests.{name}"), amount);
    }
    used.extend(total(pod, "limits").into_iter().map(|(name, amount)| (format!("limits.{name}"), amount)));
}

/// What a pod needs altogether: its containers at once and what runs beside them, or one of those before them if that is more, and
/// its overhead.
fn total(pod: &Value, member: &str) -> Amounts {
    let mut sum = Amounts::new();
    let mut most = Amounts::new();
    let add = |sum: &mut Amounts, more: Amounts| {
        for (name, amount) in more {
            let grown = sum.get(&name).map_or(Some(amount), |own| own.plus(amount)).unwrap_or(amount);
            sum.insert(name, grown);
        }
    };
    for container in pod["spec"]["initContainers"].as_array().into_iter().flatten() {
        let own = amounts(&container["resources"][member]);
        let mut beside = sum.clone();
        add(&mut beside, own.clone());
        raise(&mut most, beside);
        if container["restartPolicy"] == "Always" {
            add(&mut sum, own);
        }
    }
    for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
        add(&mut sum, amounts(&container["resources"][member]));
    }
    raise(&mut sum, most);
    if !sum.is_empty() {
        add(&mut sum, amounts(&pod["spec"]["overhead"]));
    }
    sum
}

fn raise(own: &mut Amounts, other: Amounts) {
    for (name, amount) in other {
        let least = own.entry(name).or_insert(amount);
        if amount > *least {
            *least = amount;
        }
    }
}

fn claim(claim: &Value, used: &mut Amounts) {
    used.insert("persistentvolumeclaims".to_owned(), number(1));
    let storage = claim["spec"]["resources"]["requests"]["storage"].as_str().and_then(|text| Quantity::parse(text).ok());
    let class = claim["spec"]["storageClassName"].as_str().filter(|class| !class.is_empty());
    if let Some(class) = class {
        used.insert(format!("{class}.storageclass.storage.k8s.io/persistentvolumeclaims"), number(1));
    }
    let Some(storage) = storage else { return };
    used.insert("requests.storage".to_owned(), storage);
    if let Some(class) = class {
        used.insert(format!("{class}.storageclass.storage.k8s.io/requests.storage"), storage);
    }
}

fn service(service: &Value, used: &mut Amounts) {
    used.insert("services".to_owned(), number(1));
    let spec = &service["spec"];
    let ports = spec["ports"].as_array().map_or(0, Vec::len);
    match spec["type"].as_str() {
        Some("NodePort") => {
            used.insert("services.nodeports".to_owned(), number(ports));
        }
        Some("LoadBalancer") => {
            used.insert("services.loadbalancers".to_owned(), number(1));
            let ports = if spec["allocateLoadBalancerNodePorts"] == false { 0 } else { ports };
            used.insert("services.nodeports".to_owned(), number(ports));
        }
        _ => {}
    }
}

fn matches(scope: &str, (operator, values): (&str, &Value), pod: &Value) -> bool {
    let spec = &pod["spec"];
    match scope {
        "Terminating" => spec["activeDeadlineSeconds"].is_number(),
        "NotTerminating" => !spec["activeDeadlineSeconds"].is_number(),
        "BestEffort" => qos(spec) == "BestEffort",
        "NotBestEffort" => qos(spec) != "BestEffort",
        "CrossNamespacePodAffinity" => {
            ["podAffinity", "podAntiAffinity"].iter().any(|member| crosses(&spec["affinity"][*member]))
        }
        "PriorityClass" => {
            let class = spec["priorityClassName"].as_str().unwrap_or("");
            let listed = values.as_array().is_some_and(|values| values.iter().any(|value| value == class));
            match operator {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => !class.is_empty(),
                "DoesNotExist" => class.is_empty(),
                _ => false,
            }
        }
        _ => false,
    }
}

/// Whether a term looks into other namespaces.
fn crosses(affinity: &Value) -> bool {
    let required = affinity["requiredDuringSchedulingIgnoredDuringExecution"].as_array().into_iter().flatten();
    let preferred = affinity["preferredDuringSchedulingIgnoredDuringExecution"].as_array().into_iter().flatten();
    let mut terms = required.chain(preferred.map(|term| &term["podAffinityTerm"]));
    terms.any(|term| !is_empty(&term["namespaces"]) || !term["namespaceSelector"].is_null())
}

/// Resources that every container has to name where a quota counts them.
fn is_compute(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory" | "requests.cpu" | "requests.memory" | "limits.cpu" | "limits.memory")
}

/// Where a container names a resource of a quota.
fn place(resource: &str) -> (&'static str, &str) {
    match resource.split_once('.') {
        Some(("limits", name)) => ("limits", name),
        Some(("requests", name)) => ("requests", name),
        _ => ("requests", resource),
    }
}

pub(in crate::api) fn amounts(value: &Value) -> Amounts {
    let members = value.as_object().into_iter().flatten();
    members.filter_map(|(name, amount)| Some((name.clone(), Quantity::parse(amount.as_str()?).ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::catalog::Catalog;

    fn told(group: &str, plural: &str, object: Value) -> String {
        let catalog = Catalog::builtin();
        let kind = catalog.find(group, "v1", plural).expect("a kind");
        let used = usage(kind, &object);
        used.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_objects_use() {
        let container = |cpu: &str| json!({"name": "c", "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": "2"}}});
        let mut sidecar = container("100m");
        sidecar["restartPolicy"] = json!("Always");
        let rows = [
            (("", "configmaps"), json!({}), "configmaps=1 count/configmaps=1"),
            (("apps", "deployments"), json!({}), "count/deployments.apps=1"),
            (
                ("", "pods"),
                json!({"spec": {"containers": [container("1"), container("500m")], "initContainers": [container("2")]}}),
                "count/pods=1 cpu=2 limits.cpu=4 pods=1 requests.cpu=2",
            ),
            (
                ("", "pods"),
                json!({"spec": {"containers": [container("1")], "initContainers": [sidecar]}}),
                "count/pods=1 cpu=1100m limits.cpu=4 pods=1 requests.cpu=1100m",
            ),
            (("", "pods"), json!({"status": {"phase": "Failed"}}), "count/pods=1"),
            (
                ("", "services"),
                json!({"spec": {"type": "LoadBalancer", "ports": [1, 2]}}),
                "count/services=1 services=1 services.loadbalancers=1 services.nodeports=2",
            ),
            (
                ("", "persistentvolumeclaims"),
                json!({"spec": {"storageClassName": "s", "resources": {"requests": {"storage": "1Gi"}}}}),
                "count/persistentvolumeclaims=1 persistentvolumeclaims=1 requests.storage=1Gi \
                 s.storageclass.storage.k8s.io/persistentvolumeclaims=1 s.storageclass.storage.k8s.io/requests.storage=1Gi",
            ),
        ];
        for ((group, plural), object, expected) in rows {
            assert_eq!(told(group, plural, object), expected);
        }
    }

    #[test]
    fn scopes() {
        let catalog = Catalog::builtin();
        let pods = catalog.find("", "v1", "pods").expect("pods");
        let class = |operator: &str| json!({"spec": {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": operator, "values": ["high"]}]}}});
        let pod = json!({"spec": {"priorityClassName": "high", "containers": [{"name": "c"}]}});
        for (quota, expected) in [
            (json!({"spec": {}}), true),
            (json!({"spec": {"scopes": ["BestEffort"]}}), true),
            (json!({"spec": {"scopes": ["NotBestEffort"]}}), false),
            (json!({"spec": {"scopes": ["Terminating"]}}), false),
            (json!({"spec": {"scopes": ["NotTerminating", "BestEffort"]}}), true),
            (class("In"), true),
            (class("NotIn"), false),
            (class("Exists"), true),
            (json!({"spec": {"scopes": ["Unknown"]}}), false),
        ] {
            assert_eq!(is_in_scope(pods, &quota, &pod), expected, "{quota}");
        }
        let maps = catalog.find("", "v1", "configmaps").expect("config maps");
        assert!(!is_in_scope(maps, &json!({"spec": {"scopes": ["NotTerminating"]}}), &json!({})));
    }

    #[test]
    fn what_must_be_said() {
        let pod = json!({"spec": {"containers": [{"name": "b"}, {"name": "a", "resources": {"requests": {"cpu": "1"}}}]}});
        let hard = |text: Value| amounts(&text);
        assert_eq!(unsaid(&hard(json!({"pods": "1"})), &pod), None);
        assert_eq!(
            unsaid(&hard(json!({"requests.cpu": "1", "limits.memory": "1Gi"})), &pod).as_deref(),
            Some("must specify limits.memory for: a,b; requests.cpu for: b")
        );
    }
}

//! Names and amounts of resources.

use crate::api::meta::name;
use crate::schema::quantity::Quantity;

/// The value in thousand-millionths; `None` for what is no quantity. Saturates.
pub(crate) fn nanos(text: &str) -> Option<i128> {
    Quantity::parse(text).ok().map(Quantity::nanos)
}

/// Why a container can have no resource of this name.
pub(super) fn name_faults(resource: &str) -> Vec<String> {
    let mut faults = name::qualified(resource);
    let known = faults.is_empty();
    if let Some((domain, _)) = resource.split_once('/') {
        let native = domain == "kubernetes.io" || domain.ends_with(".kubernetes.io");
        let quota = name::qualified(&format!("requests.{resource}"));
        if !native && (resource.starts_with("requests.") || !quota.is_empty()) {
            faults.push("doesn't follow extended resource name standard".to_owned());
        }
    } else if !is_of_container(resource) {
        if known && !is_standard(resource) {
            faults.push("must be a standard resource type or fully qualified".to_owned());
        }
        faults.push("must be a standard resource for containers".to_owned());
    }
    faults
}

fn is_of_container(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory" | "ephemeral-storage") || resource.starts_with("hugepages-")
}

/// Whether a quota knows a resource of this name.
fn is_standard(resource: &str) -> bool {
    resource.strip_prefix("requests.").is_some_and(|own| is_of_container(own) || own == "storage")
        || resource.strip_prefix("limits.").is_some_and(is_of_container)
        || STANDARD.contains(&resource)
}

const STANDARD: [&str; 10] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "services.nodeports",
    "services.loadbalancers",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (text, expected) in [
            ("1", Some(1_000_000_000)),
            ("500m", Some(500_000_000)),
            ("0.5", Some(500_000_000)),
            ("1Ki", Some(1_024_000_000_000)),
            ("1.5Gi", Some(1_610_612_736_000_000_000)),
            ("1e3", Some(1_000_000_000_000)),
            ("-1", Some(-1_000_000_000)),
            ("1n", Some(1)),
            ("1e100", Some(i128::MAX)),
            ("", None),
            ("x", None),
            ("1x", None),
        ] {
            assert_eq!(nanos(text), expected, "{text}");
        }
    }

    #[test]
    fn names() {
        for (resource, count) in [("cpu", 0), ("hugepages-2Mi", 0), ("example.com/x", 0), ("foo", 2), ("pods", 1), ("-x", 2)] {
            assert_eq!(name_faults(resource).len(), count, "{resource}");
        }
    }
}

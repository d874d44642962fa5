//! The rules of resources: their names, their amounts, what is requested against what is the limit, and claims.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, is_full};
use crate::api::kinds::quantity::nanos;
use crate::api::meta::name;
use crate::schema::quantity::Quantity;

/// Tells the faults of a resource's name.
type NameCheck = fn(&Field<'_, '_>, &str, &mut Vec<FieldError>);

/// The resources of a container.
pub(super) fn check(resources: &Field<'_, '_>, claims: &HashSet<&str>, errors: &mut Vec<FieldError>) {
    if !resources.is_empty() {
        check_requirements(resources, container_name, claims, errors);
    }
}

/// What a pod costs beyond its containers.
pub(in crate::api::kinds) fn check_overhead(overhead: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let limits = serde_json::json!({"limits": overhead.value()});
    check_requirements(&overhead.with(&limits), container_name, &HashSet::new(), errors);
}

/// The resources of a pod as a whole.
pub(super) fn check_pod(spec: &Field<'_, '_>, claims: &HashSet<&str>, errors: &mut Vec<FieldError>) {
    let resources = spec.at("resources");
    if resources.is_absent() {
        return;
    }
    if spec.value()["os"]["name"] == "windows" {
        errors.push(resources.forbidden("may not be set for a windows pod"));
        return;
    }
    if !resources.at("claims").is_absent() {
        errors.push(resources.at("claims").forbidden("claims may not be set for Resources at pod-level"));
    }
    check_requirements(&resources, pod_name, claims, errors);
    check_sums(spec, &resources, errors);
}

fn check_requirements(resources: &Field<'_, '_>, check: NameCheck, claims: &HashSet<&str>, errors: &mut Vec<FieldError>) {
    let (limits, requests) = (resources.at("limits"), resources.at("requests"));
    let (mut huge, mut computes) = (false, false);
    for (own, amount) in limits.entries() {
        if is_full(errors) {
            return;
        }
        check(&amount, own, errors);
        check_amount(own, &amount, errors);
        huge |= check_pages(own, (&amount, &amount), errors);
        computes |= matches!(own, "cpu" | "memory");
    }
    for (own, amount) in requests.entries() {
        if is_full(errors) {
            return;
        }
        check(&amount, own, errors);
        check_amount(own, &amount, errors);
        check_limit(own, &amount, (&requests, &limits), errors);
        huge |= check_pages(own, (&amount, &amount), errors);
        computes |= matches!(own, "cpu" | "memory");
    }
    if huge && !computes {
        errors.push(resources.forbidden("HugePages require cpu or memory"));
    }
    check_claims(&resources.at("claims"), claims, errors);
}

/// A request is at most the limit; what cannot be shared is exactly it.
fn check_limit(
    own: &str,
    amount: &Field<'_, '_>,
    (requests, limits): (&Field<'_, '_>, &Field<'_, '_>),
    errors: &mut Vec<FieldError>,
) {
    let shared = is_native(own) && !is_huge(own);
    let limit = limits.key(own);
    if limit.is_absent() {
        if !shared {
            errors.push(limits.required("Limit must be set for non overcommitable resources"));
        }
        return;
    }
    let (wished, most) = (nanos(amount.text()), nanos(limit.text()));
    if wished != most && !shared {
        errors.push(requests.invalid_text(amount.text(), &format!("must be equal to {own} limit of {}", limit.text())));
    } else if wished > most {
        errors.push(
            requests.invalid_text(amount.text(), &format!("must be less than or equal to {own} limit of {}", limit.text())),
        );
    }
}

/// An amount: not negative, and whole where only whole ones mean something.
fn check_amount(own: &str, amount: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let Some(value) = nanos(amount.text()) else { return };
    if value < 0 {
        errors.push(amount.invalid("must be greater than or equal to 0"));
    }
    if value % 1_000_000_000 != 0 && (is_extended(own) || WHOLE.contains(&own)) {
        errors.push(amount.invalid("must be an integer"));
    }
}

/// Huge pages come whole. Whether this is about them.
fn check_pages(own: &str, (amount, told): (&Field<'_, '_>, &Field<'_, '_>), errors: &mut Vec<FieldError>) -> bool {
    let Some(size) = own.strip_prefix(HUGE) else { return false };
    let whole = match (nanos(size), Quantity::parse(amount.text())) {
        (Some(size), Ok(amount)) if size > 0 && size % 1_000_000_000 == 0 => {
            i128::from(amount.value()) % (size / 1_000_000_000) == 0
        }
        _ => false,
    };
    if !whole {
        errors.push(told.invalid(&format!("{} is not positive integer multiple of {own}", amount.text())));
    }
    true
}

fn check_claims(list: &Field<'_, '_>, known: &HashSet<&str>, errors: &mut Vec<FieldError>) {
    let mut taken: HashSet<String> = HashSet::new();
    let mut requests: HashMap<&str, usize> = HashMap::new();
    for claim in list.items() {
        if is_full(errors) {
            return;
        }
        let (own, request) = (claim.at("name").text(), claim.at("request"));
        if own.is_empty() {
            errors.push(claim.required(""));
            continue;
        }
        if taken.contains(own) {
            errors.push(claim.duplicate_of(own));
        } else {
            request.named(name::label, errors);
            let key = if request.is_empty() { own.to_owned() } else { format!("{own}/{}", request.text()) };
            if taken.contains(&key) {
                errors.push(claim.duplicate_of(&key));
            } else if request.is_empty() {
                let others = requests.get(own).copied().unwrap_or(0).min(1000);
                errors.extend((0..others).map(|_| claim.duplicate_of(own)));
            } else {
                *requests.entry(own).or_default() += 1;
            }
            taken.insert(key);
        }
        if !known.contains(own) {
            errors.push(unknown_claim(&claim, own, known));
        }
    }
}

fn unknown_claim(claim: &Field<'_, '_>, own: &str, known: &HashSet<&str>) -> FieldError {
    let mut names: Vec<&str> = known.iter().copied().collect();
    names.sort_unstable();
    let rest = if names.is_empty() { " which is empty".to_owned() } else { format!(": {}", names.join(", ")) };
    FieldError::not_found(claim.to_string(), &Value::from(own))
        .telling(&format!("must be one of the names in pod.spec.resourceClaims{rest}"))
}

/// The containers of a pod together may not wish more than the pod.
fn check_sums(spec: &Field<'_, '_>, resources: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    for (list, is_told) in [("requests", (|_| true) as fn(&str) -> bool), ("limits", is_huge)] {
        let of_pod = resources.at(list);
        for (own, sum) in crate::api::kinds::default::sum(spec.value(), list) {
            let most = of_pod.key(&own);
            if most.is_absent() || !is_told(&own) {
                continue;
            }
            if nanos(&sum) > nanos(most.text()) {
                errors.push(most.invalid(&format!("must be greater than or equal to aggregate container {list} of {sum}")));
            }
        }
    }
    let (limits, containers) = (resources.at("limits"), spec.at("containers"));
    let told = resources.at("containers");
    let told = told.with(containers.value());
    for container in told.items() {
        let own = &container.value()["resources"]["limits"];
        for (resource, limit) in own.as_object().into_iter().flatten() {
            let most = limits.key(resource);
            if is_full(errors) {
                return;
            }
            let limit = limit.as_str().unwrap_or("");
            if !most.is_absent() && nanos(limit) > nanos(most.text()) {
                let fault = format!("must be less than or equal to pod limits of {}", most.text());
                errors.push(container.key(resource).at("limits").invalid_text(limit, &fault));
            }
        }
    }
}

fn container_name(told: &Field<'_, '_>, own: &str, errors: &mut Vec<FieldError>) {
    check_name(told, own, errors);
    if !own.contains('/') {
        if !matches!(own, "cpu" | "memory" | "ephemeral-storage") && !is_huge(own) {
            errors.push(told.invalid_text(own, "must be a standard resource for containers"));
        }
    } else if !is_native(own) && !is_extended(own) {
        errors.push(told.invalid_text(own, "doesn't follow extended resource name standard"));
    }
}

fn pod_name(told: &Field<'_, '_>, own: &str, errors: &mut Vec<FieldError>) {
    let before = errors.len();
    check_name(told, own, errors);
    if errors.len() == before && !matches!(own, "cpu" | "memory") && !is_huge(own) {
        errors.push(FieldError::unsupported(told.to_string(), &Value::from(own), &["cpu", HUGE, "memory"]));
    }
}

fn check_name(told: &Field<'_, '_>, own: &str, errors: &mut Vec<FieldError>) {
    let faults = name::qualified(own);
    errors.extend(faults.iter().map(|fault| told.invalid_text(own, fault)));
    if faults.is_empty() && !own.contains('/') && !STANDARD.contains(&own) && !is_huge(own.trim_start_matches("requests.")) {
        errors.push(told.invalid_text(own, "must be a standard resource type or fully qualified"));
    }
}

fn is_huge(own: &str) -> bool {
    own.starts_with(HUGE)
}

/// Whether Kubernetes itself knows what a resource is.
fn is_native(own: &str) -> bool {
    !own.contains('/') || own.contains("kubernetes.io/")
}

fn is_extended(own: &str) -> bool {
    !is_native(own) && !own.starts_with("requests.") && name::qualified(&format!("requests.{own}")).is_empty()
}

const HUGE: &str = "hugepages-";

const WHOLE: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

const STANDARD: [&str; 20] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];

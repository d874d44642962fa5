//! ResourceQuotas, and the names and amounts of resources.

use serde_json::Value;

use super::field::Field;
use super::format;
use crate::api::error::{self, FieldError};
use crate::api::meta::name;

type Errors = Vec<FieldError>;

/// How many of the counted resources each scope cannot have.
struct Misfits([usize; SCOPES.len()]);

impl Misfits {
    fn of(hard: &Field<'_, '_>) -> Self {
        Self(SCOPES.map(|scope| hard.entries().filter(|(resource, _)| !fits(scope, resource)).count()))
    }

    fn count(&self, scope: &str) -> usize {
        SCOPES.iter().position(|known| *known == scope).map_or(0, |at| self.0[at])
    }
}

/// The faults of a quota.
pub(super) fn check(new: &Value, old: Option<&Value>, errors: &mut Errors) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    check_list(&spec.at("hard"), errors);
    check_scopes(&spec, errors);
    check_selector(&spec, errors);
    if old.is_none() {
        check_status(new, errors);
    }
}

/// The faults of a new state.
pub(super) fn check_status(new: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    let status = root.at("status");
    check_list(&status.at("hard"), errors);
    check_list(&status.at("used"), errors);
}

/// The faults of a change: what is counted stays.
pub(super) fn check_change(new: &Value, old: &Value, errors: &mut Errors) {
    let set = |quota: &Value| {
        let mut scopes: Vec<String> = format::texts(&quota["spec"]["scopes"]).into_iter().map(str::to_owned).collect();
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    };
    if set(new) != set(old) {
        errors.push(FieldError::invalid("spec.scopes", &new["spec"]["scopes"], format::IMMUTABLE));
    }
}

/// The faults of an amount of a resource.
pub(super) fn check_amount(field: &Field<'_, '_>, resource: &str, errors: &mut Errors) {
    format::not_negative(field, errors);
    let thousandths = format::amount(field.value()).thousandths();
    if (WHOLE.contains(&resource) || is_extended(resource)) && thousandths.is_some_and(|amount| amount % 1000 != 0) {
        errors.push(field.invalid("must be an integer"));
    }
}

/// The faults of a resource's name.
pub(super) fn check_name(path: &Field<'_, '_>, resource: &str, errors: &mut Errors) {
    let faults = name::qualified(resource);
    let refuse = |fault: &str| FieldError::invalid_text(path.to_string(), resource, fault);
    errors.extend(faults.iter().map(|fault| refuse(fault)));
    let known = STANDARD.contains(&resource) || resource == "storage" || is_huge(resource);
    if faults.is_empty() && !resource.contains('/') && !known {
        errors.push(refuse("must be a standard resource type or fully qualified"));
    }
}

/// The faults of the name of a resource that a container has.
pub(super) fn check_container_name(path: &Field<'_, '_>, resource: &str, errors: &mut Errors) {
    check_name(path, resource, errors);
    let refuse = |fault: &str| FieldError::invalid_text(path.to_string(), resource, fault);
    if !resource.contains('/') {
        if !["cpu", "memory", "ephemeral-storage"].contains(&resource) && !resource.starts_with("hugepages-") {
            errors.push(refuse("must be a standard resource for containers"));
        }
    } else if !is_native(resource) && !is_extended(resource) {
        errors.push(refuse("doesn't follow extended resource name standard"));
    }
}

/// Whether more of a resource may be promised than there is.
pub(super) fn may_overcommit(resource: &str) -> bool {
    is_native(resource) && !resource.starts_with("hugepages-")
}

fn check_list(list: &Field<'_, '_>, errors: &mut Errors) {
    for (resource, amount) in list.entries() {
        check_name(&amount, resource, errors);
        if !resource.contains('/') && !is_counted(resource) {
            errors.push(FieldError::invalid_text(amount.to_string(), resource, "must be a standard resource for quota"));
        }
        check_amount(&amount, resource, errors);
    }
}

fn check_scopes(spec: &Field<'_, '_>, errors: &mut Errors) {
    let scopes = spec.at("scopes");
    let misfits = Misfits::of(&spec.at("hard"));
    let shown = error::printed(scopes.value());
    let most = most(&shown);
    for scope in scopes.items() {
        if !SCOPES.contains(&scope.text()) {
            errors.push(scopes.invalid("unsupported scope"));
        }
        let count = misfits.count(scope.text()).min(most);
        errors.extend((0..count).map(|_| scopes.invalid("unsupported scope applied to resource")));
        if errors.len() > most {
            return;
        }
    }
    check_pairs(&format::texts(scopes.value()), (&scopes, scopes.value()), errors);
}

fn check_selector(spec: &Field<'_, '_>, errors: &mut Errors) {
    let selector = spec.at("scopeSelector");
    let list = selector.at("matchExpressions");
    if list.is_empty() {
        return;
    }
    let misfits = Misfits::of(&spec.at("hard"));
    let whole = format::invalid_as(&selector.as_at("matchExpressions"), "ScopeSelector", "unsupported scope applied to resource");
    let most = most(&whole.body);
    let mut scopes = Vec::new();
    for term in list.items() {
        let text = term.at("scopeName").value().as_str().unwrap_or("");
        if !SCOPES.contains(&text) {
            errors.push(FieldError::invalid_text(list.at("scopeName").to_string(), text, "unsupported scope"));
        }
        errors.extend((0..misfits.count(text).min(most)).map(|_| whole.clone()));
        check_term(&term, &list, errors);
        scopes.push(text);
        if errors.len() > most {
            return;
        }
    }
    check_pairs(&scopes, (&list, &spec.value()["scopes"]), errors);
}

/// The operator of a term and its values; faults are told of the list.
fn check_term(term: &Field<'_, '_>, list: &Field<'_, '_>, errors: &mut Errors) {
    let (operator, values) = (term.at("operator"), term.at("values"));
    let refuse = |fault: &str| FieldError::invalid_text(list.at("operator").to_string(), operator.text(), fault);
    if PLAIN.contains(&term.at("scopeName").text()) && operator.text() != "Exists" {
        errors.push(refuse(EXISTS));
    }
    let path = list.at("values");
    match operator.text() {
        "In" | "NotIn" if values.is_empty() => {
            errors.push(path.required("must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let fault = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            errors.push(FieldError::invalid(path.to_string(), values.value(), fault));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => errors.push(refuse("not a valid selector operator")),
    }
}

fn check_pairs(scopes: &[&str], (field, shown): (&Field<'_, '_>, &Value), errors: &mut Errors) {
    for pair in [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]] {
        if pair.iter().all(|scope| scopes.contains(scope)) {
            errors.push(FieldError::invalid(field.to_string(), shown, "conflicting scopes"));
        }
    }
}

/// How often a text of this length may be told.
fn most(shown: &str) -> usize {
    (SHOWN / shown.len().max(1)).clamp(1, error::MOST)
}

/// Whether what is counted can be of a scope.
fn fits(scope: &str, resource: &str) -> bool {
    let compute = ["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
    match scope {
        _ if !is_counted(resource) => true,
        "Terminating" | "NotTerminating" | "NotBestEffort" | "PriorityClass" | "CrossNamespacePodAffinity" => {
            resource == "pods" || compute.contains(&resource)
        }
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => matches!(resource, "persistentvolumeclaims" | "requests.storage"),
        _ => true,
    }
}

fn is_counted(resource: &str) -> bool {
    STANDARD.contains(&resource) || is_huge(resource)
}

fn is_huge(resource: &str) -> bool {
    resource.starts_with("hugepages-") || resource.starts_with("requests.hugepages-")
}

fn is_native(resource: &str) -> bool {
    !resource.contains('/') || resource.contains("kubernetes.io/")
}

fn is_extended(resource: &str) -> bool {
    !is_native(resource) && !resource.starts_with("requests.") && name::qualified(&format!("requests.{resource}")).is_empty()
}

const EXISTS: &str = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, \
                      ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];
const PLAIN: [&str; 5] = ["BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"];
const STANDARD: [&str; 19] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];
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
/// Bytes that the same list may take in a refusal, told again and again.
const SHOWN: usize = 4 * 1024 * 1024;

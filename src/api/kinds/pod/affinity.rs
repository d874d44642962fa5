//! The rules of where a pod wants to be: affinity to nodes and pods, and how pods are spread.

use std::collections::{HashMap, HashSet};

use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, is_full};
use crate::api::meta::name;

/// `affinity`
pub(super) fn check(affinity: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if affinity.is_absent() {
        return;
    }
    let node = affinity.at("nodeAffinity");
    let required = node.at(REQUIRED);
    if !required.is_absent() {
        check_nodes(&required, errors);
    }
    for term in node.at(PREFERRED).items() {
        if is_full(errors) {
            return;
        }
        check_weight(&term, errors);
        check_term(&term.at("preference"), Values::Any, errors);
    }
    for member in ["podAffinity", "podAntiAffinity"] {
        let own = affinity.at(member);
        for term in own.at(REQUIRED).items() {
            if is_full(errors) {
                return;
            }
            check_pods(&term, errors);
        }
        for term in own.at(PREFERRED).items() {
            if is_full(errors) {
                return;
            }
            check_weight(&term, errors);
            check_pods(&term.at("podAffinityTerm"), errors);
        }
    }
}

/// What the values of a term of a node selector may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    /// Labels' values.
    Labels,
    /// Anything: what no node has matters little to a preference.
    Any,
}

fn check_weight(term: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let weight = term.at("weight");
    if !(1..=100).contains(&weight.count()) {
        errors.push(weight.invalid_as(&weight.count().to_string(), "must be in the range 1-100"));
    }
}

/// A node selector that must hold.
fn check_nodes(selector: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let terms = selector.at("nodeSelectorTerms");
    if terms.is_empty() {
        errors.push(terms.required("must have at least one node selector term"));
    }
    for term in terms.items() {
        if is_full(errors) {
            return;
        }
        check_term(&term, Values::Labels, errors);
    }
}

fn check_term(term: &Field<'_, '_>, kind: Values, errors: &mut Vec<FieldError>) {
    for rule in term.at("matchExpressions").items() {
        if is_full(errors) {
            return;
        }
        check_expression(&rule, kind, errors);
    }
    for rule in term.at("matchFields").items() {
        if is_full(errors) {
            return;
        }
        check_field(&rule, errors);
    }
}

fn check_expression(rule: &Field<'_, '_>, kind: Values, errors: &mut Vec<FieldError>) {
    let (operator, values) = (rule.at("operator"), rule.at("values"));
    match operator.text() {
        "In" | "NotIn" if values.is_empty() => {
            errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            errors.push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        }
        "Gt" | "Lt" if values.len() != 1 => {
            errors.push(values.required("must be specified single value when `operator` is 'Lt' or 'Gt'"));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        _ => errors.push(operator.invalid("not a valid selector operator")),
    }
    rule.at("key").formed(name::qualified, errors);
    if kind == Values::Labels {
        for value in values.items() {
            value.named(name::label_value, errors);
        }
    }
}

fn check_field(rule: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (operator, values, key) = (rule.at("operator"), rule.at("values"), rule.at("key"));
    match operator.text() {
        "In" | "NotIn" if values.len() != 1 => {
            errors.push(values.required("must be only one value when `operator` is 'In' or 'NotIn' for node field selector"));
        }
        "In" | "NotIn" => {}
        _ => errors.push(operator.invalid("not a valid selector operator")),
    }
    if key.text() != "metadata.name" {
        errors.push(key.invalid("not a valid field selector key"));
        return;
    }
    for value in values.items() {
        if is_full(errors) {
            return;
        }
        value.formed(name::subdomain, errors);
    }
}

fn check_pods(term: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    term.at("labelSelector").selector(errors);
    term.at("namespaceSelector").selector(errors);
    let told = term.at("namespace");
    for namespace in term.at("namespaces").texts() {
        if is_full(errors) {
            return;
        }
        errors.extend(name::label(namespace).iter().map(|fault| told.invalid_text(namespace, fault)));
    }
    check_keys(term, errors);
    let key = term.at("topologyKey");
    if key.is_empty() {
        errors.push(key.required("can not be empty"));
    }
    key.formed(name::qualified, errors);
}

/// `matchLabelKeys` and `mismatchLabelKeys`: labels of the pod itself that become part of the selector.
fn check_keys(term: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (same, other, selector) = (term.at("matchLabelKeys"), term.at("mismatchLabelKeys"), term.at("labelSelector"));
    for keys in [&same, &other] {
        if keys.is_empty() {
            continue;
        }
        if selector.is_absent() {
            errors.push(keys.forbidden("must not be specified when labelSelector is not set"));
            continue;
        }
        for key in keys.items() {
            key.formed(name::qualified, errors);
        }
    }
    if same.is_empty() {
        return;
    }
    // The selector has got a term for each key already: a second one is the client's own.
    let places: HashMap<&str, usize> = same.texts().enumerate().map(|(place, key)| (key, place)).collect();
    let labels = selector.at("matchLabels");
    let mut seen: HashSet<&str> = labels.value().as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    for rule in selector.at("matchExpressions").items() {
        let key = rule.at("key").text();
        if let Some(place) = places.get(key).filter(|_| seen.contains(key)) {
            errors.push(term.index(*place).invalid_text(key, "exists in both matchLabelKeys and labelSelector"));
        }
        seen.insert(key);
    }
    let others: HashSet<&str> = other.texts().collect();
    for key in same.items().filter(|key| others.contains(key.text())) {
        errors.push(key.invalid("exists in both matchLabelKeys and mismatchLabelKeys"));
    }
}

/// `topologySpreadConstraints`
pub(super) fn check_spread(list: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let mut later: HashMap<(&str, &str), usize> = HashMap::new();
    let kind = |own: &Field<'_, '_>| {
        let own = own.value();
        (own["topologyKey"].as_str().unwrap_or("").to_owned(), own["whenUnsatisfiable"].as_str().unwrap_or("").to_owned())
    };
    for own in list.value().as_array().into_iter().flatten() {
        let key = (own["topologyKey"].as_str().unwrap_or(""), own["whenUnsatisfiable"].as_str().unwrap_or(""));
        *later.entry(key).or_default() += 1;
    }
    for own in list.items() {
        if is_full(errors) {
            return;
        }
        let skew = own.at("maxSkew");
        if skew.count() <= 0 {
            errors.push(skew.invalid_as(&skew.count().to_string(), "must be greater than zero"));
        }
        let (key, action) = (own.at("topologyKey"), own.at("whenUnsatisfiable"));
        if key.is_empty() {
            errors.push(key.required("can not be empty"));
        }
        if !["DoNotSchedule", "ScheduleAnyway"].contains(&action.text()) {
            errors.push(action.unsupported(&["DoNotSchedule", "ScheduleAnyway"]));
        }
        let rest = later.entry((key.text(), action.text())).or_default();
        *rest = rest.saturating_sub(1);
        if *rest > 0 {
            let (key, action) = kind(&own);
            let told = own.at("{topologyKey, whenUnsatisfiable}");
            errors.push(told.duplicate_of(&format!("{{{key}, {action}}}")));
        }
        check_domains(&own, action.text(), errors);
        for member in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            let policy = own.at(member);
            if !policy.is_absent() && !["Honor", "Ignore"].contains(&policy.text()) {
                errors.push(policy.unsupported(&["Honor", "Ignore"]));
            }
        }
        check_keys(&own, errors);
        own.at("labelSelector").selector(errors);
    }
}

fn check_domains(own: &Field<'_, '_>, action: &str, errors: &mut Vec<FieldError>) {
    let domains = own.at("minDomains");
    if domains.is_absent() {
        return;
    }
    if domains.count() <= 0 {
        errors.push(domains.invalid("must be greater than zero"));
    }
    if action != "DoNotSchedule" {
        let fault = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
        errors.push(domains.invalid(&fault));
    }
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

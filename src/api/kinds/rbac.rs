//! Roles and bindings: the form of rules and subjects, and the role of a binding, which does not change.

use super::field::Field;
use super::internal;
use super::selector::{self, Values};
use super::write::{Write, same};
use crate::api::error::FieldError;
use crate::api::meta::name;

pub(super) fn check(write: &Write<'_>, errors: &mut Vec<FieldError>) {
    write.metadata(name::segment, errors);
    let root = write.root();
    match write.kind.plural.as_str() {
        "roles" | "clusterroles" => {
            root.at("rules").items().for_each(|rule| check_rule(&rule, write.kind.namespaced, errors));
            if !root.at("aggregationRule").is_absent() {
                check_aggregation(write, &root.at("aggregationRule").at("clusterRoleSelectors"), errors);
            }
            write.change(errors);
        }
        _ => {
            check_binding(&root, write.kind.namespaced, errors);
            write.change(errors);
            let role = root.at("roleRef");
            if !write.is_create() && !same(role.value(), &write.old["roleRef"]) {
                errors.push(role.invalid_as(&internal::print("RoleRef", role.value()), "cannot change roleRef"));
            }
        }
    }
}

fn check_rule(rule: &Field<'_, '_>, namespaced: bool, errors: &mut Vec<FieldError>) {
    if rule.at("verbs").is_empty() {
        errors.push(rule.at("verbs").required("verbs must contain at least one value"));
    }
    let paths = rule.at("nonResourceURLs");
    if !paths.is_empty() {
        if namespaced {
            errors.push(paths.invalid("namespaced rules cannot apply to non-resource URLs"));
        }
        if ["apiGroups", "resources", "resourceNames"].iter().any(|member| !rule.at(member).is_empty()) {
            errors.push(paths.invalid("rules cannot apply to both regular resources and non-resource URLs"));
        }
        return;
    }
    for (member, detail) in [
        ("apiGroups", "resource rules must supply at least one api group"),
        ("resources", "resource rules must supply at least one resource"),
    ] {
        if rule.at(member).is_empty() {
            errors.push(rule.at(member).required(detail));
        }
    }
}

fn check_aggregation(write: &Write<'_>, selectors: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if selectors.is_empty() {
        errors.push(selectors.required("at least one clusterRoleSelector required if aggregationRule is non-nil"));
    }
    let stored = Field::new(&write.old["aggregationRule"]["clusterRoleSelectors"], "");
    let values = if stored.items().any(|stored| has_bad_value(&stored)) { Values::Any } else { Values::Labels };
    for selector in selectors.items() {
        selector::check(&selector, values, errors);
        if selector::is_faulty(selector.value()) {
            errors.push(selector.invalid_as("null", "invalid label selector."));
        }
    }
}

/// Whether a stored selector compares with what can be no label's value.
fn has_bad_value(selector: &Field<'_, '_>) -> bool {
    let terms = selector.at("matchExpressions");
    terms.items().any(|term| term.at("values").texts().any(|value| !name::label_value(value).is_empty()))
}

fn check_binding(binding: &Field<'_, '_>, namespaced: bool, errors: &mut Vec<FieldError>) {
    let role = binding.at("roleRef");
    if role.at("apiGroup").text() != GROUP {
        errors.push(role.at("apiGroup").unsupported(&[GROUP]));
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&role.at("kind").text()) {
        errors.push(role.at("kind").unsupported(kinds));
    }
    role.at("name").require(errors);
    role.at("name").named(name::segment, errors);
    binding.at("subjects").items().for_each(|subject| check_subject(&subject, namespaced, errors));
}

fn check_subject(subject: &Field<'_, '_>, namespaced: bool, errors: &mut Vec<FieldError>) {
    let (own, group) = (subject.at("name"), subject.at("apiGroup"));
    own.require(errors);
    match subject.at("kind").text() {
        "ServiceAccount" => {
            own.named(name::subdomain, errors);
            if !group.is_empty() {
                errors.push(group.unsupported(&[""]));
            }
            if !namespaced {
                subject.at("namespace").require(errors);
            }
        }
        "User" | "Group" => {
            if group.text() != GROUP {
                errors.push(group.unsupported(&[GROUP]));
            }
        }
        _ => errors.push(subject.at("kind").unsupported(&["ServiceAccount", "User", "Group"])),
    }
}

const GROUP: &str = "rbac.authorization.k8s.io";

//! IngressClasses, and references to objects by group, kind and name.

use serde_json::Value;

use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::kinds::format;
use crate::api::meta::name;

type Errors = Vec<FieldError>;

/// The faults of a class.
pub(in crate::api::kinds) fn check(new: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    check_controller(&spec.at("controller"), errors);
    let parameters = spec.at("parameters");
    if parameters.is_absent() {
        return;
    }
    check_reference(&parameters, errors);
    let (scope, namespace) = (parameters.at("scope"), parameters.at("namespace"));
    match (scope.text(), namespace.is_absent()) {
        _ if scope.is_absent() => errors.push(scope.required("")),
        ("Namespace", true) => errors.push(namespace.required("`parameters.scope` is set to 'Namespace'")),
        ("Namespace", false) => namespace.formed(name::label, errors),
        ("Cluster", false) => errors.push(namespace.forbidden("`parameters.scope` is set to 'Cluster'")),
        ("Cluster", true) => {}
        _ => errors.push(scope.unsupported(&["Cluster", "Namespace"])),
    }
}

/// The faults of a change.
pub(in crate::api::kinds) fn check_change(new: &Value, old: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    format::fixed(&root.at("spec").at("controller"), &old["spec"]["controller"], errors);
}

/// The faults of a reference to an object.
pub(super) fn check_reference(field: &Field<'_, '_>, errors: &mut Errors) {
    let group = field.at("apiGroup");
    if !group.is_absent() {
        group.formed(name::subdomain, errors);
    }
    field.at("kind").require_named(name::segment, errors);
    field.at("name").require_named(name::segment, errors);
}

/// A domain and a path: `acme.io/foo`.
fn check_controller(field: &Field<'_, '_>, errors: &mut Errors) {
    let text = field.text();
    if text.is_empty() {
        errors.push(field.required(""));
        return;
    }
    if text.len() > CONTROLLER {
        errors.push(FieldError::too_long(field.to_string(), CONTROLLER));
    }
    let Some((host, path)) = text.split_once('/').filter(|(host, path)| !host.is_empty() && !path.is_empty()) else {
        errors.push(field.invalid("must be a domain-prefixed path (such as \"acme.io/foo\")"));
        return;
    };
    let mut refuse = |part: &str, fault: &str| errors.push(FieldError::invalid_text(field.to_string(), part, fault));
    name::subdomain(host).iter().for_each(|fault| refuse(host, fault));
    if !path.bytes().all(|byte| byte.is_ascii_alphanumeric() || br"/-._~%!$&'()*+,;=:".contains(&byte)) {
        refuse(path, "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')");
    }
}

const CONTROLLER: usize = 250;

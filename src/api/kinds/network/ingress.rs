//! Ingresses.

use serde_json::Value;

use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::kinds::{address, service};
use crate::api::meta::name;

type Errors = Vec<FieldError>;

/// The faults of an ingress; what was wrong with `old` may stay.
pub(in crate::api::kinds) fn check(new: &Value, old: Option<&Value>, errors: &mut Errors) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    let (rules, backend) = (spec.at("rules"), spec.at("defaultBackend"));
    if rules.is_empty() && backend.is_absent() {
        let fault = "either `defaultBackend` or `rules` must be specified";
        errors.push(FieldError::invalid(spec.to_string(), rules.value(), fault));
    }
    if !backend.is_absent() {
        check_backend(&backend, errors);
    }
    let lax = old.is_some_and(has_bad_wildcard);
    rules.items().for_each(|rule| check_rule(&rule, lax, errors));
    check_tls(&spec.at("tls"), old, errors);
    let class = spec.at("ingressClassName");
    if !class.is_absent() {
        class.formed(name::subdomain, errors);
    }
    if old.is_none() {
        check_create(new, errors);
    }
}

/// The faults of the state that a load balancer reports.
pub(in crate::api::kinds) fn check_status(new: &Value, old: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    let status = root.at("status");
    let known = service::ingress_addresses(old);
    for item in status.at("loadBalancer").at("ingress").items() {
        let ip = item.at("ip");
        if !ip.is_empty() {
            address::legacy(&ip, &known, errors);
        }
        service::check_host(&item.at("hostname"), errors);
    }
}

/// What a client should know of a new ingress.
pub(in crate::api::kinds) fn warn(new: &Value, warnings: &mut Vec<String>) {
    if !new["metadata"]["annotations"][CLASS].is_null() && new["spec"]["ingressClassName"].is_null() {
        warnings.push(format!("annotation \"{CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"));
    }
}

/// What a client should know of a new state.
pub(in crate::api::kinds) fn warn_status(new: &Value, warnings: &mut Vec<String>) {
    let root = Field::new(new, "");
    let status = root.at("status");
    status.at("loadBalancer").at("ingress").items().for_each(|item| address::warn(&item.at("ip"), warnings));
}

/// The faults of a new ingress that an old one may have.
fn check_create(new: &Value, errors: &mut Errors) {
    let (annotation, class) = (&new["metadata"]["annotations"][CLASS], &new["spec"]["ingressClassName"]);
    if !annotation.is_null() && !class.is_null() && annotation != class {
        let fault = "must match `ingressClassName` when both are specified";
        errors.push(FieldError::invalid(format!("annotations.{CLASS}"), annotation, fault));
    }
}

fn check_rule(rule: &Field<'_, '_>, lax: bool, errors: &mut Errors) {
    let host = rule.at("host");
    let wild = host.text().contains('*');
    if !host.text().is_empty() {
        if address::is_address(host.text()) {
            errors.push(host.invalid("must be a DNS name, not an IP address"));
        }
        host.formed(if wild { name::wildcard } else { name::subdomain }, errors);
    }
    if !wild || !lax {
        check_http(&rule.at("http"), errors);
    }
}

fn check_http(http: &Field<'_, '_>, errors: &mut Errors) {
    if http.is_absent() {
        return;
    }
    let paths = http.at("paths");
    if paths.is_empty() {
        errors.push(paths.required(""));
    }
    paths.items().for_each(|path| check_path(&path, errors));
}

fn check_path(item: &Field<'_, '_>, errors: &mut Errors) {
    let (path, kind) = (item.at("path"), item.at("pathType"));
    if kind.is_absent() {
        errors.push(kind.required("pathType must be specified"));
        return;
    }
    let (text, relative) = (path.text(), !path.text().starts_with('/'));
    let mut refuse = |fault: &str| errors.push(FieldError::invalid_text(path.to_string(), text, fault));
    match kind.text() {
        "Exact" | "Prefix" => {
            if relative {
                refuse("must be an absolute path");
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"].iter().filter(|part| text.contains(**part)) {
                refuse(&format!("must not contain '{part}'"));
            }
            for end in ["/..", "/."].iter().filter(|end| text.ends_with(**end)) {
                refuse(&format!("cannot end with '{end}'"));
            }
        }
        "ImplementationSpecific" if relative && !text.is_empty() => refuse("must be an absolute path"),
        "ImplementationSpecific" => {}
        _ => errors.push(kind.unsupported(&["Exact", "ImplementationSpecific", "Prefix"])),
    }
    check_backend(&item.at("backend"), errors);
}

fn check_backend(backend: &Field<'_, '_>, errors: &mut Errors) {
    let (resource, service) = (backend.at("resource"), backend.at("service"));
    let mut refuse = |fault: &str| errors.push(FieldError::invalid_text(backend.to_string(), "", fault));
    match (resource.is_absent(), service.is_absent()) {
        (false, false) => refuse("cannot set both resource and service backends"),
        (true, true) => refuse("resource or service backend is required"),
        (false, true) => super::class::check_reference(&resource, errors),
        (true, false) => check_service(&service, backend, errors),
    }
}

fn check_service(service: &Field<'_, '_>, backend: &Field<'_, '_>, errors: &mut Errors) {
    service.at("name").require_named(name::label, errors);
    let port = service.at("port");
    let (own, number) = (port.at("name"), port.at("number"));
    match (own.text().is_empty(), number.number().unwrap_or(0)) {
        (true, 0) => errors.push(backend.required("port name or number is required")),
        (true, _) => number.port(errors),
        (false, 0) => own.formed(name::port, errors),
        (false, _) => {
            errors.push(FieldError::invalid_text(backend.to_string(), "", "cannot set both port name & port number"));
        }
    }
}

fn check_tls(list: &Field<'_, '_>, old: Option<&Value>, errors: &mut Errors) {
    let stored = old.and_then(|old| old["spec"]["tls"].as_array()).into_iter().flatten();
    let mut secrets = stored.filter_map(|tls| tls["secretName"].as_str()).filter(|secret| !secret.is_empty());
    let lax = secrets.any(|secret| !name::subdomain(secret).is_empty());
    for tls in list.items() {
        for host in tls.at("hosts").items() {
            host.formed(if host.text().contains('*') { name::wildcard } else { name::subdomain }, errors);
        }
        if !lax {
            tls.at("secretName").named(name::subdomain, errors);
        }
    }
}

/// Whether a stored ingress has a rule for many hosts that would not be taken today.
fn has_bad_wildcard(old: &Value) -> bool {
    let root = Field::new(old, "");
    let spec = root.at("spec");
    let mut errors = Vec::new();
    for rule in spec.at("rules").items().filter(|rule| rule.at("host").text().contains('*')) {
        check_http(&rule.at("http"), &mut errors);
    }
    !errors.is_empty()
}

const CLASS: &str = "kubernetes.io/ingress.class";

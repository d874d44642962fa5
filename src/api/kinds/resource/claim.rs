//! What a claim asks for: requests, constraints between them, and configuration.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::form;
use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::kinds::selector;

/// The names of a claim's requests, with those of the alternatives of each.
pub(super) struct Names<'v>(HashMap<&'v str, HashSet<&'v str>>);

impl<'v> Names<'v> {
    /// Those of the devices of a claim.
    pub(super) fn of(devices: &Field<'v, '_>) -> Self {
        let names = devices.at("requests");
        let alternatives =
            |request: &Field<'v, '_>| request.at("firstAvailable").items().map(|own| own.at("name").text()).collect();
        Self(names.items().map(|request| (request.at("name").text(), alternatives(&request))).collect())
    }

    fn has(&self, name: &str) -> bool {
        match name.split_once('/') {
            None => self.0.contains_key(name),
            Some((request, alternative)) => self.0.get(request).is_some_and(|known| known.contains(alternative)),
        }
    }
}

/// The faults of the devices of a new claim.
pub(super) fn check(devices: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let names = Names::of(devices);
    let requests = devices.at("requests");
    if form::fits(&requests, 32, errors) {
        requests.items().for_each(|request| check_request(&request, errors));
        form::unique(&requests, |request| request.at("name").text().to_owned(), errors);
    }
    let constraints = devices.at("constraints");
    if form::fits(&constraints, 32, errors) {
        constraints.items().for_each(|constraint| check_constraint(&constraint, &names, errors));
    }
    let config = devices.at("config");
    if form::fits(&config, 32, errors) {
        for item in config.items() {
            check_references(&item.at("requests"), &names, errors);
            check_opaque(&item.at("opaque"), false, errors);
        }
    }
}

fn check_request(request: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    form::label(&request.at("name"), errors);
    let (exactly, first) = (request.at("exactly"), request.at("firstAvailable"));
    match (exactly.is_absent(), first.is_empty()) {
        (true, true) => errors.push(request.required("exactly one of `exactly` or `firstAvailable` is required")),
        (false, false) => {
            let detail = "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set";
            errors.push(request.invalid_as("null", detail));
        }
        (false, true) => check_devices(&exactly, errors),
        (true, false) => {
            if form::fits(&first, 8, errors) {
                for alternative in first.items() {
                    form::label(&alternative.at("name"), errors);
                    check_devices(&alternative, errors);
                }
                form::unique(&first, |alternative| alternative.at("name").text().to_owned(), errors);
            }
        }
    }
}

/// The devices that one request wants.
fn check_devices(request: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let class = request.at("deviceClassName");
    class.require(errors);
    class.named(crate::api::meta::name::subdomain, errors);
    check_selectors(&request.at("selectors"), false, errors);
    let (mode, count) = (request.at("allocationMode"), request.at("count"));
    match mode.text() {
        "All" if count.count() != 0 => errors.push(count.invalid("must not be specified when allocationMode is 'All'")),
        "All" => {}
        "ExactCount" if count.count() <= 0 => errors.push(count.invalid_number("must be greater than zero")),
        "ExactCount" => {}
        _ => errors.push(mode.unsupported(&["All", "ExactCount"])),
    }
    request.at("tolerations").items().for_each(|toleration| check_toleration(&toleration, errors));
}

/// The selectors of a request or a class. What is stored was checked when it came.
pub(super) fn check_selectors(selectors: &Field<'_, '_>, stored: bool, errors: &mut Vec<FieldError>) {
    if !form::fits(selectors, 32, errors) {
        return;
    }
    for selector in selectors.items() {
        let cel = selector.at("cel");
        if cel.is_absent() {
            errors.push(cel.required(""));
        } else if !stored {
            cel.at("expression").at_most_bytes(10 * 1024, errors);
        }
    }
}

/// The faults of a toleration of devices' taints.
pub(super) fn check_toleration(toleration: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (key, operator, value) = (toleration.at("key"), toleration.at("operator"), toleration.at("value"));
    if !key.is_empty() {
        selector::label_key(&key, errors);
    }
    match operator.text() {
        "Exists" if !value.is_empty() => errors.push(value.invalid("must be empty for operator `Exists`")),
        "Exists" => {}
        "Equal" => selector::label_value(&value, errors),
        "" => errors.push(operator.required("")),
        _ => errors.push(operator.unsupported(&["Equal", "Exists"])),
    }
    toleration.at("effect").one_of(&EFFECTS, errors);
}

fn check_constraint(constraint: &Field<'_, '_>, names: &Names<'_>, errors: &mut Vec<FieldError>) {
    check_references(&constraint.at("requests"), names, errors);
    match ["matchAttribute", "distinctAttribute"].iter().find(|member| !constraint.at(member).is_absent()) {
        Some(member) => form::fully_qualified(&constraint.at(member), errors),
        None => {
            let detail = "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set";
            errors.push(constraint.required(detail));
        }
    }
}

/// The faults of a list of names of requests.
pub(super) fn check_references(references: &Field<'_, '_>, names: &Names<'_>, errors: &mut Vec<FieldError>) {
    if form::fits(references, 32, errors) {
        references.items().for_each(|reference| check_reference(&reference, names, errors));
        form::unique(references, |reference| reference.text().to_owned(), errors);
    }
}

/// The faults of a name of a request.
pub(super) fn check_reference(reference: &Field<'_, '_>, names: &Names<'_>, errors: &mut Vec<FieldError>) {
    let (text, detail) = (
        reference.text(),
        "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
    );
    if text.matches('/').count() > 1 {
        errors.push(reference.invalid(detail));
        return;
    }
    for part in text.split('/') {
        errors.extend(crate::api::meta::name::label(part).iter().map(|fault| reference.invalid_text(part, fault)));
    }
    if !names.has(text) {
        errors.push(reference.invalid(detail));
    }
}

/// The faults of a driver's own configuration.
pub(super) fn check_opaque(opaque: &Field<'_, '_>, stored: bool, errors: &mut Vec<FieldError>) {
    if opaque.is_absent() {
        errors.push(opaque.required(""));
        return;
    }
    form::driver(&opaque.at("driver"), errors);
    check_raw(&opaque.at("parameters"), stored, errors);
}

/// The faults of what is handed through: an object, of at most ten kilobytes when it is new.
pub(super) fn check_raw(raw: &Field<'_, '_>, stored: bool, errors: &mut Vec<FieldError>) {
    match raw.value() {
        Value::Null => errors.push(raw.required("")),
        value if !stored && value.to_string().len() > RAW => errors.push(FieldError::too_long(raw.to_string(), RAW)),
        Value::Object(_) => {}
        _ => errors.push(raw.invalid_text("<value omitted>", "must be a valid JSON object")),
    }
}

/// What a taint of a device does.
pub(super) const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "None"];
const RAW: usize = 10 * 1024;

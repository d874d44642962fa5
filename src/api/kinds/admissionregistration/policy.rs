//! Admission policies and their bindings: everything about them but what their expressions mean.

use std::collections::HashSet;

use super::rule;
use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::kinds::internal;
use crate::api::kinds::selector::{self, Values};
use crate::api::kinds::write::{Write, same};
use crate::api::meta::{self, name};

/// What a policy does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Validate,
    Mutate,
}

impl Work {
    fn of(write: &Write<'_>) -> Self {
        if write.kind.plural.starts_with("mutating") { Self::Mutate } else { Self::Validate }
    }
}

pub(super) fn check(write: &Write<'_>, errors: &mut Vec<FieldError>) {
    let root = write.root();
    let (spec, work) = (root.at("spec"), Work::of(write));
    let policy = spec.at("failurePolicy");
    policy.require_one_of(&["Fail", "Ignore"], errors);
    if !spec.at("paramKind").is_absent() {
        check_kind(&spec.at("paramKind"), errors);
    }
    check_constraints(&spec.at("matchConstraints"), work, errors);
    let old = &write.old["spec"];
    let stored = |member: &str| same(&old[member], spec.at(member).value());
    if write.is_create() || !stored("paramKind") || !stored("matchConditions") {
        rule::check_conditions(&spec.at("matchConditions"), errors);
    }
    spec.at("variables").items().for_each(|variable| check_variable(&variable, errors));
    match work {
        Work::Validate => check_validations(&spec, meta::text(write.new, "name"), errors),
        Work::Mutate => check_mutations(&spec, errors),
    }
}

pub(super) fn check_binding(write: &Write<'_>, errors: &mut Vec<FieldError>) {
    let root = write.root();
    let (spec, work) = (root.at("spec"), Work::of(write));
    spec.at("policyName").require(errors);
    spec.at("policyName").named(name::subdomain, errors);
    check_parameter(&spec.at("paramRef"), errors);
    let resources = spec.at("matchResources");
    if !resources.is_absent() {
        check_resources(&resources, errors);
    }
    match work {
        Work::Validate => check_actions(&spec.at("validationActions"), errors),
        Work::Mutate => check_operations(&resources, errors),
    }
}

/// The faults of what a controller reports of a policy.
pub(super) fn check_status(write: &Write<'_>, errors: &mut Vec<FieldError>) {
    let root = write.root();
    let status = root.at("status");
    for warning in status.at("typeChecking").at("expressionWarnings").items() {
        warning.at("warning").require(errors);
        if warning.at("fieldRef").text().trim().is_empty() {
            errors.push(warning.at("fieldRef").required(""));
        }
    }
    selector::conditions(&status.at("conditions"), errors);
}

fn check_kind(kind: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (version, own) = (kind.at("apiVersion"), kind.at("kind"));
    let text = version.text();
    if version.require(errors).is_empty() {
    } else if text.matches('/').count() > 1 {
        errors.push(version.invalid(&format!("unexpected GroupVersion string: {text}")));
    } else {
        let (group, number) = if text == "/" { ("", "") } else { text.split_once('/').unwrap_or(("", text)) };
        let faults = if group.is_empty() { Vec::new() } else { name::subdomain(group) };
        if !faults.is_empty() {
            errors.push(version.invalid_text(group, &faults.join(",")));
        }
        let faults = name::label_1035(number);
        if number.is_empty() {
            errors.push(version.invalid("version must be specified"));
        } else if !faults.is_empty() {
            errors.push(version.invalid_text(number, &faults.join(",")));
        }
    }
    let faults = name::label_1035(&own.text().to_lowercase());
    if !own.require(errors).is_empty() && !faults.is_empty() {
        errors.push(own.invalid(&format!("may have mixed case, but should otherwise match: {}", faults.join(","))));
    }
}

fn check_constraints(constraints: &Field<'_, '_>, work: Work, errors: &mut Vec<FieldError>) {
    if constraints.is_absent() {
        errors.push(constraints.required(""));
        return;
    }
    check_resources(constraints, errors);
    if constraints.at("resourceRules").is_empty() {
        errors.push(constraints.at("resourceRules").required(""));
    }
    if work == Work::Mutate {
        check_operations(constraints, errors);
    }
}

/// Nothing is mutated that goes away.
fn check_operations(resources: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let rules = resources.at("resourceRules");
    let told = rules.at("operations");
    for rule in rules.items() {
        for operation in rule.at("operations").texts() {
            if !MUTABLE.contains(&operation) {
                errors.push(FieldError::unsupported(told.to_string(), &operation.into(), &MUTABLE));
            }
        }
    }
}

fn check_resources(resources: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    resources.at("matchPolicy").require_one_of(&["Equivalent", "Exact"], errors);
    for member in ["namespaceSelector", "objectSelector"] {
        let own = resources.at(member);
        if own.is_absent() {
            errors.push(own.required(""));
        }
        selector::check(&own, Values::Labels, errors);
    }
    for member in ["resourceRules", "excludeResourceRules"] {
        resources.at(member).items().for_each(|own| rule::check_named(&own, errors));
    }
}

fn check_variable(variable: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let own = variable.at("name");
    if own.text().trim().is_empty() {
        errors.push(own.required("name is not specified"));
    } else if !name::c_identifier(own.text()).is_empty() || RESERVED.contains(&own.text()) {
        errors.push(own.invalid("must be a valid CEL identifier"));
    }
    rule::expression(&variable.at("expression"), "expression is not specified", errors);
}

fn check_validations(spec: &Field<'_, '_>, own: &str, errors: &mut Vec<FieldError>) {
    let (validations, annotations) = (spec.at("validations"), spec.at("auditAnnotations"));
    if validations.is_empty() && annotations.is_empty() {
        let detail = "validations or auditAnnotations must contain at least one item";
        errors.extend([validations.required(detail), annotations.required(detail)]);
        return;
    }
    validations.items().for_each(|validation| check_validation(&validation, errors));
    if annotations.len() > 20 {
        let shown: Vec<String> =
            annotations.items().map(|annotation| internal::print("AuditAnnotation", annotation.value())).collect();
        let shown = format!("[{}]", shown.join(","));
        errors.push(annotations.invalid_as(&shown, "must not have more than 20 auditAnnotations"));
    }
    let mut seen = HashSet::new();
    for annotation in annotations.items() {
        check_annotation(&annotation, own, errors);
        if !seen.insert(annotation.at("key").text()) {
            errors.push(annotation.at("key").duplicate());
        }
    }
}

fn check_validation(validation: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    rule::expression(&validation.at("expression"), "expression is not specified", errors);
    for member in ["messageExpression", "message"] {
        let text = validation.at(member);
        if !text.is_empty() && text.text().trim().is_empty() {
            errors.push(text.invalid("must be non-empty if specified"));
        } else if member == "message" && text.text().trim().contains(['\n', '\r']) {
            errors.push(text.invalid("must not contain line breaks"));
        }
    }
    let reason = validation.at("reason");
    if !reason.is_absent() && !REASONS.contains(&reason.text()) {
        errors.push(reason.unsupported(&REASONS));
    }
}

fn check_annotation(annotation: &Field<'_, '_>, own: &str, errors: &mut Vec<FieldError>) {
    let (key, value) = (annotation.at("key"), annotation.at("valueExpression"));
    if own.is_empty() {
        errors.push(key.invalid("requires metadata.name be non-empty"));
    } else {
        let whole = format!("{own}/{}", key.text());
        errors.extend(name::qualified(&whole).iter().map(|fault| key.invalid_text(&whole, fault)));
    }
    match value.text().trim().len() {
        0 => errors.push(value.required("valueExpression is not specified")),
        length if length > 5 * 1024 => errors.push(value.required("must not exceed 5120 bytes in length")),
        _ => {}
    }
}

fn check_mutations(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let mutations = spec.at("mutations");
    if mutations.is_empty() {
        errors.push(mutations.required("mutations must contain at least one item"));
    }
    mutations.items().for_each(|mutation| check_mutation(&mutation, errors));
    spec.at("reinvocationPolicy").require_one_of(&["IfNeeded", "Never"], errors);
}

fn check_mutation(mutation: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let kind = mutation.at("patchType");
    let (own, other) = match kind.text() {
        "JSONPatch" => ("jsonPatch", "applyConfiguration"),
        "ApplyConfiguration" => ("applyConfiguration", "jsonPatch"),
        "" => return errors.push(kind.required("")),
        _ => return errors.push(kind.unsupported(&["ApplyConfiguration", "JSONPatch"])),
    };
    if mutation.at(own).is_absent() {
        errors.push(mutation.at(own).required(&format!("must be specified when patchType is {}", kind.text())));
    } else {
        rule::expression(&mutation.at(own).at("expression"), "", errors);
    }
    if !mutation.at(other).is_absent() {
        let detail = format!("must not be specified when patchType is {}", kind.text());
        errors.push(mutation.at(other).invalid_text(&format!("{{{other}}}"), &detail));
    }
}

fn check_parameter(parameter: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if parameter.is_absent() {
        return;
    }
    let (own, labels, action) = (parameter.at("name"), parameter.at("selector"), parameter.at("parameterNotFoundAction"));
    let both = !own.is_empty() && !labels.is_absent();
    own.named(name::segment, errors);
    if both {
        errors.push(own.forbidden("name and selector are mutually exclusive"));
    }
    selector::check(&labels, Values::Labels, errors);
    if both {
        errors.push(labels.forbidden("name and selector are mutually exclusive"));
    }
    if own.is_empty() && labels.is_absent() {
        errors.push(parameter.required("one of name or selector must be specified"));
    }
    action.require_one_of(&["Deny", "Allow"], errors);
}

fn check_actions(actions: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for action in actions.items() {
        if !["Audit", "Deny", "Warn"].contains(&action.text()) {
            errors.push(action.unsupported(&["Audit", "Deny", "Warn"]));
        }
        if !seen.insert(action.text()) {
            errors.push(action.duplicate());
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and \
                      headers serves no purpose)";
        errors.push(actions.invalid(detail));
    }
    if seen.is_empty() {
        errors.push(actions.required("at least one validation action is required"));
    }
}

const MUTABLE: [&str; 4] = ["*", "CONNECT", "CREATE", "UPDATE"];
const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];

/// What may not be the name of a variable.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

//! FlowSchemas and PriorityLevelConfigurations: what they may say, and the two of each that must be as the server made them.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::Value;

use super::Part;
use super::field::Field;
use super::internal;
use super::write::{Write, same};
use crate::api::error::FieldError;
use crate::api::meta::{self, name};

pub(super) fn check(write: &Write<'_>, errors: &mut Vec<FieldError>) {
    let root = write.root();
    if write.part == Part::Status {
        check_conditions(&root.at("status").at("conditions"), errors);
        return;
    }
    if write.is_create() || write.kind.plural != "flowschemas" {
        write.metadata(name::subdomain, errors);
    } else {
        write.change(errors);
    }
    let (own, spec) = (meta::text(write.new, "name"), root.at("spec"));
    if write.kind.plural == "flowschemas" {
        check_schema(&spec, own, errors);
    } else {
        if !root.at("metadata").at("annotations").key(ZERO).is_absent() {
            let annotations = root.at("metadata");
            errors.push(annotations.at("annotations").forbidden(&format!("annotation '{ZERO}' is forbidden")));
        }
        check_level(&spec, own, errors);
    }
    check_mandatory(write, &spec, errors);
    check_conditions(&root.at("status").at("conditions"), errors);
}

/// The schemas and levels that must be as they are.
fn check_mandatory(write: &Write<'_>, spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let own = meta::text(write.new, "name");
    let is_it = |object: &&Value| object["kind"] == write.kind.kind.as_str() && object["metadata"]["name"] == own;
    let Some(mandatory) = MANDATORY.iter().find(is_it) else { return };
    let mut wanted = mandatory.clone();
    super::default(write.kind, &mut wanted);
    write.kind.schema.normalise(&mut wanted);
    let levels = write.kind.plural != "flowschemas";
    let mut own_spec = spec.value().clone();
    if levels && own == "exempt" {
        own_spec["exempt"] = wanted["spec"]["exempt"].clone();
    }
    if same(&own_spec, &wanted["spec"]) {
        return;
    }
    let shown = internal::print(if levels { "PriorityLevelConfigurationSpec" } else { "FlowSchemaSpec" }, spec.value());
    let but = if levels && own == "exempt" { " except the 'spec.exempt' field" } else { "" };
    errors.push(spec.invalid_as(&shown, &format!("spec of '{own}'{but} must equal the fixed value")));
}

fn check_conditions(conditions: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for condition in conditions.items() {
        let kind = condition.at("type");
        if !seen.insert(kind.text()) {
            errors.push(kind.duplicate());
        }
        kind.require(errors);
    }
}

fn check_schema(spec: &Field<'_, '_>, own: &str, errors: &mut Vec<FieldError>) {
    let precedence = spec.at("matchingPrecedence");
    match precedence.count() {
        ..=0 => errors.push(precedence.invalid_number("must be a positive value")),
        10_001.. => errors.push(precedence.invalid("must not be greater than 10000")),
        1 if own != "exempt" => errors.push(precedence.invalid("only the schema named 'exempt' may have matchingPrecedence 1")),
        _ => {}
    }
    let method = spec.at("distinguisherMethod");
    if !method.is_absent() && !["ByNamespace", "ByUser"].contains(&method.at("type").text()) {
        let shown = internal::print("FlowDistinguisherMethod", method.value());
        errors.push(FieldError::unsupported_as(method.at("type").to_string(), &shown, &["ByNamespace", "ByUser"]));
    }
    let reference = spec.at("priorityLevelConfiguration");
    let level = reference.at("name");
    if level.is_empty() {
        errors.push(level.required("must reference a priority level"));
    }
    level.named(name::subdomain, errors);
    spec.at("rules").items().for_each(|rule| check_rule(&rule, errors));
}

fn check_rule(rule: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (subjects, resources, paths) = (rule.at("subjects"), rule.at("resourceRules"), rule.at("nonResourceRules"));
    if subjects.is_empty() {
        errors.push(subjects.required("subjects must contain at least one value"));
    }
    subjects.items().for_each(|subject| check_subject(&subject, errors));
    if resources.is_empty() && paths.is_empty() {
        errors.push(rule.required("at least one of resourceRules and nonResourceRules has to be non-empty"));
    }
    resources.items().for_each(|rule| check_resources(&rule, errors));
    paths.items().for_each(|rule| check_paths(&rule, errors));
}

fn check_subject(subject: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let kind = subject.at("kind");
    let Some((named, member)) = SUBJECTS.iter().find(|(known, _)| *known == kind.text()) else {
        errors.push(kind.unsupported(&["Group", "ServiceAccount", "User"]));
        return;
    };
    let own = subject.at(member);
    if own.is_absent() {
        errors.push(own.required(&format!("{member} is required when subject kind is '{named}'")));
    } else {
        own.at("name").require(errors);
        if *member == "serviceAccount" {
            check_account(&own, errors);
        }
    }
    for (named, other) in SUBJECTS.iter().filter(|(_, other)| other != member) {
        if !subject.at(other).is_absent() {
            errors.push(subject.at(other).forbidden(&format!("{other} is forbidden when subject kind is not '{named}'")));
        }
    }
}

fn check_account(account: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if account.at("name").text() != "*" {
        account.at("name").named(name::subdomain, errors);
    }
    let namespace = account.at("namespace");
    if namespace.is_empty() {
        errors.push(namespace.required("must specify namespace for service account"));
    }
    namespace.named(name::label, errors);
}

fn check_verbs(verbs: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if verbs.is_empty() {
        errors.push(verbs.required("verbs must contain at least one value"));
    } else if has_all(verbs) {
        alone(verbs, "verbs", errors);
    } else if !verbs.texts().all(|verb| VERBS.contains(&verb)) {
        errors.push(verbs.unsupported(&VERBS));
    }
}

fn check_resources(rule: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    check_verbs(&rule.at("verbs"), errors);
    for (member, detail, what) in [
        ("apiGroups", "resource rules must supply at least one api group", "api groups"),
        ("resources", "resource rules must supply at least one resource", "resources"),
    ] {
        let list = rule.at(member);
        if list.is_empty() {
            errors.push(list.required(detail));
        } else if has_all(&list) {
            alone(&list, what, errors);
        }
    }
    let namespaces = rule.at("namespaces");
    if namespaces.is_empty() && !rule.at("clusterScope").is_true() {
        errors.push(namespaces.required("resource rules that are not cluster scoped must supply at least one namespace"));
    } else if has_all(&namespaces) {
        alone(&namespaces, "namespaces", errors);
    } else {
        for namespace in namespaces.items() {
            for fault in name::label(namespace.text()) {
                errors.push(namespace.invalid(&format!("each member of this list must be '*' or a DNS-1123 label; {fault}")));
            }
        }
    }
}

fn check_paths(rule: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    check_verbs(&rule.at("verbs"), errors);
    let paths = rule.at("nonResourceURLs");
    if paths.is_empty() {
        errors.push(paths.required("nonResourceURLs must contain at least one value"));
    } else if has_all(&paths) {
        alone(&paths, "non-resource URLs", errors);
    } else {
        for path in paths.items() {
            errors.extend(path_fault(path.text()).map(|fault| path.invalid(fault)));
        }
    }
}

fn path_fault(path: &str) -> Option<&'static str> {
    let stars = path.matches('*').count();
    match path {
        "" => Some("must not be empty"),
        "/" => None,
        _ if !path.starts_with('/') => Some("must start with slash"),
        _ if path.contains(' ') => Some("must not contain white-space"),
        _ if path.contains("//") => Some("must not contain double slash"),
        _ if stars > 1 || stars == 1 && !path.ends_with("/*") => Some("wildcard can only do suffix matching"),
        _ => None,
    }
}

fn has_all(list: &Field<'_, '_>) -> bool {
    list.texts().any(|text| text == "*")
}

fn alone(list: &Field<'_, '_>, what: &str, errors: &mut Vec<FieldError>) {
    if list.len() > 1 {
        errors.push(list.invalid(&format!("if '*' is present, must not specify other {what}")));
    }
}

fn check_level(spec: &Field<'_, '_>, own: &str, errors: &mut Vec<FieldError>) {
    let (kind, limited, exempt) = (spec.at("type"), spec.at("limited"), spec.at("exempt"));
    if (own == "exempt") != (kind.text() == "Exempt") {
        errors.push(kind.invalid("must be 'Exempt' if and only if `name` is 'exempt'"));
    }
    match kind.text() {
        "Exempt" => {
            if !limited.is_absent() {
                errors.push(limited.forbidden("must be nil if the type is not Limited"));
            }
            check_shares(&exempt, errors);
            check_lendable(&exempt, errors);
        }
        "Limited" => {
            if !exempt.is_absent() {
                errors.push(exempt.forbidden("must be nil if the type is Limited"));
            }
            if limited.is_absent() {
                errors.push(limited.required("must not be empty when type is Limited"));
                return;
            }
            check_shares(&limited, errors);
            check_response(&limited.at("limitResponse"), errors);
            check_lendable(&limited, errors);
            if limited.at("borrowingLimitPercent").count() < 0 {
                errors.push(limited.at("borrowingLimitPercent").invalid("if specified, must be a non-negative integer"));
            }
        }
        _ => errors.push(kind.unsupported(&["Exempt", "Limited"])),
    }
}

fn check_shares(part: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if part.at("nominalConcurrencyShares").count() < 0 {
        errors.push(part.at("nominalConcurrencyShares").invalid("must be a non-negative integer"));
    }
}

fn check_lendable(part: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if !(0..=100).contains(&part.at("lendablePercent").count()) {
        errors.push(part.at("lendablePercent").invalid("must be between 0 and 100, inclusive"));
    }
}

fn check_response(response: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (kind, queuing) = (response.at("type"), response.at("queuing"));
    match kind.text() {
        "Reject" if !queuing.is_absent() => {
            errors.push(queuing.forbidden("must be nil if limited.limitResponse.type is not Limited"));
        }
        "Reject" => {}
        "Queue" if queuing.is_absent() => {
            errors.push(queuing.required("must not be empty if limited.limitResponse.type is Limited"));
        }
        "Queue" => check_queuing(&queuing, errors),
        _ => errors.push(kind.unsupported(&["Queue", "Reject"])),
    }
}

fn check_queuing(queuing: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (length, queues, hand) = (queuing.at("queueLengthLimit"), queuing.at("queues"), queuing.at("handSize"));
    if length.count() <= 0 {
        errors.push(length.invalid_number("must be positive"));
    }
    match queues.count() {
        ..=0 => errors.push(queues.invalid_number("must be positive")),
        10_000_001.. => errors.push(queues.invalid("must not be greater than 10000000")),
        _ => {}
    }
    let (count, size) = (queues.count(), hand.count());
    if size <= 0 {
        errors.push(hand.invalid_number("must be positive"));
    } else if size > count {
        errors.push(hand.invalid(&format!("should not be greater than queues ({count})")));
    } else if entropy(count, size) > 60 {
        let fault = format!("required entropy bits of deckSize {count} and handSize {size} should not be greater than 60");
        errors.push(hand.invalid(&fault));
    }
}

/// The bits that dealing a hand from a deck takes; stops when they are too many.
fn entropy(deck: i64, hand: i64) -> i64 {
    let mut product = 1.0_f64;
    for card in 0..hand {
        product *= (deck - card) as f64;
        if product > 1e30 {
            break;
        }
    }
    product.log2().ceil() as i64
}

const ZERO: &str = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";

/// Kinds of subjects, and the member each fills.
const SUBJECTS: [(&str, &str); 3] = [("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")];

const VERBS: [&str; 9] = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

/// The objects that the server insists on.
static MANDATORY: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let all: Vec<Value> = serde_json::from_str(include_str!("../boot/flow.json")).unwrap_or_default();
    all.into_iter().filter(|object| ["exempt", "catch-all"].iter().any(|own| object["metadata"]["name"] == *own)).collect()
});

//! HorizontalPodAutoscalers: bounds, the target, metrics and behaviour. What comes as version 1 is checked in the form of version 2.

use serde_json::Value;

use super::Part;
use super::field::Field;
use super::quantity;
use super::write::Write;
use crate::api::convert;
use crate::api::error::FieldError;
use crate::api::meta::name;
use crate::schema::quantity::Quantity;

/// How strictly the `apiVersion` of a reference is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// With a group.
    Grouped,
    /// The core group will do.
    Any,
    /// It is stored like that already.
    Unchecked,
}

pub(super) fn check(write: &Write<'_>, errors: &mut Vec<FieldError>) {
    let (mut new, mut old) = (None, None);
    if write.kind.version == "v1" {
        new = Some(second(write.new));
        old = Some(second(write.old));
    }
    let root = Field::new(new.as_ref().unwrap_or(write.new), "");
    let old = old.as_ref().unwrap_or(write.old);
    match write.part {
        Part::Status => {
            write.change(errors);
            root.at("status").at("currentReplicas").not_negative(errors);
            root.at("status").at("desiredReplicas").not_negative(errors);
        }
        _ => {
            if write.is_create() {
                write.metadata(name::subdomain, errors)
            } else {
                write.change(errors)
            }
            check_spec(&root.at("spec"), &old["spec"], errors);
        }
    }
}

/// The second version of an autoscaler of the first.
fn second(first: &Value) -> Value {
    let mut value = first.clone();
    if !value.is_null() {
        let version = |version| ("autoscaling", version, "HorizontalPodAutoscaler");
        // There is a way between these versions.
        let _ = convert::convert(version("v1"), version("v2"), &mut value);
    }
    value
}

fn check_spec(spec: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    let (least, most) = (spec.at("minReplicas"), spec.at("maxReplicas"));
    let bound = i64::from(old["minReplicas"] != 0);
    if least.number().is_some_and(|number| number < bound) {
        errors.push(least.invalid(&format!("must be greater than or equal to {bound}")));
    }
    match most.count() {
        0 => errors.push(most.required("must be set and greater than 0")),
        ..0 => errors.push(most.invalid("must be greater than or equal to 1")),
        _ => {}
    }
    if least.number().is_some_and(|least| most.count() < least) {
        errors.push(most.invalid_number("must be greater than or equal to `minReplicas`"));
    }
    let target = spec.at("scaleTargetRef");
    let stored = &old["scaleTargetRef"];
    let version = match target.at("kind").text() {
        _ if !old.is_null() && ["apiVersion", "kind"].iter().all(|member| target.at(member).value() == &stored[*member]) => {
            Version::Unchecked
        }
        "ReplicationController" => Version::Any,
        _ => Version::Grouped,
    };
    check_reference(&target, version, errors);
    check_metrics(spec, old, errors);
    let behavior = spec.at("behavior");
    check_scaling(&behavior.at("scaleUp"), errors);
    check_scaling(&behavior.at("scaleDown"), errors);
}

fn check_reference(reference: &Field<'_, '_>, version: Version, errors: &mut Vec<FieldError>) {
    for member in ["kind", "name"] {
        reference.at(member).require(errors);
        reference.at(member).named(name::segment, errors);
    }
    let own = reference.at("apiVersion");
    if let Some(fault) = version_fault(own.text(), version) {
        errors.push(own.invalid(&fault));
    }
}

fn version_fault(text: &str, version: Version) -> Option<String> {
    match text.split_once('/') {
        _ if version == Version::Unchecked => None,
        Some((_, rest)) if rest.contains('/') => Some(format!("unexpected GroupVersion string: {text}")),
        Some((group, _)) if !group.is_empty() => None,
        _ => (version == Version::Grouped).then(|| "apiVersion must specify API group".to_owned()),
    }
}

fn check_metrics(spec: &Field<'_, '_>, old: &Value, errors: &mut Vec<FieldError>) {
    let stored = Field::new(old, "");
    let stored = stored.at("metrics");
    let bad = |metric: Field<'_, '_>| {
        let described = metric.at("object").value()["describedObject"]["apiVersion"].as_str().unwrap_or("");
        metric.at("type").text() == "Object" && version_fault(described, Version::Any).is_some()
    };
    let version = if stored.items().any(bad) { Version::Unchecked } else { Version::Any };
    let metrics = spec.at("metrics");
    for metric in metrics.items() {
        check_metric(&metric, version, errors);
    }
    let outside = metrics.items().any(|metric| matches!(metric.at("type").text(), "Object" | "External"));
    if spec.at("minReplicas").number() == Some(0) && !outside {
        let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.push(metrics.forbidden(detail));
    }
}

fn check_metric(metric: &Field<'_, '_>, version: Version, errors: &mut Vec<FieldError>) {
    let kind = metric.at("type");
    if kind.is_empty() {
        errors.push(kind.required("must specify a metric source type"));
    }
    let source = SOURCES.iter().find(|(name, _)| *name == kind.text()).map(|(_, member)| *member);
    let known = || kind.unsupported(&SOURCES.map(|(name, _)| name));
    if source.is_none() {
        errors.push(known());
    }
    let present: Vec<&str> = ORDER.into_iter().filter(|member| !metric.at(member).is_absent()).collect();
    if let Some(first) = present.first() {
        check_source(&metric.at(first), (first, version), errors);
    }
    match source {
        Some(member) if metric.at(member).is_absent() => {
            errors.push(metric.at(member).required("must populate information for the given metric source"));
        }
        Some(_) => {}
        None => errors.push(known()),
    }
    if present.len() != 1 {
        let mut more: Vec<&str> = present.into_iter().filter(|member| Some(*member) != source).collect();
        more.sort_unstable();
        errors.extend(more.iter().map(|member| metric.at(member).forbidden("must populate the given metric source only")));
    }
}

fn check_source(source: &Field<'_, '_>, (member, version): (&str, Version), errors: &mut Vec<FieldError>) {
    match member {
        "resource" | "containerResource" => check_own(source, member, errors),
        _ => {
            if member == "object" {
                check_reference(&source.at("describedObject"), version, errors);
            }
            check_identifier(&source.at("metric"), errors);
        }
    }
    let target = source.at("target");
    check_target(&target, errors);
    let (value, average) = (target.at("value"), target.at("averageValue"));
    let utilization = target.at("averageUtilization");
    match member {
        "object" if value.is_absent() && average.is_absent() => {
            errors.push(average.required("must set either a target value or averageValue"));
        }
        "external" if value.is_absent() && average.is_absent() => {
            errors.push(average.required("must set either a target value for metric or a per-pod target"));
        }
        "external" if !value.is_absent() && !average.is_absent() => {
            errors.push(value.forbidden("may not set both a target value for metric and a per-pod target"));
        }
        "pods" if average.is_absent() => errors.push(average.required("must specify a positive target averageValue")),
        "resource" | "containerResource" if average.is_absent() && utilization.is_absent() => {
            errors.push(utilization.required("must set either a target raw value or a target utilization"));
        }
        "resource" | "containerResource" if !average.is_absent() && !utilization.is_absent() => {
            errors.push(average.forbidden("may not set both a target raw value and a target utilization"));
        }
        _ => {}
    }
}

/// The resource, and the container, of a metric of the pods themselves.
fn check_own(source: &Field<'_, '_>, member: &str, errors: &mut Vec<FieldError>) {
    let resource = source.at("name");
    if resource.is_empty() {
        errors.push(resource.required("must specify a resource name"));
    } else if member == "containerResource" {
        errors.extend(quantity::name_faults(resource.text()).iter().map(|fault| resource.invalid(fault)));
    }
    if member == "containerResource" {
        let container = source.at("container");
        if container.is_empty() {
            errors.push(container.required("must specify a container"));
        }
        container.named(name::label, errors);
    }
}

fn check_identifier(metric: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if metric.at("name").is_empty() {
        errors.push(metric.at("name").required("must specify a metric name"));
    }
    metric.at("name").named(name::segment, errors);
}

fn check_target(target: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let kind = target.at("type");
    if kind.is_empty() {
        errors.push(kind.required("must specify a metric target type"));
    }
    if !["Utilization", "Value", "AverageValue"].contains(&kind.text()) {
        errors.push(kind.invalid("must be either Utilization, Value, or AverageValue"));
    }
    for member in ["value", "averageValue"] {
        let amount = target.at(member);
        let positive = Quantity::of(amount.value()).is_some_and(|amount| !amount.is_zero() && !amount.is_negative());
        if !amount.is_absent() && !positive {
            errors.push(amount.invalid("must be positive"));
        }
    }
    target.at("averageUtilization").positive(errors);
}

fn check_scaling(rules: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if rules.is_absent() {
        return;
    }
    let window = rules.at("stabilizationWindowSeconds");
    match window.count() {
        ..0 => errors.push(window.invalid("must be greater than or equal to zero")),
        3601.. => errors.push(window.invalid("must be less than or equal to 3600")),
        _ => {}
    }
    let policy = rules.at("selectPolicy");
    if !policy.is_absent() && !["Disabled", "Max", "Min"].contains(&policy.text()) {
        errors.push(policy.unsupported(&["Disabled", "Max", "Min"]));
    }
    let policies = rules.at("policies");
    if policies.is_empty() {
        errors.push(policies.required("must specify at least one Policy"));
    }
    for policy in policies.items() {
        if !["Percent", "Pods"].contains(&policy.at("type").text()) {
            errors.push(policy.at("type").unsupported(&["Percent", "Pods"]));
        }
        let (value, period) = (policy.at("value"), policy.at("periodSeconds"));
        for number in [&value, &period] {
            if number.count() <= 0 {
                errors.push(number.invalid_number("must be greater than zero"));
            }
        }
        if period.count() > 1800 {
            errors.push(period.invalid("must be less than or equal to 1800"));
        }
    }
    let tolerance = rules.at("tolerance");
    if Quantity::of(tolerance.value()).is_some_and(Quantity::is_negative) {
        errors.push(tolerance.invalid("must be greater than or equal to 0"));
    }
}

/// The types of metrics, as they are listed, and the member each fills.
const SOURCES: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];

/// The members in the order in which they are looked at: the first is checked.
const ORDER: [&str; 5] = ["object", "external", "pods", "resource", "containerResource"];

//! Access reviews: what somebody may do, and what the caller may do in a namespace (contract 6.7).

use serde_json::{Value, json};

use super::Asking;
use super::token::texts;
use crate::api::catalog::Kind;
use crate::api::error::{self, FieldError, Subject};
use crate::api::kinds::is_empty;
use crate::api::meta::name;
use crate::policy::{Ask, Decision, Permit, User};
use crate::request::{Resource, Target};
use crate::status::Status;

/// Refuses a review that asks nothing, or two things.
///
/// # Errors
/// 422 with every fault.
pub(super) fn check(kind: &Kind, review: &Value) -> Result<(), Status> {
    let spec = &review["spec"];
    let mut faults = Vec::new();
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    match (resource.is_null(), path.is_null()) {
        (false, false) => {
            let fault = "cannot be specified in combination with resourceAttributes";
            faults.push(FieldError::invalid("spec.nonResourceAttributes", path, fault));
        }
        (true, true) => {
            let fault = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            faults.push(FieldError::invalid_text("spec.resourceAttributes", "null", fault));
        }
        _ => {}
    }
    if kind.plural != SELF && is_empty(&spec["user"]) && is_empty(&spec["groups"]) {
        faults.push(FieldError::invalid_text("spec.user", "", "at least one of user or group must be specified"));
    }
    for member in ["fieldSelector", "labelSelector"] {
        check_selector(&resource[member], member, &mut faults);
    }
    let mut metadata = review["metadata"].clone();
    if let Some(members) = metadata.as_object_mut() {
        members.remove("managedFields");
        if kind.namespaced {
            members.remove("namespace");
        }
        members.retain(|_, value| !is_empty(value));
    }
    if !is_empty(&metadata) {
        let fault = if kind.namespaced { "must be empty except for namespace" } else { "must be empty" };
        faults.push(FieldError::invalid("metadata", &review["metadata"], fault));
    }
    if kind.namespaced {
        let (own, asked) = (&review["metadata"]["namespace"], resource["namespace"].as_str().unwrap_or(""));
        if !resource.is_null() && *own != asked {
            let fault = "must match metadata.namespace";
            faults.push(FieldError::invalid_text("spec.resourceAttributes.namespace", asked, fault));
        }
        if !path.is_null() {
            faults.push(FieldError::invalid("spec.nonResourceAttributes", path, "disallowed on this kind of request"));
        }
    }
    // kube-apiserver has forgotten the kind by then.
    let subject = Subject { group: &kind.group, what: "", name: "" };
    if faults.is_empty() { Ok(()) } else { Err(error::invalid(subject, &faults)) }
}

/// The faults of a selector that goes with a resource. An operator that is not known is borne: the asker may know it.
fn check_selector(selector: &Value, member: &str, faults: &mut Vec<FieldError>) {
    if selector.is_null() {
        return;
    }
    let path = format!("spec.resourceAttributes.{member}");
    let (raw, terms) = (&selector["rawSelector"], &selector["requirements"]);
    if !is_empty(raw) && !is_empty(terms) {
        faults.push(FieldError::invalid(
            format!("{path}.rawSelector"),
            raw,
            "may not specified at the same time as requirements",
        ));
    }
    if is_empty(raw) && is_empty(terms) {
        let detail = format!("when {path} is specified, requirements or rawSelector is required");
        faults.push(FieldError::required(format!("{path}.requirements"), &detail));
    }
    for (index, term) in terms.as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}.requirements[{index}]");
        let (key, values) = (term["key"].as_str().unwrap_or(""), &term["values"]);
        if member == "fieldSelector" && key.is_empty() {
            faults.push(FieldError::required(format!("{path}.key"), "must be specified"));
        }
        match term["operator"].as_str().unwrap_or("") {
            "In" | "NotIn" if is_empty(values) => {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                faults.push(FieldError::required(format!("{path}.values"), detail));
            }
            "Exists" | "DoesNotExist" if !is_empty(values) => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                faults.push(FieldError::forbidden(format!("{path}.values"), detail));
            }
            _ => {}
        }
        if member == "labelSelector" {
            faults.extend(name::qualified(key).iter().map(|fault| FieldError::invalid_text(format!("{path}.key"), key, fault)));
            for (at, value) in texts(values).iter().enumerate() {
                let told = |fault: &String| FieldError::invalid_text(format!("{path}.values[{at}]"), value, fault);
                faults.extend(name::label_value(value).iter().map(told));
            }
        }
    }
}

/// The status of an access review.
pub(super) fn decide(asking: &Asking, (kind, permit): (&Kind, &Permit), review: &Value) -> Value {
    let spec = &review["spec"];
    let (verb, target) = target(&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let ask = Ask::new(&verb, &target);
    let decision = if kind.plural == SELF {
        asking.authorizer.decide_for(permit, &ask)
    } else {
        let groups = texts(&spec["groups"]);
        let extra = spec["extra"].as_object().into_iter().flatten();
        let extra = extra.map(|(key, values)| (key.to_lowercase(), texts(values))).collect();
        let user = User { name: spec["user"].as_str().unwrap_or(""), groups: &groups, extra: Some(&extra) };
        asking.authorizer.decide(&user, &ask)
    };
    let (mut status, reason) = match decision {
        Decision::Allow { reason } => (json!({"allowed": true}), reason),
        Decision::Deny { reason } => (json!({"allowed": false, "denied": true}), reason),
        Decision::NoOpinion { reason } => (json!({"allowed": false}), reason),
    };
    if !reason.is_empty() {
        status["reason"] = Value::from(reason);
    }
    status
}

/// The status of a rules review.
///
/// # Errors
/// 400 without a namespace, 500 for the server itself.
pub(super) fn rules(asking: &Asking, permit: &Permit, review: &Value) -> Result<Value, Status> {
    let namespace = review["spec"]["namespace"].as_str().unwrap_or("");
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let Some(identity) = permit.identity() else { return Err(Status::internal("the server has no rules")) };
    let found = asking.authorizer.rules(&User::from(identity), namespace);
    let rules: Vec<Value> = found.rules.iter().map(|rule| json!(rule)).collect();
    let (paths, resources): (Vec<Value>, Vec<Value>) = rules.into_iter().partition(|rule| !is_empty(&rule["nonResourceURLs"]));
    let mut status = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": found.incomplete});
    if !found.errors.is_empty() {
        status["evaluationError"] = Value::from(found.errors.join(", "));
    }
    Ok(status)
}

/// What an access review asks about.
fn target(resource: &Value, path: &Value) -> (String, Target) {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    if resource.is_null() {
        return (text(&path["verb"]), Target::Path(text(&path["path"])));
    }
    let target = Resource {
        group: text(&resource["group"]),
        version: text(&resource["version"]),
        resource: text(&resource["resource"]),
        subresource: text(&resource["subresource"]),
        namespace: text(&resource["namespace"]),
        name: text(&resource["name"]),
        field_selector: selector(&resource["fieldSelector"]),
        label_selector: selector(&resource["labelSelector"]),
        ..Resource::default()
    };
    (text(&resource["verb"]), Target::Resource(target))
}

/// A selector as a URL would carry it. A requirement that no URL can say is left out: then more is asked, and less is granted.
fn selector(selector: &Value) -> String {
    if let Some(raw) = selector["rawSelector"].as_str().filter(|raw| !raw.is_empty()) {
        return raw.to_owned();
    }
    let terms = selector["requirements"].as_array().into_iter().flatten().filter_map(|term| {
        let (key, values) = (term["key"].as_str()?, term["values"].as_array()?);
        match (term["operator"].as_str()?, values.as_slice()) {
            ("In", [Value::String(value)]) => Some(format!("{key}={value}")),
            ("NotIn", [Value::String(value)]) => Some(format!("{key}!={value}")),
            _ => None,
        }
    });
    terms.collect::<Vec<_>>().join(",")
}

const SELF: &str = "selfsubjectaccessreviews";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_of_a_review() {
        for (selector, expected) in [
            (Value::Null, ""),
            (json!({"rawSelector": "a=b"}), ""),
            (json!({"requirements": [{"key": "a", "operator": "In", "values": ["b"]}]}), ""),
            (json!({"requirements": [{"key": "a", "operator": "Later"}]}), ""),
            (json!({}), "PATH.requirements: Required value: when PATH is specified, requirements or rawSelector is required"),
            (
                json!({"rawSelector": "a=b", "requirements": [{"key": "a", "operator": "Exists"}]}),
                "PATH.rawSelector: Invalid value: \"a=b\": may not specified at the same time as requirements",
            ),
            (
                json!({"requirements": [{"key": "a", "operator": "In"}]}),
                "PATH.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            ),
            (
                json!({"requirements": [{"operator": "Exists", "values": ["b"]}]}),
                "PATH.requirements[0].key: Required value: must be specified; PATH.requirements[0].values: Forbidden: may not be specified \
                 when `operator` is 'Exists' or 'DoesNotExist'",
            ),
        ] {
            let mut faults = Vec::new();
            check_selector(&selector, "fieldSelector", &mut faults);
            assert_eq!(
                faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
                expected.replace("PATH", "spec.resourceAttributes.fieldSelector")
            );
        }
    }
}

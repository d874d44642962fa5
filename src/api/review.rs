//! What is asked and never stored: who am I, what may somebody do.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::accept::Accept;
use super::create::{refuse_faults, validation};
use super::decode::{self, Expected};
use super::error::{self, FieldError, Subject};
use super::kinds::is_empty;
use super::{Api, Call, answer, meta, subresource, warning};
use crate::body::Response;
use crate::policy::{Ask, Authorizer, Decision, Permit, User};
use crate::request::{CreateOptions, Query, Resource, Target};
use crate::status::Status;

pub(super) async fn serve(api: &Api, mut call: Call<'_>) -> Result<Response, Status> {
    if call.route.kind.plural == "bindings" {
        return subresource::legacy(api, call).await;
    }
    let accept = Accept::of(&call)?;
    let kind = std::sync::Arc::clone(&call.route.kind);
    let options = CreateOptions::parse(&Query::parse(call.request.uri().query().unwrap_or("")));
    refuse_faults("CreateOptions", &options.faults())?;
    let encoding = decode::encoding(call.request.headers())?;
    let body = std::mem::replace(call.request.body_mut(), crate::body::Inbound::Full(http_body_util::Full::default()));
    let body = decode::whole(body).await?;
    let expected = Expected { gvk: (&kind.group, &kind.version, &kind.kind), schema: &kind.schema };
    let mut warnings = Vec::new();
    let mut review = decode::object(expected, &body, encoding, (validation(&options), &mut warnings))?;
    meta::wipe(&mut review);
    meta::match_namespace(&mut review, &call.route.namespace)?;
    match kind.plural.as_str() {
        "selfsubjectreviews" => {
            review["metadata"]["creationTimestamp"] = Value::from(meta::now());
            review["status"] = json!({"userInfo": user_info(call.permit)});
        }
        "selfsubjectaccessreviews" | "subjectaccessreviews" | "localsubjectaccessreviews" => {
            review["status"] = access(api, &call, &review)?;
        }
        "selfsubjectrulesreviews" => review["status"] = rules(api, call.permit, &review)?,
        other => {
            let message = format!("{other} are not supported by this server");
            return Err(Status::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message));
        }
    }
    kind.schema.normalise(&mut review);
    Ok(warning::attach(answer::value(&kind, &accept, StatusCode::CREATED, &review)?, &warnings))
}

/// The identity that acts.
fn user_info(permit: &Permit) -> Value {
    let Some(identity) = permit.identity() else {
        return json!({"username": "system:apiserver", "groups": ["system:masters", "system:authenticated"]});
    };
    let mut info = Map::new();
    info.insert("username".to_owned(), json!(identity.user()));
    if !identity.uid().is_empty() {
        info.insert("uid".to_owned(), json!(identity.uid()));
    }
    if !identity.groups().is_empty() {
        info.insert("groups".to_owned(), json!(identity.groups()));
    }
    if !identity.extra().is_empty() {
        info.insert("extra".to_owned(), json!(identity.extra()));
    }
    Value::Object(info)
}

fn authorizer(api: &Api) -> Result<&Authorizer, Status> {
    api.authorizer.as_deref().ok_or_else(|| Status::internal("this server has no authorizer to ask"))
}

/// The status of an access review.
fn access(api: &Api, call: &Call<'_>, review: &Value) -> Result<Value, Status> {
    let spec = &review["spec"];
    let kind = &call.route.kind;
    let mut faults = Vec::new();
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    if resource.is_null() == path.is_null() {
        let detail = if resource.is_null() {
            "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        } else {
            "cannot be specified in combination with resourceAttributes"
        };
        let field = if resource.is_null() { "spec.resourceAttributes" } else { "spec.nonResourceAttributes" };
        faults.push(FieldError::invalid(field, path, detail));
    }
    let own = kind.plural == "selfsubjectaccessreviews";
    if !own && is_empty(&spec["user"]) && is_empty(&spec["groups"]) {
        faults.push(FieldError::invalid("spec.user", &spec["user"], "at least one of user or group must be specified"));
    }
    if kind.namespaced && resource["namespace"].as_str().unwrap_or("") != call.route.namespace {
        let detail = "must match metadata.namespace";
        faults.push(FieldError::invalid("spec.resourceAttributes.namespace", &resource["namespace"], detail));
    }
    if !faults.is_empty() {
        return Err(error::invalid(Subject::kind(kind, ""), &faults));
    }
    let (verb, target) = target(resource, path);
    let ask = Ask::new(&verb, &target);
    let authorizer = authorizer(api)?;
    let decision = if own {
        authorizer.decide_for(call.permit, &ask)
    } else {
        let list = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let groups = list(&spec["groups"]);
        let extra = spec["extra"].as_object().into_iter().flatten().map(|(key, values)| (key.clone(), list(values))).collect();
        let user = User { name: spec["user"].as_str().unwrap_or(""), groups: &groups, extra: Some(&extra) };
        authorizer.decide(&user, &ask)
    };
    let (allowed, denied, reason) = match decision {
        Decision::Allow { reason } => (true, false, reason),
        Decision::Deny { reason } => (false, true, reason),
        Decision::NoOpinion { reason } => (false, false, reason),
    };
    let mut status = json!({"allowed": allowed});
    if denied {
        status["denied"] = Value::from(true);
    }
    if !reason.is_empty() {
        status["reason"] = Value::from(reason);
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
        field_selector: text(&resource["fieldSelector"]["rawSelector"]),
        label_selector: text(&resource["labelSelector"]["rawSelector"]),
        ..Resource::default()
    };
    (text(&resource["verb"]), Target::Resource(target))
}

/// The status of a rules review.
fn rules(api: &Api, permit: &Permit, review: &Value) -> Result<Value, Status> {
    let namespace = review["spec"]["namespace"].as_str().unwrap_or("");
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let Some(identity) = permit.identity() else { return Err(Status::internal("the server has no rules")) };
    let found = authorizer(api)?.rules(&User::from(identity), namespace);
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    for rule in &found.rules {
        let rule = json!(rule);
        if is_empty(&rule["nonResourceURLs"]) { resources.push(rule) } else { paths.push(rule) }
    }
    let mut status = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": found.incomplete});
    if !found.errors.is_empty() {
        status["evaluationError"] = Value::from(found.errors.join(", "));
    }
    Ok(status)
}

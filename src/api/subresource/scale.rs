//! The scale of a workload: its replicas, wished and real, and whom it selects (contract 3.10).

use http::StatusCode;
use serde_json::{Value, json};

use crate::api::accept::Accept;
use crate::api::catalog::Kind;
use crate::api::create::{refuse_faults, respond_value, validation};
use crate::api::decode::{self, Expected};
use crate::api::error::{self, FieldError, Subject};
use crate::api::kinds::Part;
use crate::api::own::{self, Tracker};
use crate::api::patch::{self, Patch};
use crate::api::registry::{self, Aim, Round, Written};
use crate::api::route::Action;
use crate::api::{Api, Call, answer, meta, refusal};
use crate::body::Response;
use crate::request::{PatchOptions, Query};
use crate::schema::own::Sent;
use crate::schema::{self, Schema};
use crate::status::Status;

pub(super) async fn serve(api: &Api, call: Call<'_>) -> Result<Response, Status> {
    match call.route.action {
        Action::Get => get(api, &call).await,
        Action::Update | Action::Patch => change(api, call).await,
        _ => Err(refusal::no_method()),
    }
}

async fn get(api: &Api, call: &Call<'_>) -> Result<Response, Status> {
    let accept = Accept::of(call)?;
    let route = &call.route;
    api.store.latest().await.map_err(|cause| refusal::store(&cause))?;
    let object = api.seen(&route.kind, &route.namespace, &route.name);
    let object = object.ok_or_else(|| missing(&route.kind, &route.name))?;
    let scale = scale_of(&route.kind, &api.served(&route.kind, &object)?);
    answer::value(&route.kind, &accept, StatusCode::OK, &scale)
}

/// 404 of a scale that is asked for, as each kind words it.
fn missing(kind: &Kind, name: &str) -> Status {
    let group = match kind.plural.as_str() {
        "deployments" | "replicasets" => kind.group.as_str(),
        "replicationcontrollers" => "autoscaling",
        _ => return refusal::not_found(kind, name),
    };
    error::not_found(Subject { group, what: &format!("{}/scale", kind.plural), name })
}

/// What is to become of a scale.
enum Wish {
    Be(Value, Sent),
    Follow(Patch),
}

async fn change(api: &Api, call: Call<'_>) -> Result<Response, Status> {
    let accept = Accept::of(&call)?;
    let Call { permit, route, request } = call;
    let options = PatchOptions::parse(&Query::parse(request.uri().query().unwrap_or("")));
    let schema = Schema::builtin("autoscaling", "v1", "Scale").ok_or_else(refusal::no_route)?;
    let tracker = Tracker::of_scale(&schema, own::manager(&options.write.field_manager, request.headers()));
    let manner = validation(&options.write);
    let mut warnings = Vec::new();
    let wish = if route.action == Action::Patch {
        let media = patch::media(request.headers())?;
        refuse_faults("PatchOptions", &options.faults(media.manner()))?;
        Wish::Follow(Patch::read((media, &options), decode::whole(request.into_body()).await?, &schema)?)
    } else {
        refuse_faults("UpdateOptions", &options.write.faults())?;
        let encoding = decode::encoding(request.headers())?;
        let body = decode::whole(request.into_body()).await?;
        let expected = Expected { gvk: ("autoscaling", "v1", "Scale"), schema: &schema };
        let mut scale = decode::object(expected, &body, encoding, (manner, &mut warnings))?;
        meta::match_namespace(&mut scale, &route.namespace)?;
        meta::match_name(&scale, &route.name, &route.namespace)?;
        let sent = Sent::take(&mut scale);
        tracker.settle(&mut scale);
        Wish::Be(scale, sent)
    };
    let kind = &route.kind;
    let dry_run = options.write.is_dry_run();
    let aim = Aim { permit, kind, part: Part::Scale, namespace: &route.namespace, name: &route.name, dry_run };
    let mut round = Round::new(warnings);
    let mut faults = Vec::new();
    let change = |old: Option<&Value>| {
        let old = old.ok_or_else(|| error::not_found(aim.resource()))?;
        let current = tracked_scale(&tracker, kind, old);
        let subject = Subject { group: "autoscaling", what: "Scale", name: &route.name };
        let mut scale = match &wish {
            Wish::Be(scale, sent) => {
                let mut scale = scale.clone();
                tracker.updated(&current, &mut scale, sent.clone());
                scale
            }
            Wish::Follow(patch) => {
                let mut scale = patch.laid(&tracker, Some(&current), (manner, &mut faults), subject)?;
                meta::match_namespace(&mut scale, &route.namespace)?;
                meta::match_name(&scale, &route.name, &route.namespace)?;
                scale
            }
        };
        schema::own::keep_times(&current, &mut scale);
        rescale(&aim, &scale, old)
    };
    let (_, written) = registry::update(api, &aim, &mut round, change).await?;
    round.warnings.extend(faults);
    let object = match written {
        Written::Stored(object) => api.served(kind, &object)?,
        Written::Loose(value) => value,
    };
    respond_value(&aim, &accept, (StatusCode::OK, &scale_of(kind, &object)), &round.warnings)
}

/// The scale that a workload shows, with who owns its replicas.
fn tracked_scale(tracker: &Tracker<'_>, kind: &Kind, object: &Value) -> Value {
    let mut scale = scale_of(kind, object);
    tracker.settle(&mut scale);
    if let Some(managed) = own::to_scale(kind, object) {
        scale["metadata"]["managedFields"] = managed;
    }
    scale
}

/// The workload with the wished replicas.
fn rescale(aim: &Aim<'_>, scale: &Value, old: &Value) -> Result<Value, Status> {
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        let fault = FieldError::invalid("spec.replicas", &Value::from(replicas), "must be greater than or equal to 0");
        return Err(error::invalid(Subject { group: "autoscaling", what: "Scale", name: aim.name }, &[fault]));
    }
    let (wanted, uid) = (meta::text(scale, "uid"), meta::text(old, "uid"));
    if !wanted.is_empty() && wanted != uid {
        let what = format!("{}/scale", aim.kind.plural);
        let cause = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}");
        return Err(error::conflict(Subject { group: &aim.kind.group, what: &what, name: aim.name }, cause));
    }
    let mut new = old.clone();
    new["spec"]["replicas"] = Value::from(replicas);
    meta::set(&mut new, "resourceVersion", meta::text(scale, "resourceVersion"));
    match own::to_parent(aim.kind, old, &scale["metadata"]["managedFields"]) {
        Some(managed) => meta::members(&mut new).insert("managedFields".to_owned(), managed),
        None => meta::members(&mut new).remove("managedFields"),
    };
    Ok(new)
}

/// The scale that a workload shows.
fn scale_of(kind: &Kind, object: &Value) -> Value {
    let mut metadata = json!({});
    for member in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if !object["metadata"][member].is_null() {
            metadata[member] = object["metadata"][member].clone();
        }
    }
    let mut spec = json!({});
    match object["spec"]["replicas"].as_i64().unwrap_or(0) {
        0 => {}
        replicas => spec["replicas"] = Value::from(replicas),
    }
    let mut status = json!({"replicas": object["status"]["replicas"].as_i64().unwrap_or(0)});
    let selector = match kind.plural.as_str() {
        "replicationcontrollers" => format_selector(&json!({"matchLabels": object["spec"]["selector"]})),
        _ => format_selector(&object["spec"]["selector"]),
    };
    if !selector.is_empty() {
        status["selector"] = Value::from(selector);
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
}

/// A label selector in one line, as clients send it.
fn format_selector(selector: &Value) -> String {
    let mut terms: Vec<(String, String)> = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        terms.push((key.clone(), format!("{key}={}", value.as_str().unwrap_or(""))));
    }
    for term in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = term["key"].as_str().unwrap_or("");
        let mut values: Vec<&str> = term["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        let text = match term["operator"].as_str().unwrap_or("") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        };
        terms.push((key.to_owned(), text));
    }
    terms.sort();
    terms.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_in_one_line() {
        let selector = json!({"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": [
            {"key": "c", "operator": "In", "values": ["y", "x"]}, {"key": "d", "operator": "DoesNotExist"}]});
        assert_eq!(format_selector(&selector), "a=1,b=2,c in (x,y),!d");
    }
}

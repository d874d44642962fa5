//! The binding of a pod to a node: the scheduler's word (contract 3.9).

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::api::accept::Accept;
use crate::api::admission::{self, Operation, Review};
use crate::api::create::{refuse_faults, respond_value, validation};
use crate::api::decode::{self, Expected};
use crate::api::error::{self, Subject};
use crate::api::kinds::{Part, is_empty};
use crate::api::registry::{self, Aim, Round};
use crate::api::{Api, Call, meta, refusal};
use crate::body::Response;
use crate::request::{CreateOptions, Query};
use crate::schema::Schema;
use crate::status::Status;

/// `POST .../pods/NAME/binding`
pub(super) async fn serve(api: &Api, call: Call<'_>) -> Result<Response, Status> {
    let name = call.route.name.clone();
    bind(api, call, Some(name)).await
}

/// `POST .../bindings`: the pod is named by the body.
pub(crate) async fn legacy(api: &Api, call: Call<'_>) -> Result<Response, Status> {
    bind(api, call, None).await
}

async fn bind(api: &Api, call: Call<'_>, named: Option<String>) -> Result<Response, Status> {
    let accept = Accept::of(&call)?;
    let Call { permit, route, request } = call;
    let options = CreateOptions::parse(&Query::parse(request.uri().query().unwrap_or("")));
    refuse_faults("CreateOptions", &options.faults())?;
    let encoding = decode::encoding(request.headers())?;
    let body = decode::whole(request.into_body()).await?;
    let schema = Schema::builtin("", "v1", "Binding").ok_or_else(refusal::no_route)?;
    let pods = api.catalog.find("", "v1", "pods").ok_or_else(refusal::no_route)?;
    let mut round = Round::default();
    let expected = Expected { gvk: ("", "v1", "Binding"), schema: &schema };
    let mut binding = decode::object(expected, &body, encoding, (validation(&options), &mut round.warnings))?;
    meta::match_namespace(&mut binding, &route.namespace)?;
    let own = meta::text(&binding, "name");
    let review = Review {
        permit,
        kind: pods,
        subresource: "binding",
        operation: Operation::Create,
        namespace: &route.namespace,
        name: named.as_deref().unwrap_or(own),
        old: None,
        dry_run: options.is_dry_run(),
    };
    if admission::enter(api, &review, &binding).is_err() {
        api.store.latest().await.map_err(|cause| refusal::store(&cause))?;
        admission::enter(api, &review, &binding)?;
    }
    if named.as_deref().is_some_and(|named| named != own) {
        return Err(Status::bad_request("name in URL does not match name in Binding object"));
    }
    check(&binding)?;
    let target = &binding["target"];
    let labels = match target["kind"].as_str() {
        Some("Node") => admission::topology::of(api, target["name"].as_str().unwrap_or("")),
        _ => Map::new(),
    };
    let mut round = Round::new(round.warnings);
    let aim =
        Aim { permit, kind: pods, part: Part::Binding, namespace: &route.namespace, name: own, dry_run: options.is_dry_run() };
    let change = |old: Option<&Value>| assign(&aim, (&binding, &labels), old);
    registry::update(api, &aim, &mut round, change).await?;
    let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    respond_value(&aim, &accept, (StatusCode::CREATED, &done), &round.warnings)
}

/// What kube-apiserver refuses as a plain error.
fn check(binding: &Value) -> Result<(), Status> {
    let target = &binding["target"];
    let mut faults = Vec::new();
    if !matches!(target["kind"].as_str().unwrap_or(""), "" | "Node") {
        faults.push(error::FieldError::unsupported("target.kind", &target["kind"], &["Node", "<empty>"]));
    }
    if is_empty(&target["name"]) {
        faults.push(error::FieldError::required("target.name", ""));
    }
    let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    match texts.as_slice() {
        [] => Ok(()),
        [one] => Err(error::plain(one.as_str())),
        many => Err(error::plain(format!("[{}]", many.join(", ")))),
    }
}

/// The pod with its node.
fn assign(aim: &Aim<'_>, (binding, labels): (&Value, &Map<String, Value>), old: Option<&Value>) -> Result<Value, Status> {
    let old = old.ok_or_else(|| error::not_found(aim.resource()))?;
    let name = aim.name;
    let refuse = |cause: String| Err(error::conflict(Subject { group: "", what: "pods/binding", name }, cause));
    for (member, word) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
        let (wanted, found) = (meta::text(binding, member), meta::text(old, member));
        if !wanted.is_empty() && wanted != found {
            let key = aim.kind.key(aim.namespace, name).unwrap_or_default();
            let cause = format!(
                "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: {word} \
                 in precondition: {wanted}, {word} in object meta: {found}",
                String::from_utf8_lossy(&key)
            );
            return Err(error::conflict(aim.resource(), cause));
        }
    }
    if meta::is_deleting(old) {
        return refuse(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    let node = old["spec"]["nodeName"].as_str().unwrap_or("");
    if !node.is_empty() {
        return refuse(format!("pod {name} is already assigned to node {}", error::quoted(node)));
    }
    if !is_empty(&old["spec"]["schedulingGates"]) {
        return refuse(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    let mut pod = old.clone();
    pod["spec"]["nodeName"] = binding["target"]["name"].clone();
    for member in ["annotations", "labels"] {
        for (key, value) in binding["metadata"][member].as_object().into_iter().flatten() {
            pod["metadata"][member][key] = value.clone();
        }
    }
    for (key, value) in labels {
        pod["metadata"]["labels"][key] = value.clone();
    }
    if let Some(status) = pod["status"].as_object_mut() {
        status.remove("nominatedNodeName");
    }
    set_condition(&mut pod, json!({"type": "PodScheduled", "status": "True"}));
    Ok(pod)
}

/// Puts a condition in the place of the one of its type.
pub(super) fn set_condition(pod: &mut Value, mut condition: Value) {
    condition["lastProbeTime"] = Value::Null;
    condition["lastTransitionTime"] = Value::from(meta::now());
    let conditions = &mut pod["status"]["conditions"];
    let Some(list) = conditions.as_array_mut() else {
        *conditions = json!([condition]);
        return;
    };
    match list.iter_mut().find(|own| own["type"] == condition["type"]) {
        Some(own) => {
            if own["status"] == condition["status"] {
                condition["lastTransitionTime"] = own["lastTransitionTime"].clone();
            }
            *own = condition;
        }
        None => list.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        for (target, expected) in [
            (json!({"name": "n"}), Ok(())),
            (json!({"kind": "Node", "name": "n"}), Ok(())),
            (json!({"kind": "Node"}), Err("target.name: Required value".to_owned())),
            (
                json!({"kind": "Pod", "name": "n"}),
                Err("target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\"".to_owned()),
            ),
        ] {
            assert_eq!(check(&json!({"target": target})).map_err(|refusal| refusal.message), expected);
        }
    }

    #[test]
    fn conditions_are_told_once() {
        let mut pod = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        set_condition(&mut pod, json!({"type": "PodScheduled", "status": "True"}));
        set_condition(&mut pod, json!({"type": "PodScheduled", "status": "True"}));
        assert_eq!(pod["status"]["conditions"].as_array().map(Vec::len), Some(2));
    }
}

//! What only the server knows of objects that others make: whether a flow schema's level exists, whether an API service is there.

use std::sync::Arc;
use std::task::Poll;

use serde_json::{Value, json};

use crate::api::catalog::Kind;
use crate::api::kinds::Part;
use crate::api::object::Object;
use crate::api::own;
use crate::api::registry::{self, Aim, Round};
use crate::api::solo::follow::Follower;
use crate::api::{Api, error, meta};
use crate::policy::Permit;

/// Follows the objects and what their states hang on.
pub(super) async fn run(api: &Arc<Api>, permit: &Permit) {
    let find = |(group, plural): (&str, &str)| api.catalog.find(group, "v1", plural);
    let follow = |kind: &Arc<Kind>| kind.storage.as_ref().map(|storage| Follower::new(Arc::clone(api), storage.space));
    let mut followers: Vec<Follower> = FOLLOWED.into_iter().filter_map(find).filter_map(follow).collect();
    loop {
        std::future::poll_fn(|context| {
            let mut told = false;
            for follower in &mut followers {
                while follower.poll(context).is_ready() {
                    told = true;
                }
            }
            if told { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        for (resource, state) in STATES {
            let Some(kind) = find(resource) else { continue };
            let Some(storage) = &kind.storage else { continue };
            for object in api.store.view().root(storage.space).items.values().filter(|object| !object.is_deleting()) {
                settle(api, permit, (kind, object), state(api, &object.value())).await;
            }
        }
    }
}

/// `Dangling`: whether the level of a flow schema is missing.
pub(super) fn dangling(level: &str, exists: bool) -> Value {
    let (status, reason, end) =
        if exists { ("False", "Found", "it exists") } else { ("True", "NotFound", "there is no such object") };
    let join = if exists { "and" } else { "but" };
    let message = format!("This FlowSchema references the PriorityLevelConfiguration object named \"{level}\" {join} {end}");
    json!({"type": "Dangling", "status": status, "lastTransitionTime": meta::now(), "reason": reason, "message": message})
}

/// Writes the condition unless it stands there.
async fn settle(api: &Api, permit: &Permit, (kind, object): (&Arc<Kind>, &Arc<Object>), wanted: Option<Value>) {
    let Some(wanted) = wanted else { return };
    if stands(&object.value(), &wanted) {
        return;
    }
    let aim = Aim { permit, kind, part: Part::Status, namespace: "", name: object.name(), dry_run: false };
    let change = |old: Option<&Value>| {
        let old = old.ok_or_else(|| error::not_found(aim.resource()))?;
        let mut new = old.clone();
        let mut conditions = new["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.retain(|condition| condition["type"] != wanted["type"]);
        conditions.push(wanted.clone());
        new["status"]["conditions"] = Value::from(conditions);
        own::told(&api.catalog, kind, old, &mut new);
        Ok(new)
    };
    match registry::update(api, &aim, &mut Round::default(), change).await {
        Ok(_) => {}
        Err(refusal) if refusal.reason == "NotFound" => {}
        Err(refusal) => tracing::warn!(kind = %kind.kind, name = %object.name(), %refusal, "a state is not told"),
    }
}

fn stands(object: &Value, wanted: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    { conditions }.any(|own| ["type", "status", "reason", "message"].iter().all(|member| own[*member] == wanted[*member]))
}

fn flow_schema(api: &Api, schema: &Value) -> Option<Value> {
    let level = schema["spec"]["priorityLevelConfiguration"]["name"].as_str()?;
    let kind = api.catalog.find(FLOW, "v1", "prioritylevelconfigurations")?;
    Some(dangling(level, api.seen(kind, "", level).is_some()))
}

/// An API service that names no service is ours and always there. Others are not asked: this server does not aggregate.
fn api_service(api: &Api, service: &Value) -> Option<Value> {
    let condition = |status: &str, reason: &str, message: &str| json!({"type": "Available", "status": status, "lastTransitionTime": meta::now(), "reason": reason, "message": message});
    let backend = &service["spec"]["service"];
    if backend.is_null() {
        return Some(condition("True", "Local", "Local APIServices are always available"));
    }
    let (namespace, name) = (backend["namespace"].as_str()?, backend["name"].as_str()?);
    let kind = api.catalog.find("", "v1", "services")?;
    if api.seen(kind, namespace, name).is_none() {
        let message = format!("service/{name} in \"{namespace}\" is not present");
        return Some(condition("False", "ServiceNotFound", &message));
    }
    Some(condition("False", "FailedDiscoveryCheck", "this server does not aggregate other API servers"))
}

type State = fn(&Api, &Value) -> Option<Value>;

const FLOW: &str = "flowcontrol.apiserver.k8s.io";
const APIS: (&str, &str) = ("apiregistration.k8s.io", "apiservices");
const FOLLOWED: [(&str, &str); 4] = [(FLOW, "flowschemas"), (FLOW, "prioritylevelconfigurations"), APIS, ("", "services")];
const STATES: [((&str, &str), State); 2] = [((FLOW, "flowschemas"), flow_schema), (APIS, api_service)];

//! The eviction of a pod: a deletion that its disruption budget must allow (contract 3.9).

use http::StatusCode;
use serde_json::{Value, json};

use super::binding::set_condition;
use crate::api::accept::Accept;
use crate::api::admission::{self, Operation, Review};
use crate::api::create::{refuse_faults, respond_value, validation};
use crate::api::decode::{self, Expected};
use crate::api::error::Subject;
use crate::api::kinds::{Part, selects};
use crate::api::own;
use crate::api::registry::{self, Aim, Round, Written};
use crate::api::{Api, Call, delete, error, meta, refusal, removal};
use crate::body::Response;
use crate::request::{CreateOptions, DeleteOptions, FieldValidation, Query};
use crate::schema::{Encoding, Schema};
use crate::status::{Cause, Details, Status};
use crate::store::{Expect, Outcome};

pub(super) async fn serve(api: &Api, call: Call<'_>) -> Result<Response, Status> {
    let accept = Accept::of(&call)?;
    let Call { permit, route, request } = call;
    let options = CreateOptions::parse(&Query::parse(request.uri().query().unwrap_or("")));
    refuse_faults("CreateOptions", &options.faults())?;
    let encoding = decode::encoding(request.headers())?;
    let body = decode::whole(request.into_body()).await?;
    let mut warnings = Vec::new();
    let mut eviction = read(&body, encoding, (validation(&options), &mut warnings))?;
    meta::match_namespace(&mut eviction, &route.namespace)?;
    let deletion = delete::of_value(&eviction["deleteOptions"]);
    let aim = Aim {
        permit,
        kind: &route.kind,
        part: Part::Binding,
        namespace: &route.namespace,
        name: &route.name,
        dry_run: options.is_dry_run() || deletion.is_dry_run(),
    };
    api.store.latest().await.map_err(|cause| refusal::store(&cause))?;
    enter(api, &aim, &eviction)?;
    if meta::text(&eviction, "name") != route.name {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    if !options.dry_run.is_empty() && !deletion.dry_run.is_empty() && options.dry_run != deletion.dry_run {
        let (own, given) = (options.dry_run.join(" "), deletion.dry_run.join(" "));
        let cause = format!("Non-matching dry-run options in request and content: [{own}] and [{given}]");
        return Err(error::plain(cause));
    }
    evict(api, &aim, &deletion).await?;
    let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    respond_value(&aim, &accept, (StatusCode::CREATED, &done), &warnings)
}

/// An eviction of either version.
fn read(body: &[u8], encoding: Encoding, (validation, warnings): (FieldValidation, &mut Vec<String>)) -> Result<Value, Status> {
    let schema = Schema::builtin("policy", "v1", "Eviction").ok_or_else(refusal::no_route)?;
    let old = memchr::memmem::find(body, b"policy/v1beta1").is_some();
    if old {
        let expected = Expected { gvk: ("policy", "v1beta1", "Eviction"), schema: &schema };
        if let Ok(eviction) = decode::object(expected, body, encoding, (validation, warnings)) {
            return Ok(eviction);
        }
        warnings.clear();
    }
    decode::object(Expected { gvk: ("policy", "v1", "Eviction"), schema: &schema }, body, encoding, (validation, warnings))
}

/// An eviction is a create in the namespace.
fn enter(api: &Api, aim: &Aim<'_>, eviction: &Value) -> Result<(), Status> {
    let review = Review {
        permit: aim.permit,
        kind: aim.kind,
        subresource: "eviction",
        operation: Operation::Create,
        namespace: aim.namespace,
        name: aim.name,
        old: None,
        dry_run: aim.dry_run,
    };
    admission::enter(api, &review, eviction)
}

async fn evict(api: &Api, aim: &Aim<'_>, options: &DeleteOptions) -> Result<(), Status> {
    let is_free = options.preconditions.resource_version.is_none();
    for _ in 0..ATTEMPTS {
        api.store.latest().await.map_err(|cause| refusal::store(&cause))?;
        let pod = api.seen(aim.kind, aim.namespace, aim.name).ok_or_else(|| error::not_found(aim.resource()))?.value();
        refuse_faults("DeleteOptions", &options.faults())?;
        let mut own = options.clone();
        let mut unhealthy = None;
        if !is_over(&pod) {
            unhealthy = spend(api, aim, &pod).await?;
        }
        // Whoever is let go because he is not healthy must not have become so meanwhile.
        let pending = is_over(&pod) && pod["status"]["phase"] == "Pending" && !meta::is_deleting(&pod);
        if is_free && (pending || unhealthy.is_some()) {
            own.preconditions.resource_version = Some(meta::text(&pod, "resourceVersion").to_owned());
        }
        match (mark_and_remove(api, aim, own).await, unhealthy) {
            (Err(refusal), Some(budget)) if is_free && refusal.reason == "Conflict" => {
                return Err(refuse(format!("The disruption budget {budget} is still being processed by the server."), 10));
            }
            (Err(refusal), None) if is_free && pending && refusal.reason == "Conflict" => {}
            (outcome, _) => return outcome,
        }
    }
    Err(error::stale(aim.resource()))
}

/// Tells in the pod why it goes, and deletes it.
async fn mark_and_remove(api: &Api, aim: &Aim<'_>, mut options: DeleteOptions) -> Result<(), Status> {
    if !aim.dry_run {
        let conditions = options.preconditions.clone();
        let mark = |old: Option<&Value>| {
            let mut pod = old.cloned().ok_or_else(|| error::not_found(aim.resource()))?;
            removal::check_preconditions(aim, &conditions, &pod)?;
            let message = "Eviction API: evicting";
            set_condition(
                &mut pod,
                json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": message}),
            );
            Ok(pod)
        };
        let (_, written) = registry::update(api, aim, &mut Round::default(), mark).await?;
        if let (Some(version), Written::Stored(object)) = (&mut options.preconditions.resource_version, written) {
            *version = object.revision().0.to_string();
        }
    }
    removal::remove(api, aim, &options, &mut Round::default()).await.map(drop)
}

/// Pods that no budget counts.
fn is_over(pod: &Value) -> bool {
    meta::is_deleting(pod) || matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Pending" | "Succeeded"))
}

/// Takes one disruption from the budget of the pod, if it has one. The budget's name where the pod goes because it is not healthy.
async fn spend(api: &Api, aim: &Aim<'_>, pod: &Value) -> Result<Option<String>, Status> {
    let Some(kind) = api.catalog.find("policy", "v1", "poddisruptionbudgets") else { return Ok(None) };
    for _ in 0..ATTEMPTS {
        let mut budgets = budgets(api, aim, pod);
        if budgets.len() > 1 {
            let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Status::new(StatusCode::INTERNAL_SERVER_ERROR, "", message));
        }
        let Some(budget) = budgets.pop() else { return Ok(None) };
        let Some(mut spent) = spent(&budget, pod)? else { return Ok(Some(meta::text(&budget, "name").to_owned())) };
        if aim.dry_run {
            return Ok(None);
        }
        let revision = crate::store::Revision(meta::text(&budget, "resourceVersion").parse().unwrap_or_default());
        own::told(&api.catalog, kind, &budget, &mut spent);
        let own = Aim { kind, part: Part::Status, name: meta::text(&budget, "name"), ..*aim };
        let (outcome, _) = api.put(&own, own.name, (Expect::At(revision), Some(&spent)), None).await?;
        if matches!(outcome, Outcome::Committed(_)) {
            return Ok(None);
        }
    }
    Err(error::stale(aim.resource()))
}

fn budgets(api: &Api, aim: &Aim<'_>, pod: &Value) -> Vec<Value> {
    let storage = api.catalog.find("policy", "v1", "poddisruptionbudgets").and_then(|kind| kind.storage.as_ref());
    let Some(storage) = storage else { return Vec::new() };
    let root = api.store.view().root(storage.space);
    let own = root.items.values().filter(|budget| budget.namespace() == aim.namespace).map(|budget| budget.value());
    let labels = &pod["metadata"]["labels"];
    own.filter(|budget| !budget["spec"]["selector"].is_null() && selects(&budget["spec"]["selector"], labels)).collect()
}

/// The budget after this disruption; `None` where the pod does not count.
fn spent(budget: &Value, pod: &Value) -> Result<Option<Value>, Status> {
    let status = &budget["status"];
    let number = |member: &str| status[member].as_i64().unwrap_or(0);
    let name = meta::text(budget, "name");
    if !is_ready(pod) {
        let healthy = number("currentHealthy") >= number("desiredHealthy") && number("desiredHealthy") > 0;
        if healthy || budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow" {
            return Ok(None);
        }
    }
    if number("observedGeneration") < meta::generation(budget) {
        let cause = format!("The disruption budget {name} is still being processed by the server.");
        return Err(refuse(cause, 10));
    }
    let forbid = |cause: &str| error::forbidden(Subject { group: "policy", what: "poddisruptionbudget", name }, cause);
    if number("disruptionsAllowed") < 0 {
        return Err(forbid("pdb disruptions allowed is negative"));
    }
    if status["disruptedPods"].as_object().is_some_and(|pods| pods.len() > MOST) {
        return Err(forbid("DisruptedPods map too big - too many evictions not confirmed by PDB controller"));
    }
    if number("disruptionsAllowed") == 0 {
        return Err(refuse(why_not(name, status), 0));
    }
    let mut spent = budget.clone();
    let left = number("disruptionsAllowed") - 1;
    spent["status"]["disruptionsAllowed"] = Value::from(left);
    spent["status"]["disruptedPods"][meta::text(pod, "name")] = Value::from(meta::now());
    if left == 0 {
        exhaust(&mut spent["status"]);
    }
    Ok(Some(spent))
}

fn why_not(name: &str, status: &Value) -> String {
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    let failed = conditions.find(|own| own["type"] == ALLOWED && own["status"] == "False" && own["reason"] == "SyncFailed");
    if let Some(failed) = failed {
        let cause = failed["message"].as_str().unwrap_or("");
        return format!("The disruption budget {name} does not allow evicting pods currently because it failed sync: {cause}");
    }
    let number = |member: &str| status[member].as_i64().unwrap_or(0);
    let (needs, has) = (number("desiredHealthy"), number("currentHealthy"));
    format!("The disruption budget {name} needs {needs} healthy pods and has {has} currently")
}

/// Tells that the budget allows no more.
fn exhaust(status: &mut Value) {
    let mut told = json!({"type": ALLOWED, "status": "False", "lastTransitionTime": meta::now(), "reason": "InsufficientPods", "message": ""});
    let seen = status["observedGeneration"].as_i64().unwrap_or(0);
    if seen != 0 {
        told["observedGeneration"] = Value::from(seen);
    }
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    match conditions.iter_mut().find(|own| own["type"] == ALLOWED) {
        Some(own) => {
            if own["status"] == told["status"] {
                told["lastTransitionTime"] = own["lastTransitionTime"].clone();
            }
            *own = told;
        }
        None => conditions.push(told),
    }
    status["conditions"] = Value::from(conditions);
}

fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn refuse(message: String, retry_after_seconds: u32) -> Status {
    let cause = Cause { reason: "DisruptionBudget", message, field: String::new() };
    let details = Details { causes: vec![cause], retry_after_seconds, ..Details::default() };
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    Status::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message).with_details(details)
}

const ATTEMPTS: usize = 20;
/// Disruptions that a budget may have open.
const MOST: usize = 2000;
const ALLOWED: &str = "DisruptionAllowed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_spent() {
        let ready = json!({"metadata": {"name": "p"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        let budget = |allowed: i64, seen: i64| {
            json!({"metadata": {"name": "b", "generation": 1},
                "status": {"disruptionsAllowed": allowed, "observedGeneration": seen, "desiredHealthy": 2, "currentHealthy": 2}})
        };
        let left = |outcome: Result<Option<Value>, Status>| match outcome {
            Ok(Some(budget)) => Ok(budget["status"]["disruptionsAllowed"].as_i64()),
            Ok(None) => Ok(None),
            Err(refusal) => Err((refusal.code.as_u16(), refusal.details.map_or(0, |details| details.retry_after_seconds))),
        };
        assert_eq!(left(spent(&budget(1, 1), &ready)), Ok(Some(0)));
        assert_eq!(left(spent(&budget(0, 1), &ready)), Err((429, 0)));
        assert_eq!(left(spent(&budget(1, 0), &ready)), Err((429, 10)));
        assert_eq!(left(spent(&budget(0, 1), &json!({"metadata": {"name": "p"}}))), Ok(None));
        assert_eq!(left(spent(&budget(-1, 1), &ready)), Err((403, 0)));
        let last = spent(&budget(1, 1), &ready).ok().flatten().unwrap_or_default();
        assert_eq!(last["status"]["conditions"][0]["reason"], "InsufficientPods");
        let mut lenient = budget(0, 1);
        lenient["status"]["currentHealthy"] = json!(1);
        let unready = json!({"metadata": {"name": "p"}});
        assert_eq!(left(spent(&lenient, &unready)), Err((429, 0)));
        lenient["spec"]["unhealthyPodEvictionPolicy"] = json!("AlwaysAllow");
        assert_eq!(left(spent(&lenient, &unready)), Ok(None));
    }
}

//! The eviction of a pod: a deletion that its disruption budget must allow (contract 3.9).

use http::StatusCode;
use serde_json::{Value, json};

use super::binding::set_condition;
use crate::api::accept::Accept;
use crate::api::create::{refuse_faults, respond_value, validation};
use crate::api::decode::{self, Expected};
use crate::api::kinds::{Part, selects};
use crate::api::own;
use crate::api::registry::{self, Aim, Round};
use crate::api::{Api, Call, delete, error, meta, refusal, removal};
use crate::body::Response;
use crate::request::{CreateOptions, DeleteOptions, Query};
use crate::schema::Schema;
use crate::status::{Cause, Details, Status};
use crate::store::{Expect, Outcome};

pub(super) async fn serve(api: &Api, call: Call<'_>) -> Result<Response, Status> {
    let accept = Accept::of(&call)?;
    let Call { permit, route, request } = call;
    let options = CreateOptions::parse(&Query::parse(request.uri().query().unwrap_or("")));
    refuse_faults("CreateOptions", &options.faults())?;
    let encoding = decode::encoding(request.headers())?;
    let body = decode::whole(request.into_body()).await?;
    let schema = Schema::builtin("policy", "v1", "Eviction").ok_or_else(refusal::no_route)?;
    let mut warnings = Vec::new();
    let expected = Expected { gvk: ("policy", "v1", "Eviction"), schema: &schema };
    let mut eviction = decode::object(expected, &body, encoding, (validation(&options), &mut warnings))?;
    meta::match_namespace(&mut eviction, &route.namespace)?;
    if meta::text(&eviction, "name") != route.name {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    let deletion = delete::of_value(&eviction["deleteOptions"]);
    refuse_faults("DeleteOptions", &deletion.faults())?;
    let aim = Aim {
        permit,
        kind: &route.kind,
        part: Part::Binding,
        namespace: &route.namespace,
        name: &route.name,
        dry_run: options.is_dry_run() || deletion.is_dry_run(),
    };
    evict(api, &aim, &deletion).await?;
    let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    respond_value(&aim, &accept, (StatusCode::CREATED, &done), &warnings)
}

async fn evict(api: &Api, aim: &Aim<'_>, options: &DeleteOptions) -> Result<(), Status> {
    api.store.latest().await.map_err(|cause| refusal::store(&cause))?;
    let missing = || error::not_found(aim.resource());
    let pod = api.seen(aim.kind, aim.namespace, aim.name).ok_or_else(missing)?.value();
    if !is_over(&pod) {
        spend(api, aim, &pod).await?;
        let mark = |old: Option<&Value>| {
            let mut pod = old.cloned().ok_or_else(missing)?;
            let message = "Eviction API: evicting";
            set_condition(
                &mut pod,
                json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": message}),
            );
            Ok(pod)
        };
        registry::update(api, aim, &mut Round::default(), mark).await?;
    }
    let mut options = options.clone();
    if options.preconditions.uid.is_none() {
        options.preconditions.uid = Some(meta::text(&pod, "uid").to_owned());
    }
    removal::remove(api, aim, &options, &mut Round::default()).await.map(drop)
}

/// Pods that no budget counts.
fn is_over(pod: &Value) -> bool {
    meta::is_deleting(pod) || matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Pending" | "Succeeded"))
}

/// Takes one disruption from the budget of the pod, if it has one.
async fn spend(api: &Api, aim: &Aim<'_>, pod: &Value) -> Result<(), Status> {
    let Some(kind) = api.catalog.find("policy", "v1", "poddisruptionbudgets") else { return Ok(()) };
    for _ in 0..ATTEMPTS {
        let mut budgets = budgets(api, aim, pod);
        if budgets.len() > 1 {
            let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Status::new(StatusCode::INTERNAL_SERVER_ERROR, "", message));
        }
        let Some(budget) = budgets.pop() else { return Ok(()) };
        let Some(mut spent) = spent(&budget, pod)? else { return Ok(()) };
        if aim.dry_run {
            return Ok(());
        }
        let revision = crate::store::Revision(meta::text(&budget, "resourceVersion").parse().unwrap_or_default());
        own::told(&api.catalog, kind, &budget, &mut spent);
        let own = Aim { kind, part: Part::Status, name: meta::text(&budget, "name"), ..*aim };
        let (outcome, _) = api.put(&own, own.name, (Expect::At(revision), Some(&spent)), None).await?;
        if matches!(outcome, Outcome::Committed(_)) {
            return Ok(());
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
    if number("disruptionsAllowed") <= 0 {
        let (needs, has) = (number("desiredHealthy"), number("currentHealthy"));
        return Err(refuse(format!("The disruption budget {name} needs {needs} healthy pods and has {has} currently"), 0));
    }
    let mut spent = budget.clone();
    spent["status"]["disruptionsAllowed"] = Value::from(number("disruptionsAllowed") - 1);
    spent["status"]["disruptedPods"][meta::text(pod, "name")] = Value::from(meta::now());
    Ok(Some(spent))
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
    }
}

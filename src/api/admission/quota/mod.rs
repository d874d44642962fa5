//! ResourceQuota: nobody uses more of a namespace than it has. What is admitted is written into the quota's status first.

mod usage;

use std::sync::Arc;

use serde_json::Value;

use super::{Operation, Review};
use crate::api::catalog::Kind;
use crate::api::kinds::Part;
use crate::api::registry::Aim;
use crate::api::{Api, error, meta, refusal};
use crate::schema::quantity::Quantity;
use crate::status::Status;
use crate::store::{Expect, Outcome, Revision};

pub(in crate::api) use usage::{Amounts, amounts, is_in_scope, usage};

/// A quota that counts the object, and what the object takes of it.
struct Charge {
    name: String,
    revision: Revision,
    quota: Value,
    used: Amounts,
}

/// Charges every quota of the namespace, or none.
pub(super) async fn check(api: &Api, review: &Review<'_>, object: Option<&Value>) -> Result<(), Status> {
    let (Some(object), false) = (object, review.namespace.is_empty()) else { return Ok(()) };
    if !review.subresource.is_empty() || review.operation == Operation::Delete || quotas(api, review.namespace).is_empty() {
        return Ok(());
    }
    // Of updates, only those of claims and services can take more; a pod's resources stay what they are.
    if review.operation == Operation::Update && !matches!(review.kind.plural.as_str(), "persistentvolumeclaims" | "services") {
        return Ok(());
    }
    for _ in 0..ATTEMPTS {
        let charges = charges(api, review, object)?;
        if review.dry_run || spend(api, review, charges).await? {
            return Ok(());
        }
    }
    Err(error::stale(error::Subject::resource(review.kind, review.name)))
}

fn quotas(api: &Api, namespace: &str) -> Vec<Arc<crate::api::object::Object>> {
    super::content(api, ("", "resourcequotas"), namespace)
}

/// What the quotas would hold after the object.
fn charges(api: &Api, review: &Review<'_>, object: &Value) -> Result<Vec<Charge>, Status> {
    let mut charges = Vec::new();
    for stored in quotas(api, review.namespace) {
        let quota = stored.value();
        if !is_in_scope(review.kind, &quota, object) {
            continue;
        }
        let name = stored.name();
        let (hard, used) = (amounts(&quota["status"]["hard"]), amounts(&quota["status"]["used"]));
        let is_pod = review.kind.group.is_empty() && review.kind.plural == "pods";
        if let Some(unsaid) = usage::unsaid(&hard, object).filter(|_| is_pod) {
            return Err(review.forbid(object, format!("failed quota: {name}: {unsaid}")));
        }
        let mut wanted = usage(review.kind, object);
        if let Some(old) = review.old.filter(|_| review.operation == Operation::Update) {
            wanted = more(&wanted, &usage(review.kind, old));
        }
        wanted.retain(|resource, amount| hard.contains_key(resource) && !amount.is_zero());
        if wanted.is_empty() {
            continue;
        }
        let unknown: Vec<&str> = wanted.keys().filter(|resource| !used.contains_key(*resource)).map(String::as_str).collect();
        if !unknown.is_empty() {
            let cause = format!("status unknown for quota: {name}, resources: {}", unknown.join(","));
            return Err(review.forbid(object, cause));
        }
        let after = sum(&used, &wanted);
        let exceeded: Vec<&String> = wanted.keys().filter(|resource| after.get(*resource) > hard.get(*resource)).collect();
        if !exceeded.is_empty() {
            let told = |of: &Amounts| {
                let parts = exceeded.iter().filter_map(|resource| Some(format!("{resource}={}", of.get(*resource)?)));
                parts.collect::<Vec<_>>().join(",")
            };
            let cause =
                format!("exceeded quota: {name}, requested: {}, used: {}, limited: {}", told(&wanted), told(&used), told(&hard));
            return Err(review.forbid(object, cause));
        }
        charges.push(Charge { name: name.to_owned(), revision: stored.revision(), used: after, quota });
    }
    Ok(charges)
}

/// Writes the quotas; false when one of them has changed meanwhile. What was charged by then is counted anew by the quota's
/// controller, as it is in kube-apiserver.
async fn spend(api: &Api, review: &Review<'_>, charges: Vec<Charge>) -> Result<bool, Status> {
    let kind: &Arc<Kind> = api.catalog.find("", "v1", "resourcequotas").ok_or_else(refusal::no_route)?;
    for mut charge in charges {
        for (resource, amount) in &charge.used {
            charge.quota["status"]["used"][resource] = Value::from(amount.to_string());
        }
        let aim = Aim {
            permit: review.permit,
            kind,
            part: Part::Status,
            namespace: review.namespace,
            name: &charge.name,
            dry_run: false,
        };
        meta::members(&mut charge.quota).remove("resourceVersion");
        let (outcome, _) = api.put(&aim, &charge.name, (Expect::At(charge.revision), Some(&charge.quota)), None).await?;
        if !matches!(outcome, Outcome::Committed(_)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What the new takes more than the old.
fn more(new: &Amounts, old: &Amounts) -> Amounts {
    let grown = new.iter().filter_map(|(resource, amount)| match old.get(resource) {
        None => Some((resource.clone(), *amount)),
        Some(before) if amount > before => Some((resource.clone(), minus(*amount, *before)?)),
        Some(_) => None,
    });
    grown.collect()
}

fn minus(from: Quantity, less: Quantity) -> Option<Quantity> {
    from.plus(Quantity::parse(&format!("-{less}")).ok()?)
}

/// The sums of what is wanted.
fn sum(used: &Amounts, wanted: &Amounts) -> Amounts {
    let sums = wanted.iter().filter_map(|(resource, amount)| {
        let before = used.get(resource)?;
        Some((resource.clone(), before.plus(*amount)?))
    });
    sums.collect()
}

const ATTEMPTS: usize = 20;

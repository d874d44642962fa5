//! What the quotas of a namespace have, and what is used of it: counted anew whenever anything has happened.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::Solo;
use super::follow::{Follower, News};
use crate::api::admission::quota::{Amounts, amounts, is_in_scope, usage};
use crate::api::catalog::Kind;
use crate::api::kinds::Part;
use crate::api::object::Object;
use crate::api::registry::Aim;

pub(super) async fn run(solo: &Solo) {
    let Some(storage) = solo.kind("", "resourcequotas").and_then(|kind| kind.storage.as_ref()) else { return };
    let mut follower = Follower::new(Arc::clone(&solo.api), storage.space);
    let mut seen = crate::store::Revision(0);
    loop {
        let quotas = solo.api.store.view().root(storage.space).items;
        // Without quotas there is nothing to count: sleep until there is one.
        let wait = if quotas.is_empty() { Duration::MAX } else { PERIOD };
        let told = tokio::time::timeout(wait, follower.next()).await;
        let now = solo.api.store.view().revision();
        if matches!(told, Err(_) | Ok(News::All(_))) && now == seen {
            continue;
        }
        seen = now;
        for quota in solo.api.store.view().root(storage.space).items.values() {
            count(solo, quota).await;
        }
    }
}

async fn count(solo: &Solo, stored: &Object) {
    let Some(kind) = solo.kind("", "resourcequotas") else { return };
    let quota = stored.value();
    let status = status(solo, &quota, stored.namespace());
    if quota["status"] == status {
        return;
    }
    let aim = Aim { part: Part::Status, ..solo.aim(kind, stored.namespace(), stored.name()) };
    if let Err(refusal) = solo.change(&aim, |quota| quota["status"] = status.clone()).await {
        tracing::warn!(namespace = %stored.namespace(), quota = %stored.name(), %refusal, "a quota is not counted");
    }
}

fn status(solo: &Solo, quota: &Value, namespace: &str) -> Value {
    let hard = amounts(&quota["spec"]["hard"]);
    if hard.is_empty() {
        return json!({});
    }
    let mut used: Amounts = amounts(&Value::Object(hard.keys().map(|name| (name.clone(), Value::from("0"))).collect()));
    for kind in solo.api.catalog.all().iter().filter(|kind| kind.namespaced && kind.is_stored_form() && is_counted(kind, &hard)) {
        for object in super::content(solo, kind, namespace) {
            let object = object.value();
            if !is_in_scope(kind, quota, &object) {
                continue;
            }
            for (resource, amount) in usage(kind, &object) {
                if let Some(sum) = used.get_mut(&resource) {
                    *sum = sum.plus(amount).unwrap_or(*sum);
                }
            }
        }
    }
    let told: serde_json::Map<String, Value> =
        used.into_iter().map(|(resource, amount)| (resource, Value::from(amount.to_string()))).collect();
    json!({"hard": quota["spec"]["hard"], "used": told})
}

/// Whether any resource of a quota is one that objects of this kind use.
fn is_counted(kind: &Kind, hard: &Amounts) -> bool {
    let own = kind.group_resource();
    hard.keys().any(|resource| match resource.strip_prefix("count/") {
        Some(counted) => counted == own,
        None => match (kind.group.as_str(), kind.plural.as_str()) {
            ("", "pods") => !resource.starts_with("services") && !resource.contains("persistentvolumeclaims"),
            ("", "persistentvolumeclaims") => resource.contains("storage") || resource.contains("persistentvolumeclaims"),
            ("", "services") => resource.starts_with("services"),
            ("", plural) => resource == plural,
            _ => false,
        },
    })
}

/// How often the use is counted while anything happens.
const PERIOD: Duration = Duration::from_secs(1);

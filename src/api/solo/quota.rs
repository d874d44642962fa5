//! What the quotas of a namespace have, and what is used of it: counted anew whenever anything has happened.

use std::sync::Arc;
use std::time::Duration;

use super::Solo;
use super::follow::{Follower, News};
use crate::api::admission::quota;
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
    let status = quota::counted(&solo.api, &quota);
    if quota["status"] == status {
        return;
    }
    let aim = Aim { part: Part::Status, ..solo.aim(kind, stored.namespace(), stored.name()) };
    if let Err(refusal) = solo.change(&aim, |quota| quota["status"] = status.clone()).await {
        tracing::warn!(namespace = %stored.namespace(), quota = %stored.name(), %refusal, "a quota is not counted");
    }
}

/// How often the use is counted while anything happens.
const PERIOD: Duration = Duration::from_secs(1);

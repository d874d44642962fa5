//! The end of a namespace: its content goes, pods first, then its finalizer (contract 8.10).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Solo;
use super::follow::{Follower, News};
use crate::api::catalog::Kind;
use crate::api::kinds::Part;
use crate::api::registry::Aim;
use crate::request::DeleteOptions;
use crate::status::Status;

pub(super) async fn run(solo: &Solo) {
    let Some(storage) = solo.kind("", "namespaces").and_then(|kind| kind.storage.as_ref()) else { return };
    let mut follower = Follower::new(Arc::clone(&solo.api), storage.space);
    let mut ending: BTreeSet<String> = BTreeSet::new();
    let mut pause = SHORT;
    loop {
        let wait = if ending.is_empty() { Duration::MAX } else { pause };
        match tokio::time::timeout(wait, follower.next()).await {
            Ok(News::All(all)) => {
                ending =
                    all.iter().filter(|namespace| namespace.is_deleting()).map(|namespace| namespace.name().to_owned()).collect();
            }
            Ok(News::Change(happening)) => match &happening.new {
                Some(namespace) if namespace.is_deleting() => {
                    ending.insert(namespace.name().to_owned());
                    pause = SHORT;
                }
                Some(_) => {}
                None => {
                    ending.remove(happening.old.as_ref().map_or("", |namespace| namespace.name()));
                }
            },
            Err(_) => pause = (pause * 2).min(LONG),
        }
        for namespace in &ending {
            if let Err(refusal) = finish(solo, namespace).await {
                tracing::warn!(%namespace, %refusal, "a namespace does not end yet");
            }
        }
    }
}

/// One step: deletes what is left, or ends the namespace when nothing is.
async fn finish(solo: &Solo, namespace: &str) -> Result<(), Status> {
    let left = empty(solo, namespace, |kind| kind.plural == "pods").await?;
    if left > 0 || empty(solo, namespace, |kind| kind.plural != "pods").await? > 0 {
        return Ok(());
    }
    let Some(kind) = solo.kind("", "namespaces") else { return Ok(()) };
    let aim = Aim { part: Part::Finalize, ..solo.aim(kind, "", namespace) };
    solo.change(&aim, |object| {
        if let Some(finalizers) = object["spec"]["finalizers"].as_array_mut() {
            finalizers.retain(|finalizer| finalizer != "kubernetes");
        }
    })
    .await
}

/// Deletes the objects of some kinds; how many were there.
async fn empty(solo: &Solo, namespace: &str, some: impl Fn(&Kind) -> bool) -> Result<usize, Status> {
    let options = DeleteOptions { propagation_policy: Some("Background".to_owned()), ..DeleteOptions::default() };
    let mut met = 0;
    let kinds = solo.api.catalog.all().iter();
    for kind in kinds.filter(|kind| kind.namespaced && kind.is_stored_form() && kind.serves("delete") && some(kind)) {
        for object in super::content(solo, kind, namespace) {
            met += 1;
            // What is on its way needs no second word; its finalizers or its kubelet decide.
            if !object.is_deleting() {
                solo.delete(&solo.aim(kind, namespace, object.name()), &options).await?;
            }
        }
    }
    Ok(met)
}

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(2);

//! Claims and volumes that are deleted go as soon as nothing uses them: the finalizers that admission gave them are taken off again.

use std::sync::Arc;
use std::task::Poll;

use serde_json::Value;

use super::follow::{Follower, News};
use super::{Solo, content};
use crate::api::catalog::Kind;
use crate::api::object::Object;
use crate::status::Status;

pub(super) async fn run(solo: &Solo) {
    let kinds = ["persistentvolumeclaims", "persistentvolumes", "pods"].map(|plural| solo.kind("", plural));
    let [Some(claims), Some(volumes), Some(pods)] = kinds else { return };
    let spaces = [claims, volumes, pods].map(|kind| kind.storage.as_ref().map(|storage| storage.space));
    let [Some(of_claims), Some(of_volumes), Some(of_pods)] = spaces else { return };
    let mut followers = [of_claims, of_volumes, of_pods].map(|space| Follower::new(Arc::clone(&solo.api), space));
    loop {
        let (which, news) = std::future::poll_fn(|context| {
            for (which, follower) in followers.iter_mut().enumerate() {
                if let Poll::Ready(news) = follower.poll(context) {
                    return Poll::Ready((which, news));
                }
            }
            Poll::Pending
        })
        .await;
        match which {
            0 => join(going(news), |claim| release_claim(solo, claims, claim)).await,
            1 => join(going(news), |volume| release_volume(solo, volumes, volume)).await,
            _ => {
                let freed = freed(solo, claims, &news);
                join(freed, |claim| release_claim(solo, claims, claim)).await;
            }
        }
    }
}

async fn join<F: Future<Output = Result<(), Status>>>(objects: Vec<Arc<Object>>, release: impl Fn(Arc<Object>) -> F) {
    for object in objects {
        let name = object.name().to_owned();
        if let Err(refusal) = release(object).await {
            tracing::warn!(%name, %refusal, "a finalizer stays");
        }
    }
}

/// Those among the news that are deleted and still there.
fn going(news: News) -> Vec<Arc<Object>> {
    let readable = |object: &Arc<Object>| object.is_deleting() && object.fault().is_none();
    match news {
        News::All(all) => all.into_iter().filter(readable).collect(),
        News::Change(change) => change.new.iter().filter(|object| readable(object)).cloned().collect(),
    }
}

/// The deleted claims that a pod has stopped using.
fn freed(solo: &Solo, claims: &Kind, news: &News) -> Vec<Arc<Object>> {
    let News::Change(change) = news else { return Vec::new() };
    let Some(pod) = change.old.as_ref().filter(|pod| pod.fault().is_none()) else { return Vec::new() };
    if change.new.as_ref().is_some_and(|new| !is_over(&new.value())) {
        return Vec::new();
    }
    let value = pod.value();
    let used = claimed(&value).filter_map(|claim| solo.api.seen(claims, pod.namespace(), claim));
    used.filter(|claim| claim.is_deleting() && claim.fault().is_none()).collect()
}

/// A claim is in use while a pod that has a node mounts it and has not ended.
async fn release_claim(solo: &Solo, kind: &Arc<Kind>, claim: Arc<Object>) -> Result<(), Status> {
    let Some(pods) = solo.kind("", "pods") else { return Ok(()) };
    let used = content(solo, pods, claim.namespace()).iter().any(|pod| {
        let pod = pod.value();
        let placed = pod["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
        placed && !is_over(&pod) && claimed(&pod).any(|name| name == claim.name())
    });
    if used { Ok(()) } else { release(solo, (kind, &claim), "kubernetes.io/pvc-protection").await }
}

/// A volume is in use while its status says that it is bound.
async fn release_volume(solo: &Solo, kind: &Arc<Kind>, volume: Arc<Object>) -> Result<(), Status> {
    let value = volume.value();
    if value["status"]["phase"] == "Bound" {
        return Ok(());
    }
    release(solo, (kind, &volume), "kubernetes.io/pv-protection").await
}

async fn release(solo: &Solo, (kind, object): (&Arc<Kind>, &Object), finalizer: &str) -> Result<(), Status> {
    if !object.value()["metadata"]["finalizers"].as_array().is_some_and(|all| all.iter().any(|held| held == finalizer)) {
        return Ok(());
    }
    let aim = solo.aim(kind, object.namespace(), object.name());
    solo.change(&aim, |object| {
        if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|held| held != finalizer);
        }
    })
    .await
}

fn is_over(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// The claims that a pod mounts.
fn claimed(pod: &Value) -> impl Iterator<Item = &str> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str())
}

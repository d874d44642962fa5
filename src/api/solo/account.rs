//! Every namespace has an account `default` and a config map `kube-root-ca.crt`.

use std::sync::Arc;
use std::task::Poll;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::Solo;
use super::follow::{Follower, News};
use crate::api::catalog::Kind;
use crate::api::kinds::{self, Part};
use crate::api::meta;
use crate::api::own::{self, Tracker};
use crate::api::registry::{self, Round};
use crate::schema::own::Sent;

pub(super) async fn run(solo: &Solo) {
    let follow = |group: &str, plural: &str| {
        let space = solo.kind(group, plural)?.storage.as_ref()?.space;
        Some(Follower::new(Arc::clone(&solo.api), space))
    };
    let (Some(mut namespaces), Some(mut accounts), Some(mut maps)) =
        (follow("", "namespaces"), follow("", "serviceaccounts"), follow("", "configmaps"))
    else {
        return;
    };
    loop {
        let touched = std::future::poll_fn(|context| {
            if let Poll::Ready(news) = namespaces.poll(context) {
                return Poll::Ready(made(news));
            }
            for follower in [&mut accounts, &mut maps] {
                if let Poll::Ready(news) = follower.poll(context) {
                    return Poll::Ready(lost(news));
                }
            }
            Poll::Pending
        })
        .await;
        for namespace in touched {
            furnish(solo, &namespace).await;
        }
    }
}

/// Furnishes every namespace that is there.
pub(super) async fn all(solo: &Solo) {
    let Some(storage) = solo.kind("", "namespaces").and_then(|kind| kind.storage.as_ref()) else { return };
    let root = solo.api.store.view().root(storage.space);
    join_all(root.items.values().map(|namespace| furnish(solo, namespace.name()))).await;
}

/// The namespaces that are there or new.
fn made(news: News) -> Vec<String> {
    match news {
        News::All(namespaces) => namespaces.iter().map(|namespace| namespace.name().to_owned()).collect(),
        News::Change(happening) => happening.new.iter().map(|namespace| namespace.name().to_owned()).collect(),
    }
}

/// The namespaces that have lost what they must have, or had it changed.
fn lost(news: News) -> Vec<String> {
    let News::Change(happening) = news else { return Vec::new() };
    let ours = happening.old.iter().filter(|object| [ACCOUNT, MAP].contains(&object.name()));
    ours.map(|object| object.namespace().to_owned()).collect()
}

async fn furnish(solo: &Solo, namespace: &str) {
    let Some(kind) = solo.kind("", "namespaces") else { return };
    let active = solo.api.seen(kind, "", namespace).is_some_and(|object| !object.is_deleting());
    let (true, Some(accounts), Some(maps)) = (active, solo.kind("", "serviceaccounts"), solo.kind("", "configmaps")) else {
        return;
    };
    if solo.api.seen(accounts, namespace, ACCOUNT).is_none() {
        create(
            solo,
            accounts,
            json!({"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": ACCOUNT, "namespace": namespace}}),
        )
        .await;
    }
    let data = json!({"ca.crt": solo.settings.root_ca});
    match solo.api.seen(maps, namespace, MAP) {
        None => {
            let note = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the \
                        internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of \
                        Kubernetes clusters.";
            let map = json!({"kind": "ConfigMap", "apiVersion": "v1", "data": data,
                "metadata": {"name": MAP, "namespace": namespace, "annotations": {"kubernetes.io/description": note}}});
            create(solo, maps, map).await;
        }
        Some(map) if map.value()["data"] != data => {
            let aim = solo.aim(maps, namespace, MAP);
            if let Err(refusal) = solo.change(&aim, |map| map["data"] = data.clone()).await {
                tracing::warn!(%namespace, %refusal, "the root certificate of a namespace is not mended");
            }
        }
        Some(_) => {}
    }
}

async fn create(solo: &Solo, kind: &Arc<Kind>, mut object: Value) {
    kinds::default(kind, &mut object);
    kind.schema.normalise(&mut object);
    Tracker::of(&solo.api.catalog, (kind, Part::Whole), own::CONTROLLERS).created(&mut object, Sent::Nothing);
    let namespace = meta::text(&object, "namespace").to_owned();
    let aim = solo.aim(kind, &namespace, "");
    match registry::create(&solo.api, &aim, &object, &mut Round::default()).await {
        Ok(_) => {}
        // Somebody made it, or the namespace is going.
        Err(refusal) if matches!(refusal.reason, "AlreadyExists" | "NotFound" | "Forbidden") => {}
        Err(refusal) => tracing::warn!(%namespace, kind = %kind.kind, %refusal, "a namespace is not furnished"),
    }
}

const ACCOUNT: &str = "default";
const MAP: &str = "kube-root-ca.crt";

//! What operators are made of: a controller, finalizers, events, leader election, owned objects.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event as Recorded;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::finalizer::{Event as Finalizing, finalizer as finalize};
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;

use crate::object::deployment;
use crate::{configmap, refused, until};

pub(crate) async fn events(client: Client, namespace: &'static str) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let map = maps.create(&PostParams::default(), &configmap("m", "a", "1")).await?;
    let reporter = Reporter { controller: "portcullis-e2e".into(), instance: None };
    let recorder = Recorder::new(client.clone(), reporter);
    let event = Event {
        type_: EventType::Warning,
        reason: "Seen".into(),
        note: Some("somebody looked".into()),
        action: "Look".into(),
        secondary: None,
    };
    recorder.publish(&event, &map.object_ref(&())).await?;
    // The second is counted in a series.
    recorder.publish(&event, &map.object_ref(&())).await?;
    let recorded: Api<Recorded> = Api::namespaced(client.clone(), namespace);
    let found = recorded.list(&ListParams::default()).await?.items;
    ensure!(found.len() == 1 && found[0].series.as_ref().is_some_and(|series| series.count == 2), "{found:?}");
    // The same event by its other API.
    let core: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(client, namespace);
    let selected = core.list(&ListParams::default().fields("involvedObject.name=m,reason=Seen,type=Warning")).await?.items;
    ensure!(selected.len() == 1 && selected[0].message.as_deref() == Some("somebody looked"), "{selected:?}");
    Ok(())
}

pub(crate) async fn finalizer(client: Client, namespace: &'static str) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    let map = maps.create(&PostParams::default(), &configmap("m", "a", "1")).await?;
    let tend = async |map: ConfigMap| {
        finalize(&maps, "example.com/tended", Arc::new(map), |event| async move {
            Ok::<_, std::io::Error>(match event {
                Finalizing::Apply(_) => Action::requeue(Duration::from_secs(1)),
                Finalizing::Cleanup(_) => Action::await_change(),
            })
        })
        .await
        .map_err(anyhow::Error::from)
    };
    tend(map).await?;
    let held = maps.get("m").await?;
    ensure!(held.finalizers() == ["example.com/tended"], "{held:?}");
    let going = maps.delete("m", &DeleteParams::default()).await?.left().context("the object, not gone yet")?;
    ensure!(going.metadata.deletion_timestamp.is_some());
    let first = maps.delete("m", &DeleteParams::default()).await?.left().context("still the object")?;
    ensure!(first.metadata.deletion_timestamp == going.metadata.deletion_timestamp);
    tend(going).await?;
    ensure!(maps.get_opt("m").await?.is_none());
    Ok(())
}

/// Every ConfigMap with a label gets a Deployment of its name; the Deployment's status comes back as an annotation.
pub(crate) async fn controller(client: Client, namespace: &'static str) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let drive = Controller::new(maps.clone(), watcher::Config::default().labels("wanted=yes"))
        .owns(deployments.clone(), watcher::Config::default())
        .run(
            |map, client| reconcile(map, client, namespace),
            |_, _, _| Action::requeue(Duration::from_millis(100)),
            Arc::new(client.clone()),
        )
        .for_each(|result| async move {
            if let Err(error) = result {
                println!("        reconcile: {error}");
            }
        });
    let work = async {
        let mut map = configmap("web", "replicas", "2");
        map.labels_mut().insert("wanted".into(), "yes".into());
        maps.create(&PostParams::default(), &map).await?;
        let replicas = async |wanted| {
            until("the deployment is as wanted", || async {
                let found = deployments.get_opt("web").await?;
                Ok(found.and_then(|found| found.spec).and_then(|spec| spec.replicas) == Some(wanted))
            })
            .await
        };
        replicas(2).await?;
        maps.patch("web", &PatchParams::default(), &Patch::Merge(json!({"data": {"replicas": "3"}}))).await?;
        replicas(3).await?;
        // What somebody else changes is put right again.
        deployments.patch("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 9}}))).await?;
        replicas(3).await?;
        deployments
            .patch_status("web", &PatchParams::default(), &Patch::Merge(json!({"status": {"replicas": 3, "readyReplicas": 3}})))
            .await?;
        until("the map is annotated", || async {
            Ok(maps.get("web").await?.annotations().get("ready").is_some_and(|ready| ready == "3"))
        })
        .await?;
        maps.delete("web", &DeleteParams::default()).await?;
        until("the deployment is collected", || async { Ok(deployments.get_opt("web").await?.is_none()) }).await
    };
    tokio::select! {
        result = work => result,
        () = drive => bail!("the controller ended"),
    }
}

async fn reconcile(map: Arc<ConfigMap>, client: Arc<Client>, namespace: &'static str) -> kube::Result<Action> {
    let deployments: Api<Deployment> = Api::namespaced((*client).clone(), namespace);
    let maps: Api<ConfigMap> = Api::namespaced((*client).clone(), namespace);
    let wanted: i32 = map.data.as_ref().and_then(|data| data.get("replicas")?.parse().ok()).unwrap_or(1);
    let mut body = deployment(&map.name_any());
    body["spec"]["replicas"] = json!(wanted);
    body["metadata"]["ownerReferences"] = json!([map.controller_owner_ref(&())]);
    let applied = deployments.patch(&map.name_any(), &PatchParams::apply("e2e-controller").force(), &Patch::Apply(body)).await?;
    if let Some(ready) = applied.status.and_then(|status| status.ready_replicas) {
        let note = json!({"metadata": {"annotations": {"ready": ready.to_string()}}});
        maps.patch(&map.name_any(), &PatchParams::default(), &Patch::Merge(note)).await?;
    }
    Ok(Action::await_change())
}

/// Two candidates: the Lease is one's until it lapses, and a write from an old state is refused.
pub(crate) async fn election(client: Client, namespace: &'static str) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(client, namespace);
    let claim = |who: &str, transitions| LeaseSpec {
        holder_identity: Some(who.into()),
        lease_duration_seconds: Some(1),
        acquire_time: Some(MicroTime(Timestamp::now())),
        renew_time: Some(MicroTime(Timestamp::now())),
        lease_transitions: Some(transitions),
        ..LeaseSpec::default()
    };
    let meta = ObjectMeta { name: Some("leader".into()), ..ObjectMeta::default() };
    let lease = Lease { metadata: meta, spec: Some(claim("one", 0)) };
    let plain = PostParams::default();
    let (first, second) = tokio::join!(leases.create(&plain, &lease), leases.create(&plain, &lease));
    ensure!(first.is_ok() != second.is_ok(), "one of them makes it: {first:?} {second:?}");
    let held = leases.get("leader").await?;
    let precise = held.spec.as_ref().and_then(|spec| spec.renew_time.clone()).context("a time")?;
    let mut renewed = held.clone();
    renewed.spec = Some(claim("one", 0));
    leases.replace("leader", &PostParams::default(), &renewed).await?;
    let mut stolen = held.clone();
    stolen.spec = Some(claim("two", 1));
    refused(leases.replace("leader", &PostParams::default(), &stolen).await, 409, "Conflict", "the object has been modified")?;
    let lapsed = leases.get("leader").await?;
    ensure!(lapsed.spec.as_ref().and_then(|spec| spec.renew_time.clone()).is_some_and(|time| time.0 > precise.0));
    let mut taken = lapsed;
    taken.spec = Some(claim("two", 1));
    let now = leases.replace("leader", &PostParams::default(), &taken).await?;
    let spec = now.spec.context("a spec")?;
    ensure!((spec.holder_identity.as_deref(), spec.lease_transitions) == (Some("two"), Some(1)), "{spec:?}");
    let none = json!({"spec": {"leaseDurationSeconds": 0}});
    refused(leases.patch("leader", &PatchParams::default(), &Patch::Merge(none)).await, 422, "Invalid", "must be greater than 0")
}

pub(crate) async fn entry(client: Client, namespace: &'static str) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    for value in ["1", "2"] {
        let mut entry = maps.entry("m").await?.or_insert(|| configmap("m", "a", "0"));
        entry.get_mut().data = configmap("m", "a", value).data;
        entry.commit(&PostParams::default()).await?;
    }
    ensure!(maps.get("m").await?.data == configmap("m", "a", "2").data);
    Ok(())
}

/// Background, foreground and orphan: what becomes of what an object owned.
pub(crate) async fn owned(client: Client, namespace: &'static str) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    for policy in [PropagationPolicy::Background, PropagationPolicy::Foreground, PropagationPolicy::Orphan] {
        let owner = maps.create(&PostParams::default(), &configmap("owner", "a", "1")).await?;
        let mut child = configmap("child", "a", "1");
        child.metadata.owner_references = Some(vec![owner.controller_owner_ref(&()).context("an owner reference")?]);
        maps.create(&PostParams::default(), &child).await?;
        let kept = matches!(policy, PropagationPolicy::Orphan);
        maps.delete("owner", &DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() }).await?;
        until("the owner is gone", || async { Ok(maps.get_opt("owner").await?.is_none()) }).await?;
        if kept {
            let child = maps.get("child").await?;
            ensure!(child.owner_references().is_empty(), "{child:?}");
        } else {
            until("the child is gone", || async { Ok(maps.get_opt("child").await?.is_none()) }).await?;
        }
    }
    let left: Vec<_> =
        maps.list(&ListParams::default().fields("metadata.name=child")).await?.into_iter().map(Ok::<_, kube::Error>).collect();
    ensure!(futures::stream::iter(left).try_collect::<Vec<_>>().await?.len() == 1);
    Ok(())
}

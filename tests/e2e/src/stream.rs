//! Watches: by list, by streaming list, of metadata alone, from the past, and what is built on them.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::{Stream, StreamExt, TryStreamExt, pin_mut};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::wait::{await_condition, conditions as known};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use crate::{configmap, until};

pub(crate) async fn listed(client: Client, namespace: &'static str) -> Result<()> {
    let config = watcher::Config::default().page_size(2);
    follow(Api::namespaced(client, namespace), config).await
}

pub(crate) async fn streamed(client: Client, namespace: &'static str) -> Result<()> {
    follow(Api::namespaced(client, namespace), watcher::Config::default().streaming_lists()).await
}

/// What is there comes first, then its end, then each change.
async fn follow(maps: Api<ConfigMap>, config: watcher::Config) -> Result<()> {
    for number in 0..5 {
        maps.create(&PostParams::default(), &labelled(&format!("m-{number}"))).await?;
    }
    let events = watcher(maps.clone(), config.labels("followed=yes"));
    pin_mut!(events);
    let mut names = Vec::new();
    loop {
        match next(&mut events).await? {
            Event::Init => names.clear(),
            Event::InitApply(map) => names.push(map.name_any()),
            Event::InitDone => break,
            other => bail!("{other:?} before all was listed"),
        }
    }
    ensure!(names == ["m-0", "m-1", "m-2", "m-3", "m-4"], "{names:?}");
    maps.create(&PostParams::default(), &labelled("m-5")).await?;
    maps.patch("m-5", &PatchParams::default(), &Patch::Merge(json!({"data": {"a": "2"}}))).await?;
    maps.delete("m-5", &DeleteParams::default()).await?;
    let first = next(&mut events).await?;
    ensure!(
        matches!(&first, Event::Apply(map) if map.name_any() == "m-5" && map.data == configmap("m", "a", "1").data),
        "{first:?}"
    );
    let second = next(&mut events).await?;
    ensure!(matches!(&second, Event::Apply(map) if map.data == configmap("m", "a", "2").data), "{second:?}");
    let third = next(&mut events).await?;
    ensure!(matches!(&third, Event::Delete(map) if map.name_any() == "m-5"), "{third:?}");
    // What leaves the selector is gone for who watches it.
    maps.patch("m-4", &PatchParams::default(), &Patch::Merge(json!({"metadata": {"labels": {"followed": "no"}}}))).await?;
    let fourth = next(&mut events).await?;
    ensure!(matches!(&fourth, Event::Delete(map) if map.name_any() == "m-4"), "{fourth:?}");
    Ok(())
}

pub(crate) async fn reflected(client: Client, namespace: &'static str) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    maps.create(&PostParams::default(), &labelled("first")).await?;
    let (reader, writer) = reflector::store();
    let config = watcher::Config::default().labels("followed=yes").any_semantic();
    let stream = reflector::reflector(writer, watcher(maps.clone(), config)).default_backoff().touched_objects();
    let drive = stream.try_for_each(|_| async { Ok(()) });
    let work = async {
        reader.wait_until_ready().await?;
        ensure!(reader.len() == 1);
        maps.create(&PostParams::default(), &labelled("second")).await?;
        let key = ObjectRef::new("second").within(namespace);
        until("the reflector has it", || async { Ok(reader.get(&key).is_some()) }).await?;
        maps.delete("first", &DeleteParams::default()).await?;
        until("the reflector forgot", || async { Ok(reader.len() == 1) }).await
    };
    tokio::select! {
        result = work => result,
        result = drive => bail!("the reflector ended: {result:?}"),
    }
}

/// A plain watch from a version that is kept, with bookmarks, and one from a version that nobody has.
pub(crate) async fn past(client: Client, namespace: &'static str) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    let begin = maps.list(&ListParams::default()).await?.metadata.resource_version.context("a version")?;
    maps.create(&PostParams::default(), &labelled("one")).await?;
    maps.delete("one", &DeleteParams::default()).await?;
    let params = WatchParams::default().labels("followed=yes").timeout(5);
    let events = maps.watch(&params, &begin).await?.boxed();
    let seen: Vec<_> = events.take(2).try_collect().await?;
    ensure!(matches!(seen.as_slice(), [WatchEvent::Added(_), WatchEvent::Deleted(_)]), "{seen:?}");
    let mut old = maps.watch(&WatchParams::default().timeout(5), "1").await?.boxed();
    match old.next().await {
        Some(Ok(WatchEvent::Error(error))) => ensure!(error.code == 410, "{error:?}"),
        Some(Err(kube::Error::Api(status))) => ensure!(status.code == 410, "{status:?}"),
        // The whole history is still kept.
        Some(Ok(WatchEvent::Added(_))) => {}
        other => bail!("{other:?}"),
    }
    Ok(())
}

pub(crate) async fn metadata(client: Client, namespace: &'static str) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    maps.create(&PostParams::default(), &labelled("one")).await?;
    let only: Api<PartialObjectMeta<ConfigMap>> = Api::namespaced(client, namespace);
    let events = watcher(only, watcher::Config::default().labels("followed=yes")).applied_objects();
    pin_mut!(events);
    let first = events.try_next().await?.context("an object")?;
    ensure!(first.name_any() == "one" && first.metadata.uid.is_some(), "{first:?}");
    let types = first.types.context("its type")?;
    ensure!((types.api_version.as_str(), types.kind.as_str()) == ("meta.k8s.io/v1", "PartialObjectMetadata"), "{types:?}");
    Ok(())
}

pub(crate) async fn conditions(client: Client, namespace: &'static str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let made = pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    let running = json!({"status": {"phase": "Running"}});
    let change =
        async { pods.patch_status("p", &PatchParams::default(), &Patch::Merge(running)).await.map_err(anyhow::Error::from) };
    let wait = async { await_condition(pods.clone(), "p", known::is_pod_running()).await.map_err(anyhow::Error::from) };
    tokio::try_join!(wait, change)?;
    let uid = made.uid().context("a uid")?;
    let immediately = DeleteParams::default().grace_period(0);
    let change = async { pods.delete("p", &immediately).await.map_err(anyhow::Error::from) };
    let wait = async { await_condition(pods.clone(), "p", known::is_deleted(&uid)).await.map_err(anyhow::Error::from) };
    tokio::try_join!(wait, change)?;
    Ok(())
}

fn labelled(name: &str) -> ConfigMap {
    let mut map = configmap(name, "a", "1");
    map.labels_mut().insert("followed".into(), "yes".into());
    map
}

async fn next<S>(events: &mut S) -> Result<Event<ConfigMap>>
where
    S: Stream<Item = watcher::Result<Event<ConfigMap>>> + Unpin,
{
    let event = tokio::time::timeout(Duration::from_secs(20), events.try_next()).await.context("no event came")??;
    event.context("the watch ended")
}

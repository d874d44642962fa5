//! kube-rs against a running server: KUBECONFIG says which. Every check has a namespace of its own; all run at once.

mod object;
mod runtime;
mod stream;

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, Client};

/// A check may take so long.
const LIMIT: Duration = Duration::from_secs(40);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let client = Client::try_default().await.context("no client: is KUBECONFIG set?")?;
    let passed = [
        tokio::join!(
            check("create, read, replace, list, delete", "kube-typed", &client, object::typed),
            check("refusals", "kube-refusals", &client, object::refusals),
            check("patches of every type", "kube-patches", &client, object::patches),
            check("server-side apply, conflicts, force, status", "kube-apply", &client, object::apply),
            check("discovery and dynamic objects", "kube-dynamic", &client, object::dynamic),
            check("scale, evict, tokens, metadata", "kube-subresources", &client, object::subresources),
        )
        .into(),
        tokio::join!(
            check("watcher by list and watch", "kube-watcher", &client, stream::listed),
            check("watcher by streaming list", "kube-streaming", &client, stream::streamed),
            check("reflector", "kube-reflector", &client, stream::reflected),
            check("a watch from the past", "kube-past", &client, stream::past),
            check("metadata watcher", "kube-metadata", &client, stream::metadata),
            check("conditions", "kube-conditions", &client, stream::conditions),
        )
        .into(),
        tokio::join!(
            check("events recorder", "kube-events", &client, runtime::events),
            check("finalizer", "kube-finalizer", &client, runtime::finalizer),
            check("controller over ConfigMaps and Deployments", "kube-controller", &client, runtime::controller),
            check("leader election by Lease", "kube-election", &client, runtime::election),
            check("entry", "kube-entry", &client, runtime::entry),
            check("owned objects are collected", "kube-owned", &client, runtime::owned),
        )
        .into(),
    ]
    .iter()
    .flat_map(|passed: &[bool; 6]| passed)
    .filter(|passed| **passed)
    .count();
    println!("  {passed} of 18 passed");
    if passed < 18 {
        bail!("not all passed");
    }
    Ok(())
}

/// Runs one check in a namespace made for it, which must go away again afterwards.
async fn check<F, R>(name: &str, namespace: &'static str, client: &Client, what: F) -> bool
where
    F: FnOnce(Client, &'static str) -> R,
    R: Future<Output = Result<()>>,
{
    let begun = Instant::now();
    let all = async {
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let meta = ObjectMeta { name: Some(namespace.to_owned()), ..ObjectMeta::default() };
        namespaces.create(&PostParams::default(), &Namespace { metadata: meta, ..Namespace::default() }).await?;
        what(client.clone(), namespace).await?;
        namespaces.delete(namespace, &DeleteParams::default()).await?;
        until("the namespace is gone", || async { Ok(namespaces.get_opt(namespace).await?.is_none()) }).await
    };
    let result = tokio::time::timeout(LIMIT, all).await.unwrap_or_else(|_| Err(anyhow::anyhow!("not done after {LIMIT:?}")));
    match &result {
        Ok(()) => println!("  ok    {name} ({:.2} s)", begun.elapsed().as_secs_f64()),
        Err(error) => println!("  FAIL  {name}: {error:#}"),
    }
    result.is_ok()
}

/// Waits for something to hold.
async fn until<F, R>(what: &str, mut holds: F) -> Result<()>
where
    F: FnMut() -> R,
    R: Future<Output = Result<bool>>,
{
    let end = Instant::now() + Duration::from_secs(20);
    while !holds().await? {
        if Instant::now() > end {
            bail!("waited in vain until {what}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A ConfigMap with one entry.
fn configmap(name: &str, key: &str, value: &str) -> ConfigMap {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    ConfigMap { metadata, data: Some([(key.to_owned(), value.to_owned())].into()), ..ConfigMap::default() }
}

/// The call must have been refused with this code, reason and a part of the message.
fn refused<T>(result: kube::Result<T>, code: u16, reason: &str, part: &str) -> Result<()> {
    match result {
        Err(kube::Error::Api(status)) => {
            anyhow::ensure!(status.code == code && status.reason == reason && status.message.contains(part), "{status:?}");
            Ok(())
        }
        Err(error) => bail!("failed otherwise: {error:?}"),
        Ok(_) => bail!("was not refused: {part}"),
    }
}

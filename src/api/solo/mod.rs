//! The small part of a controller manager without which an API is no use: for `up`, where there is none.
//!
//! Each controller follows the view and writes like any client, under the server's own permit. What it does may be done twice without
//! harm. Off unless it is started; one replica at a time should run it.

mod account;
mod aggregate;
pub(super) mod follow;
mod garbage;
mod namespace;
mod protection;
mod quota;
mod range;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::Api;
use super::catalog::Kind;
use super::kinds::Part;
use super::object::Object;
use super::own::{self, Tracker};
use super::registry::{self, Aim, Round};
use super::removal;
use crate::policy::Permit;
use crate::request::DeleteOptions;
use crate::schema::own::{Force, Sent};
use crate::shutdown::Shutdown;
use crate::status::Status;

/// What the controllers need besides the API.
#[derive(Clone, Debug)]
pub struct Settings {
    /// PEM of the authorities by which pods know the server: `kube-root-ca.crt` in every namespace.
    pub root_ca: String,
}

/// The controllers' way to write.
#[derive(Clone)]
struct Solo {
    api: Arc<Api>,
    permit: Permit,
    settings: Settings,
}

/// Furnishes the namespaces and fills the aggregated roles that are there, then runs all controllers until the end.
pub async fn start(api: Arc<Api>, settings: Settings, permit: Permit, shutdown: &Shutdown) {
    let solo = Solo { api, permit, settings };
    tokio::join!(account::all(&solo), aggregate::all(&solo));
    let end = shutdown.clone();
    let own = solo.clone();
    shutdown.spawn(async move { until(&end, account::run(&own)).await });
    let (end, own) = (shutdown.clone(), solo.clone());
    shutdown.spawn(async move { until(&end, namespace::run(&own)).await });
    let (end, own) = (shutdown.clone(), solo.clone());
    shutdown.spawn(async move { until(&end, aggregate::run(&own)).await });
    let (end, own) = (shutdown.clone(), solo.clone());
    shutdown.spawn(async move { until(&end, quota::run(&own)).await });
    let (end, own) = (shutdown.clone(), solo.clone());
    shutdown.spawn(async move { until(&end, protection::run(&own)).await });
    let (end, own) = (shutdown.clone(), solo.clone());
    shutdown.spawn(async move { until(&end, range::run(&own)).await });
    let (end, own) = (shutdown.clone(), solo);
    shutdown.spawn(async move { until(&end, garbage::run(&own)).await });
}

impl Solo {
    fn kind(&self, group: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.api.catalog.find(group, "v1", plural)
    }

    fn aim<'a>(&'a self, kind: &'a Arc<Kind>, namespace: &'a str, name: &'a str) -> Aim<'a> {
        Aim { permit: &self.permit, kind, part: Part::Whole, namespace, name, dry_run: false }
    }

    async fn delete(&self, aim: &Aim<'_>, options: &DeleteOptions) -> Result<(), Status> {
        match removal::remove(&self.api, aim, options, &mut Round::default()).await {
            Err(refusal) if refusal.code == http::StatusCode::NOT_FOUND => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// Changes an object that is there; what is gone needs no change.
    async fn change(&self, aim: &Aim<'_>, mut change: impl FnMut(&mut Value) + Send) -> Result<(), Status> {
        let tracker = Tracker::of(&self.api.catalog, (aim.kind, aim.part), own::CONTROLLERS);
        let edit = |old: Option<&Value>| {
            let old = old.ok_or_else(|| super::error::not_found(aim.resource()))?;
            let mut new = old.clone();
            change(&mut new);
            tracker.settle(&mut new);
            tracker.updated(old, &mut new, Sent::Nothing);
            Ok(new)
        };
        self.write(aim, edit).await
    }

    /// Applies a configuration to an object that is there.
    async fn apply(&self, aim: &Aim<'_>, manager: &str, config: &Value) -> Result<(), Status> {
        let tracker = Tracker::of(&self.api.catalog, (aim.kind, aim.part), manager);
        let edit = |old: Option<&Value>| {
            let old = old.ok_or_else(|| super::error::not_found(aim.resource()))?;
            tracker.applied(Some(old), config, Force::Yes)
        };
        self.write(aim, edit).await
    }

    async fn write<F>(&self, aim: &Aim<'_>, edit: F) -> Result<(), Status>
    where
        F: FnMut(Option<&Value>) -> Result<Value, Status> + Send,
    {
        match registry::update(&self.api, aim, &mut Round::default(), edit).await {
            Err(refusal) if refusal.code == http::StatusCode::NOT_FOUND => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}

/// The readable objects of a kind in a namespace.
fn content(solo: &Solo, kind: &Kind, namespace: &str) -> Vec<Arc<Object>> {
    let Some(storage) = &kind.storage else { return Vec::new() };
    let root = solo.api.store.view().root(storage.space);
    let from = Bytes::from(format!("{namespace}/"));
    let own = root.items.range(from.clone()..).take_while(|(name, _)| name.starts_with(&from));
    own.map(|(_, object)| Arc::clone(object)).filter(|object| object.fault().is_none()).collect()
}

async fn until(end: &Shutdown, work: impl Future<Output = ()>) {
    tokio::select! {
        () = end.begun() => {}
        () = work => {}
    }
}

#[cfg(test)]
mod tests;

//! The objects that the server makes at its start and keeps right: namespaces, roles, priority classes, its own service (contract 8.8).
//!
//! Running it again changes nothing. Independent objects are written at once, so that the store commits them together.

mod objects;
mod reconcile;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use ipnet::IpNet;
use serde_json::{Value, json};

use super::catalog::Kind;
use super::kinds::{self, Part, Range};
use super::registry::{self, Aim, Round};
use super::{Api, error, meta, refusal};
use crate::policy::{Permit, bootstrap};
use crate::status::Status;
use crate::store::{Expect, Outcome};

/// What the server knows of itself.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The addresses of services; the first is the server's own.
    pub service_range: IpNet,
    /// Where the server is reached.
    pub advertise: IpAddr,
    /// The port there.
    pub port: u16,
    /// `client-ca-file`, `requestheader-client-ca-file` and the other keys of `extension-apiserver-authentication`, as configured.
    pub authentication: BTreeMap<String, String>,
    /// Objects besides, created where they are missing.
    pub extra: Vec<Value>,
}

/// Makes what is missing and mends what is incomplete.
///
/// # Errors
/// The first refusal; what was made by then stays, and a second run goes on from there.
pub async fn run(api: &Api, settings: &Settings, permit: &Permit) -> Result<(), Status> {
    api.store.latest().await.map_err(|cause| refusal::store(&cause))?;
    let boot = Boot { api, permit };
    boot.make(objects::cluster(&api.catalog, settings)).await?;
    let (scoped, open): (Vec<Value>, Vec<Value>) =
        bootstrap::objects().into_iter().partition(|object| !meta::text(object, "namespace").is_empty());
    boot.reconcile(open).await?;
    boot.reconcile(scoped).await?;
    boot.make(objects::namespaced(settings)).await?;
    boot.make(settings.extra.clone()).await?;
    boot.service(settings).await
}

struct Boot<'a> {
    api: &'a Api,
    permit: &'a Permit,
}

impl Boot<'_> {
    /// Creates what is not there; what is there stays as it is.
    async fn make(&self, objects: Vec<Value>) -> Result<(), Status> {
        all(join_all(objects.into_iter().map(|object| self.create(object))).await)
    }

    /// The same, and adds to what is there what it lacks.
    async fn reconcile(&self, objects: Vec<Value>) -> Result<(), Status> {
        all(join_all(objects.into_iter().map(|object| self.mend(object))).await)
    }

    async fn mend(&self, wanted: Value) -> Result<(), Status> {
        let kind = self.kind(&wanted)?;
        let wanted = canonical(kind, wanted);
        let (namespace, name) = (meta::text(&wanted, "namespace"), meta::text(&wanted, "name"));
        let Some(object) = self.api.seen(kind, namespace, name) else { return self.put(kind, wanted).await };
        let stored = self.api.served(kind, &object)?;
        if reconcile::binds_otherwise(&stored, &wanted) {
            let (outcome, _) =
                self.api.put(&self.aim(kind, namespace, name), name, (Expect::At(object.revision()), None), None).await?;
            return if matches!(outcome, Outcome::Committed(_)) { self.put(kind, wanted).await } else { Ok(()) };
        }
        if reconcile::completed(&stored, &wanted).is_none() {
            return Ok(());
        }
        let aim = self.aim(kind, namespace, name);
        let change = |old: Option<&Value>| {
            let old = old.ok_or_else(|| error::not_found(aim.resource()))?;
            Ok(reconcile::completed(old, &wanted).unwrap_or_else(|| old.clone()))
        };
        registry::update(self.api, &aim, &mut Round::default(), change).await.map(drop)
    }

    async fn create(&self, object: Value) -> Result<(), Status> {
        let kind = self.kind(&object)?;
        let object = canonical(kind, object);
        if self.api.seen(kind, meta::text(&object, "namespace"), meta::text(&object, "name")).is_some() {
            return Ok(());
        }
        self.put(kind, object).await
    }

    /// Stores a new object as it is; somebody else's of the same name is as good.
    async fn put(&self, kind: &Arc<Kind>, mut object: Value) -> Result<(), Status> {
        meta::fill(&mut object);
        let (namespace, name) = (meta::text(&object, "namespace").to_owned(), meta::text(&object, "name").to_owned());
        self.api.put(&self.aim(kind, &namespace, &name), &name, (Expect::Absent, Some(&object)), None).await.map(drop)
    }

    /// `default/kubernetes`, and where it leads.
    async fn service(&self, settings: &Settings) -> Result<(), Status> {
        let service = objects::service(Range(settings.service_range).first(), settings.port);
        let kind = self.kind(&service)?;
        let service = canonical(kind, service);
        if self.api.seen(kind, "default", "kubernetes").is_none() {
            let made = registry::create(self.api, &self.aim(kind, "default", ""), &service, &mut Round::default()).await;
            if let Err(refusal) = made.map(drop)
                && refusal.reason != "AlreadyExists"
            {
                return Err(refusal);
            }
        }
        // kube-apiserver refuses endpoints on the loopback, and so does without them.
        if settings.advertise.is_loopback() {
            return Ok(());
        }
        for object in objects::endpoints(settings.advertise, settings.port) {
            self.replace(object).await?;
        }
        Ok(())
    }

    /// Creates an object, or makes one of the same name say the same.
    async fn replace(&self, wanted: Value) -> Result<(), Status> {
        let kind = self.kind(&wanted)?;
        let wanted = canonical(kind, wanted);
        let (namespace, name) = (meta::text(&wanted, "namespace"), meta::text(&wanted, "name"));
        if self.api.seen(kind, namespace, name).is_none() {
            return self.put(kind, wanted).await;
        }
        let aim = self.aim(kind, namespace, name);
        let change = |old: Option<&Value>| {
            let mut new = wanted.clone();
            new["metadata"] = old.ok_or_else(|| error::not_found(aim.resource()))?["metadata"].clone();
            Ok(new)
        };
        registry::update(self.api, &aim, &mut Round::default(), change).await.map(drop)
    }

    fn kind(&self, object: &Value) -> Result<&Arc<Kind>, Status> {
        let (version, kind) = (object["apiVersion"].as_str().unwrap_or(""), object["kind"].as_str().unwrap_or(""));
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        let mut kinds = self.api.catalog.all().iter();
        let found = kinds.find(|own| own.group == group && own.version == version && own.kind == kind);
        found.ok_or_else(|| Status::internal(format!("{kind} is not served")))
    }

    fn aim<'a>(&'a self, kind: &'a Arc<Kind>, namespace: &'a str, name: &'a str) -> Aim<'a> {
        Aim { permit: self.permit, kind, part: Part::Whole, namespace, name, dry_run: false }
    }
}

/// The object as a body would be read.
fn canonical(kind: &Kind, mut object: Value) -> Value {
    kinds::default(kind, &mut object);
    if kind.habits.generation {
        meta::members(&mut object).insert("generation".to_owned(), json!(1));
    }
    kind.schema.normalise(&mut object);
    object
}

fn all(outcomes: Vec<Result<(), Status>>) -> Result<(), Status> {
    outcomes.into_iter().collect()
}

//! The objects that the server makes at its start and keeps right: namespaces, roles, priority classes, its own service (contract 8.8).
//!
//! Running it again changes nothing and costs comparisons only. Everything is written at once, so that the store commits it together:
//! the objects are made here as a body would be read, and need no admission.

mod authentication;
mod objects;
mod reconcile;
mod replica;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ipnet::IpNet;
use serde_json::{Value, json};

use super::catalog::Kind;
use super::kinds::{self, Part};
use super::own::{self, Tracker};
use super::registry::{self, Aim, Round};
use super::{Api, error, meta, refusal};
use crate::policy::{Permit, bootstrap};
use crate::schema::own::Sent;
use crate::status::Status;
use crate::store::{Expect, Outcome};

/// What the server knows of itself.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The addresses of services; the first is the server's own.
    pub service_range: IpNet,
    /// Where the server is reached. On the loopback, nobody is told.
    pub advertise: IpAddr,
    /// The port there.
    pub port: u16,
    /// The authorities of clients, PEM; empty to tell nobody.
    pub client_ca: String,
    /// The authorities of the front proxy, PEM, and the names that its certificates may have.
    pub front_proxy: Option<FrontProxy>,
    /// More objects, made when they are missing: whole, with `apiVersion`, `kind` and, where there is one, namespace.
    pub extra: Vec<Value>,
}

/// Whom extension servers believe to speak for others.
#[derive(Clone, Debug)]
pub struct FrontProxy {
    /// The authorities, PEM.
    pub ca: String,
    /// The names of their certificates that count; empty for all.
    pub names: Vec<String>,
}

/// What is done about an object of the server's own.
enum Duty {
    /// It is created when it is missing.
    Make,
    /// The same, and what it lacks is added: RBAC.
    Complete,
    /// The same, and its content is made what it should be.
    Match,
}

/// Makes what is missing and mends what is incomplete.
///
/// # Errors
/// The first refusal; what was made by then stays, and a second run goes on from there.
pub async fn run(api: &Api, settings: &Settings, permit: &Permit) -> Result<(), Status> {
    let boot = Boot { api, permit };
    let mut duties = objects::kept(&api.catalog, settings);
    duties.extend(objects::once(settings).into_iter().map(|object| (Duty::Make, object)));
    duties.extend(bootstrap::objects().into_iter().map(|object| (Duty::Complete, object)));
    boot.fulfil(settings, duties).await?;
    kinds::follow_all(api, permit).await;
    kinds::repair(api).await
}

/// Keeps right what [`run`] has made, about once a minute, for as long as it is polled. Failures are logged and tried again.
pub async fn keep(api: Arc<Api>, settings: Settings, permit: Permit) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let boot = Boot { api: &api, permit: &permit };
        if let Err(refusal) = boot.fulfil(&settings, objects::kept(&api.catalog, &settings)).await {
            tracing::warn!(%refusal, "the server's own objects could not be kept right");
        }
        boot.forget_replicas().await;
        kinds::follow_all(&api, &permit).await;
        if let Err(refusal) = kinds::repair(&api).await {
            tracing::warn!(%refusal, "the addresses and node ports of services could not be kept right");
        }
    }
}

struct Boot<'a> {
    api: &'a Api,
    permit: &'a Permit,
}

impl Boot<'_> {
    async fn fulfil(&self, settings: &Settings, mut duties: Vec<(Duty, Value)>) -> Result<(), Status> {
        self.api.store.latest().await.map_err(|cause| refusal::store(&cause))?;
        duties.extend(authentication::duty(self.api, settings));
        duties.extend(replica::duties(self.api, settings));
        let fulfilled = join_all(duties.into_iter().map(|(duty, wanted)| self.see_to(duty, wanted))).await;
        fulfilled.into_iter().collect()
    }

    /// Removes the leases of replicas that are no more.
    async fn forget_replicas(&self) {
        let Some(kind) = self.api.catalog.find("coordination.k8s.io", "v1", "leases") else { return };
        for lease in replica::expired(self.api) {
            let aim = self.aim(kind, lease.namespace(), lease.name());
            if let Err(refusal) = self.api.put(&aim, lease.name(), (Expect::At(lease.revision()), None), None).await {
                tracing::warn!(lease = %lease.name(), %refusal, "the lease of a replica that is no more stays");
            }
        }
    }

    async fn see_to(&self, duty: Duty, wanted: Value) -> Result<(), Status> {
        let kind = self.kind(&wanted)?;
        let (namespace, name) = (meta::text(&wanted, "namespace").to_owned(), meta::text(&wanted, "name").to_owned());
        let Some(object) = self.api.seen(kind, &namespace, &name) else { return self.put(kind, wanted).await };
        let compare = match duty {
            Duty::Make => return Ok(()),
            Duty::Complete => reconcile::completed,
            Duty::Match => reconcile::matched,
        };
        let wanted = canonical(kind, wanted);
        let stored = self.api.served(kind, &object)?;
        let aim = self.aim(kind, &namespace, &name);
        if reconcile::binds_otherwise(&stored, &wanted) {
            let (outcome, _) = self.api.put(&aim, &name, (Expect::At(object.revision()), None), None).await?;
            return if matches!(outcome, Outcome::Committed(_)) { self.put(kind, wanted).await } else { Ok(()) };
        }
        if compare(&stored, &wanted).is_none() {
            return Ok(());
        }
        let tracker = Tracker::of(&self.api.catalog, (kind, Part::Whole), manager(kind));
        let change = |old: Option<&Value>| {
            let old = old.ok_or_else(|| error::not_found(aim.resource()))?;
            let mut new = compare(old, &wanted).unwrap_or_else(|| old.clone());
            tracker.updated(old, &mut new, Sent::Nothing);
            Ok(new)
        };
        registry::update(self.api, &aim, &mut Round::default(), change).await.map(drop)
    }

    /// Stores a new object as it is; somebody else's of the same name is as good.
    async fn put(&self, kind: &Arc<Kind>, object: Value) -> Result<(), Status> {
        let mut object = canonical(kind, object);
        self.track(kind, &mut object);
        meta::fill(&mut object);
        let (namespace, name) = (meta::text(&object, "namespace"), meta::text(&object, "name"));
        let errors = kinds::check_create(kind, &object);
        if !errors.is_empty() {
            return Err(error::invalid(error::Subject::kind(kind, name), &errors));
        }
        self.api.put(&self.aim(kind, namespace, name), name, (Expect::Absent, Some(&object)), None).await.map(drop)
    }

    /// Enters who would have made the object, and then its status, in kube-apiserver.
    fn track(&self, kind: &Kind, object: &mut Value) {
        let mut sent = object.clone();
        // Filled in by the server, whoever creates such an object.
        for member in match kind.kind.as_str() {
            "Namespace" => &["finalizers"][..],
            "Service" => &["clusterIPs", "ipFamilies"],
            _ => &[],
        } {
            drop(sent["spec"].as_object_mut().and_then(|spec| spec.remove(*member)));
        }
        Tracker::of(&self.api.catalog, (kind, Part::Whole), manager(kind)).created(&mut sent, Sent::Nothing);
        object["metadata"]["managedFields"] = sent["metadata"]["managedFields"].take();
        if object["status"]["conditions"].is_array() {
            let mut bare = object.clone();
            bare["status"] = json!({});
            own::told(&self.api.catalog, kind, &bare, object);
        }
    }

    fn kind(&self, object: &Value) -> Result<&Arc<Kind>, Status> {
        let (version, kind) = (object["apiVersion"].as_str().unwrap_or(""), object["kind"].as_str().unwrap_or(""));
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        let mut kinds = self.api.catalog.all().iter();
        let found = kinds.find(|own| own.kind == kind && own.version == version && own.group == group && own.storage.is_some());
        found.ok_or_else(|| Status::internal(format!("{kind} is not served")))
    }

    fn aim<'a>(&'a self, kind: &'a Arc<Kind>, namespace: &'a str, name: &'a str) -> Aim<'a> {
        Aim { permit: self.permit, kind, part: Part::Whole, namespace, name, dry_run: false }
    }
}

/// Who makes such objects in kube-apiserver.
fn manager(kind: &Kind) -> &'static str {
    if kind.group == "flowcontrol.apiserver.k8s.io" { "api-priority-and-fairness-config-producer-v1" } else { own::SERVER }
}

/// The object as a body would be read.
fn canonical(kind: &Kind, mut object: Value) -> Value {
    kinds::default(kind, &mut object);
    if kind.habits.generation && meta::generation(&object) == 0 {
        meta::members(&mut object).insert("generation".to_owned(), Value::from(1));
    }
    kind.schema.normalise(&mut object);
    object
}

const PERIOD: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;

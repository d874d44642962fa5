//! Garbage: what has lost all its owners goes; foreground and orphan deletions are carried out.
//!
//! One index over all spaces: who is there by uid, and who depends on whom.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::Solo;
use super::follow::{Follower, News};
use crate::api::catalog::Kind;
use crate::api::meta;
use crate::api::object::Object;
use crate::request::{DeleteOptions, Precondition};
use crate::status::Status;

/// An object, by where it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    space: u32,
    namespace: String,
    name: String,
}

#[derive(Default)]
struct Index {
    places: BTreeMap<String, Place>,
    owners: BTreeMap<String, Vec<Value>>,
    dependents: BTreeMap<String, BTreeSet<String>>,
    /// Uids to look at.
    work: VecDeque<String>,
}

pub(super) async fn run(solo: &Solo) {
    let kinds: Vec<Arc<Kind>> =
        solo.api.catalog.all().iter().filter(|kind| kind.is_stored_form() && kind.plural != "events").cloned().collect();
    let mut followers: Vec<(Arc<Kind>, Follower)> = kinds
        .into_iter()
        .filter_map(|kind| {
            let space = kind.storage.as_ref()?.space;
            Some((kind, Follower::new(Arc::clone(&solo.api), space)))
        })
        .collect();
    let mut index = Index::default();
    loop {
        let news = next(&mut followers).await;
        index.learn(news);
        // Only an index that knows everything told so far tells who is gone.
        while let Some(news) = ready(&mut followers).await {
            index.learn(news);
        }
        if index.work(solo).await {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn next(followers: &mut [(Arc<Kind>, Follower)]) -> (u32, News) {
    std::future::poll_fn(|context| poll(followers, context)).await
}

/// The next piece of news that is there already.
async fn ready(followers: &mut [(Arc<Kind>, Follower)]) -> Option<(u32, News)> {
    std::future::poll_fn(|context| match poll(followers, context) {
        Poll::Ready(news) => Poll::Ready(Some(news)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn poll(followers: &mut [(Arc<Kind>, Follower)], context: &mut Context<'_>) -> Poll<(u32, News)> {
    for (kind, follower) in followers.iter_mut() {
        if let Poll::Ready(news) = follower.poll(context) {
            return Poll::Ready((kind.storage.as_ref().map_or(0, |storage| storage.space.0), news));
        }
    }
    Poll::Pending
}

impl Index {
    fn learn(&mut self, (space, news): (u32, News)) {
        match news {
            News::All(objects) => {
                // What was there and is not any more went while nobody looked.
                let there: BTreeSet<&str> = objects.iter().map(|object| object.uid()).collect();
                let gone = |(uid, place): (&String, &Place)| {
                    (place.space == space && !there.contains(uid.as_str())).then(|| uid.clone())
                };
                let gone: Vec<String> = self.places.iter().filter_map(gone).collect();
                gone.iter().for_each(|uid| self.remove(uid));
                objects.iter().for_each(|object| self.put(space, object));
            }
            News::Change(happening) => match (&happening.old, &happening.new) {
                (_, Some(object)) => self.put(space, object),
                (Some(object), None) => self.remove(object.uid()),
                (None, None) => {}
            },
        }
    }

    fn put(&mut self, space: u32, object: &Object) {
        let uid = object.uid().to_owned();
        let metadata = object.metadata();
        let owned = memchr::memmem::find(&metadata, b"\"ownerReferences\"").is_some();
        let owners: Vec<Value> = if owned {
            serde_json::from_slice::<Value>(&metadata)
                .ok()
                .and_then(|metadata| metadata["ownerReferences"].as_array().cloned())
                .unwrap_or_default()
        } else {
            Vec::new()
        };
        self.forget_owners(&uid);
        for owner in owners.iter().filter_map(|owner| owner["uid"].as_str()) {
            self.dependents.entry(owner.to_owned()).or_default().insert(uid.clone());
        }
        if owned || object.is_deleting() {
            self.work.push_back(uid.clone());
        }
        if !owners.is_empty() {
            self.owners.insert(uid.clone(), owners);
        }
        self.places.insert(uid, Place { space, namespace: object.namespace().to_owned(), name: object.name().to_owned() });
    }

    fn remove(&mut self, uid: &str) {
        for owner in self.owners.get(uid).into_iter().flatten() {
            // An owner in foreground deletion may have waited for this one.
            self.work.extend(owner["uid"].as_str().map(str::to_owned));
        }
        self.forget_owners(uid);
        self.places.remove(uid);
        self.work.extend(self.dependents.get(uid).into_iter().flatten().cloned());
    }

    fn forget_owners(&mut self, uid: &str) {
        for owner in self.owners.remove(uid).unwrap_or_default() {
            let Some(owner) = owner["uid"].as_str() else { continue };
            if let Some(dependents) = self.dependents.get_mut(owner) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }

    /// Looks at everything that is due; whether something has to be tried again.
    async fn work(&mut self, solo: &Solo) -> bool {
        let due: BTreeSet<String> = self.work.drain(..).collect();
        let due: Vec<String> = due.into_iter().collect();
        let mut again = Vec::new();
        for some in due.chunks(AT_ONCE) {
            let looked = join_all(some.iter().map(|uid| self.look(solo, uid))).await;
            for (uid, outcome) in some.iter().zip(looked) {
                if let Err(refusal) = outcome {
                    tracing::warn!(%uid, %refusal, "garbage is not collected yet");
                    again.push(uid.clone());
                }
            }
        }
        let failed = !again.is_empty();
        self.work.extend(again);
        failed
    }

    /// What is due to one object.
    async fn look(&self, solo: &Solo, uid: &str) -> Result<(), Status> {
        let Some((kind, object)) = self.find(solo, uid) else { return Ok(()) };
        let value = object.value();
        if object.is_deleting() {
            let has = |finalizer: &str| meta::finalizers(&value).any(|own| own == finalizer);
            if has(meta::FOREGROUND) {
                return self.foreground(solo, (&kind, &object)).await;
            }
            return if has(meta::ORPHAN) { self.orphan(solo, (&kind, &object)).await } else { Ok(()) };
        }
        let Some(owners) = self.owners.get(uid) else { return Ok(()) };
        let is_there = |owner: &&Value| self.is_there(solo, (owner, object.namespace()));
        let (there, gone): (Vec<&Value>, Vec<&Value>) = owners.iter().partition(is_there);
        let waits = there.iter().all(|owner| self.waits_for_dependents(solo, owner));
        let aim = solo.aim(&kind, object.namespace(), object.name());
        if !there.is_empty() && !waits {
            if gone.is_empty() {
                return Ok(());
            }
            let gone: Vec<String> = gone.iter().filter_map(|owner| owner["uid"].as_str().map(str::to_owned)).collect();
            return solo.change(&aim, |object| drop_owners(object, &gone)).await;
        }
        let policy = if there.is_empty() { "Background" } else { "Foreground" };
        solo.delete(&aim, &options(uid, own_policy(&value, policy))).await
    }

    /// Deletes what blocks the owner; lets it go when nothing does.
    async fn foreground(&self, solo: &Solo, (kind, object): (&Arc<Kind>, &Object)) -> Result<(), Status> {
        let mut blocked = false;
        for uid in self.dependents.get(object.uid()).into_iter().flatten() {
            let Some((kind, dependent)) = self.find(solo, uid) else { continue };
            let blocks = |owner: &Value| owner["uid"] == object.uid() && owner["blockOwnerDeletion"] == true;
            blocked |= self.owners.get(uid).into_iter().flatten().any(blocks) && !self.circles(solo, uid, object.uid());
            let others = self.owners.get(uid).into_iter().flatten().any(|owner| {
                owner["uid"] != object.uid() && owner["uid"].as_str().is_some_and(|uid| self.places.contains_key(uid))
            });
            let aim = solo.aim(&kind, dependent.namespace(), dependent.name());
            if others {
                // It belongs to others too: it stays, and holds up nobody.
                let owner = [object.uid().to_owned()];
                solo.change(&aim, |dependent| drop_owners(dependent, &owner)).await?;
                continue;
            }
            if dependent.is_deleting() {
                continue;
            }
            solo.delete(&aim, &options(uid, own_policy(&dependent.value(), "Foreground"))).await?;
        }
        if blocked {
            return Ok(());
        }
        release(solo, (kind, object), meta::FOREGROUND).await
    }

    /// Takes the owner out of its dependents, then lets it go.
    async fn orphan(&self, solo: &Solo, (kind, object): (&Arc<Kind>, &Object)) -> Result<(), Status> {
        let owner = [object.uid().to_owned()];
        for uid in self.dependents.get(object.uid()).into_iter().flatten() {
            let Some((kind, dependent)) = self.find(solo, uid) else { continue };
            let aim = solo.aim(&kind, dependent.namespace(), dependent.name());
            solo.change(&aim, |dependent| drop_owners(dependent, &owner)).await?;
        }
        release(solo, (kind, object), meta::ORPHAN).await
    }

    /// The object of a uid, if it is still that one.
    fn find(&self, solo: &Solo, uid: &str) -> Option<(Arc<Kind>, Arc<Object>)> {
        let place = self.places.get(uid)?;
        let kind = solo.api.catalog.stored(crate::store::Space(place.space))?;
        let object = solo.api.seen(kind, &place.namespace, &place.name)?;
        (object.uid() == uid).then(|| (Arc::clone(kind), object))
    }

    /// Whether a dependent waits in its turn, over any number of others, for its owner: then neither would ever go.
    fn circles(&self, solo: &Solo, dependent: &str, owner: &str) -> bool {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut next = vec![dependent];
        while let Some(uid) = next.pop() {
            if uid == owner {
                return true;
            }
            if seen.len() < MOST && seen.insert(uid) && self.is_in_foreground(solo, uid) {
                next.extend(self.dependents.get(uid).into_iter().flatten().map(String::as_str));
            }
        }
        false
    }

    /// Whether an owner is there: in the dependent's own namespace, or at the cluster's scope. One of a kind that nobody here knows
    /// counts as there, and so does one in a namespace that a dependent at the cluster's scope cannot name: what cannot be looked up
    /// is not gone.
    fn is_there(&self, solo: &Solo, (owner, namespace): (&Value, &str)) -> bool {
        let text = |member: &str| owner[member].as_str().unwrap_or("");
        let (group, version) = text("apiVersion").rsplit_once('/').unwrap_or(("", text("apiVersion")));
        let own = |kind: &&Arc<Kind>| kind.group == group && kind.version == version && kind.kind == text("kind");
        let Some(kind) = solo.api.catalog.all().iter().filter(|kind| kind.storage.is_some()).find(own) else { return true };
        if kind.namespaced && namespace.is_empty() {
            return true;
        }
        let namespace = if kind.namespaced { namespace } else { "" };
        solo.api.seen(kind, namespace, text("name")).is_some_and(|object| object.uid() == text("uid"))
    }

    fn waits_for_dependents(&self, solo: &Solo, owner: &Value) -> bool {
        owner["uid"].as_str().is_some_and(|uid| self.is_in_foreground(solo, uid))
    }

    /// Whether an object goes once its dependents have gone.
    fn is_in_foreground(&self, solo: &Solo, uid: &str) -> bool {
        let Some((_, object)) = self.find(solo, uid) else { return false };
        object.is_deleting() && meta::finalizers(&object.value()).any(|own| own == meta::FOREGROUND)
    }
}

async fn release(solo: &Solo, (kind, object): (&Arc<Kind>, &Object), finalizer: &str) -> Result<(), Status> {
    let aim = solo.aim(kind, object.namespace(), object.name());
    solo.change(&aim, |object| {
        let kept: Vec<String> = meta::finalizers(object).filter(|own| *own != finalizer).map(str::to_owned).collect();
        meta::set_finalizers(object, &kept);
    })
    .await
}

fn drop_owners(object: &mut Value, gone: &[String]) {
    let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() else { return };
    owners.retain(|owner| !owner["uid"].as_str().is_some_and(|uid| gone.iter().any(|own| own == uid)));
    if owners.is_empty() {
        meta::members(object).remove("ownerReferences");
    }
}

/// A dependent that says itself how its own dependents go is taken at its word.
fn own_policy(object: &Value, policy: &'static str) -> &'static str {
    if meta::finalizers(object).any(|own| own == meta::ORPHAN) {
        "Orphan"
    } else if meta::finalizers(object).any(|own| own == meta::FOREGROUND) {
        "Foreground"
    } else {
        policy
    }
}

fn options(uid: &str, policy: &str) -> DeleteOptions {
    DeleteOptions {
        propagation_policy: Some(policy.to_owned()),
        preconditions: Precondition { uid: Some(uid.to_owned()), resource_version: None },
        ..DeleteOptions::default()
    }
}

/// Before what failed is tried again.
const PAUSE: Duration = Duration::from_millis(100);
const AT_ONCE: usize = 32;
/// Objects looked at for a circle.
const MOST: usize = 10_000;

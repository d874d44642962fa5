//! The end of a namespace: its content goes, pods first, then its finalizer (contract 8.10).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::Solo;
use super::follow::{Follower, News};
use crate::api::catalog::Kind;
use crate::api::kinds::Part;
use crate::api::registry::Aim;
use crate::api::{meta, refusal};
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

/// Deletes what is left as far as it goes now, pods first, and ends the namespace when nothing is.
async fn finish(solo: &Solo, namespace: &str) -> Result<(), Status> {
    let Some(kind) = solo.kind("", "namespaces") else { return Ok(()) };
    // What was made before the end began must be seen.
    solo.api.store.latest().await.map_err(|cause| refusal::store(&cause))?;
    for pods in [true, false] {
        let left = empty(solo, namespace, |kind| (kind.plural == "pods") == pods).await?;
        if left.is_empty() {
            continue;
        }
        let conditions = conditions(&left);
        let aim = Aim { part: Part::Status, ..solo.aim(kind, "", namespace) };
        return solo.change(&aim, |object| tell(object, &conditions)).await;
    }
    let aim = Aim { part: Part::Finalize, ..solo.aim(kind, "", namespace) };
    solo.change(&aim, |object| {
        if let Some(finalizers) = object["spec"]["finalizers"].as_array_mut() {
            finalizers.retain(|finalizer| finalizer != "kubernetes");
        }
    })
    .await
}

/// What is left of a kind: how many, and how often each finalizer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Left {
    objects: usize,
    finalizers: BTreeMap<String, usize>,
}

/// Deletes the objects of some kinds; what stays for a while, by resource.
async fn empty(solo: &Solo, namespace: &str, some: impl Fn(&Kind) -> bool) -> Result<BTreeMap<String, Left>, Status> {
    let options = DeleteOptions { propagation_policy: Some("Background".to_owned()), ..DeleteOptions::default() };
    let mut left: BTreeMap<String, Left> = BTreeMap::new();
    let kinds = solo.api.catalog.all().iter();
    for kind in kinds.filter(|kind| kind.namespaced && kind.is_stored_form() && kind.serves("delete") && some(kind)) {
        let content = super::content(solo, kind, namespace);
        // What is on its way needs no second word; its finalizers or its kubelet decide.
        let due: Vec<_> = content.iter().filter(|object| !object.is_deleting()).collect();
        for some in due.chunks(AT_ONCE) {
            let deletions = some.iter().map(|object| async {
                let aim = solo.aim(kind, namespace, object.name());
                solo.delete(&aim, &options).await
            });
            join_all(deletions).await.into_iter().collect::<Result<(), Status>>()?;
        }
        for object in super::content(solo, kind, namespace) {
            let left = left.entry(format!("{}.{}", kind.plural, kind.group)).or_default();
            left.objects += 1;
            for finalizer in meta::finalizers(&object.value()) {
                *left.finalizers.entry(finalizer.to_owned()).or_default() += 1;
            }
        }
    }
    Ok(left)
}

/// Why a namespace does not end yet, in the words of Kubernetes' controller.
fn conditions(left: &BTreeMap<String, Left>) -> Vec<Value> {
    let mut finalizers: BTreeMap<&str, usize> = BTreeMap::new();
    for (finalizer, count) in left.values().flat_map(|left| &left.finalizers) {
        *finalizers.entry(finalizer).or_default() += count;
    }
    let join = |parts: Vec<String>| parts.join(", ");
    let resources = join(left.iter().map(|(name, left)| format!("{name} has {} resource instances", left.objects)).collect());
    let holders = join(finalizers.iter().map(|(name, count)| format!("{name} in {count} resource instances")).collect());
    let condition = |kind: &str, status: &str, (reason, message): (&str, String)| json!({"type": kind, "status": status, "reason": reason, "message": message});
    let held = if finalizers.is_empty() {
        let told = ("ContentHasNoFinalizers", "All content-preserving finalizers finished".to_owned());
        condition("NamespaceFinalizersRemaining", "False", told)
    } else {
        let message = format!("Some content in the namespace has finalizers remaining: {holders}");
        condition("NamespaceFinalizersRemaining", "True", ("SomeFinalizersRemain", message))
    };
    let all = |text: &str| text.to_owned();
    vec![
        condition(
            "NamespaceDeletionDiscoveryFailure",
            "False",
            ("ResourcesDiscovered", all("All resources successfully discovered")),
        ),
        condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            ("ParsedGroupVersions", all("All legacy kube types successfully parsed")),
        ),
        condition(
            "NamespaceDeletionContentFailure",
            "False",
            ("ContentDeleted", all("All content successfully deleted, may be waiting on finalization")),
        ),
        condition(
            "NamespaceContentRemaining",
            "True",
            ("SomeResourcesRemain", format!("Some resources are remaining: {resources}")),
        ),
        held,
    ]
}

/// Sets the conditions; one that says the same keeps its time.
fn tell(namespace: &mut Value, conditions: &[Value]) {
    let known = namespace["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let told = conditions.iter().map(|condition| {
        let mut condition = condition.clone();
        let before = known.iter().find(|one| one["type"] == condition["type"] && one["status"] == condition["status"]);
        condition["lastTransitionTime"] =
            before.map_or_else(|| Value::from(meta::now()), |before| before["lastTransitionTime"].clone());
        condition
    });
    namespace["status"]["conditions"] = told.collect();
}

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(2);
const AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told() {
        let left = |objects: usize, finalizers: &[(&str, usize)]| Left {
            objects,
            finalizers: finalizers.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        };
        let all = BTreeMap::from([
            ("configmaps.".to_owned(), left(2, &[("a/b", 1)])),
            ("deployments.apps".to_owned(), left(1, &[("a/b", 1)])),
        ]);
        let mut namespace = json!({});
        tell(&mut namespace, &conditions(&all));
        let told = |kind: &str| {
            let conditions = namespace["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let found = conditions.into_iter().find(|condition| condition["type"] == kind);
            found.and_then(|condition| condition["message"].as_str().map(str::to_owned)).unwrap_or_default()
        };
        assert_eq!(
            told("NamespaceContentRemaining"),
            "Some resources are remaining: configmaps. has 2 resource instances, deployments.apps has 1 resource instances"
        );
        assert_eq!(
            told("NamespaceFinalizersRemaining"),
            "Some content in the namespace has finalizers remaining: a/b in 2 resource instances"
        );
        let once = namespace.clone();
        tell(&mut namespace, &conditions(&all));
        assert_eq!(namespace, once);
    }
}

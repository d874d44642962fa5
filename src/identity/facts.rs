//! Which accounts, pods, nodes and secrets exist: what a bound token's life hangs on.

use std::sync::Arc;

use imbl::HashMap;

/// An immutable value of what exists, cheap to clone and change: a feeder clones it, applies changes and swaps it in.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    accounts: HashMap<Arc<str>, Life>,
    pods: HashMap<Arc<str>, Life>,
    secrets: HashMap<Arc<str>, Life>,
    nodes: HashMap<Arc<str>, Life>,
}

/// What a token can be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum Holder {
    Account,
    Pod,
    Secret,
    Node,
}

/// One object's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// The object's uid.
    pub uid: Arc<str>,
    /// Its deletionTimestamp, seconds since the epoch.
    pub deleted: Option<u64>,
}

impl Facts {
    /// Nothing exists: no token is alive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that an object exists, or has changed. Nodes have the empty namespace.
    pub fn insert(&mut self, holder: Holder, namespace: &str, name: &str, life: Life) {
        let key = key(namespace, name);
        // An entry that stays as it is costs no copy of what earlier values share.
        if self.map(holder).get(key.as_str()) != Some(&life) {
            self.map_mut(holder).insert(key.into(), life);
        }
    }

    /// Notes that an object is gone.
    pub fn remove(&mut self, holder: Holder, namespace: &str, name: &str) {
        self.map_mut(holder).remove(key(namespace, name).as_str());
    }

    /// The uid of an object that exists.
    pub fn uid(&self, holder: Holder, namespace: &str, name: &str) -> Option<&Arc<str>> {
        self.map(holder).get(key(namespace, name).as_str()).map(|life| &life.uid)
    }

    /// Whether the object exists with this uid and was not deleted more than a minute before `now`. `key` is from [`key`].
    pub(super) fn is_alive(&self, holder: Holder, key: &str, uid: &str, now: u64) -> bool {
        let life = self.map(holder).get(key).filter(|life| *life.uid == *uid);
        life.is_some_and(|life| life.deleted.is_none_or(|deleted| now.saturating_sub(GRACE) <= deleted))
    }

    fn map(&self, holder: Holder) -> &HashMap<Arc<str>, Life> {
        match holder {
            Holder::Account => &self.accounts,
            Holder::Pod => &self.pods,
            Holder::Secret => &self.secrets,
            Holder::Node => &self.nodes,
        }
    }

    fn map_mut(&mut self, holder: Holder) -> &mut HashMap<Arc<str>, Life> {
        match holder {
            Holder::Account => &mut self.accounts,
            Holder::Pod => &mut self.pods,
            Holder::Secret => &mut self.secrets,
            Holder::Node => &mut self.nodes,
        }
    }
}

/// The key of an object: a name has no slash.
pub(super) fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// Seconds for which a deleted holder's tokens live on, as in Kubernetes.
const GRACE: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alive_while_there_with_the_same_uid() {
        let mut facts = Facts::new();
        let life = |deleted| Life { uid: "u1".into(), deleted };
        facts.insert(Holder::Account, "ns", "a", life(None));
        facts.insert(Holder::Pod, "ns", "p", life(Some(1000)));
        facts.insert(Holder::Node, "", "n", life(None));
        #[rustfmt::skip]
        let rows = [
            (Holder::Account, "ns/a", "u1", 5000, true),
            (Holder::Account, "ns/a", "u2", 5000, false),
            (Holder::Account, "ns/b", "u1", 5000, false),
            (Holder::Secret, "ns/a", "u1", 5000, false),
            (Holder::Node, "/n", "u1", 5000, true),
            (Holder::Pod, "ns/p", "u1", 900, true),
            (Holder::Pod, "ns/p", "u1", 1060, true),
            (Holder::Pod, "ns/p", "u1", 1061, false),
        ];
        for (holder, key, uid, now, expected) in rows {
            assert_eq!(facts.is_alive(holder, key, uid, now), expected, "{holder:?} {key} {uid} {now}");
        }
        let before = facts.clone();
        facts.remove(Holder::Account, "ns", "a");
        assert!(!facts.is_alive(Holder::Account, "ns/a", "u1", 0));
        assert!(before.is_alive(Holder::Account, "ns/a", "u1", 0));
        assert_eq!(before.uid(Holder::Node, "", "n").map(|uid| &**uid), Some("u1"));
    }
}

//! The feeder: compiles what the view says of rights and lives into the facts that policy and identity decide by.

use std::sync::Arc;
use std::task::{Context, Poll};

use serde::Deserialize;

use crate::api::catalog::Catalog;
use crate::api::object::Object;
use crate::identity::{self, Holder, Life};
use crate::live::Live;
use crate::policy::{self, Authorizer, graph};
use crate::store::{Happening, Pace, Revision, Space, Store, View, Watcher};

/// Events applied before the facts are swapped: a flood is followed in steps, not at its end.
const STEP: usize = 1_024;

/// The kinds that decisions depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    ClusterRole,
    ClusterRoleBinding,
    Role,
    RoleBinding,
    ServiceAccount,
    Secret,
    Pod,
    Node,
    PersistentVolume,
    VolumeAttachment,
    ResourceSlice,
}

const TOPICS: [(Topic, &str, &str); 11] = [
    (Topic::ClusterRole, "rbac.authorization.k8s.io", "clusterroles"),
    (Topic::ClusterRoleBinding, "rbac.authorization.k8s.io", "clusterrolebindings"),
    (Topic::Role, "rbac.authorization.k8s.io", "roles"),
    (Topic::RoleBinding, "rbac.authorization.k8s.io", "rolebindings"),
    (Topic::ServiceAccount, "", "serviceaccounts"),
    (Topic::Secret, "", "secrets"),
    (Topic::Pod, "", "pods"),
    (Topic::Node, "", "nodes"),
    (Topic::PersistentVolume, "", "persistentvolumes"),
    (Topic::VolumeAttachment, "storage.k8s.io", "volumeattachments"),
    (Topic::ResourceSlice, "resource.k8s.io", "resourceslices"),
];

/// Where the facts go.
pub(super) struct Outlet {
    /// Decides by the rights.
    pub(super) authorizer: Arc<Authorizer>,
    /// What tokens' lives hang on.
    pub(super) identity: Arc<Live<identity::Facts>>,
}

/// Follows the view and swaps the facts.
pub(super) struct Feeder {
    view: Arc<View<Object>>,
    topics: Vec<(Topic, Space)>,
    watchers: Vec<(Topic, Watcher<Object>)>,
    policy: policy::Facts,
    identity: identity::Facts,
    outlet: Outlet,
    pace: Arc<Pace>,
    /// Everything up to here has been applied.
    seen: Revision,
    /// Whether somebody waits.
    wanted: bool,
}

/// How a round of following ended.
enum Round {
    /// Events were applied, or there are none and somebody waits to hear so.
    Applied,
    /// The past was given up before it was read.
    Gone,
}

impl Feeder {
    /// A feeder with the facts of this moment already handed out.
    pub(super) fn new(catalog: &Catalog, store: &Store<Object>, outlet: Outlet) -> Self {
        let find = |(topic, group, plural)| {
            let kind =
                catalog.all().iter().find(|kind| kind.group == group && kind.plural == plural && kind.storage.is_some())?;
            Some((topic, kind.storage.as_ref()?.space))
        };
        let topics: Vec<_> = TOPICS.into_iter().filter_map(find).collect();
        let pace = Arc::new(Pace::default());
        store.wait_for(topics.iter().map(|(_, space)| *space).collect(), pace.clone());
        let (view, watchers, seen, wanted) = (store.view().clone(), Vec::new(), Revision(0), false);
        let (policy, identity) = Default::default();
        let mut feeder = Self { view, topics, watchers, policy, identity, outlet, pace, seen, wanted };
        feeder.rebuild();
        feeder
    }

    /// Follows until it is dropped.
    pub(super) async fn run(mut self) {
        let pace = self.pace.clone();
        loop {
            tokio::select! {
                round = std::future::poll_fn(|context| self.poll_round(context)) => match round {
                    Round::Applied => self.publish(),
                    Round::Gone => self.rebuild(),
                },
                () = pace.asked() => self.wanted = true,
            }
            // A flood of events may keep every poll ready: others run in between.
            tokio::task::yield_now().await;
        }
    }

    fn poll_round(&mut self, context: &mut Context<'_>) -> Poll<Round> {
        // Read first: what comes meanwhile may or may not be met below.
        let revision = self.view.revision();
        let mut applied = 0;
        for index in 0..self.watchers.len() {
            while applied < STEP {
                let (topic, watcher) = &mut self.watchers[index];
                let topic = *topic;
                match watcher.poll_next(context) {
                    Poll::Pending => break,
                    Poll::Ready(Err(_)) => return Poll::Ready(Round::Gone),
                    Poll::Ready(Ok(happening)) => self.follow(topic, &happening),
                }
                applied += 1;
            }
        }
        let told = applied < STEP && std::mem::take(&mut self.wanted);
        if applied < STEP {
            self.seen = revision;
        }
        if applied > 0 || told { Poll::Ready(Round::Applied) } else { Poll::Pending }
    }

    /// Reads everything anew and follows from there.
    fn rebuild(&mut self) {
        self.policy = policy::Facts::default();
        self.identity = identity::Facts::new();
        self.watchers.clear();
        self.seen = self.view.revision();
        for (topic, space) in self.topics.clone() {
            // The ring may give up the root's revision in between: then the next root is newer.
            let (root, watcher) = loop {
                let root = self.view.root(space);
                if let Ok(watcher) = self.view.watch(space, root.revision, None) {
                    break (root, watcher);
                }
            };
            for object in root.items.values() {
                self.learn(topic, object);
            }
            self.watchers.push((topic, watcher));
        }
        self.publish();
    }

    fn publish(&self) {
        self.outlet.authorizer.facts.swap(self.policy.clone());
        self.outlet.identity.swap(self.identity.clone());
        self.pace.advance(self.seen);
    }

    fn follow(&mut self, topic: Topic, happening: &Happening<Object>) {
        match (&happening.new, &happening.old) {
            (Some(object), _) => self.learn(topic, object),
            (None, Some(object)) => self.forget(topic, object),
            (None, None) => {}
        }
    }

    fn learn(&mut self, topic: Topic, object: &Object) {
        match topic {
            Topic::ClusterRole => self.rights(topic, object, policy::Facts::with_cluster_role),
            Topic::ClusterRoleBinding => self.rights(topic, object, policy::Facts::with_cluster_role_binding),
            Topic::Role => self.rights(topic, object, policy::Facts::with_role),
            Topic::RoleBinding => self.rights(topic, object, policy::Facts::with_role_binding),
            Topic::ServiceAccount => self.life(Holder::Account, object),
            Topic::Secret => self.life(Holder::Secret, object),
            Topic::Node => self.life(Holder::Node, object),
            Topic::Pod => {
                self.life(Holder::Pod, object);
                self.edges(topic, object, |graph, pod: &graph::Pod| graph.with_pod(pod));
            }
            Topic::PersistentVolume => {
                self.edges(topic, object, |graph, volume: &graph::PersistentVolume| graph.with_volume(volume))
            }
            Topic::VolumeAttachment => {
                self.edges(topic, object, |graph, at: &OnNode| {
                    graph.with_attachment(object.name(), at.spec.node_name.as_deref())
                });
            }
            Topic::ResourceSlice => {
                self.edges(topic, object, |graph, at: &OnNode| graph.with_slice(object.name(), at.spec.node_name.as_deref()));
            }
        }
    }

    fn forget(&mut self, topic: Topic, object: &Object) {
        let (namespace, name) = (object.namespace(), object.name());
        let graph = self.policy.graph();
        match topic {
            Topic::ClusterRole => self.policy = self.policy.without_cluster_role(name),
            Topic::ClusterRoleBinding => self.policy = self.policy.without_cluster_role_binding(name),
            Topic::Role => self.policy = self.policy.without_role(namespace, name),
            Topic::RoleBinding => self.policy = self.policy.without_role_binding(namespace, name),
            Topic::ServiceAccount => self.identity.remove(Holder::Account, namespace, name),
            Topic::Secret => self.identity.remove(Holder::Secret, namespace, name),
            Topic::Node => self.identity.remove(Holder::Node, "", name),
            Topic::Pod => {
                self.policy = self.policy.with_graph(graph.without_pod(namespace, name));
                self.identity.remove(Holder::Pod, namespace, name);
            }
            Topic::PersistentVolume => self.policy = self.policy.with_graph(graph.without_volume(name)),
            Topic::VolumeAttachment => self.policy = self.policy.with_graph(graph.with_attachment(name, None)),
            Topic::ResourceSlice => self.policy = self.policy.with_graph(graph.with_slice(name, None)),
        }
    }

    /// A role or binding. One that cannot be read grants nothing.
    fn rights<T: for<'de> Deserialize<'de>>(
        &mut self,
        topic: Topic,
        object: &Object,
        with: fn(&policy::Facts, T) -> policy::Facts,
    ) {
        match serde_json::from_slice(object.bytes()) {
            Ok(read) => self.policy = with(&self.policy, read),
            Err(error) => {
                tracing::error!(?topic, name = object.name(), namespace = object.namespace(), %error, "unreadable; it grants nothing");
                self.forget(topic, object);
            }
        }
    }

    fn edges<T: for<'de> Deserialize<'de>>(
        &mut self,
        topic: Topic,
        object: &Object,
        with: impl FnOnce(&graph::Graph, &T) -> graph::Graph,
    ) {
        match serde_json::from_slice(object.bytes()) {
            Ok(read) => self.policy = self.policy.with_graph(with(self.policy.graph(), &read)),
            Err(error) => {
                tracing::error!(?topic, name = object.name(), namespace = object.namespace(), %error, "unreadable; it leads nowhere");
                self.forget(topic, object);
            }
        }
    }

    fn life(&mut self, holder: Holder, object: &Object) {
        let deleted = object.is_deleting().then(|| deletion(object)).flatten();
        self.identity.insert(holder, object.namespace(), object.name(), Life { uid: object.uid().into(), deleted });
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        // At the end nobody waits in vain. After a panic everybody does: rights that are followed no more must not look followed.
        if !std::thread::panicking() {
            self.pace.advance(Revision(u64::MAX));
        }
    }
}

/// Objects that hang on a node by `spec.nodeName`.
#[derive(Deserialize)]
struct OnNode {
    spec: OnNodeSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnNodeSpec {
    node_name: Option<String>,
}

/// The deletionTimestamp in seconds since the epoch; 0, long ago, when it cannot be read.
fn deletion(object: &Object) -> Option<u64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        deletion_timestamp: Option<String>,
    }
    let read: Metadata = serde_json::from_slice(&object.metadata()).unwrap_or(Metadata { deletion_timestamp: None });
    let at = read.deletion_timestamp.and_then(|at| at.parse::<jiff::Timestamp>().ok());
    Some(at.map_or(0, |at| u64::try_from(at.as_second()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::policy::{Ask, Ceilings, Decision, Facts, Mode, User};
    use crate::request::{Resource, Target};
    use crate::store::embedded::{Embedded, Medium, OpenError, Options};
    use crate::store::{self, Change, Expect, Limits, Log, Outcome};

    const GROUP: &str = "rbac.authorization.k8s.io";

    struct Lab {
        catalog: Arc<Catalog>,
        store: Arc<Store<Object>>,
        authorizer: Arc<Authorizer>,
        identity: Arc<Live<identity::Facts>>,
    }

    impl Lab {
        fn open() -> Self {
            let catalog = Arc::new(Catalog::builtin());
            let options = Options { reserve_bytes: 0, ..Options::default() };
            let open = |sink| -> Result<Arc<dyn Log>, OpenError> { Ok(Embedded::open_on(Medium::memory(), options, sink)?) };
            let store = store::open(catalog.clone(), Limits::default(), open).unwrap();
            let authorizer = Arc::new(Authorizer::new(Mode::Builtin, Ceilings::default(), Facts::default()));
            let identity = Arc::new(Live::default());
            let outlet = Outlet { authorizer: authorizer.clone(), identity: identity.clone() };
            tokio::spawn(Feeder::new(&catalog, &store, outlet).run());
            Self { catalog, store, authorizer, identity }
        }

        /// Commits, as the API does, and does not wait for anything else.
        async fn put(&self, plural: &str, object: &Value, expect: Expect) -> Revision {
            let kind = self.catalog.all().iter().find(|kind| kind.plural == plural).unwrap();
            let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
            let key = kind.key(text("namespace"), text("name")).unwrap();
            let value = (object["gone"] != true).then(|| Object::to_stored(object));
            match self.store.commit(Change { key, expect, value, ttl: None, guard: None }).await.unwrap() {
                Outcome::Committed(revision) => revision,
                other => panic!("{other:?}"),
            }
        }

        fn may_read_maps(&self) -> bool {
            let target = Target::Resource(Resource {
                version: "v1".to_owned(),
                resource: "configmaps".to_owned(),
                namespace: "n".to_owned(),
                ..Resource::default()
            });
            let user = User { name: "system:serviceaccount:n:a", groups: &[], extra: None };
            matches!(self.authorizer.decide(&user, &Ask::new("list", &target)), Decision::Allow { .. })
        }
    }

    /// Whoever was told that a right was given or taken finds it so, at once and every time.
    #[tokio::test]
    async fn an_acknowledged_change_of_rights_is_in_force() {
        let lab = Lab::open();
        let role = json!({"kind": "Role", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "r", "namespace": "n", "uid": "1"},
            "rules": [{"verbs": ["list"], "apiGroups": [""], "resources": ["configmaps"]}]});
        let mut binding = json!({"kind": "RoleBinding", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "b", "namespace": "n", "uid": "2"},
            "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "r"}, "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": "n"}]});
        lab.put("roles", &role, Expect::Absent).await;
        for _ in 0..50 {
            binding["gone"] = false.into();
            let revision = lab.put("rolebindings", &binding, Expect::Absent).await;
            assert!(lab.may_read_maps());
            binding["gone"] = true.into();
            lab.put("rolebindings", &binding, Expect::At(revision)).await;
            assert!(!lab.may_read_maps());
        }
    }

    #[tokio::test]
    async fn an_acknowledged_life_is_known_and_other_changes_are_caught_up_with() {
        let lab = Lab::open();
        let account =
            json!({"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "a", "namespace": "n", "uid": "3"}});
        lab.put("serviceaccounts", &account, Expect::Absent).await;
        assert!(lab.identity.peek(|facts| facts.uid(Holder::Account, "n", "a").is_some()));

        let map = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "m", "namespace": "n", "uid": "4"}});
        let revision = lab.put("configmaps", &map, Expect::Absent).await;
        lab.store.followed(revision).await.unwrap();
    }
}

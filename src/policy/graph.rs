//! Which objects lead to which node (contract 6.5): pods by their references, volumes by their claims.
//!
//! Knows what an object says, not what a node may do with it: that is `node`'s.

use std::sync::Arc;

use serde::Deserialize;

use super::facts::Map;
use super::rbac::nullable;

/// The graph of one moment. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Every pod that has a node.
    pods: Map<Name, Arc<Anchor>>,
    /// What the pods refer to, on which node, by how many pods: one entry a node, as all pods may refer to the same object.
    referents: Map<(Referent, Arc<str>), u32>,
    volumes: Map<Arc<str>, Arc<Volume>>,
    /// Volumes that read a secret.
    readers: Map<Name, Arc<[Arc<str>]>>,
    attachments: Map<Arc<str>, Arc<str>>,
    slices: Map<Arc<str>, Arc<str>>,
}

/// What a pod on a node may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Secret,
    ConfigMap,
    Claim,
    ServiceAccount,
    ResourceClaim,
}

/// The part of a Pod that leads to other objects. Reads a stored pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    metadata: PodMetadata,
    spec: PodSpec,
    status: PodStatus,
}

/// The part of a PersistentVolume that leads to a claim and to secrets. Reads a stored one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PersistentVolume {
    metadata: PodMetadata,
    spec: serde_json::Map<String, serde_json::Value>,
}

/// Namespace and name.
type Name = (Arc<str>, Arc<str>);
type Referent = (Kind, Arc<str>, Arc<str>);

#[derive(Debug, PartialEq, Eq)]
struct Anchor {
    node: Arc<str>,
    referents: Vec<Referent>,
}

/// Whether a pod comes or goes.
#[derive(Clone, Copy)]
enum Step {
    In,
    Out,
}

#[derive(Debug)]
struct Volume {
    claim: Referent,
    secrets: Vec<Name>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PodMetadata {
    name: String,
    namespace: String,
    #[serde(deserialize_with = "nullable")]
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodSpec {
    node_name: String,
    service_account_name: String,
    #[serde(deserialize_with = "nullable")]
    image_pull_secrets: Vec<Reference>,
    #[serde(deserialize_with = "nullable")]
    containers: Vec<Container>,
    #[serde(deserialize_with = "nullable")]
    init_containers: Vec<Container>,
    #[serde(deserialize_with = "nullable")]
    ephemeral_containers: Vec<Container>,
    #[serde(deserialize_with = "nullable")]
    volumes: Vec<serde_json::Map<String, serde_json::Value>>,
    #[serde(deserialize_with = "nullable")]
    resource_claims: Vec<ClaimReference>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodStatus {
    #[serde(deserialize_with = "nullable")]
    resource_claim_statuses: Vec<ClaimReference>,
    #[serde(deserialize_with = "nullable")]
    extended_resource_claim_status: ClaimReference,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Reference {
    name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ClaimReference {
    name: String,
    resource_claim_name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Container {
    #[serde(deserialize_with = "nullable")]
    env: Vec<Variable>,
    #[serde(deserialize_with = "nullable")]
    env_from: Vec<Source>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Variable {
    #[serde(deserialize_with = "nullable")]
    value_from: Source,
}

/// `env[].valueFrom`, `envFrom[]` and projected sources name config maps and secrets alike.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Source {
    #[serde(alias = "configMapKeyRef", alias = "configMap", deserialize_with = "nullable")]
    config_map_ref: Reference,
    #[serde(alias = "secretKeyRef", alias = "secret", deserialize_with = "nullable")]
    secret_ref: Reference,
}

impl Graph {
    /// The same with this pod, new or changed. A pod without a node leads nowhere.
    #[must_use]
    pub fn with_pod(&self, pod: &Pod) -> Self {
        if pod.spec.node_name.is_empty() {
            return self.without_pod(&pod.metadata.namespace, &pod.metadata.name);
        }
        let anchor = Anchor { node: pod.spec.node_name.as_str().into(), referents: pod.referents() };
        let name: Name = (pod.metadata.namespace.as_str().into(), pod.metadata.name.as_str().into());
        // Most changes of a pod are of its status.
        if self.pods.get(&name).is_some_and(|known| **known == anchor) {
            return self.clone();
        }
        let mut next = self.without_pod(&pod.metadata.namespace, &pod.metadata.name);
        for referent in &anchor.referents {
            next.count(referent, &anchor.node, Step::In);
        }
        next.pods.insert(name, Arc::new(anchor));
        next
    }

    /// The same without it.
    #[must_use]
    pub fn without_pod(&self, namespace: &str, name: &str) -> Self {
        let mut next = self.clone();
        if let Some(anchor) = next.pods.remove(&(Arc::from(namespace), Arc::from(name))) {
            for referent in &anchor.referents {
                next.count(referent, &anchor.node, Step::Out);
            }
        }
        next
    }

    /// The same with this volume, new or changed. A volume without a claim leads nowhere.
    #[must_use]
    pub fn with_volume(&self, volume: &PersistentVolume) -> Self {
        let name = volume.metadata.name.as_str();
        let mut next = self.without_volume(name);
        let Some(edges) = volume.edges() else { return next };
        for secret in &edges.secrets {
            let known = next.readers.get(secret).map_or(&[][..], |readers| &**readers);
            let readers = known.iter().cloned().chain([Arc::from(name)]).collect();
            next.readers.insert(secret.clone(), readers);
        }
        next.volumes.insert(name.into(), Arc::new(edges));
        next
    }

    /// The same without it.
    #[must_use]
    pub fn without_volume(&self, name: &str) -> Self {
        let mut next = self.clone();
        let Some(edges) = next.volumes.remove(name) else { return next };
        for secret in &edges.secrets {
            let known = next.readers.get(secret).map_or(&[][..], |readers| &**readers);
            let left: Arc<[Arc<str>]> = known.iter().filter(|reader| ***reader != *name).cloned().collect();
            if left.is_empty() {
                next.readers.remove(secret);
            } else {
                next.readers.insert(secret.clone(), left);
            }
        }
        next
    }

    /// The same with a VolumeAttachment to `node`; an empty node or `None` removes it.
    #[must_use]
    pub fn with_attachment(&self, name: &str, node: Option<&str>) -> Self {
        let mut next = self.clone();
        place(&mut next.attachments, name, node);
        next
    }

    /// The same with a ResourceSlice of `node`; an empty node or `None` removes it.
    #[must_use]
    pub fn with_slice(&self, name: &str, node: Option<&str>) -> Self {
        let mut next = self.clone();
        place(&mut next.slices, name, node);
        next
    }

    pub(super) fn is_pod_on(&self, namespace: &str, name: &str, node: &str) -> bool {
        self.pods.get(&(Arc::from(namespace), Arc::from(name))).is_some_and(|pod| *pod.node == *node)
    }

    /// Whether a pod on `node` refers to the object, itself or by a volume that it claims.
    pub(super) fn is_used_on(&self, kind: Kind, (namespace, name): (&str, &str), node: &str) -> bool {
        let referent = (kind, Arc::from(namespace), Arc::from(name));
        if self.leads(&referent, node) {
            return true;
        }
        kind == Kind::Secret
            && self
                .readers
                .get(&(referent.1, referent.2))
                .is_some_and(|volumes| volumes.iter().any(|volume| self.is_volume_on(volume, node)))
    }

    pub(super) fn is_volume_on(&self, name: &str, node: &str) -> bool {
        self.volumes.get(name).is_some_and(|volume| self.leads(&volume.claim, node))
    }

    pub(super) fn is_attached_to(&self, name: &str, node: &str) -> bool {
        self.attachments.get(name).is_some_and(|at| **at == *node)
    }

    pub(super) fn is_slice_of(&self, name: &str, node: &str) -> bool {
        self.slices.get(name).is_some_and(|of| **of == *node)
    }

    fn leads(&self, referent: &Referent, node: &str) -> bool {
        self.referents.contains_key(&(referent.clone(), Arc::from(node)))
    }

    fn count(&mut self, referent: &Referent, node: &Arc<str>, step: Step) {
        let key = (referent.clone(), Arc::clone(node));
        let pods = self.referents.get(&key).copied().unwrap_or(0);
        match step {
            Step::In => drop(self.referents.insert(key, pods + 1)),
            Step::Out if pods > 1 => drop(self.referents.insert(key, pods - 1)),
            Step::Out => drop(self.referents.remove(&key)),
        }
    }
}

impl Pod {
    /// Everything the spec refers to, each once. A mirror pod refers to nothing: a node must not create its own rights.
    fn referents(&self) -> Vec<Referent> {
        if self.metadata.annotations.contains_key("kubernetes.io/config.mirror") {
            return Vec::new();
        }
        let mut found = Found { namespace: self.metadata.namespace.as_str().into(), referents: Vec::new() };
        found.add(Kind::ServiceAccount, &self.spec.service_account_name);
        for secret in &self.spec.image_pull_secrets {
            found.add(Kind::Secret, &secret.name);
        }
        let containers = [&self.spec.containers, &self.spec.init_containers, &self.spec.ephemeral_containers];
        for container in containers.into_iter().flatten() {
            container
                .env
                .iter()
                .map(|variable| &variable.value_from)
                .chain(&container.env_from)
                .for_each(|source| found.add_source(source));
        }
        for volume in &self.spec.volumes {
            found.add_volume(volume, &self.metadata.name);
        }
        self.claims().for_each(|claim| found.add(Kind::ResourceClaim, claim));
        found.referents
    }

    /// The resource claims: named in the spec, or made from a template and named in the status.
    fn claims(&self) -> impl Iterator<Item = &str> {
        let made = |wanted: &ClaimReference| {
            let mut statuses = self.status.resource_claim_statuses.iter();
            statuses.find(|status| status.name == wanted.name).map(|status| status.resource_claim_name.as_str())
        };
        let of_spec = self.spec.resource_claims.iter().filter_map(move |wanted| match wanted.resource_claim_name.as_str() {
            "" => made(wanted),
            name => Some(name),
        });
        of_spec.chain([self.status.extended_resource_claim_status.resource_claim_name.as_str()])
    }
}

impl PersistentVolume {
    fn edges(&self) -> Option<Volume> {
        let claim = self.spec.get("claimRef")?;
        let text =
            |value: &serde_json::Value, key: &str| value.get(key).and_then(|text| text.as_str()).unwrap_or_default().to_owned();
        let namespace: Arc<str> = text(claim, "namespace").into();
        let mut secrets = Vec::new();
        for (source, value) in &self.spec {
            if source == "azureFile" {
                let own = text(value, "secretNamespace");
                let at = if own.is_empty() { Arc::clone(&namespace) } else { own.into() };
                secrets.push((at, text(value, "secretName").into()));
            }
            for key in KUBELET_SECRETS.iter().filter(|(of, _)| of == source).map(|(_, key)| *key) {
                let Some(reference) = value.get(key) else { continue };
                let own = text(reference, "namespace");
                let at = if own.is_empty() { Arc::clone(&namespace) } else { own.into() };
                secrets.push((at, text(reference, "name").into()));
            }
        }
        secrets.retain(|(_, name): &Name| !name.is_empty());
        secrets.sort();
        secrets.dedup();
        Some(Volume { claim: (Kind::Claim, namespace, text(claim, "name").into()), secrets })
    }
}

/// References gathered from one pod.
struct Found {
    namespace: Arc<str>,
    referents: Vec<Referent>,
}

impl Found {
    fn add(&mut self, kind: Kind, name: &str) {
        let known = |referent: &Referent| referent.0 == kind && *referent.2 == *name;
        if !name.is_empty() && !self.referents.iter().any(known) {
            self.referents.push((kind, Arc::clone(&self.namespace), name.into()));
        }
    }

    fn add_source(&mut self, source: &Source) {
        self.add(Kind::ConfigMap, &source.config_map_ref.name);
        self.add(Kind::Secret, &source.secret_ref.name);
    }

    fn add_volume(&mut self, volume: &serde_json::Map<String, serde_json::Value>, pod: &str) {
        let text = |pointer: &str| {
            let (source, rest) = pointer.split_once('/').unwrap_or((pointer, ""));
            volume
                .get(source)
                .and_then(|value| value.pointer(&format!("/{rest}")))
                .and_then(|text| text.as_str())
                .unwrap_or_default()
        };
        for pointer in VOLUME_SECRETS {
            self.add(Kind::Secret, text(pointer));
        }
        self.add(Kind::ConfigMap, text("configMap/name"));
        self.add(Kind::Claim, text("persistentVolumeClaim/claimName"));
        if volume.get("ephemeral").is_some_and(|source| !source.is_null()) {
            let name = volume.get("name").and_then(|name| name.as_str()).unwrap_or_default();
            self.add(Kind::Claim, &format!("{pod}-{name}"));
        }
        let projected =
            volume.get("projected").and_then(|projected| projected.get("sources")).and_then(|sources| sources.as_array());
        for source in projected.into_iter().flatten() {
            if let Ok(source) = Source::deserialize(source) {
                self.add_source(&source);
            }
        }
    }
}

fn place(places: &mut Map<Arc<str>, Arc<str>>, name: &str, node: Option<&str>) {
    match node {
        None | Some("") => places.remove(name),
        Some(node) => places.insert(name.into(), node.into()),
    };
}

/// Where volumes name secrets of the pod's namespace.
const VOLUME_SECRETS: [&str; 10] = [
    "secret/secretName",
    "azureFile/secretName",
    "cephfs/secretRef/name",
    "cinder/secretRef/name",
    "flexVolume/secretRef/name",
    "rbd/secretRef/name",
    "scaleIO/secretRef/name",
    "iscsi/secretRef/name",
    "storageos/secretRef/name",
    "csi/nodePublishSecretRef/name",
];

/// Where persistent volumes name secrets that the kubelet reads.
const KUBELET_SECRETS: [(&str, &str); 10] = [
    ("cephfs", "secretRef"),
    ("cinder", "secretRef"),
    ("flexVolume", "secretRef"),
    ("rbd", "secretRef"),
    ("scaleIO", "secretRef"),
    ("iscsi", "secretRef"),
    ("storageos", "secretRef"),
    ("csi", "nodePublishSecretRef"),
    ("csi", "nodeStageSecretRef"),
    ("csi", "nodeExpandSecretRef"),
];

#[cfg(test)]
#[path = "graph_tests.rs"]
mod tests;

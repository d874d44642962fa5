//! Pods of a kubelet: its mirror pods, and the ends and states of those that run on it.

use serde_json::Value;

use super::{Operation, Visit, same};
use crate::api::error::{self, Subject, quoted};
use crate::api::kinds::is_empty;
use crate::status::Status;

impl Visit<'_> {
    pub(super) fn pod(&self, pod: &Value) -> Result<(), Status> {
        match self.asked() {
            "" | "status" => {}
            "eviction" => {
                let old = self.review.old.unwrap_or(&Value::Null);
                if old["spec"]["nodeName"] != self.node {
                    let cause = format!("node {} can only evict pods with spec.nodeName set to itself", self.node);
                    return self.refuse(pod, cause);
                }
                return Ok(());
            }
            other => {
                let cause = format!("unexpected pod subresource {}, only 'status' and 'eviction' are allowed", quoted(other));
                return self.refuse(pod, cause);
            }
        }
        let own = quoted(self.node);
        match (self.review.subresource, self.review.operation, self.review.old) {
            ("status", Operation::Update, Some(old)) => self.status(pod, old),
            ("", Operation::Create, _) => self.mirror(pod),
            ("", Operation::Delete, Some(old)) => {
                if old["spec"]["nodeName"] == self.node {
                    return Ok(());
                }
                self.refuse(old, format!("node {own} can only delete pods with spec.nodeName set to itself"))
            }
            (_, operation, _) => {
                let word = format!("{operation:?}").to_uppercase();
                let cause = format!("unexpected operation {}, node {own} can only create and delete mirror pods", quoted(&word));
                self.refuse(pod, cause)
            }
        }
    }

    fn status(&self, new: &Value, old: &Value) -> Result<(), Status> {
        let own = quoted(self.node);
        if old["spec"]["nodeName"] != self.node {
            return self.refuse(new, format!("node {own} can only update pod status for pods with spec.nodeName set to itself"));
        }
        if !same(&new["metadata"]["labels"], &old["metadata"]["labels"]) {
            return self.refuse(new, format!("node {own} cannot update labels through pod status"));
        }
        for member in ["resourceClaimStatuses", "extendedResourceClaimStatus"] {
            if !same(&new["status"][member], &old["status"][member]) {
                return self.refuse(new, format!("node {own} cannot update resource claim statues"));
            }
        }
        Ok(())
    }

    /// A pod that the kubelet runs from a file, as it shows it to others.
    fn mirror(&self, pod: &Value) -> Result<(), Status> {
        let own = quoted(self.node);
        if pod["metadata"]["annotations"].get(MIRROR).is_none() {
            let cause = format!("pod does not have {} annotation, node {own} can only create mirror pods", quoted(MIRROR));
            return self.refuse(pod, cause);
        }
        if pod["spec"]["nodeName"] != self.node {
            return self.refuse(pod, format!("node {own} can only create pods with spec.nodeName set to itself"));
        }
        self.owned(pod)?;
        match referred(pod) {
            Some(what) => self.refuse(pod, format!("node {own} can not create pods that reference {what}")),
            None => Ok(()),
        }
    }

    /// Its one owner is the node.
    fn owned(&self, pod: &Value) -> Result<(), Status> {
        let own = quoted(self.node);
        let owners = pod["metadata"]["ownerReferences"].as_array().map_or(&[][..], Vec::as_slice);
        let owner = match owners {
            [owner] => owner,
            [] => return self.refuse(pod, format!("node {own} can only create pods with an owner reference set to itself")),
            _ => return self.refuse(pod, format!("node {own} can only create pods with a single owner reference set to itself")),
        };
        if owner["apiVersion"] != "v1" || owner["kind"] != "Node" || owner["name"] != self.node {
            return self.refuse(pod, format!("node {own} can only create pods with an owner reference set to itself"));
        }
        if owner["controller"] != true {
            return self.refuse(pod, format!("node {own} can only create pods with a controller owner reference set to itself"));
        }
        if owner["blockOwnerDeletion"] == true {
            return self.refuse(pod, format!("node {own} must not set blockOwnerDeletion on an owner reference"));
        }
        let missing = || error::not_found(Subject { group: "", what: "nodes", name: self.node });
        let kind = self.api.catalog.find("", "v1", "nodes").ok_or_else(missing)?;
        let node = self.api.seen(kind, "", self.node).ok_or_else(missing)?;
        let uid = owner["uid"].as_str().unwrap_or("");
        if uid != node.uid() {
            return self.refuse(pod, format!("node {} UID mismatch: expected {uid} got {}", self.node, node.uid()));
        }
        Ok(())
    }
}

/// Which objects of the API a pod refers to: a mirror pod to none.
fn referred(pod: &Value) -> Option<&'static str> {
    let spec = &pod["spec"];
    if !is_empty(&spec["serviceAccountName"]) {
        return Some("a service account");
    }
    let words: [(&str, &[&str]); 5] = [
        ("secrets", &["secret", "secretRef", "secretKeyRef", "imagePullSecrets", "nodePublishSecretRef"]),
        ("configmaps", &["configMap", "configMapRef", "configMapKeyRef"]),
        ("clustertrustbundles", &["clusterTrustBundle"]),
        ("persistentvolumeclaims", &["persistentVolumeClaim", "ephemeral"]),
        ("resourceclaims", &["resourceClaims"]),
    ];
    words.into_iter().find(|(_, members)| mentions(spec, members)).map(|(what, _)| what)
}

/// Whether any member of these names says something, at any depth.
fn mentions(value: &Value, names: &[&str]) -> bool {
    match value {
        Value::Object(members) => {
            members.iter().any(|(name, value)| names.contains(&name.as_str()) && !is_empty(value) || mentions(value, names))
        }
        Value::Array(items) => items.iter().any(|item| mentions(item, names)),
        _ => false,
    }
}

const MIRROR: &str = "kubernetes.io/config.mirror";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_pod_refers_to() {
        let volume = |source: Value| json!({"spec": {"volumes": [source]}});
        for (pod, expected) in [
            (json!({"spec": {"containers": [{"name": "secret"}]}}), None),
            (json!({"spec": {"serviceAccountName": "a"}}), Some("a service account")),
            (volume(json!({"hostPath": {"path": "/"}})), None),
            (volume(json!({"secret": {"secretName": "s"}})), Some("secrets")),
            (volume(json!({"projected": {"sources": [{"configMap": {"name": "c"}}]}})), Some("configmaps")),
            (volume(json!({"persistentVolumeClaim": {"claimName": "c"}})), Some("persistentvolumeclaims")),
            (json!({"spec": {"containers": [{"envFrom": [{"secretRef": {"name": "s"}}]}]}}), Some("secrets")),
        ] {
            assert_eq!(referred(&pod), expected, "{pod}");
        }
    }
}

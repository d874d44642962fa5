//! NodeRestriction: a kubelet changes what is its node's, and nothing else (contract 6.6).

mod pod;
mod token;

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Operation, Review};
use crate::api::error::quoted;
use crate::api::kinds::is_empty;
use crate::api::{Api, meta};
use crate::identity::{self, Identity};
use crate::request::Target;
use crate::status::Status;

/// A request of a node.
struct Visit<'a> {
    api: &'a Api,
    review: &'a Review<'a>,
    node: &'a str,
}

pub(super) fn admit(api: &Api, review: &Review<'_>, object: &Value) -> Result<(), Status> {
    let Some((identity, node)) = review.permit.identity().and_then(|identity| Some((identity, node(identity)?))) else {
        return Ok(());
    };
    let visit = Visit { api, review, node };
    if node.is_empty() {
        return visit.refuse(object, format!("could not determine node from user {}", quoted(identity.user())));
    }
    match (review.kind.group.as_str(), review.kind.plural.as_str()) {
        ("", "pods") => visit.pod(object),
        ("", "nodes") => visit.own_node(object),
        ("", "persistentvolumeclaims") => visit.claim(object),
        ("", "serviceaccounts") => visit.token(object),
        ("coordination.k8s.io", "leases") => visit.lease(object),
        ("storage.k8s.io", "csinodes") if visit.name(object) != node => {
            visit.refuse(object, "can only access CSINode with the same name as the requesting node")
        }
        ("resource.k8s.io", "resourceslices") => visit.slice(object),
        ("certificates.k8s.io", "certificatesigningrequests") => visit.signing(object),
        _ => Ok(()),
    }
}

impl Visit<'_> {
    fn refuse(&self, object: &Value, cause: impl std::fmt::Display) -> Result<(), Status> {
        Err(self.review.forbid(object, cause))
    }

    /// The name of the object, also while it is being made.
    fn name<'a>(&'a self, object: &'a Value) -> &'a str {
        if self.review.operation == Operation::Create { meta::text(object, "name") } else { self.review.name }
    }

    /// The subresource of the request, which an eviction for example carries out by others.
    fn asked(&self) -> &str {
        match &self.review.permit.attributes().target {
            Target::Resource(resource) => &resource.subresource,
            Target::Path(_) => "",
        }
    }

    fn own_node(&self, object: &Value) -> Result<(), Status> {
        let (own, name) = (quoted(self.node), self.name(object));
        if name != self.node {
            return self.refuse(object, format!("node {own} is not allowed to modify node {}", quoted(name)));
        }
        let source = &object["spec"]["configSource"];
        match (self.review.operation, self.review.old) {
            (Operation::Create, _) => {
                if !source.is_null() {
                    let cause = format!("node {own} is not allowed to create pods with a non-nil configSource");
                    return self.refuse(object, cause);
                }
                let labels = forbidden(&object["metadata"]["labels"], &Value::Null);
                if !labels.is_empty() {
                    let cause = format!("node {own} is not allowed to set the following labels: {labels}");
                    return self.refuse(object, cause);
                }
            }
            (Operation::Update, Some(old)) => {
                if !source.is_null() && *source != old["spec"]["configSource"] {
                    let cause = format!("node {own} is not allowed to update configSource to a new non-nil configSource");
                    return self.refuse(object, cause);
                }
                if !same(&object["spec"]["taints"], &old["spec"]["taints"]) {
                    return self.refuse(object, format!("node {own} is not allowed to modify taints"));
                }
                let labels = forbidden(&object["metadata"]["labels"], &old["metadata"]["labels"]);
                if !labels.is_empty() {
                    return self.refuse(object, format!("is not allowed to modify labels: {labels}"));
                }
                if !same(&object["metadata"]["ownerReferences"], &old["metadata"]["ownerReferences"]) {
                    return self.refuse(object, format!("node {own} is not allowed to modify ownerReferences"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn claim(&self, object: &Value) -> Result<(), Status> {
        if self.review.subresource != "status" {
            return self.refuse(object, "may only update PVC status");
        }
        let stripped = |claim: &Value| {
            let mut claim = claim.clone();
            for member in ["capacity", "conditions", "allocatedResources", "allocatedResourceStatuses"] {
                if let Some(status) = claim["status"].as_object_mut() {
                    status.remove(member);
                }
            }
            let metadata = meta::members(&mut claim);
            metadata.remove("managedFields");
            metadata.remove("resourceVersion");
            claim
        };
        match self.review.old {
            Some(old) if stripped(old) == stripped(object) => Ok(()),
            _ => {
                let own = quoted(self.node);
                let cause =
                    format!("node {own} is not allowed to update fields other than status.capacity and status.conditions");
                self.refuse(object, cause)
            }
        }
    }

    fn lease(&self, object: &Value) -> Result<(), Status> {
        if self.review.namespace != LEASES {
            return self.refuse(object, format!("can only access leases in the {} system namespace", quoted(LEASES)));
        }
        if self.name(object) != self.node {
            return self.refuse(object, "can only access node lease with the same name as the requesting node");
        }
        Ok(())
    }

    fn slice(&self, object: &Value) -> Result<(), Status> {
        let (word, slice) = match self.review.operation {
            Operation::Create => ("create", object),
            Operation::Delete => ("delete", self.review.old.unwrap_or(object)),
            Operation::Update => return Ok(()),
        };
        if slice["spec"]["nodeName"] == self.node {
            return Ok(());
        }
        self.refuse(object, format!("can only {word} ResourceSlice with the same NodeName as the requesting node"))
    }

    /// The certificates that a kubelet asks for are its own node's.
    fn signing(&self, object: &Value) -> Result<(), Status> {
        let signer = object["spec"]["signerName"].as_str().unwrap_or("");
        let ours = matches!(signer, "kubernetes.io/kubelet-serving" | "kubernetes.io/kube-apiserver-client-kubelet");
        if !ours || self.review.operation != Operation::Create {
            return Ok(());
        }
        let Some(requested) = super::signer::requested(object) else { return self.refuse(object, "unable to parse csr") };
        let wanted = format!("system:node:{}", self.node);
        if requested.common_name == wanted {
            return Ok(());
        }
        self.refuse(object, format!("can only create a node CSR with CN={wanted}"))
    }
}

/// The node of a kubelet's identity, which may be nothing that can be one's name; `None` for everybody else.
fn node(identity: &Identity) -> Option<&str> {
    let node = identity.user().strip_prefix("system:node:")?;
    identity.is_in("system:nodes").then_some(if identity::is_dns_subdomain(node) { node } else { "" })
}

/// Labels that differ and are not the kubelet's to choose.
fn forbidden(new: &Value, old: &Value) -> String {
    let keys =
        |labels: &Value| -> BTreeSet<String> { labels.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect() };
    let changed = keys(new).union(&keys(old)).filter(|key| new.get(key) != old.get(key)).cloned().collect::<BTreeSet<_>>();
    let bad: Vec<String> = changed.into_iter().filter(|key| is_reserved(key)).collect();
    bad.join(", ")
}

fn is_reserved(key: &str) -> bool {
    let Some((domain, _)) = key.split_once('/') else { return false };
    let within = |of: &str| domain == of || domain.strip_suffix(of).is_some_and(|rest| rest.ends_with('.'));
    if within("node-restriction.kubernetes.io") {
        return true;
    }
    let kubernetes = within("kubernetes.io") || within("k8s.io");
    kubernetes && !within("kubelet.kubernetes.io") && !within("node.kubernetes.io") && !KUBELET.contains(&key)
}

/// The same, or nothing in both.
fn same(new: &Value, old: &Value) -> bool {
    new == old || is_empty(new) && is_empty(old)
}

const LEASES: &str = "kube-node-lease";

/// Labels that a kubelet may choose, besides those of its own two domains.
const KUBELET: [&str; 11] = [
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_of_a_kubelet() {
        for (key, expected) in [
            ("own", false),
            ("example.com/x", false),
            ("kubernetes.io/hostname", false),
            ("kubernetes.io/other", true),
            ("x.k8s.io/other", true),
            ("notk8s.io/other", false),
            ("kubelet.kubernetes.io/x", false),
            ("a.node.kubernetes.io/x", false),
            ("node-restriction.kubernetes.io/x", true),
            ("a.node-restriction.kubernetes.io/x", true),
            ("node-role.kubernetes.io/control-plane", true),
        ] {
            assert_eq!(is_reserved(key), expected, "{key}");
        }
        let old = json!({"kubernetes.io/a": "1", "b": "1"});
        assert_eq!(forbidden(&json!({"kubernetes.io/a": "1"}), &old), "");
        assert_eq!(forbidden(&json!({"b": "1", "k8s.io/z": ""}), &old), "k8s.io/z, kubernetes.io/a");
    }
}

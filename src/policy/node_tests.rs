use super::super::bootstrap;
use super::super::graph::{PersistentVolume, Pod};
use super::super::rbac;
use super::*;
use crate::request::Attributes;

const UNRELATED: &str = "no relationship found between node 'n1' and this object";

fn graph() -> Graph {
    let pod: Pod = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "p", "namespace": "ns"},
        "spec": {"nodeName": "n1", "serviceAccountName": "app", "volumes": [
            {"name": "s", "secret": {"secretName": "tls"}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "data"}},
        ]},
    }))
    .expect("a pod");
    let volume: PersistentVolume = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "pv"},
        "spec": {"claimRef": {"namespace": "ns", "name": "data"}, "csi": {"nodeStageSecretRef": {"name": "csi", "namespace": "kube-system"}}},
    }))
    .expect("a volume");
    Graph::default().with_pod(&pod).with_volume(&volume).with_attachment("va", Some("n1")).with_slice("sl", Some("n1"))
}

fn ask(user: &str, groups: &[&str], line: &str) -> Result<(), String> {
    let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
    let user = User { name: user, groups: &groups, extra: None };
    let bootstrap = bootstrap::load();
    let node = bootstrap.cluster_roles.iter().find(|role| role.metadata.name == "system:node").expect("system:node");
    let (method, uri) = line.split_once(' ').expect("method and uri");
    let attributes = Attributes::parse(&method.parse().expect("method"), &uri.parse().expect("uri"));
    decide(&graph(), &rbac::compile(&node.rules), &user, &Ask::of(&attributes))
}

#[test]
fn what_a_node_may() {
    for line in [
        "POST /api/v1/nodes",
        "GET /api/v1/nodes/n1",
        "GET /api/v1/nodes?watch=true&fieldSelector=metadata.name%3Dn1",
        "PATCH /api/v1/nodes/n1/status",
        "GET /api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn1",
        "GET /api/v1/namespaces/ns/pods/p",
        "PATCH /api/v1/namespaces/ns/pods/p/status",
        "DELETE /api/v1/namespaces/ns/pods/p",
        "POST /api/v1/namespaces/ns/pods/p/eviction",
        "POST /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
        "PUT /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1",
        "GET /apis/storage.k8s.io/v1/csinodes/n1",
        "POST /apis/storage.k8s.io/v1/csinodes",
        "GET /apis/storage.k8s.io/v1/csidrivers?watch=true",
        "GET /api/v1/services?watch=true",
        "POST /api/v1/namespaces/default/events",
        "POST /apis/certificates.k8s.io/v1/certificatesigningrequests",
        "GET /api/v1/namespaces/ns/secrets/tls",
        "GET /api/v1/namespaces/ns/secrets?watch=1&fieldSelector=metadata.name%3Dtls",
        "GET /api/v1/namespaces/kube-system/secrets/csi",
        "GET /api/v1/namespaces/ns/persistentvolumeclaims/data",
        "PATCH /api/v1/namespaces/ns/persistentvolumeclaims/data/status",
        "GET /api/v1/persistentvolumes/pv",
        "GET /apis/storage.k8s.io/v1/volumeattachments/va",
        "POST /api/v1/namespaces/ns/serviceaccounts/app/token",
        "GET /api/v1/namespaces/ns/serviceaccounts/app",
        "GET /apis/resource.k8s.io/v1/resourceslices/sl",
        "DELETE /apis/resource.k8s.io/v1/resourceslices?fieldSelector=spec.nodeName%3Dn1",
        "POST /apis/authentication.k8s.io/v1/tokenreviews",
    ] {
        assert_eq!(ask("system:node:n1", &["system:nodes"], line), Ok(()), "{line}");
    }
}

#[test]
fn what_a_node_may_not_and_why() {
    #[rustfmt::skip]
    let rows = [
        ("GET /api/v1/nodes/n2", "node 'n1' cannot read 'n2', only its own Node object"),
        ("GET /api/v1/nodes", "node 'n1' cannot read all nodes, only its own Node object"),
        ("DELETE /api/v1/nodes/n1", ""),
        ("GET /api/v1/nodes/n1/proxy/x", ""),
        ("GET /api/v1/pods", "can only list/watch pods with spec.nodeName field selector"),
        ("GET /api/v1/pods?fieldSelector=spec.nodeName%3Dn2", "can only list/watch pods with spec.nodeName field selector"),
        ("GET /api/v1/pods?fieldSelector=spec.nodeName!%3Dn1", "can only list/watch pods with spec.nodeName field selector"),
        ("GET /api/v1/namespaces/ns/pods?fieldSelector=metadata.name%3Dother", UNRELATED),
        ("GET /api/v1/namespaces/ns/pods/other", UNRELATED),
        ("PUT /api/v1/namespaces/ns/pods/p", ""),
        ("POST /api/v1/namespaces/ns/pods/p/exec", ""),
        ("GET /api/v1/namespaces/ns/secrets/other", UNRELATED),
        ("GET /api/v1/namespaces/ns/secrets", "No Object name found"),
        ("GET /api/v1/secrets?fieldSelector=metadata.name%3Dtls", "can only read namespaced object of this type"),
        ("DELETE /api/v1/namespaces/ns/secrets/tls", "can only read resources of this type"),
        ("GET /api/v1/namespaces/other/secrets/tls", UNRELATED),
        ("GET /api/v1/namespaces/ns/persistentvolumeclaims", "can only get individual resources of this type"),
        ("GET /api/v1/namespaces/ns/persistentvolumeclaims/data/status", "can only get/update/patch this type"),
        ("POST /api/v1/namespaces/ns/serviceaccounts", "can only create tokens for individual service accounts"),
        ("POST /api/v1/namespaces/ns/serviceaccounts/other/token", UNRELATED),
        ("PUT /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n2", "can only access node lease with the same name as the requesting node"),
        ("GET /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", "can only get, create, update, patch, or delete a node lease"),
        ("PUT /apis/coordination.k8s.io/v1/namespaces/kube-system/leases/n1", "can only access leases in the \"kube-node-lease\" system namespace"),
        ("GET /apis/storage.k8s.io/v1/csinodes/n2", "can only access CSINode with the same name as the requesting node"),
        ("GET /apis/resource.k8s.io/v1/resourceslices", "can only list/watch/deletecollection resourceslices with nodeName field selector"),
        ("GET /apis/apps/v1/deployments", ""),
        ("GET /metrics", ""),
    ];
    for (line, reason) in rows {
        assert_eq!(ask("system:node:n1", &["system:nodes"], line), Err(reason.to_owned()), "{line}");
    }
}

#[test]
fn who_is_a_node() {
    let line = "GET /api/v1/services";
    assert_eq!(ask("system:node:n1", &["system:nodes"], line), Ok(()));
    for (user, groups) in [("system:node:n1", &[][..]), ("n1", &["system:nodes"][..]), ("alice", &[][..])] {
        assert_eq!(ask(user, groups, line), Err(String::new()), "{user}");
    }
    assert_eq!(ask("system:node:", &["system:nodes"], line), Err("unknown node for user \"system:node:\"".to_owned()));
}

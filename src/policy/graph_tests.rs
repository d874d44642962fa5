use serde_json::json;

use super::*;

fn pod(value: serde_json::Value) -> Pod {
    serde_json::from_value(value).expect("a pod")
}

fn full() -> Pod {
    pod(json!({
        "metadata": {"name": "p", "namespace": "ns", "annotations": null},
        "spec": {
            "nodeName": "n", "serviceAccountName": "sa", "imagePullSecrets": [{"name": "pull"}, {}],
            "containers": [{
                "name": "c",
                "env": [{"name": "A", "value": "x"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "env", "key": "k"}}},
                        {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "cm-env", "key": "k"}}},
                        {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "envFrom": [{"configMapRef": {"name": "cm-from"}}, {"secretRef": {"name": "from"}}],
            }],
            "initContainers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "init"}}}]}],
            "ephemeralContainers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "debug"}}}]}],
            "volumes": [
                {"name": "a", "secret": {"secretName": "vol"}}, {"name": "b", "configMap": {"name": "cm-vol"}},
                {"name": "c", "persistentVolumeClaim": {"claimName": "claim"}}, {"name": "d", "ephemeral": {"volumeClaimTemplate": {}}},
                {"name": "e", "projected": {"sources": [{"secret": {"name": "proj"}}, {"configMap": {"name": "cm-proj"}}, {"serviceAccountToken": {}}]}},
                {"name": "f", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "csi"}}}, {"name": "g", "rbd": {"secretRef": {"name": "rbd"}}},
                {"name": "h", "emptyDir": {}},
            ],
            "resourceClaims": [{"name": "r1", "resourceClaimName": "fixed"}, {"name": "r2", "resourceClaimTemplateName": "t"}, {"name": "r3", "resourceClaimTemplateName": "t"}],
        },
        "status": {"resourceClaimStatuses": [{"name": "r2", "resourceClaimName": "made"}], "extendedResourceClaimStatus": {"resourceClaimName": "extended"}},
    }))
}

#[test]
fn every_reference_of_a_pod_leads_to_its_node() {
    let graph = Graph::default().with_pod(&full());
    let expected = [
        (Kind::Secret, "pull env from init debug vol proj csi rbd"),
        (Kind::ConfigMap, "cm-env cm-from cm-vol cm-proj"),
        (Kind::Claim, "claim p-d"),
        (Kind::ServiceAccount, "sa"),
        (Kind::ResourceClaim, "fixed made extended"),
    ];
    let mut count = 0;
    for (kind, names) in expected {
        for name in names.split(' ') {
            count += 1;
            assert!(graph.is_used_on(kind, ("ns", name), "n"), "{kind:?} {name}");
            assert!(!graph.is_used_on(kind, ("ns", name), "m"), "{kind:?} {name}");
            assert!(!graph.is_used_on(kind, ("other", name), "n"), "{kind:?} {name}");
        }
    }
    assert_eq!(graph.referents.len(), count);
    assert!(graph.is_pod_on("ns", "p", "n") && !graph.is_pod_on("ns", "p", "m"));
}

#[test]
fn nothing_is_left_of_what_is_gone() {
    let with = |name: &str, node: &str| {
        pod(
            json!({"metadata": {"name": name, "namespace": "ns"}, "spec": {"nodeName": node, "imagePullSecrets": [{"name": "s"}]}}),
        )
    };
    let two = Graph::default().with_pod(&with("a", "n")).with_pod(&with("b", "n"));
    let one = two.without_pod("ns", "a");
    assert!(one.is_used_on(Kind::Secret, ("ns", "s"), "n"));
    let moved = one.with_pod(&with("b", "m"));
    assert!(moved.is_used_on(Kind::Secret, ("ns", "s"), "m") && !moved.is_used_on(Kind::Secret, ("ns", "s"), "n"));
    let none = moved.with_pod(&with("b", ""));
    assert!(none.referents.is_empty() && none.pods.is_empty());
    assert!(two.is_used_on(Kind::Secret, ("ns", "s"), "n"), "the older value stays what it was");
}

#[test]
fn a_mirror_pod_grants_nothing() {
    let mirror = pod(json!({
        "metadata": {"name": "m", "namespace": "ns", "annotations": {"kubernetes.io/config.mirror": "x"}},
        "spec": {"nodeName": "n", "imagePullSecrets": [{"name": "s"}]},
    }));
    let graph = Graph::default().with_pod(&mirror);
    assert!(graph.is_pod_on("ns", "m", "n") && graph.referents.is_empty());
}

#[test]
fn volumes_lead_by_their_claim() {
    let volume =
        |spec| serde_json::from_value::<PersistentVolume>(json!({"metadata": {"name": "pv"}, "spec": spec})).expect("a volume");
    let claimed = volume(json!({
        "claimRef": {"namespace": "ns", "name": "claim"}, "azureFile": {"secretName": "az"},
        "csi": {"nodeStageSecretRef": {"name": "stage", "namespace": "kube-system"}, "controllerPublishSecretRef": {"name": "hidden", "namespace": "ns"}},
    }));
    let graph = Graph::default().with_volume(&claimed);
    assert!(!graph.is_volume_on("pv", "n"));
    let graph = graph.with_pod(&full());
    assert!(graph.is_volume_on("pv", "n") && !graph.is_volume_on("pv", "m"));
    assert!(graph.is_used_on(Kind::Secret, ("kube-system", "stage"), "n") && graph.is_used_on(Kind::Secret, ("ns", "az"), "n"));
    assert!(!graph.is_used_on(Kind::Secret, ("ns", "hidden"), "n"));
    let released = graph.with_volume(&volume(json!({})));
    assert!(!released.is_volume_on("pv", "n") && released.readers.is_empty());
}

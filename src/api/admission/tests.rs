use serde_json::{Value, json};

use crate::api::review::tests::Court;

const ALICE: (&str, &[&str]) = ("alice", &["developers"]);
const NODE: (&str, &[&str]) = ("system:node:n1", &["system:nodes"]);
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";

fn message(answer: &(u16, Value)) -> &str {
    answer.1["message"].as_str().unwrap_or("")
}

fn rule(resource: &str, verbs: Value) -> Value {
    json!([{"apiGroups": [""], "resources": [resource], "verbs": verbs}])
}

/// Alice may read config maps in `default`, and write roles and bindings there.
async fn with_alice() -> Court {
    let court = Court::new().await;
    let rules = json!([
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["create", "update", "patch"]},
    ]);
    let server = court.server();
    server.post(ROLES, json!({"metadata": {"name": "own"}, "rules": rules})).await;
    let group = "rbac.authorization.k8s.io";
    let (code, bound) = server
        .post(
            BINDINGS,
            json!({"metadata": {"name": "own"}, "roleRef": {"apiGroup": group, "kind": "Role", "name": "own"},
                "subjects": [{"kind": "User", "name": "alice", "apiGroup": group}]}),
        )
        .await;
    assert_eq!(code, 201, "{bound}");
    court
}

#[tokio::test]
async fn nobody_grants_what_he_does_not_hold() {
    let court = with_alice().await;
    let post = format!("POST {ROLES}");
    for (name, rules, code) in [
        ("narrow", rule("configmaps", json!(["get"])), 201),
        ("wide", rule("configmaps", json!(["*"])), 403),
        ("other", rule("secrets", json!(["get"])), 403),
    ] {
        let answer = court.ask(ALICE, &post, json!({"metadata": {"name": name}, "rules": rules})).await;
        assert_eq!(answer.0, code, "{name}: {}", answer.1);
    }
    let answer =
        court.ask(ALICE, &format!("PATCH {ROLES}/narrow"), json!({"rules": rule("secrets", json!(["get", "list"]))})).await;
    assert_eq!(
        message(&answer),
        "roles.rbac.authorization.k8s.io \"narrow\" is forbidden: user \"alice\" (groups=[\"developers\" \"system:authenticated\"]) is \
         attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\" \"list\"]}"
    );
    let mut labelled = json!({"metadata": {"labels": {"a": "b"}}});
    assert_eq!(court.ask(ALICE, &format!("PATCH {ROLES}/narrow"), labelled.take()).await.0, 200);
}

#[tokio::test]
async fn nobody_binds_what_he_does_not_hold() {
    let court = with_alice().await;
    let group = "rbac.authorization.k8s.io";
    for (kind, name, code) in [("Role", "own", 201), ("ClusterRole", "cluster-admin", 403), ("Role", "missing", 404)] {
        let binding = json!({"metadata": {"name": format!("b-{name}")}, "roleRef": {"apiGroup": group, "kind": kind, "name": name},
            "subjects": [{"kind": "User", "name": "bob", "apiGroup": group}]});
        let answer = court.ask(ALICE, &format!("POST {BINDINGS}"), binding).await;
        assert_eq!(answer.0, code, "{name}: {}", answer.1);
    }
    // Whoever may bind a role may bind it without holding it.
    let rules = json!([{"apiGroups": [group], "resources": ["clusterroles"], "resourceNames": ["view"], "verbs": ["bind"]}]);
    court.server().merge(&format!("{ROLES}/own"), json!({"rules": rules})).await;
    court
        .server()
        .post(
            "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
            json!({"metadata": {"name": "writer"},
        "rules": [{"apiGroups": [group], "resources": ["rolebindings"], "verbs": ["create"]}]}),
        )
        .await;
    court
        .server()
        .post(
            BINDINGS,
            json!({"metadata": {"name": "writer"}, "roleRef": {"apiGroup": group, "kind": "Role", "name": "writer"},
        "subjects": [{"kind": "User", "name": "alice", "apiGroup": group}]}),
        )
        .await;
    let binding = json!({"metadata": {"name": "b-view"}, "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "User", "name": "bob", "apiGroup": group}]});
    let answer = court.ask(ALICE, &format!("POST {BINDINGS}"), binding).await;
    assert_eq!(answer.0, 201, "{}", answer.1);
}

/// A node may do everything as far as RBAC is asked: what is refused, this room refuses.
async fn with_node() -> Court {
    let court = Court::new().await;
    let group = "rbac.authorization.k8s.io";
    let binding = json!({"metadata": {"name": "generous"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "Group", "name": "system:nodes", "apiGroup": group}]});
    let server = court.server();
    assert_eq!(server.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding).await.0, 201);
    assert_eq!(court.ask(NODE, "POST /api/v1/nodes", json!({"metadata": {"name": "n1"}})).await.0, 201);
    server.post("/api/v1/nodes", json!({"metadata": {"name": "n2"}})).await;
    server.post("/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": "default"}})).await;
    for node in ["n1", "n2"] {
        let pod = json!({"metadata": {"name": format!("on-{node}")}, "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}});
        assert_eq!(server.post("/api/v1/namespaces/default/pods", pod).await.0, 201);
    }
    court
}

#[tokio::test]
async fn a_node_keeps_to_itself() {
    let court = with_node().await;
    let leases = "/apis/coordination.k8s.io/v1/namespaces";
    let pods = "/api/v1/namespaces/default/pods";
    let rows = [
        ("PATCH /api/v1/nodes/n2", json!({"metadata": {"labels": {"a": "b"}}}), 403),
        ("PATCH /api/v1/nodes/n1", json!({"metadata": {"labels": {"a": "b"}}}), 200),
        ("PATCH /api/v1/nodes/n1", json!({"metadata": {"labels": {"node-restriction.kubernetes.io/a": "b"}}}), 403),
        ("PATCH /api/v1/nodes/n1", json!({"spec": {"taints": []}}), 403),
        ("DELETE /api/v1/nodes/n2", Value::Null, 403),
        (&format!("POST {leases}/kube-node-lease/leases"), json!({"metadata": {"name": "n1"}}), 201),
        (&format!("POST {leases}/kube-node-lease/leases"), json!({"metadata": {"name": "n2"}}), 403),
        (&format!("POST {leases}/default/leases"), json!({"metadata": {"name": "n1"}}), 403),
        (&format!("PATCH {pods}/on-n1/status"), json!({"status": {"phase": "Running"}}), 200),
        (&format!("PATCH {pods}/on-n1/status"), json!({"metadata": {"labels": {"a": "b"}}}), 403),
        (&format!("PATCH {pods}/on-n2/status"), json!({"status": {"phase": "Running"}}), 403),
        (&format!("PATCH {pods}/on-n1"), json!({"metadata": {"labels": {"a": "b"}}}), 403),
        (&format!("DELETE {pods}/on-n2"), Value::Null, 403),
        (&format!("DELETE {pods}/on-n1?gracePeriodSeconds=0"), Value::Null, 200),
        (&format!("POST {pods}/on-n2/eviction"), json!({"metadata": {"name": "on-n2"}}), 403),
        ("POST /api/v1/namespaces/default/serviceaccounts/default/token", json!({"spec": {}}), 403),
        ("POST /apis/storage.k8s.io/v1/csinodes", json!({"metadata": {"name": "n2"}, "spec": {"drivers": []}}), 403),
        ("POST /api/v1/namespaces/default/configmaps", json!({"metadata": {"name": "any"}}), 201),
    ];
    for (line, body, code) in rows {
        let answer = court.ask(NODE, line, body).await;
        assert_eq!(answer.0, code, "{line}: {}", answer.1);
    }
}

#[tokio::test]
async fn a_nodes_mirror_pods() {
    let court = with_node().await;
    let (_, node) = court.server().get("/api/v1/nodes/n1").await;
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": node["metadata"]["uid"], "controller": true});
    let pod = |owners: Value, spec: Value| {
        let mut pod = json!({"metadata": {"name": "m", "annotations": {"kubernetes.io/config.mirror": "x"}, "ownerReferences": owners},
            "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}});
        for (member, value) in spec.as_object().into_iter().flatten() {
            pod["spec"][member] = value.clone();
        }
        pod
    };
    let mut blocking = owner.clone();
    blocking["blockOwnerDeletion"] = json!(true);
    let mut stranger = owner.clone();
    stranger["uid"] = json!("other");
    let volumes = json!({"volumes": [{"name": "s", "secret": {"secretName": "s"}}]});
    for (owners, spec, code, expected) in [
        (json!([]), json!({}), 403, "can only create pods with an owner reference set to itself"),
        (json!([owner, blocking]), json!({}), 403, "a single owner reference"),
        (json!([blocking]), json!({}), 403, "must not set blockOwnerDeletion on an owner reference"),
        (json!([stranger]), json!({}), 403, "node n1 UID mismatch: expected other got"),
        (json!([owner]), json!({"nodeName": "n2"}), 403, "can only create pods with spec.nodeName set to itself"),
        (json!([owner]), volumes, 403, "a mirror pod may not reference secrets"),
        (json!([owner]), json!({}), 201, ""),
    ] {
        let answer = court.ask(NODE, "POST /api/v1/namespaces/default/pods", pod(owners, spec)).await;
        assert_eq!(answer.0, code, "{}", answer.1);
        assert!(message(&answer).contains(expected), "{}", answer.1);
    }
}

#[tokio::test]
async fn signers_are_asked_for_their_right() {
    let court = with_alice().await;
    let group = "rbac.authorization.k8s.io";
    let rules = json!([
        {"apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests", "certificatesigningrequests/approval"],
            "verbs": ["*"]},
        {"apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "resourceNames": ["example.com/*"], "verbs": ["approve"]},
    ]);
    let server = court.server();
    server.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", json!({"metadata": {"name": "ca"}, "rules": rules})).await;
    server
        .post(
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            json!({"metadata": {"name": "ca"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "ca"},
        "subjects": [{"kind": "User", "name": "alice", "apiGroup": group}]}),
        )
        .await;
    for (name, signer, organization, created, approved) in [
        ("a", "example.com/one", "x", 201, 200),
        ("b", "other.com/one", "x", 201, 403),
        ("c", "kubernetes.io/kube-apiserver-client", "system:masters", 403, 404),
        ("d", "kubernetes.io/kube-apiserver-client", "developers", 201, 403),
    ] {
        let csr = json!({"metadata": {"name": name}, "spec": {"signerName": signer, "request": request(organization), "usages": ["client auth"]}});
        let path = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
        let answer = court.ask(ALICE, &format!("POST {path}"), csr).await;
        assert_eq!(answer.0, created, "{name}: {}", answer.1);
        let decision = json!({"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "r"}]}});
        let answer = court.ask(ALICE, &format!("PATCH {path}/{name}/approval"), decision).await;
        assert_eq!(answer.0, approved, "{name}: {}", answer.1);
    }
}

/// A signing request for `alice` of an organization, as the object carries it.
fn request(organization: &str) -> String {
    use base64::Engine as _;
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "alice");
    params.distinguished_name.push(rcgen::DnType::OrganizationName, organization);
    let key = rcgen::KeyPair::generate().expect("a key");
    let pem = params.serialize_request(&key).expect("a request").pem().expect("PEM");
    base64::engine::general_purpose::STANDARD.encode(pem)
}

#[tokio::test]
async fn claims_grow_where_their_class_lets_them() {
    let court = Court::new().await;
    let server = court.server();
    for (name, grows) in [("fixed", false), ("elastic", true)] {
        let class = json!({"metadata": {"name": name}, "provisioner": "p", "allowVolumeExpansion": grows});
        server.post("/apis/storage.k8s.io/v1/storageclasses", class).await;
    }
    let claims = "/api/v1/namespaces/default/persistentvolumeclaims";
    for (name, class, bound, code) in [("a", "fixed", true, 403), ("b", "elastic", true, 200), ("c", "elastic", false, 422)] {
        let claim = json!({"metadata": {"name": name}, "spec": {"storageClassName": class, "accessModes": ["ReadWriteOnce"],
            "volumeName": "v", "resources": {"requests": {"storage": "1Gi"}}}});
        assert_eq!(server.post(claims, claim).await.0, 201);
        if bound {
            server.merge(&format!("{claims}/{name}/status"), json!({"status": {"phase": "Bound"}})).await;
        }
        let answer =
            server.merge(&format!("{claims}/{name}"), json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}})).await;
        assert_eq!(answer.0, code, "{name}: {}", answer.1);
    }
}

#[tokio::test]
async fn quotas_are_charged() {
    let court = Court::new().await;
    let server = court.server();
    let quotas = "/api/v1/namespaces/default/resourcequotas";
    let maps = "/api/v1/namespaces/default/configmaps";
    let (code, _) = server.post(quotas, json!({"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "2"}}})).await;
    assert_eq!(code, 201);
    // Nobody has counted yet: nothing is held.
    assert_eq!(server.post(maps, json!({"metadata": {"name": "a"}})).await.0, 201);
    let status = json!({"status": {"hard": {"configmaps": "2"}, "used": {"configmaps": "1"}}});
    assert_eq!(server.merge(&format!("{quotas}/q/status"), status).await.0, 200);
    assert_eq!(server.post(&format!("{maps}?dryRun=All"), json!({"metadata": {"name": "b"}})).await.0, 201);
    assert_eq!(server.post(maps, json!({"metadata": {"name": "b"}})).await.0, 201);
    assert_eq!(server.get(&format!("{quotas}/q")).await.1["status"]["used"]["configmaps"], "2");
    let answer = server.post(maps, json!({"metadata": {"name": "c"}})).await;
    assert_eq!(
        message(&answer),
        "configmaps \"c\" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=2, limited: configmaps=2"
    );
    assert_eq!(server.merge(&format!("{maps}/a"), json!({"data": {"k": "v"}})).await.0, 200);
    server.merge(&format!("{quotas}/q/status"), json!({"status": {"used": null}})).await;
    let answer = server.post(maps, json!({"metadata": {"name": "c"}})).await;
    assert_eq!(message(&answer), "configmaps \"c\" is forbidden: status unknown for quota: q, resources: configmaps");
}

#[tokio::test]
async fn quotas_hold_against_many_at_once() {
    let court = Court::new().await;
    let server = court.server();
    let quotas = "/api/v1/namespaces/default/resourcequotas";
    server.post(quotas, json!({"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "5"}}})).await;
    let status = json!({"status": {"hard": {"configmaps": "5"}, "used": {"configmaps": "0"}}});
    server.merge(&format!("{quotas}/q/status"), status).await;
    let post = |index: usize| async move {
        server.post("/api/v1/namespaces/default/configmaps", json!({"metadata": {"name": format!("m{index}")}})).await
    };
    let answers: Vec<(u16, Value)> = futures_util::future::join_all((0..12).map(post)).await;
    let made = answers.iter().filter(|answer| answer.0 == 201).count();
    assert_eq!(made, 5, "{answers:?}");
}

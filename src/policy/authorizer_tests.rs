use super::super::facts::Facts;
use super::super::{Mode, bootstrap, file, recorded};
use super::*;
use crate::request::{Resource, Target};

fn bootstrapped() -> Facts {
    let bootstrap::Bootstrap { cluster_roles, roles, cluster_role_bindings, role_bindings } = bootstrap::load();
    let facts = cluster_roles.into_iter().fold(Facts::default(), |facts, role| facts.with_cluster_role(role));
    let facts = roles.into_iter().fold(facts, |facts, role| facts.with_role(role));
    let facts = cluster_role_bindings.into_iter().fold(facts, |facts, binding| facts.with_cluster_role_binding(binding));
    role_bindings.into_iter().fold(facts, |facts, binding| facts.with_role_binding(binding))
}

/// The facts, and everybody in `all` bound to cluster-admin: only ceilings hold them.
fn too_generous(all: &str) -> Facts {
    let binding = serde_json::json!({
        "metadata": {"name": "generous"}, "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "Group", "name": all}],
    });
    bootstrapped().with_cluster_role_binding(serde_json::from_value(binding).expect("a binding"))
}

fn ceilings(json: serde_json::Value) -> Ceilings {
    serde_json::from_value::<file::Policy>(json).expect("the shape of a policy").resolve().expect("a good policy").ceilings
}

fn attributes(line: &str) -> Attributes {
    let (method, uri) = line.split_once(' ').expect("method and uri");
    Attributes::parse(&method.parse().expect("method"), &uri.parse().expect("uri"))
}

fn caller(user: &str, groups: &str) -> Caller {
    let groups: Vec<&str> = groups.split(' ').filter(|group| !group.is_empty()).chain(["system:authenticated"]).collect();
    Caller::sample(user, &groups)
}

fn ask(authorizer: &Authorizer, caller: Caller, line: &str, reach: Reach) -> Result<Permit, Denied> {
    authorizer.authorize(caller, attributes(line), reach)
}

fn told(result: &Result<Permit, Denied>) -> String {
    match result {
        Ok(permit) => format!("yes: {}", permit.component()),
        Err(denied) => format!("{} {} {}", denied.step().label(), denied.component(), denied.rule()),
    }
}

#[test]
fn stolen_rights_end_at_the_ceiling() {
    // Everybody is cluster-admin here: each refusal below is a ceiling's.
    let authorizer = Authorizer::new(Mode::Builtin, Ceilings::default(), too_generous("system:authenticated"));
    #[rustfmt::skip]
    let rows = [
        (("system:kube-scheduler", ""), "GET /api/v1/secrets", "kube-scheduler", "secrets is forbidden: User \"system:kube-scheduler\" cannot list resource \"secrets\" in API group \"\" at the cluster scope"),
        (("system:kube-scheduler", ""), "GET /api/v1/namespaces/kube-system/secrets/s", "kube-scheduler", "secrets \"s\" is forbidden: User \"system:kube-scheduler\" cannot get resource \"secrets\" in API group \"\" in the namespace \"kube-system\""),
        (("system:kube-scheduler", ""), "GET /api/v1/namespaces/default/configmaps/c", "kube-scheduler", "configmaps \"c\" is forbidden: User \"system:kube-scheduler\" cannot get resource \"configmaps\" in API group \"\" in the namespace \"default\""),
        (("system:kube-scheduler", ""), "GET /api/v1/configmaps", "kube-scheduler", "configmaps is forbidden: User \"system:kube-scheduler\" cannot list resource \"configmaps\" in API group \"\" at the cluster scope"),
        (("system:kube-proxy", ""), "POST /api/v1/namespaces/ns/pods", "kube-proxy", "pods is forbidden: User \"system:kube-proxy\" cannot create resource \"pods\" in API group \"\" in the namespace \"ns\""),
        (("system:kube-proxy", ""), "PATCH /api/v1/namespaces/ns/pods/p/status", "kube-proxy", "pods \"p\" is forbidden: User \"system:kube-proxy\" cannot patch resource \"pods/status\" in API group \"\" in the namespace \"ns\""),
        (("system:serviceaccount:kube-system:kube-proxy", "system:serviceaccounts"), "DELETE /api/v1/namespaces/ns/services/s", "kube-proxy", "services \"s\" is forbidden: User \"system:serviceaccount:kube-system:kube-proxy\" cannot delete resource \"services\" in API group \"\" in the namespace \"ns\""),
        (("system:kube-controller-manager", ""), "DELETE /api/v1/namespaces/ns", "kube-controller-manager", "namespaces \"ns\" is forbidden: User \"system:kube-controller-manager\" cannot delete resource \"namespaces\" in API group \"\" in the namespace \"ns\""),
        (("system:node:n", "system:nodes"), "POST /apis/apps/v1/namespaces/ns/daemonsets", "kubelet", "daemonsets.apps is forbidden: User \"system:node:n\" cannot create resource \"daemonsets\" in API group \"apps\" in the namespace \"ns\""),
        (("system:node:n", "system:nodes"), "POST /api/v1/namespaces/ns/pods/p/exec", "kubelet", "pods \"p\" is forbidden: User \"system:node:n\" cannot create resource \"pods/exec\" in API group \"\" in the namespace \"ns\""),
        (("root", "system:masters"), "GET /api/v1/nodes/n/proxy/run/x", "kubectl", "nodes \"n\" is forbidden: User \"root\" cannot get resource \"nodes/proxy\" in API group \"\" at the cluster scope"),
        (("root", "system:masters"), "POST /portcullis/denylist", "kubectl", "forbidden: User \"root\" cannot post path \"/portcullis/denylist\""),
        (("alice", ""), "GET /api/v1/namespaces/ns/pods", "none", "pods is forbidden: User \"alice\" cannot list resource \"pods\" in API group \"\" in the namespace \"ns\""),
        (("alice", ""), "GET /metrics", "none", "forbidden: User \"alice\" cannot get path \"/metrics\""),
        (("system:serviceaccount:ns:app", "system:serviceaccounts"), "PUT /apis/certificates.k8s.io/v1/certificatesigningrequests/c/approval", "workload", "certificatesigningrequests.certificates.k8s.io \"c\" is forbidden: User \"system:serviceaccount:ns:app\" cannot update resource \"certificatesigningrequests/approval\" in API group \"certificates.k8s.io\" at the cluster scope"),
        (("system:serviceaccount:ns:app", "system:serviceaccounts"), "POST /api/v1/nodes/n/proxy/exec", "workload", "nodes \"n\" is forbidden: User \"system:serviceaccount:ns:app\" cannot create resource \"nodes/proxy\" in API group \"\" at the cluster scope"),
        (("system:serviceaccount:kube-system:job-controller", "system:serviceaccounts"), "GET /api/v1/secrets", "controller", "secrets is forbidden: User \"system:serviceaccount:kube-system:job-controller\" cannot list resource \"secrets\" in API group \"\" at the cluster scope"),
    ];
    for ((user, groups), line, component, text) in rows {
        let denied = ask(&authorizer, caller(user, groups), line, Reach::AsAsked).expect_err(line);
        assert_eq!((denied.message().as_str(), denied.component()), (text, component), "{line}");
        assert_ne!(denied.step(), Step::Backend, "{line}");
    }
    for ((user, groups), line) in [
        (("root", "system:masters"), "DELETE /apis/apps/v1/namespaces/ns/deployments/d"),
        (("root", "system:masters"), "GET /apis/example.com/v1/gadgets"),
        (("root", "system:masters"), "GET /metrics"),
        (("system:serviceaccount:ns:app", "system:serviceaccounts"), "GET /api/v1/secrets"),
        (("alice", ""), "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
        (("alice", ""), "GET /openapi/v3"),
        (("system:kube-scheduler", ""), "POST /api/v1/namespaces/ns/pods/p/binding"),
        (("system:kube-scheduler", ""), "POST /api/v1/namespaces/ns/bindings"),
    ] {
        let result = ask(&authorizer, caller(user, groups), line, Reach::AsAsked);
        assert!(result.is_ok(), "{line}: {}", told(&result));
    }
}

#[test]
fn a_ceiling_never_grants() {
    let authorizer = Authorizer::new(
        Mode::Builtin,
        ceilings(serde_json::json!({"components": [
            {"name": "people", "match": {"users": ["alice"]}, "unlimited": true},
        ]})),
        bootstrapped(),
    );
    let denied = ask(&authorizer, caller("alice", ""), "GET /api/v1/nodes", Reach::AsAsked).expect_err("nothing grants it");
    assert_eq!((denied.step(), denied.component()), (Step::Backend, "people"));
    assert_eq!((denied.group(), denied.resource(), denied.name()), ("", "nodes", ""));
    let upstream = Authorizer::new(Mode::Upstream, Ceilings::default(), Facts::default());
    assert!(ask(&upstream, caller("system:kube-scheduler", ""), "GET /api/v1/nodes", Reach::AsAsked).is_ok());
    assert!(ask(&upstream, caller("system:kube-scheduler", ""), "GET /api/v1/secrets", Reach::AsAsked).is_err());
}

/// One component `x` with these rules, on a backend that grants everything.
fn capped(rules: serde_json::Value) -> Authorizer {
    let mut component = serde_json::json!({"name": "x", "match": {"groups": ["x"]}});
    component.as_object_mut().expect("an object").extend(rules.as_object().expect("rules").clone());
    Authorizer::new(Mode::Upstream, ceilings(serde_json::json!({"components": [component]})), Facts::default())
}

fn verdicts(authorizer: &Authorizer, rows: &[(&str, Reach, &str)]) {
    for (line, reach, expected) in rows {
        let result = ask(authorizer, caller("system:node:n1", "x system:nodes"), line, *reach);
        assert_eq!(told(&result), *expected, "{line} {reach:?}");
    }
}

#[test]
fn a_request_is_judged_by_all_it_can_do() {
    use Reach::{AsAsked, MayCreate};
    let updates = capped(serde_json::json!({"allow": [
        {"verbs": ["get", "update", "patch"], "apiGroups": ["", "coordination.k8s.io"], "resources": ["configmaps", "leases", "pods/exec"]},
    ]}));
    verdicts(
        &updates,
        &[
            ("PATCH /api/v1/namespaces/a/configmaps/c", AsAsked, "yes: x"),
            ("PATCH /api/v1/namespaces/a/configmaps/c", MayCreate, "ceiling x -"),
            ("PUT /apis/coordination.k8s.io/v1/namespaces/a/leases/l", AsAsked, "yes: x"),
            ("PUT /apis/coordination.k8s.io/v1/namespaces/a/leases/l", MayCreate, "ceiling x -"),
            ("GET /api/v1/namespaces/a/pods/p/exec", AsAsked, "ceiling x -"),
        ],
    );
    let denied =
        ask(&updates, caller("u", "x"), "PATCH /api/v1/namespaces/a/configmaps/c", MayCreate).expect_err("it may create");
    assert_eq!(
        denied.message(),
        "configmaps \"c\" is forbidden: User \"u\" cannot create resource \"configmaps\" in API group \"\" in the namespace \"a\""
    );

    let keeps = capped(serde_json::json!({"unlimited": true, "deny": [
        {"name": "keep", "verbs": ["delete"], "apiGroups": [""], "resources": ["pods"]},
        {"name": "no-bind", "verbs": ["create"], "apiGroups": [""], "resources": ["pods/binding"]},
        {"name": "no-new", "verbs": ["create"], "apiGroups": [""], "resources": ["configmaps"]},
        {"name": "unseen", "verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]},
        {"name": "no-shell", "verbs": ["create"], "apiGroups": [""], "resources": ["pods/exec"]},
        {"name": "no-subs", "verbs": ["*"], "apiGroups": [""], "resources": ["services/*"]},
    ]}));
    verdicts(
        &keeps,
        &[
            ("DELETE /api/v1/namespaces/a/pods/p", AsAsked, "deny x keep"),
            ("DELETE /api/v1/namespaces/a/pods", AsAsked, "deny x keep"),
            ("POST /api/v1/namespaces/a/pods/p/eviction", AsAsked, "deny x keep"),
            ("POST /api/v1/namespaces/a/pods", AsAsked, "yes: x"),
            ("POST /api/v1/namespaces/a/pods/p/binding", AsAsked, "deny x no-bind"),
            ("POST /api/v1/namespaces/a/bindings", AsAsked, "deny x no-bind"),
            ("PATCH /api/v1/namespaces/a/configmaps/c", AsAsked, "yes: x"),
            ("PATCH /api/v1/namespaces/a/configmaps/c", MayCreate, "deny x no-new"),
            ("GET /api/v1/namespaces/a/secrets/s", AsAsked, "deny x unseen"),
            ("GET /api/v1/namespaces/a/secrets", AsAsked, "deny x unseen"),
            ("GET /api/v1/watch/secrets", AsAsked, "deny x unseen"),
            ("GET /api/v1/namespaces/a/pods/p/exec", AsAsked, "deny x no-shell"),
            ("GET /api/v1/namespaces/a/services/s/proxy/x", AsAsked, "deny x no-subs"),
            ("GET /api/v1/namespaces/a/services/s", AsAsked, "yes: x"),
        ],
    );
    let denied = ask(&keeps, caller("u", "x"), "POST /api/v1/namespaces/a/pods/p/eviction", AsAsked).expect_err("it deletes");
    assert_eq!(
        denied.message(),
        "pods \"p\" is forbidden: User \"u\" cannot create resource \"pods/eviction\" in API group \"\" in the namespace \"a\""
    );
}

#[test]
fn a_deny_with_names_cannot_be_walked_around() {
    use Reach::AsAsked;
    let named = capped(serde_json::json!({"unlimited": true, "deny": [
        {"name": "crown", "verbs": ["*"], "apiGroups": [""], "resources": ["secrets"], "names": ["crown", "jewel-*"]},
        {"name": "system", "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["kube-*"]},
        {"name": "others", "verbs": ["list", "watch"], "apiGroups": [""], "resources": ["pods"], "fieldSelector": "spec.nodeName=secret"},
    ]}));
    verdicts(
        &named,
        &[
            ("GET /api/v1/namespaces/a/secrets/crown", AsAsked, "deny x crown"),
            ("GET /api/v1/namespaces/a/secrets/jewel-1", AsAsked, "deny x crown"),
            ("GET /api/v1/namespaces/a/secrets/plain", AsAsked, "yes: x"),
            ("GET /api/v1/namespaces/a/secrets", AsAsked, "deny x crown"),
            ("GET /api/v1/namespaces/a/secrets?fieldSelector=metadata.name%3Dplain", AsAsked, "yes: x"),
            ("GET /api/v1/namespaces/a/secrets?fieldSelector=metadata.name!%3Dcrown", AsAsked, "deny x crown"),
            ("GET /api/v1/namespaces/a/secrets?labelSelector=a%3Db", AsAsked, "deny x crown"),
            ("POST /api/v1/namespaces/a/secrets", AsAsked, "deny x crown"),
            ("DELETE /api/v1/namespaces/a/secrets", AsAsked, "deny x crown"),
            ("DELETE /api/v1/namespaces/a/secrets?fieldSelector=metadata.name%3Dplain", AsAsked, "yes: x"),
            ("GET /api/v1/namespaces/kube-system/configmaps", AsAsked, "deny x system"),
            ("GET /api/v1/configmaps", AsAsked, "deny x system"),
            ("GET /api/v1/namespaces/kube-system", AsAsked, "deny x system"),
            ("GET /api/v1/namespaces", AsAsked, "deny x system"),
            ("GET /api/v1/nodes", AsAsked, "yes: x"),
            ("GET /api/v1/nodes/n", AsAsked, "yes: x"),
            ("GET /apis/example.com/v1/gadgets", AsAsked, "deny x system"),
            ("GET /api/v1/namespaces/a/pods", AsAsked, "deny x others"),
            ("GET /api/v1/namespaces/a/pods?fieldSelector=spec.nodeName%3Dmine", AsAsked, "yes: x"),
            ("GET /api/v1/namespaces/a/pods?fieldSelector=spec.nodeName%3Dsecret", AsAsked, "deny x others"),
            ("GET /api/v1/namespaces/a/pods?fieldSelector=spec.nodeName%3Dmine,broken", AsAsked, "deny x others"),
            ("GET /api/v1/namespaces/a/pods/p", AsAsked, "yes: x"),
        ],
    );
}

#[test]
fn an_allow_with_names_is_no_door_to_others() {
    use Reach::{AsAsked, MayCreate};
    let named = capped(serde_json::json!({"allow": [
        {"verbs": ["*"], "apiGroups": [""], "resources": ["secrets"], "names": ["mine"], "namespaces": ["a"]},
        {"verbs": ["list", "watch", "get"], "apiGroups": [""], "resources": ["pods"], "fieldSelector": "spec.nodeName=${node}"},
        {"verbs": ["get", "patch"], "apiGroups": [""], "resources": ["nodes", "nodes/status"], "names": ["${node}"]},
        {"verbs": ["create"], "apiGroups": [""], "resources": ["pods/binding"], "names": ["p"]},
    ]}));
    verdicts(
        &named,
        &[
            ("GET /api/v1/namespaces/a/secrets/mine", AsAsked, "yes: x"),
            ("GET /api/v1/namespaces/b/secrets/mine", AsAsked, "ceiling x -"),
            ("GET /api/v1/namespaces/a/secrets", AsAsked, "ceiling x -"),
            ("GET /api/v1/secrets?fieldSelector=metadata.name%3Dmine", AsAsked, "ceiling x -"),
            ("GET /api/v1/namespaces/a/secrets?fieldSelector=metadata.name%3Dmine", AsAsked, "yes: x"),
            ("POST /api/v1/namespaces/a/secrets", AsAsked, "ceiling x -"),
            ("PATCH /api/v1/namespaces/a/secrets/mine", MayCreate, "yes: x"),
            ("GET /api/v1/pods?fieldSelector=spec.nodeName%3Dn1", AsAsked, "yes: x"),
            ("GET /api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn1,status.phase!%3DFailed", AsAsked, "yes: x"),
            ("GET /api/v1/pods?fieldSelector=spec.nodeName%3Dn2", AsAsked, "ceiling x -"),
            ("GET /api/v1/pods", AsAsked, "ceiling x -"),
            ("GET /api/v1/namespaces/a/pods/p", AsAsked, "ceiling x -"),
            ("PATCH /api/v1/nodes/n1/status", AsAsked, "yes: x"),
            ("PATCH /api/v1/nodes/n2/status", AsAsked, "ceiling x -"),
            ("POST /api/v1/namespaces/a/pods/p/binding", AsAsked, "yes: x"),
            ("POST /api/v1/namespaces/a/bindings", AsAsked, "ceiling x -"),
        ],
    );
}

#[test]
fn odd_node_names_are_no_patterns() {
    let authorizer = capped(serde_json::json!({
        "allow": [{"verbs": ["*"], "apiGroups": [""], "resources": ["nodes"], "names": ["${node}"]}],
    }));
    for (user, name, allowed) in [
        ("system:node:n1", "n1", true),
        ("system:node:n1", "n2", false),
        ("system:node:*", "n2", false),
        ("system:node:*", "*", false),
        ("system:node:", "n2", false),
        ("system:node:n1,n2", "n2", false),
        ("system:node:N1", "N1", false),
        ("system:node:${node}", "n2", false),
        ("n1", "n1", false),
    ] {
        let result = ask(&authorizer, caller(user, "x system:nodes"), &format!("GET /api/v1/nodes/{name}"), Reach::AsAsked);
        assert_eq!(result.is_ok(), allowed, "{user} {name}");
    }
    let denies = capped(serde_json::json!({
        "unlimited": true,
        "deny": [{"verbs": ["*"], "apiGroups": [""], "resources": ["nodes"], "names": ["${node}"]}],
    }));
    for (user, name, allowed) in [("system:node:n1", "n2", true), ("system:node:n1", "n1", false), ("system:node:*", "n2", false)]
    {
        let result = ask(&denies, caller(user, "x system:nodes"), &format!("GET /api/v1/nodes/{name}"), Reach::AsAsked);
        assert_eq!(result.is_ok(), allowed, "{user} {name}");
    }
}

#[test]
fn an_administrator_is_held_to_the_component() {
    let authorizer = Authorizer::new(
        Mode::Builtin,
        ceilings(serde_json::json!({"components": [
            {"name": "operator", "match": {"groups": ["system:masters"]}, "proof": "certificate", "profile": "kubectl", "deny": [
                {"name": "no-secrets", "verbs": ["*"], "apiGroups": [""], "resources": ["secrets"]},
                {"name": "no-roles", "verbs": ["create", "update", "patch", "delete"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"]},
            ]},
            {"name": "tokens", "match": {"users": ["robot"]}, "proof": "token", "unlimited": true},
        ]})),
        bootstrapped(),
    );
    #[rustfmt::skip]
    let rows = [
        (caller("root", "system:masters"), "GET /api/v1/pods", "yes: operator"),
        (caller("root", "system:masters"), "GET /api/v1/namespaces/a/secrets/s", "deny operator no-secrets"),
        (caller("root", "system:masters"), "PUT /apis/rbac.authorization.k8s.io/v1/clusterroles/c", "deny operator no-roles"),
        (caller("root", "system:masters"), "DELETE /apis/rbac.authorization.k8s.io/v1/clusterroles", "deny operator no-roles"),
        (caller("robot", "system:masters"), "GET /api/v1/pods", "yes: operator"),
        (caller("robot", ""), "GET /api/v1/pods", "proof tokens proof"),
    ];
    for (caller, line, expected) in rows {
        assert_eq!(told(&ask(&authorizer, caller, line, Reach::AsAsked)), expected, "{line}");
    }
}

#[test]
fn both_identities_are_capped() {
    let authorizer = Authorizer::new(
        Mode::Builtin,
        ceilings(serde_json::json!({"components": [
            {"name": "auditor", "match": {"users": ["ann"]}, "allow": [
                {"verbs": ["get", "list", "watch", "impersonate"], "apiGroups": ["*"], "resources": ["*"]},
            ]},
            {"name": "helper", "match": {"users": ["bob"]}, "allow": [{"verbs": ["*"], "apiGroups": [""], "resources": ["configmaps"]}]},
        ]})),
        too_generous("system:authenticated"),
    );
    let acting = |name: &'static str| caller("ann", "").asking(&[("Impersonate-User", name)]);
    #[rustfmt::skip]
    let rows = [
        (acting("bob"), "GET /api/v1/namespaces/a/configmaps/c", "yes: auditor"),
        (acting("bob"), "DELETE /api/v1/namespaces/a/configmaps/c", "ceiling auditor -"),
        (acting("bob"), "GET /api/v1/namespaces/a/secrets/s", "ceiling helper -"),
        (acting("system:anonymous"), "GET /api/v1/namespaces/a/configmaps/c", "ceiling anonymous -"),
        (caller("bob", "").asking(&[("Impersonate-User", "ann")]), "GET /api/v1/namespaces/a/configmaps/c", "ceiling helper -"),
    ];
    for (caller, line, expected) in rows {
        assert_eq!(told(&ask(&authorizer, caller, line, Reach::AsAsked)), expected, "{line}");
    }
    let permit = ask(&authorizer, acting("bob"), "GET /api/v1/namespaces/a/configmaps/c", Reach::AsAsked).expect("both may");
    assert_eq!(permit.identity().map(|identity| identity.user()), Some("bob"));
    assert_eq!(permit.caller().map(|caller| caller.real().user()), Some("ann"));
    let secret = attributes("GET /api/v1/namespaces/a/configmaps/c");
    assert!(matches!(authorizer.decide_for(&permit, &Ask::of(&secret)), Decision::Allow { .. }));
    let write = attributes("DELETE /api/v1/namespaces/a/configmaps/c");
    assert!(matches!(authorizer.decide_for(&permit, &Ask::of(&write)), Decision::NoOpinion { .. }));
}

#[test]
fn impersonation_needs_every_part() {
    let unlimited =
        || ceilings(serde_json::json!({"components": [{"name": "all", "match": {"users": ["*"]}, "unlimited": true}]}));
    let grant = |rules: serde_json::Value| {
        let role = serde_json::json!({"metadata": {"name": "r"}, "rules": rules});
        let binding = serde_json::json!({
            "metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [{"kind": "User", "name": "ann"}],
        });
        let facts = bootstrapped().with_cluster_role(serde_json::from_value(role).expect("a role"));
        Authorizer::new(
            Mode::Builtin,
            unlimited(),
            facts.with_cluster_role_binding(serde_json::from_value(binding).expect("a binding")),
        )
    };
    let line = "GET /api/v1/namespaces/a/configmaps";
    let said = |authorizer: &Authorizer, headers: &[(&str, &str)]| match ask(
        authorizer,
        caller("ann", "").asking(headers),
        "GET /api",
        Reach::AsAsked,
    ) {
        Ok(permit) => format!("as {}", permit.identity().map_or("", |identity| identity.user())),
        Err(denied) => denied.message(),
    };
    let none = grant(serde_json::json!([]));
    let denied =
        ask(&none, caller("ann", "").asking(&[("Impersonate-User", "admin")]), line, Reach::AsAsked).expect_err("no right");
    assert_eq!(
        denied.message(),
        "configmaps is forbidden: User \"ann\" cannot impersonate-on:user-info:list resource \"configmaps\" in API group \"\" in the namespace \"a\""
    );
    let account = caller("ann", "").asking(&[("Impersonate-User", "system:serviceaccount:x:y")]);
    let denied = ask(&none, account, line, Reach::AsAsked).expect_err("no right");
    assert!(denied.message().contains("cannot impersonate-on:serviceaccount:list resource"), "{denied}");
    let node = caller("ann", "").asking(&[("Impersonate-User", "system:node:n")]);
    assert!(
        ask(&none, node, line, Reach::AsAsked).expect_err("no right").message().contains("impersonate-on:arbitrary-node:list")
    );
    // A service account with groups fits no constrained mode: the old check alone answers.
    let grouped = [("Impersonate-User", "system:serviceaccount:x:y"), ("Impersonate-Group", "g")];
    assert_eq!(
        said(&none, &grouped),
        "serviceaccounts \"y\" is forbidden: User \"ann\" cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"x\""
    );

    let some = grant(serde_json::json!([
        {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["bob"]},
        {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["groups"], "resourceNames": ["g"]},
        {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["serviceaccounts"]},
        {"verbs": ["impersonate"], "apiGroups": ["authentication.k8s.io"], "resources": ["uids"]},
        {"verbs": ["impersonate"], "apiGroups": ["authentication.k8s.io"], "resources": ["userextras/scopes"], "resourceNames": ["s1"]},
    ]));
    let on = "forbidden: User \"ann\" cannot impersonate-on:user-info:get path \"/api\"";
    #[rustfmt::skip]
    let rows: [(&[(&str, &str)], &str); 10] = [
        (&[("Impersonate-User", "bob")], "as bob"),
        (&[("Impersonate-User", "eve")], on),
        (&[("Impersonate-User", "bob"), ("Impersonate-Group", "g")], "as bob"),
        (&[("Impersonate-User", "bob"), ("Impersonate-Group", "g"), ("Impersonate-Group", "system:masters")], on),
        (&[("Impersonate-User", "bob"), ("Impersonate-Uid", "7")], "as bob"),
        (&[("Impersonate-User", "bob"), ("Impersonate-Extra-Scopes", "s1")], "as bob"),
        (&[("Impersonate-User", "bob"), ("Impersonate-Extra-Scopes", "s2")], on),
        (&[("Impersonate-User", "bob"), ("Impersonate-Extra-Other", "s1")], on),
        (&[("Impersonate-User", "system:serviceaccount:x:y")], "as system:serviceaccount:x:y"),
        (&[], "as ann"),
    ];
    for (headers, expected) in rows {
        assert_eq!(said(&some, headers), expected, "{headers:?}");
    }

    let constrained = grant(serde_json::json!([
        {"verbs": ["impersonate-on:user-info:get"], "nonResourceURLs": ["*"]},
        {"verbs": ["impersonate:user-info"], "apiGroups": ["authentication.k8s.io"], "resources": ["users", "groups"]},
    ]));
    assert_eq!(said(&constrained, &[("Impersonate-User", "eve")]), "as eve");
    assert_eq!(
        said(&constrained, &[("Impersonate-User", "eve"), ("Impersonate-Group", "system:masters")]),
        "groups.authentication.k8s.io \"system:masters\" is forbidden: User \"ann\" cannot impersonate:user-info resource \"groups\" in API group \"authentication.k8s.io\" at the cluster scope: impersonating the system:masters group is not allowed"
    );
    assert_ne!(said(&constrained, &[("Impersonate-User", "system:serviceaccount:x:y")]), "as system:serviceaccount:x:y");
}

#[test]
fn workloads_do_not_become_others() {
    let authorizer = Authorizer::new(Mode::Builtin, Ceilings::default(), too_generous("system:serviceaccounts"));
    let app = || caller("system:serviceaccount:ns:app", "system:serviceaccounts");
    let acting = app().asking(&[("Impersonate-User", "bob")]);
    let denied = ask(&authorizer, acting, "GET /api/v1/nodes", Reach::AsAsked).expect_err("impersonation");
    assert_eq!((denied.step(), denied.rule()), (Step::Deny, "impersonate"));
    let groups = ["system:serviceaccounts".to_owned()];
    let user = User { name: "system:serviceaccount:ns:app", groups: &groups, extra: None };
    for (verb, group, resource) in [
        ("impersonate", "", "groups"),
        ("impersonate:user-info", "authentication.k8s.io", "users"),
        ("impersonate-on:user-info:get", "apps", "deployments"),
        ("impersonate", "authentication.k8s.io", "userextras"),
        ("escalate", "rbac.authorization.k8s.io", "clusterroles"),
        ("bind", "rbac.authorization.k8s.io", "roles"),
        ("approve", "certificates.k8s.io", "signers"),
        ("sign", "certificates.k8s.io", "signers"),
    ] {
        let target = Target::Resource(Resource { group: group.to_owned(), resource: resource.to_owned(), ..Resource::default() });
        assert_eq!(authorizer.decide(&user, &Ask::new(verb, &target)), Decision::NoOpinion { reason: String::new() }, "{verb}");
    }
}

#[test]
fn updates_know_whether_they_may_create() {
    let role = serde_json::json!({"metadata": {"name": "r"}, "rules": [{"verbs": ["update", "patch"], "apiGroups": ["*"], "resources": ["*"]}]});
    let binding = serde_json::json!({
        "metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [{"kind": "User", "name": "ann"}],
    });
    let facts = bootstrapped().with_cluster_role(serde_json::from_value(role).expect("a role"));
    let facts = facts.with_cluster_role_binding(serde_json::from_value(binding).expect("a binding"));
    let all = ceilings(serde_json::json!({"components": [{"name": "all", "match": {"users": ["*"]}, "unlimited": true}]}));
    let authorizer = Authorizer::new(Mode::Builtin, all, facts);
    let line = "PUT /apis/coordination.k8s.io/v1/namespaces/a/leases/l";
    let permit = ask(&authorizer, caller("ann", ""), line, Reach::MayCreate).expect("an update");
    let denied = permit.may_create().expect_err("no right to create");
    assert_eq!(denied.message(), "leases.coordination.k8s.io \"l\" is forbidden: ");
    let permit = ask(&authorizer, caller("root", "system:masters"), line, Reach::MayCreate).expect("an update");
    assert!(permit.may_create().is_ok());
    assert!(Permit::internal(super::super::Purpose::Boot, attributes(line)).may_create().is_ok());
}

#[test]
fn reasons_are_joined_as_kube_apiserver_joins_them() {
    let binding = serde_json::json!({
        "metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "gone"}, "subjects": [{"kind": "Group", "name": "system:nodes"}],
    });
    let facts = bootstrapped().with_cluster_role_binding(serde_json::from_value(binding).expect("a binding"));
    let authorizer = Authorizer::new(Mode::Builtin, Ceilings::default(), facts);
    let denied =
        ask(&authorizer, caller("system:node:n", "system:nodes"), "GET /api/v1/nodes/m", Reach::AsAsked).expect_err("another");
    assert_eq!(
        denied.message(),
        "nodes \"m\" is forbidden: User \"system:node:n\" cannot get resource \"nodes\" in API group \"\" at the cluster scope: node 'n' cannot read 'm', only its own Node object\nRBAC: clusterrole.rbac.authorization.k8s.io \"gone\" not found"
    );
}

#[test]
fn texts_equal_the_recordings() {
    let all = ceilings(serde_json::json!({"components": [
        {"name": "people", "match": {"users": ["*"]}, "unlimited": true},
        {"name": "anonymous", "unlimited": true},
    ]}));
    let authorizer = Authorizer::new(Mode::Builtin, all, bootstrapped());
    #[rustfmt::skip]
    let rows = [
        ("10-rbac", "alice has nothing", ("alice", "developers"), "GET /api/v1/namespaces/NS/secrets"),
        ("10-rbac", "not one by name either", ("alice", "developers"), "GET /api/v1/namespaces/NS/secrets/x"),
        ("10-rbac", "nor a cluster-scoped one", ("alice", "developers"), "GET /api/v1/nodes/n"),
        ("10-rbac", "nor a subresource", ("alice", "developers"), "GET /api/v1/namespaces/NS/pods/p/log"),
        ("10-rbac", "nor a path", ("alice", "developers"), "GET /metrics"),
        ("10-rbac", "not delete it", ("alice", "developers"), "DELETE /api/v1/namespaces/NS/configmaps/hers"),
        ("10-rbac", "not the collection", ("alice", "developers"), "DELETE /api/v1/namespaces/NS/configmaps"),
        ("10-rbac", "not patch it", ("alice", "developers"), "PATCH /api/v1/namespaces/NS/configmaps/hers"),
        ("10-rbac", "another is forbidden", ("alice", "developers"), "GET /api/v1/namespaces/NS/secrets/other"),
        ("10-rbac", "the scheduler may not read secrets", ("system:kube-scheduler", ""), "GET /api/v1/namespaces/NS/secrets"),
        ("10-rbac", "kube-proxy may not read config maps", ("system:kube-proxy", ""), "GET /api/v1/namespaces/kube-system/configmaps"),
        ("09-tokens", "nor all", ("system:serviceaccount:NS:robot", "system:serviceaccounts"), "GET /api/v1/pods"),
        ("12-nodes", "cannot list the nodes", ("system:node:node1", "system:nodes"), "GET /api/v1/nodes"),
        ("12-nodes", "cannot delete itself", ("system:node:node1", "system:nodes"), "DELETE /api/v1/nodes/node1"),
        ("12-nodes", "the node may not read the secret yet", ("system:node:node1", "system:nodes"), "GET /api/v1/namespaces/NS/secrets/s"),
        ("12-nodes", "the node may not list secrets", ("system:node:node1", "system:nodes"), "GET /api/v1/namespaces/NS/secrets"),
        ("15-paths", "alice with a trailing slash", ("alice", ""), "GET /api/v1/namespaces/NS/secrets/"),
        ("15-paths", "alice with a double slash", ("alice", ""), "GET //api/v1/namespaces/NS/secrets"),
        ("15-paths", "alice with dot segments", ("alice", ""), "GET /healthz/../api/v1/namespaces/NS/secrets"),
        ("15-paths", "alice with a watch verb in the path", ("alice", ""), "GET /api/v1/watch/namespaces/NS/secrets"),
        ("15-paths", "alice with a proxy", ("alice", ""), "GET /api/v1/namespaces/NS/pods/p/proxy/a/b"),
    ];
    for (recording, note, (user, groups), line) in rows {
        let Some(steps) = recorded::steps(recording) else { return };
        let step = steps.iter().find(|step| step["note"] == note).unwrap_or_else(|| panic!("{recording}: {note}"));
        let denied = ask(&authorizer, caller(user, groups), line, Reach::AsAsked).expect_err(note);
        let body = &step["body"];
        assert_eq!(denied.message().replace("NS", "<ns>"), body["message"].as_str().unwrap_or_default(), "{recording}: {note}");
        assert_eq!(denied.resource(), body["details"]["kind"].as_str().unwrap_or_default(), "{note}");
        assert_eq!(denied.name(), body["details"]["name"].as_str().unwrap_or_default(), "{note}");
        assert_eq!(denied.group(), body["details"]["group"].as_str().unwrap_or_default(), "{note}");
    }
    let anonymous = Caller::sample("system:anonymous", &["system:unauthenticated"]);
    let denied = ask(&authorizer, anonymous, "GET /api", Reach::AsAsked).expect_err("nobody");
    assert_eq!(denied.message(), "forbidden: User \"system:anonymous\" cannot get path \"/api\"");
}

#[test]
fn the_steps_of_a_decision_can_be_told() {
    let authorizer = Authorizer::new(Mode::Builtin, Ceilings::default(), bootstrapped());
    let told = |name: &str, groups: &[&str], line: &str| {
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        let attributes = attributes(line);
        let user = User { name, groups: &groups, extra: None };
        let lines = authorizer.explain(&user, &Ask::of(&attributes), Reach::AsAsked);
        lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        told("system:kube-scheduler", &[], "GET /api/v1/nodes"),
        "ceiling  yes component kube-scheduler, rule kube-scheduler; backend  yes RBAC: allowed by ClusterRoleBinding \"system:kube-scheduler\" of ClusterRole \"system:kube-scheduler\" to User \"system:kube-scheduler\""
    );
    assert_eq!(
        told("system:kube-scheduler", &[], "GET /api/v1/secrets"),
        "ceiling  NO  component kube-scheduler, rule -, verb list"
    );
    let app = "system:serviceaccount:a:b";
    assert_eq!(
        told(app, &[], "GET /api/v1/pods"),
        "ceiling  yes component workload, rule unlimited; backend  NO  no binding allows it"
    );
}

use super::super::Reach;
use super::super::ask::{Ask, User};
use super::*;
use crate::request::Attributes;

fn read(json: serde_json::Value) -> Result<Resolved, Vec<Mistake>> {
    serde_json::from_value::<file::Policy>(json).expect("the shape of a policy").resolve()
}

fn allows(ceilings: &Ceilings, (user, groups): (&str, &[&str]), line: &str) -> bool {
    let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
    let (method, uri) = line.split_once(' ').expect("method and uri");
    let attributes = Attributes::parse(&method.parse().expect("method"), &uri.parse().expect("uri"));
    let user = User { name: user, groups: &groups, extra: None };
    ceilings.judge(&user, None, &Ask::of(&attributes), Reach::AsAsked).is_ok()
}

#[test]
fn all_mistakes_at_once_each_with_its_place() {
    let mistakes = read(serde_json::json!({
        "components": [
            {"name": "a", "profile": "nope", "match": {"users": ["x"]}},
            {"name": "a", "match": {}, "unlimited": true},
            {"name": "b c", "match": {"serviceAccounts": ["only"]}},
            {"name": "none", "match": {"users": ["x"]}, "unlimited": true},
            {"name": "new", "unlimited": true},
            {"name": "d", "match": {"users": ["${node}"]}, "allow": [
                {},
                {"verbs": ["get"], "resources": ["pods"], "nonResourceURLs": ["/x"]},
                {"verbs": ["get"], "resources": ["pods"]},
                {"verbs": ["get"], "nonResourceURLs": ["x", "/a*b"], "names": ["n"]},
                {"verbs": ["get"], "apiGroups": [""], "resources": ["po*"], "names": ["${user}", "${node}-*"], "fieldSelector": "a!=b"},
            ]},
            {"name": "e", "match": {"users": ["x"]}, "profile": "loop"},
        ],
        "profiles": {"loop": {"profile": "loop"}},
    }))
    .expect_err("mistakes");
    let places: Vec<&str> = mistakes.iter().map(|mistake| mistake.path.as_str()).collect();
    for expected in [
        "components[0].profile",
        "components[1].name",
        "components[1].match",
        "components[2].name",
        "components[2].match.serviceAccounts",
        "components[2]",
        "components[3].match",
        "components[4].match",
        "components[5].match",
        "components[5].allow[0].verbs",
        "components[5].allow[0]",
        "components[5].allow[1]",
        "components[5].allow[2].apiGroups",
        "components[5].allow[3].nonResourceURLs",
        "components[5].allow[3]",
        "components[5].allow[4].resources",
        "components[5].allow[4]",
        "components[5].allow[4].fieldSelector",
        "profiles.loop.profile",
    ] {
        assert!(places.contains(&expected), "{expected}: {mistakes:#?}");
    }
}

#[test]
fn unknown_keys_are_refused() {
    for json in [
        serde_json::json!({"component": []}),
        serde_json::json!({"components": [{"name": "a", "profil": "x"}]}),
        serde_json::json!({"components": [{"name": "a", "match": {"user": []}}]}),
        serde_json::json!({"components": [{"name": "a", "deny": [{"verb": []}]}]}),
        serde_json::json!({"components": [{"name": "a", "proof": "password"}]}),
    ] {
        assert!(serde_json::from_value::<file::Policy>(json.clone()).is_err(), "{json}");
    }
}

#[test]
fn the_first_component_of_the_file_wins() {
    let resolved = read(serde_json::json!({"components": [
        {"name": "ops", "match": {"users": ["ann"]}, "profile": "none", "allow": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]},
        {"name": "people", "match": {"users": ["*@example.com", "ann"], "groups": ["people-*"]}, "profile": "kubectl"},
        {"name": "bots", "match": {"serviceAccounts": ["ci/*", "*/robot"]}, "unlimited": true},
        {"name": "everybody", "match": {"users": ["*"]}, "profile": "none"},
    ]}))
    .expect("a good file");
    for (user, groups, component) in [
        ("ann", &["people-a"][..], "ops"),
        ("bob@example.com", &[], "people"),
        ("eve", &["people-b"], "people"),
        ("system:serviceaccount:ci:x", &[], "bots"),
        ("system:serviceaccount:a:robot", &[], "bots"),
        ("system:serviceaccount:a:other", &[], "everybody"),
        ("system:serviceaccount:ci:x:y", &[], "everybody"),
        ("system:node:n", &["system:nodes"], "everybody"),
        ("system:anonymous", &["system:unauthenticated"], "anonymous"),
        ("ann", &["system:unauthenticated"], "anonymous"),
    ] {
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        assert_eq!(&*resolved.ceilings.component_of(&User { name: user, groups: &groups, extra: None }), component, "{user}");
    }
}

#[test]
fn builtin_components_are_replaced_by_name() {
    let resolved = read(serde_json::json!({"components": [
        {"name": "kubelet", "profile": "kubelet", "deny": [{"name": "no-secrets", "verbs": ["*"], "apiGroups": [""], "resources": ["secrets"]}]},
        {"name": "kube-proxy", "match": {"groups": ["proxies"]}, "profile": "kube-proxy"},
        {"name": "controller", "unlimited": true},
        {"name": "anonymous", "profile": "anonymous", "allow": [{"verbs": ["get"], "nonResourceURLs": ["/healthz/*"]}]},
        {"name": "workload", "unlimited": true},
    ]}))
    .expect("a good file");
    let node = ("system:node:n", &["system:nodes"][..]);
    let nobody = ("system:anonymous", &["system:unauthenticated"][..]);
    for (user, line, allowed) in [
        (node, "GET /api/v1/nodes/n", true),
        (node, "GET /api/v1/namespaces/a/secrets/s", false),
        (("x", &["proxies"][..]), "GET /api/v1/services", true),
        (("system:kube-proxy", &[][..]), "GET /api/v1/services", false),
        (nobody, "GET /healthz/ping", true),
        (nobody, "GET /version", true),
        (nobody, "GET /api", false),
        (("system:serviceaccount:kube-system:job-controller", &[][..]), "DELETE /api/v1/nodes/n", true),
        (("system:serviceaccount:a:b", &[][..]), "GET /api/v1/nodes/n/proxy/x", true),
    ] {
        assert_eq!(allows(&resolved.ceilings, user, line), allowed, "{user:?} {line}");
    }
    let names: Vec<_> = resolved.ceilings.names();
    assert!(names.iter().any(|name| &**name == "kubelet") && names.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn rules_that_say_less_than_they_seem_are_pointed_out() {
    let resolved = read(serde_json::json!({"components": [{
        "name": "a", "match": {"users": ["x"]}, "unlimited": true,
        "allow": [{"verbs": ["create"], "apiGroups": [""], "resources": ["pods"], "names": ["p"]}],
        "deny": [{"verbs": ["update"], "apiGroups": [""], "resources": ["pods"], "fieldSelector": "spec.nodeName=n"}],
    }]}))
    .expect("a good file");
    let places: Vec<&str> = resolved.warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(places, ["components[0].allow", "components[0].allow[0]", "components[0].deny[0]", "components[0].deny[0]"]);
}

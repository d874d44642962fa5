use proptest::prelude::*;

use super::super::rbac::Metadata;
use super::*;
use crate::request::{Resource, Target};

fn words(text: &str) -> Vec<String> {
    text.split(',')
        .filter(|word| !word.is_empty())
        .map(|word| if word == "-" { String::new() } else { word.to_owned() })
        .collect()
}

fn rule(verbs: &str, groups: &str, resources: &str, names: &str) -> Rule {
    Rule {
        verbs: words(verbs),
        api_groups: words(groups),
        resources: words(resources),
        resource_names: words(names),
        ..Rule::default()
    }
}

fn metadata(namespace: &str, name: &str) -> Metadata {
    Metadata { name: name.to_owned(), namespace: namespace.to_owned(), ..Metadata::default() }
}

fn cluster_role(name: &str, rules: Vec<Rule>) -> ClusterRole {
    ClusterRole { metadata: metadata("", name), rules, ..ClusterRole::default() }
}

fn role_ref(kind: &str, name: &str) -> RoleRef {
    RoleRef { kind: kind.to_owned(), name: name.to_owned(), ..RoleRef::default() }
}

fn subject(word: &str) -> Subject {
    let (kind, name) = word.split_once(' ').expect("kind and name");
    let (namespace, name) = name.split_once('/').unwrap_or(("", name));
    Subject { kind: kind.to_owned(), name: name.to_owned(), namespace: namespace.to_owned(), ..Subject::default() }
}

fn bound(name: &str, role: &str, subjects: &[&str]) -> ClusterRoleBinding {
    let subjects = subjects.iter().map(|word| subject(word)).collect();
    ClusterRoleBinding { metadata: metadata("", name), role_ref: role_ref("ClusterRole", role), subjects }
}

fn bound_in(namespace: &str, name: &str, role: RoleRef, subjects: &[&str]) -> RoleBinding {
    let subjects = subjects.iter().map(|word| subject(word)).collect();
    RoleBinding { metadata: metadata(namespace, name), role_ref: role, subjects }
}

fn target(resource: &str, namespace: &str, name: &str) -> Target {
    let (group, resource) = resource.split_once(':').unwrap_or(("", resource));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Target::Resource(Resource {
        group: group.to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..Resource::default()
    })
}

fn answer(facts: &Facts, (user, groups): (&str, &str), verb: &str, target: &Target) -> String {
    let groups = words(groups);
    let user = User { name: user, groups: &groups, extra: None };
    match facts.find(&user, &Ask::new(verb, target)) {
        Ok(binding) => binding.reason(&user),
        Err(errors) if errors.is_empty() => "no".to_owned(),
        Err(errors) => aggregate(&errors),
    }
}

fn sample() -> Facts {
    Facts::default()
        .with_cluster_role(cluster_role("reader", vec![rule("get,list", "-", "pods,pods/log", "")]))
        .with_cluster_role(cluster_role("scaler", vec![rule("update", "*", "*/scale", ""), rule("*", "-", "pods/*", "")]))
        .with_cluster_role(cluster_role("one", vec![rule("get,list,watch,create", "-", "secrets", "mine")]))
        .with_cluster_role_binding(bound("readers", "reader", &["Group dev", "User eve"]))
        .with_cluster_role_binding(bound("lost", "gone", &["User lost", "User lost"]))
        .with_cluster_role_binding(bound("also", "gone too", &["User lost"]))
        .with_cluster_role_binding(bound("nowhere", "reader", &["ServiceAccount app"]))
        .with_role_binding(bound_in("ns", "scalers", role_ref("ClusterRole", "scaler"), &["ServiceAccount app", "User eve"]))
        .with_role_binding(bound_in("ns", "ones", role_ref("ClusterRole", "one"), &["User eve"]))
        .with_role_binding(bound_in("ns", "local", role_ref("Role", "local"), &["ServiceAccount other/app"]))
        .with_role(Role { metadata: metadata("ns", "local"), rules: vec![rule("delete", "apps", "deployments", "")] })
        .with_role_binding(bound_in("ns", "odd", role_ref("Thing", "x"), &["User odd"]))
}

#[test]
fn bindings_and_their_reasons() {
    let facts = sample();
    let app = "system:serviceaccount:ns:app";
    #[rustfmt::skip]
    let rows = [
        (("bob", "dev"), "get", target("pods", "ns", "p"), "RBAC: allowed by ClusterRoleBinding \"readers\" of ClusterRole \"reader\" to Group \"dev\""),
        (("eve", ""), "list", target("pods/log", "", ""), "RBAC: allowed by ClusterRoleBinding \"readers\" of ClusterRole \"reader\" to User \"eve\""),
        (("eve", "dev"), "list", target("pods", "", ""), "RBAC: allowed by ClusterRoleBinding \"readers\" of ClusterRole \"reader\" to Group \"dev\""),
        (("bob", "dev"), "get", target("pods/status", "ns", "p"), "no"),
        (("bob", "dev"), "get", target("apps:pods", "ns", "p"), "no"),
        ((app, ""), "update", target("apps:deployments/scale", "ns", "d"), "RBAC: allowed by RoleBinding \"scalers/ns\" of ClusterRole \"scaler\" to ServiceAccount \"app/ns\""),
        ((app, ""), "update", target("apps:deployments/scale", "other", "d"), "no"),
        ((app, ""), "update", target("apps:deployments", "ns", "d"), "no"),
        // `pods/*` is no pattern, and a cluster binding has no namespace to lend to a service account.
        ((app, ""), "get", target("pods/log", "ns", "p"), "no"),
        ((app, ""), "get", target("pods", "ns", "p"), "no"),
        (("system:serviceaccount:other:app", ""), "delete", target("apps:deployments", "ns", "d"), "RBAC: allowed by RoleBinding \"local/ns\" of Role \"local\" to ServiceAccount \"app/other\""),
        (("eve", ""), "get", target("secrets", "ns", "mine"), "RBAC: allowed by RoleBinding \"ones/ns\" of ClusterRole \"one\" to User \"eve\""),
        (("eve", ""), "list", target("secrets", "ns", ""), "no"),
        (("eve", ""), "create", target("secrets", "ns", ""), "no"),
        (("eve", ""), "get", target("secrets", "", "mine"), "no"),
        (("lost", ""), "get", target("pods", "", ""), "[clusterrole.rbac.authorization.k8s.io \"gone too\" not found, clusterrole.rbac.authorization.k8s.io \"gone\" not found]"),
        (("odd", ""), "get", target("pods", "ns", ""), "unsupported role reference kind: \"Thing\""),
    ];
    for (user, verb, target, expected) in rows {
        assert_eq!(answer(&facts, user, verb, &target), expected, "{user:?} {verb} {target:?}");
    }
}

#[test]
fn paths_are_granted_by_the_cluster_only() {
    let paths = Rule { verbs: words("get"), non_resource_urls: words("/metrics,/logs/*"), ..Rule::default() };
    let local = bound_in("ns", "b", role_ref("ClusterRole", "paths"), &["User eve"]);
    let facts = Facts::default().with_cluster_role(cluster_role("paths", vec![paths])).with_role_binding(local);
    let facts = facts.with_cluster_role_binding(bound("b", "paths", &["User bob"]));
    for (user, path, allowed) in [
        ("bob", "/metrics", true),
        ("bob", "/metrics/", false),
        ("bob", "/logs/a/b", true),
        ("bob", "/logs", false),
        ("eve", "/metrics", false),
    ] {
        assert_eq!(answer(&facts, (user, ""), "get", &Target::Path(path.to_owned())) != "no", allowed, "{user} {path}");
    }
}

#[test]
fn what_is_removed_no_longer_grants() {
    let facts = sample();
    let get = |facts: &Facts, user| answer(facts, (user, "dev"), "get", &target("pods", "ns", "p"));
    assert_ne!(get(&facts, "bob"), "no");
    assert_eq!(get(&facts.without_cluster_role_binding("readers"), "bob"), "no");
    let narrowed = facts.with_cluster_role_binding(bound("readers", "reader", &["User eve"]));
    assert_eq!((get(&narrowed, "bob").as_str(), get(&narrowed, "eve") != "no"), ("no", true));
    assert_eq!(get(&facts.without_cluster_role("reader"), "bob"), "clusterrole.rbac.authorization.k8s.io \"reader\" not found");
    let without =
        facts.without_role_binding("ns", "scalers").without_role_binding("ns", "ones").without_role_binding("ns", "local");
    let empty = without.without_role_binding("ns", "odd").without_role("ns", "local").without_role("ns", "never");
    assert!(empty.namespaces.is_empty());
    assert_ne!(get(&facts, "bob"), "no", "the older value stays what it was");
}

#[test]
fn rules_of_a_user() {
    let facts = sample();
    let groups = words("dev");
    let user = User { name: "eve", groups: &groups, extra: None };
    let rules = facts.rules_for(&user, "ns");
    assert_eq!((rules.rules.len(), rules.errors.len(), rules.incomplete), (4, 0, false), "{rules:?}");
    assert_eq!(facts.rules_for(&user, "").rules.len(), 1);
    let lost = User { name: "lost", groups: &[], extra: None };
    assert_eq!(facts.rules_for(&lost, "").errors.len(), 2);
}

/// RBAC as contract 6.2 says it, word by word.
fn naive(
    (cluster, local, roles): (&[ClusterRoleBinding], &[RoleBinding], &[ClusterRole]),
    (user, groups): (&str, &[String]),
    verb: &str,
    target: &Target,
) -> bool {
    let namespace = if let Target::Resource(resource) = target { resource.namespace.as_str() } else { "" };
    let means = |subject: &Subject, own: &str| match subject.kind.as_str() {
        "User" => subject.name == user,
        "Group" => groups.contains(&subject.name),
        _ => {
            let namespace = if subject.namespace.is_empty() { own } else { &subject.namespace };
            !namespace.is_empty() && user == format!("system:serviceaccount:{namespace}:{}", subject.name)
        }
    };
    let grants = |name: &str| {
        let rules = roles.iter().filter(|role| role.metadata.name == name).flat_map(|role| &role.rules);
        rules.into_iter().any(|rule| permits(rule, verb, target))
    };
    cluster.iter().any(|binding| binding.subjects.iter().any(|one| means(one, "")) && grants(&binding.role_ref.name))
        || local.iter().any(|binding| {
            binding.metadata.namespace == namespace
                && binding.subjects.iter().any(|one| means(one, &binding.metadata.namespace))
                && grants(&binding.role_ref.name)
        })
}

fn permits(rule: &Rule, verb: &str, target: &Target) -> bool {
    let has = |list: &[String], text: &str| list.iter().any(|one| one == "*" || one == text);
    match target {
        Target::Path(path) => {
            let on =
                |url: &String| url == "*" || url == path || url.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix));
            has(&rule.verbs, verb) && rule.non_resource_urls.iter().any(on)
        }
        Target::Resource(asked) => {
            let combined = match asked.subresource.as_str() {
                "" => asked.resource.clone(),
                subresource => format!("{}/{subresource}", asked.resource),
            };
            let fits = |resource: &String| {
                resource == "*"
                    || *resource == combined
                    || (!asked.subresource.is_empty() && *resource == format!("*/{}", asked.subresource))
            };
            has(&rule.verbs, verb)
                && has(&rule.api_groups, &asked.group)
                && rule.resources.iter().any(fits)
                && (rule.resource_names.is_empty() || rule.resource_names.contains(&asked.name))
        }
    }
}

fn some(words: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop::sample::select(words).prop_map(str::to_owned), 0..=most)
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let verbs = some(&["get", "list", "update", "impersonate", "use", "*"], 3);
    let groups = some(&["", "apps", "*"], 2);
    let resources = some(&["pods", "pods/log", "pods/*", "*/log", "*/scale", "deployments", "deployments/scale", "*"], 3);
    let names = some(&["a", "b", "*"], 1);
    let urls = some(&["/a", "/a/*", "*", "/b"], 1);
    (verbs, groups, resources, names, urls).prop_map(|(verbs, api_groups, resources, resource_names, non_resource_urls)| Rule {
        verbs,
        api_groups,
        resources,
        resource_names,
        non_resource_urls,
    })
}

fn any_subjects() -> impl Strategy<Value = Vec<Subject>> {
    let one = prop::sample::select(
        &["User u", "User v", "Group g", "Group h", "ServiceAccount s", "ServiceAccount n/s", "ServiceAccount m/s"][..],
    );
    prop::collection::vec(one.prop_map(subject), 0..3)
}

fn any_target() -> impl Strategy<Value = Target> {
    let resource =
        prop::sample::select(&["pods", "pods/log", "pods/*", "apps:deployments", "apps:deployments/scale", "*", "*/log"][..]);
    let of_resource = (resource, prop::sample::select(&["", "n", "m"][..]), prop::sample::select(&["", "a", "b", "*"][..]));
    prop_oneof![
        4 => of_resource.prop_map(|(resource, namespace, name)| target(resource, namespace, name)),
        1 => prop::sample::select(&["/a", "/a/b", "/b", "/c", "/a/"][..]).prop_map(|path| Target::Path(path.to_owned())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_naive_evaluator(
        rules in prop::collection::vec(prop::collection::vec(any_rule(), 0..4), 1..4),
        cluster in prop::collection::vec((0_usize..4, any_subjects()), 0..4),
        local in prop::collection::vec((0_usize..4, prop::sample::select(&["n", "m"][..]), any_subjects()), 0..4),
        asks in prop::collection::vec((
            prop::sample::select(&["u", "v", "system:serviceaccount:n:s", "system:serviceaccount:m:s"][..]),
            some(&["g", "h"], 2),
            prop::sample::select(&["get", "list", "update", "impersonate", "use", "other", ""][..]),
            any_target(),
        ), 1..40),
    ) {
        let roles: Vec<_> = rules.into_iter().enumerate().map(|(index, rules)| cluster_role(&format!("r{index}"), rules)).collect();
        let cluster: Vec<_> = cluster.into_iter().enumerate().map(|(index, (role, subjects))| {
            ClusterRoleBinding { subjects, ..bound(&format!("c{index}"), &format!("r{role}"), &[]) }
        }).collect();
        let local: Vec<_> = local.into_iter().enumerate().map(|(index, (role, namespace, subjects))| {
            let role = role_ref("ClusterRole", &format!("r{role}"));
            RoleBinding { subjects, ..bound_in(namespace, &format!("l{index}"), role, &[]) }
        }).collect();
        let mut facts = Facts::default();
        for role in roles.iter().rev() {
            facts = facts.with_cluster_role(role.clone());
        }
        for binding in &cluster {
            facts = facts.with_cluster_role_binding(binding.clone());
        }
        for binding in &local {
            facts = facts.with_role_binding(binding.clone());
        }
        for (user, groups, verb, target) in &asks {
            let expected = naive((&cluster, &local, &roles), (user, groups), verb, target);
            let ours = facts.find(&User { name: user, groups, extra: None }, &Ask::new(verb, target)).is_ok();
            prop_assert_eq!(ours, expected, "{} {:?} {} {:?}", user, groups, verb, target);
        }
        for binding in &cluster {
            facts = facts.without_cluster_role_binding(&binding.metadata.name);
        }
        for binding in &local {
            facts = facts.without_role_binding(&binding.metadata.namespace, &binding.metadata.name);
        }
        prop_assert!(facts.cluster.users.is_empty() && facts.cluster.groups.is_empty() && facts.namespaces.is_empty());
    }
}

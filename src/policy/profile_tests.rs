use super::super::ask::User;
use super::super::bootstrap;
use super::super::ceiling::Ceilings;
use super::super::recorded;
use super::*;
use crate::request::{Resource, Target};

fn target((group, resource): (&str, &str), namespace: &str, name: &str) -> Target {
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

fn allows(ceilings: &Ceilings, user: &User<'_>, verb: &str, target: &Target) -> bool {
    ceilings.judge(user, None, &Ask::new(verb, target), Reach::AsAsked).is_ok()
}

/// Every user of the traffic with the groups that authentication gives it.
fn groups_of(user: &str) -> Vec<String> {
    let own = match user {
        "kubernetes-admin" => vec!["system:masters"],
        user if user.starts_with("system:node:") => vec!["system:nodes"],
        user if user.starts_with("system:serviceaccount:") => {
            vec!["system:serviceaccounts", "system:serviceaccounts:kube-system"]
        }
        _ => Vec::new(),
    };
    own.into_iter().chain(["system:authenticated"]).map(str::to_owned).collect()
}

/// Who holds each profile of the table.
fn holders() -> Vec<(Known, String, Vec<String>)> {
    let holder = |known: Known| {
        let (user, mut groups) = match (known.users.first(), known.accounts.first()) {
            (Some(user), _) => (user.clone(), Vec::new()),
            (None, Some(account)) => (format!("system:serviceaccount:{}", account.replace('/', ":")), Vec::new()),
            (None, None) if known.name == "kubelet" => ("system:node:n".to_owned(), known.groups.clone()),
            (None, None) => ("somebody".to_owned(), known.groups[..1].to_vec()),
        };
        groups.push("system:authenticated".to_owned());
        (known, user, groups)
    };
    known().into_iter().map(holder).collect()
}

#[test]
fn everything_that_was_seen_is_inside() {
    let Some(traffic) = recorded::text("traffic/components.tsv") else { return };
    let ceilings = Ceilings::default();
    let mut checked = 0;
    for line in traffic.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [user, _, verb, group, _, resource, subresource, path, _, _, namespaces, query] = columns[..] else {
            panic!("{line}")
        };
        let groups = groups_of(user);
        let user = User { name: user, groups: &groups, extra: None };
        for namespace in namespaces.split(',') {
            let namespace = if namespace == "*" { "some" } else { namespace };
            let resource = if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
            let target = match path {
                "" => target((group, &resource), namespace, if matches!(verb, "list" | "watch" | "create") { "" } else { "x" }),
                path => Target::Path(path.replace('*', "x")),
            };
            let applies = verb == "patch" && query.split(',').any(|key| key == "force") && subresource.is_empty();
            let reach = if applies { Reach::MayCreate } else { Reach::AsAsked };
            let judged = ceilings.judge(&user, None, &Ask::new(verb, &target), reach);
            // Leases and roles are named as their components name them.
            let named = match (resource.as_str(), verb) {
                ("leases", "get" | "update") => target_named(&target, user.name.trim_start_matches("system:")),
                _ => target.clone(),
            };
            assert!(judged.is_ok() || allows(&ceilings, &user, verb, &named), "{line}\n{judged:?}");
            checked += 1;
        }
    }
    assert!(checked > 300, "{checked}");
}

fn target_named(target: &Target, name: &str) -> Target {
    match target {
        Target::Resource(resource) => Target::Resource(Resource { name: name.to_owned(), ..resource.clone() }),
        path => path.clone(),
    }
}

#[test]
fn every_bootstrap_role_of_a_component_is_inside() {
    let bootstrap = bootstrap::load();
    let ceilings = Ceilings::default();
    let mut checked = 0;
    for (known, user, groups) in holders() {
        let user = User { name: &user, groups: &groups, extra: None };
        assert_eq!(*ceilings.component_of(&user), *known.component, "{}", known.name);
        let account = user.service_account();
        let is_held = |subject: &rbac::Subject| match subject.kind.as_str() {
            "User" => subject.name == user.name,
            "Group" => user.is_in(&subject.name) && subject.name != "system:masters",
            _ => account == Some((&subject.namespace, &subject.name)),
        };
        let cluster = bootstrap.cluster_role_bindings.iter().filter(|binding| binding.subjects.iter().any(is_held));
        let node = bootstrap
            .cluster_role_bindings
            .iter()
            .filter(|binding| binding.metadata.name == "system:node" && known.name == "kubelet");
        for binding in cluster.chain(node) {
            let role = bootstrap.cluster_roles.iter().find(|role| role.metadata.name == binding.role_ref.name).expect("the role");
            checked += role.rules.iter().map(|rule| check(&ceilings, &user, rule, "some")).sum::<usize>();
        }
        for binding in bootstrap.role_bindings.iter().filter(|binding| binding.subjects.iter().any(is_held)) {
            let namespace = &binding.metadata.namespace;
            let role = bootstrap
                .roles
                .iter()
                .find(|role| role.metadata.name == binding.role_ref.name && role.metadata.namespace == *namespace);
            checked += role.expect("the role").rules.iter().map(|rule| check(&ceilings, &user, rule, namespace)).sum::<usize>();
        }
    }
    assert!(checked > 1000, "{checked}");
}

/// Asks for everything that a rule grants; how much that was.
fn check(ceilings: &Ceilings, user: &User<'_>, rule: &rbac::Rule, namespace: &str) -> usize {
    let mut checked = 0;
    for verb in &rule.verbs {
        let verb = if verb == "*" { "get" } else { verb };
        for (group, resource) in
            rule.api_groups.iter().flat_map(|group| rule.resources.iter().map(move |resource| (group, resource)))
        {
            let name = rule.resource_names.first().map_or("", String::as_str);
            let target = target((&group.replace('*', "any.group"), &resource.replace('*', "anything")), namespace, name);
            assert!(allows(ceilings, user, verb, &target), "{} {verb} {target:?}", user.name);
            checked += 1;
        }
        for url in &rule.non_resource_urls {
            assert!(allows(ceilings, user, verb, &Target::Path(url.replace('*', "x"))), "{} {verb} {url}", user.name);
            checked += 1;
        }
    }
    checked
}

#[test]
fn what_is_outside_is_refused() {
    let rbac = "rbac.authorization.k8s.io";
    // The exceptions hold it by Kubernetes' own roles: wildcards, or the very verb.
    let (collector, spaces) = ("controller:generic-garbage-collector", "controller:namespace-controller");
    let aggregator = "controller:clusterrole-aggregation-controller";
    let rows = [
        ("escalate", target((rbac, "clusterroles"), "", "r"), vec![aggregator]),
        ("bind", target((rbac, "clusterroles"), "", "cluster-admin"), vec![]),
        ("create", target((rbac, "clusterrolebindings"), "", ""), vec!["kubectl"]),
        ("create", target(("", "nodes/proxy"), "", "n"), vec![]),
        ("get", target(("", "nodes/proxy"), "", "n"), vec![collector, spaces]),
        ("create", target(("", "pods/exec"), "ns", "p"), vec!["kubectl"]),
        ("get", target(("", "pods/exec"), "ns", "p"), vec!["kubectl"]),
        ("update", target(("apps", "daemonsets"), "kube-system", "x"), vec!["kubectl", collector]),
        ("sign", target(("certificates.k8s.io", "signers"), "", "example.com/x"), vec![]),
        ("impersonate", target(("", "users"), "", "admin"), vec!["kubectl"]),
        ("post", Target::Path("/metrics".to_owned()), vec![]),
        ("get", Target::Path("/portcullis/top".to_owned()), vec!["kubectl"]),
        ("create", target(("", "secrets"), "ns", ""), vec!["kubectl", "kube-controller-manager"]),
        (
            "get",
            target(("", "secrets"), "ns", "s"),
            vec![
                "kubectl",
                "kube-controller-manager",
                "kubelet",
                collector,
                spaces,
                "controller:bootstrap-signer",
                "controller:token-cleaner",
            ],
        ),
    ];
    let ceilings = Ceilings::default();
    for (known, user, groups) in holders() {
        let user = User { name: &user, groups: &groups, extra: None };
        for (verb, target, except) in &rows {
            let expected = except.contains(&known.name.as_str()) && !is_elsewhere(&known.name, target);
            assert_eq!(allows(&ceilings, &user, verb, target), expected, "{} {verb} {target:?}", known.name);
        }
    }
}

/// Roles of kube-system do not reach other namespaces.
fn is_elsewhere(profile: &str, target: &Target) -> bool {
    let local = matches!(profile, "controller:bootstrap-signer" | "controller:token-cleaner");
    local && matches!(target, Target::Resource(resource) if resource.namespace != "kube-system")
}

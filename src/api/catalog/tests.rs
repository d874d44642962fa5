use super::*;

#[test]
fn finds_by_group_version_and_plural() {
    let catalog = Catalog::builtin();
    for (group, version, plural, kind) in [
        ("", "v1", "pods", Some("Pod")),
        ("apps", "v1", "deployments", Some("Deployment")),
        ("autoscaling", "v1", "horizontalpodautoscalers", Some("HorizontalPodAutoscaler")),
        ("events.k8s.io", "v1", "events", Some("Event")),
        ("apps", "v1", "pods", None),
        ("", "v1", "Pods", None),
        ("", "", "", None),
    ] {
        let found = catalog.find(group, version, plural).map(|found| found.kind.as_str());
        assert_eq!(found, kind, "{group}/{version} {plural}");
    }
}

#[test]
fn places_keys_as_kube_apiserver_lays_them() {
    let catalog = Catalog::builtin();
    for (key, place) in [
        ("/registry/pods/default/nginx", Some(("pods", 15))),
        ("/registry/minions/n-1", Some(("nodes", 18))),
        ("/registry/services/specs/default/kubernetes", Some(("services", 25))),
        ("/registry/services/endpoints/default/kubernetes", Some(("endpoints", 29))),
        ("/registry/controllers/a/b", Some(("replicationcontrollers", 22))),
        ("/registry/apiextensions.k8s.io/customresourcedefinitions/a.b.c", Some(("customresourcedefinitions", 57))),
        ("/registry/pods/specs/x", Some(("pods", 15))),
        ("/registry/pods/default", None),
        ("/registry/pods/default/", None),
        ("/registry/pods//x", None),
        ("/registry/pods/a/b/c", None),
        ("/registry/minions/a/b", None),
        ("/registry/services/other/a/b", None),
        ("/registry/ranges/serviceips", None),
        ("/registry/masterleases/10.0.0.1", None),
        ("compact_rev_key", None),
        ("/registry/", None),
        ("", None),
    ] {
        let found = catalog.place(key.as_bytes());
        let found = found.and_then(|it| Some((catalog.stored(it.space)?.plural.as_str(), it.prefix)));
        assert_eq!(found, place, "{key}");
    }
}

#[test]
fn versions_of_one_resource_share_a_space() {
    let catalog = Catalog::builtin();
    let space =
        |group, version, plural| catalog.find(group, version, plural).and_then(|kind| kind.storage.clone()).map(|it| it.space);
    assert_eq!(space("autoscaling", "v1", "horizontalpodautoscalers"), space("autoscaling", "v2", "horizontalpodautoscalers"));
    assert_eq!(space("", "v1", "events"), space("events.k8s.io", "v1", "events"));
    assert_ne!(space("", "v1", "pods"), space("", "v1", "events"));
    for kind in catalog.all() {
        let Some(storage) = &kind.storage else { continue };
        let stored = catalog.stored(storage.space).expect("every space has a stored kind");
        assert_eq!((&stored.version, &stored.group), (&storage.version, &storage.group), "{}", kind.group_resource());
    }
}

#[test]
fn habits_come_from_the_table() {
    let catalog = Catalog::builtin();
    let habits = |group, plural| catalog.find(group, "v1", plural).map(|kind| kind.habits.clone()).unwrap_or_default();
    assert!(
        habits("apps", "deployments").scale && habits("apps", "deployments").status && habits("apps", "deployments").generation
    );
    assert!(
        habits("coordination.k8s.io", "leases").create_on_update && habits("coordination.k8s.io", "leases").conditional_update
    );
    assert!(habits("batch", "jobs").orphan_by_default && !habits("", "configmaps").generation);
    assert!(habits("", "pods").selectable.iter().any(|name| name == "spec.nodeName"));
}

use serde_json::json;

use super::*;
use crate::api::catalog::Catalog;

fn kind(group: &str, plural: &str) -> Arc<Kind> {
    Arc::clone(Catalog::builtin().find(group, "v1", plural).expect("a kind"))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
}

fn pod(node: &str, phase: &str) -> Value {
    json!({"metadata": {"name": "p", "generation": 1}, "spec": {"nodeName": node, "terminationGracePeriodSeconds": 30},
        "status": {"phase": phase}})
}

#[test]
fn pods_get_their_time() {
    let pods = kind("", "pods");
    let rows = [
        (pod("n", "Running"), None, Some(30)),
        (pod("n", "Running"), Some(5), Some(5)),
        (pod("n", "Running"), Some(-5), Some(1)),
        (pod("n", "Running"), Some(0), None),
        (pod("", "Pending"), None, None),
        (pod("n", "Succeeded"), Some(60), None),
    ];
    for (pod, asked, granted) in rows {
        let options = DeleteOptions { grace_period_seconds: asked, ..DeleteOptions::default() };
        match (plan(&pods, &options, &pod, at(0)), granted) {
            (Plan::Mark(new), Some(seconds)) => {
                assert_eq!(new["metadata"]["deletionGracePeriodSeconds"], seconds);
                assert_eq!(new["metadata"]["deletionTimestamp"], meta::time(at(seconds)));
                assert_eq!(new["metadata"]["generation"], 2);
            }
            (Plan::MarkAndRemove(new), None) => assert_eq!(new["metadata"]["deletionGracePeriodSeconds"], 0),
            (plan, granted) => panic!("{asked:?} {granted:?}: {plan:?}"),
        }
    }
}

#[test]
fn a_second_deletion_only_shortens() {
    let pods = kind("", "pods");
    let mut pod = pod("n", "Running");
    pod["metadata"]["deletionTimestamp"] = Value::from(meta::time(at(30)));
    pod["metadata"]["deletionGracePeriodSeconds"] = Value::from(30);
    for (asked, now, expected) in
        [(None, 1, None), (Some(30), 1, None), (Some(60), 1, None), (Some(10), 1, Some(10)), (Some(10), 20, Some(20))]
    {
        let options = DeleteOptions { grace_period_seconds: asked, ..DeleteOptions::default() };
        match (plan(&pods, &options, &pod, at(now)), expected) {
            (Plan::Wait, None) => {}
            (Plan::Mark(new), Some(due)) => {
                assert_eq!(new["metadata"]["deletionTimestamp"], meta::time(at(due)));
                assert_eq!(new["metadata"]["generation"], 1);
            }
            (plan, expected) => panic!("{asked:?} {expected:?}: {plan:?}"),
        }
    }
    let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    assert!(matches!(plan(&pods, &now, &pod, at(1)), Plan::MarkAndRemove(_)));
    pod["metadata"]["deletionGracePeriodSeconds"] = Value::from(0);
    assert!(matches!(plan(&pods, &now, &pod, at(1)), Plan::Remove));
}

#[test]
fn propagation_decides_the_finalizers() {
    let sets = kind("apps", "replicasets");
    let jobs = kind("batch", "jobs");
    type Row<'a> = (&'a Kind, Option<&'a str>, Option<bool>, &'a [&'a str], Option<&'a [&'a str]>);
    let rows: [Row<'_>; 9] = [
        (&sets, None, None, &[], None),
        (&jobs, None, None, &[], Some(&["orphan"])),
        (&jobs, Some("Background"), None, &[], None),
        (&sets, Some("Foreground"), None, &["a/b"], Some(&["a/b", "foregroundDeletion"])),
        (&sets, Some("Orphan"), None, &["foregroundDeletion"], Some(&["orphan"])),
        (&sets, Some("Background"), None, &["orphan"], Some(&[])),
        (&sets, None, Some(true), &[], Some(&["orphan"])),
        (&sets, None, Some(false), &["orphan"], Some(&[])),
        (&sets, None, None, &["foregroundDeletion"], None),
    ];
    for (kind, policy, orphan, own, expected) in rows {
        let options = DeleteOptions {
            propagation_policy: policy.map(str::to_owned),
            orphan_dependents: orphan,
            ..DeleteOptions::default()
        };
        let found = finalizers_for(kind, &options, &json!({"metadata": {"finalizers": own}}));
        let expected: Option<Vec<String>> = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(found, expected, "{policy:?} {orphan:?} {own:?}");
    }
}

#[test]
fn finalizers_keep_an_object() {
    let sets = kind("apps", "replicasets");
    let old = json!({"metadata": {"generation": 1, "finalizers": ["a/b"]}});
    let Plan::Mark(new) = plan(&sets, &DeleteOptions::default(), &old, at(0)) else { panic!("not kept") };
    let expected =
        json!({"generation": 2, "finalizers": ["a/b"], "deletionTimestamp": meta::time(at(0)), "deletionGracePeriodSeconds": 0});
    assert_eq!(new["metadata"], expected);
    let Plan::Mark(again) = plan(&sets, &DeleteOptions::default(), &new, at(9)) else { panic!("not kept") };
    assert_eq!(again, new);
    assert!(matches!(plan(&sets, &DeleteOptions::default(), &json!({"metadata": {}}), at(0)), Plan::Remove));
}

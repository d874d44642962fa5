use serde_json::Value;

use super::super::recorded;
use super::*;

/// Leaves what the server adds, and the forms of absence, out.
fn plain(mut object: Value) -> Value {
    let metadata = object["metadata"].as_object_mut().expect("metadata");
    for key in ["creationTimestamp", "resourceVersion", "uid"] {
        metadata.remove(key);
    }
    let object = object.as_object_mut().expect("an object");
    object.remove("apiVersion");
    object.remove("kind");
    object.retain(|_, value| !value.is_null());
    Value::Object(object.clone())
}

fn of_kind(kind: &str) -> Vec<Value> {
    let key = |object: &Value| (object["metadata"]["namespace"].to_string(), object["metadata"]["name"].to_string());
    let mut objects: Vec<_> = objects().into_iter().filter(|object| object["kind"] == kind).map(plain).collect();
    objects.sort_by_key(key);
    objects
}

#[test]
fn equals_the_recording_rule_by_rule() {
    let Some(steps) = recorded::steps("11-bootstrap-roles") else { return };
    let lists: Vec<&Value> = steps.iter().map(|step| &step["body"]["items"]).filter(|items| items.is_array()).collect();
    assert_eq!(lists.len(), 4);
    for (kind, list) in ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"].into_iter().zip(lists) {
        let mut expected: Vec<_> = list.as_array().expect("items").iter().cloned().map(plain).collect();
        expected.sort_by_key(|object| (object["metadata"]["namespace"].to_string(), object["metadata"]["name"].to_string()));
        let ours = of_kind(kind);
        assert_eq!(ours.len(), expected.len(), "{kind}");
        for (ours, expected) in ours.iter().zip(&expected) {
            assert_eq!(ours, expected, "{kind}");
        }
    }
}

#[test]
fn the_table_is_read_whole() {
    let Bootstrap { cluster_roles, roles, cluster_role_bindings, role_bindings } = load();
    let counts = (cluster_roles.len(), roles.len(), cluster_role_bindings.len(), role_bindings.len());
    let lines = |start: &str| TABLE.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(counts, (lines("clusterrole "), lines("role "), lines("clusterrolebinding "), lines("rolebinding ")));
    let rules = cluster_roles.iter().map(|role| role.rules.len()).chain(roles.iter().map(|role| role.rules.len())).sum::<usize>();
    assert_eq!(rules, lines("  ") - lines("  aggregate "));
    assert!(cluster_roles.iter().all(|role| role.aggregation_rule.is_some() == role.rules.is_empty()));
    assert!(!TABLE.contains("openshift"));
}

#[test]
fn objects_are_complete() {
    for object in objects() {
        assert_eq!(object["apiVersion"], "rbac.authorization.k8s.io/v1");
        assert_eq!(object["metadata"]["labels"]["kubernetes.io/bootstrapping"], "rbac-defaults", "{object}");
        assert_eq!(object["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"], "true");
    }
    let admin = objects().into_iter().find(|object| object["metadata"]["name"] == "admin").expect("admin");
    assert!(admin["rules"].is_null() && admin["aggregationRule"].is_object());
}

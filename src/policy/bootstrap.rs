//! Kubernetes' own RBAC objects (contract 6.4), as data.

use serde_json::{Value, json};

use super::rbac::{
    AggregationRule, ClusterRole, ClusterRoleBinding, LabelSelector, Metadata, Role, RoleBinding, RoleRef, Rule, Subject,
};

/// All bootstrap objects, in the order of their kinds.
#[derive(Clone, Debug, Default)]
pub struct Bootstrap {
    /// The cluster roles.
    pub cluster_roles: Vec<ClusterRole>,
    /// The roles in namespaces.
    pub roles: Vec<Role>,
    /// The bindings of the cluster roles.
    pub cluster_role_bindings: Vec<ClusterRoleBinding>,
    /// The bindings in namespaces.
    pub role_bindings: Vec<RoleBinding>,
}

/// Reads the table.
pub fn load() -> Bootstrap {
    let mut read = Bootstrap::default();
    let mut last = Last::Other;
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (line.starts_with(' '), words.as_slice()) {
            (true, words) => read.add_rule(last, words),
            (false, [kind, words @ ..]) => last = read.add_object(kind, words),
            (false, []) => {}
        }
    }
    read
}

/// The objects as they are created at the first start: `rbac.authorization.k8s.io/v1`, with the label and the annotation that
/// mark them.
pub fn objects() -> Vec<Value> {
    let Bootstrap { cluster_roles, roles, cluster_role_bindings, role_bindings } = load();
    let cluster_roles = cluster_roles.iter().map(|role| {
        let mut object = json!({"metadata": metadata(&role.metadata), "rules": role.rules});
        if let Some(rule) = &role.aggregation_rule {
            object["aggregationRule"] = json!(rule);
            object["rules"] = Value::Null;
        }
        typed("ClusterRole", object)
    });
    let roles = roles.iter().map(|role| typed("Role", json!({"metadata": metadata(&role.metadata), "rules": role.rules})));
    let bound = |kind, at: &Metadata, role: &RoleRef, subjects: &[Subject]| {
        let mut object = json!({"metadata": metadata(at), "roleRef": role});
        if !subjects.is_empty() {
            object["subjects"] = json!(subjects);
        }
        typed(kind, object)
    };
    let cluster_role_bindings = cluster_role_bindings
        .iter()
        .map(|binding| bound("ClusterRoleBinding", &binding.metadata, &binding.role_ref, &binding.subjects));
    let role_bindings =
        role_bindings.iter().map(|binding| bound("RoleBinding", &binding.metadata, &binding.role_ref, &binding.subjects));
    cluster_roles.chain(roles).chain(cluster_role_bindings).chain(role_bindings).collect()
}

/// The object that rule lines belong to.
#[derive(Clone, Copy)]
enum Last {
    ClusterRole,
    Role,
    Other,
}

impl Bootstrap {
    fn add_object(&mut self, kind: &str, words: &[&str]) -> Last {
        match (kind, words) {
            ("clusterrole", [name, labels @ ..]) => {
                let metadata = Metadata { labels: labels.iter().filter_map(|label| pair(label)).collect(), ..named("", name) };
                self.cluster_roles.push(ClusterRole { metadata, ..ClusterRole::default() });
                Last::ClusterRole
            }
            ("role", [namespace, name]) => {
                self.roles.push(Role { metadata: named(namespace, name), ..Role::default() });
                Last::Role
            }
            ("clusterrolebinding", [name, role, subjects @ ..]) => {
                let subjects = subjects.iter().filter_map(|word| subject(word)).collect();
                self.cluster_role_bindings.push(ClusterRoleBinding {
                    metadata: named("", name),
                    role_ref: role_ref(role),
                    subjects,
                });
                Last::Other
            }
            ("rolebinding", [namespace, name, role, subjects @ ..]) => {
                let subjects = subjects.iter().filter_map(|word| subject(word)).collect();
                self.role_bindings.push(RoleBinding { metadata: named(namespace, name), role_ref: role_ref(role), subjects });
                Last::Other
            }
            _ => Last::Other,
        }
    }

    fn add_rule(&mut self, last: Last, words: &[&str]) {
        match (last, words) {
            (Last::ClusterRole, ["aggregate", label]) => {
                let match_labels = pair(label).into_iter().collect();
                let Some(role) = self.cluster_roles.last_mut() else { return };
                let rule = role.aggregation_rule.get_or_insert_with(AggregationRule::default);
                rule.cluster_role_selectors.push(LabelSelector { match_labels });
            }
            (Last::ClusterRole, words) => {
                if let Some(role) = self.cluster_roles.last_mut() {
                    role.rules.extend(rule(words));
                }
            }
            (Last::Role, words) => {
                if let Some(role) = self.roles.last_mut() {
                    role.rules.extend(rule(words));
                }
            }
            (Last::Other, _) => {}
        }
    }
}

/// A rule of the tables: `VERBS GROUPS RESOURCES [NAMES]` or `VERBS URLS`.
pub(super) fn rule(words: &[&str]) -> Option<Rule> {
    match words {
        [verbs, urls] => Some(Rule { verbs: list(verbs), non_resource_urls: list(urls), ..Rule::default() }),
        [verbs, groups, resources] => {
            Some(Rule { verbs: list(verbs), api_groups: list(groups), resources: list(resources), ..Rule::default() })
        }
        [verbs, groups, resources, names] => Some(Rule { resource_names: list(names), ..rule(&[verbs, groups, resources])? }),
        _ => None,
    }
}

/// Words between commas; `-` is the empty one.
pub(super) fn list(word: &str) -> Vec<String> {
    word.split(',').map(|part| if part == "-" { String::new() } else { part.to_owned() }).collect()
}

fn named(namespace: &str, name: &str) -> Metadata {
    Metadata { name: name.to_owned(), namespace: namespace.to_owned(), ..Metadata::default() }
}

fn pair(word: &str) -> Option<(String, String)> {
    word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
}

fn role_ref(word: &str) -> RoleRef {
    let (kind, name) = word.split_once('=').unwrap_or_default();
    RoleRef { api_group: GROUP.to_owned(), kind: kind.to_owned(), name: name.to_owned() }
}

fn subject(word: &str) -> Option<Subject> {
    let (kind, name) = word.split_once('=')?;
    Some(match (kind, name.split_once('/')) {
        ("ServiceAccount", Some((namespace, name))) => {
            Subject { kind: kind.to_owned(), name: name.to_owned(), namespace: namespace.to_owned(), ..Subject::default() }
        }
        _ => Subject { kind: kind.to_owned(), api_group: GROUP.to_owned(), name: name.to_owned(), ..Subject::default() },
    })
}

fn metadata(of: &Metadata) -> Value {
    let mut metadata = json!(of);
    metadata["labels"] = json!(of.labels);
    metadata["labels"]["kubernetes.io/bootstrapping"] = json!("rbac-defaults");
    metadata["annotations"] = json!({"rbac.authorization.kubernetes.io/autoupdate": "true"});
    metadata
}

fn typed(kind: &str, object: Value) -> Value {
    let mut typed = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind});
    if let (Some(typed), Value::Object(object)) = (typed.as_object_mut(), object) {
        typed.extend(object);
    }
    typed
}

const GROUP: &str = "rbac.authorization.k8s.io";
const TABLE: &str = include_str!("bootstrap.txt");

#[cfg(test)]
#[path = "bootstrap_tests.rs"]
mod tests;

//! The RBAC objects as they are stored, and what their rules mean (contract 6.2, 6.3).
//!
//! Pure data and pure functions; [`Facts`](super::facts::Facts) holds them compiled.

use serde::{Deserialize, Deserializer, Serialize};

use super::rule::{self, Grammar, Pattern, Place, Table};

/// `rbac.authorization.k8s.io/v1` ClusterRole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterRole {
    /// Its name and labels.
    pub metadata: Metadata,
    /// Whose rules a controller copies into this role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregation_rule: Option<AggregationRule>,
    /// What it permits.
    #[serde(deserialize_with = "nullable")]
    pub rules: Vec<Rule>,
}

/// `rbac.authorization.k8s.io/v1` Role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Role {
    /// Its name and namespace.
    pub metadata: Metadata,
    /// What it permits.
    #[serde(deserialize_with = "nullable")]
    pub rules: Vec<Rule>,
}

/// `rbac.authorization.k8s.io/v1` ClusterRoleBinding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterRoleBinding {
    /// Its name.
    pub metadata: Metadata,
    /// The role it grants.
    pub role_ref: RoleRef,
    /// Those whom it grants it to.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<Subject>,
}

/// `rbac.authorization.k8s.io/v1` RoleBinding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RoleBinding {
    /// Its name and namespace.
    pub metadata: Metadata,
    /// The role it grants within its namespace.
    pub role_ref: RoleRef,
    /// Those whom it grants it to.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<Subject>,
}

/// The part of `metadata` that authorization reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Metadata {
    /// The name.
    pub name: String,
    /// The namespace; empty for cluster-scoped objects.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The labels.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub labels: std::collections::BTreeMap<String, String>,
}

/// One rule: verbs on resources, or verbs on paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rule {
    /// Verbs, or `*`.
    #[serde(deserialize_with = "nullable")]
    pub verbs: Vec<String>,
    /// API groups, or `*`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    /// `pods`, `pods/log`, `*/scale` or `*`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Names; empty for any.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    /// Paths; a `*` at the end stands for the rest.
    #[serde(rename = "nonResourceURLs", deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub non_resource_urls: Vec<String>,
}

/// Whom a binding grants its role to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Subject {
    /// `User`, `Group` or `ServiceAccount`.
    pub kind: String,
    /// `rbac.authorization.k8s.io` for users and groups.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    /// The name.
    pub name: String,
    /// A service account's namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// Which role a binding grants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RoleRef {
    /// `rbac.authorization.k8s.io`
    pub api_group: String,
    /// `ClusterRole` or `Role`.
    pub kind: String,
    /// The name.
    pub name: String,
}

/// Which cluster roles are aggregated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AggregationRule {
    /// The roles of any of these are taken.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub cluster_role_selectors: Vec<LabelSelector>,
}

/// Roles by their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LabelSelector {
    /// All of these.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub match_labels: std::collections::BTreeMap<String, String>,
}

/// Those parts of `wanted` that `held` does not cover, each broken down to one verb on one resource. Empty: no escalation
/// (contract 6.3).
pub fn uncovered(held: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    let parts = wanted.iter().flat_map(Rule::parts);
    parts.filter(|part| !held.iter().any(|rule| rule.covers(part))).collect()
}

impl Rule {
    /// One rule for each verb on each resource, name or path.
    fn parts(&self) -> Vec<Self> {
        let mut parts = Vec::new();
        for verb in &self.verbs {
            for (group, resource) in
                self.api_groups.iter().flat_map(|group| self.resources.iter().map(move |resource| (group, resource)))
            {
                let part = Self {
                    verbs: vec![verb.clone()],
                    api_groups: vec![group.clone()],
                    resources: vec![resource.clone()],
                    ..Self::default()
                };
                if self.resource_names.is_empty() {
                    parts.push(part.clone());
                }
                parts.extend(self.resource_names.iter().map(|name| Self { resource_names: vec![name.clone()], ..part.clone() }));
            }
            let on_path =
                |url: &String| Self { verbs: vec![verb.clone()], non_resource_urls: vec![url.clone()], ..Self::default() };
            parts.extend(self.non_resource_urls.iter().map(on_path));
        }
        parts
    }

    /// Whether this rule permits all that `part` does. A wildcard is covered by a wildcard only.
    fn covers(&self, part: &Self) -> bool {
        let names = self.resource_names.is_empty()
            || (!part.resource_names.is_empty() && part.resource_names.iter().all(|name| self.resource_names.contains(name)));
        has_all(&self.verbs, &part.verbs)
            && has_all(&self.api_groups, &part.api_groups)
            && names
            && (has_all(&self.resources, &part.resources) || part.resources.iter().all(|resource| self.covers_resource(resource)))
            && part.non_resource_urls.iter().all(|url| self.covers_path(url))
    }

    fn covers_resource(&self, resource: &str) -> bool {
        let any_of_it = |subresource| self.resources.iter().any(|held| held.strip_prefix("*/") == Some(subresource));
        self.resources.iter().any(|held| held == resource) || resource.split_once('/').is_some_and(|(_, rest)| any_of_it(rest))
    }

    fn covers_path(&self, path: &str) -> bool {
        self.non_resource_urls
            .iter()
            .any(|held| held == path || held.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix)))
    }
}

/// The table of a role's rules.
pub(super) fn compile(rules: &[Rule]) -> Table {
    let mut table = Table::new(Grammar::Rbac);
    for rule in rules {
        let mut compiled = rule::Rule::new(&rule.verbs, &rule.api_groups);
        compiled.names = rule.resource_names.iter().map(|name| Pattern::Exact(name.as_str().into())).collect();
        table.add(compiled, Place { resources: &rule.resources, paths: &rule.non_resource_urls });
    }
    table
}

/// Go writes an empty slice or map as `null`.
pub(super) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

fn has_all(held: &[String], wanted: &[String]) -> bool {
    held.iter().any(|one| one == "*") || wanted.iter().all(|one| held.contains(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(verbs: &str, groups: &str, resources: &str, names: &str) -> Rule {
        let list = |text: &str| text.split_whitespace().map(|word| word.replace('-', "")).collect();
        Rule {
            verbs: list(verbs),
            api_groups: list(groups),
            resources: list(resources),
            resource_names: list(names),
            ..Rule::default()
        }
    }

    fn path(verbs: &str, url: &str) -> Rule {
        Rule { verbs: vec![verbs.to_owned()], non_resource_urls: vec![url.to_owned()], ..Rule::default() }
    }

    #[test]
    fn what_covers_what() {
        for (held, wanted, missing) in [
            (rule("get list", "-", "pods", ""), rule("get", "-", "pods", ""), 0),
            (rule("get", "-", "pods", ""), rule("get list", "-", "pods secrets", ""), 3),
            (rule("*", "*", "*", ""), rule("get", "apps", "deployments/scale", ""), 0),
            (rule("*", "*", "*", ""), path("get", "/metrics"), 1),
            (rule("get", "-", "*/scale", ""), rule("get", "-", "x/scale", ""), 0),
            (rule("get", "-", "pods", ""), rule("*", "-", "pods", ""), 1),
            (rule("get", "-", "pods", "a"), rule("get", "-", "pods", ""), 1),
            (rule("get", "-", "pods", "a b"), rule("get", "-", "pods", "a"), 0),
            (rule("get", "-", "pods", "a"), rule("get", "-", "pods", "a c"), 1),
            (path("get", "/logs/*"), path("get", "/logs/a"), 0),
            (path("get", "/logs/*"), path("get", "*"), 1),
            (path("get", "/logs/*"), path("get", "/logs/*"), 0),
        ] {
            assert_eq!(
                uncovered(std::slice::from_ref(&held), std::slice::from_ref(&wanted)).len(),
                missing,
                "{held:?} {wanted:?}"
            );
        }
    }

    #[test]
    fn null_lists_are_empty() {
        let role: ClusterRole = serde_json::from_str(r#"{"metadata":{"name":"a","labels":null},"rules":null}"#).expect("reads");
        assert_eq!(role.rules, Vec::new());
        let binding: RoleBinding =
            serde_json::from_str(r#"{"metadata":{"name":"a"},"roleRef":{"kind":"Role","name":"r"}}"#).expect("reads");
        assert_eq!(binding.role_ref.name, "r");
    }
}

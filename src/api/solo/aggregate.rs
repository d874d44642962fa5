//! ClusterRoles that are made of others: their rules are the rules of those that their selectors select.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::Solo;
use super::follow::{Follower, News};
use crate::api::catalog::Kind;
use crate::api::kinds::selects;
use crate::api::meta;
use crate::store::Space;

pub(super) async fn run(solo: &Solo) {
    let Some(kind) = solo.kind("rbac.authorization.k8s.io", "clusterroles") else { return };
    let Some(storage) = &kind.storage else { return };
    let mut follower = Follower::new(Arc::clone(&solo.api), storage.space);
    loop {
        if let News::Change(happening) = follower.next().await
            && happening.revision < solo.api.store.view().revision()
        {
            // Roles come in crowds: the last one's turn is enough.
            tokio::task::yield_now().await;
        }
        round(solo, kind, storage.space).await;
    }
}

/// Fills the roles that are there. Roles are made of roles that are made of others: a second round takes what the first has brought.
pub(super) async fn all(solo: &Solo) {
    let Some(kind) = solo.kind("rbac.authorization.k8s.io", "clusterroles") else { return };
    let Some(storage) = &kind.storage else { return };
    for _ in 0..DEPTH {
        if !round(solo, kind, storage.space).await {
            return;
        }
    }
}

/// Brings every aggregated role up to date; whether any was not.
async fn round(solo: &Solo, kind: &Arc<Kind>, space: Space) -> bool {
    let roles: Vec<Value> = solo.api.store.view().root(space).items.values().map(|role| role.value()).collect();
    let stale = roles.iter().filter(|role| role["aggregationRule"].is_object()).filter_map(|role| {
        let rules = gather(role, &roles);
        let same = role["rules"].as_array().map_or(&[][..], Vec::as_slice) == rules;
        (!same).then(|| (meta::text(role, "name"), rules))
    });
    let changes = stale.map(|(name, rules)| async move {
        let aim = solo.aim(kind, "", name);
        let config = json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {"name": name}, "rules": rules});
        if let Err(refusal) = solo.apply(&aim, "clusterrole-aggregation-controller", &config).await {
            tracing::warn!(%name, %refusal, "an aggregated role is not brought up to date");
        }
    });
    !join_all(changes).await.is_empty()
}

/// The rules of the selected roles, in the order of their names, each once.
fn gather(role: &Value, roles: &[Value]) -> Vec<Value> {
    let selectors: Vec<&Value> = role["aggregationRule"]["clusterRoleSelectors"].as_array().into_iter().flatten().collect();
    let chosen = roles.iter().filter(|other| {
        let labels = &other["metadata"]["labels"];
        meta::text(other, "name") != meta::text(role, "name") && selectors.iter().any(|selector| selects(selector, labels))
    });
    let mut rules: Vec<Value> = Vec::new();
    for rule in chosen.flat_map(|other| other["rules"].as_array().into_iter().flatten()) {
        if !rules.contains(rule) {
            rules.push(rule.clone());
        }
    }
    rules
}

/// How deep roles are made of each other: Kubernetes' own are three deep.
const DEPTH: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_come_from_the_selected() {
        let role =
            json!({"metadata": {"name": "all"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "1"}}]}});
        let other = |name: &str, label: &str, verb: &str| json!({"metadata": {"name": name, "labels": {"a": label}}, "rules": [{"verbs": [verb]}]});
        let roles =
            [role.clone(), other("x", "1", "get"), other("y", "2", "list"), other("z", "1", "get"), other("zz", "1", "watch")];
        assert_eq!(gather(&role, &roles), [json!({"verbs": ["get"]}), json!({"verbs": ["watch"]})]);
    }
}

//! ServiceAccount: a pod runs as an account that exists, and finds its token where programs look for it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Operation, Review, lifecycle, secret};
use crate::api::kinds::is_empty;
use crate::api::object::Object;
use crate::api::{Api, meta};
use crate::status::Status;

pub(super) async fn admit(api: &Api, review: &Review<'_>, pod: &mut Value) -> Result<(), Status> {
    if !review.is("", "pods", Operation::Create) {
        return Ok(());
    }
    if is_mirror(pod) {
        return check_mirror(review, pod);
    }
    let spec = &mut pod["spec"];
    if is_empty(&spec["serviceAccountName"]) {
        spec["serviceAccountName"] = Value::from(DEFAULT);
    }
    let name = spec["serviceAccountName"].as_str().unwrap_or(DEFAULT).to_owned();
    spec["serviceAccount"] = Value::from(name.as_str());
    let Some(account) = find(api, review, &name).await else { return Err(missing(review, pod, &name)) };
    let account = account.value();
    let spec = &mut pod["spec"];
    if mounts_token(spec, &account) {
        mount_token(spec);
    }
    if is_empty(&spec["imagePullSecrets"]) && !is_empty(&account["imagePullSecrets"]) {
        spec["imagePullSecrets"] = account["imagePullSecrets"].clone();
    }
    check_secrets(review, pod, &account)
}

/// What validation asks again of the final pod, and of new ephemeral containers.
pub(super) async fn check(api: &Api, review: &Review<'_>, pod: Option<&Value>) -> Result<(), Status> {
    let ephemeral = review.operation == Operation::Update && review.subresource == "ephemeralcontainers";
    let Some(pod) = pod.filter(|_| ephemeral || review.is("", "pods", Operation::Create)) else { return Ok(()) };
    if !ephemeral && is_mirror(pod) {
        return check_mirror(review, pod);
    }
    let name = pod["spec"]["serviceAccountName"].as_str().unwrap_or("");
    if name.is_empty() {
        let cause = format!("no service account specified for pod {}/{}", review.namespace, meta::text(pod, "name"));
        return Err(review.forbid(pod, cause));
    }
    let Some(account) = find(api, review, name).await else { return Err(missing(review, pod, name)) };
    check_secrets(review, pod, &account.value())
}

fn missing(review: &Review<'_>, pod: &Value, name: &str) -> Status {
    let quoted = crate::api::error::quoted(name);
    let cause = format!("error looking up service account {}/{name}: serviceaccount {quoted} not found", review.namespace);
    review.forbid(pod, cause)
}

fn is_mirror(pod: &Value) -> bool {
    pod["metadata"]["annotations"].get("kubernetes.io/config.mirror").is_some()
}

/// What a kubelet shows of a pod of its own refers to nothing of the API's.
fn check_mirror(review: &Review<'_>, pod: &Value) -> Result<(), Status> {
    let volumes = || pod["spec"]["volumes"].as_array().into_iter().flatten();
    let projects = |volume: &Value| {
        let mut sources = volume["projected"]["sources"].as_array().into_iter().flatten();
        sources.any(|source| source["serviceAccountToken"].is_object())
    };
    let cause = if !is_empty(&pod["spec"]["serviceAccountName"]) {
        "a mirror pod may not reference service accounts"
    } else if secret::is_any_named(&pod["spec"]) {
        "a mirror pod may not reference secrets"
    } else if volumes().any(projects) {
        "a mirror pod may not use ServiceAccountToken volume projections"
    } else {
        return Ok(());
    };
    Err(review.forbid(pod, cause))
}

/// An account may say that its pods mount none but its own secrets.
fn check_secrets(review: &Review<'_>, pod: &Value, account: &Value) -> Result<(), Status> {
    let wish = account["metadata"]["annotations"]["kubernetes.io/enforce-mountable-secrets"].as_str();
    if !wish.is_some_and(|wish| TRUE.contains(&wish)) {
        return Ok(());
    }
    let fault = match review.subresource {
        "" => secret::foreign(&pod["spec"], account),
        _ => secret::foreign_to_ephemeral(&pod["spec"], account),
    };
    fault.map_or(Ok(()), |fault| Err(review.forbid(pod, fault)))
}

/// The account. The default one of a new namespace is on its way: a while is given to it.
async fn find(api: &Api, review: &Review<'_>, name: &str) -> Option<Arc<Object>> {
    let kind = api.catalog.find("", "v1", "serviceaccounts")?;
    let found = api.seen(kind, review.namespace, name);
    if found.is_some() || name != DEFAULT || !lifecycle::is_young(api, review.namespace) {
        return found;
    }
    for _ in 0..TRIES {
        tokio::time::sleep(PAUSE).await;
        if let Some(found) = api.seen(kind, review.namespace, name) {
            return Some(found);
        }
    }
    None
}

/// The pod's wish comes before the account's.
fn mounts_token(spec: &Value, account: &Value) -> bool {
    let wish = |value: &Value| value["automountServiceAccountToken"].as_bool();
    wish(spec).or_else(|| wish(account)).unwrap_or(true)
}

/// Adds the volume with the token, and a mount of it to every container that has none at its place.
fn mount_token(spec: &mut Value) {
    let known = volume_name(spec);
    let name = known.clone().unwrap_or_else(|| format!("{PREFIX}{}", meta::random(5)));
    let mount = json!({"name": name, "readOnly": true, "mountPath": PLACE});
    let mut needed = false;
    for list in ["initContainers", "containers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            let mounts = &mut container["volumeMounts"];
            if mounts.as_array().into_iter().flatten().any(|mount| mount["mountPath"] == PLACE) {
                continue;
            }
            needed = true;
            match mounts.as_array_mut() {
                Some(mounts) => mounts.push(mount.clone()),
                None => *mounts = json!([mount]),
            }
        }
    }
    if needed && known.is_none() {
        let volume = json!({"name": name, "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ]}});
        match spec["volumes"].as_array_mut() {
            Some(volumes) => volumes.push(volume),
            None => spec["volumes"] = json!([volume]),
        }
    }
}

/// The name of a token volume that the pod brings along.
fn volume_name(spec: &Value) -> Option<String> {
    let mut volumes = spec["volumes"].as_array().into_iter().flatten();
    let own = volumes.find(|volume| volume["name"].as_str().is_some_and(|name| name.starts_with(PREFIX)));
    own.and_then(|volume| volume["name"].as_str()).map(str::to_owned)
}

const DEFAULT: &str = "default";
const PREFIX: &str = "kube-api-access-";
const PLACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// What Go's ParseBool takes for true.
const TRUE: [&str; 6] = ["1", "t", "T", "TRUE", "true", "True"];
const TRIES: usize = 40;
const PAUSE: Duration = Duration::from_millis(25);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_container_gets_one_mount() {
        let mut spec = json!({"containers": [{"name": "a"}, {"name": "b", "volumeMounts": [{"name": "x", "mountPath": PLACE}]}]});
        mount_token(&mut spec);
        assert_eq!(spec["volumes"].as_array().map(Vec::len), Some(1));
        assert_eq!(spec["containers"][0]["volumeMounts"][0]["name"], spec["volumes"][0]["name"]);
        assert_eq!(spec["containers"][1]["volumeMounts"].as_array().map(Vec::len), Some(1));
        let once = spec.clone();
        mount_token(&mut spec);
        assert_eq!(spec, once);
    }

    #[test]
    fn whose_wish_counts() {
        for (pod, account, expected) in [
            (json!({}), json!({}), true),
            (json!({"automountServiceAccountToken": false}), json!({}), false),
            (json!({}), json!({"automountServiceAccountToken": false}), false),
            (json!({"automountServiceAccountToken": true}), json!({"automountServiceAccountToken": false}), true),
        ] {
            assert_eq!(mounts_token(&pod, &account), expected, "{pod} {account}");
        }
    }
}

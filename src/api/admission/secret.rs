//! The secrets that a pod names, and which of them are not its account's.

use serde_json::Value;

use crate::api::error::quoted;

/// Whether a pod names any secret: pull secrets, environments, volumes.
pub(super) fn is_any_named(spec: &Value) -> bool {
    let of = |list: &'static str| list_of(spec, list);
    let containers = || of("initContainers").chain(of("containers")).chain(of("ephemeralContainers"));
    of("imagePullSecrets").next().is_some()
        || containers().any(|container| env(container).next().is_some() || env_from(container).next().is_some())
        || of("volumes").any(|volume| {
            SOURCES.iter().any(|source| volume[*source]["secretRef"].is_object())
                || volume["secret"].is_object()
                || volume["azureFile"]["secretName"].is_string()
                || volume["csi"]["nodePublishSecretRef"].is_object()
                || list_of(&volume["projected"], "sources").any(|source| source["secret"].is_object())
        })
}

/// The first secret of a new pod that its account does not list.
pub(super) fn foreign(spec: &Value, account: &Value) -> Option<String> {
    let name = account["metadata"]["name"].as_str().unwrap_or("");
    let mountable = names(account, "secrets");
    let volumes = list_of(spec, "volumes").filter_map(|volume| volume["secret"].as_object());
    for secret in volumes.map(|secret| secret.get("secretName").and_then(Value::as_str).unwrap_or("")) {
        if !mountable.contains(&secret) {
            return Some(format!(
                "volume with secret.secretName={} is not allowed because service account {name} does not reference that secret",
                quoted(secret)
            ));
        }
    }
    for (list, word) in [("initContainers", "init container"), ("containers", "container")] {
        if let Some(fault) = in_containers(spec, (list, word), (name, &mountable)) {
            return Some(fault);
        }
    }
    let pulled = names(account, "imagePullSecrets");
    let mut own = list_of(spec, "imagePullSecrets").map(|secret| secret["name"].as_str().unwrap_or("")).enumerate();
    let (at, secret) = own.find(|(_, secret)| !pulled.contains(secret))?;
    Some(format!(
        "imagePullSecrets[{at}].name={} is not allowed because service account {name} does not reference that imagePullSecret",
        quoted(secret)
    ))
}

/// The same for the ephemeral containers alone.
pub(super) fn foreign_to_ephemeral(spec: &Value, account: &Value) -> Option<String> {
    let name = account["metadata"]["name"].as_str().unwrap_or("");
    in_containers(spec, ("ephemeralContainers", "ephemeral container"), (name, &names(account, "secrets")))
}

fn in_containers(spec: &Value, (list, word): (&str, &str), (account, mountable): (&str, &[&str])) -> Option<String> {
    let tail = format!("is not allowed because service account {account} does not reference that secret");
    for container in list_of(spec, list) {
        let own = container["name"].as_str().unwrap_or("");
        let head = format!("{word} {own} with");
        if let Some((variable, secret)) = env(container).find(|(_, secret)| !mountable.contains(secret)) {
            return Some(format!("{head} envVar {variable} referencing secret.secretName={} {tail}", quoted(secret)));
        }
        if let Some(secret) = env_from(container).find(|secret| !mountable.contains(secret)) {
            return Some(format!("{head} envFrom referencing secret.secretName={} {tail}", quoted(secret)));
        }
    }
    None
}

/// The variables that come from secrets, and which.
fn env(container: &Value) -> impl Iterator<Item = (&str, &str)> {
    let from = |variable: &'_ Value| variable["valueFrom"]["secretKeyRef"].is_object();
    list_of(container, "env").filter(move |variable| from(variable)).map(|variable| {
        (variable["name"].as_str().unwrap_or(""), variable["valueFrom"]["secretKeyRef"]["name"].as_str().unwrap_or(""))
    })
}

fn env_from(container: &Value) -> impl Iterator<Item = &str> {
    let sources = list_of(container, "envFrom").filter(|source| source["secretRef"].is_object());
    sources.map(|source| source["secretRef"]["name"].as_str().unwrap_or(""))
}

fn names<'a>(account: &'a Value, list: &str) -> Vec<&'a str> {
    list_of(account, list).filter_map(|secret| secret["name"].as_str()).collect()
}

fn list_of<'a>(value: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    value[list].as_array().into_iter().flatten()
}

/// Volume sources that may name a secret.
const SOURCES: [&str; 7] = ["cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_of_others() {
        let account = json!({"metadata": {"name": "a"}, "secrets": [{"name": "s"}], "imagePullSecrets": [{"name": "p"}]});
        let env = |list: &str, secret: &str| json!({list: [{"name": "c", "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": secret, "key": "k"}}}]}]});
        let tail = "is not allowed because service account a does not reference that secret";
        for (spec, expected) in [
            (json!({}), String::new()),
            (json!({"volumes": [{"secret": {"secretName": "s"}}], "imagePullSecrets": [{"name": "p"}]}), String::new()),
            (json!({"volumes": [{"secret": {"secretName": "t"}}]}), format!("volume with secret.secretName=\"t\" {tail}")),
            (env("containers", "s"), String::new()),
            (env("containers", "t"), format!("container c with envVar E referencing secret.secretName=\"t\" {tail}")),
            (env("initContainers", "t"), format!("init container c with envVar E referencing secret.secretName=\"t\" {tail}")),
            (
                json!({"containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "t"}}]}]}),
                format!("container c with envFrom referencing secret.secretName=\"t\" {tail}"),
            ),
            (
                json!({"imagePullSecrets": [{"name": "p"}, {"name": "q"}]}),
                "imagePullSecrets[1].name=\"q\" is not allowed because service account a does not reference that imagePullSecret"
                    .to_owned(),
            ),
        ] {
            assert_eq!(foreign(&spec, &account).unwrap_or_default(), expected, "{spec}");
        }
        let spec = env("ephemeralContainers", "t");
        assert_eq!(foreign(&spec, &account), None);
        assert!(foreign_to_ephemeral(&spec, &account).is_some());
        assert!(is_any_named(&spec) && !is_any_named(&json!({"containers": [{"name": "secret"}]})));
    }
}

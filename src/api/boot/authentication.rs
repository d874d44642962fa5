//! `kube-system/extension-apiserver-authentication`: whom other servers of the cluster believe.

use serde_json::{Map, Value, json};

use super::{Duty, Settings};
use crate::api::Api;

/// The config map, if there is anything to tell. Authorities that others have put there stay.
pub(super) fn duty(api: &Api, settings: &Settings) -> Option<(Duty, Value)> {
    let kind = api.catalog.find("", "v1", "configmaps")?;
    let stored = api.seen(kind, NAMESPACE, NAME).map(|object| object.value()).unwrap_or_default();
    let data = data(settings, &stored["data"]);
    if data.is_empty() {
        return None;
    }
    let object =
        json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": NAME, "namespace": NAMESPACE}, "data": data});
    Some((Duty::Match, object))
}

fn data(settings: &Settings, stored: &Value) -> Map<String, Value> {
    let mut data = stored.as_object().cloned().unwrap_or_default();
    let mut trust = |key: &str, ca: &str| {
        let known = stored[key].as_str().unwrap_or("");
        data.insert(key.to_owned(), Value::from(united(known, ca)));
    };
    if !settings.client_ca.is_empty() {
        trust("client-ca-file", &settings.client_ca);
    }
    if let Some(proxy) = &settings.front_proxy {
        trust("requestheader-client-ca-file", &proxy.ca);
        for (key, list) in [
            ("requestheader-allowed-names", json!(proxy.names)),
            ("requestheader-username-headers", json!(["X-Remote-User"])),
            ("requestheader-uid-headers", json!(["X-Remote-Uid"])),
            ("requestheader-group-headers", json!(["X-Remote-Group"])),
            ("requestheader-extra-headers-prefix", json!(["X-Remote-Extra-"])),
        ] {
            data.insert(key.to_owned(), Value::from(list.to_string()));
        }
    }
    data
}

/// The certificates of both, each once.
fn united(known: &str, own: &str) -> String {
    let mut all: Vec<&str> = Vec::new();
    for block in blocks(known).chain(blocks(own)) {
        if !all.contains(&block) {
            all.push(block);
        }
    }
    all.iter().map(|block| format!("{block}\n")).collect()
}

fn blocks(pem: &str) -> impl Iterator<Item = &str> {
    let mut rest = pem;
    std::iter::from_fn(move || {
        let start = rest.find(BEGIN)?;
        let end = start + rest[start..].find(END)? + END.len();
        let block = &rest[start..end];
        rest = &rest[end..];
        Some(block)
    })
}

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_united() {
        let pem = |body: &str| format!("{BEGIN}\n{body}\n{END}\n");
        let (a, b) = (pem("a"), pem("b"));
        for (known, own, expected) in [
            ("", a.as_str(), a.clone()),
            (&a, &a, a.clone()),
            (&a, &b, format!("{a}{b}")),
            ("rubbish", &b, b.clone()),
            (&format!("x\n{a}y"), &b, format!("{a}{b}")),
        ] {
            assert_eq!(united(known, own), expected);
        }
    }
}

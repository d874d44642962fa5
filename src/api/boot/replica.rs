//! This server among its replicas: its lease, and the endpoints of `default/kubernetes`, which are those of all live replicas.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Duty, Settings};
use crate::api::Api;
use crate::api::object::Object;

/// The lease renewed, and the endpoints as they should be now.
pub(super) fn duties(api: &Api, settings: &Settings) -> Vec<(Duty, Value)> {
    let now = Timestamp::now();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = format!("apiserver-{}", base32(&digest(&SHA256, host.trim().as_bytes()).as_ref()[..16]));
    let mut duties = Vec::new();
    if !is_fresh(api, &name, (settings, now)) {
        duties.push((Duty::Match, lease(&name, host.trim(), (settings, now))));
    }
    // kube-apiserver refuses endpoints on the loopback, and so does without them.
    let mut addresses: Vec<IpAddr> = others(api, now);
    addresses.push(settings.advertise);
    addresses.retain(|address| !address.is_loopback() && !address.is_unspecified());
    addresses.retain(|address| address.is_ipv4() == settings.advertise.is_ipv4());
    addresses.sort();
    addresses.dedup();
    if !addresses.is_empty() {
        duties.extend(endpoints(&addresses, settings.port).map(|object| (Duty::Match, object)));
    }
    duties
}

/// Whether the own lease has been renewed just now.
fn is_fresh(api: &Api, name: &str, (settings, now): (&Settings, Timestamp)) -> bool {
    let kind = api.catalog.find("coordination.k8s.io", "v1", "leases");
    let lease = kind.and_then(|kind| api.seen(kind, "kube-system", name)).map(|lease| lease.value()).unwrap_or_default();
    live(&lease, now, FRESH) == Some(settings.advertise)
}

fn lease(name: &str, host: &str, (settings, now): (&Settings, Timestamp)) -> Value {
    let time = now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    json!({"kind": "Lease", "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"name": name, "namespace": "kube-system",
            "labels": {"apiserver.kubernetes.io/identity": "kube-apiserver", "kubernetes.io/hostname": host},
            "annotations": {ADVERTISE: settings.advertise.to_string()}},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 3600, "renewTime": time}})
}

/// The leases of replicas that have not been heard of for as long as their leases last.
pub(super) fn expired(api: &Api) -> Vec<Arc<Object>> {
    let now = Timestamp::now();
    let is_over = |lease: &Value| {
        let seconds = lease["spec"]["leaseDurationSeconds"].as_i64().unwrap_or(0);
        let renewed: Option<Timestamp> = lease["spec"]["renewTime"].as_str().and_then(|time| time.parse().ok());
        renewed.is_none_or(|renewed| now.duration_since(renewed) > SignedDuration::from_secs(seconds))
    };
    leases(api).into_iter().filter(|lease| is_over(&lease.value())).collect()
}

/// The leases of all replicas.
fn leases(api: &Api) -> Vec<Arc<Object>> {
    let Some(storage) = api.catalog.find("coordination.k8s.io", "v1", "leases").and_then(|kind| kind.storage.as_ref()) else {
        return Vec::new();
    };
    let root = api.store.view().root(storage.space);
    let own = root.items.values().filter(|lease| lease.namespace() == "kube-system");
    own.filter(|lease| lease.label("apiserver.kubernetes.io/identity") == Some("kube-apiserver")).cloned().collect()
}

/// Where the other replicas are that have renewed their leases lately.
fn others(api: &Api, now: Timestamp) -> Vec<IpAddr> {
    leases(api).iter().filter_map(|lease| live(&lease.value(), now, LIFE)).collect()
}

/// Where the replica of a lease is that was renewed within `life`.
fn live(lease: &Value, now: Timestamp, life: SignedDuration) -> Option<IpAddr> {
    let renewed: Timestamp = lease["spec"]["renewTime"].as_str()?.parse().ok()?;
    if now.duration_since(renewed) > life {
        return None;
    }
    lease["metadata"]["annotations"][ADVERTISE].as_str()?.parse().ok()
}

/// Where the service `default/kubernetes` leads, in both forms.
fn endpoints(addresses: &[IpAddr], port: u16) -> impl Iterator<Item = Value> {
    let family = if addresses[0].is_ipv4() { "IPv4" } else { "IPv6" };
    let ports = json!([{"name": "https", "port": port, "protocol": "TCP"}]);
    let subset: Vec<Value> = addresses.iter().map(|address| json!({"ip": address.to_string()})).collect();
    let slice: Vec<Value> =
        addresses.iter().map(|address| json!({"addresses": [address.to_string()], "conditions": {"ready": true}})).collect();
    let objects = [
        json!({"kind": "Endpoints", "apiVersion": "v1",
            "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
            "subsets": [{"addresses": subset, "ports": ports}]}),
        json!({"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
            "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": family, "endpoints": slice, "ports": ports}),
    ];
    objects.into_iter()
}

/// RFC 4648 in lower case, without padding.
fn base32(bytes: &[u8]) -> String {
    let (mut out, mut held, mut bits) = (String::new(), 0u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(ALPHABET[(held >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        out.push(char::from(ALPHABET[(held << (5 - bits) & 31) as usize]));
    }
    out
}

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const ADVERTISE: &str = "portcullis.dev/advertise";

const FRESH: SignedDuration = SignedDuration::from_secs(30);

/// Replicas renew once a minute.
const LIFE: SignedDuration = SignedDuration::from_secs(180);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_of_rfc_4648() {
        for (text, expected) in [("", ""), ("f", "my"), ("fo", "mzxq"), ("foobar", "mzxw6ytboi")] {
            assert_eq!(base32(text.as_bytes()), expected);
        }
    }

    #[test]
    fn only_live_replicas_count() {
        let now: Timestamp = "2026-01-01T00:10:00Z".parse().expect("a time");
        for (renewed, expected) in [("2026-01-01T00:09:00.000000Z", true), ("2026-01-01T00:06:00.000000Z", false), ("x", false)] {
            let lease = json!({"metadata": {"annotations": {ADVERTISE: "10.0.0.5"}}, "spec": {"renewTime": renewed}});
            assert_eq!(live(&lease, now, LIFE).is_some(), expected, "{renewed}");
        }
    }
}

//! ServiceCIDRs: ready once they are there, gone once no service has an address that only they hold (contract 8.9).

use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::Solo;
use super::follow::Follower;
use crate::api::catalog::Kind;
use crate::api::kinds::Part;
use crate::api::meta;
use crate::api::registry::Aim;
use crate::status::Status;

pub(super) async fn run(solo: &Solo) {
    let kind = |plural: &str| solo.kind("networking.k8s.io", plural);
    let (Some(ranges), Some(addresses)) = (kind("servicecidrs"), kind("ipaddresses")) else { return };
    let follow = |kind: &Arc<Kind>| Some(Follower::new(Arc::clone(&solo.api), kind.storage.as_ref()?.space));
    let (Some(mut of_ranges), Some(mut of_addresses)) = (follow(ranges), follow(addresses)) else { return };
    loop {
        std::future::poll_fn(|context| {
            let mut told = false;
            for follower in [&mut of_ranges, &mut of_addresses] {
                while follower.poll(context).is_ready() {
                    told = true;
                }
            }
            if told { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let all = values(solo, ranges);
        for range in &all {
            if let Err(refusal) = settle(solo, ranges, (range, &all), addresses).await {
                tracing::warn!(range = %meta::text(range, "name"), %refusal, "a service range is not settled");
            }
        }
    }
}

async fn settle(solo: &Solo, kind: &Arc<Kind>, (range, all): (&Value, &[Value]), addresses: &Arc<Kind>) -> Result<(), Status> {
    let aim = solo.aim(kind, "", meta::text(range, "name"));
    let held = meta::finalizers(range).any(|own| own == FINALIZER);
    if !meta::is_deleting(range) {
        if !held {
            solo.change(&aim, |range| finalize(range, true)).await?;
        }
        return tell(solo, &aim, range, ("True", "", READY)).await;
    }
    if !held {
        return Ok(());
    }
    // Only few ranges ever end: then all addresses are looked at.
    let taken: Vec<IpAddr> = values(solo, addresses).iter().filter_map(|own| meta::text(own, "name").parse().ok()).collect();
    let others: Vec<IpNet> =
        all.iter().filter(|other| is_ready(other) && meta::text(other, "name") != aim.name).flat_map(networks).collect();
    if orphans(&networks(range), &others, &taken) {
        return tell(solo, &aim, range, ("False", "Terminating", WAITS)).await;
    }
    solo.change(&aim, |range| finalize(range, false)).await
}

/// Whether any address lies in `own` and in no other network.
fn orphans(own: &[IpNet], others: &[IpNet], taken: &[IpAddr]) -> bool {
    let lies = |networks: &[IpNet], address: &IpAddr| networks.iter().any(|network| network.contains(address));
    taken.iter().any(|address| lies(own, address) && !lies(others, address))
}

async fn tell(solo: &Solo, aim: &Aim<'_>, range: &Value, (status, reason, message): (&str, &str, &str)) -> Result<(), Status> {
    let known = condition(range);
    if known["status"] == status && (status == "True" || known["reason"] == reason) {
        return Ok(());
    }
    let told =
        json!({"type": "Ready", "status": status, "reason": reason, "message": message, "lastTransitionTime": meta::now()});
    let aim = Aim { part: Part::Status, ..*aim };
    solo.change(&aim, |range| {
        let mut conditions = range["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.retain(|own| own["type"] != "Ready");
        conditions.push(told.clone());
        range["status"]["conditions"] = Value::from(conditions);
    })
    .await
}

fn finalize(range: &mut Value, held: bool) {
    let mut finalizers: Vec<String> = meta::finalizers(range).filter(|own| *own != FINALIZER).map(str::to_owned).collect();
    if held {
        finalizers.push(FINALIZER.to_owned());
    }
    meta::set_finalizers(range, &finalizers);
}

fn condition(range: &Value) -> Value {
    let mut all = range["status"]["conditions"].as_array().into_iter().flatten();
    all.find(|own| own["type"] == "Ready").cloned().unwrap_or_default()
}

fn is_ready(range: &Value) -> bool {
    !meta::is_deleting(range) && condition(range)["status"] == "True"
}

fn networks(range: &Value) -> Vec<IpNet> {
    let all = range["spec"]["cidrs"].as_array().into_iter().flatten();
    all.filter_map(|network| network.as_str()?.parse().ok()).collect()
}

fn values(solo: &Solo, kind: &Kind) -> Vec<Value> {
    let Some(storage) = &kind.storage else { return Vec::new() };
    solo.api.store.view().root(storage.space).items.values().map(|object| object.value()).collect()
}

const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";
const READY: &str = "Kubernetes Service CIDR is ready";
const WAITS: &str = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_would_lose_his_range() {
        let network = |text: &str| -> IpNet { text.parse().expect("a network") };
        let address = |text: &str| -> IpAddr { text.parse().expect("an address") };
        let own = [network("10.1.0.0/24")];
        for (others, taken, expected) in [
            (vec![], vec![], false),
            (vec![], vec![address("10.1.0.5")], true),
            (vec![], vec![address("10.2.0.5")], false),
            (vec![network("10.1.0.0/16")], vec![address("10.1.0.5")], false),
        ] {
            assert_eq!(orphans(&own, &others, &taken), expected);
        }
    }
}

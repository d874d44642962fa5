//! Addresses of services: each is an IPAddress object, and its name is what makes it unique.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{family, refuse, refuse_all};
use crate::api::catalog::Kind;
use crate::api::error::FieldError;
use crate::api::kinds::Part;
use crate::api::object::Object;
use crate::api::own::{self, Tracker};
use crate::api::registry::Aim;
use crate::api::{Api, meta, refusal};
use crate::schema::own::Sent;
use crate::status::Status;
use crate::store::{Change, Expect, Outcome};

/// The addresses of services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range(pub(crate) IpNet);

impl Range {
    /// The address of the service `kubernetes`.
    pub(crate) fn first(self) -> IpAddr {
        self.at(1)
    }

    /// Addresses that may be given away.
    fn size(self) -> u128 {
        let bits = u32::from(self.0.max_prefix_len() - self.0.prefix_len()).min(64);
        let all = 1u128 << bits;
        if self.0.addr().is_ipv4() { all.saturating_sub(2) } else { all.saturating_sub(1) }
    }

    fn at(self, offset: u128) -> IpAddr {
        match self.0.network() {
            IpAddr::V4(base) => IpAddr::V4(Ipv4Addr::from(u32::from(base).wrapping_add(u32::try_from(offset).unwrap_or(0)))),
            IpAddr::V6(base) => IpAddr::V6(Ipv6Addr::from(u128::from(base).wrapping_add(offset))),
        }
    }

    fn holds(self, address: IpAddr) -> bool {
        self.0.contains(&address) && address != self.0.network() && (self.0.addr().is_ipv6() || address != self.0.broadcast())
    }

    /// All addresses in the order in which they are tried: from a random one of the upper band on, the lower band last.
    fn candidates(self) -> impl Iterator<Item = IpAddr> {
        let size = self.size();
        let band = (size / 16).clamp(16, 256).min(size);
        let upper = size - band;
        let start = if upper == 0 { 0 } else { Uuid::new_v4().as_u128() % upper };
        let high = (0..upper).map(move |step| band + 1 + (start + step) % upper);
        let low = 1..=band;
        high.chain(low).take(MOST).map(move |offset| self.at(offset))
    }

    fn family(self) -> &'static str {
        if self.0.addr().is_ipv4() { "IPv4" } else { "IPv6" }
    }
}

/// Gives the service the addresses it asks for, or free ones.
pub(super) async fn allocate(api: &Api, aim: &Aim<'_>, new: &mut Value, old: Option<&Value>) -> Result<(), Status> {
    let old = old.filter(|old| super::has_address(&old["spec"]));
    let same = |member: &&str| old.is_some_and(|old| old["spec"][*member] == new["spec"][*member]);
    if ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"].iter().all(same) {
        return Ok(());
    }
    if let Some(old) = old {
        step_down(new, old);
    }
    let ranges = ranges(api);
    let mut families: Vec<&'static str> = ranges.iter().map(|range| range.family()).collect();
    families.dedup();
    families.truncate(2);
    family::settle(new, &families).map_err(|faults| refuse_all(new, &faults))?;
    if new["spec"]["clusterIPs"][0] == "None" {
        return Ok(());
    }
    let outcome = take(api, aim, new, (old, &ranges)).await;
    if outcome.is_err() {
        release(api, aim, new, old).await;
    }
    outcome
}

/// Takes one address of each family.
async fn take(api: &Api, aim: &Aim<'_>, new: &mut Value, (old, ranges): (Option<&Value>, &[Range])) -> Result<(), Status> {
    let list = |service: &Value| -> Vec<String> {
        let all = service["spec"]["clusterIPs"].as_array().into_iter().flatten();
        all.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (asked, held) = (list(new), old.map(list).unwrap_or_default());
    let mut given: Vec<String> = Vec::new();
    // What was taken stands in the service, so that it is given back when more cannot be had.
    new["spec"]["clusterIPs"] = json!(given);
    for (at, family) in new["spec"]["ipFamilies"].clone().as_array().into_iter().flatten().enumerate() {
        let own: Vec<Range> = ranges.iter().copied().filter(|range| family == range.family()).collect();
        let address = match asked.get(at) {
            Some(asked) if held.contains(asked) => asked.clone(),
            Some(asked) => claim_asked(api, aim, new, (asked, &own)).await?,
            None => claim_free(api, aim, new, &own).await?,
        };
        given.push(address);
        new["spec"]["clusterIPs"] = json!(given);
    }
    new["spec"]["clusterIP"] = json!(given.first());
    Ok(())
}

async fn claim_asked(api: &Api, aim: &Aim<'_>, new: &Value, (asked, ranges): (&str, &[Range])) -> Result<String, Status> {
    let address = asked.parse().ok();
    let range = ranges.iter().find(|range| address.is_some_and(|address| range.holds(address)));
    let cause = match (address, range) {
        (Some(address), Some(range)) if claim(api, aim, new, (address, *range)).await? => return Ok(asked.to_owned()),
        (Some(_), Some(_)) => "provided IP is already allocated",
        _ => "the provided network does not match the current range",
    };
    let fault = format!("failed to allocate IP {asked}: {cause}");
    Err(refuse(new, FieldError::invalid("spec.clusterIPs", &json!([asked]), &fault)))
}

async fn claim_free(api: &Api, aim: &Aim<'_>, new: &Value, ranges: &[Range]) -> Result<String, Status> {
    let known = |address: &IpAddr| kind(api).is_some_and(|kind| api.seen(kind, "", &address.to_string()).is_some());
    for range in ranges {
        for address in range.candidates().filter(|address| !known(address)) {
            if claim(api, aim, new, (address, *range)).await? {
                return Ok(address.to_string());
            }
        }
    }
    Err(Status::internal("failed to allocate a serviceIP: range is full"))
}

/// A service that wants one family again loses what it had of the second.
fn step_down(new: &mut Value, old: &Value) {
    let single = |service: &Value| service["spec"]["ipFamilyPolicy"] == "SingleStack";
    if !single(new) || single(old) {
        return;
    }
    for member in ["clusterIPs", "ipFamilies"] {
        if new["spec"][member] == old["spec"][member]
            && let Some(list) = new["spec"][member].as_array_mut()
        {
            list.truncate(1);
        }
    }
}

/// Gives back the addresses that the service had and keeps no longer.
pub(super) async fn release(api: &Api, aim: &Aim<'_>, gone: &Value, kept: Option<&Value>) {
    let Some(kind) = kind(api).filter(|_| !aim.dry_run) else { return };
    for address in gone["spec"]["clusterIPs"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let still = kept
            .is_some_and(|kept| kept["spec"]["clusterIPs"].as_array().is_some_and(|own| own.iter().any(|own| own == address)));
        if still || address == "None" {
            continue;
        }
        let Some(object) = api.seen(kind, "", address) else { continue };
        let parent = &object.value()["spec"]["parentRef"];
        if parent["namespace"] != meta::text(gone, "namespace") || parent["name"] != meta::text(gone, "name") {
            continue;
        }
        let Some(key) = kind.key("", address) else { continue };
        let change = Change { key, expect: Expect::At(object.revision()), value: None, ttl: None, guard: None };
        if let Err(cause) = api.store.commit(change).await {
            tracing::warn!(%address, %cause, "the address of a service is not given back");
        }
    }
}

/// Makes the IPAddresses that services lack, and removes those of services that are no more.
///
/// # Errors
/// What the store says.
pub(super) async fn repair(api: &Api, services: &[Value]) -> Result<(), Status> {
    let Some(kind) = kind(api) else { return Ok(()) };
    let Some(storage) = &kind.storage else { return Ok(()) };
    let known = api.store.view().root(storage.space).items;
    let mut wanted = std::collections::BTreeSet::new();
    for service in services {
        let place = (meta::text(service, "namespace"), meta::text(service, "name"));
        for address in service["spec"]["clusterIPs"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let Ok(parsed) = address.parse::<IpAddr>() else { continue };
            wanted.insert(address.to_owned());
            if api.seen(kind, "", address).is_none() {
                let object = tracked(api, kind, ip_address(address, family::of(address), place));
                let key = kind.key("", &parsed.to_string()).unwrap_or_default();
                let change =
                    Change { key, expect: Expect::Absent, value: Some(Object::to_stored(&object)), ttl: None, guard: None };
                api.store.commit(change).await.map_err(|cause| refusal::store(&cause))?;
            }
        }
    }
    for object in known.values() {
        let value = object.value();
        let ours = value["metadata"]["labels"]["ipaddress.kubernetes.io/managed-by"] == MANAGED;
        let name = meta::text(&value, "name");
        if ours && !wanted.contains(name) && is_old(&value) {
            let key = kind.key("", name).unwrap_or_default();
            let change = Change { key, expect: Expect::At(object.revision()), value: None, ttl: None, guard: None };
            api.store.commit(change).await.map_err(|cause| refusal::store(&cause))?;
        }
    }
    Ok(())
}

/// Whether an address was taken so long ago that its service should be there.
fn is_old(address: &Value) -> bool {
    let made: Option<jiff::Timestamp> = meta::text(address, "creationTimestamp").parse().ok();
    made.is_some_and(|made| jiff::Timestamp::now().duration_since(made).as_secs() > LEAK)
}

/// Makes the IPAddress; false when somebody has it.
async fn claim(api: &Api, aim: &Aim<'_>, new: &Value, (address, range): (IpAddr, Range)) -> Result<bool, Status> {
    let Some(kind) = kind(api) else { return Err(Status::internal("IP addresses are not served")) };
    let name = address.to_string();
    if aim.dry_run {
        return Ok(api.seen(kind, "", &name).is_none());
    }
    let place = (meta::text(new, "namespace"), meta::text(new, "name"));
    let object = tracked(api, kind, ip_address(&name, range.family(), place));
    let key = kind.key("", &name).unwrap_or_default();
    let change = Change { key, expect: Expect::Absent, value: Some(Object::to_stored(&object)), ttl: None, guard: None };
    let outcome = api.store.commit(change).await.map_err(|cause| refusal::store(&cause))?;
    Ok(matches!(outcome, Outcome::Committed(_)))
}

/// The address as the server's own client would have made it.
fn tracked(api: &Api, kind: &Kind, mut address: Value) -> Value {
    Tracker::of(&api.catalog, (kind, Part::Whole), own::SERVER).created(&mut address, Sent::Nothing);
    address
}

/// The IPAddress of a service.
fn ip_address(name: &str, family: &str, (namespace, service): (&str, &str)) -> Value {
    json!({
        "kind": "IPAddress",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {
            "name": name,
            "uid": Uuid::new_v4().to_string(),
            "creationTimestamp": meta::now(),
            "labels": {"ipaddress.kubernetes.io/ip-family": family, "ipaddress.kubernetes.io/managed-by": MANAGED},
        },
        "spec": {"parentRef": {"group": "", "resource": "services", "namespace": namespace, "name": service}},
    })
}

/// The ranges of the ServiceCIDRs that are ready and stay: first those of `kubernetes`, which tell the cluster's own family.
fn ranges(api: &Api) -> Vec<Range> {
    let Some(kind) = api.catalog.find("networking.k8s.io", "v1", "servicecidrs") else { return Vec::new() };
    let Some(storage) = &kind.storage else { return Vec::new() };
    let root = api.store.view().root(storage.space);
    let mut all: Vec<Value> = root.items.values().map(|range| range.value()).collect();
    all.retain(|range| {
        let mut conditions = range["status"]["conditions"].as_array().into_iter().flatten();
        let ready = conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
        ready && !meta::is_deleting(range)
    });
    all.sort_by_key(|range| meta::text(range, "name") != "kubernetes");
    let networks = all.iter().flat_map(|range| range["spec"]["cidrs"].as_array().into_iter().flatten());
    networks.filter_map(|network| network.as_str()?.parse().ok().map(Range)).collect()
}

fn kind(api: &Api) -> Option<&std::sync::Arc<Kind>> {
    api.catalog.find("networking.k8s.io", "v1", "ipaddresses")
}

const MANAGED: &str = "ipallocator.k8s.io";
/// Seconds after which an address without a service is a leak.
const LEAK: i64 = 180;
/// Addresses tried before a range counts as full.
const MOST: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Range {
        Range(text.parse().expect("a network"))
    }

    #[test]
    fn every_address_once_and_the_lower_band_last() {
        let all: Vec<IpAddr> = range("10.0.0.0/24").candidates().collect();
        assert_eq!(all.len(), 254);
        let mut sorted = all.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), 254);
        assert!(all[..238].iter().all(|address| *address > IpAddr::V4(Ipv4Addr::new(10, 0, 0, 16))));
        assert!(all.iter().all(|address| range("10.0.0.0/24").holds(*address)));
    }

    #[test]
    fn what_a_range_holds() {
        let own = range("10.0.0.0/24");
        assert_eq!(own.first().to_string(), "10.0.0.1");
        for (address, expected) in [("10.0.0.0", false), ("10.0.0.1", true), ("10.0.0.255", false), ("10.0.1.1", false)] {
            assert_eq!(own.holds(address.parse().expect("an address")), expected, "{address}");
        }
        assert_eq!(range("fd00::/108").first().to_string(), "fd00::1");
        assert_eq!(range("10.0.0.0/30").candidates().count(), 2);
    }
}

//! Addresses of services: each is an IPAddress object, and its name is what makes it unique.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde_json::{Value, json};
use uuid::Uuid;

use super::refuse;
use crate::api::catalog::Kind;
use crate::api::error::FieldError;
use crate::api::kinds::field::is_empty;
use crate::api::object::Object;
use crate::api::registry::Aim;
use crate::api::{Api, meta, refusal};
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

/// Gives the service the address it asks for, or a free one.
pub(super) async fn allocate(api: &Api, aim: &Aim<'_>, new: &mut Value) -> Result<(), Status> {
    let Some(range) = range(api) else { return Err(Status::internal("failed to allocate a serviceIP: no ServiceCIDR is known")) };
    let family = json!([range.family()]);
    if is_empty(&new["spec"]["ipFamilies"]) {
        new["spec"]["ipFamilies"] = family;
    }
    if is_empty(&new["spec"]["ipFamilyPolicy"]) {
        new["spec"]["ipFamilyPolicy"] = Value::from("SingleStack");
    }
    let asked = new["spec"]["clusterIPs"][0].as_str().unwrap_or("").to_owned();
    match asked.as_str() {
        "None" => return Ok(()),
        "" => {}
        asked => {
            let refuse = |cause: &str| {
                let fault = format!("failed to allocate IP {asked}: {cause}");
                Err(refuse(new, FieldError::invalid("spec.clusterIPs", &json!([asked]), &fault)))
            };
            let Some(address) = asked.parse().ok().filter(|address| range.holds(*address)) else {
                return refuse("the provided network does not match the current range");
            };
            return if claim(api, aim, new, (address, range)).await? {
                Ok(())
            } else {
                refuse("provided IP is already allocated")
            };
        }
    }
    let known = |address: &IpAddr| kind(api).is_some_and(|kind| api.seen(kind, "", &address.to_string()).is_some());
    for address in range.candidates().filter(|address| !known(address)) {
        if claim(api, aim, new, (address, range)).await? {
            let text = address.to_string();
            new["spec"]["clusterIPs"] = json!([text]);
            new["spec"]["clusterIP"] = Value::from(text);
            return Ok(());
        }
    }
    Err(Status::internal("failed to allocate a serviceIP: range is full"))
}

/// Gives back the addresses that the service had and keeps no longer.
pub(super) async fn release(api: &Api, gone: &Value, kept: Option<&Value>) {
    let Some(kind) = kind(api) else { return };
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

/// Makes the IPAddress; false when somebody has it.
async fn claim(api: &Api, aim: &Aim<'_>, new: &Value, (address, range): (IpAddr, Range)) -> Result<bool, Status> {
    let Some(kind) = kind(api) else { return Err(Status::internal("IP addresses are not served")) };
    let name = address.to_string();
    if aim.dry_run {
        return Ok(api.seen(kind, "", &name).is_none());
    }
    let object = ip_address(&name, range.family(), (meta::text(new, "namespace"), meta::text(new, "name")));
    let key = kind.key("", &name).unwrap_or_default();
    let change = Change { key, expect: Expect::Absent, value: Some(Object::to_stored(&object)), ttl: None, guard: None };
    let outcome = api.store.commit(change).await.map_err(|cause| refusal::store(&cause))?;
    Ok(matches!(outcome, Outcome::Committed(_)))
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
            "generation": 1,
            "labels": {"ipaddress.kubernetes.io/ip-family": family, "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"},
        },
        "spec": {"parentRef": {"group": "", "resource": "services", "namespace": namespace, "name": service}},
    })
}

/// The range of the ServiceCIDR `kubernetes`.
fn range(api: &Api) -> Option<Range> {
    let kind = api.catalog.find("networking.k8s.io", "v1", "servicecidrs")?;
    let value = api.seen(kind, "", "kubernetes")?.value();
    value["spec"]["cidrs"][0].as_str()?.parse().ok().map(Range)
}

fn kind(api: &Api) -> Option<&std::sync::Arc<Kind>> {
    api.catalog.find("networking.k8s.io", "v1", "ipaddresses")
}

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

//! The node ports of a service: which it keeps, asks for, is given and gives back (contract 8.9).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::range::{self, Edit, Ports};
use super::{needs_health_check, refuse};
use crate::api::Api;
use crate::api::error::{self, FieldError};
use crate::api::registry::Aim;
use crate::status::Status;

/// What an allocation came to.
enum Taken {
    All,
    /// The port at this place cannot be had; `None` is the health check's.
    Refused(Option<usize>, u16, String),
    /// There is none left.
    Full,
    /// Two ports of one protocol want the same.
    Twice(String, u16),
}

/// A node port that an update leaves out stays with the port of its name.
pub(super) fn keep(new: &mut Value, old: &Value) {
    if needs_ports(&new["spec"]) && needs_ports(&old["spec"]) {
        let known: BTreeMap<String, u16> =
            ports(&old["spec"]).map(|port| (port["name"].as_str().unwrap_or("").to_owned(), number(&port["nodePort"]))).collect();
        let (own, stored) = (chosen(&new["spec"]), chosen(&old["spec"]));
        let mut used: Ports = own.intersection(&stored).copied().collect();
        for port in new["spec"]["ports"].as_array_mut().into_iter().flatten().filter(|port| number(&port["nodePort"]) == 0) {
            let before = known.get(port["name"].as_str().unwrap_or("")).copied().unwrap_or(0);
            if before != 0 && used.insert(before) {
                port["nodePort"] = before.into();
            }
        }
    }
    if needs_health_check(&new["spec"]) && needs_health_check(&old["spec"]) && number(&new["spec"]["healthCheckNodePort"]) == 0 {
        new["spec"]["healthCheckNodePort"] = old["spec"]["healthCheckNodePort"].clone();
    }
}

/// Takes the node ports that the service asks for, or free ones.
pub(super) async fn allocate(api: &Api, aim: &Aim<'_>, new: &mut Value, old: Option<&Value>) -> Result<(), Status> {
    let kind = new["spec"]["type"].as_str().unwrap_or("");
    if !matches!(kind, "NodePort" | "LoadBalancer") {
        return Ok(());
    }
    let held = old.map(|old| taken(&old["spec"])).unwrap_or_default();
    let limits = api.settings.node_ports;
    let wish = new["spec"].clone();
    let nothing_open = chosen(&wish).is_subset(&held)
        && (!needs_ports(&wish) || ports(&wish).all(|port| number(&port["nodePort"]) != 0))
        && (!needs_health_check(&wish) || held.contains(&number(&wish["healthCheckNodePort"])));
    if nothing_open {
        return Ok(());
    }
    let take = |all: &mut Ports| {
        let mut spec = wish.clone();
        let outcome = match old {
            None => fill(&mut spec, all, limits),
            Some(old) => refill(&mut spec, &old["spec"], all, limits),
        };
        (spec, outcome)
    };
    let (spec, outcome) = if aim.dry_run {
        take(&mut range::of_services(api))
    } else {
        range::edit(api, |all| {
            let before = all.clone();
            match take(all) {
                (spec, Taken::All) => Edit::Done((spec, Taken::All)),
                refused => {
                    *all = before;
                    Edit::Refused(refused)
                }
            }
        })
        .await?
    };
    match outcome {
        Taken::All => {
            new["spec"] = spec;
            Ok(())
        }
        Taken::Full => Err(Status::internal("failed to allocate a nodePort: range is full")),
        Taken::Twice(protocol, port) => Err(error::plain(format!("duplicate nodePort: {{{protocol} {port}}}"))),
        Taken::Refused(None, port, cause) => {
            Err(error::plain(format!("failed to allocate requested HealthCheck NodePort {port}: {cause}")))
        }
        Taken::Refused(Some(at), port, cause) => {
            Err(refuse(new, FieldError::invalid(format!("spec.ports[{at}].nodePort"), &json!(port), &cause)))
        }
    }
}

/// Gives back the node ports that the service had and keeps no longer.
pub(super) async fn release(api: &Api, aim: &Aim<'_>, gone: &Value, kept: Option<&Value>) {
    let still = kept.map(|kept| taken(&kept["spec"])).unwrap_or_default();
    let free: Ports = taken(&gone["spec"]).difference(&still).copied().collect();
    if aim.dry_run || free.is_empty() {
        return;
    }
    let edit = |all: &mut Ports| {
        all.retain(|port| !free.contains(port));
        Edit::Done(())
    };
    if let Err(cause) = range::edit(api, edit).await {
        tracing::warn!(?free, %cause, "node ports are not given back");
    }
}

/// All node ports of a service.
pub(super) fn taken(spec: &Value) -> Ports {
    let mut all = chosen(spec);
    all.insert(number(&spec["healthCheckNodePort"]));
    all.remove(&0);
    all
}

/// Fills the places of an updated service that are open, each with a port of its own, and takes what it did not hold before.
fn refill(spec: &mut Value, old: &Value, all: &mut Ports, limits: (u16, u16)) -> Taken {
    let (open, held) = (needs_ports(spec), chosen(old));
    let mut fresh = Ports::new();
    let mut given: Vec<(String, u16)> = Vec::new();
    for at in 0..spec["ports"].as_array().map_or(0, Vec::len) {
        let own = match number(&spec["ports"][at]["nodePort"]) {
            0 if !open => continue,
            0 => match free(all, limits) {
                Some(free) => free,
                None => return Taken::Full,
            },
            wish if held.contains(&wish) || fresh.contains(&wish) => wish,
            wish => {
                if let Err(cause) = take(all, wish, limits) {
                    return Taken::Refused(Some(at), wish, cause);
                }
                fresh.insert(wish);
                wish
            }
        };
        let place = (spec["ports"][at]["protocol"].as_str().unwrap_or("TCP").to_owned(), own);
        if given.contains(&place) {
            return Taken::Twice(place.0, own);
        }
        given.push(place);
        spec["ports"][at]["nodePort"] = own.into();
    }
    // Another port for the same purpose is refused by validation.
    if needs_health_check(old) { Taken::All } else { fill_health_check(spec, all, limits) }
}

/// Fills the places that are open, and takes what is asked for; ports of one number share a node port.
fn fill(spec: &mut Value, all: &mut Ports, limits: (u16, u16)) -> Taken {
    let open = needs_ports(spec);
    let mut by_port: BTreeMap<i64, u16> = BTreeMap::new();
    let asked: Vec<(i64, u16)> =
        ports(spec).map(|port| (port["port"].as_i64().unwrap_or(0), number(&port["nodePort"]))).collect();
    for (at, (port, wish)) in asked.iter().copied().enumerate() {
        let shared = by_port.get(&port).copied();
        let later = asked[at..].iter().find(|(other, wish)| *other == port && *wish != 0).map(|(_, wish)| *wish);
        let own = match (wish, shared) {
            (0, _) if !open => continue,
            (0, Some(shared)) => shared,
            (0, None) => match later {
                Some(later) => match take(all, later, limits) {
                    Ok(()) => later,
                    Err(cause) => return Taken::Refused(Some(at), later, cause),
                },
                None => match free(all, limits) {
                    Some(free) => free,
                    None => return Taken::Full,
                },
            },
            (wish, shared) if shared == Some(wish) => wish,
            (wish, _) => match take(all, wish, limits) {
                Ok(()) => wish,
                Err(cause) => return Taken::Refused(Some(at), wish, cause),
            },
        };
        by_port.entry(port).or_insert(own);
        spec["ports"][at]["nodePort"] = own.into();
    }
    fill_health_check(spec, all, limits)
}

fn fill_health_check(spec: &mut Value, all: &mut Ports, limits: (u16, u16)) -> Taken {
    if needs_health_check(spec) {
        let own = match number(&spec["healthCheckNodePort"]) {
            0 => match free(all, limits) {
                Some(free) => free,
                None => return Taken::Full,
            },
            wish => match take(all, wish, limits) {
                Ok(()) => wish,
                Err(cause) => return Taken::Refused(None, wish, cause),
            },
        };
        spec["healthCheckNodePort"] = own.into();
    }
    Taken::All
}

fn take(all: &mut Ports, port: u16, (first, last): (u16, u16)) -> Result<(), String> {
    if !(first..=last).contains(&port) {
        return Err(format!("provided port is not in the valid range. The range of valid ports is {first}-{last}"));
    }
    if all.insert(port) { Ok(()) } else { Err("provided port is already allocated".to_owned()) }
}

/// A free port. The lower band is left to those who ask for a port by number, as long as there are others.
fn free(all: &mut Ports, (first, last): (u16, u16)) -> Option<u16> {
    let size = u32::from(last - first) + 1;
    let band = (size / 32).clamp(16, 128).min(size - 1);
    let upper = size - band;
    let start = u32::try_from(Uuid::new_v4().as_u128() % u128::from(upper)).unwrap_or(0);
    let candidates = (0..upper).map(|step| band + (start + step) % upper).chain(0..band);
    let mut numbers = candidates.filter_map(|offset| u16::try_from(u32::from(first) + offset).ok());
    let port = numbers.find(|port| !all.contains(port))?;
    all.insert(port);
    Some(port)
}

/// Whether every port of the service is to have a node port.
fn needs_ports(spec: &Value) -> bool {
    match spec["type"].as_str().unwrap_or("") {
        "NodePort" => true,
        "LoadBalancer" => spec["allocateLoadBalancerNodePorts"] != false,
        _ => false,
    }
}

/// The node ports of the service's ports.
fn chosen(spec: &Value) -> Ports {
    let mut all: Ports = ports(spec).map(|port| number(&port["nodePort"])).collect();
    all.remove(&0);
    all
}

fn ports(spec: &Value) -> impl Iterator<Item = &Value> {
    spec["ports"].as_array().into_iter().flatten()
}

fn number(port: &Value) -> u16 {
    port.as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: (u16, u16) = (30_000, 32_767);

    #[test]
    fn an_update_keeps_node_ports_by_name() {
        let old = json!({"spec": {"type": "NodePort", "ports": [{"name": "a", "port": 80, "nodePort": 30080}, {"name": "b", "port": 81, "nodePort": 30081}]}});
        let mut new = json!({"spec": {"type": "NodePort", "ports": [{"name": "a", "port": 8080}, {"name": "c", "port": 81}, {"name": "b", "port": 82, "nodePort": 30090}]}});
        keep(&mut new, &old);
        let own: Vec<u16> = ports(&new["spec"]).map(|port| number(&port["nodePort"])).collect();
        assert_eq!(own, [30080, 0, 30090]);
    }

    #[test]
    fn ports_of_one_number_share() {
        let mut all = Ports::from([30_000]);
        let mut spec = json!({"type": "NodePort", "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}, {"port": 80, "nodePort": 30080}]});
        assert!(matches!(fill(&mut spec, &mut all, LIMITS), Taken::All));
        assert_eq!(spec["ports"][0]["nodePort"], spec["ports"][1]["nodePort"]);
        assert_eq!((spec["ports"][2]["nodePort"].as_u64(), all.len()), (Some(30080), 3));
        assert!(number(&spec["ports"][0]["nodePort"]) >= 30_086);
    }

    #[test]
    fn what_cannot_be_had() {
        let wish = |port: u16| json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]});
        for (port, old, expected) in [
            (30_001, json!({}), Some("provided port is already allocated")),
            (30_001, wish(30_001), None),
            (80, json!({}), Some("provided port is not in the valid range. The range of valid ports is 30000-32767")),
        ] {
            let outcome = refill(&mut wish(port), &old, &mut Ports::from([30_001]), LIMITS);
            let cause = if let Taken::Refused(Some(0), _, cause) = outcome { Some(cause) } else { None };
            assert_eq!(cause.as_deref(), expected);
        }
        let mut full: Ports = (30_000..=32_767).collect();
        assert!(matches!(fill(&mut json!({"type": "NodePort", "ports": [{"port": 80}]}), &mut full, LIMITS), Taken::Full));
    }

    #[test]
    fn an_update_shares_nothing() {
        let mut spec = json!({"type": "NodePort", "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]});
        assert!(matches!(refill(&mut spec, &json!({"type": "ClusterIP"}), &mut Ports::new(), LIMITS), Taken::All));
        assert_ne!(spec["ports"][0]["nodePort"], spec["ports"][1]["nodePort"]);
        let mut spec = json!({"type": "NodePort", "ports": [{"port": 1, "nodePort": 30001}, {"port": 2, "nodePort": 30001}]});
        assert!(matches!(refill(&mut spec, &json!({}), &mut Ports::new(), LIMITS), Taken::Twice(_, 30_001)));
    }

    #[test]
    fn load_balancers_may_do_without() {
        let mut spec = json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [{"port": 80}]});
        assert!(matches!(fill(&mut spec, &mut Ports::new(), LIMITS), Taken::All));
        assert!(spec["ports"][0]["nodePort"].is_null());
        let mut spec = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]});
        assert!(matches!(fill(&mut spec, &mut Ports::new(), LIMITS), Taken::All));
        assert_eq!(taken(&spec).len(), 2);
    }
}

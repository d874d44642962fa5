//! What of a service does not change, and what a client should know of one that is taken.

use serde_json::Value;

use super::check::{check_class, is_headless};
use super::needs_health_check;
use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::kinds::{address, format};

type Errors = Vec<FieldError>;

/// The faults of a change.
pub(in crate::api::kinds) fn check_change(new: &Value, old: &Value, errors: &mut Errors) {
    let (own, stored) = (Field::new(new, ""), Field::new(old, ""));
    let (own, stored) = (own.at("spec"), stored.at("spec"));
    let is = |kind: &str| (own.value()["type"] == kind, stored.value()["type"] == kind);
    if is("ExternalName") == (false, false) {
        check_addresses(&own, &stored, errors);
        check_families(&own, &stored, errors);
    }
    let class = own.at("loadBalancerClass");
    if is("LoadBalancer") == (true, true) && *class.value() != stored.value()["loadBalancerClass"] {
        errors.push(FieldError::invalid(class.to_string(), class.value(), CHANGED));
    }
    check_class(&own, errors);
    let check = own.at("healthCheckNodePort");
    let both = needs_health_check(stored.value()) && needs_health_check(own.value());
    if both && *check.value() != stored.value()["healthCheckNodePort"] {
        errors.push(check.forbidden("field is immutable"));
    }
}

/// The first address stays; a second comes and goes with the policy.
fn check_addresses(own: &Field<'_, '_>, stored: &Field<'_, '_>, errors: &mut Errors) {
    if is_headless(own) && is_headless(stored) {
        return;
    }
    let (new, old) = (format::texts(&own.value()["clusterIPs"]), format::texts(&stored.value()["clusterIPs"]));
    let all = own.at("clusterIPs");
    let mut changed = |at: usize, fault: &str| {
        errors.push(FieldError::invalid(format!("{all}[{at}]"), all.value(), fault));
    };
    if new.len() == old.len() {
        (0..new.len()).filter(|at| new[*at] != old[*at]).for_each(|at| changed(at, CHANGED));
        return;
    }
    match (new.first(), old.first()) {
        (None, _) => changed(0, "primary clusterIP can not be unset"),
        (Some(new), Some(old)) if new != old => changed(0, CHANGED),
        _ => {}
    }
    check_released((new.len(), old.len()), own, ("clusterIP", errors));
}

fn check_families(own: &Field<'_, '_>, stored: &Field<'_, '_>, errors: &mut Errors) {
    if is_headless(own) || is_headless(stored) {
        return;
    }
    let (families, addresses) = (own.at("ipFamilies"), own.at("clusterIPs"));
    let (new, old) = (format::texts(families.value()), format::texts(&stored.value()["ipFamilies"]));
    let mut changed = |shown: &Value, fault: &str| {
        errors.push(FieldError::invalid(format!("{families}[0]"), shown, fault));
    };
    if new.len() == old.len() {
        new.iter().zip(&old).filter(|(new, old)| new != old).for_each(|_| changed(families.value(), CHANGED));
        return;
    }
    if new.len() < old.len() && addresses.is_empty() {
        changed(families.value(), "primary ipFamily can not be unset");
    }
    if let (Some(new), Some(old)) = (new.first(), old.first())
        && new != old
    {
        changed(addresses.value(), CHANGED);
    }
    check_released((new.len(), old.len()), own, ("ipFamily", errors));
}

/// Only who wants one family may let go of the second.
fn check_released((new, old): (usize, usize), own: &Field<'_, '_>, (what, errors): (&str, &mut Errors)) {
    let policy = own.at("ipFamilyPolicy");
    if new == 1 && old > new && policy.text() != "SingleStack" {
        let fault = format!("must be set to 'SingleStack' when releasing the secondary {what}");
        errors.push(FieldError::invalid(policy.to_string(), policy.value(), &fault));
    }
}

/// What a client should know of a service that is taken.
pub(in crate::api::kinds) fn warn(new: &Value, warnings: &mut Vec<String>) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    let text = |member: &str| spec.value()[member].as_str().unwrap_or("");
    let (kind, addressed) = (text("type"), !matches!(text("clusterIP"), "" | "None"));
    let headless = kind == "ClusterIP" && text("clusterIP") == "None";
    let external = spec.at("externalIPs");
    if new["metadata"]["annotations"].get("service.kubernetes.io/topology-aware-hints").is_some() {
        let text = "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use \
                    service.kubernetes.io/topology-mode instead";
        warnings.push(text.to_owned());
    }
    if addressed {
        spec.at("clusterIPs").items().for_each(|own| address::warn(&own, warnings));
    }
    for (applies, what) in [
        (!text("loadBalancerIP").is_empty(), "loadBalancerIP"),
        (!external.is_empty(), "externalIPs"),
        (text("sessionAffinity") != "None", "SessionAffinity"),
    ] {
        if headless && applies {
            warnings.push(format!("spec.{what} is ignored for headless services"));
        }
    }
    external.items().for_each(|own| address::warn(&own, warnings));
    if !external.is_empty() && !headless && kind != "ExternalName" {
        warnings.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned());
    }
    address::warn(&spec.at("loadBalancerIP"), warnings);
    spec.at("loadBalancerSourceRanges").items().for_each(|own| address::warn_network(&own, warnings));
    if kind == "ExternalName" && !external.is_empty() {
        warnings.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    }
    if kind != "ExternalName" && !text("externalName").is_empty() {
        warnings.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    if text("trafficDistribution") == "PreferClose" {
        warnings.push("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".to_owned());
    }
}

const CHANGED: &str = "may not change once set";

//! Families of addresses: what a service means that says nothing, and what it cannot have here (contract 8.9).

use serde_json::{Value, json};

use super::check;
use crate::api::error::FieldError;
use crate::api::kinds::address::Known;
use crate::api::kinds::field::{Field, is_empty};

/// Fills `ipFamilyPolicy` and `ipFamilies` for a cluster that has addresses of these families, its own first.
///
/// # Errors
/// The faults of a wish that cannot be.
pub(super) fn settle(service: &mut Value, known: &[&'static str]) -> Result<(), Vec<FieldError>> {
    let headless = service["spec"]["clusterIPs"][0] == "None";
    let bare = headless && is_empty(&service["spec"]["selector"]);
    if is_empty(&service["spec"]["ipFamilyPolicy"]) {
        service["spec"]["ipFamilyPolicy"] = Value::from(if bare { "RequireDualStack" } else { "SingleStack" });
    }
    let mut errors = Vec::new();
    check::addresses(&Field::new(&service["spec"], "spec"), &Known::new(), &mut errors);
    if errors.is_empty() {
        infer(service, known, &mut errors);
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let spec = &mut service["spec"];
    let single = spec["ipFamilyPolicy"] == "SingleStack";
    let own = known.first().copied().unwrap_or("IPv4");
    if is_empty(&spec["ipFamilies"]) && bare {
        spec["ipFamilies"] = json!([own]);
    }
    if bare {
        if !single {
            second(spec, &["IPv4", "IPv6"]);
        }
        return Ok(());
    }
    refuse(spec, known, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    if is_empty(&spec["ipFamilies"]) {
        spec["ipFamilies"] = json!([own]);
    }
    if !single {
        second(spec, known);
    }
    Ok(())
}

/// The family of an address.
pub(super) fn of(address: &str) -> &'static str {
    if address.contains(':') { "IPv6" } else { "IPv4" }
}

/// Families that the addresses tell.
fn infer(service: &mut Value, known: &[&str], errors: &mut Vec<FieldError>) {
    let addresses: Vec<String> =
        service["spec"]["clusterIPs"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let mut families = service["spec"]["ipFamilies"].as_array().cloned().unwrap_or_default();
    for (at, address) in addresses.iter().enumerate().take_while(|(_, address)| *address != "None") {
        if at < families.len() {
            continue;
        }
        let family = of(address);
        if known.contains(&family) {
            families.push(Value::from(family));
        } else {
            let fault = format!("{family} is not configured on this cluster");
            errors.push(FieldError::invalid(format!("spec.clusterIPs[{at}]"), &json!(addresses), &fault));
        }
    }
    if !families.is_empty() {
        service["spec"]["ipFamilies"] = Value::from(families);
    }
}

fn refuse(spec: &Value, known: &[&str], errors: &mut Vec<FieldError>) {
    let policy = &spec["ipFamilyPolicy"];
    let several = |member: &str| spec[member].as_array().is_some_and(|list| list.len() > 1);
    if policy == "SingleStack" {
        for (member, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
            if several(member) {
                let fault = format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
                errors.push(FieldError::invalid("spec.ipFamilyPolicy", policy, &fault));
            }
        }
    }
    if policy == "RequireDualStack" && known.len() < 2 {
        errors.push(FieldError::invalid("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services"));
    }
    for (at, family) in spec["ipFamilies"].as_array().into_iter().flatten().enumerate() {
        if !known.iter().any(|known| family == known) {
            errors.push(FieldError::invalid(format!("spec.ipFamilies[{at}]"), family, "not configured on this cluster"));
        }
    }
}

/// Adds the other of two families.
fn second(spec: &mut Value, families: &[&str]) {
    if let Some(own) = spec["ipFamilies"].as_array_mut().filter(|own| own.len() == 1) {
        let other = families.iter().find(|family| own[0] != **family);
        own.extend(other.map(|family| Value::from(*family)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(spec: Value, known: &[&'static str]) -> Result<(Value, Value), String> {
        let mut service = json!({"spec": spec});
        match settle(&mut service, known) {
            Ok(()) => Ok((service["spec"]["ipFamilyPolicy"].clone(), service["spec"]["ipFamilies"].clone())),
            Err(errors) => Err(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        }
    }

    #[test]
    fn families() {
        let (four, six, both) = (json!(["IPv4"]), json!(["IPv6"]), json!(["IPv4", "IPv6"]));
        #[rustfmt::skip]
        let rows = [
            (json!({"selector": {"a": "b"}}), vec!["IPv4"], Ok((json!("SingleStack"), four.clone()))),
            (json!({}), vec!["IPv6", "IPv4"], Ok((json!("SingleStack"), six.clone()))),
            (json!({"clusterIP": "None", "clusterIPs": ["None"]}), vec!["IPv4"], Ok((json!("RequireDualStack"), both.clone()))),
            (json!({"clusterIP": "None", "clusterIPs": ["None"], "selector": {"a": "b"}}), vec!["IPv4"], Ok((json!("SingleStack"), four.clone()))),
            (json!({"ipFamilyPolicy": "PreferDualStack"}), vec!["IPv4"], Ok((json!("PreferDualStack"), four.clone()))),
            (json!({"ipFamilyPolicy": "PreferDualStack"}), vec!["IPv4", "IPv6"], Ok((json!("PreferDualStack"), both.clone()))),
            (json!({"ipFamilyPolicy": "RequireDualStack"}), vec!["IPv4"], Err("spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services")),
            (json!({"ipFamilies": ["IPv6"]}), vec!["IPv4"], Err("spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster")),
            (json!({"clusterIP": "fd00::5", "clusterIPs": ["fd00::5"]}), vec!["IPv4"], Err("spec.clusterIPs[0]: Invalid value: [\"fd00::5\"]: IPv6 is not configured on this cluster")),
            (json!({"ipFamilies": ["IPv4", "IPv6"]}), vec!["IPv4", "IPv6"], Err("spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified")),
        ];
        for (spec, known, expected) in rows {
            assert_eq!(settled(spec.clone(), &known), expected.map_err(str::to_owned), "{spec}");
        }
    }
}

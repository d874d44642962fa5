//! What has become of a claim: the devices it got, what drivers report of them, and who uses them.

use std::collections::HashSet;
use std::net::IpAddr;

use serde_json::Value;

use super::claim::{self, Names};
use super::{device, form, unchanged};
use crate::api::error::{FieldError, quoted};
use crate::api::kinds::field::{Field, is_empty};
use crate::api::kinds::selector;
use crate::api::kinds::write::Write;

/// The reports of devices that a claim no longer has go with them.
pub(in crate::api::kinds) fn prepare(new: &mut Value, old: &Value) {
    let results = |claim: &Value| -> HashSet<String> {
        let results = claim["status"]["allocation"]["devices"]["results"].as_array();
        results.into_iter().flatten().map(identity).collect()
    };
    let kept = results(new);
    let gone: HashSet<String> = results(old).into_iter().filter(|device| !kept.contains(device)).collect();
    let Some(status) = new["status"].as_object_mut() else { return };
    if let Some(devices) = status.get_mut("devices").and_then(Value::as_array_mut) {
        devices.retain(|device| !gone.contains(&identity(device)));
    }
    if status.get("devices").is_some_and(is_empty) {
        status.remove("devices");
    }
}

/// `driver/pool/device`, and the share of it.
fn identity(device: &Value) -> String {
    let text = |member: &str| device[member].as_str().unwrap_or("");
    let whole = format!("{}/{}/{}", text("driver"), text("pool"), text("device"));
    if text("shareID").is_empty() { whole } else { format!("{whole}/{}", text("shareID")) }
}

pub(super) fn check(write: &Write<'_>, errors: &mut Vec<FieldError>) {
    let root = write.root();
    let (status, spec) = (root.at("status"), root.at("spec"));
    let devices = spec.at("devices");
    let names = Names::of(&devices);
    let users = status.at("reservedFor");
    if form::fits(&users, 256, errors) {
        for user in users.items() {
            ["resource", "name", "uid"].iter().for_each(|member| {
                user.at(member).require(errors);
            });
        }
        form::unique(&users, |user| user.at("uid").text().to_owned(), errors);
    }
    let allocation = status.at("allocation");
    check_reports(&status.at("devices"), &allocation, errors);
    let old = &write.old["status"];
    if !users.is_empty() && allocation.is_absent() {
        errors.push(users.forbidden("may not be specified when `allocated` is not set"));
    } else if write.new["metadata"]["deletionTimestamp"].is_string() {
        let stored: HashSet<String> = old["reservedFor"].as_array().into_iter().flatten().map(Value::to_string).collect();
        if users.items().any(|user| !stored.contains(&user.value().to_string())) {
            let detail = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
            errors.push(users.forbidden(detail));
        }
    }
    if allocation.is_absent() {
    } else if old["allocation"].is_null() {
        check_allocation(&allocation, &names, errors);
    } else {
        unchanged(&allocation, &old["allocation"], "AllocationResult", errors);
    }
}

fn check_reports(reports: &Field<'_, '_>, allocation: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let devices = allocation.at("devices");
    let allocated: HashSet<String> = devices.at("results").items().map(|result| identity(result.value())).collect();
    for report in reports.items() {
        form::driver(&report.at("driver"), errors);
        form::pool(&report.at("pool"), errors);
        form::label(&report.at("device"), errors);
        form::uid(&report.at("shareID"), errors);
        let own = identity(report.value());
        if !allocated.contains(&own) {
            errors.push(report.invalid_as(&own, "must be an allocated device in the claim"));
        }
        report.at("conditions").at_most(8, errors);
        selector::conditions(&report.at("conditions"), errors);
        if !report.at("data").is_absent() {
            claim::check_raw(&report.at("data"), false, errors);
        }
        check_network(&report.at("networkData"), errors);
    }
    let mut seen = HashSet::new();
    for report in reports.items() {
        let own = identity(report.value());
        if seen.contains(&own) {
            errors.push(FieldError::duplicate_of(report.to_string(), &own));
        }
        seen.insert(own);
    }
}

fn check_network(network: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    network.at("interfaceName").at_most_bytes(256, errors);
    network.at("hardwareAddress").at_most_bytes(128, errors);
    let addresses = network.at("ips");
    if !form::fits(&addresses, 16, errors) {
        return;
    }
    for address in addresses.items() {
        match canonical(address.text()) {
            None => errors.push(address.invalid("must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)")),
            Some(one) if one != address.text() => {
                errors.push(address.invalid(&format!("must be in canonical form ({})", quoted(&one))));
            }
            Some(_) => {}
        }
    }
    form::unique(&addresses, |address| address.text().to_owned(), errors);
}

/// The one form of an address with the length of its network; leading zeroes are read as decimal.
fn canonical(text: &str) -> Option<String> {
    let (address, length) = text.split_once('/')?;
    let plain = |part: &str| match part.trim_start_matches('0') {
        "" if !part.is_empty() => "0".to_owned(),
        rest => rest.to_owned(),
    };
    let sloppy = address.split('.').map(plain).collect::<Vec<_>>().join(".");
    let parsed: IpAddr = if address.contains(':') { address.parse().ok()? } else { sloppy.parse().ok()? };
    let bits: u8 = length.parse().ok().filter(|_| length.bytes().all(|byte| byte.is_ascii_digit()))?;
    match parsed {
        IpAddr::V4(own) if bits <= 32 => Some(format!("{own}/{bits}")),
        IpAddr::V6(own) if bits <= 128 => Some(match own.to_ipv4_mapped() {
            Some(mapped) => format!("{mapped}/{}", if bits > 32 { bits.saturating_sub(96) } else { bits }),
            None => format!("{own}/{bits}"),
        }),
        _ => None,
    }
}

fn check_allocation(allocation: &Field<'_, '_>, names: &Names<'_>, errors: &mut Vec<FieldError>) {
    let devices = allocation.at("devices");
    let results = devices.at("results");
    if form::fits(&results, 32, errors) {
        results.items().for_each(|result| check_result(&result, names, errors));
    }
    let config = devices.at("config");
    if form::fits(&config, 64, errors) {
        for item in config.items() {
            item.at("source").require_one_of(&["FromClaim", "FromClass"], errors);
            claim::check_references(&item.at("requests"), names, errors);
            claim::check_opaque(&item.at("opaque"), false, errors);
        }
    }
    if !allocation.at("nodeSelector").is_absent() {
        selector::nodes(&allocation.at("nodeSelector"), errors);
    }
}

fn check_result(result: &Field<'_, '_>, names: &Names<'_>, errors: &mut Vec<FieldError>) {
    claim::check_reference(&result.at("request"), names, errors);
    form::driver(&result.at("driver"), errors);
    form::pool(&result.at("pool"), errors);
    form::label(&result.at("device"), errors);
    device::check_binding(result, errors);
    result.at("tolerations").items().for_each(|toleration| claim::check_toleration(&toleration, errors));
    form::uid(&result.at("shareID"), errors);
}

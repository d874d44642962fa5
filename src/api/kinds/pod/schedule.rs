//! The rules of what scheduling and resolving of names need to know: tolerations, gates, addresses.

use std::collections::HashSet;

use crate::api::error::FieldError;
use crate::api::kinds::address::{self, Known};
use crate::api::kinds::field::{Field, is_full};
use crate::api::meta::name;

/// `tolerations`
pub(in crate::api::kinds) fn check_tolerations(list: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    for item in list.items() {
        if is_full(errors) {
            return;
        }
        let (key, operator, effect) = (item.at("key"), item.at("operator"), item.at("effect"));
        key.named(name::qualified, errors);
        if key.is_empty() && operator.text() != "Exists" {
            let fault = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.push(operator.invalid(fault));
        }
        if !item.at("tolerationSeconds").is_absent() && effect.text() != "NoExecute" {
            errors.push(effect.invalid("effect must be 'NoExecute' when `tolerationSeconds` is set"));
        }
        let value = item.at("value");
        match operator.text() {
            "" | "Equal" => {
                let faults = name::label_value(value.text());
                if !faults.is_empty() {
                    errors.push(operator.invalid_text(value.text(), &faults.join(";")));
                }
            }
            "Exists" if !value.is_empty() => {
                errors.push(operator.invalid_text(value.text(), "value must be empty when `operator` is 'Exists'"));
            }
            "Exists" => {}
            _ => errors.push(operator.unsupported(&["Equal", "Exists"])),
        }
        effect.one_of(&["NoSchedule", "PreferNoSchedule", "NoExecute"], errors);
    }
}

/// `readinessGates`
pub(super) fn check_readiness(list: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    for gate in list.items() {
        if is_full(errors) {
            return;
        }
        gate.at("conditionType").formed(name::qualified, errors);
    }
}

/// `schedulingGates`. kube-apiserver tells their names at the items.
pub(super) fn check_gates(list: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for gate in list.items() {
        if is_full(errors) {
            return;
        }
        let own = gate.at("name").text();
        errors.extend(name::qualified(own).iter().map(|fault| gate.invalid_text(own, fault)));
        if !seen.insert(own) {
            errors.push(gate.duplicate_of(own));
        }
    }
}

/// `resourceClaims`
pub(super) fn check_claims(list: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for claim in list.items() {
        if is_full(errors) {
            return;
        }
        let own = claim.at("name");
        if !own.require(errors).is_empty() {
            if seen.insert(own.text()) {
                own.named(name::label, errors);
            } else {
                errors.push(own.duplicate());
            }
        }
        let (named, made) = (claim.at("resourceClaimName"), claim.at("resourceClaimTemplateName"));
        let fault = match (named.is_absent(), made.is_absent()) {
            (false, false) => Some("at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"),
            (true, true) => Some("must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"),
            _ => None,
        };
        if let Some(fault) = fault {
            let printed = crate::api::kinds::internal::print("PodResourceClaim", claim.value());
            errors.push(claim.invalid_as(&printed, fault));
        }
        for reference in [&named, &made] {
            if !reference.is_absent() {
                reference.formed(name::subdomain, errors);
            }
        }
    }
}

/// `dnsPolicy` and `dnsConfig`
pub(super) fn check_resolver(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let config = spec.at("dnsConfig");
    let servers = config.at("nameservers");
    if spec.at("dnsPolicy").text() == "None" {
        if config.is_absent() {
            errors.push(config.required("must provide `dnsConfig` when `dnsPolicy` is None"));
            return;
        }
        if servers.is_empty() {
            errors.push(servers.required("must provide at least one DNS nameserver when `dnsPolicy` is None"));
            return;
        }
    }
    if servers.len() > 3 {
        errors.push(servers.invalid("must not have more than 3 nameservers"));
    }
    for server in servers.items() {
        if is_full(errors) {
            return;
        }
        check_address(&server, errors);
    }
    let searches = config.at("searches");
    if searches.len() > 32 {
        errors.push(searches.invalid("must not have more than 32 search paths"));
    }
    let size: usize = searches.texts().map(|search| search.len() + 1).sum();
    if size > 2049 {
        errors.push(searches.invalid("must not have more than 2048 characters (including spaces) in the search list"));
    }
    for search in searches.items().filter(|search| search.text() != ".") {
        if is_full(errors) {
            return;
        }
        let text = search.text().strip_suffix('.').unwrap_or(search.text());
        errors.extend(name::searched(text).iter().map(|fault| search.invalid_text(text, fault)));
    }
    for option in config.at("options").items() {
        if option.at("name").is_empty() {
            errors.push(option.required("must not be empty"));
        }
    }
}

/// `hostAliases`
pub(super) fn check_aliases(list: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    for alias in list.items() {
        if is_full(errors) {
            return;
        }
        check_address(&alias.at("ip"), errors);
        for host in alias.at("hostnames").items() {
            host.formed(name::subdomain, errors);
        }
    }
}

/// An address.
pub(super) fn check_address(own: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    address::legacy(own, &Known::new(), errors);
}

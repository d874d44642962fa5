//! IPAddresses and ServiceCIDRs.

use serde_json::Value;

use crate::api::error::FieldError;
use crate::api::kinds::address::{self, Network};
use crate::api::kinds::field::Field;
use crate::api::kinds::format;
use crate::api::meta::name;

type Errors = Vec<FieldError>;

/// The faults of an IPAddress.
pub(in crate::api::kinds) fn check_address(new: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    let parent = spec.at("parentRef");
    if parent.is_absent() {
        errors.push(parent.required(""));
        return;
    }
    parent.at("group").named(name::subdomain, errors);
    parent.at("resource").require_named(name::segment, errors);
    parent.at("name").require_named(name::segment, errors);
    parent.at("namespace").named(name::segment, errors);
}

/// The faults of an IPAddress' change.
pub(in crate::api::kinds) fn check_address_change(new: &Value, old: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    format::fixed_as(&root.at("spec").at("parentRef"), "ParentReference", &old["spec"]["parentRef"], errors);
}

/// The faults of a ServiceCIDR.
pub(in crate::api::kinds) fn check(new: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    let list = spec.at("cidrs");
    match list.len() {
        0 => return errors.push(list.required("at least one CIDR required")),
        1 | 2 => {}
        _ => {
            let fault = "may only hold up to 2 values";
            return errors.push(format::invalid_as(&spec.as_at("cidrs"), "ServiceCIDRSpec", fault));
        }
    }
    list.items().for_each(|own| address::strict_network(&own, errors));
    let networks: Vec<Option<Network>> = list.items().map(|own| Network::read(own.text())).collect();
    if let [Some(one), Some(other)] = networks.as_slice()
        && one.is_six() == other.is_six()
    {
        errors.push(list.invalid("may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"));
    }
}

/// The faults of a ServiceCIDR's change: a second network may be added.
pub(in crate::api::kinds) fn check_change(new: &Value, old: &Value, errors: &mut Errors) {
    let root = Field::new(new, "");
    let spec = root.at("spec");
    let list = spec.at("cidrs");
    let before = format::texts(&old["spec"]["cidrs"]);
    match (before.len(), list.len()) {
        (1, 2) => {
            errors.extend(list.items().zip(&before).filter(|(own, old)| own.text() != **old).map(|(own, _)| unchanged(&own)));
            check(new, errors);
        }
        (old, new) if old == new => {
            errors.extend(list.items().zip(&before).filter(|(own, old)| own.text() != **old).map(|(own, _)| unchanged(&own)));
        }
        _ => errors.push(FieldError::invalid(list.to_string(), list.value(), format::IMMUTABLE)),
    }
}

fn unchanged(field: &Field<'_, '_>) -> FieldError {
    field.invalid(format::IMMUTABLE)
}

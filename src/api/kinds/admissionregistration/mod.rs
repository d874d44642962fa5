//! `admissionregistration.k8s.io`: webhook configurations, admission policies and their bindings. Expressions are not compiled here.

mod policy;
mod rule;
mod webhook;

use super::write::Write;
use crate::api::error::FieldError;
use crate::api::meta::name;

pub(super) fn check(write: &Write<'_>, errors: &mut Vec<FieldError>) {
    match write.kind.plural.as_str() {
        "validatingadmissionpolicies" if write.part == super::Part::Status => policy::check_status(write, errors),
        "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => {
            write.bare_metadata(name::subdomain, errors);
            webhook::check(write, errors);
        }
        "validatingadmissionpolicies" | "mutatingadmissionpolicies" => {
            write.bare_metadata(name::subdomain, errors);
            policy::check(write, errors);
        }
        _ => {
            write.bare_metadata(name::subdomain, errors);
            policy::check_binding(write, errors);
        }
    }
}

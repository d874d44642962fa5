//! APIServices: a name that tells group and version, priorities, and the service behind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Part;
use super::field::Field;
use super::write::Write;
use crate::api::error::{FieldError, quoted};
use crate::api::meta::{self, name};

pub(super) fn check(write: &Write<'_>, errors: &mut Vec<FieldError>) {
    let root = write.root();
    write.bare_change(errors);
    if write.part == Part::Status {
        let status = root.at("status");
        for condition in status.at("conditions").items() {
            condition.at("status").require_one_of(&["True", "False", "Unknown"], errors);
        }
        return;
    }
    let spec = root.at("spec");
    let wanted = format!("{}.{}", spec.at("version").text(), spec.at("group").text());
    let rule = |own: &str| {
        let faults = name::segment(own);
        if faults.is_empty() && own != wanted {
            return vec![format!("must be `spec.version+\".\"+spec.group`: {}", quoted(&wanted))];
        }
        faults
    };
    let faults = meta::check_named(write.new, &rule, write.kind.namespaced);
    errors.extend(faults.into_iter().filter(|fault| !fault.field.starts_with("metadata.finalizers[")));
    check_spec(&spec, errors);
}

fn check_spec(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let (group, version) = (spec.at("group"), spec.at("version"));
    if group.is_empty() && version.text() != "v1" {
        errors.push(group.required("only v1 may have an empty group and it better be legacy kube"));
    }
    group.named(name::subdomain, errors);
    errors.extend(name::label_1035(version.text()).iter().map(|fault| version.invalid(fault)));
    for (member, most) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1_000)] {
        if !(1..=most).contains(&spec.at(member).count()) {
            errors.push(spec.at(member).invalid_number(&format!("must be positive and less than {most}")));
        }
    }
    let (service, bundle, insecure) = (spec.at("service"), spec.at("caBundle"), spec.at("insecureSkipTLSVerify"));
    if service.is_absent() {
        if !bundle.is_empty() {
            let bytes = STANDARD.decode(bundle.text()).map_or(0, |bytes| bytes.len());
            errors.push(bundle.invalid_text(&format!("{bytes} bytes"), "local APIServices may not have a caBundle"));
        }
        if insecure.is_true() {
            errors.push(insecure.invalid("local APIServices may not have insecureSkipTLSVerify"));
        }
        return;
    }
    service.at("namespace").require(errors);
    service.at("name").require(errors);
    let port = service.at("port");
    if !(1..=65535).contains(&port.count()) {
        errors.push(port.invalid_number("port is not valid: must be between 1 and 65535, inclusive"));
    }
    if insecure.is_true() && !bundle.is_empty() {
        errors.push(insecure.invalid("may not be true if caBundle is present"));
    }
}

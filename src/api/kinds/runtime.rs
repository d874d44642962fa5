//! RuntimeClasses: the handler, what it costs, and where it runs.

use std::collections::HashSet;

use super::field::Field;
use super::write::Write;
use super::{internal, pod};
use crate::api::error::FieldError;
use crate::api::meta::name;

pub(super) fn check(write: &Write<'_>, errors: &mut Vec<FieldError>) {
    let root = write.root();
    if !write.is_create() {
        write.bare_change(errors);
        root.at("handler").immutable(&write.old["handler"], errors);
        return;
    }
    write.bare_metadata(name::subdomain, errors);
    root.at("handler").require_named(name::label, errors);
    let (overhead, scheduling) = (root.at("overhead"), root.at("scheduling"));
    if !overhead.is_absent() {
        pod::check_overhead(&overhead.with(overhead.at("podFixed").value()), errors);
    }
    scheduling.at("nodeSelector").labels(errors);
    check_tolerations(&scheduling.at("tolerations"), errors);
}

/// The tolerations that a class gives its pods; each may stand there once.
fn check_tolerations(tolerations: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    pod::check_tolerations(tolerations, errors);
    let mut seen = HashSet::new();
    for toleration in tolerations.items() {
        let shown = internal::print("Toleration", toleration.value());
        if seen.contains(&shown) {
            errors.push(FieldError::duplicate_of(toleration.to_string(), &shown));
        } else {
            seen.insert(shown);
        }
    }
}

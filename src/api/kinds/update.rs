//! In which order a kind is checked when it changes: the order of the causes is that of kube-apiserver's checks.

use serde_json::Value;

use super::{Part, name_rule};
use crate::api::catalog::Kind;
use crate::api::error::FieldError;
use crate::api::meta;

/// One check of a changed object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Of the metadata, against what it was.
    Moved,
    /// Of the metadata by itself.
    Metadata,
    /// Of the object by itself.
    Whole,
    /// Of the object, against what it was.
    Change,
    /// Of a new state.
    Status,
}

/// The checks of a change of a part, after those that all kinds have.
pub(super) fn steps(kind: &Kind, part: Part) -> &'static [Step] {
    use Step::{Change, Metadata, Moved, Status, Whole};
    match (kind.group.as_str(), kind.plural.as_str(), part) {
        ("", "namespaces", Part::Finalize) => &[Moved, Change],
        ("storage.k8s.io", "volumeattachments", _) => &[Metadata, Whole, Metadata, Whole, Change],
        (_, _, Part::Status) => &[Moved, Status],
        ("", "services" | "configmaps" | "secrets", _) | ("networking.k8s.io", "ingressclasses", _) => {
            &[Moved, Change, Metadata, Whole]
        }
        ("networking.k8s.io", "networkpolicies", _) | ("coordination.k8s.io", "leases", _) => &[Moved, Whole],
        ("networking.k8s.io", "ipaddresses" | "servicecidrs", _) => &[Metadata, Whole, Moved, Change],
        ("discovery.k8s.io", "endpointslices", _) => &[Metadata, Whole, Change],
        ("", "nodes" | "namespaces", _) => &[Metadata, Whole, Moved, Change],
        ("", "persistentvolumes", _) | ("storage.k8s.io", "csinodes", _) => &[Metadata, Whole, Metadata, Whole, Change],
        ("", "persistentvolumeclaims", _) => &[Metadata, Whole, Moved, Metadata, Whole, Change],
        ("", "resourcequotas", _) | ("storage.k8s.io", "csidrivers", _) => &[Moved, Whole, Change],
        ("", "limitranges", _) => &[Metadata, Whole],
        ("", "events", _) => &[Whole],
        ("events.k8s.io", "events", _) => &[Whole, Moved, Change],
        ("storage.k8s.io", "storageclasses" | "csistoragecapacities", _) => &[Metadata, Whole, Moved, Change],
        ("storage.k8s.io", "volumeattributesclasses", _) => &[Metadata, Whole, Moved, Change, Metadata, Whole],
        _ => &[Moved, Metadata, Whole, Change],
    }
}

/// The faults of metadata by itself.
pub(super) fn check_meta(kind: &Kind, new: &Value, errors: &mut Vec<FieldError>) {
    let check = if is_lenient(kind) { meta::check_leniently } else { meta::check };
    errors.extend(check(new, name_rule(kind), kind.namespaced));
}

/// The faults of changed metadata.
pub(super) fn check_moved_meta(kind: &Kind, (new, old): (&Value, &Value), errors: &mut Vec<FieldError>) {
    let check = if is_lenient(kind) { meta::check_update } else { meta::check_change };
    errors.extend(check(new, old));
}

/// Whether finalizers need no domain.
fn is_lenient(kind: &Kind) -> bool {
    LENIENT.contains(&kind.group.as_str())
}

/// Groups whose checks of metadata are not those of kube-apiserver's own kinds.
const LENIENT: [&str; 5] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "coordination.k8s.io",
    "internal.apiserver.k8s.io",
];

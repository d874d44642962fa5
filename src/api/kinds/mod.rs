//! What is special about a kind and no table can say: defaults, allocation, cross-field rules, immutability. One small file a kind.
//!
//! Each hook is one `match` over the resource; what every kind has in common stands in `strategy`.

mod account;
mod address;
mod admissionregistration;
mod aggregation;
mod autoscaling;
mod config;
mod default;
mod event;
mod field;
mod flowcontrol;
mod follow;
mod format;
mod internal;
mod job;
mod lease;
mod limit;
mod namespace;
mod network;
mod node;
mod pod;
mod policy;
mod priority;
mod quantity;
mod quota;
mod rbac;
mod resource;
mod runtime;
mod secret;
mod selector;
mod service;
mod signing;
mod storage;
mod strategy;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod update;
mod url;
mod workload;
mod write;

use serde_json::Value;

use super::Api;
use super::catalog::Kind;
use super::error::FieldError;
use super::meta::{self, NameRule, name};
use super::registry::Aim;
use super::removal::Plan;
use crate::policy::Permit;
use crate::request::DeleteOptions;
use crate::status::Status;
use update::Step;
use write::{Rules, Write};

pub(crate) use field::{is_empty, selects};
pub(crate) use follow::{dangling, follow, follow_all};
pub(crate) use pod::qos;
pub(crate) use service::{NodePorts, Range, repair};

/// The part of an object that a write may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but the status.
    Whole,
    /// The status, and most of the metadata.
    Status,
    /// `spec.replicas`.
    Scale,
    /// A pod's node.
    Binding,
    /// A namespace's `spec.finalizers`.
    Finalize,
    /// A signing request's approval.
    Approval,
    /// A pod's ephemeral containers.
    Ephemeral,
    /// The resources of a pod's containers.
    Resize,
}

impl Part {
    /// The subresource of this name; empty for the whole.
    pub(crate) fn subresource(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Binding => "binding",
            Self::Finalize => "finalize",
            Self::Approval => "approval",
            Self::Ephemeral => "ephemeralcontainers",
            Self::Resize => "resize",
        }
    }
}

/// Fills what kube-apiserver's defaulting functions fill (contract 7.4), for a body of this kind and version.
/// Runs after decoding, on create, update and patch, and on what is read from storage.
pub fn default(kind: &Kind, value: &mut Value) {
    default::fill(kind, value);
}

/// The warning of a deprecated resource.
pub(crate) fn deprecation(kind: &Kind) -> Option<&'static str> {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "endpoints") => Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
        ("", "componentstatuses") => Some("v1 ComponentStatus is deprecated in v1.19+"),
        _ => None,
    }
}

/// Makes a new object what the kind wants it to be before it is checked.
pub(crate) fn prepare_create(kind: &Kind, permit: &Permit, new: &mut Value) {
    strategy::prepare_create(kind, new);
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => pod::prepare_create(new),
        ("", "namespaces") => namespace::prepare_create(new),
        ("", "secrets") => secret::prepare(new, None),
        ("", "services") => service::prepare_create(new),
        ("", "nodes") => node::prepare(new, None),
        ("", "serviceaccounts") => account::prepare(new),
        ("", "persistentvolumes") => storage::prepare_volume(new),
        ("", "persistentvolumeclaims") => storage::prepare_claim(new, None),
        ("coordination.k8s.io", "leases") => lease::prepare(new, None),
        ("discovery.k8s.io", "endpointslices") => network::drop_topology(new, None),
        ("storage.k8s.io", "csidrivers") => storage::prepare_driver(new, None),
        ("batch", "jobs") => job::prepare_create(new),
        ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets") | ("", "replicationcontrollers") => {
            drop_disabled(new, "/spec/template/spec", &Value::Null);
            match kind.plural.as_str() {
                "daemonsets" => workload::prepare_daemon(new, None),
                "statefulsets" => workload::prepare_stateful(new, &Value::Null),
                _ => {}
            }
        }
        ("", "podtemplates") => drop_disabled(new, "/template/spec", &Value::Null),
        ("batch", "cronjobs") => drop_disabled(new, "/spec/jobTemplate/spec/template/spec", &Value::Null),
        ("certificates.k8s.io", "certificatesigningrequests") => signing::prepare_create(permit, new),
        ("resource.k8s.io", "resourceslices") => resource::prepare(new, &Value::Null),
        _ => {}
    }
}

/// Makes an updated object what the kind wants it to be before it is checked.
pub(crate) fn prepare_update(kind: &Kind, part: Part, new: &mut Value, old: &Value) {
    match part {
        Part::Binding => return,
        Part::Whole | Part::Scale => strategy::keep_status(kind, new, old),
        Part::Status => strategy::keep_all_but_status(kind, new, old),
        Part::Finalize => new["status"] = old["status"].clone(),
        Part::Approval => signing::keep_all_but_approval(new, old),
        Part::Ephemeral => pod::keep_all_but_ephemeral(new, old),
        Part::Resize => pod::keep_all_but_resources(new, old),
    }
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => pod::prepare_update(part, new, old),
        ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets") | ("", "replicationcontrollers") => {
            drop_disabled(new, "/spec/template/spec", old);
            match kind.plural.as_str() {
                "daemonsets" if part == Part::Whole => workload::prepare_daemon(new, Some(old)),
                "statefulsets" => workload::prepare_stateful(new, old),
                _ => {}
            }
        }
        ("", "podtemplates") => drop_disabled(new, "/template/spec", old),
        ("batch", "jobs") => drop_disabled(new, "/spec/template/spec", old),
        ("batch", "cronjobs") => drop_disabled(new, "/spec/jobTemplate/spec/template/spec", old),
        ("", "namespaces") if part == Part::Whole => namespace::prepare_update(new, old),
        ("", "secrets") => secret::prepare(new, Some(old)),
        ("", "services") if part == Part::Whole => service::prepare_update(new, old),
        ("", "nodes") => node::prepare(new, Some(old)),
        ("", "serviceaccounts") => account::prepare(new),
        ("", "persistentvolumes") if part == Part::Status => storage::stamp_phase(new, old),
        ("", "persistentvolumeclaims") if part == Part::Whole => storage::prepare_claim(new, Some(old)),
        ("coordination.k8s.io", "leases") => lease::prepare(new, Some(old)),
        ("discovery.k8s.io", "endpointslices") => network::drop_topology(new, Some(old)),
        ("storage.k8s.io", "csidrivers") => storage::prepare_driver(new, Some(old)),
        ("certificates.k8s.io", "certificatesigningrequests") => signing::prepare_update(part, new, old),
        ("resource.k8s.io", "resourceslices") => resource::prepare(new, old),
        ("resource.k8s.io", "resourceclaims") if part == Part::Status => resource::prepare_status(new, old),
        _ => {}
    }
    strategy::count(kind, part, new, old);
}

/// The faults of a new object.
pub(crate) fn check_create(kind: &Kind, new: &Value) -> Vec<FieldError> {
    if let Some(rules) = rules(kind) {
        return Write::create(kind, new).check(rules);
    }
    let mut errors = Vec::new();
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => pod::check_create(new, &mut errors),
        ("batch", "jobs") => job::check(new, &mut errors),
        // Events of the old API are asked nothing of their metadata but what is asked of all, and that last.
        ("", "events") => {
            check(kind, (new, None), &mut errors);
            if errors.is_empty() {
                errors = meta::check_any(new, kind.namespaced);
            }
        }
        _ => {
            update::check_meta(kind, new, &mut errors);
            check(kind, (new, None), &mut errors);
        }
    }
    errors
}

/// The faults of an updated object. kube-apiserver looks at the metadata of every kind, and then lets the kind look, which most often
/// looks at the metadata again: the causes tell.
pub(crate) fn check_update(kind: &Kind, part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
    if part == Part::Binding {
        return Vec::new();
    }
    if let Some(rules) = rules(kind) {
        return Write { kind, part, new, old }.check(rules);
    }
    let mut errors = meta::check_any(new, kind.namespaced);
    errors.extend(meta::check_update(new, old));
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => pod::check_update(part, (new, old), &mut errors),
        ("batch", "jobs") => job::check_update(part, (new, old), &mut errors),
        ("batch", "cronjobs") => job::check_cron_update(part, (new, old), &mut errors),
        ("apps", _) | ("", "replicationcontrollers" | "podtemplates") => {
            workload::check_update(kind, part, (new, old), &mut errors);
        }
        _ => {
            for step in update::steps(kind, part) {
                check_step(*step, (kind, part), (new, old), &mut errors);
            }
        }
    }
    errors
}

fn check_step(step: Step, (kind, part): (&Kind, Part), (new, old): (&Value, &Value), errors: &mut Vec<FieldError>) {
    match step {
        Step::Moved => update::check_moved_meta(kind, (new, old), errors),
        Step::Metadata => update::check_meta(kind, new, errors),
        Step::Whole => check(kind, (new, Some(old)), errors),
        Step::Change => check_change(kind, part, (new, old), errors),
        Step::Status => check_status(kind, (new, old), errors),
    }
}

/// The rules of a kind that tells all its faults itself, on create and on every update.
fn rules(kind: &Kind) -> Option<Rules> {
    Some(match (kind.group.as_str(), kind.plural.as_str()) {
        ("rbac.authorization.k8s.io", _) => rbac::check,
        ("admissionregistration.k8s.io", _) => admissionregistration::check,
        ("autoscaling", "horizontalpodautoscalers") => autoscaling::check,
        ("policy", "poddisruptionbudgets") => policy::check,
        ("certificates.k8s.io", "certificatesigningrequests") => signing::check,
        ("flowcontrol.apiserver.k8s.io", _) => flowcontrol::check,
        ("resource.k8s.io", _) => resource::check,
        ("apiregistration.k8s.io", "apiservices") => aggregation::check,
        ("scheduling.k8s.io", "priorityclasses") => priority::check,
        ("node.k8s.io", "runtimeclasses") => runtime::check,
        _ => return None,
    })
}

/// Rules of an object by itself.
fn check(kind: &Kind, (new, old): (&Value, Option<&Value>), errors: &mut Vec<FieldError>) {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "configmaps") => config::check(new, errors),
        ("", "secrets") => secret::check(new, errors),
        ("", "services") => service::check(new, old, errors),
        ("", "nodes") => node::check(new, errors),
        ("", "namespaces") => namespace::check(new, errors),
        ("", "persistentvolumes") => storage::check_volume(new, errors),
        ("", "persistentvolumeclaims") => storage::check_claim(new, old, errors),
        ("", "resourcequotas") => quota::check(new, old, errors),
        ("", "endpoints") => network::check_endpoints(new, old, errors),
        ("", "events") | ("events.k8s.io", "events") => event::check(kind, (new, old), errors),
        ("", "limitranges") => limit::check(new, errors),
        ("apps", _) | ("", "replicationcontrollers" | "podtemplates") => workload::check(kind, new, None, errors),
        ("batch", "cronjobs") => job::check_cron(new, errors),
        ("coordination.k8s.io", "leases") => lease::check(new, errors),
        ("storage.k8s.io", "storageclasses") => storage::check_class(new, errors),
        ("storage.k8s.io", "volumeattributesclasses") => storage::check_attributes(new, errors),
        ("storage.k8s.io", "volumeattachments") => storage::check_attachment(new, old, errors),
        ("storage.k8s.io", "csidrivers") => storage::check_driver(new, errors),
        ("storage.k8s.io", "csinodes") => storage::check_node(new, errors),
        ("storage.k8s.io", "csistoragecapacities") => storage::check_capacity(new, errors),
        ("discovery.k8s.io", "endpointslices") => network::check_slice(new, old, errors),
        ("networking.k8s.io", "ingresses") => network::check_ingress(new, old, errors),
        ("networking.k8s.io", "ingressclasses") => network::check_class(new, errors),
        ("networking.k8s.io", "networkpolicies") => network::check_policy(new, old, errors),
        ("networking.k8s.io", "ipaddresses") => network::check_address(new, errors),
        ("networking.k8s.io", "servicecidrs") => network::check_range(new, errors),
        _ => {}
    }
}

/// Rules of a change.
fn check_change(kind: &Kind, part: Part, (new, old): (&Value, &Value), errors: &mut Vec<FieldError>) {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "configmaps") => config::check_change(new, old, errors),
        ("", "secrets") => secret::check_change(new, old, errors),
        ("", "services") => service::check_change(new, old, errors),
        ("", "namespaces") if part == Part::Finalize => namespace::check_finalizers(new, errors),
        ("", "persistentvolumes") => storage::check_volume_change(new, old, errors),
        ("", "persistentvolumeclaims") => storage::check_claim_change(new, old, errors),
        ("", "resourcequotas") => quota::check_change(new, old, errors),
        ("", "nodes") => node::check_change(new, old, errors),
        ("events.k8s.io", "events") => event::check_change(kind, (new, old), errors),
        ("storage.k8s.io", "storageclasses") => storage::check_class_change(new, old, errors),
        ("storage.k8s.io", "volumeattributesclasses") => storage::check_attributes_change(new, old, errors),
        ("storage.k8s.io", "volumeattachments") => storage::check_attachment_change(new, old, errors),
        ("storage.k8s.io", "csidrivers") => storage::check_driver_change(new, old, errors),
        ("storage.k8s.io", "csinodes") => storage::check_node_change(new, old, errors),
        ("storage.k8s.io", "csistoragecapacities") => storage::check_capacity_change(new, old, errors),
        ("discovery.k8s.io", "endpointslices") => {
            field::immutable(&new["addressType"], &old["addressType"], "addressType", errors);
        }
        ("networking.k8s.io", "ingressclasses") => network::check_class_change(new, old, errors),
        ("networking.k8s.io", "ipaddresses") => network::check_address_change(new, old, errors),
        ("networking.k8s.io", "servicecidrs") => network::check_range_change(new, old, errors),
        _ => {}
    }
}

/// Rules of a new state.
fn check_status(kind: &Kind, (new, old): (&Value, &Value), errors: &mut Vec<FieldError>) {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "services") => service::check_status(new, old, errors),
        ("", "nodes") => node::check_change(new, old, errors),
        ("", "namespaces") => namespace::check_status(new, errors),
        ("", "persistentvolumeclaims") => storage::check_claim_status(new, errors),
        ("", "resourcequotas") => quota::check_status(new, errors),
        ("networking.k8s.io", "ingresses") => network::check_ingress_status(new, old, errors),
        _ => {}
    }
}

/// What a client should know about an object that is taken; `old` is what it was, and of which part there is something to say.
pub(crate) fn warn(kind: &Kind, new: &Value, old: Option<(Part, &Value)>, warnings: &mut Vec<String>) {
    let part = old.map_or(Part::Whole, |(part, _)| part);
    if part == Part::Status && (kind.group.as_str(), kind.plural.as_str()) == ("networking.k8s.io", "ingresses") {
        network::warn_ingress_status(new, warnings);
    }
    if !matches!(part, Part::Whole | Part::Scale) {
        return;
    }
    let stored = old.map(|(_, old)| old);
    match (kind.group.as_str(), kind.plural.as_str()) {
        // Nobody changes pods by hand.
        ("", "pods") if stored.is_none() => pod::warn(new, warnings),
        ("apps", _) | ("", "replicationcontrollers" | "podtemplates") => workload::warn(kind, new, stored, warnings),
        ("batch", "jobs" | "cronjobs") => job::warn(kind, new, stored, warnings),
        ("", "services") => service::warn(new, warnings),
        ("", "nodes") => node::warn(new, warnings),
        ("", "endpoints") => network::warn_endpoints(new, warnings),
        ("", "persistentvolumes") => storage::warn_volume(new, warnings),
        ("", "persistentvolumeclaims") => storage::warn_claim(new, warnings),
        ("", "secrets") => secret::warn(new, warnings),
        ("", "serviceaccounts") => account::warn(new, stored, warnings),
        ("discovery.k8s.io", "endpointslices") => network::warn_slice(new, warnings),
        ("networking.k8s.io", "ingresses") if stored.is_none() => network::warn_ingress(new, warnings),
        ("networking.k8s.io", "networkpolicies") => network::warn_policy(new, warnings),
        ("storage.k8s.io", "storageclasses") => storage::warn_class(new, warnings),
        _ => {}
    }
}

/// Whether an object without finalizers may go: a namespace may not while it has its own.
pub(crate) fn may_go(kind: &Kind, object: &Value) -> bool {
    (kind.group.as_str(), kind.plural.as_str()) != ("", "namespaces") || namespace::is_finalized(object)
}

/// The deletion of a kind that has its own way to go.
pub(crate) fn plan_deletion(kind: &Kind, options: &DeleteOptions, old: &Value) -> Option<Plan> {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "namespaces") => namespace::plan_deletion(kind, options, old),
        _ => None,
    }
}

/// Reserves what an object takes from a pool: addresses and ports of services.
///
/// # Errors
/// 422 when it is not to be had.
pub(crate) async fn allocate(api: &Api, aim: &Aim<'_>, new: &mut Value, old: Option<&Value>) -> Result<(), Status> {
    match (aim.kind.group.as_str(), aim.kind.plural.as_str(), aim.part) {
        ("", "services", Part::Whole) => service::allocate(api, aim, new, old).await,
        _ => Ok(()),
    }
}

/// Gives back what `gone` had taken and `kept` has not.
pub(crate) async fn release(api: &Api, aim: &Aim<'_>, gone: &Value, kept: Option<&Value>) {
    if aim.dry_run {
        return;
    }
    if let ("", "services") = (aim.kind.group.as_str(), aim.kind.plural.as_str()) {
        service::release(api, aim, gone, kept).await;
    }
}

/// Takes away what a pod's spec at `place` cannot have, unless it had it before.
fn drop_disabled(new: &mut Value, place: &str, old: &Value) {
    if let Some(spec) = new.pointer_mut(place) {
        pod::drop_disabled(spec, old.pointer(place).unwrap_or(&Value::Null));
    }
}

fn name_rule(kind: &Kind) -> NameRule {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "namespaces" | "services") => name::label,
        ("networking.k8s.io", "ipaddresses") => address::strict,
        _ => name::subdomain,
    }
}

#[cfg(test)]
mod group_tests;

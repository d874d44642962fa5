//! The rules of a pod and of a template of one: everything that needs no older form (contract 7.5), in kube-apiserver's order.

use serde_json::Value;

use super::container::{self, Pod};
use super::volume;
use super::{affinity, annotation, environment, resource, schedule, security, windows};
use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, is_full};
use crate::api::meta::{self, name};

/// A pod by itself, its metadata included.
pub(super) fn check_pod(new: &Value, errors: &mut Vec<FieldError>) {
    let root = Field::new(new, "");
    let (metadata, spec) = (root.at("metadata"), root.at("spec"));
    errors.extend(meta::check(new, name::subdomain, true));
    annotation::check(&metadata.at("annotations"), &spec, errors);
    check_spec(&spec, metadata.at("name").text(), errors);
    if spec.at("serviceAccountName").is_empty() {
        check_tokens(&spec.at("volumes"), errors);
    }
    container::check_images(&spec.at("containers"), errors);
    container::check_images(&spec.at("initContainers"), errors);
}

/// A new pod.
pub(in crate::api::kinds) fn check_create(new: &Value, errors: &mut Vec<FieldError>) {
    check_pod(new, errors);
    let root = Field::new(new, "");
    let spec = root.at("spec");
    if !spec.at("ephemeralContainers").is_empty() {
        errors.push(spec.at("ephemeralContainers").forbidden("cannot be set on create"));
    }
    if !spec.at("nodeName").is_empty() && !spec.at("schedulingGates").is_empty() {
        errors.push(spec.at("nodeName").forbidden("cannot be set until all schedulingGates have been cleared"));
    }
    annotation::check_agreement(&new["metadata"]["annotations"], &spec, errors);
}

/// A template of a pod.
pub(in crate::api::kinds) fn check_template(template: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    check_labels(template, errors);
    let spec = template.at("spec");
    check_spec(&spec, "", errors);
    annotation::check_agreement(&template.value()["metadata"]["annotations"], &spec, errors);
    if !spec.at("ephemeralContainers").is_empty() {
        errors.push(spec.at("ephemeralContainers").forbidden("ephemeral containers not allowed in pod template"));
    }
}

/// The labels and annotations of a template, which kube-apiserver tells without their `metadata`.
pub(in crate::api::kinds) fn check_labels(template: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let metadata = template.at("metadata");
    let (labels, annotations) = (template.at("labels"), template.at("annotations"));
    labels.with(metadata.at("labels").value()).labels(errors);
    let annotations = annotations.with(metadata.at("annotations").value());
    annotations.annotations(errors);
    annotation::check(&annotations, &template.at("spec"), errors);
}

/// A pod's spec; `pod` is the pod's name, empty in a template.
fn check_spec(spec: &Field<'_, '_>, pod: &str, errors: &mut Vec<FieldError>) {
    let grace = spec.at("terminationGracePeriodSeconds");
    if grace.is_absent() {
        errors.push(grace.required(""));
    }
    let volumes = volume::check(&spec.at("volumes"), pod, errors);
    let claims = spec.at("resourceClaims");
    let known = claims.items().map(|claim| claim.at("name").text()).filter(|name| !name.is_empty()).collect();
    schedule::check_claims(&claims, errors);
    let host_users = spec.at("hostUsers").value() != false;
    let pod = Pod { volumes, claims: known, grace: grace.number(), host_users };
    container::check_main(spec, &pod, errors);
    container::check_initial(spec, &pod, errors);
    container::check_ephemeral(spec, &pod, errors);
    resource::check_pod(spec, &pod.claims, errors);
    container::check_host_network(spec, errors);
    if !is_full(errors) {
        check_policies(spec, errors);
        check_scheduling(spec, errors);
        check_names(spec, errors);
        check_rest(spec, errors);
    }
}

fn check_policies(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    spec.at("restartPolicy").require_one_of(&["Always", "OnFailure", "Never"], errors);
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    spec.at("dnsPolicy").require_one_of(&policies, errors);
    spec.at("nodeSelector").labels(errors);
    security::check_pod(spec, errors);
}

fn check_scheduling(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    affinity::check(&spec.at("affinity"), errors);
    schedule::check_resolver(spec, errors);
    schedule::check_readiness(&spec.at("readinessGates"), errors);
    schedule::check_gates(&spec.at("schedulingGates"), errors);
    affinity::check_spread(&spec.at("topologySpreadConstraints"), errors);
    windows::check_host_processes(spec, errors);
    check_host_users(spec, errors);
    check_host_name(spec, errors);
}

fn check_names(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    spec.at("serviceAccountName").named(name::subdomain, errors);
    spec.at("nodeName").named(name::subdomain, errors);
    spec.at("activeDeadlineSeconds").within(1..=2_147_483_647, errors);
    spec.at("hostname").named(name::label, errors);
    spec.at("subdomain").named(name::label, errors);
}

fn check_rest(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    schedule::check_tolerations(&spec.at("tolerations"), errors);
    schedule::check_aliases(&spec.at("hostAliases"), errors);
    spec.at("priorityClassName").named(name::subdomain, errors);
    let runtime = spec.at("runtimeClassName");
    if !runtime.is_absent() {
        runtime.formed(name::subdomain, errors);
    }
    let preemption = spec.at("preemptionPolicy");
    if !preemption.is_absent() {
        preemption.require_one_of(&["PreemptLowerPriority", "Never"], errors);
    }
    let overhead = spec.at("overhead");
    if !overhead.is_empty() {
        resource::check_overhead(&overhead, errors);
    }
    windows::check_os(spec, errors);
    environment::check_files(spec, errors);
}

/// Tokens are for service accounts.
fn check_tokens(volumes: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    for volume in volumes.items() {
        let projected = volume.at("projected");
        for source in projected.at("sources").items() {
            if is_full(errors) {
                return;
            }
            let token = source.at("serviceAccountToken");
            if !token.is_absent() {
                errors.push(token.forbidden("must not be specified when serviceAccountName is not set"));
            }
        }
    }
}

/// A pod with users of its own shares nothing else with its node.
fn check_host_users(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if spec.at("hostUsers").value() != false {
        return;
    }
    for (member, told) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if spec.at(member).is_true() {
            errors.push(spec.at(told).forbidden("when `hostUsers` is false"));
        }
    }
    container::each(spec, |container| {
        let devices = container.at("volumeDevices");
        if !devices.is_empty() {
            errors.push(devices.forbidden("when `hostUsers` is false"));
        }
    });
}

fn check_host_name(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let own = spec.at("hostnameOverride");
    if own.is_absent() {
        return;
    }
    if spec.at("setHostnameAsFQDN").is_true() {
        errors.push(own.forbidden("may not be specified when setHostnameAsFQDN is true"));
    }
    if spec.at("hostNetwork").is_true() {
        errors.push(own.forbidden("may not be specified when hostNetwork is true"));
    }
    if own.text().len() > 64 {
        errors.push(own.too_long(64));
    }
    own.formed(name::subdomain, errors);
}

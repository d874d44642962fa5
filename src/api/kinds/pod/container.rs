//! The rules of containers: what all have in common, and what main, initial and ephemeral ones may and may not have.

use std::collections::HashSet;

use super::probe::{self, Grace};
use super::volume::Volumes;
use super::{environment, mount, resource, security};
use crate::api::error::FieldError;
use crate::api::kinds::field::{Field, is_full};
use crate::api::meta::name;

/// What the containers of a pod need to know of it.
pub(super) struct Pod<'v> {
    /// The sound volumes.
    pub(super) volumes: Volumes<'v>,
    /// The names of the claims.
    pub(super) claims: HashSet<&'v str>,
    /// The time to end.
    pub(super) grace: Grace,
    /// Whether the pod's users are the host's.
    pub(super) host_users: bool,
}

type Names<'v> = HashSet<&'v str>;

/// `containers`
pub(super) fn check_main(spec: &Field<'_, '_>, pod: &Pod<'_>, errors: &mut Vec<FieldError>) {
    let list = spec.at("containers");
    if list.is_empty() {
        errors.push(list.required(""));
        return;
    }
    let mut names = Names::new();
    for container in list.items() {
        if is_full(errors) {
            return;
        }
        check_common(spec, &container, pod, errors);
        if !names.insert(container.at("name").text()) {
            errors.push(container.at("name").duplicate_of(container.at("name").text()));
        }
        probe::check(&container, pod.grace, errors);
        probe::check_restarts(&container, errors);
    }
    let mut taken = HashSet::new();
    list.items().for_each(|container| check_host_ports((&container, &container), &mut taken, errors));
}

/// `initContainers`
pub(super) fn check_initial(spec: &Field<'_, '_>, pod: &Pod<'_>, errors: &mut Vec<FieldError>) {
    let list = spec.at("initContainers");
    if list.is_empty() {
        return;
    }
    let mut names = names_of(&spec.at("containers"));
    for container in list.items() {
        if is_full(errors) {
            return;
        }
        check_common(spec, &container, pod, errors);
        let policy = container.at("restartPolicy");
        if !policy.is_absent() {
            probe::check_restarts(&container, errors);
        }
        let own = container.at("name");
        if names.contains(own.text()) {
            errors.push(own.duplicate_of(own.text()));
        } else if !own.is_empty() {
            names.insert(own.text());
        }
        // Each is the first of a list of one.
        if let Some(first) = list.items().next() {
            check_host_ports((&container, &first), &mut HashSet::new(), errors);
        }
        if policy.text() == "Always" {
            probe::check(&container, pod.grace, errors);
        } else {
            for member in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
                if !container.at(member).is_absent() {
                    let fault = "may not be set for init containers without restartPolicy=Always";
                    errors.push(container.at(member).forbidden(fault));
                }
            }
        }
    }
}

/// `ephemeralContainers`
pub(super) fn check_ephemeral(spec: &Field<'_, '_>, pod: &Pod<'_>, errors: &mut Vec<FieldError>) {
    let list = spec.at("ephemeralContainers");
    if list.is_empty() {
        return;
    }
    let mut others = names_of(&spec.at("containers"));
    others.extend(names_of(&spec.at("initContainers")));
    let mut names = Names::new();
    for container in list.items() {
        if is_full(errors) {
            return;
        }
        check_common(spec, &container, pod, errors);
        check_padding(&container, errors);
        let own = container.at("name");
        if others.contains(own.text()) || !names.insert(own.text()) {
            errors.push(own.duplicate_of(own.text()));
        }
        let target = container.at("targetContainerName");
        if !target.is_empty() && !others.contains(target.text()) {
            errors.push(target.not_found());
        }
        for member in UNWANTED {
            if !container.at(member).is_empty() {
                errors.push(container.at(member).forbidden("cannot be set for an Ephemeral Container"));
            }
        }
        for mount in container.at("volumeMounts").items() {
            for member in ["subPath", "subPathExpr"] {
                if !mount.at(member).is_empty() {
                    errors.push(mount.at(member).forbidden("cannot be set for an Ephemeral Container"));
                }
            }
        }
    }
}

/// Of pods, not of templates: an image has no blanks around it.
pub(super) fn check_images(list: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    list.items().for_each(|container| check_padding(&container, errors));
}

/// Every container of a pod: initial, main, ephemeral.
pub(super) fn each<'v>(spec: &Field<'v, '_>, mut visit: impl FnMut(&Field<'v, '_>)) {
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let list = spec.at(list);
        list.items().for_each(|container| visit(&container));
    }
}

/// Ports of a pod in the host's network are the host's.
pub(super) fn check_host_network(spec: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if !spec.at("hostNetwork").is_true() {
        return;
    }
    let strict = spec.is_of_pod();
    for container in spec.at("containers").items() {
        for port in container.at("ports").items() {
            if is_full(errors) {
                return;
            }
            let host = port.at("hostPort");
            if (strict || host.count() != 0) && host.count() != port.at("containerPort").count() {
                let fault = "must match `containerPort` when `hostNetwork` is true";
                errors.push(host.invalid_as(&host.count().to_string(), fault));
            }
        }
    }
}

fn check_padding(container: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let image = container.at("image");
    if image.text().trim() != image.text() {
        errors.push(image.invalid("must not have leading or trailing whitespace"));
    }
}

fn names_of<'v>(list: &Field<'v, '_>) -> Names<'v> {
    list.items().map(|container| container.at("name").text()).collect()
}

fn check_common(spec: &Field<'_, '_>, container: &Field<'_, '_>, pod: &Pod<'_>, errors: &mut Vec<FieldError>) {
    container.at("name").require_named(name::label, errors);
    container.at("image").require(errors);
    container.at("terminationMessagePolicy").require_one_of(&["File", "FallbackToLogsOnError"], errors);
    check_ports(&container.at("ports"), errors);
    environment::check(&container.at("env"), errors);
    environment::check_sources(&container.at("envFrom"), errors);
    mount::check(container, &pod.volumes, errors);
    container.at("imagePullPolicy").require_one_of(&["Always", "IfNotPresent", "Never"], errors);
    resource::check(&container.at("resources"), &pod.claims, errors);
    check_resizing(&container.at("resizePolicy"), spec.at("restartPolicy").text(), errors);
    security::check(&container.at("securityContext"), pod.host_users, errors);
}

fn check_ports(list: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let mut names = HashSet::new();
    for port in list.items() {
        if is_full(errors) {
            return;
        }
        let own = port.at("name");
        if !own.is_empty() {
            let faults = name::port(own.text());
            if faults.is_empty() && !names.insert(own.text()) {
                errors.push(own.duplicate());
            }
            errors.extend(faults.iter().map(|fault| own.invalid(fault)));
        }
        match port.at("containerPort").count() {
            0 => errors.push(port.at("containerPort").required("")),
            _ => port.at("containerPort").port(errors),
        }
        if port.at("hostPort").count() != 0 {
            port.at("hostPort").port(errors);
        }
        port.at("protocol").require_one_of(&["SCTP", "TCP", "UDP"], errors);
    }
}

/// No two ports take the same one of the host. `told` is the container under whose path it is told.
fn check_host_ports(
    (container, told): (&Field<'_, '_>, &Field<'_, '_>),
    taken: &mut HashSet<String>,
    errors: &mut Vec<FieldError>,
) {
    let ports = container.at("ports");
    let list = told.at("ports");
    for port in list.with(ports.value()).items() {
        let number = port.at("hostPort").count();
        if number == 0 {
            continue;
        }
        if is_full(errors) {
            return;
        }
        let place = format!("{}/{}/{number}", port.at("protocol").text(), port.at("hostIP").text());
        if taken.contains(&place) {
            errors.push(port.at("hostPort").duplicate_of(&place));
        } else {
            taken.insert(place);
        }
    }
}

fn check_resizing(list: &Field<'_, '_>, policy: &str, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for item in list.items() {
        if is_full(errors) {
            return;
        }
        let (resource, own) = (item.at("resourceName"), item.at("restartPolicy"));
        if !seen.insert(resource.text()) {
            errors.push(item.duplicate_of(resource.text()));
        }
        for (value, known) in [(&resource, ["cpu", "memory"]), (&own, ["NotRequired", "RestartContainer"])] {
            match value.text() {
                "" => errors.push(list.required("")),
                text if known.contains(&text) => {}
                _ => errors.push(list.with(value.value()).unsupported(&known)),
            }
        }
        if policy == "Never" && own.text() != "NotRequired" {
            errors.push(list.invalid_text(own.text(), "must be 'NotRequired' when `restartPolicy` is 'Never'"));
        }
    }
}

/// What ephemeral containers cannot have, in the order of Go's structure.
const UNWANTED: [&str; 9] = [
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];

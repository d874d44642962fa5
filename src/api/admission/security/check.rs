//! The rules of the pod security standards, each with what it says of a pod that breaks it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::label::{Level, Standard};
use crate::api::error::quoted;

/// A pod, or the template of one.
pub(super) struct Pod<'a> {
    metadata: &'a Value,
    spec: &'a Value,
    containers: Vec<&'a Value>,
}

/// A broken rule: its short name, and who breaks it how.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) reason: String,
    pub(super) detail: String,
}

/// A rule: from which level and version on, and until which version the restricted level leaves it out for a stricter one of its own.
struct Rule {
    level: Level,
    since: u32,
    overridden: Option<u32>,
    find: fn(&Pod<'_>, Standard) -> Option<Finding>,
}

impl<'a> Pod<'a> {
    pub(super) fn of(object: &'a Value) -> Self {
        let spec = &object["spec"];
        let lists = ["initContainers", "containers", "ephemeralContainers"];
        let containers = lists.iter().flat_map(|list| spec[*list].as_array().into_iter().flatten()).collect();
        Self { metadata: &object["metadata"], spec, containers }
    }

    /// The names of the containers that do something.
    fn which(&self, does: impl Fn(&Value) -> bool) -> Vec<&'a str> {
        let those = self.containers.iter().filter(|container| does(container));
        those.map(|container| container["name"].as_str().unwrap_or("")).collect()
    }

    /// The names of the containers whose security context does something.
    fn whose(&self, does: impl Fn(&Value) -> bool) -> Vec<&'a str> {
        self.which(|container| does(&container["securityContext"]))
    }

    /// `pod and containers "a", "b"`: those whose security context does something; empty when none does.
    fn setters(&self, does: impl Fn(&Value) -> bool) -> String {
        let own = does(&self.spec["securityContext"]).then(|| "pod".to_owned());
        let bad = self.whose(does);
        own.into_iter().chain((!bad.is_empty()).then(|| containers(&bad))).collect::<Vec<_>>().join(" and ")
    }

    fn annotations(&self) -> impl Iterator<Item = (&'a String, &'a str)> {
        let all = self.metadata["annotations"].as_object().into_iter().flatten();
        all.map(|(key, value)| (key, value.as_str().unwrap_or("")))
    }

    fn is_windows(&self) -> bool {
        self.spec["os"]["name"] == "windows"
    }

    /// Users of such a pod are not those of its node.
    fn has_own_users(&self) -> bool {
        self.spec["hostUsers"] == false
    }
}

/// All rules that a pod breaks, in kube-apiserver's order.
pub(super) fn all(standard: Standard, pod: &Pod<'_>) -> Vec<Finding> {
    let restricted = standard.level == Level::Restricted;
    let holds = |rule: &&Rule| {
        let overridden = restricted && rule.overridden.is_some_and(|minor| standard.reaches(minor));
        standard.level >= rule.level && standard.level != Level::Privileged && standard.reaches(rule.since) && !overridden
    };
    RULES.iter().filter(holds).filter_map(|rule| (rule.find)(pod, standard)).collect()
}

fn app_armor(pod: &Pod<'_>, _: Standard) -> Option<Finding> {
    let kind = |context: &Value| context["appArmorProfile"]["type"].as_str().map(str::to_owned);
    let bad = |context: &Value| kind(context).filter(|kind| !matches!(kind.as_str(), "RuntimeDefault" | "Localhost"));
    let mut setters = pod.setters(|context| bad(context).is_some());
    let contexts = std::iter::once(&pod.spec["securityContext"]).chain(pod.containers.iter().map(|own| &own["securityContext"]));
    let mut values: Vec<String> = contexts.filter_map(bad).collect::<BTreeSet<_>>().into_iter().collect();
    let good = |profile: &str| profile.is_empty() || profile == "runtime/default" || profile.starts_with("localhost/");
    let noted = pod.annotations().filter(|(key, profile)| key.starts_with(APP_ARMOR) && !good(profile));
    let mut noted: Vec<String> = noted.map(|(key, profile)| format!("{key}={}", quoted(profile))).collect();
    noted.sort_unstable();
    if !noted.is_empty() {
        let and = if setters.is_empty() { "" } else { " and " };
        setters.push_str(and);
        setters.push_str(many("annotation", "annotations", noted.len()));
        values.extend(noted);
    }
    let reason = many("forbidden AppArmor profile", "forbidden AppArmor profiles", values.len());
    found(&setters, reason, format!("{setters} must not set AppArmor profile type to {}", join(&values)))
}

fn capabilities_baseline(pod: &Pod<'_>, _: Standard) -> Option<Finding> {
    added_beyond(pod, &CAPABILITIES).map(|detail| Finding { reason: "non-default capabilities".to_owned(), detail })
}

fn host_namespaces(pod: &Pod<'_>, _: Standard) -> Option<Finding> {
    let shared = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|member| pod.spec[*member] == true);
    let detail = shared.map(|member| format!("{member}=true")).collect::<Vec<_>>().join(", ");
    found(&detail, "host namespaces", detail.clone())
}

fn host_path(pod: &Pod<'_>, _: Standard) -> Option<Finding> {
    let volumes = pod.spec["volumes"].as_array().into_iter().flatten().filter(|volume| volume["hostPath"].is_object());
    let names: Vec<&str> = volumes.filter_map(|volume| volume["name"].as_str()).collect();
    let detail = format!("{} {}", many("volume", "volumes", names.len()), join(&names));
    found(&names.concat(), "hostPath volumes", detail)
}

fn host_ports(pod: &Pod<'_>, _: Standard) -> Option<Finding> {
    let ports = |container: &Value| -> Vec<i64> {
        let all = container["ports"].as_array().into_iter().flatten().filter_map(|port| port["hostPort"].as_i64());
        all.filter(|port| *port != 0).collect()
    };
    let bad = pod.which(|container| !ports(container).is_empty());
    let numbers: BTreeSet<String> =
        pod.containers.iter().flat_map(|container| ports(container)).map(|port| port.to_string()).collect();
    let (verb, noun) = (many("uses", "use", bad.len()), many("hostPort", "hostPorts", numbers.len()));
    let list = numbers.into_iter().collect::<Vec<_>>().join(", ");
    found(&list, "hostPort", format!("{} {verb} {noun} {list}", containers(&bad)))
}

fn host_probes(pod: &Pod<'_>, _: Standard) -> Option<Finding> {
    let hosts = |container: &Value| -> Vec<String> {
        let life = &container["lifecycle"];
        let probes = ["livenessProbe", "readinessProbe", "startupProbe"].map(|probe| &container[probe]);
        let handlers = probes.into_iter().chain([&life["postStart"], &life["preStop"]]);
        let hosts = handlers.flat_map(|handler| [&handler["httpGet"]["host"], &handler["tcpSocket"]["host"]]);
        hosts.filter_map(Value::as_str).filter(|host| !host.is_empty()).map(str::to_owned).collect()
    };
    let bad: BTreeSet<&str> = pod.which(|container| !hosts(container).is_empty()).into_iter().collect();
    let bad: Vec<&str> = bad.into_iter().collect();
    let all: BTreeSet<String> = pod.containers.iter().flat_map(|container| hosts(container)).collect();
    let all: Vec<String> = all.into_iter().collect();
    let (verb, noun) = (many("uses", "use", bad.len()), many("probe or lifecycle host", "probe or lifecycle hosts", all.len()));
    found(&all.concat(), "probe or lifecycle host", format!("{} {verb} {noun} {}", containers(&bad), join(&all)))
}

fn privileged(pod: &Pod<'_>, _: Standard) -> Option<Finding> {
    let bad = pod.whose(|context| context["privileged"] == true);
    let detail = format!("{} must not set securityContext.privileged=true", containers(&bad));
    found_in(&bad, "privileged", detail)
}

fn proc_mount(pod: &Pod<'_>, standard: Standard) -> Option<Finding> {
    if pod.has_own_users() && standard.reaches(OWN_USERS) {
        return None;
    }
    let other = |context: &Value| context["procMount"].as_str().filter(|mount| *mount != "Default").map(str::to_owned);
    let bad = pod.whose(|context| other(context).is_some());
    let kinds: BTreeSet<String> = pod.containers.iter().filter_map(|container| other(&container["securityContext"])).collect();
    let kinds: Vec<String> = kinds.into_iter().collect();
    let detail = format!("{} must not set securityContext.procMount to {}", containers(&bad), join(&kinds));
    found_in(&bad, "procMount", detail)
}

fn se_linux(pod: &Pod<'_>, standard: Standard) -> Option<Finding> {
    let known = |kind: &str| SE_LINUX.contains(&kind) || kind == "container_engine_t" && standard.reaches(31);
    let kind = |context: &Value| context["seLinuxOptions"]["type"].as_str().filter(|kind| !known(kind)).map(str::to_owned);
    let sets = |context: &Value, member: &str| context["seLinuxOptions"][member].as_str().is_some_and(|text| !text.is_empty());
    let setters = pod.setters(|context| kind(context).is_some() || sets(context, "user") || sets(context, "role"));
    let contexts: Vec<&Value> =
        std::iter::once(&pod.spec["securityContext"]).chain(pod.containers.iter().map(|own| &own["securityContext"])).collect();
    let kinds: BTreeSet<String> = contexts.iter().filter_map(|context| kind(context)).collect();
    let kinds: Vec<String> = kinds.into_iter().collect();
    let mut data = Vec::new();
    if !kinds.is_empty() {
        data.push(format!("{} {}", many("type", "types", kinds.len()), join(&kinds)));
    }
    for member in ["user", "role"] {
        if contexts.iter().any(|context| sets(context, member)) {
            data.push(format!("{member} may not be set"));
        }
    }
    let detail = format!("{setters} set forbidden securityContext.seLinuxOptions: {}", data.join("; "));
    found(&setters, "seLinuxOptions", detail)
}

fn seccomp_baseline(pod: &Pod<'_>, standard: Standard) -> Option<Finding> {
    if standard.reaches(19) { bad_seccomp(pod) } else { noted_seccomp(pod) }
}

fn bad_seccomp(pod: &Pod<'_>) -> Option<Finding> {
    let bad = |context: &Value| {
        let kind = context["seccompProfile"].as_object().map(|_| context["seccompProfile"]["type"].as_str().unwrap_or(""));
        kind.filter(|kind| !matches!(*kind, "RuntimeDefault" | "Localhost")).map(str::to_owned)
    };
    let setters = pod.setters(|context| bad(context).is_some());
    let contexts = std::iter::once(&pod.spec["securityContext"]).chain(pod.containers.iter().map(|own| &own["securityContext"]));
    let kinds: Vec<String> = contexts.filter_map(bad).collect::<BTreeSet<_>>().into_iter().collect();
    let detail = format!("{setters} must not set securityContext.seccompProfile.type to {}", join(&kinds));
    found(&setters, "seccompProfile", detail)
}

/// The annotations of old.
fn noted_seccomp(pod: &Pod<'_>) -> Option<Finding> {
    let good = |profile: &str| matches!(profile, "runtime/default" | "docker/default") || profile.starts_with("localhost/");
    let own = |key: &str| {
        let container = key.strip_prefix("container.seccomp.security.alpha.kubernetes.io/");
        let named = |name: &str| pod.containers.iter().any(|container| container["name"] == name);
        key == "seccomp.security.alpha.kubernetes.io/pod" || container.is_some_and(named)
    };
    let bad = pod.annotations().filter(|(key, profile)| own(key) && !good(profile));
    let list: BTreeSet<String> = bad.map(|(key, profile)| format!("{key}={}", quoted(profile))).collect();
    let noun = many("annotation", "annotations", list.len());
    let list = list.into_iter().collect::<Vec<_>>().join(", ");
    found(&list, "seccompProfile", format!("forbidden {noun} {list}"))
}

fn sysctls(pod: &Pod<'_>, standard: Standard) -> Option<Finding> {
    let allowed = |name: &str| SYSCTLS.iter().any(|(known, since)| *known == name && standard.reaches(*since));
    let all = pod.spec["securityContext"]["sysctls"].as_array().into_iter().flatten();
    let list: Vec<&str> = all.filter_map(|sysctl| sysctl["name"].as_str()).filter(|name| !allowed(name)).collect();
    found(&list.concat(), "forbidden sysctls", list.join(", "))
}

fn windows_host_process(pod: &Pod<'_>, _: Standard) -> Option<Finding> {
    let setters = pod.setters(|context| context["windowsOptions"]["hostProcess"] == true);
    let detail = format!("{setters} must not set securityContext.windowsOptions.hostProcess=true");
    found(&setters, "hostProcess", detail)
}

fn escalation(pod: &Pod<'_>, standard: Standard) -> Option<Finding> {
    if pod.is_windows() && standard.reaches(WINDOWS) {
        return None;
    }
    let bad = pod.whose(|context| context["allowPrivilegeEscalation"] != false);
    let detail = format!("{} must set securityContext.allowPrivilegeEscalation=false", containers(&bad));
    found_in(&bad, "allowPrivilegeEscalation != false", detail)
}

fn capabilities_restricted(pod: &Pod<'_>, standard: Standard) -> Option<Finding> {
    if pod.is_windows() && standard.reaches(WINDOWS) {
        return None;
    }
    let drops_all =
        |context: &Value| context["capabilities"]["drop"].as_array().into_iter().flatten().any(|capability| capability == "ALL");
    let bad = pod.whose(|context| !drops_all(context));
    let dropped = (!bad.is_empty()).then(|| format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", containers(&bad)));
    let parts: Vec<String> = dropped.into_iter().chain(added_beyond(pod, &["NET_BIND_SERVICE"])).collect();
    found(&parts.concat(), "unrestricted capabilities", parts.join("; "))
}

/// Who adds capabilities beyond those allowed.
fn added_beyond(pod: &Pod<'_>, allowed: &[&str]) -> Option<String> {
    let beyond = |context: &Value| -> Vec<String> {
        let added = context["capabilities"]["add"].as_array().into_iter().flatten().filter_map(Value::as_str);
        added.filter(|capability| !allowed.contains(capability)).map(str::to_owned).collect()
    };
    let bad = pod.whose(|context| !beyond(context).is_empty());
    let all: BTreeSet<String> = pod.containers.iter().flat_map(|container| beyond(&container["securityContext"])).collect();
    let all: Vec<String> = all.into_iter().collect();
    let detail = || format!("{} must not include {} in securityContext.capabilities.add", containers(&bad), join(&all));
    (!bad.is_empty()).then(detail)
}

fn volumes(pod: &Pod<'_>, _: Standard) -> Option<Finding> {
    let all = pod.spec["volumes"].as_array().into_iter().flatten();
    let bad: Vec<&Value> = all.filter(|volume| !VOLUMES.iter().any(|kind| volume[*kind].is_object())).collect();
    let names: Vec<&str> = bad.iter().filter_map(|volume| volume["name"].as_str()).collect();
    let kind = |volume: &&Value| {
        let members = volume.as_object().into_iter().flatten();
        let known = members.map(|(member, _)| member.as_str()).find(|member| FOREIGN.contains(member));
        known.unwrap_or("unknown").to_owned()
    };
    let kinds: BTreeSet<String> = bad.iter().map(kind).collect();
    let kinds: Vec<String> = kinds.into_iter().collect();
    let (noun, verb) = (many("volume", "volumes", names.len()), many("uses", "use", names.len()));
    let types = many("restricted volume type", "restricted volume types", kinds.len());
    let detail = format!("{noun} {} {verb} {types} {}", join(&names), join(&kinds));
    found_in(&names, "restricted volume types", detail)
}

fn non_root(pod: &Pod<'_>, standard: Standard) -> Option<Finding> {
    if pod.has_own_users() && standard.reaches(OWN_USERS) {
        return None;
    }
    let reason = "runAsNonRoot != true";
    let setters = pod.setters(|context| context["runAsNonRoot"] == false);
    if !setters.is_empty() {
        return found(&setters, reason, format!("{setters} must not set securityContext.runAsNonRoot=false"));
    }
    let by_pod = pod.spec["securityContext"]["runAsNonRoot"] == true;
    let bad = pod.whose(|context| context["runAsNonRoot"].is_null() && !by_pod);
    found_in(&bad, reason, format!("pod or {} must set securityContext.runAsNonRoot=true", containers(&bad)))
}

fn run_as_user(pod: &Pod<'_>, standard: Standard) -> Option<Finding> {
    if pod.has_own_users() && standard.reaches(OWN_USERS) {
        return None;
    }
    let setters = pod.setters(|context| context["runAsUser"] == 0);
    found(&setters, "runAsUser=0", format!("{setters} must not set runAsUser=0"))
}

fn seccomp_restricted(pod: &Pod<'_>, standard: Standard) -> Option<Finding> {
    if pod.is_windows() && standard.reaches(WINDOWS) {
        return None;
    }
    if let Some(finding) = bad_seccomp(pod) {
        return Some(finding);
    }
    let by_pod = pod.spec["securityContext"]["seccompProfile"].is_object();
    let bad = pod.whose(|context| !context["seccompProfile"].is_object() && !by_pod);
    let detail = format!(
        "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
        containers(&bad)
    );
    found_in(&bad, "seccompProfile", detail)
}

/// A finding unless there is nothing that breaks the rule.
fn found(who: &str, reason: &str, detail: String) -> Option<Finding> {
    (!who.is_empty()).then(|| Finding { reason: reason.to_owned(), detail })
}

fn found_in(names: &[&str], reason: &str, detail: String) -> Option<Finding> {
    (!names.is_empty()).then(|| Finding { reason: reason.to_owned(), detail })
}

/// `container "a"`, `containers "a", "b"`
fn containers(names: &[&str]) -> String {
    format!("{} {}", many("container", "containers", names.len()), join(names))
}

fn many<'a>(one: &'a str, more: &'a str, count: usize) -> &'a str {
    if count == 1 { one } else { more }
}

fn join(names: &[impl AsRef<str>]) -> String {
    names.iter().map(|name| quoted(name.as_ref())).collect::<Vec<_>>().join(", ")
}

const fn baseline(since: u32, overridden: Option<u32>, find: fn(&Pod<'_>, Standard) -> Option<Finding>) -> Rule {
    Rule { level: Level::Baseline, since, overridden, find }
}

const fn restricted(since: u32, find: fn(&Pod<'_>, Standard) -> Option<Finding>) -> Rule {
    Rule { level: Level::Restricted, since, overridden: None, find }
}

/// The order is that of the answers.
const RULES: [Rule; 18] = [
    baseline(0, None, app_armor),
    baseline(0, Some(22), capabilities_baseline),
    baseline(0, None, host_namespaces),
    baseline(0, Some(0), host_path),
    baseline(0, None, host_ports),
    baseline(34, None, host_probes),
    baseline(0, None, privileged),
    baseline(0, None, proc_mount),
    baseline(0, None, se_linux),
    baseline(0, Some(19), seccomp_baseline),
    baseline(0, None, sysctls),
    baseline(0, None, windows_host_process),
    restricted(8, escalation),
    restricted(22, capabilities_restricted),
    restricted(0, volumes),
    restricted(0, non_root),
    restricted(23, run_as_user),
    restricted(19, seccomp_restricted),
];

/// The version since which pods for Windows are let off what Windows has not.
const WINDOWS: u32 = 25;
/// The version since which pods with users of their own may be root in them.
const OWN_USERS: u32 = 35;
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const SE_LINUX: [&str; 4] = ["", "container_t", "container_init_t", "container_kvm_t"];
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
const SYSCTLS: [(&str, u32); 12] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
];
const VOLUMES: [&str; 8] =
    ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];
const FOREIGN: [&str; 21] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LATEST: Standard = Standard { level: Level::Restricted, version: None };

    fn good() -> Value {
        json!({"spec": {"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}, "containers": [
            {"name": "c", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]}})
    }

    fn said(standard: Standard, pod: &Value) -> String {
        let found = all(standard, &Pod::of(pod));
        found.iter().map(|finding| format!("{} ({})", finding.reason, finding.detail)).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_plain_pod() {
        assert_eq!(said(LATEST, &good()), "");
        let plain = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
        assert_eq!(said(Standard { level: Level::Baseline, version: None }, &plain), "");
        assert_eq!(said(Standard { level: Level::Privileged, version: None }, &plain), "");
        assert_eq!(
            said(LATEST, &plain),
            "allowPrivilegeEscalation != false (containers \"a\", \"b\" must set securityContext.allowPrivilegeEscalation=false), \
             unrestricted capabilities (containers \"a\", \"b\" must set securityContext.capabilities.drop=[\"ALL\"]), \
             runAsNonRoot != true (pod or containers \"a\", \"b\" must set securityContext.runAsNonRoot=true), \
             seccompProfile (pod or containers \"a\", \"b\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"
        );
    }

    #[test]
    fn each_rule() {
        let baseline = Standard { level: Level::Baseline, version: None };
        let at = |path: &str, value: Value| {
            let mut pod = good();
            let (parent, member) = path.rsplit_once('/').expect("a path");
            let parent = pod.pointer_mut(parent).expect("a place");
            parent[member] = value;
            pod
        };
        let context = "/spec/containers/0/securityContext";
        #[rustfmt::skip]
        let rows = [
            (baseline, at("/spec/hostPID", json!(true)), "host namespaces (hostPID=true)"),
            (baseline, at("/spec/volumes", json!([{"name": "v", "hostPath": {"path": "/"}}])), "hostPath volumes (volume \"v\")"),
            (LATEST, at("/spec/volumes", json!([{"name": "v", "hostPath": {"path": "/"}}])), "restricted volume types (volume \"v\" uses restricted volume type \"hostPath\")"),
            (baseline, at("/spec/containers/0/ports", json!([{"hostPort": 80}, {"hostPort": 443}])), "hostPort (container \"c\" uses hostPorts 443, 80)"),
            (baseline, at("/spec/containers/0/livenessProbe", json!({"httpGet": {"host": "h"}})), "probe or lifecycle host (container \"c\" uses probe or lifecycle host \"h\")"),
            (Standard { version: Some(33), ..baseline }, at("/spec/containers/0/livenessProbe", json!({"httpGet": {"host": "h"}})), ""),
            (baseline, at(&format!("{context}/capabilities"), json!({"add": ["SYS_ADMIN"]})), "non-default capabilities (container \"c\" must not include \"SYS_ADMIN\" in securityContext.capabilities.add)"),
            (LATEST, at(&format!("{context}/capabilities"), json!({"add": ["CHOWN"]})), "unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]; container \"c\" must not include \"CHOWN\" in securityContext.capabilities.add)"),
            (baseline, at(&format!("{context}/procMount"), json!("Unmasked")), "procMount (container \"c\" must not set securityContext.procMount to \"Unmasked\")"),
            (baseline, at(&format!("{context}/seLinuxOptions"), json!({"type": "x", "user": "u"})), "seLinuxOptions (container \"c\" set forbidden securityContext.seLinuxOptions: type \"x\"; user may not be set)"),
            (baseline, at("/spec/securityContext/seccompProfile", json!({"type": "Unconfined"})), "seccompProfile (pod must not set securityContext.seccompProfile.type to \"Unconfined\")"),
            (baseline, at("/spec/securityContext/sysctls", json!([{"name": "a"}, {"name": "b"}])), "forbidden sysctls (a, b)"),
            (baseline, at(&format!("{context}/windowsOptions"), json!({"hostProcess": true})), "hostProcess (container \"c\" must not set securityContext.windowsOptions.hostProcess=true)"),
            (baseline, at(&format!("{context}/appArmorProfile"), json!({"type": "Unconfined"})), "forbidden AppArmor profile (container \"c\" must not set AppArmor profile type to \"Unconfined\")"),
            (baseline, at("/metadata", json!({"annotations": {"container.apparmor.security.beta.kubernetes.io/c": "x"}})), "forbidden AppArmor profile (annotation must not set AppArmor profile type to \"container.apparmor.security.beta.kubernetes.io/c=\\\"x\\\"\")"),
            (LATEST, at("/spec/securityContext/runAsUser", json!(0)), "runAsUser=0 (pod must not set runAsUser=0)"),
            (LATEST, at(&format!("{context}/runAsNonRoot"), json!(false)), "runAsNonRoot != true (container \"c\" must not set securityContext.runAsNonRoot=false)"),
        ];
        for (standard, pod, expected) in rows {
            assert_eq!(said(standard, &pod), expected, "{pod}");
        }
    }
}

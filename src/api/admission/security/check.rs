//! The checks of the Pod Security Standards (v1.36), in the order of their names. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Level;
use crate::api::error::quoted;

/// A check that a pod has failed: the reason, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) reason: String,
    pub(super) detail: String,
}

/// A pod, or the template of one.
pub(super) struct Pod<'a> {
    pub(super) metadata: &'a Value,
    pub(super) spec: &'a Value,
}

/// One check: from which level and minor version on. What a baseline check forbids that a restricted one forbids too is left to that.
struct Check {
    level: Level,
    overlaps: bool,
    since: u32,
    run: fn(&Pod<'_>, u32) -> Option<Violation>,
}

/// What a pod violates of a level in the words of a version.
pub(super) fn violations(pod: &Pod<'_>, level: Level, minor: u32) -> Vec<Violation> {
    let applies = |check: &&Check| match (level, check.level) {
        (Level::Privileged, _) | (Level::Baseline, Level::Restricted) => false,
        (Level::Restricted, Level::Baseline) => !check.overlaps,
        _ => true,
    };
    let due =
        |overlaps: bool| CHECKS.iter().filter(applies).filter(move |check| check.overlaps == overlaps && check.since <= minor);
    due(false).chain(due(true)).filter_map(|check| (check.run)(pod, minor)).collect()
}

const fn baseline(since: u32, run: fn(&Pod<'_>, u32) -> Option<Violation>) -> Check {
    Check { level: Level::Baseline, overlaps: false, since, run }
}

const fn overlapping(since: u32, run: fn(&Pod<'_>, u32) -> Option<Violation>) -> Check {
    Check { level: Level::Baseline, overlaps: true, since, run }
}

const fn restricted(since: u32, run: fn(&Pod<'_>, u32) -> Option<Violation>) -> Check {
    Check { level: Level::Restricted, overlaps: false, since, run }
}

const CHECKS: [Check; 18] = [
    baseline(0, app_armor),
    overlapping(0, added_capabilities),
    baseline(0, host_namespaces),
    overlapping(0, host_paths),
    baseline(0, host_ports),
    baseline(34, probe_hosts),
    baseline(0, privileged),
    baseline(0, proc_mount),
    baseline(0, selinux),
    overlapping(19, seccomp),
    baseline(0, sysctls),
    baseline(0, windows_host_process),
    restricted(8, privilege_escalation),
    restricted(22, capabilities),
    restricted(0, volume_types),
    restricted(0, non_root),
    restricted(23, root_user),
    restricted(19, seccomp_set),
];

impl Pod<'_> {
    fn containers(&self) -> impl Iterator<Item = &Value> {
        let lists = ["initContainers", "containers", "ephemeralContainers"].into_iter();
        lists.flat_map(|list| self.spec[list].as_array().into_iter().flatten())
    }

    /// The names of containers of which something holds.
    fn named(&self, holds: impl Fn(&Value) -> bool) -> Vec<&str> {
        self.containers().filter(|container| holds(container)).map(|container| container["name"].as_str().unwrap_or("")).collect()
    }

    fn is_windows(&self) -> bool {
        self.spec["os"]["name"] == "windows"
    }

    /// `pod and container "a"`: those of whom something holds.
    fn setters(&self, holds: impl Fn(&Value) -> bool) -> Vec<String> {
        let mut setters = Vec::new();
        if holds(&self.spec["securityContext"]) {
            setters.push("pod".to_owned());
        }
        let named = self.named(|container| holds(&container["securityContext"]));
        if !named.is_empty() {
            setters.push(containers(&named));
        }
        setters
    }
}

fn violation(reason: &str, detail: String) -> Option<Violation> {
    Some(Violation { reason: reason.to_owned(), detail })
}

/// `containers "a", "b"`
fn containers(names: &[&str]) -> String {
    format!("{} {}", plural("container", names.len()), quote(names))
}

fn plural(word: &str, count: usize) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

fn quote<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| quoted(name.as_ref())).collect::<Vec<_>>().join(", ")
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn app_armor(pod: &Pod<'_>, _: u32) -> Option<Violation> {
    let kind = |context: &Value| context["appArmorProfile"]["type"].as_str().unwrap_or("").to_owned();
    let is_bad = |context: &Value| !matches!(kind(context).as_str(), "" | "RuntimeDefault" | "Localhost");
    let mut details = Vec::new();
    let setters = pod.setters(is_bad);
    let contexts = pod.containers().map(|container| &container["securityContext"]).chain([&pod.spec["securityContext"]]);
    let mut bad: BTreeSet<String> = { contexts }.filter(|context| is_bad(context)).map(kind).collect();
    if !setters.is_empty() {
        details.push(format!("{} must not set AppArmor profile type to {}", setters.join(" and "), quote(&bad)));
    }
    let allowed = |value: &str| value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
    for (key, value) in pod.metadata["annotations"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or("");
        if key.starts_with("container.apparmor.security.beta.kubernetes.io/") && !allowed(value) {
            let text = format!("{key}={}", quoted(value));
            details.push(text.clone());
            bad.insert(text);
        }
    }
    if details.is_empty() {
        return None;
    }
    violation(&plural("forbidden AppArmor profile", bad.len()), details.join(", "))
}

fn added_capabilities(pod: &Pod<'_>, _: u32) -> Option<Violation> {
    forbidden_capabilities(pod, &DEFAULT_CAPABILITIES)
        .map(|detail| Violation { reason: "non-default capabilities".to_owned(), detail })
}

fn forbidden_capabilities(pod: &Pod<'_>, allowed: &[&str]) -> Option<String> {
    let added = |container: &Value| -> Vec<String> {
        let added = strings(&container["securityContext"]["capabilities"]["add"]);
        added.filter(|name| !allowed.contains(name)).map(str::to_owned).collect()
    };
    let named = pod.named(|container| !added(container).is_empty());
    let all: BTreeSet<String> = pod.containers().flat_map(added).collect();
    (!named.is_empty())
        .then(|| format!("{} must not include {} in securityContext.capabilities.add", containers(&named), quote(&all)))
}

fn host_namespaces(pod: &Pod<'_>, _: u32) -> Option<Violation> {
    let shared = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|member| pod.spec[*member] == true);
    let shared: Vec<String> = shared.map(|member| format!("{member}=true")).collect();
    if shared.is_empty() { None } else { violation("host namespaces", shared.join(", ")) }
}

fn host_paths(pod: &Pod<'_>, _: u32) -> Option<Violation> {
    let volumes = pod.spec["volumes"].as_array().into_iter().flatten().filter(|volume| !volume["hostPath"].is_null());
    let names: Vec<&str> = volumes.map(|volume| volume["name"].as_str().unwrap_or("")).collect();
    if names.is_empty() {
        return None;
    }
    violation("hostPath volumes", format!("{} {}", plural("volume", names.len()), quote(&names)))
}

fn host_ports(pod: &Pod<'_>, _: u32) -> Option<Violation> {
    let ports = |container: &Value| -> Vec<String> {
        let ports = container["ports"].as_array().into_iter().flatten();
        ports.filter_map(|port| port["hostPort"].as_i64()).filter(|port| *port != 0).map(|port| port.to_string()).collect()
    };
    let named = pod.named(|container| !ports(container).is_empty());
    if named.is_empty() {
        return None;
    }
    let all: BTreeSet<String> = pod.containers().flat_map(ports).collect();
    let (uses, word) = (if named.len() == 1 { "uses" } else { "use" }, plural("hostPort", all.len()));
    let list: Vec<String> = all.into_iter().collect();
    violation("hostPort", format!("{} {uses} {word} {}", containers(&named), list.join(", ")))
}

fn probe_hosts(pod: &Pod<'_>, _: u32) -> Option<Violation> {
    let hosts = |container: &Value| -> BTreeSet<String> {
        let probes = ["livenessProbe", "readinessProbe", "startupProbe"].map(|probe| &container[probe]);
        let hooks = ["postStart", "preStop"].map(|hook| &container["lifecycle"][hook]);
        let actions = probes.into_iter().chain(hooks).flat_map(|one| [&one["httpGet"]["host"], &one["tcpSocket"]["host"]]);
        actions.filter_map(Value::as_str).filter(|host| !host.is_empty()).map(str::to_owned).collect()
    };
    let named: BTreeSet<&str> = pod.named(|container| !hosts(container).is_empty()).into_iter().collect();
    if named.is_empty() {
        return None;
    }
    let all: BTreeSet<String> = pod.containers().flat_map(hosts).collect();
    let names: Vec<&str> = named.into_iter().collect();
    let uses = if names.len() == 1 { "uses" } else { "use" };
    let word = plural("probe or lifecycle host", all.len());
    violation("probe or lifecycle host", format!("{} {uses} {word} {}", containers(&names), quote(&all)))
}

fn privileged(pod: &Pod<'_>, _: u32) -> Option<Violation> {
    let named = pod.named(|container| container["securityContext"]["privileged"] == true);
    if named.is_empty() {
        return None;
    }
    violation("privileged", format!("{} must not set securityContext.privileged=true", containers(&named)))
}

fn proc_mount(pod: &Pod<'_>, _: u32) -> Option<Violation> {
    let mount = |container: &Value| {
        container["securityContext"]["procMount"].as_str().filter(|mount| *mount != "Default").map(str::to_owned)
    };
    let named = pod.named(|container| mount(container).is_some());
    if named.is_empty() {
        return None;
    }
    let all: BTreeSet<String> = pod.containers().filter_map(mount).collect();
    violation("procMount", format!("{} must not set securityContext.procMount to {}", containers(&named), quote(&all)))
}

fn selinux(pod: &Pod<'_>, minor: u32) -> Option<Violation> {
    let text = |context: &Value, member: &str| context["seLinuxOptions"][member].as_str().unwrap_or("").to_owned();
    let is_allowed = |kind: &str| {
        matches!(kind, "" | "container_t" | "container_init_t" | "container_kvm_t") || minor >= 31 && kind == "container_engine_t"
    };
    let is_bad = |context: &Value| {
        !is_allowed(&text(context, "type")) || !text(context, "user").is_empty() || !text(context, "role").is_empty()
    };
    let setters = pod.setters(is_bad);
    if setters.is_empty() {
        return None;
    }
    let contexts: Vec<&Value> =
        pod.containers().map(|container| &container["securityContext"]).chain([&pod.spec["securityContext"]]).collect();
    let types: BTreeSet<String> = contexts.iter().map(|context| text(context, "type")).filter(|kind| !is_allowed(kind)).collect();
    let mut data = Vec::new();
    if !types.is_empty() {
        data.push(format!("{} {}", plural("type", types.len()), quote(&types)));
    }
    for member in ["user", "role"] {
        if contexts.iter().any(|context| !text(context, member).is_empty()) {
            data.push(format!("{member} may not be set"));
        }
    }
    let detail = format!("{} set forbidden securityContext.seLinuxOptions: {}", setters.join(" and "), data.join("; "));
    violation("seLinuxOptions", detail)
}

fn seccomp_kind(context: &Value) -> Option<&str> {
    context["seccompProfile"]["type"].as_str()
}

fn is_confined(kind: &str) -> bool {
    matches!(kind, "RuntimeDefault" | "Localhost")
}

fn seccomp(pod: &Pod<'_>, _: u32) -> Option<Violation> {
    let bad = |context: &Value| seccomp_kind(context).is_some_and(|kind| !is_confined(kind));
    let setters = pod.setters(bad);
    if setters.is_empty() {
        return None;
    }
    let contexts = pod.containers().map(|container| &container["securityContext"]).chain([&pod.spec["securityContext"]]);
    let kinds: BTreeSet<&str> = { contexts }.filter_map(seccomp_kind).filter(|kind| !is_confined(kind)).collect();
    let detail = format!("{} must not set securityContext.seccompProfile.type to {}", setters.join(" and "), quote(&kinds));
    violation("seccompProfile", detail)
}

fn seccomp_set(pod: &Pod<'_>, minor: u32) -> Option<Violation> {
    if minor >= 25 && pod.is_windows() {
        return None;
    }
    if let Some(bad) = seccomp(pod, minor) {
        return Some(bad);
    }
    if seccomp_kind(&pod.spec["securityContext"]).is_some() {
        return None;
    }
    let named = pod.named(|container| seccomp_kind(&container["securityContext"]).is_none());
    if named.is_empty() {
        return None;
    }
    let detail = format!(
        "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
        containers(&named)
    );
    violation("seccompProfile", detail)
}

fn sysctls(pod: &Pod<'_>, minor: u32) -> Option<Violation> {
    let names = pod.spec["securityContext"]["sysctls"].as_array().into_iter().flatten();
    let names = names.map(|sysctl| sysctl["name"].as_str().unwrap_or(""));
    let is_allowed = |name: &&str| SYSCTLS.iter().any(|(since, own)| own == name && *since <= minor);
    let bad: Vec<&str> = names.filter(|name| !is_allowed(name)).collect();
    if bad.is_empty() { None } else { violation("forbidden sysctls", bad.join(", ")) }
}

fn windows_host_process(pod: &Pod<'_>, _: u32) -> Option<Violation> {
    let setters = pod.setters(|context| context["windowsOptions"]["hostProcess"] == true);
    if setters.is_empty() {
        return None;
    }
    let detail = format!("{} must not set securityContext.windowsOptions.hostProcess=true", setters.join(" and "));
    violation("hostProcess", detail)
}

fn privilege_escalation(pod: &Pod<'_>, minor: u32) -> Option<Violation> {
    if minor >= 25 && pod.is_windows() {
        return None;
    }
    let named = pod.named(|container| container["securityContext"]["allowPrivilegeEscalation"] != false);
    if named.is_empty() {
        return None;
    }
    let detail = format!("{} must set securityContext.allowPrivilegeEscalation=false", containers(&named));
    violation("allowPrivilegeEscalation != false", detail)
}

fn capabilities(pod: &Pod<'_>, minor: u32) -> Option<Violation> {
    if minor >= 25 && pod.is_windows() {
        return None;
    }
    let mut details = Vec::new();
    let drops_all = |container: &Value| strings(&container["securityContext"]["capabilities"]["drop"]).any(|name| name == "ALL");
    let named = pod.named(|container| !drops_all(container));
    if !named.is_empty() {
        details.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", containers(&named)));
    }
    details.extend(forbidden_capabilities(pod, &["NET_BIND_SERVICE"]));
    if details.is_empty() { None } else { violation("unrestricted capabilities", details.join("; ")) }
}

fn volume_types(pod: &Pod<'_>, _: u32) -> Option<Violation> {
    let kind = |volume: &Value| {
        let mut members = volume.as_object().into_iter().flatten().filter(|(name, value)| *name != "name" && !value.is_null());
        members.next().map_or("unknown".to_owned(), |(name, _)| name.clone())
    };
    let bad = |volume: &&Value| !VOLUMES.contains(&kind(volume).as_str());
    let volumes: Vec<&Value> = pod.spec["volumes"].as_array().into_iter().flatten().filter(bad).collect();
    if volumes.is_empty() {
        return None;
    }
    let names: Vec<&str> = volumes.iter().map(|volume| volume["name"].as_str().unwrap_or("")).collect();
    let kinds: BTreeSet<String> = volumes.iter().map(|volume| kind(volume)).collect();
    let uses = if names.len() == 1 { "uses" } else { "use" };
    let word = plural("restricted volume type", kinds.len());
    let detail = format!("{} {} {uses} {word} {}", plural("volume", names.len()), quote(&names), quote(&kinds));
    violation("restricted volume types", detail)
}

fn non_root(pod: &Pod<'_>, _: u32) -> Option<Violation> {
    let wish = |context: &Value| context["runAsNonRoot"].as_bool();
    let setters = pod.setters(|context| wish(context) == Some(false));
    if !setters.is_empty() {
        let detail = format!("{} must not set securityContext.runAsNonRoot=false", setters.join(" and "));
        return violation("runAsNonRoot != true", detail);
    }
    if wish(&pod.spec["securityContext"]) == Some(true) {
        return None;
    }
    let named = pod.named(|container| wish(&container["securityContext"]).is_none());
    if named.is_empty() {
        return None;
    }
    violation("runAsNonRoot != true", format!("pod or {} must set securityContext.runAsNonRoot=true", containers(&named)))
}

fn root_user(pod: &Pod<'_>, _: u32) -> Option<Violation> {
    let setters = pod.setters(|context| context["runAsUser"].as_i64() == Some(0));
    if setters.is_empty() {
        return None;
    }
    violation("runAsUser=0", format!("{} must not set runAsUser=0", setters.join(" and ")))
}

const DEFAULT_CAPABILITIES: [&str; 13] = [
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

const SYSCTLS: [(u32, &str); 12] = [
    (0, "kernel.shm_rmid_forced"),
    (0, "net.ipv4.ip_local_port_range"),
    (0, "net.ipv4.tcp_syncookies"),
    (0, "net.ipv4.ping_group_range"),
    (0, "net.ipv4.ip_unprivileged_port_start"),
    (27, "net.ipv4.ip_local_reserved_ports"),
    (29, "net.ipv4.tcp_keepalive_time"),
    (29, "net.ipv4.tcp_fin_timeout"),
    (29, "net.ipv4.tcp_keepalive_intvl"),
    (29, "net.ipv4.tcp_keepalive_probes"),
    (32, "net.ipv4.tcp_rmem"),
    (32, "net.ipv4.tcp_wmem"),
];

const VOLUMES: [&str; 8] =
    ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];

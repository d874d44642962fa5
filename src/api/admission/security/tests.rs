use serde_json::json;

use super::*;

fn found(level: Level, spec: &Value) -> Vec<String> {
    let metadata = json!({});
    let standard = Standard { level, version: LATEST.to_owned() };
    let found = standard.violations(&Pod { metadata: &metadata, spec });
    found.iter().map(|one| format!("{} ({})", one.reason, one.detail)).collect()
}

/// A container that the restricted standard has nothing against, with something changed.
fn with(change: Value) -> Value {
    let mut context = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"}});
    for (member, value) in change.as_object().into_iter().flatten() {
        context[member] = value.clone();
    }
    json!({"containers": [{"name": "c", "image": "i", "securityContext": context}]})
}

fn and(mut spec: Value, more: Value) -> Value {
    for (member, value) in more.as_object().into_iter().flatten() {
        spec[member] = value.clone();
    }
    spec
}

#[test]
fn each_check() {
    let rows = [
        (Level::Restricted, with(json!({})), ""),
        (Level::Privileged, with(json!({"privileged": true})), ""),
        (Level::Baseline, json!({"containers": [{"name": "c"}]}), ""),
        (
            Level::Baseline,
            with(json!({"privileged": true})),
            "privileged (container \"c\" must not set securityContext.privileged=true)",
        ),
        (
            Level::Baseline,
            with(json!({"capabilities": {"add": ["SYS_ADMIN", "CHOWN"]}})),
            "non-default capabilities (container \"c\" must not include \"SYS_ADMIN\" in securityContext.capabilities.add)",
        ),
        (
            Level::Baseline,
            and(with(json!({})), json!({"hostNetwork": true, "hostIPC": true})),
            "host namespaces (hostNetwork=true, hostIPC=true)",
        ),
        (
            Level::Baseline,
            and(with(json!({})), json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]})),
            "hostPath volumes (volume \"v\")",
        ),
        (
            Level::Baseline,
            json!({"containers": [{"name": "c", "ports": [{"hostPort": 80}, {"hostPort": 81}]}]}),
            "hostPort (container \"c\" uses hostPorts 80, 81)",
        ),
        (
            Level::Baseline,
            json!({"containers": [{"name": "c", "livenessProbe": {"httpGet": {"host": "h"}}}]}),
            "probe or lifecycle host (container \"c\" uses probe or lifecycle host \"h\")",
        ),
        (
            Level::Baseline,
            with(json!({"procMount": "Unmasked"})),
            "procMount (container \"c\" must not set securityContext.procMount to \"Unmasked\")",
        ),
        (
            Level::Baseline,
            with(json!({"seLinuxOptions": {"type": "spc_t", "user": "u"}})),
            "seLinuxOptions (container \"c\" set forbidden securityContext.seLinuxOptions: type \"spc_t\"; user may not be set)",
        ),
        (
            Level::Baseline,
            and(with(json!({})), json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}})),
            "seccompProfile (pod must not set securityContext.seccompProfile.type to \"Unconfined\")",
        ),
        (
            Level::Baseline,
            and(
                with(json!({})),
                json!({"securityContext": {"sysctls": [{"name": "kernel.x"}, {"name": "net.ipv4.tcp_syncookies"}]}}),
            ),
            "forbidden sysctls (kernel.x)",
        ),
        (
            Level::Baseline,
            with(json!({"windowsOptions": {"hostProcess": true}})),
            "hostProcess (container \"c\" must not set securityContext.windowsOptions.hostProcess=true)",
        ),
        (
            Level::Baseline,
            with(json!({"appArmorProfile": {"type": "Unconfined"}})),
            "forbidden AppArmor profile (container \"c\" must not set AppArmor profile type to \"Unconfined\")",
        ),
        (
            Level::Restricted,
            with(json!({"allowPrivilegeEscalation": null})),
            "allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false)",
        ),
        (
            Level::Restricted,
            with(json!({"capabilities": {"add": ["CHOWN"]}})),
            "unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]; container \"c\" must not include \"CHOWN\" in securityContext.capabilities.add)",
        ),
        (
            Level::Restricted,
            and(with(json!({})), json!({"volumes": [{"name": "v", "nfs": {}}, {"name": "e", "emptyDir": {}}]})),
            "restricted volume types (volume \"v\" uses restricted volume type \"nfs\")",
        ),
        (
            Level::Restricted,
            with(json!({"runAsNonRoot": null})),
            "runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true)",
        ),
        (
            Level::Restricted,
            with(json!({"runAsNonRoot": false})),
            "runAsNonRoot != true (container \"c\" must not set securityContext.runAsNonRoot=false)",
        ),
        (Level::Restricted, with(json!({"runAsUser": 0})), "runAsUser=0 (container \"c\" must not set runAsUser=0)"),
        (
            Level::Restricted,
            with(json!({"seccompProfile": null})),
            "seccompProfile (pod or container \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")",
        ),
    ];
    for (level, spec, expected) in rows {
        assert_eq!(found(level, &spec).join(", "), expected, "{spec}");
    }
}

#[test]
fn a_version_knows_what_it_knew() {
    let spec = with(json!({"runAsUser": 0}));
    let metadata = json!({});
    for (version, expected) in [("v1.22", 0), ("v1.23", 1), ("latest", 1)] {
        let standard = Standard { level: Level::Restricted, version: version.to_owned() };
        assert_eq!(standard.violations(&Pod { metadata: &metadata, spec: &spec }).len(), expected, "{version}");
    }
}

#[test]
fn labels() {
    for (labels, enforce, faults) in [
        (json!({}), "privileged:latest", 0),
        (json!({"enforce": "baseline", "enforce-version": "v1.30"}), "baseline:v1.30", 0),
        (json!({"enforce": "none"}), "restricted:latest", 1),
        (json!({"enforce": "baseline", "enforce-version": "v1.01"}), "baseline:latest", 1),
        (json!({"audit": "x", "warn": "y"}), "privileged:latest", 2),
    ] {
        let policy = Policy::of(|key| labels[key.strip_prefix(PREFIX)?].as_str().map(str::to_owned));
        assert_eq!((policy.enforce.to_string().as_str(), policy.faults.len()), (enforce, faults), "{labels}");
    }
}

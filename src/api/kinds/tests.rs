use serde_json::{Value, json};

use super::Part;
use super::testing::{changes, faults, warnings};

fn check(kind: &str, rows: Vec<(Value, &[&str])>) {
    for (fragment, expected) in rows {
        assert_eq!(faults(kind, fragment.clone()), expected, "{kind} {fragment}");
    }
}

#[test]
fn nodes() {
    check(
        "nodes",
        vec![
            (
                json!({"spec": {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"], "taints": [{"key": "a", "effect": "NoSchedule"}]}}),
                &[],
            ),
            (
                json!({"spec": {"taints": [{"key": "a", "effect": "X", "value": "b c"}, {"key": "a", "effect": "NoExecute"}, {"key": "a",
                    "effect": "NoExecute"}]}}),
                &[
                    "metadata.taints[0].value: Invalid value: \"b c\": a valid label must be an empty string or consist of alphanumeric \
                     characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
                     'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
                    "metadata.taints[0].effect: Unsupported value: \"X\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \
                     \"NoExecute\"",
                    "metadata.taints[2]: Duplicate value: {\"Key\":\"a\",\"Value\":\"\",\"Effect\":\"NoExecute\",\"TimeAdded\":null}: \
                     taints must be unique by key and effect pair",
                ],
            ),
            (
                json!({"spec": {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24", "10.0.0.0/24"]}}),
                &[
                    "spec.podCIDRs: Invalid value: [\"10.0.0.0/24\",\"10.0.0.0/24\"]: may specify no more than one CIDR for each IP \
                     family",
                    "spec.podCIDRs[1]: Duplicate value: \"10.0.0.0/24\"",
                ],
            ),
            (
                json!({"status": {"capacity": {"cpu": "-1", "pods": "1500m"}, "allocatable": {"cpu": "1"}}}),
                &[
                    "status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0",
                    "status.capacity.pods: Invalid value: \"1500m\": must be an integer",
                ],
            ),
        ],
    );
    let with = |range: &str, provider: &str| json!({"spec": {"podCIDR": range, "podCIDRs": [range], "providerID": provider}});
    assert_eq!(
        changes("nodes", Part::Whole, with("10.0.1.0/24", "b"), with("10.0.0.0/24", "a")),
        [
            "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid",
            "spec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid",
        ]
    );
    let twice =
        json!({"status": {"addresses": [{"type": "InternalIP", "address": "a"}, {"type": "InternalIP", "address": "a"}]}});
    assert_eq!(
        changes("nodes", Part::Status, twice, json!({})),
        ["status.addresses[1]: Duplicate value: {\"Type\":\"InternalIP\",\"Address\":\"a\"}"]
    );
}

#[test]
fn namespaces() {
    let fault = "name is neither a standard finalizer name nor is it fully qualified";
    let told = format!("spec.finalizers: Invalid value: \"x\": {fault}");
    check("namespaces", vec![(json!({"spec": {"finalizers": ["kubernetes", "x"]}}), &[told.as_str()])]);
    let with = |finalizers: Value| json!({"spec": {"finalizers": finalizers}, "status": {"phase": "Active"}});
    assert_eq!(
        changes("namespaces", Part::Finalize, with(json!(["x"])), with(json!([]))),
        [format!("spec.finalizers[0]: Invalid value: \"x\": {fault}")]
    );
    let phase = json!({"status": {"phase": "Terminating"}});
    assert_eq!(
        changes("namespaces", Part::Status, phase, with(json!([]))),
        ["status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"]
    );
}

#[test]
fn configmaps_and_secrets() {
    let key = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or \
               'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    let told = format!("data[a/b]: Invalid value: \"a/b\": {key}");
    check(
        "configmaps",
        vec![
            (
                json!({"data": {"a": "1"}, "binaryData": {"a": "AA=="}}),
                &["data[a]: Invalid value: \"a\": duplicate of key present in binaryData"],
            ),
            (json!({"data": {"a/b": ""}}), &[told.as_str()]),
            (json!({"data": {"a": "x".repeat(1_048_577)}}), &["[]: Too long: may not be more than 1048576 bytes"]),
        ],
    );
    let with = |immutable: bool, value: &str| json!({"immutable": immutable, "data": {"a": value}});
    assert_eq!(
        changes("configmaps", Part::Whole, with(false, "2"), with(true, "1")),
        [
            "immutable: Forbidden: field is immutable when `immutable` is set",
            "data: Forbidden: field is immutable when `immutable` is set",
        ]
    );
    let typed = |kind: &str, data: Value| json!({"type": kind, "data": data});
    check(
        "secrets",
        vec![
            (typed("kubernetes.io/tls", json!({})), &["data[tls.crt]: Required value", "data[tls.key]: Required value"]),
            (typed("kubernetes.io/basic-auth", json!({})), &["data[username]: Required value", "data[password]: Required value"]),
            (typed("kubernetes.io/basic-auth", json!({"password": ""})), &[]),
            (typed("kubernetes.io/ssh-auth", json!({"ssh-privatekey": ""})), &["data[ssh-privatekey]: Required value"]),
            (
                typed("kubernetes.io/service-account-token", json!({})),
                &["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
            ),
            (typed("kubernetes.io/dockercfg", json!({})), &["data[.dockercfg]: Required value"]),
            (typed("kubernetes.io/dockerconfigjson", json!({".dockerconfigjson": "e30="})), &[]),
            (
                typed("kubernetes.io/dockerconfigjson", json!({".dockerconfigjson": ""})),
                &["data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": unexpected end of JSON input"],
            ),
            (
                typed("kubernetes.io/dockerconfigjson", json!({".dockerconfigjson": "WzFd"})),
                &[
                    "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": json: cannot unmarshal array into Go value of \
                 type map[string]interface {}",
                ],
            ),
        ],
    );
    let told = changes("secrets", Part::Whole, typed("b", json!({})), typed("a", json!({})));
    assert_eq!(told, ["type: Invalid value: \"b\": field is immutable"]);
    let told = warnings("secrets", typed("kubernetes.io/tls", json!({"tls.crt": "eA==", "tls.key": "eA=="})));
    assert_eq!(told, ["tls: failed to find any PEM data in certificate input"]);
}

#[test]
fn quotas() {
    check(
        "resourcequotas",
        vec![
            (json!({"spec": {"hard": {"pods": "1", "count/deployments.apps": "2", "requests.nvidia.com/gpu": "1"}}}), &[]),
            (
                json!({"spec": {"hard": {"apples": "1", "pods": "1500m", "cpu": "-1"}}}),
                &[
                    "spec.hard[apples]: Invalid value: \"apples\": must be a standard resource type or fully qualified",
                    "spec.hard[apples]: Invalid value: \"apples\": must be a standard resource for quota",
                    "spec.hard[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
                    "spec.hard[pods]: Invalid value: \"1500m\": must be an integer",
                ],
            ),
            (
                json!({"spec": {"hard": {"cpu": "1"}, "scopes": ["BestEffort", "NotBestEffort", "X"]}}),
                &[
                    "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\",\"X\"]: unsupported scope applied to resource",
                    "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\",\"X\"]: unsupported scope",
                    "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\",\"X\"]: conflicting scopes",
                ],
            ),
            (
                json!({"spec": {"hard": {"secrets": "1"}, "scopeSelector": {"matchExpressions": [{"scopeName": "BestEffort", "operator":
                    "In"}]}}}),
                &[
                    "spec.scopeSelector.matchExpressions: Invalid value: {\"MatchExpressions\":[{\"ScopeName\":\"BestEffort\",\
                     \"Operator\":\"In\",\"Values\":null}]}: unsupported scope applied to resource",
                    "spec.scopeSelector.matchExpressions.operator: Invalid value: \"In\": must be 'Exists' when scope is any of \
                     ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, \
                     ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
                    "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or \
                     'NotIn' for scope selector",
                ],
            ),
        ],
    );
    let with = |scopes: Value| json!({"spec": {"scopes": scopes}});
    assert_eq!(
        changes("resourcequotas", Part::Whole, with(json!(["BestEffort"])), with(json!([]))),
        ["spec.scopes: Invalid value: [\"BestEffort\"]: field is immutable"]
    );
    let state = json!({"status": {"used": {"pods": "-1"}}});
    assert_eq!(
        changes("resourcequotas", Part::Status, state, json!({})),
        ["status.used[pods]: Invalid value: \"-1\": must be greater than or equal to 0"]
    );
}

#[test]
fn ranges_of_limits() {
    let with = |limit: Value| json!({"spec": {"limits": [limit]}});
    check(
        "limitranges",
        vec![
            (with(json!({"type": "Container", "max": {"cpu": "1"}})), &[]),
            (
                with(json!({"type": "Pod", "max": {"cpu": "1"}, "min": {"cpu": "2"}, "default": {"cpu": "1"}})),
                &[
                    "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
                    "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1",
                ],
            ),
            (
                with(
                    json!({"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1"}, "default": {"cpu": "3"}, "defaultRequest":
                    {"cpu": "500m"}, "maxLimitRequestRatio": {"cpu": "3"}}),
                ),
                &[
                    "spec.limits[0].defaultRequest[cpu]: Invalid value: \"500m\": min value 1 is greater than default request value \
                     500m",
                    "spec.limits[0].default[cpu]: Invalid value: \"2\": default value 3 is greater than max value 2",
                    "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"3\": ratio 3 is greater than max/min = 2.000000",
                ],
            ),
            (
                with(json!({"type": "PersistentVolumeClaim"})),
                &[
                    "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided",
                ],
            ),
            (
                with(json!({"type": "X", "max": {"apples": "1"}})),
                &[
                    "spec.limits[0].type: Invalid value: \"X\": must be a standard limit type or fully qualified",
                    "spec.limits[0].max[apples]: Invalid value: \"apples\": must be a standard resource type or fully qualified",
                ],
            ),
            (json!({"spec": {"limits": [{"type": "Pod"}, {"type": "Pod"}]}}), &["spec.limits[1].type: Duplicate value: \"Pod\""]),
        ],
    );
}

#[test]
fn events() {
    let about = json!({"namespace": "default"});
    check(
        "events",
        vec![
            (json!({"involvedObject": about}), &[]),
            (
                json!({"metadata": {"namespace": "x"}, "involvedObject": {}}),
                &["involvedObject.namespace: Invalid value: \"\": does not match event.namespace"],
            ),
            (
                json!({"involvedObject": {"namespace": "x"}}),
                &["involvedObject.namespace: Invalid value: \"x\": does not match event.namespace"],
            ),
            (
                json!({"involvedObject": about, "eventTime": "2026-01-01T00:00:00.000000Z", "reportingComponent": "c", "action":
                    "x".repeat(129)}),
                &[
                    "reportingInstance: Required value",
                    "action: Invalid value: \"\": can have at most 128 characters",
                    "reason: Required value",
                ],
            ),
        ],
    );
    check(
        "events.k8s.io/events",
        vec![
            (json!({"regarding": about}), &["eventTime: Required value", "type: Invalid value: \"\": has invalid value: "]),
            (
                json!({"regarding": about, "type": "Normal", "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "c",
                    "reportingInstance": "i", "action": "a", "reason": "r", "deprecatedCount": 1, "series": {"count": 1,
                    "lastObservedTime": "2026-01-01T00:00:00.000000Z"}}),
                &["series.count: Invalid value: \"\": should be at least 2", "count: Invalid value: \"\": needs to be unset"],
            ),
        ],
    );
    let with = |reason: &str| {
        json!({"regarding": about, "type": "Normal", "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "c",
            "reportingInstance": "i", "action": "a", "reason": reason})
    };
    assert_eq!(
        changes("events.k8s.io/events", Part::Whole, with("b"), with("a")),
        ["reason: Invalid value: \"b\": field is immutable", "reason: Invalid value: \"b\": field is immutable"]
    );
}

#[test]
fn leases() {
    check(
        "coordination.k8s.io/leases",
        vec![(
            json!({"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}}),
            &[
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
                "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
            ],
        )],
    );
}

#[test]
fn accounts() {
    let told =
        warnings("serviceaccounts", json!({"metadata": {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}}));
    assert_eq!(
        told,
        [
            "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate namespaces to isolate \
          access to mounted secrets"
        ]
    );
}

/// Metadata is checked as often as kube-apiserver does.
#[test]
fn metadata_of_a_change() {
    let bad = json!({"metadata": {"labels": {"a": "x y"}}, "spec": {"limits": []}});
    for (kind, count) in [("configmaps", 4), ("limitranges", 3), ("coordination.k8s.io/leases", 3), ("events", 2)] {
        assert_eq!(
            changes(kind, Part::Whole, bad.clone(), json!({"involvedObject": {}, "spec": {"limits": []}})).len(),
            count,
            "{kind}"
        );
    }
}

/// What is hostile is looked at once, and not told for ever.
#[test]
fn many_scopes_of_many_resources() {
    let hard: serde_json::Map<String, Value> = (0..50_000).map(|at| (format!("hugepages-{at}"), json!("1"))).collect();
    let scopes: Vec<&str> = std::iter::repeat_n("BestEffort", 50_000).collect();
    let terms: Vec<Value> = (0..50_000).map(|_| json!({"scopeName": "BestEffort", "operator": "Exists"})).collect();
    let begun = std::time::Instant::now();
    let told =
        faults("resourcequotas", json!({"spec": {"hard": hard, "scopes": scopes, "scopeSelector": {"matchExpressions": terms}}}));
    assert!(told.iter().map(String::len).sum::<usize>() < 32 << 20);
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

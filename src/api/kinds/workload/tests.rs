//! Tables of fragments of workloads and the exact faults that kube-apiserver tells of them.

use serde_json::{Value, json};

use super::*;
use crate::api::catalog::Catalog;

fn texts(errors: &[FieldError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn spec(more: &Value) -> Value {
    let mut spec = json!({"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File"}],
        "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "terminationGracePeriodSeconds": 30}}});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    spec
}

fn check_rows(group: &str, plural: &str, base: &Value, rows: &[(Value, &str)]) {
    let catalog = Catalog::builtin();
    let kind = catalog.find(group, "v1", plural).expect("a kind");
    for (more, expected) in rows {
        let mut own = spec(base);
        for (key, value) in more.as_object().into_iter().flatten() {
            own[key] = value.clone();
        }
        let mut errors = Vec::new();
        check(kind, &json!({"metadata": {}, "spec": own}), None, &mut errors);
        assert_eq!(texts(&errors), *expected);
    }
}

const UNCHOSEN: &str = "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`";

#[test]
fn deployments() {
    let rolling = |surge: Value, unavailable: Value| {
        json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge,
        "maxUnavailable": unavailable}}})
    };
    let missing = format!("spec.selector: Required value; {UNCHOSEN}");
    let rows = [
        (json!({}), ""),
        (json!({"replicas": -1}), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        (json!({"selector": null}), missing.as_str()),
        (json!({"selector": {}}), "spec.selector: Invalid value: {}: empty selector is invalid for deployment"),
        (json!({"selector": {"matchLabels": {"a": "x"}}}), UNCHOSEN),
        (
            json!({"selector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}),
            "spec.selector.matchExpressions[0].operator: Invalid value: \"Is\": not a valid selector operator; spec.selector: Invalid \
             value: {\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Is\"}]}: invalid label selector",
        ),
        (
            json!({"strategy": {"type": "X"}}),
            "spec.strategy: Unsupported value: {\"Type\":\"X\",\"RollingUpdate\":null}: supported values: \"Recreate\", \
             \"RollingUpdate\"",
        ),
        (
            json!({"strategy": {"type": "Recreate", "rollingUpdate": {}}}),
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            rolling(json!(0), json!("0%")),
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0",
        ),
        (
            rolling(json!("x"), json!("101%")),
            "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"x\": a valid percent string must be a numeric string followed by \
             an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%'); \
             spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
        ),
        (
            json!({"progressDeadlineSeconds": 10, "minReadySeconds": 10}),
            "spec.progressDeadlineSeconds: Invalid value: 10: must be greater than minReadySeconds",
        ),
    ];
    let base = json!({"strategy": {"type": "Recreate"}});
    check_rows("apps", "deployments", &base, &rows);
}

#[test]
fn templates_run_for_ever() {
    let mut template = spec(&json!({}))["template"].clone();
    template["spec"]["restartPolicy"] = json!("Never");
    template["spec"]["activeDeadlineSeconds"] = json!(5);
    let of = |owner: &str| {
        format!(
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"; \
             spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in {owner} is not Supported"
        )
    };
    for (plural, owner, base) in [
        ("deployments", "ReplicaSet", json!({"strategy": {"type": "Recreate"}})),
        ("replicasets", "ReplicaSet", json!({})),
        ("daemonsets", "DaemonSet", json!({"updateStrategy": {"type": "OnDelete"}})),
        ("statefulsets", "StatefulSet", json!({"updateStrategy": {"type": "OnDelete"}, "podManagementPolicy": "Parallel"})),
    ] {
        check_rows("apps", plural, &base, &[(json!({"template": template}), of(owner).as_str())]);
    }
}

#[test]
fn templates_leave_open_what_pods_are_given() {
    let mut template = spec(&json!({}))["template"].clone();
    template["spec"]["hostNetwork"] = json!(true);
    template["spec"]["containers"][0]["ports"] = json!([{"containerPort": 80, "protocol": "TCP"}]);
    template["spec"]["volumes"] = json!([{"name": "v", "image": {"pullPolicy": "Always"}}]);
    check_rows("apps", "deployments", &json!({"strategy": {"type": "Recreate"}}), &[(json!({"template": template}), "")]);
    template["spec"]["containers"][0]["ports"][0]["hostPort"] = json!(81);
    let fault = "spec.template.spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` \
                 is true";
    check_rows("apps", "deployments", &json!({"strategy": {"type": "Recreate"}}), &[(json!({"template": template}), fault)]);
}

#[test]
fn stateful_sets() {
    let base = json!({"updateStrategy": {"type": "OnDelete"}, "podManagementPolicy": "Parallel"});
    let rows = [
        (json!({}), ""),
        (
            json!({"podManagementPolicy": "X"}),
            "spec.podManagementPolicy: Invalid value: \"X\": must be 'OrderedReady' or 'Parallel'",
        ),
        (
            json!({"updateStrategy": {"type": "X"}}),
            "spec.updateStrategy: Invalid value: {\"Type\":\"X\",\"RollingUpdate\":null}: must be 'RollingUpdate' or 'OnDelete'",
        ),
        (
            json!({"updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}}),
            "spec.updateStrategy.rollingUpdate: Invalid value: {\"Partition\":1,\"MaxUnavailable\":null}: only allowed for \
             updateStrategy 'RollingUpdate'",
        ),
        (
            json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": -1, "maxUnavailable": 0}}}),
            "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0; \
             spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0",
        ),
        (
            json!({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "X", "whenScaled": "Retain"}}),
            "spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: \"X\": supported values: \"Retain\", \"Delete\"",
        ),
        (json!({"ordinals": {"start": -1}}), "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0"),
    ];
    check_rows("apps", "statefulsets", &base, &rows);
    let catalog = Catalog::builtin();
    let kind = catalog.find("apps", "v1", "statefulsets").expect("statefulsets");
    let set = |more: &Value| {
        let mut own = spec(&base);
        own["serviceName"] = more.clone();
        json!({"metadata": {"resourceVersion": "1"}, "spec": own})
    };
    let mut errors = Vec::new();
    check_update(kind, Part::Whole, (&set(&json!("b")), &set(&json!("a"))), &mut errors);
    assert_eq!(
        texts(&errors),
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
         'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
    );
}

#[test]
fn daemon_sets_and_controllers() {
    let rolling = |surge: Value, unavailable: Value| {
        json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {
        "maxSurge": surge, "maxUnavailable": unavailable}}})
    };
    let rows = [
        (json!({"selector": null}), UNCHOSEN),
        (
            json!({"updateStrategy": {"type": "X"}}),
            "spec.updateStrategy: Unsupported value: {\"Type\":\"X\",\"RollingUpdate\":null}: supported values: \"RollingUpdate\", \
             \"OnDelete\"",
        ),
        (
            rolling(json!(1), json!(1)),
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
        ),
        (
            rolling(json!(0), json!(0)),
            "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
        ),
    ];
    check_rows("apps", "daemonsets", &json!({"updateStrategy": {"type": "OnDelete"}}), &rows);
    let rows = [
        (json!({"selector": {"a": "b"}}), ""),
        (json!({"selector": {}}), "spec.selector: Required value"),
        (json!({"selector": {"a": "b"}, "template": null}), "spec.template: Required value"),
        (json!({"selector": {"a": "c"}}), UNCHOSEN),
    ];
    check_rows("", "replicationcontrollers", &json!({}), &rows);
}

#[test]
fn selectors_stay_and_statuses_make_sense() {
    let catalog = Catalog::builtin();
    let kind = catalog.find("apps", "v1", "replicasets").expect("replicasets");
    let with = |value: &str| {
        let more = json!({"selector": {"matchLabels": {"a": value}}});
        let mut own = spec(&more);
        own["template"]["metadata"]["labels"]["a"] = json!(value);
        json!({"metadata": {"resourceVersion": "1"}, "spec": own})
    };
    let mut errors = Vec::new();
    check_update(kind, Part::Whole, (&with("2"), &with("1")), &mut errors);
    assert_eq!(texts(&errors), "spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"2\"}}: field is immutable");
    let status =
        json!({"metadata": {"resourceVersion": "1"}, "status": {"replicas": 1, "readyReplicas": 2, "availableReplicas": 3}});
    let mut errors = Vec::new();
    check_update(kind, Part::Status, (&status, &json!({"metadata": {"resourceVersion": "1"}})), &mut errors);
    assert_eq!(
        texts(&errors),
        "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas; \
         status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas; \
         status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas"
    );
}

#[test]
fn what_clients_are_told() {
    let catalog = Catalog::builtin();
    let kind = catalog.find("apps", "v1", "deployments").expect("deployments");
    let mut own = spec(&json!({}));
    own["template"]["spec"]["nodeSelector"] = json!({"beta.kubernetes.io/os": "linux"});
    let new = json!({"metadata": {"name": "a.b", "generation": 1}, "spec": own});
    let mut warnings = Vec::new();
    warn(kind, &new, None, &mut warnings);
    assert!(
        warnings[0]
            .starts_with("metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior")
    );
    assert_eq!(
        warnings[1],
        "spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead"
    );
    warnings.clear();
    warn(kind, &new, Some(&new), &mut warnings);
    assert_eq!(warnings, Vec::<String>::new());
}

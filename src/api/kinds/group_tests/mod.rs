//! What is told of wrong objects: every fault, in kube-apiserver's words and order.

use serde_json::{Value, json};

use super::{Part, check_create, check_update};
use crate::api::catalog::{Catalog, Kind};
use crate::api::error::FieldError;

mod access;
mod device;

/// `group/version plural`
fn kind<'a>(catalog: &'a Catalog, name: &str) -> &'a Kind {
    let (version, plural) = name.split_once(' ').unwrap();
    let (group, version) = version.split_once('/').unwrap();
    catalog.find(group, version, plural).unwrap()
}

fn ready(kind: &Kind, fragment: &Value) -> Value {
    let mut object = fragment.clone();
    object["apiVersion"] = kind.api_version().into();
    object["kind"] = kind.kind.as_str().into();
    if object["metadata"]["name"].is_null() {
        object["metadata"]["name"] = "x".into();
    }
    if kind.namespaced {
        object["metadata"]["namespace"] = "n".into();
    }
    super::default(kind, &mut object);
    kind.schema.normalise(&mut object);
    object
}

fn told(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// The faults of new objects.
#[track_caller]
fn creates(name: &str, rows: &[(Value, &[&str])]) {
    let catalog = Catalog::builtin();
    let kind = kind(&catalog, name);
    for (fragment, expected) in rows {
        let faults = told(&check_create(kind, &ready(kind, fragment)));
        assert_eq!(faults, *expected, "{name} {fragment}\n{}", faults.join("\n"));
    }
}

/// The faults of changes, from the first to the second.
#[track_caller]
fn updates(name: &str, part: Part, rows: &[(Value, Value, &[&str])]) {
    let catalog = Catalog::builtin();
    let kind = kind(&catalog, name);
    for (old, new, expected) in rows {
        let version = |object: &Value| {
            let mut object = ready(kind, object);
            object["metadata"]["resourceVersion"] = "1".into();
            object
        };
        let faults = told(&check_update(kind, part, &version(new), &version(old)));
        assert_eq!(faults, *expected, "{name} {new}\n{}", faults.join("\n"));
    }
}

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an \
                     alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

#[test]
fn autoscalers() {
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"});
    creates(
        "autoscaling/v2 horizontalpodautoscalers",
        &[
            (json!({"spec": {"maxReplicas": 3, "scaleTargetRef": target}}), &[]),
            (
                json!({"spec": {}}),
                &[
                    "spec.maxReplicas: Required value: must be set and greater than 0",
                    "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
                    "spec.scaleTargetRef.kind: Required value",
                    "spec.scaleTargetRef.name: Required value",
                    "spec.scaleTargetRef.apiVersion: Invalid value: \"\": apiVersion must specify API group",
                ],
            ),
            (
                json!({"spec": {"minReplicas": 0, "maxReplicas": 3, "scaleTargetRef": {"kind": "ReplicationController", "name": "a/b", "apiVersion": "v1"}}}),
                &[
                    "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
                    "spec.scaleTargetRef.name: Invalid value: \"a/b\": may not contain '/'",
                    "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas",
                ],
            ),
            (
                json!({"spec": {"maxReplicas": 3, "scaleTargetRef": target, "metrics": [
                    {"type": "X"},
                    {"type": "Pods", "pods": {"metric": {"name": ""}, "target": {"type": "Value", "value": "0"}}},
                    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 0, "averageValue": "1"}},
                        "object": {"describedObject": {"kind": "K", "name": "n"}, "metric": {"name": "m"}, "target": {"type": "Value", "value": "1"}}},
                    {"type": "ContainerResource", "containerResource": {"name": "foo", "container": "A", "target": {"type": "Y"}}},
                    {"type": "External"}]}}),
                &[
                    "spec.metrics[0].type: Unsupported value: \"X\": supported values: \"ContainerResource\", \"External\", \"Object\", \
                     \"Pods\", \"Resource\"",
                    "spec.metrics[0].type: Unsupported value: \"X\": supported values: \"ContainerResource\", \"External\", \"Object\", \
                     \"Pods\", \"Resource\"",
                    "spec.metrics[1].pods.metric.name: Required value: must specify a metric name",
                    "spec.metrics[1].pods.target.value: Invalid value: \"0\": must be positive",
                    "spec.metrics[1].pods.target.averageValue: Required value: must specify a positive target averageValue",
                    "spec.metrics[2].object: Forbidden: must populate the given metric source only",
                    "spec.metrics[3].containerResource.name: Invalid value: \"foo\": must be a standard resource type or fully qualified",
                    "spec.metrics[3].containerResource.name: Invalid value: \"foo\": must be a standard resource for containers",
                    &format!("spec.metrics[3].containerResource.container: Invalid value: \"A\": {LABEL}"),
                    "spec.metrics[3].containerResource.target.type: Invalid value: \"Y\": must be either Utilization, Value, or AverageValue",
                    "spec.metrics[3].containerResource.target.averageUtilization: Required value: must set either a target raw value or a \
                     target utilization",
                    "spec.metrics[4].external: Required value: must populate information for the given metric source",
                ],
            ),
            (
                json!({"spec": {"maxReplicas": 3, "scaleTargetRef": target, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 3601,
                    "selectPolicy": "X", "tolerance": "-1", "policies": [{"type": "Y", "value": 0, "periodSeconds": 1801}]}}}}),
                &[
                    "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
                    "spec.behavior.scaleDown.selectPolicy: Unsupported value: \"X\": supported values: \"Disabled\", \"Max\", \"Min\"",
                    "spec.behavior.scaleDown.policies[0].type: Unsupported value: \"Y\": supported values: \"Percent\", \"Pods\"",
                    "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero",
                    "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
                    "spec.behavior.scaleDown.tolerance: Invalid value: \"-1\": must be greater than or equal to 0",
                ],
            ),
        ],
    );
    creates(
        "autoscaling/v1 horizontalpodautoscalers",
        &[(
            json!({"spec": {"maxReplicas": -1, "scaleTargetRef": target, "targetCPUUtilizationPercentage": 0}}),
            &[
                "spec.maxReplicas: Invalid value: -1: must be greater than or equal to 1",
                "spec.maxReplicas: Invalid value: -1: must be greater than or equal to `minReplicas`",
                "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
            ],
        )],
    );
    let of = |kind: &str| json!({"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": kind, "name": "d", "apiVersion": "v1"}}});
    updates(
        "autoscaling/v2 horizontalpodautoscalers",
        Part::Whole,
        &[
            (of("A"), of("A"), &[]),
            (of("A"), of("B"), &["spec.scaleTargetRef.apiVersion: Invalid value: \"v1\": apiVersion must specify API group"]),
        ],
    );
    updates(
        "autoscaling/v2 horizontalpodautoscalers",
        Part::Status,
        &[(
            of("A"),
            json!({"status": {"currentReplicas": -1, "desiredReplicas": -2}}),
            &[
                "status.currentReplicas: Invalid value: -1: must be greater than or equal to 0",
                "status.desiredReplicas: Invalid value: -2: must be greater than or equal to 0",
            ],
        )],
    );
}

#[test]
fn budgets() {
    let percent = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for \
                   validation is '[0-9]+%')";
    creates(
        "policy/v1 poddisruptionbudgets",
        &[
            (
                json!({"spec": {"minAvailable": -1, "maxUnavailable": "x", "selector": {"matchLabels": {"-a": "b"}}, "unhealthyPodEvictionPolicy": "X"}}),
                &[
                    "spec: Invalid value: {\"MinAvailable\":-1,\"Selector\":{\"matchLabels\":{\"-a\":\"b\"}},\"MaxUnavailable\":\"x\",\
                     \"UnhealthyPodEvictionPolicy\":\"X\"}: minAvailable and maxUnavailable cannot be both set",
                    "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0",
                    &format!("spec.maxUnavailable: Invalid value: \"x\": {percent}"),
                    "spec.selector.matchLabels: Invalid value: \"-a\": name part must consist of alphanumeric characters, '-', '_' or '.', \
                     and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for \
                     validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
                    "spec.unhealthyPodEvictionPolicy: Unsupported value: \"X\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
                ],
            ),
            (
                json!({"spec": {"minAvailable": "101%"}}),
                &["spec.minAvailable: Invalid value: \"101%\": must not be greater than 100%"],
            ),
        ],
    );
    updates(
        "policy/v1 poddisruptionbudgets",
        Part::Status,
        &[(
            json!({}),
            json!({"status": {"expectedPods": -1, "conditions": [{"type": "A", "status": "x", "reason": "1"}]}}),
            &[
                "status.conditions[0].status: Unsupported value: \"x\": supported values: \"False\", \"True\", \"Unknown\"",
                "status.conditions[0].lastTransitionTime: Required value: must be set",
                "status.conditions[0].reason: Invalid value: \"1\": a condition reason must start with alphabetic character, optionally \
                 followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. \
                 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is \
                 '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')",
                "status.expectedPods: Invalid value: -1: must be greater than or equal to 0",
            ],
        )],
    );
}

#[test]
fn flows() {
    creates(
        "flowcontrol.apiserver.k8s.io/v1 flowschemas",
        &[(
            json!({"spec": {"matchingPrecedence": 1, "distinguisherMethod": {"type": "X"}, "rules": [{},
                {"subjects": [{"kind": "User", "group": {"name": "g"}}, {"kind": "ServiceAccount", "serviceAccount": {"name": "a"}}, {"kind": "Y"}],
                 "resourceRules": [{"verbs": ["x"], "apiGroups": ["*", "a"], "namespaces": ["A"]}],
                 "nonResourceRules": [{"verbs": ["*", "get"], "nonResourceURLs": ["", "a", "/a b", "/a//b", "/a*"]}]}]}}),
            &[
                "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
                "spec.distinguisherMethod.type: Unsupported value: {\"Type\":\"X\"}: supported values: \"ByNamespace\", \"ByUser\"",
                "spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
                "spec.rules[0].subjects: Required value: subjects must contain at least one value",
                "spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
                "spec.rules[1].subjects[0].user: Required value: user is required when subject kind is 'User'",
                "spec.rules[1].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'",
                "spec.rules[1].subjects[1].serviceAccount.namespace: Required value: must specify namespace for service account",
                "spec.rules[1].subjects[2].kind: Unsupported value: \"Y\": supported values: \"Group\", \"ServiceAccount\", \"User\"",
                "spec.rules[1].resourceRules[0].verbs: Unsupported value: [\"x\"]: supported values: \"create\", \"delete\", \
                 \"deletecollection\", \"get\", \"list\", \"patch\", \"proxy\", \"update\", \"watch\"",
                "spec.rules[1].resourceRules[0].apiGroups: Invalid value: [\"*\",\"a\"]: if '*' is present, must not specify other api groups",
                "spec.rules[1].resourceRules[0].resources: Required value: resource rules must supply at least one resource",
                &format!(
                    "spec.rules[1].resourceRules[0].namespaces[0]: Invalid value: \"A\": each member of this list must be '*' or a DNS-1123 \
                     label; {LABEL}"
                ),
                "spec.rules[1].nonResourceRules[0].verbs: Invalid value: [\"*\",\"get\"]: if '*' is present, must not specify other verbs",
                "spec.rules[1].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"\": must not be empty",
                "spec.rules[1].nonResourceRules[0].nonResourceURLs[1]: Invalid value: \"a\": must start with slash",
                "spec.rules[1].nonResourceRules[0].nonResourceURLs[2]: Invalid value: \"/a b\": must not contain white-space",
                "spec.rules[1].nonResourceRules[0].nonResourceURLs[3]: Invalid value: \"/a//b\": must not contain double slash",
                "spec.rules[1].nonResourceRules[0].nonResourceURLs[4]: Invalid value: \"/a*\": wildcard can only do suffix matching",
            ],
        )],
    );
    let queuing = |queues: i64, hand: i64| json!({"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {"queues": queues, "handSize": hand}}}}});
    creates(
        "flowcontrol.apiserver.k8s.io/v1 prioritylevelconfigurations",
        &[
            (queuing(64, 8), &[]),
            (
                queuing(4, 8),
                &["spec.limited.limitResponse.queuing.handSize: Invalid value: 8: should not be greater than queues (4)"],
            ),
            (
                queuing(512, 8),
                &[
                    "spec.limited.limitResponse.queuing.handSize: Invalid value: 8: required entropy bits of deckSize 512 and handSize 8 should \
                   not be greater than 60",
                ],
            ),
            (json!({"spec": {}}), &["spec.type: Unsupported value: \"\": supported values: \"Exempt\", \"Limited\""]),
            (
                json!({"spec": {"type": "Exempt", "limited": {}}}),
                &[
                    "spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'",
                    "spec.limited: Forbidden: must be nil if the type is not Limited",
                ],
            ),
            (
                json!({"spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": -1, "lendablePercent": 101, "borrowingLimitPercent": -1,
                    "limitResponse": {"type": "Reject", "queuing": {}}}}}),
                &[
                    "spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
                    "spec.limited.limitResponse.queuing: Forbidden: must be nil if limited.limitResponse.type is not Limited",
                    "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
                    "spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer",
                ],
            ),
            (json!({"metadata": {"name": "exempt"}, "spec": {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 5}}}), &[]),
            (
                json!({"metadata": {"name": "catch-all"}, "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}}),
                &[
                    "spec: Invalid value: {\"Type\":\"Limited\",\"Limited\":{\"NominalConcurrencyShares\":30,\"LimitResponse\":{\"Type\":\
                   \"Reject\",\"Queuing\":null},\"LendablePercent\":0,\"BorrowingLimitPercent\":null},\"Exempt\":null}: spec of 'catch-all' \
                   must equal the fixed value",
                ],
            ),
        ],
    );
}

#[test]
fn api_services() {
    let spec = |more: Value| {
        let mut spec = json!({"group": "a.b", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"metadata": {"name": "v1.a.b"}, "spec": spec})
    };
    creates(
        "apiregistration.k8s.io/v1 apiservices",
        &[
            (spec(json!({})), &[]),
            (
                json!({"metadata": {"name": "x"}, "spec": {"caBundle": "YWI="}}),
                &[
                    "metadata.name: Invalid value: \"x\": must be `spec.version+\".\"+spec.group`: \".\"",
                    "spec.group: Required value: only v1 may have an empty group and it better be legacy kube",
                    "spec.version: Invalid value: \"\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start \
                     with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
                     validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
                    "spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000",
                    "spec.versionPriority: Invalid value: 0: must be positive and less than 1000",
                    "spec.caBundle: Invalid value: \"2 bytes\": local APIServices may not have a caBundle",
                ],
            ),
            (
                spec(json!({"service": {"port": 0}, "insecureSkipTLSVerify": true, "caBundle": "YWI="})),
                &[
                    "spec.service.namespace: Required value",
                    "spec.service.name: Required value",
                    "spec.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive",
                    "spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present",
                ],
            ),
        ],
    );
}

#[test]
fn classes() {
    creates(
        "scheduling.k8s.io/v1 priorityclasses",
        &[
            (
                json!({"value": 1_000_000_001}),
                &["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
            ),
            (
                json!({"metadata": {"name": "system-x"}, "preemptionPolicy": "X"}),
                &[
                    "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-x \
                     is not a known system priority class",
                    "preemptionPolicy: Unsupported value: \"X\": supported values: \"PreemptLowerPriority\", \"Never\"",
                ],
            ),
            (
                json!({"metadata": {"name": "system-node-critical"}, "value": 1}),
                &[
                    "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: value of \
                   system-node-critical PriorityClass must be 2000001000",
                ],
            ),
        ],
    );
    updates(
        "scheduling.k8s.io/v1 priorityclasses",
        Part::Whole,
        &[(
            json!({"value": 1}),
            json!({"value": 2, "preemptionPolicy": "Never"}),
            &[
                "value: Forbidden: may not be changed in an update.",
                "preemptionPolicy: Invalid value: \"Never\": field is immutable",
            ],
        )],
    );
    creates(
        "node.k8s.io/v1 runtimeclasses",
        &[
            (json!({}), &["handler: Required value"]),
            (
                json!({"handler": "A", "overhead": {"podFixed": {"foo": "1", "cpu": "-1"}}, "scheduling": {"nodeSelector": {"a": "-"},
                    "tolerations": [{"key": "k", "operator": "Exists"}, {"key": "k", "operator": "Exists"}, {"operator": "Equal"}]}}),
                &[
                    &format!("handler: Invalid value: \"A\": {LABEL}"),
                    "overhead.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
                    "overhead.limits[foo]: Invalid value: \"foo\": must be a standard resource type or fully qualified",
                    "overhead.limits[foo]: Invalid value: \"foo\": must be a standard resource for containers",
                    "scheduling.nodeSelector: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric \
                     characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or \
                     '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
                    "scheduling.tolerations[2].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \
                     \"match all values and all keys\"",
                    "scheduling.tolerations[1]: Duplicate value: {\"Key\":\"k\",\"Operator\":\"Exists\",\"Value\":\"\",\"Effect\":\"\",\
                     \"TolerationSeconds\":null}",
                ],
            ),
        ],
    );
    updates(
        "node.k8s.io/v1 runtimeclasses",
        Part::Whole,
        &[(json!({"handler": "a"}), json!({"handler": "b"}), &["handler: Invalid value: \"b\": field is immutable"])],
    );
}

#[test]
fn many_of_everything_are_looked_at_once() {
    let many = |item: Value| vec![item; 30_000];
    let rows = [
        ("rbac.authorization.k8s.io/v1 clusterroles", json!({"rules": many(json!({}))})),
        (
            "rbac.authorization.k8s.io/v1 rolebindings",
            json!({"roleRef": {"kind": "Role", "name": "r"}, "subjects": many(json!({}))}),
        ),
        ("admissionregistration.k8s.io/v1 mutatingwebhookconfigurations", json!({"webhooks": many(json!({"name": "a.b.c"}))})),
        (
            "admissionregistration.k8s.io/v1 validatingadmissionpolicies",
            json!({"spec": {"matchConstraints": {"resourceRules": many(json!({}))}, "auditAnnotations": many(json!({"key": "a"}))}}),
        ),
        (
            "admissionregistration.k8s.io/v1 validatingadmissionpolicybindings",
            json!({"spec": {"validationActions": many(json!("Deny"))}}),
        ),
        ("autoscaling/v2 horizontalpodautoscalers", json!({"spec": {"metrics": many(json!({"type": "Pods"}))}})),
        ("flowcontrol.apiserver.k8s.io/v1 flowschemas", json!({"spec": {"rules": many(json!({}))}})),
        (
            "certificates.k8s.io/v1 certificatesigningrequests",
            json!({"spec": {"usages": many(json!("any"))}, "status": {"conditions": many(json!({"type": "A"}))}}),
        ),
        (
            "resource.k8s.io/v1 resourceclaims",
            json!({"spec": {"devices": {"requests": many(json!({})), "constraints": many(json!({}))}}}),
        ),
        ("resource.k8s.io/v1 resourceslices", json!({"spec": {"devices": many(json!({"name": "a"}))}})),
        ("node.k8s.io/v1 runtimeclasses", json!({"scheduling": {"tolerations": many(json!({"operator": "Exists"}))}})),
    ];
    let catalog = Catalog::builtin();
    for (name, fragment) in rows {
        let kind = kind(&catalog, name);
        let mut object = ready(kind, &fragment);
        let begun = std::time::Instant::now();
        assert!(!check_create(kind, &object).is_empty());
        object["metadata"]["resourceVersion"] = "1".into();
        check_update(kind, Part::Whole, &object, &object.clone());
        assert!(begun.elapsed().as_secs() < 20, "{name}: {:?}", begun.elapsed());
    }
}

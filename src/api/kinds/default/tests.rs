//! Every create of the recorded conversations, read, defaulted and normalised, against what kube-apiserver answered.

use serde_json::{Value, json};

use super::of;
use crate::schema::patch::{self, PatchError, shared};
use crate::schema::{Encoding, Schema};

/// One step of a conversation and its recorded answer.
struct Step {
    note: String,
    method: String,
    media: String,
    body: String,
    status: u64,
    answer: Value,
    /// Pointers to what the recording does not tell.
    ignored: Vec<String>,
}

/// The steps of a scenario that carry a body; `None` where the recordings are not there.
fn steps(scenario: &str) -> Option<Vec<Step>> {
    let text = shared(&format!("oracle/scenarios/{scenario}.http"))?;
    let answers: Vec<Value> = serde_json::from_str(&shared(&format!("oracle/recorded/{scenario}.json"))?).unwrap();
    let text = text.replace("$NS", "<ns>").replace("$ID", "<id>");
    let mut steps = Vec::new();
    for part in text.split("### ").skip(1) {
        let (head, body) = part.split_once("\n\n").unwrap_or((part, ""));
        let mut lines = head.lines();
        let note = lines.next().unwrap_or_default().to_owned();
        let request = head.lines().find(|line| line.split(' ').next().is_some_and(|word| METHODS.contains(&word)));
        let media = lines.find_map(|line| line.strip_prefix("Content-Type: ")).unwrap_or("application/json").to_owned();
        let (Some(request), Some(answer)) = (request, answers.iter().find(|answer| answer["note"] == note.as_str())) else {
            continue;
        };
        let ignored = head.lines().filter_map(|line| line.strip_prefix("@ignore ")).flat_map(str::split_whitespace);
        let ignored = ignored.map(str::to_owned).collect();
        let method = request.split(' ').next().unwrap_or_default().to_owned();
        let (status, answer) = (answer["status"].as_u64().unwrap(), answer["body"].clone());
        steps.push(Step { note, method, media, body: body.to_owned(), status, answer, ignored });
    }
    Some(steps)
}

/// What the recording has and defaults do not: set by the server's own hand.
fn take_away(value: &mut Value) {
    let kind = value["kind"].as_str().unwrap_or_default().to_owned();
    let elsewhere = ELSEWHERE.iter().filter(|(of, _)| *of == "*" || *of == kind);
    elsewhere.flat_map(|(_, paths)| *paths).for_each(|path| take(value, path));
}

/// Takes away what stands at a pointer; a `*` before the last name is every item of a list.
fn take(value: &mut Value, path: &str) {
    let (parent, name) = path.rsplit_once('/').unwrap();
    match parent.strip_suffix("/*") {
        None => remove(value.pointer_mut(parent), name),
        Some(list) => {
            let items = value.pointer_mut(list).and_then(Value::as_array_mut);
            items.into_iter().flatten().for_each(|item| remove(Some(item), name));
        }
    }
}

fn remove(value: Option<&mut Value>, name: &str) {
    if let Some(Value::Object(members)) = value {
        members.remove(&name.replace("~1", "/"));
    }
}

fn schema_of(answer: &Value) -> Option<(Schema, (String, String, String))> {
    let (version, kind) = (answer["apiVersion"].as_str()?, answer["kind"].as_str()?);
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    Some((Schema::builtin(group, version, kind)?, (group.to_owned(), version.to_owned(), kind.to_owned())))
}

fn finished(schema: &Schema, (group, version, kind): &(String, String, String), mut value: Value) -> Value {
    value["apiVersion"] = if group.is_empty() { version.clone() } else { format!("{group}/{version}") }.into();
    value["kind"] = kind.clone().into();
    of((group, version, kind), &mut value);
    schema.normalise(&mut value);
    take_away(&mut value);
    value
}

#[test]
fn creates_as_recorded() {
    let mut compared = 0;
    let mut differing = Vec::new();
    for scenario in
        ["02-pod-life", "04-patch", "12-nodes", "13-services", "20-kinds-workloads", "21-kinds-core", "22-kinds-cluster"]
    {
        for step in steps(scenario).into_iter().flatten() {
            let Some((schema, kind)) = schema_of(&step.answer) else { continue };
            if step.method != "POST" || step.status != 201 || kind.2 == "Status" || kind.2 == "Binding" {
                continue;
            }
            let value = schema.read(step.body.as_bytes(), Encoding::Json).unwrap().value;
            let mut ours = finished(&schema, &kind, value);
            let mut theirs = step.answer;
            take_away(&mut theirs);
            for path in &step.ignored {
                take(&mut ours, path);
                take(&mut theirs, path);
            }
            compared += 1;
            if ours != theirs {
                differing.push(format!("{scenario}: {}\n  ours   {ours}\n  theirs {theirs}", step.note));
            }
        }
    }
    assert!(differing.is_empty(), "{} of {compared} differ\n{}", differing.len(), differing.join("\n"));
    if shared("oracle/recorded/20-kinds-workloads.json").is_some() {
        assert!(compared > 45, "only {compared} compared");
    }
}

#[test]
fn defaults_leave_defaulted_objects_alone() {
    for scenario in ["20-kinds-workloads", "21-kinds-core", "22-kinds-cluster", "13-services"] {
        for step in steps(scenario).into_iter().flatten() {
            let Some((_, (group, version, kind))) = schema_of(&step.answer).filter(|_| step.method == "POST") else { continue };
            let mut value = step.answer.clone();
            of((&group, &version, &kind), &mut value);
            let mut again = value.clone();
            of((&group, &version, &kind), &mut again);
            assert_eq!(again, value, "{}", step.note);
        }
    }
}

#[test]
fn patches_as_recorded() {
    let Some(steps) = steps("04-patch") else { return };
    let mut live = Value::Null;
    let mut compared = 0;
    for step in steps {
        if step.method != "PATCH" || step.body.contains("\"replicas\":7") {
            live = step.answer;
            continue;
        }
        let Some((schema, kind)) = schema_of(&live) else { continue };
        let patch = step.body.trim();
        let parsed: Value = serde_json::from_str(patch).unwrap();
        let result = match step.media.as_str() {
            "application/json-patch+json" => patch::json(&live, patch.as_bytes()),
            "application/merge-patch+json" => patch::merge(&live, &parsed),
            _ => patch::strategic(&schema, &live, &parsed),
        };
        match (result, step.status) {
            (Ok(value), 200) => {
                let mut theirs = step.answer.clone();
                take_away(&mut theirs);
                assert_eq!(finished(&schema, &kind, value), theirs, "{}", step.note);
                live = step.answer;
                compared += 1;
            }
            (Err(PatchError::Inapplicable(_)), 422) => compared += 1,
            // Refused by validation, not by the patch.
            (Ok(_), 400 | 409 | 422) => {}
            (result, status) => panic!("{}: {result:?}, recorded {status}", step.note),
        }
    }
    assert!(compared > 10, "only {compared} compared");
}

/// Defaults that no recording shows.
#[test]
fn rows_of_core() {
    let pod = ("", "v1", "Pod");
    let rows = [
        (pod, "/spec/serviceAccountName", json!({"spec": {"serviceAccount": "a"}}), json!("a")),
        (pod, "/spec/serviceAccount", json!({"spec": {"serviceAccountName": "a"}}), json!("a")),
        (
            pod,
            "/spec/containers/0/ports/0/hostPort",
            json!({"spec": {"hostNetwork": true, "containers": [{"ports": [{"containerPort": 1}]}]}}),
            json!(1),
        ),
        (
            pod,
            "/spec/containers/0/resources/requests",
            json!({"spec": {"containers": [{"resources": {"limits": {"cpu": "1"}}}]}}),
            json!({"cpu": "1"}),
        ),
        (
            pod,
            "/spec/containers/0/livenessProbe",
            json!({"spec": {"containers": [{"livenessProbe": {"grpc": {"port": 1}}}]}}),
            json!({
                "grpc": {"port": 1, "service": ""}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
            }),
        ),
        (
            pod,
            "/spec/volumes",
            json!({"spec": {"volumes": [{"name": "v", "secret": null}]}}),
            json!([{"name": "v", "secret": null, "emptyDir": {}}]),
        ),
        (
            pod,
            "/spec/volumes/0/projected",
            json!({"spec": {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]}}),
            json!({
                "defaultMode": 420, "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
            }),
        ),
        (pod, "/status/podIPs", json!({"status": {"podIP": "1.1.1.1"}}), json!([{"ip": "1.1.1.1"}])),
        (pod, "/status/podIP", json!({"status": {"podIPs": [{"ip": "1.1.1.1"}]}}), json!("1.1.1.1")),
        (("", "v1", "Node"), "/spec/podCIDRs", json!({"spec": {"podCIDR": "a", "podCIDRs": ["b", "c"]}}), json!(["a"])),
        (("", "v1", "Node"), "/status/allocatable", json!({"status": {"capacity": {"cpu": "1"}}}), json!({"cpu": "1"})),
        (
            ("", "v1", "Node"),
            "/status/allocatable",
            json!({"status": {"allocatable": {}, "capacity": {"cpu": "1"}}}),
            json!({"cpu": "1"}),
        ),
        (("", "v1", "Secret"), "", json!({"stringData": {"a": "b"}}), json!({"type": "Opaque", "data": {"a": "Yg=="}})),
        (
            ("", "v1", "Service"),
            "/spec/sessionAffinityConfig",
            json!({"spec": {"sessionAffinity": "ClientIP"}}),
            json!({"clientIP": {"timeoutSeconds": 10800}}),
        ),
        (
            ("", "v1", "LimitRange"),
            "/spec/limits/0/defaultRequest",
            json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1"}}]}}),
            json!({"cpu": "2", "memory": "1"}),
        ),
    ];
    check(&rows);
}

#[test]
fn rows_of_groups() {
    let rows = [
        (("batch", "v1", "Job"), "/spec/backoffLimit", json!({"spec": {"backoffLimitPerIndex": 1}}), json!(2_147_483_647)),
        (("batch", "v1", "Job"), "/spec/completions", json!({"spec": {"parallelism": 2}}), Value::Null),
        (
            ("apps", "v1", "StatefulSet"),
            "/spec/updateStrategy",
            json!({"spec": {"updateStrategy": {"type": "RollingUpdate"}}}),
            json!({"type": "RollingUpdate"}),
        ),
        (
            ("autoscaling", "v1", "HorizontalPodAutoscaler"),
            "/spec",
            json!({}),
            json!({"minReplicas": 1, "targetCPUUtilizationPercentage": 80}),
        ),
        (
            ("autoscaling", "v2", "HorizontalPodAutoscaler"),
            "/spec/behavior",
            json!({"spec": {"behavior": {"scaleDown": {"policies": []}}}}),
            json!({
                "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
                    {"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15},
                ]},
                "scaleDown": {"selectPolicy": "Max", "policies": []},
            }),
        ),
        (
            ("flowcontrol.apiserver.k8s.io", "v1", "PriorityLevelConfiguration"),
            "/spec/limited",
            json!({"spec": {"limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}}),
            json!({
                "nominalConcurrencyShares": 30, "lendablePercent": 0,
                "limitResponse": {"type": "Queue", "queuing": {"queues": 64, "handSize": 8, "queueLengthLimit": 50}},
            }),
        ),
        (
            ("networking.k8s.io", "v1", "NetworkPolicy"),
            "/spec/policyTypes",
            json!({"spec": {"egress": [{}]}}),
            json!(["Ingress", "Egress"]),
        ),
        (
            ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
            "",
            json!({"spec": {"names": {"kind": "Foo"}, "versions": [{"name": "v1", "storage": true}]}}),
            json!({
                "spec": {"names": {"kind": "Foo", "singular": "foo", "listKind": "FooList"}, "versions": [{"name": "v1", "storage": true}], "conversion": {"strategy": "None"}},
                "status": {"storedVersions": ["v1"]},
            }),
        ),
        (
            ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
            "/status/storedVersions",
            json!({"spec": {"versions": [{"storage": true}]}}),
            json!([""]),
        ),
        (
            ("resource.k8s.io", "v1", "ResourceClaim"),
            "/spec/devices/requests/0/exactly",
            json!({"spec": {"devices": {"requests": [{"exactly": {}}]}}}),
            json!({"allocationMode": "ExactCount", "count": 1}),
        ),
        (("authentication.k8s.io", "v1", "TokenRequest"), "/spec/expirationSeconds", json!({"spec": {}}), json!(3600)),
        (
            ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy"),
            "/spec",
            json!({"spec": {"matchConstraints": {"resourceRules": [{}]}}}),
            json!({
                "failurePolicy": "Fail",
                "matchConstraints": {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}, "resourceRules": [{"scope": "*"}]},
            }),
        ),
    ];
    check(&rows);
}

/// Group, version and kind; a pointer; what is sent; what then stands at the pointer.
type Row = ((&'static str, &'static str, &'static str), &'static str, Value, Value);

fn check(rows: &[Row]) {
    for (kind, pointer, sent, expected) in rows {
        let mut value = sent.clone();
        of(*kind, &mut value);
        assert_eq!(value.pointer(pointer).unwrap_or(&Value::Null), expected, "{kind:?} {sent}");
    }
}

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Who sets it instead: `metadata` and generation every create; tolerations, priority, service accounts, taints and protection finalizers
/// admission; addresses and node ports allocation; the rest the strategy of the kind. Of
/// times the recordings have only a word.
const ELSEWHERE: &[(&str, &[&str])] = &[
    (
        "*",
        &[
            "/metadata/creationTimestamp",
            "/metadata/generation",
            "/metadata/name",
            "/metadata/namespace",
            "/metadata/resourceVersion",
            "/metadata/uid",
        ],
    ),
    (
        "Pod",
        &[
            "/spec/tolerations",
            "/spec/priority",
            "/spec/preemptionPolicy",
            "/spec/serviceAccount",
            "/spec/serviceAccountName",
            "/spec/volumes",
            "/spec/containers/*/volumeMounts",
            "/status",
        ],
    ),
    ("Service", &["/spec/clusterIP", "/spec/clusterIPs", "/spec/ipFamilies", "/spec/ipFamilyPolicy", "/spec/ports/*/nodePort"]),
    ("Job", &["/spec/selector", "/metadata/labels", "/spec/template/metadata"]),
    ("DaemonSet", &["/metadata/annotations"]),
    ("Namespace", &["/spec/finalizers", "/metadata/labels"]),
    ("Lease", &["/spec/renewTime"]),
    ("Node", &["/spec/taints"]),
    ("PersistentVolume", &["/metadata/finalizers", "/status/lastPhaseTransitionTime"]),
    ("PersistentVolumeClaim", &["/metadata/finalizers"]),
];

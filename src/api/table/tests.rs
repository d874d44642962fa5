use serde_json::json;

use super::*;
use crate::api::catalog::Catalog;

fn cells(group: &str, version: &str, plural: &str, object: &Value) -> Vec<Value> {
    let catalog = Catalog::builtin();
    let kind = catalog.find(group, version, plural).expect("a kind");
    let now: Timestamp = "2026-01-01T01:00:00Z".parse().expect("a time");
    Columns::of(kind).cells.iter().map(|cell| cell.of(object, now)).collect()
}

#[test]
fn every_kind_has_columns_that_take_an_empty_object() {
    let catalog = Catalog::builtin();
    for kind in catalog.all() {
        let columns = Columns::of(kind);
        let definitions: Vec<Value> = serde_json::from_slice(&columns.definitions).expect("JSON");
        // An address has an age without a column: so it is in kube-apiserver.
        let wanted = definitions.len() + usize::from(kind.kind == "IPAddress");
        assert_eq!(wanted, columns.cells.len(), "{}", kind.kind);
        let mut row = Vec::new();
        columns.row(&json!({"metadata": {"name": "x"}}), Timestamp::UNIX_EPOCH, &mut row);
        let row: Value = serde_json::from_slice(&[b"{".as_slice(), &row, b"}"].concat()).expect("a row");
        assert_eq!(row["cells"].as_array().map(Vec::len), Some(wanted), "{}", kind.kind);
    }
}

#[test]
fn the_state_of_a_pod() {
    let pod = |status: Value| {
        json!({
            "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:55:00Z"},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}, {"name": "side", "restartPolicy": "Always"}], "nodeName": "n"},
            "status": status,
        })
    };
    #[rustfmt::skip]
    let rows = [
        (json!({"phase": "Pending"}), ["0/3", "Pending", "0"]),
        (
            json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]}),
            ["0/3", "SchedulingGated", "0"],
        ),
        (
            json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}),
            ["0/3", "Init:CrashLoopBackOff", "2"],
        ),
        (
            json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {"running": {}}}]}),
            ["0/3", "Init:0/2", "0"],
        ),
        (
            json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 3}}}]}),
            ["0/3", "Init:ExitCode:3", "0"],
        ),
        (
            json!({"phase": "Running", "initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 0}}}, {"name": "side", "started": true, "ready": true, "restartCount": 1, "state": {"running": {}}}],
                "containerStatuses": [{"ready": true, "state": {"running": {}}}, {"ready": false, "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"finishedAt": "2026-01-01T00:58:00Z"}}}]}),
            ["2/3", "CrashLoopBackOff", "5 (2m ago)"],
        ),
        (
            json!({"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": {"reason": "Completed"}}}]}),
            ["0/3", "Completed", "0"],
        ),
        (json!({"phase": "Failed", "reason": "Evicted"}), ["0/3", "Evicted", "0"]),
    ];
    for (status, wanted) in rows {
        let cells = cells("", "v1", "pods", &pod(status.clone()));
        assert_eq!(cells[1..4], wanted.map(Value::from), "{status}");
        assert_eq!(cells[4], "5m");
    }
    let mut leaving = pod(json!({"phase": "Running"}));
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:59:00Z");
    assert_eq!(cells("", "v1", "pods", &leaving)[2], "Terminating");
}

#[test]
fn cells_of_other_kinds() {
    #[rustfmt::skip]
    let rows = [
        ("", "v1", "configmaps", json!({"data": {"a": "1"}, "binaryData": {"b": ""}}), 1, json!(2)),
        ("", "v1", "services", json!({"spec": {"type": "LoadBalancer"}}), 3, json!("<pending>")),
        ("", "v1", "services", json!({"spec": {"type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}}), 4, json!("80:30080/TCP,53/UDP")),
        ("", "v1", "nodes", json!({"spec": {"unschedulable": true}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}), 1, json!("Ready,SchedulingDisabled")),
        ("", "v1", "nodes", json!({"metadata": {"labels": {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": ""}}}), 2, json!("control-plane,worker")),
        ("apps", "v1", "deployments", json!({"spec": {"replicas": 3}, "status": {"readyReplicas": 2}}), 1, json!("2/3")),
        ("apps", "v1", "deployments", json!({"spec": {"selector": {"matchLabels": {"b": "2"}, "matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["y", "x"]}]}}}), 7, json!("a notin (x,y),b=2")),
        ("apps", "v1", "replicasets", json!({"spec": {"replicas": 3}}), 1, json!(3)),
        ("batch", "v1", "jobs", json!({"spec": {"completions": 4}, "status": {"succeeded": 1}}), 2, json!("1/4")),
        ("batch", "v1", "cronjobs", json!({"spec": {"suspend": false}}), 3, json!("False")),
        ("", "v1", "endpoints", json!({"subsets": [{"addresses": [{"ip": "1.1.1.1"}, {"ip": "::1"}], "ports": [{"port": 80}, {"port": 81}]}]}), 1, json!("1.1.1.1:80,[::1]:80,1.1.1.1:81 + 1 more...")),
        ("", "v1", "endpoints", json!({"subsets": [{"notReadyAddresses": [{"ip": "1.1.1.1"}], "ports": [{"port": 80}]}]}), 1, json!("")),
        ("", "v1", "endpoints", json!({}), 1, json!("<none>")),
        ("batch", "v1", "jobs", json!({"status": {"conditions": [{"type": "SuccessCriteriaMet", "status": "True"}]}}), 1, json!("SuccessCriteriaMet")),
        ("batch", "v1", "jobs", json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"conditions": [{"type": "Suspended", "status": "True"}]}}), 1, json!("Terminating")),
        ("autoscaling", "v2", "horizontalpodautoscalers", json!({"spec": {"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]}}), 2, json!("cpu: <unknown>/80%")),
        ("", "v1", "resourcequotas", json!({"status": {"hard": {"pods": "10", "limits.cpu": "2"}, "used": {"pods": "3"}}}), 2, json!("limits.cpu: 0/2")),
        ("rbac.authorization.k8s.io", "v1", "rolebindings", json!({"subjects": [{"kind": "ServiceAccount", "namespace": "a", "name": "b"}]}), 5, json!("a/b")),
        ("rbac.authorization.k8s.io", "v1", "roles", json!({"metadata": {"creationTimestamp": "2026-01-01T00:55:00Z"}}), 1, json!("2026-01-01T00:55:00Z")),
        ("events.k8s.io", "v1", "events", json!({"involvedObject": {"kind": "Pod", "name": "p"}}), 3, json!("pod/p")),
        ("storage.k8s.io", "v1", "storageclasses", json!({"metadata": {"name": "s", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}), 0, json!("s (default)")),
        ("networking.k8s.io", "v1", "ingresses", json!({"spec": {"rules": [{"host": "a"}, {}, {"host": "b"}, {"host": "c"}, {}]}}), 2, json!("a,b,c + 2 more...")),
        ("networking.k8s.io", "v1", "ingresses", json!({"spec": {"rules": [{}, {"host": "b"}]}}), 2, json!("b")),
        ("networking.k8s.io", "v1", "ipaddresses", json!({"spec": {"parentRef": {"resource": "services", "namespace": "a", "name": "b"}}}), 1, json!("services/a/b")),
        ("networking.k8s.io", "v1", "ipaddresses", json!({"spec": {"parentRef": {"group": "g.io", "resource": "Rs", "name": "b"}}}), 1, json!("rs.g.io/b")),
        ("discovery.k8s.io", "v1", "endpointslices", json!({"ports": [{"port": 80}, {"name": "x"}, {}]}), 2, json!("80,x,*")),
        ("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings", json!({"spec": {"paramRef": {"name": "p"}}}), 2, json!("*/p")),
        ("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings", json!({"spec": {"paramRef": {"selector": {"matchLabels": {"a": "b"}}}}}), 2, json!("&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}")),
        ("flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations", json!({"spec": {"limited": {"nominalConcurrencyShares": 10}}}), 2, json!(10)),
        ("flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations", json!({"spec": {"type": "Exempt"}}), 2, json!("<none>")),
        ("policy", "v1", "poddisruptionbudgets", json!({"spec": {"minAvailable": 2}}), 1, json!("2")),
        ("certificates.k8s.io", "v1", "certificatesigningrequests", json!({"status": {"conditions": [{"type": "Approved"}], "certificate": "x"}}), 5, json!("Approved,Issued")),
    ];
    for (group, version, plural, object, column, wanted) in rows {
        assert_eq!(cells(group, version, plural, &object)[column], wanted, "{plural} {object}");
    }
}

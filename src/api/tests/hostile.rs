//! Bodies, queries, headers and stored values that nobody in his right mind sends: every one is answered, in time, without a panic.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::client::{Client, permit, settings};
use crate::body::Inbound;
use crate::policy::{Permit, Purpose};
use crate::request::Attributes;
use crate::store::{Change, Expect};

/// xorshift64*: the same hostility every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }

    fn value(&mut self) -> Value {
        match self.roll(16) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(i64::MIN),
            3 => json!(i64::MAX),
            4 => json!(u64::MAX),
            5 => json!(-1),
            6 => json!(1e308),
            7 => json!(""),
            8 => json!("x".repeat(300)),
            9 => json!("\u{0}\u{7f}\u{ffff}\u{1f4a9}"),
            10 => json!([]),
            11 => json!({}),
            12 => json!([null, {}, [], "", 0]),
            13 => json!({"": null, "a/b/c": {}, "name": 0}),
            14 => json!(*self.pick(&[
                "99999999999999999999Ei",
                "1e1000",
                "-0",
                "0.0000000001n",
                "2020-02-30T25:61:61Z",
                "9999-12-31T23:59:59Z",
                "0000-00-00T00:00:00Z"
            ])),
            _ => json!(*self.pick(&[
                "10.0.0.300",
                "::ffff:1.2.3.4/200",
                "255.255.255.255",
                "fe80::%1",
                "%",
                "..",
                "a=b,c",
                "50%",
                "101%",
                "-5%",
                "*/0 * * * *",
                "$(X)"
            ])),
        }
    }

    /// Changes something somewhere in a document.
    fn mutate(&mut self, value: &mut Value) {
        match value {
            Value::Object(members) if !members.is_empty() && self.roll(8) > 0 => {
                let names: Vec<String> = members.keys().cloned().collect();
                let name = self.pick(&names).clone();
                match self.roll(12) {
                    0 => _ = members.remove(&name),
                    1 => _ = members.insert(format!("{name}x"), self.value()),
                    _ => self.mutate(&mut members[&name]),
                }
            }
            Value::Array(items) if !items.is_empty() && self.roll(8) > 0 => {
                let place = self.roll(items.len());
                match self.roll(8) {
                    0 => _ = items.remove(place),
                    1 => items.push(items[place].clone()),
                    _ => self.mutate(&mut items[place]),
                }
            }
            _ => *value = self.value(),
        }
    }

    fn bytes(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=self.roll(4) {
            if bytes.is_empty() {
                break;
            }
            let place = self.roll(bytes.len());
            match self.roll(4) {
                0 => bytes[place] = self.roll(256) as u8,
                1 => bytes.truncate(place),
                2 => bytes.insert(place, *self.pick(b"{}[]\",:\\&*-!|>%@`\x00\xff")),
                _ => {
                    let piece = bytes[place..].to_vec();
                    bytes.extend(piece.into_iter().take(64));
                }
            }
        }
        bytes
    }
}

/// Sends one request and reads its answer to the end, or as far as a watch goes.
async fn send(client: &Client, (method, path): (&str, &str), headers: &[(&str, &str)], body: Bytes) -> u16 {
    let Ok(uri) = path.parse::<http::Uri>() else { return 0 };
    let mut request = http::Request::new(Inbound::Full(Full::new(body)));
    *request.method_mut() = method.parse().unwrap();
    *request.uri_mut() = uri;
    for (name, value) in headers {
        if let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) {
            request.headers_mut().append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
        }
    }
    let permit = Permit::internal(Purpose::Solo, Attributes::parse(request.method(), request.uri()));
    let begun = Instant::now();
    let code = match client.api.serve(&permit, request).await {
        Ok(response) => {
            let code = response.status().as_u16();
            let _ = tokio::time::timeout(Duration::from_millis(2), response.into_body().collect()).await;
            code
        }
        Err(refusal) => {
            refusal.to_json();
            refusal.code.as_u16()
        }
    };
    assert!(begun.elapsed() < SLOW, "{method} {path} took {:?}", begun.elapsed());
    assert!(code != 500 || !matches!(method, "GET"), "{method} {path}");
    code
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn seeds() -> Vec<(&'static str, Value)> {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1", "ports": [{"containerPort": 80, "name": "p", "protocol": "TCP"}],
        "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}], "resources": {"limits": {"cpu": "100m", "memory": "1Gi"}, "requests": {"cpu": "50m"}},
        "livenessProbe": {"httpGet": {"path": "/", "port": "p"}, "periodSeconds": 3}, "volumeMounts": [{"name": "v", "mountPath": "/v"}], "securityContext": {"runAsUser": 5}}],
        "volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"configMap": {"name": "m"}}]}}, {"name": "w", "ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}}],
        "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3}], "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]}]}}},
        "terminationGracePeriodSeconds": 30, "nodeName": "n", "serviceAccountName": "default", "priority": 0}});
    let selector = json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]});
    let core = "/api/v1/namespaces/default";
    let _ = core;
    vec![
        (
            "/api/v1/namespaces/default/pods",
            json!({"metadata": {"name": "p", "generateName": "g-", "labels": {"a": "b"}, "annotations": {"x": "y"}, "finalizers": ["a/b"], "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u", "controller": true}]}, "spec": template["spec"].clone(), "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2024-01-01T00:00:00Z"}], "containerStatuses": [{"name": "c", "restartCount": 3, "ready": true, "state": {"running": {"startedAt": "2024-01-01T00:00:00Z"}}, "image": "i", "imageID": ""}], "podIP": "1.2.3.4", "podIPs": [{"ip": "1.2.3.4"}], "startTime": "2024-01-01T00:00:00Z"}}),
        ),
        (
            "/api/v1/namespaces/default/services",
            json!({"metadata": {"name": "s"}, "spec": {"type": "NodePort", "clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "ports": [{"name": "a", "port": 80, "targetPort": "http", "nodePort": 30080, "protocol": "TCP"}], "selector": {"a": "b"}, "externalIPs": ["1.2.3.4"], "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}, "loadBalancerSourceRanges": ["10.0.0.0/8"], "healthCheckNodePort": 30081, "externalTrafficPolicy": "Local"}}),
        ),
        (
            "/apis/apps/v1/namespaces/default/deployments",
            json!({"metadata": {"name": "d"}, "spec": {"replicas": 2, "selector": selector, "template": template, "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}}, "progressDeadlineSeconds": 600}}),
        ),
        (
            "/apis/apps/v1/namespaces/default/statefulsets",
            json!({"metadata": {"name": "t"}, "spec": {"serviceName": "s", "replicas": 2, "selector": selector, "template": template, "volumeClaimTemplates": [{"metadata": {"name": "q"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}], "updateStrategy": {"rollingUpdate": {"partition": 1}}}}),
        ),
        (
            "/apis/apps/v1/namespaces/default/daemonsets",
            json!({"metadata": {"name": "e"}, "spec": {"selector": selector, "template": template, "updateStrategy": {"rollingUpdate": {"maxUnavailable": "10%"}}}}),
        ),
        (
            "/apis/batch/v1/namespaces/default/jobs",
            json!({"metadata": {"name": "j"}, "spec": {"parallelism": 1, "completions": 1, "backoffLimit": 2, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}),
        ),
        (
            "/apis/batch/v1/namespaces/default/cronjobs",
            json!({"metadata": {"name": "k"}, "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}}}),
        ),
        (
            "/api/v1/namespaces/default/configmaps",
            json!({"metadata": {"name": "m"}, "data": {"k": "v"}, "binaryData": {"b": "AAEC"}, "immutable": false}),
        ),
        (
            "/api/v1/namespaces/default/secrets",
            json!({"metadata": {"name": "x", "annotations": {"kubernetes.io/service-account.name": "default"}}, "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30="}, "stringData": {"a": "b"}}),
        ),
        (
            "/api/v1/nodes",
            json!({"metadata": {"name": "n", "labels": {"kubernetes.io/hostname": "n"}}, "spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"], "taints": [{"key": "a", "effect": "NoSchedule"}]}, "status": {"capacity": {"cpu": "4"}, "addresses": [{"type": "InternalIP", "address": "1.2.3.4"}], "conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1"}}}),
        ),
        ("/api/v1/namespaces", json!({"metadata": {"name": "ns"}, "spec": {"finalizers": ["kubernetes"]}})),
        (
            "/api/v1/persistentvolumes",
            json!({"metadata": {"name": "v"}, "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}, "claimRef": {"name": "c", "namespace": "default"}, "csi": {"driver": "d", "volumeHandle": "h", "nodePublishSecretRef": {"name": "x", "namespace": "default"}}}}),
        ),
        (
            "/api/v1/namespaces/default/persistentvolumeclaims",
            json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "z"}}),
        ),
        (
            "/api/v1/namespaces/default/endpoints",
            json!({"metadata": {"name": "s"}, "subsets": [{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 80}]}]}),
        ),
        (
            "/api/v1/namespaces/default/events",
            json!({"metadata": {"name": "ev"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"}, "type": "Normal", "reason": "R", "count": 3, "lastTimestamp": "2024-01-01T00:00:00Z", "eventTime": "2024-01-01T00:00:00.000001Z"}),
        ),
        (
            "/apis/events.k8s.io/v1/namespaces/default/events",
            json!({"metadata": {"name": "ew"}, "regarding": {"kind": "Pod", "name": "p", "namespace": "default"}, "type": "Normal", "reason": "R", "action": "A", "reportingController": "c/d", "reportingInstance": "i", "eventTime": "2024-01-01T00:00:00.000001Z", "series": {"count": 2, "lastObservedTime": "2024-01-01T00:00:00.000001Z"}}),
        ),
        (
            "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers",
            json!({"metadata": {"name": "h", "annotations": {"autoscaling.alpha.kubernetes.io/metrics": "[]", "autoscaling.alpha.kubernetes.io/conditions": "[]", "autoscaling.alpha.kubernetes.io/behavior": "{}"}}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 3, "targetCPUUtilizationPercentage": 5}}),
        ),
        (
            "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
            json!({"metadata": {"name": "i"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 3, "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 3}}}, {"type": "External", "external": {"metric": {"name": "q", "selector": selector}, "target": {"type": "Value", "value": "3"}}}], "behavior": {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 3}]}}}}),
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            json!({"metadata": {"name": "r", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["p"]}, {"verbs": ["get"], "nonResourceURLs": ["/x*"]}], "aggregationRule": {"clusterRoleSelectors": [selector]}}),
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
            json!({"metadata": {"name": "b"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}, "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "u"}]}),
        ),
        (
            "/apis/networking.k8s.io/v1/namespaces/default/ingresses",
            json!({"metadata": {"name": "i"}, "spec": {"rules": [{"host": "*.x", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}], "tls": [{"hosts": ["x"]}]}}),
        ),
        (
            "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
            json!({"metadata": {"name": "np"}, "spec": {"podSelector": selector, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": "http", "endPort": 90}]}]}}),
        ),
        (
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
            json!({"metadata": {"name": "es", "labels": {"kubernetes.io/service-name": "s"}}, "addressType": "IPv4", "endpoints": [{"addresses": ["1.2.3.4"], "conditions": {"ready": true}}], "ports": [{"port": 80, "name": ""}]}),
        ),
        (
            "/apis/coordination.k8s.io/v1/namespaces/default/leases",
            json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "h", "leaseDurationSeconds": 3, "renewTime": "2024-01-01T00:00:00.000001Z"}}),
        ),
        (
            "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
            json!({"metadata": {"name": "pdb"}, "spec": {"minAvailable": "50%", "selector": selector}, "status": {"disruptionsAllowed": 1}}),
        ),
        (
            "/apis/certificates.k8s.io/v1/certificatesigningrequests",
            json!({"metadata": {"name": "csr"}, "spec": {"request": "LS0tLS1CRUdJTg==", "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"], "expirationSeconds": 600}}),
        ),
        (
            "/apis/scheduling.k8s.io/v1/priorityclasses",
            json!({"metadata": {"name": "pc"}, "value": 10, "globalDefault": true, "preemptionPolicy": "Never"}),
        ),
        (
            "/apis/storage.k8s.io/v1/storageclasses",
            json!({"metadata": {"name": "sc", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "p", "reclaimPolicy": "Retain", "allowedTopologies": [{"matchLabelExpressions": [{"key": "k", "values": ["v"]}]}]}),
        ),
        (
            "/api/v1/namespaces/default/resourcequotas",
            json!({"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1000000", "requests.cpu": "1000000"}, "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["x"]}]}}}),
        ),
        (
            "/api/v1/namespaces/default/limitranges",
            json!({"metadata": {"name": "lr"}, "spec": {"limits": [{"type": "Container", "max": {"cpu": "9"}, "default": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "2"}}]}}),
        ),
        (
            "/api/v1/namespaces/default/replicationcontrollers",
            json!({"metadata": {"name": "rc"}, "spec": {"replicas": 1, "selector": {"a": "b"}, "template": template}}),
        ),
        (
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            json!({"spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "fieldSelector": {"rawSelector": "a=b"}, "labelSelector": {"requirements": [{"key": "k", "operator": "In", "values": ["v"]}]}}}}),
        ),
        ("/apis/authentication.k8s.io/v1/tokenreviews", json!({"spec": {"token": "a.b.c", "audiences": ["x"]}})),
        (
            "/api/v1/namespaces/default/serviceaccounts/default/token",
            json!({"spec": {"audiences": ["x"], "expirationSeconds": 600, "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": "u"}}}),
        ),
        (
            "/api/v1/namespaces/default/pods/p/binding",
            json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}),
        ),
        (
            "/api/v1/namespaces/default/pods/p/eviction",
            json!({"metadata": {"name": "p"}, "deleteOptions": {"gracePeriodSeconds": 0, "preconditions": {"uid": "u"}}}),
        ),
        (
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
            json!({"metadata": {"name": "w"}, "webhooks": [{"name": "a.b.c", "clientConfig": {"url": "https://x"}, "rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}], "sideEffects": "None", "admissionReviewVersions": ["v1"]}]}),
        ),
        (
            "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims",
            json!({"metadata": {"name": "rcl"}, "spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "d"}}]}}}),
        ),
    ]
}

const QUERIES: [&str; 16] = [
    "",
    "dryRun=All",
    "fieldValidation=Strict",
    "fieldValidation=Ignore",
    "pretty=1",
    "fieldManager=%00%ff",
    "limit=1",
    "limit=-9223372036854775808",
    "labelSelector=a%20in%20(b,c),!d,e%3E1",
    "fieldSelector=metadata.name%3Dp",
    "resourceVersion=0",
    "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJcdTAwMDAifQ",
    "watch=1&timeoutSeconds=1",
    "watch=1&resourceVersion=1&allowWatchBookmarks=1",
    "includeObject=Object",
    "gracePeriodSeconds=-9223372036854775808&propagationPolicy=Foreground",
];

const ACCEPTS: [&str; 8] = [
    "",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,*/*",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1",
    "*/*;q=NaN,application/json;q=-1;;=,",
];

const SLOW: Duration = Duration::from_secs(4);

fn rounds() -> usize {
    std::env::var("PORTCULLIS_HOSTILITY").ok().and_then(|text| text.parse().ok()).unwrap_or(40)
}

/// Every kind is created, changed in all ways, read in all forms, with something wrong each time.
#[tokio::test]
async fn whatever_is_sent_is_answered() {
    let client = Client::new().await;
    client.post("/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": "default"}})).await;
    let (seeds, mut dice) = (seeds(), Dice(0x9e37_79b9_7f4a_7c15));
    let mut made = 0;
    for (path, seed) in &seeds {
        let code = send(&client, ("POST", path), &[("content-type", "application/json")], seed.to_string().into()).await;
        made += usize::from(code == 201);
    }
    assert!(made > seeds.len() / 2, "the seeds are no objects any more: {made}");
    for _ in 0..rounds() {
        for (path, seed) in &seeds {
            let mut body = seed.clone();
            for _ in 0..=dice.roll(3) {
                dice.mutate(&mut body);
            }
            let name = seed["metadata"]["name"].as_str().unwrap_or("p");
            let part =
                *dice.pick(&["", "", "", "/status", "/scale", "/ephemeralcontainers", "/resize", "/approval", "/finalize"]);
            let query = format!("{}&{}", dice.pick(&QUERIES), dice.pick(&QUERIES));
            let accept = ("accept", *dice.pick(&ACCEPTS));
            let (one, many) = (format!("{path}/{name}{part}?{query}"), format!("{path}?{query}"));
            let text = body.to_string();
            let (method, target, media, body) = match dice.roll(12) {
                0 | 1 => ("POST", &many, "application/json", text.into_bytes()),
                2 | 3 => ("PUT", &one, "application/json", text.into_bytes()),
                4 => ("PATCH", &one, "application/merge-patch+json", text.into_bytes()),
                5 => ("PATCH", &one, "application/strategic-merge-patch+json", text.into_bytes()),
                6 => {
                    let paths = [
                        "/spec",
                        "/metadata/name",
                        "/spec/containers/0",
                        "/spec/ports/-",
                        "/metadata",
                        "",
                        "/spec/template/spec",
                    ];
                    let op = *dice.pick(&["add", "remove", "replace", "move", "copy", "test"]);
                    let patch = json!([{"op": op, "path": dice.pick(&paths), "from": dice.pick(&paths), "value": dice.value()}]);
                    ("PATCH", &one, "application/json-patch+json", patch.to_string().into_bytes())
                }
                7 => ("POST", &many, "application/yaml", dice.bytes(&text)),
                8 => ("POST", &many, "application/json", dice.bytes(&text)),
                9 => (
                    "DELETE",
                    &one,
                    "application/json",
                    dice.bytes(r#"{"gracePeriodSeconds":0,"propagationPolicy":"Orphan","preconditions":{"uid":""}}"#),
                ),
                10 => ("GET", &one, "", Vec::new()),
                _ => ("GET", &many, "", Vec::new()),
            };
            send(&client, (method, target), &[("content-type", media), accept], body.into()).await;
        }
    }
}

/// Protobuf of every kind, broken.
#[tokio::test]
async fn protobuf_that_lies_is_answered() {
    let client = Client::new().await;
    let mut dice = Dice(77);
    for (path, seed) in seeds() {
        let name = seed["metadata"]["name"].as_str().unwrap_or("p");
        send(&client, ("POST", path), &[("content-type", "application/json")], seed.to_string().into()).await;
        let uri: http::Uri = format!("{path}/{name}").parse().unwrap();
        let mut request = http::Request::new(Inbound::Full(Full::default()));
        *request.uri_mut() = uri;
        request.headers_mut().insert("accept", "application/vnd.kubernetes.protobuf".parse().unwrap());
        let permit = Permit::internal(Purpose::Solo, Attributes::parse(&Method::GET, request.uri()));
        let Ok(response) = client.api.serve(&permit, request).await else { continue };
        let whole = response.into_body().collect().await.unwrap().to_bytes();
        for _ in 0..rounds() {
            let mut body = whole.to_vec();
            for _ in 0..=dice.roll(3) {
                let place = dice.roll(body.len());
                body[place] = *dice.pick(&[0, 1, 0x7f, 0x80, 0xff, 10, 18, 26]);
            }
            if dice.roll(4) == 0 {
                body.truncate(dice.roll(body.len()));
            }
            let media = [("content-type", "application/vnd.kubernetes.protobuf")];
            send(&client, ("PUT", &format!("{path}/{name}")), &media, body.into()).await;
        }
    }
}

/// What somebody else has put under our keys is read, listed and watched without harm.
#[tokio::test]
async fn stored_nonsense_is_survived() {
    let client = Client::bare();
    let mut dice = Dice(5);
    for (path, seed) in seeds() {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let plural = parts[parts.len() - 1];
        let group = if parts[0] == "api" { "" } else { parts[1] };
        let Some(kind) =
            client.api.catalog.all().iter().find(|kind| kind.plural == plural && kind.group == group && kind.storage.is_some())
        else {
            continue;
        };
        for round in 0..rounds().min(60) {
            let mut value = seed.clone();
            value["kind"] = kind.kind.clone().into();
            value["apiVersion"] = kind.api_version().into();
            dice.mutate(&mut value);
            dice.mutate(&mut value);
            let text = value.to_string();
            let bytes = if dice.roll(3) == 0 { dice.bytes(&text) } else { text.into_bytes() };
            let key = kind.key(if kind.namespaced { "default" } else { "" }, &format!("x{round}")).unwrap();
            let change = Change { key, expect: Expect::Absent, value: Some(bytes.into()), ttl: None, guard: None };
            client.api.store.commit(change).await.unwrap();
            for query in ["", "?watch=1&timeoutSeconds=1", "?limit=3", "?labelSelector=a%3Db"] {
                let accept = [("accept", *dice.pick(&ACCEPTS))];
                let uri = format!("{path}{query}");
                let mut request = http::Request::new(Inbound::Full(Full::default()));
                *request.uri_mut() = uri.parse().unwrap();
                request.headers_mut().insert("accept", accept[0].1.parse().unwrap());
                let permit = Permit::internal(Purpose::Solo, Attributes::parse(&Method::GET, request.uri()));
                if let Ok(response) = client.api.serve(&permit, request).await {
                    let _ = tokio::time::timeout(Duration::from_millis(1), response.into_body().collect()).await;
                }
            }
        }
    }
    // The server's own objects come all the same.
    let _ = crate::api::boot::run(&client.api, &settings(), &permit()).await;
}

/// Reading what is asked, and what is to be answered, never fails but in words.
#[test]
fn whatever_is_asked_is_read() {
    let mut dice = Dice(99);
    let words = [
        "/api/v1",
        "/apis/apps/v1",
        "/namespaces",
        "/watch",
        "/proxy",
        "/pods",
        "//",
        "/..",
        "/%2e%2e",
        "/%2F",
        "/%",
        "/%ff",
        "/a",
        "/status",
        "?",
        "&",
        "watch=1",
        "watch",
        "fieldSelector=",
        "labelSelector=",
        "metadata.name%3D",
        "a%5C",
        "%2C",
        "!",
        "in(",
        ")",
        "%00",
        ";",
        "limit=",
        "99999999999999999999",
        "timeout=",
        "1h",
        "continue=",
        "%C3%28",
    ];
    for _ in 0..rounds() * 500 {
        let text: String = (0..1 + dice.roll(9)).map(|_| *dice.pick(&words)).collect();
        let Ok(uri) = text.parse::<http::Uri>() else { continue };
        let method: Method = dice.pick(&["GET", "HEAD", "POST", "DELETE", "PATCH", "X"]).parse().unwrap();
        let attributes = Attributes::parse(&method, &uri);
        let query = crate::request::Query::parse(uri.query().unwrap_or_default());
        let _ = crate::request::ListOptions::parse(&query).map(|options| options.faults());
        let _ = (query.timeout(), attributes.is_long_running());
        let mut headers = http::HeaderMap::new();
        let accept: String = (0..dice.roll(6))
            .map(|_| *dice.pick(&["application/json", ";", ",", "q=", "1e99", "as=Table", "g=meta.k8s.io", "v=v1", "*/*", "="]))
            .collect();
        headers.insert("accept", accept.parse().unwrap());
        let _ =
            crate::api::accept::Accept::negotiate(&headers, uri.query().unwrap_or_default(), crate::api::accept::Place::Resource);
    }
}

//! What the schema costs: CPU nanoseconds per operation on a pod of three kilobytes, in one thread.
//!
//! `cargo bench --bench schema` prints the table. Without `--bench`, as `cargo test` runs it, everything is done a few times, to show that it
//! works.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on panics")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use portcullis::api::catalog::Catalog;
use portcullis::api::kinds;
use portcullis::api::object::Object;
use portcullis::schema::{Encoding, write};
use portcullis::store::Revision;

/// Rounds of a measurement: the best one counts, the others were disturbed.
const ROUNDS: u32 = 12;

fn main() {
    let turns = if std::env::args().any(|arg| arg == "--bench") { 2000 } else { 3 };
    let catalog = Catalog::builtin();
    let kind = catalog.find("", "v1", "pods").unwrap();
    let schema = &kind.schema;
    let body = pod();
    let mut value = schema.read(&body, Encoding::Json).unwrap().value;
    kinds::default(kind, &mut value);
    schema.normalise(&mut value);
    value["kind"] = "Pod".into();
    value["apiVersion"] = "v1".into();
    let stored = Object::to_stored(&value);
    let object = Object::from_stored(kind, &stored, Revision(7)).unwrap();
    let message = schema.protobuf(object.bytes()).unwrap();
    println!("pod: {} bytes sent, {} kept, {} as protobuf", body.len(), object.bytes().len(), message.len());
    let row = |name: &str, nanos: f64| println!("{name:<44} {nanos:>9.0} ns");
    row("JSON read", time(turns, || drop(black_box(schema.read(&body, Encoding::Json)))));
    row("protobuf read", time(turns, || drop(black_box(schema.read(&message, Encoding::Protobuf)))));
    let round = |body: &[u8], encoding: Encoding| {
        let mut value = schema.read(body, encoding).unwrap().value;
        kinds::default(kind, &mut value);
        schema.normalise(&mut value);
        black_box(Object::to_stored(&value));
    };
    row("JSON read, default, normalise, write", time(turns, || round(&body, Encoding::Json)));
    row("protobuf read, default, normalise, write", time(turns, || round(&message, Encoding::Protobuf)));
    row("index what is stored", time(turns, || drop(black_box(Object::from_stored(kind, &stored, Revision(7))))));
    row("JSON to protobuf", time(turns, || drop(black_box(schema.protobuf(object.bytes())))));
}

/// CPU time of one turn, in nanoseconds.
fn time(turns: u32, mut turn: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        (0..turns).for_each(|_| turn());
        best = best.min(begun.elapsed().as_nanos() as f64 / f64::from(turns));
    }
    best
}

/// A pod as a controller makes it, with the status that a kubelet gives it.
fn pod() -> Bytes {
    let mut text = String::from(HEAD);
    let _ = write!(text, "{SPEC}{STATUS}");
    Bytes::from(write(&serde_json::from_str(&text).unwrap()))
}

const HEAD: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web-7c5ddbdf54-2xkqf","generateName":"web-7c5ddbdf54-","namespace":"default","uid":"0a3d9a6c-1f6c-4b5e-9a60-1f0b1f7f2a11","creationTimestamp":"2026-01-02T03:04:05Z","labels":{"app":"web","pod-template-hash":"7c5ddbdf54"},"annotations":{"prometheus.io/scrape":"true","prometheus.io/port":"8080"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-7c5ddbdf54","uid":"5d2c8a1e-8a29-4b0c-8a52-0b2f0f8f1c22","controller":true,"blockOwnerDeletion":true}],"managedFields":[{"manager":"kube-controller-manager","operation":"Update","apiVersion":"v1","time":"2026-01-02T03:04:05Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:generateName":{},"f:labels":{".":{},"f:app":{},"f:pod-template-hash":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{},"f:name":{},"f:ports":{".":{},"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}}}]},"#;
const SPEC: &str = r#""spec":{"volumes":[{"name":"config","configMap":{"name":"web"}},{"name":"kube-api-access-x2zlb","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},{"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},{"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}}]}}],"containers":[{"name":"web","image":"registry.example.com/web:1.2.3","args":["--listen=:8080","--log-level=info"],"ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}],"env":[{"name":"POD_NAME","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}},{"name":"LEVEL","value":"info"}],"resources":{"limits":{"cpu":"500m","memory":"128Mi"},"requests":{"cpu":"100m","memory":"64Mi"}},"volumeMounts":[{"name":"config","mountPath":"/etc/web"},{"name":"kube-api-access-x2zlb","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}],"livenessProbe":{"httpGet":{"path":"/healthz","port":8080},"periodSeconds":10},"readinessProbe":{"httpGet":{"path":"/readyz","port":"http"}},"imagePullPolicy":"IfNotPresent","securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]}}}],"restartPolicy":"Always","nodeName":"node1","serviceAccountName":"default","tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300},{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}]},"#;
const STATUS: &str = r#""status":{"phase":"Running","conditions":[{"type":"Initialized","status":"True","lastProbeTime":null,"lastTransitionTime":"2026-01-02T03:04:05Z"},{"type":"Ready","status":"True","lastProbeTime":null,"lastTransitionTime":"2026-01-02T03:04:09Z"}],"hostIP":"10.0.0.5","podIP":"10.244.1.7","podIPs":[{"ip":"10.244.1.7"}],"startTime":"2026-01-02T03:04:05Z","containerStatuses":[{"name":"web","state":{"running":{"startedAt":"2026-01-02T03:04:08Z"}},"lastState":{},"ready":true,"restartCount":0,"image":"registry.example.com/web:1.2.3","imageID":"registry.example.com/web@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","containerID":"containerd://5f2c","started":true}],"qosClass":"Burstable"}}"#;

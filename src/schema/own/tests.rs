use serde_json::{Value, json};

use super::*;

pub(super) const T1: &str = "2026-01-01T00:00:01Z";
pub(super) const T2: &str = "2026-01-01T00:00:02Z";
pub(super) const T3: &str = "2026-01-01T00:00:03Z";

/// A client at work on objects of a kind.
pub(super) struct Client {
    pub(super) schema: Schema,
    pub(super) filter: Filter,
}

impl Client {
    pub(super) fn of(group: &str, version: &str, kind: &str) -> Self {
        let schema = Schema::builtin(group, version, kind).unwrap();
        Self { schema, filter: Filter::without(&[&["status"]]) }
    }

    pub(super) fn with<T>(&self, name: &str, time: &str, work: impl FnOnce(&Context<'_, OneVersion>) -> T) -> T {
        self.through(("", name), time, work)
    }

    pub(super) fn through<T>(
        &self,
        (subresource, name): (&str, &str),
        time: &str,
        work: impl FnOnce(&Context<'_, OneVersion>) -> T,
    ) -> T {
        let api_version = self.schema.gvk().api_version();
        let manager = Manager { name, subresource, api_version: &api_version, time };
        work(&Context { schema: &self.schema, manager: &manager, filter: &self.filter, versions: &OneVersion })
    }

    pub(super) fn created(&self, name: &str, mut object: Value) -> Value {
        let sent = Sent::take(&mut object);
        self.schema.normalise(&mut object);
        self.with(name, T1, |context| on_create(context, &mut object, sent));
        object
    }

    pub(super) fn updated(&self, (name, time): (&str, &str), live: &Value, mut object: Value) -> Value {
        let sent = Sent::take(&mut object);
        self.schema.normalise(&mut object);
        self.with(name, time, |context| on_update(context, live, &mut object, sent));
        object
    }

    pub(super) fn applied(&self, (name, time): (&str, &str), live: Option<&Value>, config: &Value) -> Result<Value, ApplyError> {
        self.forced((name, time), live, config, Force::No)
    }

    pub(super) fn forced(
        &self,
        (name, time): (&str, &str),
        live: Option<&Value>,
        config: &Value,
        force: Force,
    ) -> Result<Value, ApplyError> {
        let mut object = self.with(name, time, |context| on_apply(context, live, config, force))?.object;
        self.schema.normalise(&mut object);
        Ok(object)
    }
}

pub(super) fn config_map(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": data})
}

pub(super) fn stored(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm", "uid": "1"}, "data": data})
}

pub(super) fn owned(object: &Value) -> Vec<String> {
    let managed = Managed::of(object).unwrap();
    let entries = managed.entries.iter().map(|entry| {
        let subresource =
            if entry.owner.subresource.is_empty() { String::new() } else { format!("/{}", entry.owner.subresource) };
        let time = entry.time.as_deref().map_or("-", |time| &time[18..19]);
        format!("{}{subresource} {} {time} {}", entry.owner.manager, entry.owner.operation.name(), entry.fields.set())
    });
    entries.collect()
}

#[test]
fn owns_by_the_list_types_of_the_table() {
    for (kind, object, expected) in [
        (("", "v1", "ConfigMap"), json!({"data": {"a": "1"}, "binaryData": null}), r#"{"f:binaryData":{},"f:data":{"f:a":{}}}"#),
        (("", "v1", "ConfigMap"), json!({"data": {}}), r#"{"f:data":{}}"#),
        (
            ("", "v1", "Pod"),
            json!({"metadata": {"labels": {"a": "b"}, "finalizers": ["f"], "ownerReferences": [{"uid": "u", "name": "n"}]}}),
            concat!(
                r#"{"f:metadata":{"f:finalizers":{"v:\"f\"":{}},"f:labels":{"f:a":{}},"#,
                r#""f:ownerReferences":{"k:{\"uid\":\"u\"}":{}}}}"#
            ),
        ),
        (
            ("", "v1", "Pod"),
            json!({"spec": {"containers": [{"name": "a", "args": ["x"], "resources": {}, "ports": [{"containerPort": 80}],
                "env": [{"name": "E", "value": ""}], "volumeMounts": [{"mountPath": "/m", "name": "v"}]}],
                "tolerations": [{"key": "k"}], "nodeSelector": {"n": "s"}, "affinity": {"nodeAffinity": {}}}}),
            concat!(
                r#"{"f:spec":{"f:affinity":{"f:nodeAffinity":{}},"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:args":{},"#,
                r#""f:env":{"k:{\"name\":\"E\"}":{".":{},"f:name":{},"f:value":{}}},"f:name":{},"#,
                r#""f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}},"f:resources":{},"#,
                r#""f:volumeMounts":{"k:{\"mountPath\":\"/m\"}":{".":{},"f:mountPath":{},"f:name":{}}}}},"#,
                r#""f:nodeSelector":{},"f:tolerations":{}}}"#
            ),
        ),
        (
            ("apps", "v1", "Deployment"),
            json!({"spec": {"selector": {"matchLabels": {"a": "b"}}, "strategy": {"rollingUpdate": {"maxSurge": 1}}}}),
            r#"{"f:spec":{"f:selector":{},"f:strategy":{"f:rollingUpdate":{"f:maxSurge":{}}}}}"#,
        ),
        (
            ("apps", "v1", "ControllerRevision"),
            json!({"data": {"any": {"thing": 1}}, "revision": 1}),
            r#"{"f:data":{},"f:revision":{}}"#,
        ),
        (
            ("", "v1", "Service"),
            json!({"spec": {"ports": [{"port": 443}, {"port": 80, "protocol": "UDP"}, {"port": 80}, {"port": 80}],
                "selector": {"a": "b"}}}),
            concat!(
                r#"{"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{},"#,
                r#""k:{\"port\":80,\"protocol\":\"UDP\"}":{".":{},"f:port":{},"f:protocol":{}},"#,
                r#""k:{\"port\":443,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}},"f:selector":{}}}"#
            ),
        ),
        (
            ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
            json!({"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"properties": {"p": {"default": {"x": [1]}}}}}}]}}),
            // Versions are atomic.
            r#"{"f:spec":{"f:versions":{}}}"#,
        ),
    ] {
        let schema = Schema::builtin(kind.0, kind.1, kind.2).unwrap();
        assert_eq!(set_of(&schema, &object).unwrap().json(), expected, "{object}");
    }
}

#[test]
fn enters_the_creator() {
    let client = Client::of("", "v1", "ConfigMap");
    let made = client.created(
        "curl",
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"},
        "metadata": {"name": "a", "namespace": "n", "labels": {"l": "1"}}}),
    );
    // As recorded from kube-apiserver: maps that were not there are owned themselves.
    assert_eq!(owned(&made), [r#"curl Update 1 {"f:data":{".":{},"f:k":{}},"f:metadata":{"f:labels":{".":{},"f:l":{}}}}"#]);
    assert_eq!(
        made.pointer("/metadata/managedFields/0").unwrap(),
        &json!({"manager": "curl", "operation": "Update", "apiVersion": "v1", "time": T1, "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {".": {}, "f:k": {}}, "f:metadata": {"f:labels": {".": {}, "f:l": {}}}}})
    );
    let unnamed = client.created("", config_map(&json!({"k": "v"})));
    assert_eq!(owned(&unnamed), [r#"unknown Update 1 {"f:data":{".":{},"f:k":{}}}"#]);
    let nothing = client.created("curl", json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}));
    assert_eq!(nothing.pointer("/metadata/managedFields"), None);
}

#[test]
fn enters_the_creator_of_a_deployment_as_kubectl_shows_it() {
    let client = Client::of("apps", "v1", "Deployment");
    let made = client.created(
        "kubectl-create",
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"progressDeadlineSeconds": 600, "replicas": 1, "revisionHistoryLimit": 10, "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}, "type": "RollingUpdate"},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": "nginx", "imagePullPolicy": "Always",
                "name": "nginx", "resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}],
                "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler", "securityContext": {},
                "terminationGracePeriodSeconds": 30}}},
        "status": {"replicas": 3}}),
    );
    let expected = concat!(
        r#"kubectl-create Update 1 {"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:progressDeadlineSeconds":{},"#,
        r#""f:replicas":{},"f:revisionHistoryLimit":{},"f:selector":{},"f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{},"#,
        r#""f:maxUnavailable":{}},"f:type":{}},"f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{"#,
        r#""k:{\"name\":\"nginx\"}":{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:resources":{},"#,
        r#""f:terminationMessagePath":{},"f:terminationMessagePolicy":{}}},"f:dnsPolicy":{},"f:restartPolicy":{},"f:schedulerName":{},"#,
        r#""f:securityContext":{},"f:terminationGracePeriodSeconds":{}}}}}"#
    );
    assert_eq!(owned(&made), [expected]);
}

#[test]
fn moves_what_an_update_changes() {
    let client = Client::of("", "v1", "ConfigMap");
    let live = client.created("a", stored(&json!({"x": "1", "y": "1", "z": "1"})));
    let patched = |data: &Value| {
        let mut object = live.clone();
        object["data"] = data.clone();
        object
    };
    let changed = client.updated(("b", T2), &live, patched(&json!({"x": "2", "z": "1", "new": "1"})));
    assert_eq!(owned(&changed), [r#"a Update 1 {"f:data":{".":{},"f:z":{}}}"#, r#"b Update 2 {"f:data":{"f:new":{},"f:x":{}}}"#]);
    // The same manager again: its entry grows.
    let grown = client.updated(("a", T2), &live, patched(&json!({"x": "1", "y": "1", "z": "1", "q": "1"})));
    assert_eq!(owned(&grown), [r#"a Update 2 {"f:data":{".":{},"f:q":{},"f:x":{},"f:y":{},"f:z":{}}}"#]);
    // Only removed: nothing is stamped.
    let less = client.updated(("b", T2), &live, patched(&json!({"x": "1"})));
    assert_eq!(owned(&less), [r#"a Update 1 {"f:data":{".":{},"f:x":{}}}"#]);
    // Nothing changed.
    assert_eq!(client.updated(("b", T2), &live, live.clone()), live);
    // Another subresource, and fields that the resource resets.
    let mut relabelled = live.clone();
    relabelled["metadata"]["labels"] = json!({"l": "1"});
    relabelled["metadata"]["resourceVersion"] = json!("7");
    client.through(("status", "b"), T2, |context| on_update(context, &live, &mut relabelled, Sent::Reset));
    assert_eq!(
        owned(&relabelled),
        [
            r#"a Update 1 {"f:data":{".":{},"f:x":{},"f:y":{},"f:z":{}}}"#,
            r#"b/status Update 2 {"f:metadata":{"f:labels":{".":{},"f:l":{}}}}"#
        ]
    );
}

#[test]
fn leaves_what_the_resource_resets() {
    let client = Client::of("apps", "v1", "Deployment");
    let live = client
        .created("a", json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"uid": "1"}, "spec": {"replicas": 1}}));
    let mut new = live.clone();
    new["status"] = json!({"replicas": 1});
    assert_eq!(owned(&client.updated(("b", T2), &live, new.clone())), owned(&live));
    let status = Client { filter: Filter::without(&[&["spec"]]), ..client };
    new["spec"]["replicas"] = json!(2);
    assert_eq!(owned(&status.updated(("b", T2), &live, new))[1..], [r#"b Update 2 {"f:status":{"f:replicas":{}}}"#]);
    let pods = Client::of("", "v1", "Pod");
    let resize: Pattern = &[Some("spec"), Some("containers"), None, Some("resources")];
    let pods = Client { filter: Filter::Only(vec![resize]), ..pods };
    let made = pods.created(
        "r",
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}}], "nodeName": "n"}}),
    );
    let expected = concat!(
        r#"r Update 1 {"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:resources":{".":{},"f:limits":{".":{},"#,
        r#""f:cpu":{}}}}}}}"#
    );
    assert_eq!(owned(&made), [expected]);
}

#[test]
fn believes_what_clients_send_if_it_can_be_read() {
    let client = Client::of("", "v1", "ConfigMap");
    let live = client.created("a", stored(&json!({"x": "1", "y": "1"})));
    let send = |list: Value| {
        let mut object = live.clone();
        object["metadata"]["managedFields"] = list;
        object["data"]["x"] = json!("2");
        owned(&client.updated(("b", T2), &live, object))
    };
    let entry = |fields: Value| json!({"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields, "time": T3});
    let kept = [r#"a Update 1 {"f:data":{".":{},"f:y":{}}}"#, r#"b Update 2 {"f:data":{"f:x":{}}}"#];
    assert_eq!(send(Value::Null), kept);
    assert_eq!(send(json!([{"manager": "m", "operation": "Take"}])), kept);
    assert_eq!(send(json!([entry(json!({"bad": {}}))])), kept);
    assert_eq!(send(json!([])), [""; 0]);
    assert_eq!(send(json!([{}])), [""; 0]);
    // Earlier times are first.
    let given = [r#"b Update 2 {"f:data":{"f:x":{}}}"#, r#"m Update 3 {"f:data":{"f:y":{}}}"#];
    assert_eq!(send(json!([entry(json!({"f:data": {"f:y": {}, "f:x": {}}}))])), given);
    // Entries of a version that nobody serves go, and so do those that own nothing.
    let mut old = entry(json!({"f:data": {"f:y": {}}}));
    old["apiVersion"] = json!("v0");
    assert_eq!(send(json!([old, entry(json!({}))])), given[..1]);
}

#[test]
fn does_not_begin_to_track_with_an_update() {
    let client = Client::of("", "v1", "ConfigMap");
    let made = client.updated(("b", T2), &stored(&json!({"x": "1"})), stored(&json!({"x": "2"})));
    assert_eq!(made.pointer("/metadata/managedFields"), None);
    let mut broken = stored(&json!({"x": "1"}));
    broken["metadata"]["managedFields"] = json!([{"manager": "m"}]);
    let made = client.updated(("b", T2), &broken, stored(&json!({"x": "2"})));
    assert_eq!(made.pointer("/metadata/managedFields"), None);
    assert!(matches!(client.applied(("b", T2), Some(&broken), &config_map(&json!({}))), Err(ApplyError::Failed(_))));
}

#[test]
fn keeps_ten_updates_apart() {
    let client = Client::of("", "v1", "ConfigMap");
    let mut object = client.created("m00", stored(&json!({"k": "v"})));
    for number in 1..=11 {
        let time = format!("2026-01-01T00:01:{number:02}Z");
        let mut next = object.clone();
        next["data"][format!("k{number}")] = json!("v");
        object = client.updated((&format!("m{number:02}"), &time), &object, next);
    }
    let managed = Managed::of(&object).unwrap();
    let names: Vec<_> = managed.entries.iter().map(|entry| &*entry.owner.manager).collect();
    let expected = ["ancient-changes", "m03", "m04", "m05", "m06", "m07", "m08", "m09", "m10", "m11"];
    assert_eq!(names[1..], expected[1..]);
    assert_eq!(names[0], expected[0]);
    assert_eq!(managed.entries[0].fields.set().json(), r#"{"f:data":{".":{},"f:k":{},"f:k1":{},"f:k2":{}}}"#);
    assert_eq!(managed.entries[0].time.as_deref(), Some("2026-01-01T00:01:02Z"));
}

#[test]
fn sorts_as_kube_apiserver() {
    let entry = |manager: &str, operation: &str, time: &str| {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "time": time,
            "fieldsV1": {"f:a": {}}})
    };
    let list = json!([
        entry("b", "Update", T1),
        entry("a", "Update", T1),
        entry("c", "Update", ""),
        entry("z", "Apply", T3),
        entry("y", "Apply", T3)
    ]);
    let written = Managed::read(&list).unwrap().write().unwrap();
    let order: Vec<_> = written.as_array().unwrap().iter().map(|entry| entry["manager"].as_str().unwrap()).collect();
    assert_eq!(order, ["y", "z", "c", "a", "b"]);
}

#[test]
fn takes_back_times_of_nothing() {
    let client = Client::of("", "v1", "ConfigMap");
    let old = client.created("a", stored(&json!({"x": "1"})));
    let mut new = old.clone();
    new["metadata"]["managedFields"][0]["time"] = json!(T3);
    let mut other = new.clone();
    keep_times(&old, &mut new);
    assert_eq!(new, old);
    other["data"]["x"] = json!("2");
    let before = other.clone();
    keep_times(&old, &mut other);
    assert_eq!(other, before);
}

#[test]
fn collapses_what_became_atomic() {
    let client = Client::of("apps", "v1", "Deployment");
    let mut live = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"uid": "1"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "replicas": 1}});
    client.schema.normalise(&mut live);
    live["metadata"]["managedFields"] = json!([{"manager": "m", "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:selector": {"f:matchLabels": {"f:a": {}}}, "f:unknown": {"f:x": {}}}}, "time": T1}]);
    let mut next = live.clone();
    next["spec"]["replicas"] = json!(2);
    let owned = owned(&client.updated(("u", T2), &live, next));
    assert_eq!(owned[0], r#"m Apply 1 {"f:spec":{"f:selector":{},"f:unknown":{"f:x":{}}}}"#);
}

#[test]
fn compares_versions_in_their_own_form() {
    struct Hpa;
    impl Versions for Hpa {
        fn convert(&self, object: &Value, api_version: &str) -> Option<(Schema, Value)> {
            let target = match api_version {
                "autoscaling/v1" => object.pointer("/spec/metrics/0/resource/target/averageUtilization").cloned(),
                "autoscaling/v2" => object.pointer("/spec/targetCPUUtilizationPercentage").cloned(),
                _ => return None,
            }?;
            let schema = Schema::builtin("autoscaling", &api_version[12..], "HorizontalPodAutoscaler")?;
            let spec = if api_version == "autoscaling/v1" {
                json!({"maxReplicas": 3, "targetCPUUtilizationPercentage": target})
            } else {
                json!({"maxReplicas": 3, "metrics": [{"type": "Resource", "resource": {"name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": target}}}]})
            };
            let mut value =
                json!({"apiVersion": api_version, "kind": "HorizontalPodAutoscaler", "metadata": {"uid": "1"}, "spec": spec});
            schema.normalise(&mut value);
            Some((schema, value))
        }
    }
    let schema = Schema::builtin("autoscaling", "v1", "HorizontalPodAutoscaler").unwrap();
    let hpa = |target: u64| {
        let mut object = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"uid": "1"},
            "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": target}});
        schema.normalise(&mut object);
        object
    };
    let mut live = hpa(50);
    let entry = |version: &str, fields: Value| json!({"manager": version, "operation": "Update", "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": fields, "time": T1});
    live["metadata"]["managedFields"] = json!([
        entry("autoscaling/v2", json!({"f:spec": {"f:maxReplicas": {}, "f:metrics": {}}})),
        entry("autoscaling/v9", json!({"f:x": {}}))
    ]);
    let manager = Manager { name: "n", subresource: "", api_version: "autoscaling/v1", time: T2 };
    let context = Context { schema: &schema, manager: &manager, filter: &Filter::All, versions: &Hpa };
    let mut new = hpa(80);
    on_update(&context, &live, &mut new, Sent::Nothing);
    assert_eq!(
        owned(&new),
        [
            r#"autoscaling/v2 Update 1 {"f:spec":{"f:maxReplicas":{}}}"#,
            r#"n Update 2 {"f:spec":{"f:targetCPUUtilizationPercentage":{}}}"#
        ]
    );
}

#[test]
fn maps_replicas_to_scale_and_back() {
    let of = ScaleOf { paths: &[("apps/v1", &["spec", "replicas"])], api_version: "apps/v1" };
    let entry = |manager: &str, version: &str, subresource: &str, fields: Value| {
        json!({"manager": manager, "operation": "Update", "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": fields,
            "subresource": subresource, "time": T1})
    };
    let replicas = json!({"f:spec": {"f:replicas": {}}});
    let both = json!({"f:spec": {"f:replicas": {}, "f:selector": {}}});
    let parent = json!({"metadata": {"managedFields": [entry("a", "apps/v1", "", both), entry("b", "apps/v1", "", json!({"f:spec": {"f:selector": {}}}))]}});
    let scale = to_scale(&parent, &of).unwrap();
    assert_eq!(
        scale,
        json!([{"manager": "a", "operation": "Update", "apiVersion": "autoscaling/v1", "fieldsType": "FieldsV1",
        "fieldsV1": replicas, "time": T1}])
    );
    let unchanged = json!({"metadata": {"managedFields": to_parent(&parent, &scale, &of)}});
    let entries = unchanged["metadata"]["managedFields"].as_array().unwrap();
    let told: Vec<_> = entries.iter().map(|entry| (&entry["manager"], &entry["time"], &entry["fieldsV1"])).collect();
    let selector = json!({"f:spec": {"f:selector": {}}});
    assert_eq!(
        told,
        [(&json!("a"), &Value::Null, &replicas), (&json!("a"), &json!(T1), &selector), (&json!("b"), &json!(T1), &selector)]
    );
    let stolen = json!([entry("c", "autoscaling/v1", "scale", replicas)]);
    let stolen = json!({"metadata": {"managedFields": to_parent(&parent, &stolen, &of)}});
    assert_eq!(
        owned(&stolen),
        [
            r#"c/scale Update - {"f:spec":{"f:replicas":{}}}"#,
            r#"a Update 1 {"f:spec":{"f:selector":{}}}"#,
            r#"b Update 1 {"f:spec":{"f:selector":{}}}"#
        ]
    );
}

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Api, Resource, Subresource, hash, index};
use crate::schema::Schema;
use crate::schema::table::Gvk;

fn resource((group, version, kind, plural): (&str, &str, &str, &str), namespaced: bool, verbs: &[&str]) -> Resource {
    Resource {
        gvk: Gvk::new(group, version, kind),
        plural: plural.to_owned(),
        namespaced,
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        delete_answers_object: kind == "Pod",
        schema: Schema::builtin(group, version, kind).unwrap(),
        subresources: Vec::new(),
    }
}

fn api() -> Api {
    let all = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    let mut pods = resource(("", "v1", "Pod", "pods"), true, &all);
    let sub = |name: &str, (version, kind): (&str, &str), verbs: &[&str], group: &str| Subresource {
        name: name.to_owned(),
        gvk: Gvk::new(group, version, kind),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        schema: Schema::builtin(group, version, kind),
    };
    pods.subresources.push(sub("status", ("v1", "Pod"), &["get", "patch", "update"], ""));
    pods.subresources.push(sub("eviction", ("v1", "Eviction"), &["create"], "policy"));
    pods.subresources.push(sub("log", ("v1", "Pod"), &["get"], "none"));
    pods.subresources.push(sub("exec", ("v1", "PodExecOptions"), &["create", "get"], ""));
    let resources = vec![
        pods,
        resource(("", "v1", "Namespace", "namespaces"), false, &all),
        resource(("apps", "v1", "Deployment", "deployments"), true, &all),
        resource(("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews"), false, &["create"]),
        resource(("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions"), false, &all),
    ];
    Api { version: "v1.36.2".to_owned(), resources }
}

fn document(name: &str) -> Value {
    serde_json::from_slice(&api().document(name).unwrap()).unwrap()
}

/// Calls `each` for every object in a document.
fn walk<'a>(value: &'a Value, each: &mut impl FnMut(&'a serde_json::Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            each(members);
            members.values().for_each(|value| walk(value, each));
        }
        Value::Array(items) => items.iter().for_each(|value| walk(value, each)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_referred_to() {
    for name in api().documents() {
        let document = document(&name);
        let (mut referred, mut ids) = (BTreeSet::new(), Vec::new());
        walk(&document, &mut |members| {
            let reference = members.get("$ref").and_then(Value::as_str);
            referred.extend(reference.and_then(|reference| reference.strip_prefix("#/components/schemas/")));
            ids.extend(members.get("operationId").and_then(Value::as_str));
        });
        let schemas: BTreeSet<&str> = document["components"]["schemas"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(referred, schemas, "{name}");
        let count = ids.len();
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>().len(), count, "{name}: ids are unique");
    }
}

#[test]
fn what_kubectl_asks_of_patch() {
    let document = document("apis/apps/v1");
    let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"], json!({"group": "apps", "version": "v1", "kind": "Deployment"}));
    assert_eq!(patch["x-kubernetes-action"], "patch");
    assert_eq!(patch["operationId"], "patchAppsV1NamespacedDeployment");
    let names: Vec<&Value> = patch["parameters"].as_array().unwrap().iter().map(|parameter| &parameter["name"]).collect();
    assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "force"]);
    let types: Vec<&String> = patch["requestBody"]["content"].as_object().unwrap().keys().collect();
    assert!(types.contains(&&"application/strategic-merge-patch+json".to_owned()), "{types:?}");
}

#[test]
fn rows() {
    let (core, apps) = (document("api/v1"), document("apis/apps/v1"));
    let schema = |name: &str| format!("/components/schemas/io.k8s.{name}");
    let path = |name: &str| format!("/paths/{}", name.replace('/', "~1"));
    let pod = "/api/v1/namespaces/{namespace}/pods/{name}";
    let rows = [
        (&core, schema("api.core.v1.Pod/properties/spec/allOf/0/$ref"), json!("#/components/schemas/io.k8s.api.core.v1.PodSpec")),
        (&core, schema("api.core.v1.Pod/properties/spec/default"), json!({})),
        (
            &core,
            schema("api.core.v1.Pod/x-kubernetes-group-version-kind"),
            json!([{"group": "", "version": "v1", "kind": "Pod"}]),
        ),
        (&core, schema("api.core.v1.PodSpec/required"), json!(["containers"])),
        (&core, schema("api.core.v1.PodSpec/properties/containers/x-kubernetes-patch-strategy"), json!("merge")),
        (&core, schema("api.core.v1.PodSpec/properties/containers/x-kubernetes-patch-merge-key"), json!("name")),
        (&core, schema("api.core.v1.PodSpec/properties/containers/x-kubernetes-list-map-keys"), json!(["name"])),
        (&core, schema("api.core.v1.PodSpec/properties/volumes/x-kubernetes-patch-strategy"), json!("merge,retainKeys")),
        (&core, schema("api.core.v1.PodSpec/properties/activeDeadlineSeconds"), json!({"type": "integer", "format": "int64"})),
        (&core, schema("api.core.v1.ContainerPort/properties/protocol/default"), json!("TCP")),
        (&core, schema("apimachinery.pkg.api.resource.Quantity"), json!({"oneOf": [{"type": "string"}, {"type": "number"}]})),
        (
            &core,
            format!("{}/delete/responses/200/content/application~1json/schema/$ref", path(pod)),
            json!("#/components/schemas/io.k8s.api.core.v1.Pod"),
        ),
        (&core, format!("{}/get/x-kubernetes-action", path("/api/v1/namespaces/{namespace}/pods")), json!("list")),
        (&core, format!("{}/delete/x-kubernetes-action", path("/api/v1/namespaces/{namespace}/pods")), json!("deletecollection")),
        (&core, format!("{}/get/operationId", path("/api/v1/pods")), json!("listCoreV1PodForAllNamespaces")),
        (&core, format!("{}/get/operationId", path("/api/v1/watch/namespaces/{name}")), json!("watchCoreV1Namespace")),
        (
            &core,
            format!("{}/post/operationId", path("/api/v1/namespaces/{namespace}/pods/{name}/exec")),
            json!("connectCoreV1PostNamespacedPodExec"),
        ),
        (
            &core,
            format!("{}/post/x-kubernetes-group-version-kind/group", path("/api/v1/namespaces/{namespace}/pods/{name}/eviction")),
            json!("policy"),
        ),
        (&core, "/info/version".to_owned(), json!("v1.36.2")),
        (&core, "/openapi".to_owned(), json!("3.0.0")),
        (&apps, format!("{}/get/operationId", path("/apis/apps/v1/")), json!("getAppsV1APIResources")),
        (&apps, schema("api.apps.v1.DeploymentSpec/properties/strategy/x-kubernetes-patch-strategy"), json!("retainKeys")),
    ];
    for (document, pointer, expected) in rows {
        assert_eq!(document.pointer(&pointer), Some(&expected), "{pointer}");
    }
}

#[test]
fn names_and_index() {
    let names = api().documents();
    assert_eq!(names[..4], [".well-known/openid-configuration", "api", "api/v1", "apis"]);
    assert!(names.iter().any(|name| name == "apis/apps") && names.iter().any(|name| name == "apis/apps/v1"));
    assert!(api().document("apis/nowhere").is_none() && api().document("api/v2").is_none());
    let document = api().document("version").unwrap();
    let hash = hash(&document);
    assert!(hash.len() == 128 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')));
    let index: Value = serde_json::from_slice(&index([("version", hash.as_str())])).unwrap();
    assert_eq!(index, json!({"paths": {"version": {"serverRelativeURL": format!("/openapi/v3/version?hash={hash}")}}}));
    assert_eq!(super::hash(b"abc")[..16], *"DDAF35A193617ABA");
}

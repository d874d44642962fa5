//! Objects: typed, dynamic, patched, applied, and their subresources.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use kube::api::{
    DeleteParams, DynamicObject, EvictParams, GroupVersionKind, ListParams, Patch, PatchParams, PostParams, Preconditions,
};
use kube::discovery::{Discovery, Scope};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::{configmap, refused, until};

/// A deployment of one container.
pub(crate) fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]}},
        },
    })
}

pub(crate) async fn typed(client: Client, namespace: &'static str) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    let made = maps.create(&PostParams::default(), &configmap("one", "a", "1")).await?;
    ensure!(made.metadata.uid.is_some() && made.metadata.creation_timestamp.is_some(), "{made:?}");
    let mut changed = maps.get("one").await?;
    changed.data = configmap("one", "a", "2").data;
    let replaced = maps.replace("one", &PostParams::default(), &changed).await?;
    ensure!(replaced.resource_version() != made.resource_version());
    refused(maps.replace("one", &PostParams::default(), &changed).await, 409, "Conflict", "the object has been modified")?;
    for name in ["two", "three"] {
        maps.create(&PostParams::default(), &configmap(name, "a", "1")).await?;
    }
    let page = maps.list(&ListParams::default().limit(2)).await?;
    let token = page.metadata.continue_.clone().context("a token to go on")?;
    let rest = maps.list(&ListParams::default().limit(2).continue_token(&token)).await?;
    ensure!(page.items.len() == 2 && rest.metadata.continue_.is_none_or(|token| token.is_empty()));
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    maps.create(&dry, &configmap("dry", "a", "1")).await?;
    ensure!(maps.get_opt("dry").await?.is_none());
    let uid = Preconditions { uid: made.metadata.uid.clone(), resource_version: None };
    let deleted = maps.delete("one", &DeleteParams::default().preconditions(uid)).await?;
    let status = deleted.right().context("a Status")?;
    ensure!(status.details.as_ref().is_some_and(|details| details.uid == made.uid().unwrap_or_default()), "{status:?}");
    maps.delete_collection(&DeleteParams::default(), &ListParams::default().fields("metadata.name=two")).await?;
    ensure!(maps.get_opt("two").await?.is_none() && maps.get_opt("three").await?.is_some());
    Ok(())
}

pub(crate) async fn refusals(client: Client, namespace: &'static str) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    maps.create(&PostParams::default(), &configmap("twice", "a", "1")).await?;
    let twice = maps.create(&PostParams::default(), &configmap("twice", "a", "1")).await;
    refused(twice, 409, "AlreadyExists", "configmaps \"twice\" already exists")?;
    refused(maps.get("nope").await, 404, "NotFound", "configmaps \"nope\" not found")?;
    refused(
        maps.create(&PostParams::default(), &configmap("Bad", "a", "1")).await,
        422,
        "Invalid",
        "a lowercase RFC 1123 subdomain",
    )?;
    let nowhere: Api<ConfigMap> = Api::namespaced(client, "nowhere");
    refused(
        nowhere.create(&PostParams::default(), &configmap("x", "a", "1")).await,
        404,
        "NotFound",
        "namespaces \"nowhere\" not found",
    )?;
    refused(maps.list(&ListParams::default().labels("a b")).await, 400, "BadRequest", "unable to parse requirement")?;
    let other = Preconditions { uid: Some("other".into()), resource_version: None };
    refused(
        maps.delete("twice", &DeleteParams::default().preconditions(other)).await,
        409,
        "Conflict",
        "UID in the precondition (other)",
    )
}

pub(crate) async fn patches(client: Client, namespace: &'static str) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    maps.create(&PostParams::default(), &configmap("m", "a", "1")).await?;
    let plain = PatchParams::default();
    let merged = maps.patch("m", &plain, &Patch::Merge(json!({"data": {"a": null, "b": "2"}}))).await?;
    ensure!(merged.data == configmap("m", "b", "2").data, "{merged:?}");
    let strategic = maps.patch("m", &plain, &Patch::Strategic(json!({"metadata": {"labels": {"l": "x"}}}))).await?;
    ensure!(strategic.labels().get("l").is_some_and(|label| label == "x"));
    let operations = json!([{"op": "test", "path": "/data/b", "value": "2"}, {"op": "add", "path": "/data/c", "value": "3"}]);
    let operations: json_patch::Patch = serde_json::from_value(operations)?;
    let json = maps.patch("m", &plain, &Patch::Json::<()>(operations)).await?;
    ensure!(json.data.as_ref().is_some_and(|data| data.len() == 2), "{json:?}");
    let deployments: Api<Deployment> = Api::namespaced(client, namespace);
    deployments.create(&PostParams::default(), &serde_json::from_value(deployment("d"))?).await?;
    let side = json!({"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "busybox"}]}}}});
    let both = deployments.patch("d", &plain, &Patch::Strategic(&side)).await?;
    let count = |deployment: &Deployment| {
        deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).map_or(0, |spec| spec.containers.len())
    };
    ensure!(count(&both) == 2 && both.metadata.generation == Some(2), "{both:?}");
    let one = deployments.patch("d", &plain, &Patch::Merge(&side)).await?;
    ensure!(count(&one) == 1, "{one:?}");
    let restarted = deployments.restart("d").await?;
    ensure!(restarted.metadata.generation == Some(4), "{restarted:?}");
    Ok(())
}

pub(crate) async fn apply(client: Client, namespace: &'static str) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let mine = PatchParams::apply("mine");
    let made = deployments.patch("d", &mine, &Patch::Apply(deployment("d"))).await?;
    let again = deployments.patch("d", &mine, &Patch::Apply(deployment("d"))).await?;
    ensure!(made.resource_version() == again.resource_version(), "a second apply changes nothing");
    let managers: Vec<_> =
        again.managed_fields().iter().map(|entry| (entry.manager.as_deref(), entry.operation.as_deref())).collect();
    ensure!(managers == [(Some("mine"), Some("Apply"))], "{managers:?}");
    let mut other = deployment("d");
    other["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:1.28");
    let conflict = deployments.patch("d", &PatchParams::apply("other"), &Patch::Apply(&other)).await;
    refused(conflict, 409, "Conflict", "conflict with \"mine\": .spec.template.spec.containers[name=\"c\"].image")?;
    deployments.patch("d", &PatchParams::apply("other").force(), &Patch::Apply(&other)).await?;
    // Status has fields and managers of its own.
    let status = json!({"apiVersion": "apps/v1", "kind": "Deployment", "status": {"replicas": 1, "observedGeneration": 2}});
    let reported = deployments.patch_status("d", &PatchParams::apply("reporter"), &Patch::Apply(status)).await?;
    ensure!(reported.status.as_ref().and_then(|status| status.replicas) == Some(1), "{reported:?}");
    let entry = reported.managed_fields().iter().find(|entry| entry.manager.as_deref() == Some("reporter"));
    ensure!(entry.is_some_and(|entry| entry.subresource.as_deref() == Some("status")), "{reported:?}");
    // What a manager no longer names, and nobody else owns, goes.
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    let body = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data});
    maps.patch("m", &mine, &Patch::Apply(body(json!({"a": "1", "b": "2"})))).await?;
    let fewer = maps.patch("m", &mine, &Patch::Apply(body(json!({"b": "2"})))).await?;
    ensure!(fewer.data == configmap("m", "b", "2").data, "{fewer:?}");
    refused(maps.patch("m", &mine, &Patch::Apply(json!({"kind": "ConfigMap"}))).await, 400, "BadRequest", "")?;
    Ok(())
}

pub(crate) async fn dynamic(client: Client, namespace: &'static str) -> Result<()> {
    let discovery = Discovery::new(client.clone()).run_aggregated().await?;
    let old = Discovery::new(client.clone()).run().await?;
    ensure!(discovery.groups().count() == old.groups().count());
    ensure!(discovery.get("autoscaling").and_then(|group| group.preferred_version()) == Some("v2"));
    let (resource, capabilities) =
        discovery.resolve_gvk(&GroupVersionKind::gvk("policy", "v1", "PodDisruptionBudget")).context("a kind")?;
    ensure!(capabilities.scope == Scope::Namespaced && capabilities.subresources.iter().any(|(sub, _)| sub.plural == "status"));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let budget = DynamicObject::new("pdb", &resource)
        .data(json!({"spec": {"minAvailable": "50%", "selector": {"matchLabels": {"a": "b"}}}}));
    let made = api.create(&PostParams::default(), &budget).await?;
    ensure!(made.data["spec"]["minAvailable"] == "50%", "{made:?}");
    ensure!(api.list(&ListParams::default()).await?.items.len() == 1);
    let gizmo = kube::discovery::pinned_kind(&client, &GroupVersionKind::gvk("x.example", "v1", "Gizmo")).await;
    ensure!(gizmo.is_err());
    let version = client.apiserver_version().await?;
    ensure!(version.major == "1" && version.minor == "36", "{version:?}");
    Ok(())
}

pub(crate) async fn subresources(client: Client, namespace: &'static str) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    deployments.create(&PostParams::default(), &serde_json::from_value(deployment("d"))?).await?;
    let mut scale = deployments.get_scale("d").await?;
    ensure!(scale.spec.as_ref().and_then(|spec| spec.replicas) == Some(1), "{scale:?}");
    let patched = deployments.patch_scale("d", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 3}}))).await?;
    ensure!(patched.spec.and_then(|spec| spec.replicas) == Some(3));
    scale = deployments.get_scale("d").await?;
    scale.spec = Some(k8s_openapi::api::autoscaling::v1::ScaleSpec { replicas: Some(5) });
    deployments.replace_scale("d", &PostParams::default(), &scale).await?;
    ensure!(deployments.get("d").await?.spec.and_then(|spec| spec.replicas) == Some(5));
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    let status = json!({"status": {"phase": "Running"}});
    let running = pods.patch_status("p", &PatchParams::default(), &Patch::Merge(status)).await?;
    ensure!(running.status.and_then(|status| status.phase).as_deref() == Some("Running"));
    let only = pods.get_metadata("p").await?;
    ensure!(only.metadata.name.as_deref() == Some("p"), "{only:?}");
    let listed = pods.list_metadata(&ListParams::default()).await?;
    ensure!(listed.items.len() == 1);
    let debug = json!({"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox"}]}});
    let debugged = pods.patch_ephemeral_containers("p", &PatchParams::default(), &Patch::Strategic(debug)).await?;
    ensure!(debugged.spec.and_then(|spec| spec.ephemeral_containers).is_some_and(|containers| containers.len() == 1));
    pods.evict("p", &EvictParams::default()).await?;
    until("the pod is gone", || async { Ok(pods.get_opt("p").await?.is_none()) }).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client, namespace);
    let spec = TokenRequestSpec { expiration_seconds: Some(600), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let token = accounts.create_token_request("default", &PostParams::default(), &request).await?;
    let token = token.status.and_then(|status| status.token).context("a token")?;
    ensure!(token.split('.').count() == 3);
    Ok(())
}

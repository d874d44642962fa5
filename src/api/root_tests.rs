use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::testing::Stand;

#[tokio::test]
async fn paths_lead_where_kube_apiserver_leads_them() {
    let stand = Stand::new();
    stand.put("configmaps", json!({"metadata": {"name": "a", "namespace": "n"}})).await;
    for (target, code, kind) in [
        ("/", 200, Some("")),
        ("/version", 200, Some("")),
        ("/version/", 200, Some("")),
        ("/api", 200, Some("APIVersions")),
        ("/api/", 200, Some("APIVersions")),
        ("/api/v1", 200, Some("APIResourceList")),
        ("/apis", 200, Some("APIGroupList")),
        ("/apis/apps/", 200, Some("APIGroup")),
        ("/apis/apps/v1", 200, Some("APIResourceList")),
        ("/apis/apps/v9", 404, Some("Status")),
        ("/apis/apps/v9/deployments", 404, Some("Status")),
        ("/apis/nosuch.example.com", 404, None),
        ("/apis/nosuch.example.com/v1/things", 404, None),
        ("/api/v9", 404, Some("Status")),
        ("/nothing/here", 404, None),
        ("//api/v1/configmaps", 404, None),
        ("/api/v1//namespaces/n/configmaps", 404, Some("Status")),
        ("/api/v1/namespaces/n/../n/configmaps", 404, Some("Status")),
        ("/api/v1/namespaces/n/configmaps/", 200, Some("ConfigMapList")),
        ("/api/v1/namespaces/n/configmaps/a", 200, Some("ConfigMap")),
        ("/api/v1/namespaces/n/config%6Daps/a", 200, Some("ConfigMap")),
        ("/api/v1/namespaces/n/configmaps/a%2Fb", 404, Some("Status")),
        ("/api/v1/namespaces/n/configmaps/%2e%2e", 400, Some("Status")),
        ("/api/v1/namespaces/n/ConfigMaps", 404, Some("Status")),
        ("/api/v1/namespaces//configmaps/x", 400, Some("Status")),
        ("/api/v1/namespaces/n/configmaps/none", 404, Some("Status")),
        ("/api/v1/nodes/n1/pods", 404, Some("Status")),
        ("/api/v1/componentstatuses", 200, Some("ComponentStatusList")),
        ("/api/v1/componentstatuses/x", 404, Some("Status")),
    ] {
        let seen = stand.get(target, &[]).await;
        let body = serde_json::from_slice::<Value>(&seen.body).ok();
        let found = body.as_ref().map(|body| body["kind"].as_str().unwrap_or_default());
        assert_eq!((seen.code.as_u16(), found), (code, kind), "{target}");
        if kind.is_none() {
            assert_eq!(seen.body, b"404 page not found\n", "{target}");
        }
    }
    for (method, target) in [
        (Method::OPTIONS, "/api/v1/namespaces"),
        (Method::HEAD, "/api/v1/namespaces/n"),
        (Method::POST, "/version"),
        (Method::POST, "/apis"),
    ] {
        assert_eq!(stand.ask(method.clone(), target, &[]).await.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {target}");
    }
}

#[tokio::test]
async fn aggregated_discovery_is_known_by_its_tag() {
    let stand = Stand::new();
    let accept = ("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json");
    let seen = stand.get("/apis", &[accept]).await;
    assert_eq!(seen.headers["content-type"], "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    assert_eq!(seen.headers["cache-control"], "public");
    let tag = seen.headers["etag"].to_str().expect("a tag").to_owned();
    assert_eq!(tag.len(), 130);
    let again = stand.get("/apis", &[accept, ("if-none-match", &tag)]).await;
    assert_eq!((again.code, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    let plain = stand.get("/apis", &[("accept", "application/yaml")]).await;
    assert!(plain.body.starts_with(b"apiVersion: v1\ngroups:\n"));
}

#[tokio::test]
async fn openapi_documents_are_found_by_their_hash() {
    let stand = Stand::new();
    let index = stand.json("/openapi/v3").await;
    let place = index["paths"]["apis/coordination.k8s.io/v1"]["serverRelativeURL"].as_str().expect("a place").to_owned();
    let document = stand.get(&place, &[]).await;
    assert_eq!(
        (document.code.as_u16(), &document.headers["cache-control"]),
        (200, &http::HeaderValue::from_static("public, immutable"))
    );
    assert!(document.headers["expires"].to_str().is_ok_and(|date| date.ends_with(" GMT")));
    let document: Value = serde_json::from_slice(&document.body).expect("JSON");
    assert_eq!(document["openapi"], "3.0.0");
    let stale = stand.get("/openapi/v3/apis/coordination.k8s.io/v1?hash=OLD", &[]).await;
    assert_eq!((stale.code.as_u16(), stale.headers["location"].to_str().ok()), (301, Some(place.as_str())));
    let unknown = stand.get("/openapi/v3/apis/none/v1", &[]).await;
    assert_eq!((unknown.code.as_u16(), unknown.body.len()), (200, 0));
}

/// Discovery in every encoding says the same.
#[tokio::test]
async fn documents_in_protobuf_and_yaml() {
    use crate::schema::{self, Encoding, Schema};
    let stand = Stand::new();
    const AGGREGATED: &str = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    for (target, parameters) in [
        ("/api", ""),
        ("/apis", ""),
        ("/apis/apps", ""),
        ("/api/v1", ""),
        ("/apis/apps/v1", ""),
        ("/api", AGGREGATED),
        ("/apis", AGGREGATED),
    ] {
        let get = async |media: &str| stand.get(target, &[("accept", &format!("{media}{parameters}"))]).await;
        let (plain, binary, yaml) =
            (get("application/json").await, get("application/vnd.kubernetes.protobuf").await, get("application/yaml").await);
        assert_eq!(binary.headers["content-type"], format!("application/vnd.kubernetes.protobuf{parameters}").as_str());
        let mut json: Value = serde_json::from_slice(&plain.body).expect("JSON");
        assert_eq!(schema::parse_yaml(&yaml.body).expect("YAML"), json, "{target}{parameters}");
        let (version, kind) = schema::kind_of(&binary.body, Encoding::Protobuf).expect("an envelope");
        assert_eq!((&*version, &*kind), (json["apiVersion"].as_str().unwrap_or(""), json["kind"].as_str().expect("a kind")));
        let (group, version) = version.rsplit_once('/').unwrap_or(("", "v1"));
        let schema = Schema::builtin(group, version, &kind).expect("a type");
        let mut read = schema.read(&binary.body, Encoding::Protobuf).expect("a message").value;
        for value in [&mut read, &mut json] {
            schema.normalise(value);
            value.as_object_mut().map(|members| members.remove("apiVersion"));
        }
        assert_eq!(read, json, "{target}{parameters}");
    }
}

#[tokio::test]
async fn the_old_openapi_document_has_two_forms() {
    let stand = Stand::new();
    let json = stand.json("/openapi/v2").await;
    let pod = &json["definitions"]["io.k8s.api.core.v1.Pod"];
    assert_eq!(pod["properties"]["spec"]["$ref"], "#/definitions/io.k8s.api.core.v1.PodSpec");
    assert_eq!(pod["x-kubernetes-group-version-kind"][0]["kind"], "Pod");
    assert!(!json.to_string().contains("#/components/"));
    let asked = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let binary = stand.get("/openapi/v2", &[("accept", asked)]).await;
    assert_eq!(binary.headers["content-type"], "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
    assert!(binary.body.starts_with(b"\x0a\x032.0"));
    let other = stand.get("/openapi/v2", &[("accept", "text/html")]).await;
    assert_eq!((other.code.as_u16(), other.body.len()), (406, 0));
}

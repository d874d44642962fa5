//! What each component asks, as it asks it: the requests that the gate exists for.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::client::{Client, Credentials, Lines, Protocol, tls};
use crate::support::{Store, Up};

/// The credentials of one of the kubeconfigs that `up` writes.
pub fn credentials(up: &Up, who: &str) -> (std::net::SocketAddr, Credentials) {
    let text = std::fs::read_to_string(up.dir().join(format!("{who}.kubeconfig"))).unwrap();
    let config: Value = serde_yaml::from_str(&text).unwrap();
    let data =
        |value: &Value| base64::Engine::decode(&base64::engine::general_purpose::STANDARD, value.as_str().unwrap()).unwrap();
    let cluster = &config["clusters"][0]["cluster"];
    let user = &config["users"][0]["user"];
    let address = cluster["server"].as_str().unwrap().trim_start_matches("https://").parse().unwrap();
    let certificate = user.get("client-certificate-data").map(|certificate| (data(certificate), data(&user["client-key-data"])));
    let token = user.get("token").map(|token| token.as_str().unwrap().to_owned());
    (address, Credentials { authority: data(&cluster["certificate-authority-data"]), certificate, token })
}

pub async fn client(up: &Up, who: &str, protocol: Protocol) -> Client {
    let (address, credentials) = credentials(up, who);
    Client::connect(address, tls(&credentials, protocol), credentials.token.clone()).await.unwrap()
}

/// Runs `work` against `up` on both stores.
pub fn on_both<F, Fut>(work: F)
where
    F: Fn(std::rc::Rc<Up>) -> Fut,
    Fut: Future<Output = ()>,
{
    for store in [Store::Embedded, Store::Etcd] {
        let up = std::rc::Rc::new(Up::start(store));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(work(up));
    }
}

const NODES: &str = "/api/v1/nodes";
const PODS: &str = "/api/v1/namespaces/default/pods";

pub async fn make(client: &Client, path: &str, body: Value) -> Value {
    let answer = client.send(Method::POST, path, &body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{path}: {:?}", answer.body);
    answer.json()
}

async fn patch(client: &Client, path: &str, kind: &str, body: Value) -> Value {
    let answer = client.request(Method::PATCH, path, &[("content-type", kind)], body.to_string()).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{path}: {:?}", answer.body);
    answer.json()
}

const STRATEGIC: &str = "application/strategic-merge-patch+json";

fn pod(name: &str, node: Option<&str>) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]}});
    if let Some(node) = node {
        pod["spec"]["nodeName"] = node.into();
    }
    pod
}

#[test]
fn a_kubelet_registers_reports_and_follows_its_pods() {
    on_both(|up| async move {
        let kubelet = client(&up, "kubelet", Protocol::Http2).await;
        let admin = client(&up, "admin", Protocol::Http2).await;
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1", "labels": {"kubernetes.io/hostname": "node-1"}},
            "status": {"capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"}}});
        let made = make(&kubelet, NODES, node).await;
        assert_eq!(made["status"]["capacity"]["cpu"], "4", "a Node keeps the status that it registers with");
        let read = kubelet.get("/api/v1/nodes/node-1").await;
        assert_eq!((read.status, &read.json()["kind"]), (StatusCode::OK, &json!("Node")));
        let listed = kubelet.get(NODES).await;
        assert_eq!((listed.status, &listed.json()["kind"]), (StatusCode::OK, &json!("NodeList")));

        let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}});
        let patched = patch(&kubelet, "/api/v1/nodes/node-1/status", STRATEGIC, ready).await;
        assert_eq!(patched["status"]["conditions"][0]["type"], "Ready");

        let mut watch = kubelet.watch("/api/v1/pods?watch=true&fieldSelector=spec.nodeName%3Dnode-1&resourceVersion=0").await;
        make(&admin, PODS, pod("elsewhere", Some("node-2"))).await;
        make(&admin, PODS, pod("mine", Some("node-1"))).await;
        let event = watch.next().await.unwrap();
        assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("mine")));
        let running =
            json!({"metadata": {"uid": event["object"]["metadata"]["uid"]}, "status": {"phase": "Running", "podIP": "10.1.0.7"}});
        patch(&kubelet, &format!("{PODS}/mine/status"), STRATEGIC, running).await;
        let event = watch.next().await.unwrap();
        assert_eq!((&event["type"], &event["object"]["status"]["phase"]), (&json!("MODIFIED"), &json!("Running")));

        let path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
        let lease = json!({"metadata": {"name": "node-1"}, "spec": {"holderIdentity": "node-1", "leaseDurationSeconds": 40, "renewTime": "2026-01-01T00:00:00.000000Z"}});
        let mut lease = make(&kubelet, path, lease).await;
        lease["spec"]["renewTime"] = "2026-01-01T00:00:10.000000Z".into();
        let renewed = kubelet.send(Method::PUT, &format!("{path}/node-1"), &lease).await;
        assert_eq!(renewed.status, StatusCode::OK, "{:?}", renewed.body);
        assert_eq!(renewed.json()["spec"]["renewTime"], "2026-01-01T00:00:10.000000Z");

        let refused = kubelet.get("/api/v1/secrets").await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        let refused = kubelet.get("/api/v1/namespaces/kube-system/secrets/other").await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(message.ends_with("no relationship found between node 'node-1' and this object"), "{message}");
    });
}

/// What kube-proxy follows, and one object of each.
fn services(turn: usize) -> [(&'static str, Value); 3] {
    let name = format!("s{turn}");
    let slice = json!({"metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}}, "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.0.1"]}], "ports": [{"port": 80}]});
    let endpoints =
        json!({"metadata": {"name": name}, "subsets": [{"addresses": [{"ip": "10.1.0.1"}], "ports": [{"port": 80}]}]});
    [
        ("/api/v1/services", json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}})),
        ("/apis/discovery.k8s.io/v1/endpointslices", slice),
        ("/api/v1/endpoints", endpoints),
    ]
}

#[test]
fn kube_proxy_lists_and_watches_with_its_token() {
    on_both(|up| async move {
        let admin = client(&up, "admin", Protocol::Http2).await;
        for (turn, protocol) in [Protocol::Http1, Protocol::Http2].into_iter().enumerate() {
            let proxy = client(&up, "kube-proxy", protocol).await;
            for (path, made) in services(turn) {
                let list = proxy.get(path).await;
                assert_eq!(list.status, StatusCode::OK, "{path}: {:?}", list.body);
                let version = list.json()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
                // An HTTP/1.1 connection is taken by its watch.
                let proxy = client(&up, "kube-proxy", protocol).await;
                let watch = format!("{path}?watch=true&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion={version}");
                let answer = proxy.open(Method::GET, &watch, &[], "").await.unwrap();
                assert_eq!((answer.status(), answer.version()), (StatusCode::OK, protocol.version()));
                assert_eq!(answer.headers()["content-type"], "application/json");
                let chunked = answer.headers().get("transfer-encoding").is_some_and(|value| value == "chunked");
                assert_eq!(chunked, protocol == Protocol::Http1, "{path}");
                let mut lines = Lines::of(answer);
                make(&admin, &path.replace("/v1/", "/v1/namespaces/default/"), made.clone()).await;
                let line = lines.next().await.unwrap();
                let seen = (&line["type"], &line["object"]["metadata"]["name"]);
                assert_eq!(seen, (&json!("ADDED"), &made["metadata"]["name"]), "{path}: {line}");
            }
        }
        let proxy = client(&up, "kube-proxy", Protocol::Http2).await;
        assert_eq!(proxy.send(Method::POST, PODS, &pod("x", None)).await.status, StatusCode::FORBIDDEN);
    });
}

#[test]
fn the_scheduler_binds_and_the_controller_manager_writes_status() {
    on_both(|up| async move {
        let scheduler = client(&up, "kube-scheduler", Protocol::Http2).await;
        let manager = client(&up, "kube-controller-manager", Protocol::Http2).await;
        let admin = client(&up, "admin", Protocol::Http2).await;
        let mut watch =
            scheduler.watch("/api/v1/pods?watch=true&fieldSelector=status.phase!%3DSucceeded,status.phase!%3DFailed").await;
        make(&admin, PODS, pod("mypod", None)).await;
        assert_eq!(watch.next().await.unwrap()["object"]["metadata"]["name"], "mypod");
        let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "mypod"}, "target": {"kind": "Node", "name": "node-1"}});
        make(&scheduler, &format!("{PODS}/mypod/binding"), binding).await;
        assert_eq!(watch.next().await.unwrap()["object"]["spec"]["nodeName"], "node-1");
        let status = json!({"status": {"conditions": [{"type": "DisruptionTarget", "status": "True"}]}});
        for who in [&scheduler, &manager] {
            let patched = patch(who, &format!("{PODS}/mypod/status"), STRATEGIC, status.clone()).await;
            assert_eq!(patched["status"]["conditions"][0]["type"], "DisruptionTarget");
            assert_eq!(patched["spec"]["nodeName"], "node-1");
        }
        assert_eq!(scheduler.get("/api/v1/secrets").await.status, StatusCode::FORBIDDEN);

        for (who, name) in [(&scheduler, "kube-scheduler"), (&manager, "kube-controller-manager")] {
            let path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
            assert_eq!(who.get(&format!("{path}/{name}")).await.status, StatusCode::NOT_FOUND);
            let lease = json!({"metadata": {"name": name}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}});
            let mut lease = make(who, path, lease).await;
            lease["spec"]["holderIdentity"] = "b".into();
            let stale = lease.clone();
            assert_eq!(who.send(Method::PUT, &format!("{path}/{name}"), &lease).await.status, StatusCode::OK);
            let answer = who.send(Method::PUT, &format!("{path}/{name}"), &stale).await;
            assert_eq!(answer.status, StatusCode::CONFLICT, "a stale lease must not win: {:?}", answer.body);
        }
        let pods = manager.get("/api/v1/pods?limit=500&resourceVersion=0").await;
        assert_eq!((pods.status, &pods.json()["kind"]), (StatusCode::OK, &json!("PodList")));
    });
}

#[test]
fn etcd_holds_the_keys_as_kube_apiserver_lays_them() {
    let cluster = crate::support::Cluster::start_now(Store::Etcd, "");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let admin = cluster.client(Protocol::Http2).await;
        make(&admin, "/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": "default"}})).await;
        make(&admin, PODS, pod("nginx", None)).await;
    });
    let etcd = cluster.etcd.as_ref().unwrap();
    let text = etcd.control(&cluster.pki, &["get", "/registry/pods/default/nginx"]).unwrap();
    assert!(text.starts_with("/registry/pods/default/nginx\n{\"kind\":\"Pod\",\"apiVersion\":\"v1\""), "{text}");
    for key in
        ["/registry/namespaces/default", "/registry/clusterroles/cluster-admin", "/registry/services/specs/default/kubernetes"]
    {
        assert!(etcd.control(&cluster.pki, &["get", key, "--keys-only"]).unwrap().contains(key), "no {key}");
    }
}

//! Who somebody is, and what becomes of those who claim more: over real connections, against real rights.

use std::process::Command;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode};
use portcullis::testing;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client, Credentials, Protocol, tls};
use crate::support::pki::{Life, Pki};
use crate::support::raw::Raw;
use crate::support::{Cluster, Store, portcullis};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

const REVIEWS: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// What the server says of who asks.
async fn whoami(client: &Client, headers: &[(&str, &str)]) -> Result<Value, Answer> {
    let kind = [("content-type", "application/json")];
    let answer = client.request(Method::POST, REVIEWS, &[&kind, headers].concat(), "{}").await.unwrap();
    if answer.status == StatusCode::CREATED { Ok(answer.json()["status"]["userInfo"].clone()) } else { Err(answer) }
}

fn message(answer: &Answer) -> String {
    answer.json()["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn headers_that_claim_an_identity_mean_nothing() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let jane = cluster.pki.client("jane", "jane", &["developers"]);
    let admin_token = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06YWRtaW4ifQ.";
    let rows: &[&[(&str, &str)]] = &[
        &[],
        &[("x-remote-user", "kubernetes-admin")],
        &[("x-remote-user", "kubernetes-admin"), ("x-remote-group", "system:masters"), ("x-remote-uid", "0")],
        &[("x-remote-extra-scopes", "all"), ("x-remote-extra-a%2fb", "c")],
        &[("x_remote_user", "kubernetes-admin"), ("x_remote_group", "system:masters")],
        &[("x-remote_user", "kubernetes-admin")],
        &[("x-remote%2duser", "kubernetes-admin")],
        &[("connection", "x-remote-user"), ("x-remote-user", "kubernetes-admin")],
        &[("x-forwarded-user", "kubernetes-admin"), ("x-forwarded-groups", "system:masters")],
        &[("forwarded", "for=127.0.0.1;by=kubernetes-admin"), ("x-forwarded-for", "127.0.0.1")],
        &[("x-ssl-client-cn", "kubernetes-admin"), ("x-client-cert", "MIIB"), ("ssl-client-cert", "MIIB")],
        &[("proxy-authorization", "Bearer x")],
        // A certificate that is believed wins over whatever token stands beside it.
        &[("authorization", admin_token)],
        &[("authorization", "Basic YWRtaW46YWRtaW4=")],
    ];
    runtime().block_on(async {
        let client = Client::connect(cluster.address(), tls(&jane, Protocol::Http1), None).await.unwrap();
        for headers in rows {
            let who = whoami(&client, headers).await.unwrap_or_else(|answer| panic!("{headers:?}: {answer:?}"));
            assert_eq!(who["username"], "jane", "{headers:?}");
            assert_eq!(who["groups"], json!(["developers", "system:authenticated"]), "{headers:?}");
            let extra = who["extra"].as_object().unwrap();
            assert!(extra.len() == 1 && extra.contains_key("authentication.kubernetes.io/credential-id"), "{headers:?}: {who}");
            let refused = client.request(Method::GET, "/api/v1/secrets", headers, "").await.unwrap();
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{headers:?}");
            let text =
                "secrets is forbidden: User \"jane\" cannot list resource \"secrets\" in API group \"\" at the cluster scope";
            assert_eq!(message(&refused), text, "{headers:?}");
        }
        // Impersonation is asked for, not claimed: it needs the right.
        let asked = [("impersonate-user", "kubernetes-admin"), ("impersonate-group", "system:masters")];
        let refused = whoami(&client, &asked).await.unwrap_err();
        let text = "selfsubjectreviews.authentication.k8s.io is forbidden: User \"jane\" cannot impersonate-on:user-info:create resource \"selfsubjectreviews\" in API group \"authentication.k8s.io\" at the cluster scope";
        assert_eq!((refused.status, message(&refused).as_str()), (StatusCode::FORBIDDEN, text));
        let admin = cluster.client(Protocol::Http2).await;
        let who = whoami(&admin, &[("impersonate-user", "joe"), ("impersonate-group", "ops")]).await.unwrap();
        assert_eq!((&who["username"], &who["groups"]), (&json!("joe"), &json!(["ops", "system:authenticated"])));
    });
}

#[test]
fn nobody_who_is_not_believed_is_let_through_as_less() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let stranger = Pki::new(&cluster.dir.path().join("stranger"), "ca");
    let believed = |credentials: Credentials| Credentials { authority: cluster.pki.authority(), ..credentials };
    let token = |text: &str| Credentials { authority: cluster.pki.authority(), certificate: None, token: Some(text.to_owned()) };
    let masters: &[&str] = &["system:masters"];
    let rows = [
        ("another authority's certificate", believed(stranger.client("root", "kubernetes-admin", masters))),
        ("an expired certificate", cluster.pki.client_for("old", ("kubernetes-admin", masters), Life::Over)),
        ("a certificate that is not valid yet", cluster.pki.client_for("young", ("kubernetes-admin", masters), Life::Later)),
        ("a certificate for servers", cluster.pki.serving("serving-only", "kubernetes-admin")),
        ("a certificate without a name", cluster.pki.client("empty", "", masters)),
        ("a name with a line break", cluster.pki.client("break", "a\nb", masters)),
        ("a token that is none", token("x")),
        ("a token without a signature", token("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.")),
        (
            "a bad certificate with the best of tokens",
            Credentials { token: Some("x".to_owned()), ..believed(stranger.client("both", "kubernetes-admin", masters)) },
        ),
    ];
    runtime().block_on(async {
        for (what, credentials) in rows {
            // Also where anybody may go without a credential.
            for path in ["/api/v1/namespaces", "/version", "/livez", "/no/such/path"] {
                let client = cluster.connect(cluster.address(), &credentials, Protocol::Http1).await;
                let answer = client.get(path).await;
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}: {path}");
                let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": "Unauthorized", "reason": "Unauthorized", "code": 401});
                assert_eq!(answer.json(), status, "{what}");
            }
        }
        let odd: [&[(&str, &str)]; 4] = [
            &[("authorization", "Bearer")],
            &[("authorization", "Basic YWRtaW46YWRtaW4=")],
            &[("authorization", "Bearer a b")],
            &[("authorization", "Bearer x"), ("authorization", "Bearer y")],
        ];
        let nobody = Credentials { authority: cluster.pki.authority(), ..Credentials::default() };
        for headers in odd {
            let client = cluster.connect(cluster.address(), &nobody, Protocol::Http1).await;
            let answer = client.request(Method::GET, "/api/v1/namespaces", headers, "").await.unwrap();
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{headers:?}");
        }
    });
}

/// A service account that exists, and its uid.
async fn account(admin: &Client, namespace: &str, name: &str) -> String {
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
    let made = admin.send(Method::POST, &path, &json!({"metadata": {"name": name}})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    made.json()["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// `portcullis pki token`, signed with the key in `dir`.
fn mint(dir: &std::path::Path, (namespace, name, uid): (&str, &str, &str), more: &[&str]) -> String {
    let output = Command::new(portcullis())
        .args(["pki", "token", "--namespace", namespace, "--name", name, "--uid", uid, "--dir"])
        .arg(dir)
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The same token with another head or other claims, and the old signature.
fn forged(token: &str, change: impl Fn(&mut Value, &mut Value)) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let (mut head, mut claims) = (read(parts[0]), read(parts[1]));
    change(&mut head, &mut claims);
    let write = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", write(&head), write(&claims), parts[2])
}

#[test]
fn a_token_is_worth_what_its_account_is() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let keys = cluster.pki.path("");
    runtime().block_on(async {
        let admin = cluster.client(Protocol::Http2).await;
        let uid = account(&admin, "default", "app").await;
        let who = ("default", "app", uid.as_str());
        let connect = async |token: &str| {
            let credentials =
                Credentials { authority: cluster.pki.authority(), certificate: None, token: Some(token.to_owned()) };
            cluster.connect(cluster.address(), &credentials, Protocol::Http1).await
        };
        let token = mint(&keys, who, &[]);
        let client = connect(&token).await;
        let said = whoami(&client, &[]).await.unwrap();
        assert_eq!(said["username"], "system:serviceaccount:default:app");
        assert_eq!(said["uid"], uid.as_str());
        let groups = json!(["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]);
        assert_eq!(said["groups"], groups);
        // Without a binding it may do what everybody may.
        let refused = client.get("/api/v1/namespaces/default/pods").await;
        let text = "pods is forbidden: User \"system:serviceaccount:default:app\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"";
        assert_eq!((refused.status, message(&refused).as_str()), (StatusCode::FORBIDDEN, text));

        let foreign = cluster.dir.path().join("foreign");
        std::fs::create_dir(&foreign).unwrap();
        crate::support::pki::secret(&foreign.join("sa.key"), rcgen::KeyPair::generate().unwrap().serialize_pem().as_bytes());
        let rows = [
            ("another issuer", mint(&keys, who, &["--issuer", "https://example.com"])),
            ("another audience", mint(&keys, who, &["--audience", "vault"])),
            ("another uid", mint(&keys, ("default", "app", "00000000-0000-0000-0000-000000000000"), &[])),
            ("no such account", mint(&keys, ("default", "ghost", &uid), &[])),
            ("another namespace", mint(&keys, ("kube-system", "app", &uid), &[])),
            ("a pod that is not there", mint(&keys, who, &["--pod", "p:00000000-0000-0000-0000-000000000000"])),
            ("another key", mint(&foreign, who, &[])),
            ("other claims", forged(&token, |_, claims| claims["sub"] = "system:serviceaccount:kube-system:default".into())),
            ("no algorithm", forged(&token, |head, _| head["alg"] = "none".into())),
            ("a symmetric algorithm", forged(&token, |head, _| head["alg"] = "HS256".into())),
            ("an unknown key id", forged(&token, |head, _| head["kid"] = "x".into())),
        ];
        for (what, token) in rows {
            let answer = connect(&token).await.get("/version").await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
        }
        // On its open connection the account's end is the token's; an account that only has its name does not revive it.
        assert_eq!(client.get("/version").await.status, StatusCode::OK);
        let path = "/api/v1/namespaces/default/serviceaccounts/app";
        admin.request(Method::DELETE, path, &[], "").await.unwrap();
        settle(&client, StatusCode::UNAUTHORIZED).await;
        account(&admin, "default", "app").await;
        assert_eq!(connect(&token).await.get("/version").await.status, StatusCode::UNAUTHORIZED);
    });
    assert!(!cluster.server().log().contains("eyJ"), "a token is in the log");
}

#[test]
fn a_key_that_is_taken_away_takes_its_tokens_along() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    runtime().block_on(async {
        let admin = cluster.client(Protocol::Http2).await;
        let uid = account(&admin, "default", "app").await;
        let token = mint(&cluster.pki.path(""), ("default", "app", &uid), &[]);
        let credentials = Credentials { authority: cluster.pki.authority(), certificate: None, token: Some(token) };
        let client = cluster.connect(cluster.address(), &credentials, Protocol::Http2).await;
        settle(&client, StatusCode::OK).await;
        let next = rcgen::KeyPair::generate().unwrap().serialize_pem();
        crate::support::pki::secret(&cluster.pki.path("sa.key"), next.as_bytes());
        settle(&client, StatusCode::UNAUTHORIZED).await;
        let token = mint(&cluster.pki.path(""), ("default", "app", &uid), &[]);
        let credentials = Credentials { token: Some(token), ..credentials };
        let client = cluster.connect(cluster.address(), &credentials, Protocol::Http2).await;
        settle(&client, StatusCode::OK).await;
        // The server signs with the new key too.
        let path = "/api/v1/namespaces/default/serviceaccounts/app/token";
        let given = admin.send(Method::POST, path, &json!({"spec": {}})).await.json();
        let token = given["status"]["token"].as_str().map(str::to_owned);
        let client = cluster.connect(cluster.address(), &Credentials { token, ..credentials }, Protocol::Http2).await;
        assert_eq!(client.get("/version").await.status, StatusCode::OK, "{given}");
    });
}

/// The moments after which a right is gone, each with an open watch that ends then, and another that goes on.
#[test]
fn a_right_that_is_withdrawn_ends_its_streams() {
    let people = "policy: {components: [{name: people, match: {users: [jane, joe]}, unlimited: true}]}";
    let cluster = Cluster::start_now(Store::Embedded, people);
    runtime().block_on(async {
        let admin = cluster.client(Protocol::Http2).await;
        let uid = account(&admin, "default", "app").await;
        let role =
            json!({"metadata": {"name": "reader"}, "rules": [{"verbs": ["watch"], "apiGroups": [""], "resources": ["pods"]}]});
        let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
        assert_eq!(admin.send(Method::POST, &format!("{roles}/roles"), &role).await.status, StatusCode::CREATED);
        for (name, subject) in [
            ("jane", json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane"})),
            ("joe", json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "joe"})),
            ("app", json!({"kind": "ServiceAccount", "namespace": "default", "name": "app"})),
        ] {
            let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"});
            let binding = json!({"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]});
            let made = admin.send(Method::POST, &format!("{roles}/rolebindings"), &binding).await;
            assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
        }
        let person = |name: &str| cluster.pki.client(name, name, &[]);
        let token = mint(&cluster.pki.path(""), ("default", "app", &uid), &[]);
        let app = Credentials { authority: cluster.pki.authority(), certificate: None, token: Some(token) };
        let (jane, joe) = (person("jane"), person("joe"));
        for (what, who, gone) in [
            ("a role binding", &jane, format!("{roles}/rolebindings/jane")),
            ("a service account", &app, "/api/v1/namespaces/default/serviceaccounts/app".to_owned()),
        ] {
            let open = async |who| {
                let client = cluster.connect(cluster.address(), who, Protocol::Http2).await;
                let watch = client.watch("/api/v1/namespaces/default/pods?watch=true&resourceVersion=0").await;
                (client, watch)
            };
            let ((_client, mut watch), (_other, mut stays)) = (open(who).await, open(&joe).await);
            let begun = std::time::Instant::now();
            let answer = admin.request(Method::DELETE, &gone, &[], "").await.unwrap();
            assert_eq!(answer.status, StatusCode::OK, "{what}");
            let last = watch.next().await.unwrap_or_else(|| panic!("{what}: the watch ended without a word"));
            assert_eq!((&last["type"], &last["object"]["code"]), (&json!("ERROR"), &json!(403)), "{what}");
            assert!(watch.next().await.is_none(), "{what}");
            assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{what}: {:?}", begun.elapsed());
            let more = tokio::time::timeout(std::time::Duration::from_millis(600), stays.next()).await;
            assert!(more.is_err(), "{what}: the other watch said {more:?}");
        }
    });
}

#[test]
fn a_line_in_the_denylist_ends_all_that_is_open() {
    let cluster = Cluster::start_with(Store::Embedded, |config| {
        let authority = config.split("clientAuthorities: [").nth(1).unwrap().split(']').next().unwrap();
        std::fs::write(std::path::Path::new(authority).with_file_name("deny.yaml"), "").unwrap();
        config.replace("authentication:", "authentication:\n  denylist: pki/deny.yaml")
    });
    runtime().block_on(async {
        let admin = cluster.client(Protocol::Http2).await;
        let jane = cluster.pki.client("jane", "jane", &["system:masters"]);
        let client = cluster.connect(cluster.address(), &jane, Protocol::Http2).await;
        let mut watch = client.watch("/api/v1/namespaces/default/pods?watch=true&resourceVersion=0").await;
        let mut other = admin.watch("/api/v1/namespaces/default/pods?watch=true&resourceVersion=0").await;
        let file = cluster.pki.path("deny.yaml");
        std::fs::write(&file, "users: [jane, ").unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        assert_eq!(client.get("/version").await.status, StatusCode::OK, "half a file denies nobody");
        std::fs::write(&file, "users: [jane]\n").unwrap();
        let last = watch.next().await.expect("a last word");
        assert_eq!((&last["type"], &last["object"]["code"]), (&json!("ERROR"), &json!(403)));
        settle(&client, StatusCode::UNAUTHORIZED).await;
        let more = tokio::time::timeout(std::time::Duration::from_millis(600), other.next()).await;
        assert!(more.is_err(), "the other watch said {more:?}");
    });
}

#[test]
fn a_front_proxy_is_heard_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let proxies = Pki::new(&dir.path().join("proxies"), "ca");
    let authority = proxies.path("ca.crt").display().to_string();
    let cluster = Cluster::start_with(Store::Embedded, |config| {
        let front = format!("frontProxy: {{authorities: [{authority}], names: [front], groups: [dev]}}");
        config.replace("authentication:", &format!("authentication:\n  {front}"))
    });
    runtime().block_on(async {
        let shown = |pki: &Pki, name: &str| Credentials { authority: cluster.pki.authority(), ..pki.client(name, name, &[]) };
        let joe = [("x-remote-user", "joe"), ("x-remote-group", "dev"), ("x-remote-extra-a", "b")];
        let front = cluster.connect(cluster.address(), &shown(&proxies, "front"), Protocol::Http2).await;
        let who = whoami(&front, &joe).await.unwrap();
        assert_eq!((&who["username"], &who["groups"]), (&json!("joe"), &json!(["dev", "system:authenticated"])));
        assert_eq!(who["extra"], json!({"a": ["b"]}));
        let beyond = whoami(&front, &[("x-remote-user", "joe"), ("x-remote-group", "system:masters")]).await;
        assert_eq!(beyond.unwrap_err().status, StatusCode::UNAUTHORIZED);
        let other = cluster.connect(cluster.address(), &shown(&proxies, "other"), Protocol::Http2).await;
        assert_eq!(whoami(&other, &joe).await.unwrap_err().status, StatusCode::UNAUTHORIZED);
        let eve = cluster.connect(cluster.address(), &shown(&cluster.pki, "eve"), Protocol::Http2).await;
        assert_eq!(whoami(&eve, &joe).await.unwrap()["username"], "eve");
        let map = cluster.client(Protocol::Http2).await;
        let map = map.get("/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication").await.json();
        assert_eq!(map["data"]["requestheader-allowed-names"], "[\"front\"]", "{map}");
    });
}

/// Asks until the answer has this status, 20 s at most; the connection stays open.
async fn settle(client: &Client, status: StatusCode) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while client.get("/version").await.status != status {
        assert!(tokio::time::Instant::now() < deadline, "never {status}");
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
}

/// Ceilings for the table of attacks.
const CEILINGS: &str = r#"policy:
  components:
    - name: guarded
      match: {users: [guarded]}
      unlimited: true
      deny:
        - {verbs: [delete], apiGroups: [""], resources: [pods]}
        - {verbs: ["*"], apiGroups: [""], resources: [secrets], names: [crown]}
    - name: patcher
      match: {users: [patcher]}
      allow: [{verbs: [get, patch, update], apiGroups: ["", coordination.k8s.io], resources: [configmaps, leases]}]
    - name: edge
      match: {users: ["system:node:*"]}
      allow: [{verbs: [get], apiGroups: [""], resources: [nodes], names: ["${node}"]}]
    - name: helpdesk
      match: {users: [root@example.com]}
      proof: certificate
      allow: [{verbs: [get, list, watch], apiGroups: [""], resources: [pods]}]
"#;

/// One attack: who, what, with which body, and the message of the refusal (`None`: it is no attack, and is allowed).
type Attack = (&'static str, &'static str, &'static str, Option<&'static str>);

#[rustfmt::skip]
const ATTACKS: &[Attack] = &[
    ("system:kube-scheduler", "GET /api/v1/secrets", "", Some("secrets is forbidden: User \"system:kube-scheduler\" cannot list resource \"secrets\" in API group \"\" at the cluster scope")),
    ("system:kube-scheduler", "GET /api/v1/secrets?watch=true", "", Some("secrets is forbidden: User \"system:kube-scheduler\" cannot watch resource \"secrets\" in API group \"\" at the cluster scope")),
    ("system:kube-scheduler", "GET /api/v1/watch/secrets", "", Some("secrets is forbidden: User \"system:kube-scheduler\" cannot watch resource \"secrets\" in API group \"\" at the cluster scope")),
    ("system:kube-scheduler", "GET /api/v1/namespaces/default/secrets/crown", "", Some("secrets \"crown\" is forbidden: User \"system:kube-scheduler\" cannot get resource \"secrets\" in API group \"\" in the namespace \"default\"")),
    ("system:kube-scheduler", "GET /metrics", "", Some("forbidden: User \"system:kube-scheduler\" cannot get path \"/metrics\"")),
    ("system:kube-controller-manager", "DELETE /api/v1/namespaces/default", "", Some("namespaces \"default\" is forbidden: User \"system:kube-controller-manager\" cannot delete resource \"namespaces\" in API group \"\" in the namespace \"default\"")),
    ("kube-proxy", "POST /api/v1/namespaces/default/pods", "{}", Some("pods is forbidden: User \"system:serviceaccount:kube-system:kube-proxy\" cannot create resource \"pods\" in API group \"\" in the namespace \"default\"")),
    ("kube-proxy", "PATCH /api/v1/namespaces/default/services/kubernetes", "{}", Some("services \"kubernetes\" is forbidden: User \"system:serviceaccount:kube-system:kube-proxy\" cannot patch resource \"services\" in API group \"\" in the namespace \"default\"")),
    ("kube-proxy", "GET /api/v1/services", "", None),
    ("workload", "GET /api/v1/nodes/n/proxy/run/x", "", Some("nodes \"n\" is forbidden: User \"system:serviceaccount:default:app\" cannot get resource \"nodes/proxy\" in API group \"\" at the cluster scope")),
    ("workload", "GET /api/v1/pods", "", None),
    ("stranger", "GET /api/v1/namespaces/default/pods", "", Some("pods is forbidden: User \"stranger\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"")),
    ("stranger", "GET /openapi/v3", "", None),
    ("guarded", "DELETE /api/v1/namespaces/default/pods/p", "", Some("pods \"p\" is forbidden: User \"guarded\" cannot delete resource \"pods\" in API group \"\" in the namespace \"default\"")),
    ("guarded", "DELETE /api/v1/namespaces/default/pods", "", Some("pods is forbidden: User \"guarded\" cannot deletecollection resource \"pods\" in API group \"\" in the namespace \"default\"")),
    ("guarded", "POST /api/v1/namespaces/default/pods/p/eviction", "{\"metadata\":{\"name\":\"p\"}}", Some("pods \"p\" is forbidden: User \"guarded\" cannot create resource \"pods/eviction\" in API group \"\" in the namespace \"default\"")),
    ("guarded", "GET /api/v1/namespaces/default/secrets/crown", "", Some("secrets \"crown\" is forbidden: User \"guarded\" cannot get resource \"secrets\" in API group \"\" in the namespace \"default\"")),
    ("guarded", "GET /api/v1/namespaces/default/secrets", "", Some("secrets is forbidden: User \"guarded\" cannot list resource \"secrets\" in API group \"\" in the namespace \"default\"")),
    ("guarded", "GET /api/v1/secrets?watch=1", "", Some("secrets is forbidden: User \"guarded\" cannot watch resource \"secrets\" in API group \"\" at the cluster scope")),
    ("guarded", "DELETE /api/v1/namespaces/default/secrets", "", Some("secrets is forbidden: User \"guarded\" cannot deletecollection resource \"secrets\" in API group \"\" in the namespace \"default\"")),
    ("guarded", "GET /api/v1/namespaces/default/secrets/other", "", None),
    ("guarded", "GET /api/v1/namespaces/default/pods/p", "", None),
    ("patcher", "PATCH /api/v1/namespaces/default/configmaps/there", "{\"data\":{\"a\":\"b\"}}", None),
    ("patcher", "APPLY /api/v1/namespaces/default/configmaps/new?fieldManager=x", "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"new\"}}", Some("configmaps \"new\" is forbidden: User \"patcher\" cannot create resource \"configmaps\" in API group \"\" in the namespace \"default\"")),
    ("patcher", "PUT /apis/coordination.k8s.io/v1/namespaces/default/leases/new", "{\"metadata\":{\"name\":\"new\"}}", Some("leases.coordination.k8s.io \"new\" is forbidden: User \"patcher\" cannot create resource \"leases\" in API group \"coordination.k8s.io\" in the namespace \"default\"")),
    ("system:node:n1", "GET /api/v1/nodes/n1", "", None),
    ("system:node:n1", "GET /api/v1/nodes/n2", "", Some("nodes \"n2\" is forbidden: User \"system:node:n1\" cannot get resource \"nodes\" in API group \"\" at the cluster scope")),
    ("system:node:*", "GET /api/v1/nodes/n1", "", Some("nodes \"n1\" is forbidden: User \"system:node:*\" cannot get resource \"nodes\" in API group \"\" at the cluster scope")),
    ("system:node:${node}", "GET /api/v1/nodes/n1", "", Some("nodes \"n1\" is forbidden: User \"system:node:${node}\" cannot get resource \"nodes\" in API group \"\" at the cluster scope")),
    ("system:node:n1/../n2", "GET /api/v1/nodes/n2", "", Some("nodes \"n2\" is forbidden: User \"system:node:n1/../n2\" cannot get resource \"nodes\" in API group \"\" at the cluster scope")),
    ("system:node:N1", "GET /api/v1/nodes/N1", "", Some("nodes \"N1\" is forbidden: User \"system:node:N1\" cannot get resource \"nodes\" in API group \"\" at the cluster scope")),
    ("root@example.com", "GET /api/v1/pods", "", None),
    ("root@example.com", "DELETE /api/v1/namespaces/default", "", Some("namespaces \"default\" is forbidden: User \"root@example.com\" cannot delete resource \"namespaces\" in API group \"\" in the namespace \"default\"")),
    ("root@example.com", "GET /api/v1/namespaces/default/pods/p/log", "", Some("pods \"p\" is forbidden: User \"root@example.com\" cannot get resource \"pods/log\" in API group \"\" in the namespace \"default\"")),
    ("root@example.com", "GET /metrics", "", Some("forbidden: User \"root@example.com\" cannot get path \"/metrics\"")),
    // The administrator as the scheduler is no more than the scheduler.
    ("as:system:kube-scheduler", "GET /api/v1/secrets", "", Some("secrets is forbidden: User \"system:kube-scheduler\" cannot list resource \"secrets\" in API group \"\" at the cluster scope")),
    ("as:system:kube-scheduler", "GET /api/v1/nodes", "", None),
];

#[test]
fn stolen_rights_end_at_the_ceiling() {
    let cluster = Cluster::start_now(Store::Embedded, CEILINGS);
    let certificate = |user: &str| -> Credentials {
        let groups: &[&str] = match user {
            "root@example.com" => &["system:masters"],
            user if user.starts_with("system:node:") => &["system:nodes"],
            _ => &[],
        };
        cluster.pki.client(&format!("c{}", user.len()), user, groups)
    };
    runtime().block_on(async {
        let admin = cluster.client(Protocol::Http2).await;
        // Every identity holds every right, so that only ceilings refuse.
        let generous = json!({"metadata": {"name": "generous"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"}]});
        let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
        assert_eq!(admin.send(Method::POST, bindings, &generous).await.status, StatusCode::CREATED);
        let there = json!({"metadata": {"name": "there"}});
        admin.send(Method::POST, "/api/v1/namespaces/default/configmaps", &there).await;
        let proxy = account(&admin, "kube-system", "kube-proxy").await;
        let app = account(&admin, "default", "app").await;
        let keys = cluster.pki.path("");
        let before = cluster.metric("portcullis_refused_total").await;
        let mut refusals = 0.0;
        for (who, line, body, refused) in ATTACKS {
            let token = |account| Credentials {
                authority: cluster.pki.authority(),
                certificate: None,
                token: Some(mint(&keys, account, &[])),
            };
            let (credentials, impersonate) = match *who {
                "kube-proxy" => (token(("kube-system", "kube-proxy", &proxy)), None),
                "workload" => (token(("default", "app", &app)), None),
                who => match who.strip_prefix("as:") {
                    Some(user) => (cluster.admin(), Some(("impersonate-user", user))),
                    None => (certificate(who), None),
                },
            };
            let client = cluster.connect(cluster.address(), &credentials, Protocol::Http1).await;
            let (method, path) = line.split_once(' ').unwrap();
            let (method, kind) = match method {
                "APPLY" => (Method::PATCH, "application/apply-patch+yaml"),
                "PATCH" => (Method::PATCH, "application/merge-patch+json"),
                method => (method.parse().unwrap(), "application/json"),
            };
            let mut headers = vec![("content-type", kind)];
            headers.extend(impersonate);
            let answer = client.request(method, path, &headers, *body).await.unwrap();
            match refused {
                Some(text) => {
                    assert_eq!((answer.status, message(&answer).as_str()), (StatusCode::FORBIDDEN, *text), "{who}: {line}");
                    let reason = answer.json();
                    assert_eq!((&reason["reason"], &reason["code"]), (&json!("Forbidden"), &json!(403)));
                    refusals += 1.0;
                }
                None => assert!(
                    answer.status != StatusCode::FORBIDDEN && !answer.status.is_server_error(),
                    "{who}: {line}: {:?}",
                    answer.body
                ),
            }
        }
        assert_eq!(cluster.metric("portcullis_refused_total").await - before, refusals, "each refusal is counted");
        let untouched = admin.get("/api/v1/namespaces/default/configmaps/new").await;
        assert_eq!(untouched.status, StatusCode::NOT_FOUND);
    });
}

#[tokio::test]
async fn a_component_that_must_show_a_certificate_is_not_known_by_a_token() {
    let policy =
        "components: [{name: machine, match: {serviceAccounts: [default/default]}, proof: certificate, unlimited: true}]";
    let server = testing::Server::builder().set("policy", policy).start().await.unwrap();
    let token = server.token("default", "default").unwrap();
    let client = Credentials::bearer(&server, token).connect(&server, Protocol::Http1).await;
    let answer = client.get("/version").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{:?}", answer.body);
}

#[test]
fn an_unknown_path_tells_a_stranger_nothing() {
    let cluster = Cluster::start_now(Store::Embedded, "");
    let config: Arc<_> = tls(&cluster.pki.client("jane", "jane", &[]), Protocol::Http1);
    for path in
        ["/no/such", "/apis/no.such/v1/things", "/api/v1/namespaces/nowhere/pods/p", "/portcullis/top", "/debug/pprof/heap"]
    {
        let mut raw = Raw::connect(cluster.address(), config.clone());
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        assert_eq!(raw.answer().unwrap().status, 403, "{path}");
    }
}

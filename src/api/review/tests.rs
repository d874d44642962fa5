use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::*;
use crate::api::tests::client::{self, Client};
use crate::identity::{self, Caller, Holder, Life, PrivateKey, Trust};
use crate::live::Live;
use crate::policy::{Ceilings, Facts, Mode, Reach, file};
use crate::request::Attributes;

/// An API with somebody to ask, and clients of any name: no ceilings, RBAC as it is stored at the moment of the request.
pub(crate) struct Court {
    client: Client,
    authorizer: Arc<Authorizer>,
    accounts: Arc<Live<identity::Facts>>,
}

impl Court {
    pub(crate) async fn new() -> Self {
        let Client { api } = Client::bare();
        let policy = json!({"components": [{"name": "all", "match": {"users": ["*"]}, "unlimited": true}]});
        let ceilings: Ceilings =
            serde_json::from_value::<file::Policy>(policy).expect("a policy").resolve().expect("a good one").ceilings;
        let authorizer = Arc::new(Authorizer::new(Mode::Builtin, ceilings, Facts::default()));
        let accounts: Arc<Live<identity::Facts>> = Arc::default();
        let pem = rcgen::KeyPair::generate().expect("a key").serialize_pem();
        let key = PrivateKey::parse(pem.as_bytes()).expect("a key");
        let trust = Trust {
            keys: vec![key.public().clone()],
            issuers: vec![ISSUER.to_owned()],
            audiences: vec![ISSUER.to_owned()],
            ..Trust::default()
        };
        let tokens = Tokens {
            signer: Arc::new(TokenSigner::new(&key, ISSUER)),
            audiences: vec![ISSUER.to_owned()],
            longest: Some(100_000),
            keys: vec![key.public().clone()],
            keys_at: "https://10.0.0.9:6443/openid/v1/jwks".to_owned(),
            extended: true,
        };
        let resolver = Arc::new(Resolver::new(trust, accounts.clone()));
        let asking = Asking { authorizer: authorizer.clone(), resolver, tokens: Arc::new(Live::new(Some(tokens))) };
        let api = Arc::into_inner(api).expect("the only holder").with_asking(asking);
        let client = Client { api: Arc::new(api) };
        crate::api::boot::run(&client.api, &client::settings(), &client::permit()).await.expect("a boot");
        Self { client, authorizer, accounts }
    }

    /// The server itself asks.
    pub(crate) fn server(&self) -> &Client {
        &self.client
    }

    /// Somebody asks; what the feeder would do is done before.
    pub(crate) async fn ask(&self, who: (&str, &[&str]), line: &str, body: Value) -> (u16, Value) {
        self.feed();
        let (method, path) = line.split_once(' ').expect("method and path");
        let method: Method = method.parse().expect("a method");
        let media = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let request = http::Request::builder().method(&method).uri(path).header("content-type", media);
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let request = request.body(Inbound::Full(Full::new(body))).expect("a request");
        let groups: Vec<&str> = who.1.iter().copied().chain(["system:authenticated"]).collect();
        let attributes = Attributes::parse(&method, request.uri());
        let permit = match self.authorizer.authorize(Caller::sample(who.0, &groups), attributes, Reach::AsAsked) {
            Ok(permit) => permit,
            Err(denied) => return (403, json!({"message": denied.message()})),
        };
        match self.client.api.serve(&permit, request).await {
            Ok(response) => {
                let code = response.status().as_u16();
                let body = response.into_body().collect().await.expect("a body").to_bytes();
                (code, serde_json::from_slice(&body).unwrap_or_default())
            }
            Err(refusal) => (refusal.code.as_u16(), serde_json::from_slice(&refusal.to_json()).unwrap_or_default()),
        }
    }

    fn feed(&self) {
        let all = |group: &str, plural: &str| -> Vec<Value> {
            let kind = self.client.api.catalog.find(group, "v1", plural).expect("a kind");
            let space = kind.storage.as_ref().expect("stored").space;
            self.client.api.store.view().root(space).items.values().map(|object| object.value()).collect()
        };
        fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
            serde_json::from_value(value).expect("an object of RBAC")
        }
        let group = "rbac.authorization.k8s.io";
        let facts =
            all(group, "clusterroles").into_iter().fold(Facts::default(), |facts, role| facts.with_cluster_role(read(role)));
        let facts = all(group, "roles").into_iter().fold(facts, |facts, role| facts.with_role(read(role)));
        let facts =
            all(group, "clusterrolebindings").into_iter().fold(facts, |facts, one| facts.with_cluster_role_binding(read(one)));
        let facts = all(group, "rolebindings").into_iter().fold(facts, |facts, one| facts.with_role_binding(read(one)));
        self.authorizer.facts.swap(facts);
        let mut lives = identity::Facts::new();
        for (holder, plural) in [(Holder::Account, "serviceaccounts"), (Holder::Pod, "pods"), (Holder::Node, "nodes")] {
            for object in all("", plural) {
                let life = Life { uid: meta::text(&object, "uid").into(), deleted: None };
                lives.insert(holder, meta::text(&object, "namespace"), meta::text(&object, "name"), life);
            }
        }
        self.accounts.swap(lives);
    }
}

const ISSUER: &str = "https://kubernetes.default.svc";
const ADMIN: (&str, &[&str]) = ("admin", &["system:masters"]);
const ALICE: (&str, &[&str]) = ("alice", &["developers"]);

#[tokio::test]
async fn who_asks() {
    let court = Court::new().await;
    let (code, review) = court.ask(ALICE, "POST /apis/authentication.k8s.io/v1/selfsubjectreviews", json!({})).await;
    assert_eq!(code, 201, "{review}");
    let user = &review["status"]["userInfo"];
    assert_eq!(user, &json!({"username": "alice", "groups": ["developers", "system:authenticated"]}));
}

#[tokio::test]
async fn what_somebody_may() {
    let court = Court::new().await;
    let path = "POST /apis/authorization.k8s.io/v1/subjectaccessreviews";
    let wish = json!({"verb": "watch", "resource": "pods"});
    for (spec, code, expected) in [
        (json!({"user": "system:kube-scheduler", "resourceAttributes": wish}), 201, json!(true)),
        (json!({"user": "bob", "resourceAttributes": wish}), 201, json!(false)),
        (
            json!({"user": "bob", "groups": ["system:masters"], "nonResourceAttributes": {"path": "/x", "verb": "get"}}),
            201,
            json!(true),
        ),
        (json!({"user": "bob"}), 422, Value::Null),
        (json!({"resourceAttributes": wish}), 422, Value::Null),
        (json!({"user": "bob", "resourceAttributes": wish, "nonResourceAttributes": {}}), 422, Value::Null),
    ] {
        let (found, review) = court.ask(ADMIN, path, json!({"spec": spec})).await;
        assert_eq!((found, &review["status"]["allowed"]), (code, &expected), "{spec} {review}");
    }
    let (_, refusal) = court.ask(ADMIN, path, json!({"spec": {}})).await;
    assert_eq!(
        refusal["message"],
        ".authorization.k8s.io \"\" is invalid: [spec.resourceAttributes: Invalid value: \"null\": exactly one of \
         nonResourceAttributes or resourceAttributes must be specified, spec.user: Invalid value: \"\": at least one of user or group \
         must be specified]"
    );
}

#[tokio::test]
async fn reviews_in_a_namespace() {
    let court = Court::new().await;
    let path = "POST /apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews";
    for (namespace, code) in [("default", 201), ("other", 422)] {
        let spec = json!({"user": "bob", "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": namespace}});
        let (found, review) = court.ask(ADMIN, path, json!({"spec": spec})).await;
        assert_eq!(found, code, "{review}");
    }
    let path = "POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    assert_eq!(court.ask(ALICE, path, json!({"spec": {}})).await.1["message"], "no namespace on request");
    let (_, review) = court.ask(ALICE, path, json!({"spec": {"namespace": "default"}})).await;
    assert_eq!(review["status"]["incomplete"], false, "{review}");
    assert!(review["status"]["nonResourceRules"].as_array().is_some_and(|rules| !rules.is_empty()));
}

#[tokio::test]
async fn tokens_are_given_and_reviewed() {
    let court = Court::new().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    court.server().post(accounts, json!({"metadata": {"name": "robot"}})).await;
    let path = format!("POST {accounts}/robot/token");
    let wish = |spec: Value| json!({"spec": spec});
    let (code, given) = court.ask(ADMIN, &path, wish(json!({}))).await;
    assert_eq!(code, 201, "{given}");
    assert_eq!(given["spec"]["expirationSeconds"], 3600);
    let reviews = "POST /apis/authentication.k8s.io/v1/tokenreviews";
    let (_, review) = court.ask(ADMIN, reviews, json!({"spec": {"token": given["status"]["token"]}})).await;
    assert_eq!(review["status"]["authenticated"], true, "{review}");
    assert_eq!(review["status"]["user"]["username"], "system:serviceaccount:default:robot");
    assert_eq!(review["status"]["audiences"], json!([ISSUER]));

    let (_, vault) = court.ask(ADMIN, &path, wish(json!({"audiences": ["vault"], "expirationSeconds": 600}))).await;
    let (_, review) =
        court.ask(ADMIN, reviews, json!({"spec": {"token": vault["status"]["token"], "audiences": ["third"]}})).await;
    assert_eq!(
        review["status"]["error"],
        "[invalid bearer token, token audiences [\"vault\"] is invalid for the target audiences [\"third\"]]"
    );
    let rows = [
        (json!({"expirationSeconds": 60}), 422, "may not specify a duration less than 10 minutes"),
        (json!({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "no"}}), 404, "pods \"no\" not found"),
        (
            json!({"boundObjectRef": {"kind": "Lease", "apiVersion": "v1", "name": "no"}}),
            400,
            "cannot bind token to object of type",
        ),
    ];
    for (spec, code, expected) in rows {
        let (found, refusal) = court.ask(ADMIN, &path, wish(spec)).await;
        assert_eq!(found, code, "{refusal}");
        assert!(refusal["message"].as_str().is_some_and(|message| message.contains(expected)), "{refusal}");
    }
    let (_, capped) = court.ask(ADMIN, &path, wish(json!({"expirationSeconds": 200_000}))).await;
    assert_eq!(capped["spec"]["expirationSeconds"], 100_000);
    let (code, _) = court.ask(ADMIN, &path, json!({"metadata": {"uid": "other"}, "spec": {}})).await;
    assert_eq!(code, 409);
    let (code, _) = court.ask(ADMIN, &format!("POST {accounts}/nobody/token"), wish(json!({}))).await;
    assert_eq!(code, 404);
}

#[tokio::test]
async fn tokens_of_pods_are_bound_to_them() {
    let court = Court::new().await;
    let server = court.server();
    for name in ["default", "other"] {
        server.post("/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": name}})).await;
    }
    let spec = json!({"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]});
    let (code, pod) = server.post("/api/v1/namespaces/default/pods", json!({"metadata": {"name": "p"}, "spec": spec})).await;
    assert_eq!(code, 201, "{pod}");
    let bound = json!({"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": pod["metadata"]["uid"]});
    let path = "POST /api/v1/namespaces/default/serviceaccounts/default/token";
    let wish = json!({"spec": {"boundObjectRef": bound, "expirationSeconds": 3607}});
    let (_, given) = court.ask(ADMIN, path, wish.clone()).await;
    let claims = claims(given["status"]["token"].as_str().expect("a token"));
    assert_eq!(claims["kubernetes.io"]["pod"]["name"], "p");
    assert_eq!(claims["kubernetes.io"]["node"]["name"], "n1");
    let (from, to) = (claims["iat"].as_u64().expect("iat"), claims["exp"].as_u64().expect("exp"));
    assert_eq!((to - from, claims["kubernetes.io"]["warnafter"].as_u64()), (365 * 24 * 3600, Some(from + 3607)));
    let (code, _) = court.ask(ADMIN, &path.replace("default/token", "other/token"), wish.clone()).await;
    assert_eq!(code, 400);
    let mut stale = wish;
    stale["spec"]["boundObjectRef"]["uid"] = json!("other");
    assert_eq!(court.ask(ADMIN, path, stale).await.0, 409);
}

#[tokio::test]
async fn the_issuer_tells_its_keys() {
    let court = Court::new().await;
    let (code, document) = court.ask(ADMIN, "GET /.well-known/openid-configuration", Value::Null).await;
    assert_eq!((code, &document["issuer"]), (200, &json!(ISSUER)));
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256"]));
    let (_, keys) = court.ask(ADMIN, "GET /openid/v1/jwks", Value::Null).await;
    let key = &keys["keys"][0];
    assert_eq!((&key["kty"], &key["crv"], &key["use"]), (&json!("EC"), &json!("P-256"), &json!("sig")));
    assert_eq!(key["x"].as_str().map(str::len), Some(43));
}

fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).expect("a payload");
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).expect("base64");
    serde_json::from_slice(&payload).expect("JSON")
}

//! A server for development: its authorities, its configuration, and who may do what.
//!
//! `up` keeps one in a folder, `testing` one in memory; what is said here is said for both. No production set-up: the keys of its
//! authorities lie beside the server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::app::{App, Extra};
use crate::identity::{Grant, Named, TokenSigner};
use crate::pki::{self, Authority, Credential, Issued, Kubeconfig, Order, PkiError};

/// Certificates and tokens live so long.
pub const LIFE: Duration = Duration::from_secs(24 * 3600);

/// The authorities of a development server and the key that signs its tokens.
pub struct Sandbox {
    clients: Authority,
    serving: Authority,
    /// The key's two halves, PEM.
    signing: (String, String),
}

/// What a development server's configuration says besides what is the same for all.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of certificates and keys, as the configuration names it.
    pub keys: PathBuf,
    /// Where to listen.
    pub address: SocketAddr,
    /// Where health and metrics are served; nowhere when `None`.
    pub health: Option<SocketAddr>,
    /// How long requests under way have to end.
    pub drain: Duration,
    /// `backend.builtin.store` of the configuration.
    pub store: Value,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There is no such account, or it was made only now.
    #[error("there is no service account {0}/{1}")]
    Account(String, String),
    /// The key does not sign.
    #[error("the token was not signed: {0}")]
    Sign(String),
}

impl Sandbox {
    /// A new one, in memory.
    ///
    /// # Errors
    /// The cryptographic library refuses.
    pub fn new() -> Result<Self, PkiError> {
        let clients = Authority::new("portcullis clients", AUTHORITY_LIFE)?;
        let serving = Authority::new("portcullis serving", AUTHORITY_LIFE)?;
        Ok(Self { clients, serving, signing: pki::signing_key()? })
    }

    /// The one that is kept in a folder. What is missing is made, with rights for the owner alone.
    ///
    /// # Errors
    /// The files cannot be read or written.
    pub fn open(keys: &Path) -> Result<Self, PkiError> {
        pki::make_dir(keys)?;
        let clients = Authority::open(keys, "clients-ca", "portcullis clients", AUTHORITY_LIFE)?;
        let serving = Authority::open(keys, "serving-ca", "portcullis serving", AUTHORITY_LIFE)?;
        Authority::open(keys, "front-proxy-ca", "portcullis front proxy", AUTHORITY_LIFE)?;
        let (private, public) = (keys.join("sa.key"), keys.join("sa.pub"));
        if !private.exists() {
            let made = pki::signing_key()?;
            pki::write_private(&private, made.0.as_bytes())?;
            pki::write_public(&public, made.1.as_bytes())?;
        }
        let text = |path: &Path| std::fs::read_to_string(path).map_err(|error| PkiError::File(path.display().to_string(), error));
        Ok(Self { clients, serving, signing: (text(&private)?, text(&public)?) })
    }

    /// A certificate for the server, under every name by which it is called here.
    ///
    /// # Errors
    /// The cryptographic library refuses.
    pub fn server(&self) -> Result<Issued, PkiError> {
        let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "127.0.0.1", "::1", "10.96.0.1"];
        self.serving.issue(&Order::server("kube-apiserver", &names, LIFE))
    }

    /// A certificate for a client.
    ///
    /// # Errors
    /// The cryptographic library refuses.
    pub fn client(&self, user: &str, groups: &[&str]) -> Result<Issued, PkiError> {
        self.clients.issue(&Order::client(user, groups, LIFE))
    }

    /// A token of a service account that exists in `app`.
    ///
    /// # Errors
    /// There is no such account.
    pub fn token(&self, app: &App, namespace: &str, account: &str) -> Result<String, TokenError> {
        let missing = || TokenError::Account(namespace.to_owned(), account.to_owned());
        let uid = app.account_uid(namespace, account).ok_or_else(missing)?;
        let refuse = |why: &dyn std::fmt::Display| TokenError::Sign(why.to_string());
        let signer = TokenSigner::parse(self.signing.0.as_bytes(), ISSUER).map_err(|why| refuse(&why))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|why| refuse(&why))?;
        let grant = Grant {
            namespace: namespace.to_owned(),
            account: Named { name: account.to_owned(), uid },
            audiences: vec![ISSUER.to_owned()],
            issued: now.as_secs(),
            lifetime: LIFE.as_secs(),
            ..Grant::default()
        };
        signer.sign(&grant).map_err(|why| refuse(&why))
    }

    /// The PEM certificate of the authority that signs for the server.
    pub fn authority(&self) -> String {
        self.serving.certificate_pem()
    }

    /// A kubeconfig for the server at `address`. Secret.
    pub fn kubeconfig(&self, address: SocketAddr, user: &str, credential: Credential<'_>) -> String {
        let (server, authority) = (format!("https://{address}"), self.authority());
        Kubeconfig { server: &server, authority: &authority, cluster: "portcullis", user, credential }.render()
    }

    /// What the configuration names, for a server that keeps nothing in files.
    ///
    /// # Errors
    /// The cryptographic library refuses.
    pub fn files(&self) -> Result<BTreeMap<PathBuf, Vec<u8>>, PkiError> {
        let server = self.server()?;
        let files = [
            ("server.crt", server.certificate_pem()),
            ("server.key", server.key_pem()),
            ("clients-ca.crt", self.clients.certificate_pem()),
            ("serving-ca.crt", self.serving.certificate_pem()),
            ("sa.key", self.signing.0.clone()),
            ("sa.pub", self.signing.1.clone()),
        ];
        Ok(files.into_iter().map(|(name, text)| (PathBuf::from(name), text.into_bytes())).collect())
    }
}

/// The configuration that `serve` would read; JSON is YAML.
pub fn configuration(settings: &Settings) -> Value {
    let key = |name: &str| settings.keys.join(name).display().to_string();
    json!({
        "apiVersion": "portcullis.dev/v1",
        "kind": "Gateway",
        "listen": {"address": settings.address, "certificate": key("server.crt"), "key": key("server.key"),
            "drain": format!("{}ms", settings.drain.as_millis())},
        "health": match settings.health {
            Some(address) => json!({"address": address}),
            None => json!({"enabled": false}),
        },
        "authentication": {
            "clientAuthorities": [key("clients-ca.crt")],
            "serviceAccounts": {"issuers": [ISSUER], "verificationKeys": [key("sa.pub")], "signingKey": key("sa.key")},
        },
        "policy": {"components": [
            // Without --use-service-account-credentials the controller manager does its controllers' work in its own name.
            {"name": "kube-controller-manager", "profile": "kube-controller-manager",
                "allow": [{"verbs": ["patch", "update"], "apiGroups": [""], "resources": ["pods/status"]}]},
            // People try things out here: the administrator may everything, and whoever is no component what RBAC grants.
            {"name": "kubectl", "unlimited": true},
            {"name": "none", "unlimited": true},
        ]},
        "backend": {"builtin": {"solo": true, "rootAuthority": key("serving-ca.crt"), "store": settings.store}},
        "log": {"format": "text", "access": false},
    })
}

/// What a development cluster has besides the objects of every server: kube-proxy's account, the right of nodes to see each other, and
/// that of the controller manager to report on pods.
pub fn extra() -> Extra {
    let role = |name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
    let binding = |name: &str, to: &str, subject: Value| json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name}, "roleRef": role(to), "subjects": [subject]});
    let nodes = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"});
    let manager = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:kube-controller-manager"});
    let proxy = json!({"kind": "ServiceAccount", "namespace": "kube-system", "name": "kube-proxy"});
    Extra(vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "kube-proxy", "namespace": "kube-system"}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "portcullis:up:node-viewer"},
            "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}]}),
        binding("portcullis:up:node-viewer", "portcullis:up:node-viewer", nodes),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "portcullis:up:pod-reporter"},
            "rules": [{"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch", "update"]}]}),
        binding("portcullis:up:pod-reporter", "portcullis:up:pod-reporter", manager),
        binding("portcullis:up:node-proxier", "system:node-proxier", proxy),
    ])
}

/// Authorities live so long.
const AUTHORITY_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

const ISSUER: &str = "https://kubernetes.default.svc";

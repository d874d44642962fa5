//! A whole Kubernetes API inside a Rust test, in milliseconds.
//!
//! [`Server::start`] gives a server of its own: real TLS and client certificates on a free port of 127.0.0.1, every built-in kind with its
//! defaults, validation, admission and RBAC, state in memory, and the controllers that make a lone API useful, so that namespaces really
//! go away and every namespace gets its `default` service account. Any client can talk to it; none is pulled in.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), portcullis::testing::Error> {
//! use portcullis::testing::Server;
//!
//! let server = Server::start().await?;
//!
//! // For kubectl, client-go and kube-rs: everything they need is in one text.
//! assert!(server.kubeconfig().contains(&server.url()));
//!
//! // For any other client: the address, the authority, a certificate. reqwest takes them as they are:
//! // Certificate::from_pem(server.ca_pem()), Identity::from_pem(server.client_identity().pem()).
//! assert!(server.ca_pem().starts_with("-----BEGIN CERTIFICATE-----"));
//! assert_eq!(server.client_identity().groups(), ["system:masters"]);
//!
//! // Somebody else, to see what RBAC makes of them.
//! let kubelet = server.identity("system:node:n1", &["system:nodes"])?;
//! assert!(server.kubeconfig_of(&kubelet).contains("system:node:n1"));
//!
//! // A service account's token.
//! assert_eq!(server.token("default", "default")?.split('.').count(), 3);
//!
//! server.stop().await; // Dropping it does the same, and does not wait.
//! # Ok(())
//! # }
//! ```
//!
//! Servers do not know of each other: a test starts its own, as many run side by side as there are tests. Each has its own threads, so that
//! a test may block (wait for kubectl, say) on a single-threaded runtime, or have no runtime at all ([`Server::start_blocking`]).
//!
//! [`Server::builder`] changes what is different in one test:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), portcullis::testing::Error> {
//! let server = portcullis::testing::Server::builder()
//!     .object("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")
//!     .object("{apiVersion: v1, kind: Node, metadata: {name: n1}}")
//!     .set("backend.builtin.eventTTL", "2s")
//!     .start()
//!     .await?;
//! # server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Where nobody has named rustls' library of cryptography for the process, starting a server names aws-lc-rs: a client built with ring would
//! otherwise find two and take none.
//!
//! RBAC and the Node authorizer decide, as in kube-apiserver. Portcullis' own ceilings are off, until a test sets its `policy`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::app::{self, App, Extra};
use crate::config::{self, Config};
use crate::listen::tls;
use crate::pki::{self, Credential, PkiError};
use crate::sandbox::{self, Sandbox, Settings, TokenError};
use crate::schema;

/// A server that runs until it is stopped or dropped.
pub struct Server {
    sandbox: Sandbox,
    authority: String,
    admin: Identity,
    app: Arc<App>,
    /// Dropped, it is the sign to end.
    stop: Option<oneshot::Sender<()>>,
    stopped: oneshot::Receiver<()>,
}

/// A server that is about to start.
#[derive(Clone, Debug)]
pub struct Builder {
    settings: Vec<(String, String)>,
    objects: Vec<String>,
}

/// A user's certificate and key.
#[derive(Clone)]
pub struct Identity {
    user: String,
    groups: Vec<String>,
    certificate: String,
    key: String,
}

/// Why a test has no server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting or an object that cannot be read.
    #[error("{0}: {1}")]
    Setting(String, String),
    /// The configuration has mistakes.
    #[error("{}", .0.join("; "))]
    Config(Vec<String>),
    /// The server does not start.
    #[error(transparent)]
    Start(#[from] app::Error),
    /// No certificate is made, or a file cannot be written.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// No token is made.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The server has no thread.
    #[error("the server's threads did not start: {0}")]
    Thread(String),
}

/// What comes from the server's thread.
struct Launched {
    sandbox: Sandbox,
    started: oneshot::Receiver<Result<Arc<App>, Error>>,
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
}

impl Server {
    /// Starts a server and waits until it serves everything that clients count on.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start() -> Result<Self, Error> {
        Self::builder().start().await
    }

    /// The same where there is no runtime. Panics where there is one.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start_blocking() -> Result<Self, Error> {
        Self::builder().start_blocking()
    }

    /// A server that is to be different.
    pub fn builder() -> Builder {
        Builder { settings: Vec::new(), objects: Vec::new() }
    }

    /// `https://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("https://{}", self.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.app.address()
    }

    /// Where health and metrics are served in plain HTTP, where [`Builder::set`] said `health: {address: "127.0.0.1:0"}`.
    pub fn health(&self) -> Option<SocketAddr> {
        self.app.health()
    }

    /// The PEM certificate of the authority that signed the server's.
    pub fn ca_pem(&self) -> &str {
        &self.authority
    }

    /// The administrator: `kubernetes-admin` in `system:masters`.
    pub fn client_identity(&self) -> &Identity {
        &self.admin
    }

    /// A client certificate for any user.
    ///
    /// # Errors
    /// The cryptographic library refuses.
    pub fn identity(&self, user: &str, groups: &[&str]) -> Result<Identity, Error> {
        identity(&self.sandbox, user, groups)
    }

    /// A token of a service account, valid for a day. An account that was made just now is waited for, a second at most.
    ///
    /// # Errors
    /// There is no such account.
    pub fn token(&self, namespace: &str, account: &str) -> Result<String, Error> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.sandbox.token(&self.app, namespace, account) {
                Err(TokenError::Account(..)) if Instant::now() < until => std::thread::sleep(Duration::from_millis(1)),
                made => return Ok(made?),
            }
        }
    }

    /// The administrator's kubeconfig, with everything embedded.
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig_of(&self.admin)
    }

    /// Somebody's kubeconfig.
    pub fn kubeconfig_of(&self, identity: &Identity) -> String {
        let credential = Credential::Certificate { certificate: &identity.certificate, key: &identity.key };
        self.sandbox.kubeconfig(self.address(), &identity.user, credential)
    }

    /// Writes the administrator's kubeconfig to a file that only its owner can read.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_kubeconfig(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        Ok(pki::write_private(path.as_ref(), self.kubeconfig().as_bytes())?)
    }

    /// Ends it and waits until it has ended: open watches end, requests under way have a moment.
    pub async fn stop(mut self) {
        self.stop = None;
        // An error is a thread that is gone: then it has ended too.
        let _ = (&mut self.stopped).await;
    }
}

impl Builder {
    /// Changes a setting of the configuration file (see the README), by its path and in YAML: `policy`, `limits.watchesPerIdentity`,
    /// `backend.builtin.solo`. Paths to files are absolute. `backend.builtin.store` puts the state into a real etcd instead.
    #[must_use]
    pub fn set(mut self, path: &str, yaml: &str) -> Self {
        self.settings.push((path.to_owned(), yaml.to_owned()));
        self
    }

    /// An object that is there before the first request: a manifest in YAML or JSON, whole, as the server would store it.
    #[must_use]
    pub fn object(mut self, manifest: &str) -> Self {
        self.objects.push(manifest.to_owned());
        self
    }

    /// As [`Server::start`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start(self) -> Result<Server, Error> {
        let Launched { sandbox, started, stop, stopped } = self.launch()?;
        let app = started.await.map_err(|_| gone())??;
        Server::of(sandbox, app, (stop, stopped))
    }

    /// As [`Server::start_blocking`].
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start_blocking(self) -> Result<Server, Error> {
        let Launched { sandbox, started, stop, stopped } = self.launch()?;
        let app = started.blocking_recv().map_err(|_| gone())??;
        Server::of(sandbox, app, (stop, stopped))
    }

    fn launch(&self) -> Result<Launched, Error> {
        tls::name_default();
        let sandbox = Sandbox::new()?;
        let (config, extra) = (self.config(&sandbox)?, self.extra()?);
        let (ready, started) = oneshot::channel();
        let (stop, end) = oneshot::channel();
        let (told, stopped) = oneshot::channel();
        let life = move || {
            live((config, extra), ready, end);
            // Nobody may be waiting.
            let _ = told.send(());
        };
        let thread = std::thread::Builder::new().name("portcullis".to_owned()).spawn(life);
        thread.map_err(|why| Error::Thread(why.to_string()))?;
        Ok(Launched { sandbox, started, stop, stopped })
    }

    fn config(&self, sandbox: &Sandbox) -> Result<Config, Error> {
        let settings = Settings {
            keys: "".into(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            health: None,
            drain: DRAIN,
            store: json!({"memory": {}}),
        };
        let mut root = sandbox::configuration(&settings);
        root["policy"] = json!({"components": [{"name": "everybody", "match": {"users": ["*"]}, "unlimited": true}]});
        for (path, text) in &self.settings {
            set(&mut root, path, read(path, text)?)?;
        }
        config::compose(&root.to_string(), &sandbox.files()?)
            .map_err(|mistakes| Error::Config(mistakes.iter().map(ToString::to_string).collect()))
    }

    fn extra(&self) -> Result<Extra, Error> {
        let Extra(mut objects) = sandbox::extra();
        for manifest in &self.objects {
            objects.push(read("an object", manifest)?);
        }
        Ok(Extra(objects))
    }
}

impl Server {
    fn of(sandbox: Sandbox, app: Arc<App>, (stop, stopped): (oneshot::Sender<()>, oneshot::Receiver<()>)) -> Result<Self, Error> {
        let (authority, admin) = (sandbox.authority(), identity(&sandbox, "kubernetes-admin", &["system:masters"])?);
        Ok(Self { sandbox, authority, admin, app, stop: Some(stop), stopped })
    }
}

impl Identity {
    /// The user's name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The user's groups.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// The certificate, PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// The key, PEM. Secret.
    pub fn key_pem(&self) -> &str {
        &self.key
    }

    /// Key and certificate in one text, PEM. Secret.
    pub fn pem(&self) -> String {
        format!("{}{}", self.key, self.certificate)
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.url())
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("user", &self.user).field("groups", &self.groups).finish_non_exhaustive()
    }
}

/// The life of a server, on its own runtime.
fn live((config, extra): (Config, Extra), ready: oneshot::Sender<Result<Arc<App>, Error>>, end: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("portcullis").enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(why) => return drop(ready.send(Err(Error::Thread(why.to_string())))),
    };
    runtime.block_on(async {
        match start(config, extra).await {
            Ok(app) => {
                if ready.send(Ok(app.clone())).is_ok() {
                    // Both a word and a server that was dropped mean the end.
                    let _ = end.await;
                }
                app.finish().await;
            }
            Err(why) => drop(ready.send(Err(why))),
        }
    });
    runtime.shutdown_background();
}

async fn start(config: Config, extra: Extra) -> Result<Arc<App>, Error> {
    let app = App::compose(config, extra).await.map_err(|error| match error {
        app::Error::Config(mistakes) => Error::Config(mistakes.iter().map(ToString::to_string).collect()),
        error => Error::Start(error),
    })?;
    app.ready().await?;
    Ok(Arc::new(app))
}

fn identity(sandbox: &Sandbox, user: &str, groups: &[&str]) -> Result<Identity, Error> {
    let issued = sandbox.client(user, groups)?;
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    Ok(Identity { user: user.to_owned(), groups, certificate: issued.certificate_pem(), key: issued.key_pem() })
}

fn read(what: &str, yaml: &str) -> Result<Value, Error> {
    schema::parse_yaml(yaml.as_bytes()).map_err(|why| Error::Setting(what.to_owned(), why.to_string()))
}

/// Puts a value at a path like `backend.builtin.solo`.
fn set(root: &mut Value, path: &str, value: Value) -> Result<(), Error> {
    let mut place = root;
    for name in path.split('.') {
        if place.is_null() {
            *place = json!({});
        }
        let members =
            place.as_object_mut().ok_or_else(|| Error::Setting(path.to_owned(), "leads through no section".to_owned()))?;
        place = members.entry(name).or_insert(Value::Null);
    }
    *place = value;
    Ok(())
}

fn gone() -> Error {
    Error::Thread("they have ended".to_owned())
}

/// How long requests under way have to end.
const DRAIN: Duration = Duration::from_millis(500);

/// How long a token waits for its account.
const PATIENCE: Duration = Duration::from_secs(1);

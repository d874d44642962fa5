//! `portcullis up`: a Kubernetes API on this machine in a moment, with everything that its components need to come.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde_json::{Value, json};

use crate::app::{self, App, Extra};
use crate::identity::{Grant, Named, TokenSigner};
use crate::pki::{self, Authority, Credential, Issued, Kubeconfig, Order};

/// Certificates and tokens live so long; what is running renews them at two thirds of it.
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// Authorities live so long.
const AUTHORITY_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);
const ISSUER: &str = "https://kubernetes.default.svc";

/// Who gets a kubeconfig with a certificate: file, user, groups.
const CLIENTS: [(&str, &str, &[&str]); 4] = [
    ("admin", "kubernetes-admin", &["system:masters"]),
    ("kubelet", "system:node:node-1", &["system:nodes"]),
    ("kube-controller-manager", "system:kube-controller-manager", &[]),
    ("kube-scheduler", "system:kube-scheduler", &[]),
];

/// Arguments of `portcullis up`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where keys, kubeconfigs and the store are kept [default: $XDG_STATE_HOME/portcullis].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where to listen; a loopback address. Port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:6443")]
    address: SocketAddr,
    /// Where health and metrics are served in plain HTTP.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6480")]
    health: SocketAddr,
    /// Keeps the state in etcd instead of the embedded store; may be repeated.
    #[arg(long, value_name = "URL", requires_all = ["etcd_authority", "etcd_certificate", "etcd_key"])]
    etcd: Vec<String>,
    /// The authority of etcd's certificate.
    #[arg(long, value_name = "FILE", requires = "etcd")]
    etcd_authority: Option<PathBuf>,
    /// Our certificate for etcd.
    #[arg(long, value_name = "FILE", requires = "etcd")]
    etcd_certificate: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE", requires = "etcd")]
    etcd_key: Option<PathBuf>,
}

/// Serves until SIGTERM or SIGINT.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        args.address.ip().is_loopback(),
        "`up` listens on loopback only, not on {}; use `serve` for others",
        args.address
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(up(args))
}

async fn up(args: &Args) -> anyhow::Result<ExitCode> {
    let home = Home::open(args)?;
    home.renew_server()?;
    let app = App::start_with(&home.config, extra()).await?;
    app.ready().await?;
    home.write_kubeconfigs(&app)?;
    home.greet(&app);
    let renewal = async {
        loop {
            tokio::time::sleep(LIFE * 2 / 3).await;
            if let Err(error) = home.renew_server().and_then(|()| home.write_kubeconfigs(&app)) {
                tracing::error!(error = format!("{error:#}"), "the certificates were not renewed");
            }
        }
    };
    tokio::select! {
        () = app::terminated() => {}
        () = renewal => {}
    }
    Ok(if app.finish().await { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The folder of one `up`.
struct Home {
    dir: PathBuf,
    config: PathBuf,
    clients: Authority,
    serving: Authority,
}

impl Home {
    /// Makes what is missing, with rights for the owner alone.
    fn open(args: &Args) -> anyhow::Result<Self> {
        let dir = match &args.dir {
            Some(dir) => std::path::absolute(dir)?,
            None => state_home()?.join("portcullis"),
        };
        let keys = dir.join("pki");
        pki::make_dir(&dir)?;
        pki::make_dir(&keys)?;
        let clients = Authority::open(&keys, "clients-ca", "portcullis clients", AUTHORITY_LIFE)?;
        let serving = Authority::open(&keys, "serving-ca", "portcullis serving", AUTHORITY_LIFE)?;
        Authority::open(&keys, "front-proxy-ca", "portcullis front proxy", AUTHORITY_LIFE)?;
        if !keys.join("sa.key").exists() {
            let (private, public) = pki::signing_key()?;
            pki::write_private(&keys.join("sa.key"), private.as_bytes())?;
            pki::write_public(&keys.join("sa.pub"), public.as_bytes())?;
        }
        let config = dir.join("portcullis.yaml");
        pki::write_private(&config, configuration(args, &dir)?.as_bytes())?;
        Ok(Self { dir, config, clients, serving })
    }

    fn keys(&self) -> PathBuf {
        self.dir.join("pki")
    }

    /// A fresh serving certificate; a running server takes it up by itself.
    fn renew_server(&self) -> anyhow::Result<()> {
        let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "127.0.0.1", "::1", "10.96.0.1"];
        let issued = self.serving.issue(&Order::server("kube-apiserver", &names, LIFE))?;
        // The key first: a reader in between finds a pair that does not match and tries again.
        pki::write_private(&self.keys().join("server.key"), issued.key_pem().as_bytes())?;
        pki::write_public(&self.keys().join("server.crt"), issued.certificate_pem().as_bytes())?;
        Ok(())
    }

    fn write_kubeconfigs(&self, app: &App) -> anyhow::Result<()> {
        for (name, user, groups) in CLIENTS {
            let issued: Issued = self.clients.issue(&Order::client(user, groups, LIFE))?;
            let (certificate, key) = (issued.certificate_pem(), issued.key_pem());
            self.write_kubeconfig(app, name, Credential::Certificate { certificate: &certificate, key: &key })?;
        }
        let token = self.proxy_token(app)?;
        self.write_kubeconfig(app, "kube-proxy", Credential::Token(&token))
    }

    fn write_kubeconfig(&self, app: &App, name: &str, credential: Credential<'_>) -> anyhow::Result<()> {
        let server = format!("https://{}", app.address());
        let authority = self.serving.certificate_pem();
        let kubeconfig = Kubeconfig { server: &server, authority: &authority, cluster: "portcullis", user: name, credential };
        pki::write_private(&self.dir.join(format!("{name}.kubeconfig")), kubeconfig.render().as_bytes())?;
        Ok(())
    }

    /// A token of the live account kube-system/kube-proxy.
    fn proxy_token(&self, app: &App) -> anyhow::Result<String> {
        let uid = app.account_uid("kube-system", "kube-proxy").context("there is no service account kube-system/kube-proxy")?;
        let signer = TokenSigner::parse(&std::fs::read(self.keys().join("sa.key"))?, ISSUER)?;
        let grant = Grant {
            namespace: "kube-system".to_owned(),
            account: Named { name: "kube-proxy".to_owned(), uid },
            audiences: vec![ISSUER.to_owned()],
            issued: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
            lifetime: LIFE.as_secs(),
            ..Grant::default()
        };
        Ok(signer.sign(&grant)?)
    }

    fn greet(&self, app: &App) {
        let dir = self.dir.display();
        println!("portcullis is ready at https://{} (a development set-up: do not use it in production)", app.address());
        println!();
        println!("  export KUBECONFIG={dir}/admin.kubeconfig");
        println!("  kubectl get namespaces");
        println!();
        println!("kubeconfigs of the components: {dir}/{{kubelet,kube-proxy,kube-controller-manager,kube-scheduler}}.kubeconfig");
        if let Some(health) = app.health() {
            println!("health and metrics: http://{health}/readyz http://{health}/metrics");
        }
        println!("Ctrl-C stops it; the state stays in {dir}");
    }
}

fn state_home() -> anyhow::Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let from_home = || set("HOME").map(|home| home.join(".local/state"));
    set("XDG_STATE_HOME").or_else(from_home).context("neither XDG_STATE_HOME nor HOME is set; say --dir")
}

/// The configuration that `serve` would read: JSON is YAML.
fn configuration(args: &Args, dir: &Path) -> anyhow::Result<String> {
    let keys = dir.join("pki");
    let key = |name: &str| keys.join(name).display().to_string();
    let absolute = |path: &Option<PathBuf>| path.as_ref().map(std::path::absolute).transpose();
    let store = if args.etcd.is_empty() {
        json!({"embedded": {"path": dir.join("store")}})
    } else {
        let (authority, certificate) = (absolute(&args.etcd_authority)?, absolute(&args.etcd_certificate)?);
        let own = absolute(&args.etcd_key)?;
        json!({"etcd": {"endpoints": args.etcd, "certificateAuthority": authority, "certificate": certificate, "key": own}})
    };
    let config = json!({
        "apiVersion": "portcullis.dev/v1",
        "kind": "Gateway",
        "listen": {"address": args.address, "certificate": key("server.crt"), "key": key("server.key"), "drain": "2s"},
        "health": {"address": args.health},
        "authentication": {
            "clientAuthorities": [key("clients-ca.crt")],
            "serviceAccounts": {"issuers": [ISSUER], "verificationKeys": [key("sa.pub")], "signingKey": key("sa.key")},
        },
        // Without --use-service-account-credentials the controller manager does its controllers' work in its own name.
        "policy": {"components": [{"name": "kube-controller-manager", "profile": "kube-controller-manager",
            "allow": [{"verbs": ["patch", "update"], "apiGroups": [""], "resources": ["pods/status"]}]}]},
        "backend": {"builtin": {"solo": true, "rootAuthority": key("serving-ca.crt"), "store": store}},
        "log": {"format": "text", "access": false},
    });
    Ok(serde_json::to_string_pretty(&config)?)
}

/// What a development cluster has besides the objects of every server: kube-proxy's account, the right of nodes to see each other, and
/// that of the controller manager to report on pods.
fn extra() -> Extra {
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

//! `portcullis up`: a Kubernetes API on this machine in a moment, with everything that its components need to come.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use crate::app::{self, App};
use crate::pki::{self, Credential};
use crate::sandbox::{self, Sandbox, Settings};

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
    let app = App::start_with(&home.config, sandbox::extra()).await?;
    app.ready().await?;
    home.write_kubeconfigs(&app)?;
    home.greet(&app);
    let renewal = async {
        loop {
            // Certificates and tokens are renewed at two thirds of their life.
            tokio::time::sleep(sandbox::LIFE * 2 / 3).await;
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
    sandbox: Sandbox,
}

impl Home {
    /// Makes what is missing, with rights for the owner alone.
    fn open(args: &Args) -> anyhow::Result<Self> {
        let dir = match &args.dir {
            Some(dir) => std::path::absolute(dir)?,
            None => state_home()?.join("portcullis"),
        };
        pki::make_dir(&dir)?;
        let sandbox = Sandbox::open(&dir.join("pki"))?;
        let config = dir.join("portcullis.yaml");
        pki::write_private(&config, configuration(args, &dir)?.as_bytes())?;
        Ok(Self { dir, config, sandbox })
    }

    /// A fresh serving certificate; a running server takes it up by itself.
    fn renew_server(&self) -> anyhow::Result<()> {
        let issued = self.sandbox.server()?;
        let keys = self.dir.join("pki");
        // The key first: a reader in between finds a pair that does not match and tries again.
        pki::write_private(&keys.join("server.key"), issued.key_pem().as_bytes())?;
        pki::write_public(&keys.join("server.crt"), issued.certificate_pem().as_bytes())?;
        Ok(())
    }

    fn write_kubeconfigs(&self, app: &App) -> anyhow::Result<()> {
        for (name, user, groups) in CLIENTS {
            let issued = self.sandbox.client(user, groups)?;
            let (certificate, key) = (issued.certificate_pem(), issued.key_pem());
            self.write_kubeconfig(app, name, Credential::Certificate { certificate: &certificate, key: &key })?;
        }
        let token = self.sandbox.token(app, "kube-system", "kube-proxy")?;
        self.write_kubeconfig(app, "kube-proxy", Credential::Token(&token))
    }

    fn write_kubeconfig(&self, app: &App, name: &str, credential: Credential<'_>) -> anyhow::Result<()> {
        let kubeconfig = self.sandbox.kubeconfig(app.address(), name, credential);
        pki::write_private(&self.dir.join(format!("{name}.kubeconfig")), kubeconfig.as_bytes())?;
        Ok(())
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

/// The configuration that `serve` would read.
fn configuration(args: &Args, dir: &Path) -> anyhow::Result<String> {
    let absolute = |path: &Option<PathBuf>| path.as_ref().map(std::path::absolute).transpose();
    let store = if args.etcd.is_empty() {
        json!({"embedded": {"path": dir.join("store")}})
    } else {
        let (authority, certificate) = (absolute(&args.etcd_authority)?, absolute(&args.etcd_certificate)?);
        let own = absolute(&args.etcd_key)?;
        json!({"etcd": {"endpoints": args.etcd, "certificateAuthority": authority, "certificate": certificate, "key": own}})
    };
    let health = Some(args.health);
    let settings = Settings { keys: dir.join("pki"), address: args.address, health, drain: DRAIN, store };
    Ok(serde_json::to_string_pretty(&sandbox::configuration(&settings))?)
}

/// How long requests under way have to end.
const DRAIN: Duration = Duration::from_secs(2);

//! `portcullis pki`: authorities, certificates and tokens for development and small set-ups.

mod show;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use crate::identity::{Grant, Named, TokenSigner};
use crate::pki::{self, Authority, Credential, Kubeconfig, Order, Usage};

/// Make and look at certificates and tokens.
#[derive(Debug, Args)]
pub struct Pki {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make three authorities (clients, serving, front proxy) and a key that signs service-account tokens.
    ///
    /// What is there already is kept.
    Init(Init),
    /// Issue a certificate and its key, signed by an authority that `init` made.
    Issue(Issue),
    /// Sign a service-account token with the key that `init` made, and print it.
    ///
    /// The server believes it only while a service account of that name and uid exists.
    Token(Token),
    /// Print what the certificates and keys of a PEM file say.
    Show(Show),
}

#[derive(Debug, Args)]
struct Init {
    /// The directory to make; only its owner may enter it.
    dir: PathBuf,
    /// How long the authorities are valid.
    #[arg(long, default_value_t = 3650)]
    days: u32,
}

#[derive(Debug, Args)]
struct Issue {
    /// The directory that `init` made.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// The name of the files: NAME.crt, NAME.key, and with --server also NAME.kubeconfig.
    #[arg(long)]
    name: String,
    /// The user: the certificate's common name. NAME if it is not given.
    #[arg(long)]
    user: Option<String>,
    /// A group of the user: an organization of the certificate. May be repeated; the order is kept.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// The user's uid.
    #[arg(long)]
    uid: Option<String>,
    /// A server's certificate, from the serving authority.
    #[arg(long, conflicts_with_all = ["groups", "uid", "server", "front_proxy"])]
    serving: bool,
    /// A front proxy's certificate, from the front-proxy authority.
    #[arg(long, conflicts_with = "server")]
    front_proxy: bool,
    /// A DNS name or IP address of the server. May be repeated.
    #[arg(long = "san", value_name = "NAME", requires = "serving")]
    names: Vec<String>,
    /// How long the certificate is valid.
    #[arg(long, default_value_t = 365)]
    days: u32,
    /// Also write a kubeconfig for the server at this URL.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

#[derive(Debug, Args)]
struct Token {
    /// The directory that `init` made.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// The service account's namespace.
    #[arg(long, short, default_value = "default")]
    namespace: String,
    /// The service account.
    #[arg(long)]
    name: String,
    /// The service account's uid (kubectl get sa NAME -o jsonpath={.metadata.uid}).
    #[arg(long)]
    uid: String,
    /// Who signs, as the server is configured.
    #[arg(long, default_value = "https://kubernetes.default.svc")]
    issuer: String,
    /// For whom the token is. May be repeated. The issuer if it is not given.
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// How long the token is valid, in seconds.
    #[arg(long, default_value_t = 3600)]
    seconds: u64,
    /// Bind the token to a pod, as NAME:UID.
    #[arg(long, value_name = "NAME:UID")]
    pod: Option<String>,
    /// Bind the token to a node, or name the pod's node, as NAME:UID.
    #[arg(long, value_name = "NAME:UID")]
    node: Option<String>,
}

#[derive(Debug, Args)]
struct Show {
    /// The PEM file.
    file: PathBuf,
}

impl Pki {
    /// Runs the command.
    ///
    /// # Errors
    /// What went wrong, for a person to read.
    pub fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            Command::Init(init) => init.run(),
            Command::Issue(issue) => issue.run(),
            Command::Token(token) => {
                println!("{}", token.sign()?);
                Ok(())
            }
            Command::Show(show) => {
                let pem = std::fs::read(&show.file).with_context(|| show.file.display().to_string())?;
                print!("{}", show::describe(&pem).with_context(|| show.file.display().to_string())?);
                Ok(())
            }
        }
    }
}

impl Init {
    fn run(&self) -> anyhow::Result<()> {
        pki::make_dir(&self.dir)?;
        for (stem, name) in AUTHORITIES {
            Authority::open(&self.dir, stem, name, days(self.days))?;
            println!("{}", self.dir.join(format!("{stem}.crt")).display());
        }
        let (private, public) = (self.dir.join("sa.key"), self.dir.join("sa.pub"));
        if !private.exists() {
            let (key, half) = pki::signing_key()?;
            pki::write_private(&private, key.as_bytes())?;
            pki::write_public(&public, half.as_bytes())?;
        }
        println!("{}", public.display());
        Ok(())
    }
}

impl Issue {
    fn run(&self) -> anyhow::Result<()> {
        if self.name.is_empty() || self.name.contains('/') || AUTHORITIES.iter().any(|(stem, _)| *stem == self.name) {
            bail!("--name {:?} cannot be the name of a certificate's files", self.name);
        }
        let issued = self.authority()?.issue(&self.order())?;
        let path = |ending: &str| self.dir.join(format!("{}.{ending}", self.name));
        pki::write_private(&path("key"), issued.key_pem().as_bytes())?;
        pki::write_public(&path("crt"), issued.certificate_pem().as_bytes())?;
        println!("{}\n{}", path("crt").display(), path("key").display());
        if let Some(server) = &self.server {
            let (certificate, key) = (issued.certificate_pem(), issued.key_pem());
            let authority = read(&self.dir, "serving-ca.crt")?;
            let kubeconfig = Kubeconfig {
                server,
                authority: &String::from_utf8_lossy(&authority),
                cluster: "portcullis",
                user: &self.name,
                credential: Credential::Certificate { certificate: &certificate, key: &key },
            };
            pki::write_private(&path("kubeconfig"), kubeconfig.render().as_bytes())?;
            println!("{}", path("kubeconfig").display());
        }
        Ok(())
    }

    fn authority(&self) -> anyhow::Result<Authority> {
        let stem = match (self.serving, self.front_proxy) {
            (true, _) => "serving-ca",
            (_, true) => "front-proxy-ca",
            _ => "clients-ca",
        };
        let (certificate, key) = (read(&self.dir, &format!("{stem}.crt"))?, read(&self.dir, &format!("{stem}.key"))?);
        Authority::parse(&certificate, &key).with_context(|| format!("{}", self.dir.join(stem).display()))
    }

    fn order(&self) -> Order {
        let user = self.user.clone().unwrap_or_else(|| self.name.clone());
        if !self.serving {
            let usage = Usage::Client;
            let (groups, uid) = (self.groups.clone(), self.uid.clone());
            return Order { user, groups, uid, usage, names: Vec::new(), lifetime: days(self.days) };
        }
        let mut names = self.names.clone();
        if names.is_empty() {
            names = ["localhost".to_owned(), IpAddr::from([127, 0, 0, 1]).to_string()].into();
        }
        Order { user, groups: Vec::new(), uid: None, usage: Usage::Server, names, lifetime: days(self.days) }
    }
}

impl Token {
    fn sign(&self) -> anyhow::Result<String> {
        let key = read(&self.dir, "sa.key")?;
        let signer = TokenSigner::parse(&key, &self.issuer).with_context(|| self.dir.join("sa.key").display().to_string())?;
        let audiences = if self.audiences.is_empty() { vec![self.issuer.clone()] } else { self.audiences.clone() };
        let grant = Grant {
            namespace: self.namespace.clone(),
            account: Named { name: self.name.clone(), uid: self.uid.clone() },
            audiences,
            issued: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
            lifetime: self.seconds,
            pod: self.pod.as_deref().map(named).transpose()?,
            node: self.node.as_deref().map(named).transpose()?,
            ..Grant::default()
        };
        Ok(signer.sign(&grant)?)
    }
}

fn named(text: &str) -> anyhow::Result<Named> {
    match text.split_once(':') {
        Some((name, uid)) if !name.is_empty() && !uid.is_empty() => Ok(Named { name: name.to_owned(), uid: uid.to_owned() }),
        _ => bail!("{text:?} is not NAME:UID"),
    }
}

fn read(dir: &Path, file: &str) -> anyhow::Result<Vec<u8>> {
    let path = dir.join(file);
    std::fs::read(&path).with_context(|| format!("{} (made by: portcullis pki init {})", path.display(), dir.display()))
}

fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * 60 * 60)
}

/// The files and names of the authorities.
const AUTHORITIES: [(&str, &str); 3] =
    [("clients-ca", "portcullis clients"), ("serving-ca", "portcullis serving"), ("front-proxy-ca", "portcullis front proxy")];

#[cfg(test)]
mod tests;

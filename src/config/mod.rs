//! The configuration: one YAML file, read whole, with all mistakes at once.
//!
//! [`Config`] is what the file says, checked, with the files it names read into memory. Knows what the settings are, not what is done
//! with them: `app.rs` builds the parts.

mod file;
mod material;
mod resolve;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub use file::{Mistake, Mistakes};
pub use material::Material;
pub use resolve::{compose, load};

use crate::identity::{Denylist, Expired, Limit};

/// Everything the file says.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listener of the API.
    pub listen: Listen,
    /// Where health and metrics are served in plain HTTP; nowhere when `None`.
    pub health: Option<SocketAddr>,
    /// How callers are known.
    pub authentication: Authentication,
    /// The components and their ceilings, as the policy room reads them.
    pub policy: crate::policy::file::Policy,
    /// How much may go on at once.
    pub limits: Limits,
    /// The built-in backend.
    pub builtin: Builtin,
    /// How the process speaks.
    pub log: Log,
    /// All files whose change means a reload: the configuration and what it names.
    pub files: Vec<PathBuf>,
}

/// The listener of the API.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// The serving certificate with its chain.
    pub certificate: Material,
    /// Its key.
    pub key: Material,
    /// Connections at most.
    pub connections: usize,
    /// Handshakes in flight at most.
    pub handshakes: usize,
    /// How long requests under way have to end at a shutdown.
    pub drain: Duration,
}

/// How callers are known.
#[derive(Clone, Debug)]
pub struct Authentication {
    /// Authorities that may sign client certificates.
    pub client_authorities: Vec<Authority>,
    /// Who may speak for others.
    pub front_proxy: Option<FrontProxy>,
    /// What they have revoked; nothing when `None`.
    pub crl: Option<Crl>,
    /// Who is let in no more.
    pub denylist: Denylist,
    /// Paths that need no credential; `*` means all.
    pub anonymous: Vec<String>,
    /// Service-account tokens; none are accepted when `None`.
    pub service_accounts: Option<ServiceAccounts>,
}

/// An authority, and whom it may name.
#[derive(Clone, Debug)]
pub struct Authority {
    /// The certificates.
    pub file: Material,
    /// Anybody when `None`.
    pub limit: Option<Limit>,
}

/// Proxies that say for whom they speak, by `X-Remote-*`.
#[derive(Clone, Debug)]
pub struct FrontProxy {
    /// Their authorities.
    pub authorities: Vec<Material>,
    /// The common names of those that count.
    pub names: Vec<String>,
    /// For whom they may speak.
    pub limit: Limit,
}

/// Revocation lists.
#[derive(Clone, Debug)]
pub struct Crl {
    /// The lists.
    pub files: Vec<Material>,
    /// What becomes of those whose list has ended.
    pub expired: Expired,
}

/// Service-account tokens.
#[derive(Clone, Debug)]
pub struct ServiceAccounts {
    /// Accepted issuers; the first one signs.
    pub issuers: Vec<String>,
    /// Audiences of this API; the issuers when the file names none.
    pub audiences: Vec<String>,
    /// Keys that verify.
    pub verification_keys: Vec<Material>,
    /// The key that signs, where tokens are issued.
    pub signing_key: Option<Material>,
}

/// How much may go on at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Reading requests in flight.
    pub read_only: usize,
    /// Writing requests in flight.
    pub mutating: usize,
    /// Watches of one identity.
    pub watches_per_identity: usize,
}

/// The built-in backend.
#[derive(Clone, Debug)]
pub struct Builtin {
    /// Where the state is kept.
    pub store: Storage,
    /// Where cluster IPs come from.
    pub service_range: IpNet,
    /// First and last node port.
    pub node_ports: (u16, u16),
    /// The address under which the API is published in `default/kubernetes`.
    pub advertise: Option<std::net::IpAddr>,
    /// Whether the server does the work of a controller manager that is not there.
    pub solo: bool,
    /// The authorities by which pods know the server: `kube-root-ca.crt`. The serving certificate's own chain where none is named.
    pub root_authority: Option<Material>,
    /// How long events are kept.
    pub event_ttl: Duration,
    /// The past that stays readable before it is compacted.
    pub history: Duration,
}

/// Where the state is kept.
#[derive(Clone, Debug)]
pub enum Storage {
    /// In one file of this host.
    Embedded {
        /// The folder of the file.
        path: PathBuf,
    },
    /// In an etcd cluster.
    Etcd {
        /// `https://host:2379`
        endpoints: Vec<String>,
        /// Authority, certificate and key.
        tls: Option<Box<(Material, Material, Material)>>,
    },
    /// In this process' memory: gone when it ends.
    Memory,
}

/// How the process speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// JSON lines or text.
    pub format: Format,
    /// Whether every request is a line.
    pub access: bool,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

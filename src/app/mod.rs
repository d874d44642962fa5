//! The only place that knows which parts are plugged together: listeners, the cluster, the feeder, reloads.

mod feeder;
mod parts;
mod reload;
mod upkeep;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::cluster::Cluster;
use crate::config::{self, Config, Mistake};
use crate::identity::Holder;
use crate::shutdown::Shutdown;

pub use parts::check;

/// The embedded store's file within its folder.
pub const STORE_FILE: &str = "store.redb";

/// Objects that are made at the start besides those that every server makes.
#[derive(Clone, Debug, Default)]
pub struct Extra(pub Vec<Value>);

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration has mistakes.
    #[error("the configuration has {} mistakes", .0.len())]
    Config(Vec<Mistake>),
    /// An address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The store cannot be opened.
    #[error("cannot open the store: {0}")]
    Store(String),
    /// What must exist before anybody is served could not be made.
    #[error("the server's own objects were not made: {0}")]
    Boot(String),
}

/// A server that runs.
pub struct App {
    address: SocketAddr,
    health: Option<SocketAddr>,
    drain: Duration,
    cluster: Arc<Cluster>,
    shutdown: Shutdown,
    // Ends after everything else: health and metrics tell of the shutdown.
    last: Shutdown,
}

impl App {
    /// Starts what the file at `config` describes. Returns once the listeners are open; see [`App::ready`].
    ///
    /// # Errors
    /// [`Error`]; nothing runs then.
    pub async fn start(config: &Path) -> Result<Self, Error> {
        Self::start_with(config, Extra::default()).await
    }

    /// The same with more objects of the server's own.
    ///
    /// # Errors
    /// As above.
    pub async fn start_with(path: &Path, extra: Extra) -> Result<Self, Error> {
        let config = config::load(path).map_err(Error::Config)?;
        parts::log(config.log);
        Self::assemble(config, Some(path), extra).await
    }

    /// Starts what a configuration describes that is in no file. Nothing is reloaded, and the process' log stays as it is.
    ///
    /// # Errors
    /// As above.
    pub async fn compose(config: Config, extra: Extra) -> Result<Self, Error> {
        Self::assemble(config, None, extra).await
    }

    async fn assemble(config: Config, path: Option<&Path>, extra: Extra) -> Result<Self, Error> {
        let parts = parts::Parts::build(&config).map_err(Error::Config)?;
        let listener = bind(config.listen.address).await?;
        let health = match config.health {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let (shutdown, last) = (Shutdown::new(), Shutdown::new());
        let address = listener.local_addr().map_err(|error| Error::Listen(config.listen.address, error))?;
        let health_address = health.as_ref().and_then(|listener| listener.local_addr().ok());
        let drain = config.listen.drain;
        let source = Source { path: path.map(Path::to_owned), address };
        let cluster = parts.run((config, extra), (listener, health), (source, &shutdown, &last)).await?;
        Ok(Self { address, health: health_address, drain, cluster, shutdown, last })
    }

    /// Where the API is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where health and metrics are served.
    pub fn health(&self) -> Option<SocketAddr> {
        self.health
    }

    /// Waits until everything is there that clients count on.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn ready(&self) -> Result<(), Error> {
        self.cluster.booted().await.map_err(Error::Boot)
    }

    /// The uid of a service account that exists.
    pub fn account_uid(&self, namespace: &str, name: &str) -> Option<String> {
        self.cluster.accounts.peek(|facts| facts.uid(Holder::Account, namespace, name).map(|uid| uid.to_string()))
    }

    /// Ends everything: no new connections, what is under way within the configured time. True when it was enough.
    pub async fn finish(&self) -> bool {
        tracing::info!(deadline = ?self.drain, "stopping");
        let ended = self.shutdown.finish(self.drain + Duration::from_secs(1)).await;
        self.last.finish(Duration::from_secs(1)).await && ended
    }
}

/// Where a running server came from.
struct Source {
    /// Its file, where it has one.
    path: Option<PathBuf>,
    address: SocketAddr,
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|error| Error::Listen(address, error))
}

/// Completes when the process is asked to end.
pub async fn terminated() {
    let stream = |kind| signal(kind).ok();
    let (mut term, mut int) = (stream(SignalKind::terminate()), stream(SignalKind::interrupt()));
    let wait = async |signal: &mut Option<tokio::signal::unix::Signal>| match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    };
    tokio::select! {
        () = wait(&mut term) => {}
        () = wait(&mut int) => {}
    }
}

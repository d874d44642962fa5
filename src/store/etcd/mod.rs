//! The log over etcd.
//!
//! Keys and values are as kube-apiserver lays them. One watch over the whole key space feeds the sink, so that every revision has an
//! event and the view reaches any revision on any etcd version; keys outside the prefix only move the revision.

mod commit;
mod compact;
mod follow;
mod lease;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use etcd_client::{Certificate, Client, ConnectOptions, Error, Identity, KvClient, TlsOptions};
use tonic::Code;

use super::{BoxFuture, Change, Ending, Log, Observer, Operation, Outcome, Revision, Sink, StoreError};
use crate::shutdown::Shutdown;

/// How long one request to etcd may take.
const ATTEMPT: Duration = Duration::from_secs(3);
/// How long a write is tried again before its fate is called unknown.
const PATIENCE: Duration = Duration::from_secs(6);
/// A key that never exists: reading it linearizably tells the newest revision and nothing else.
const PROBE: &str = "portcullis/probe";

/// Where etcd is and how to talk to it.
#[derive(Clone)]
pub struct Settings {
    /// `https://host:2379`, one or more.
    pub endpoints: Vec<String>,
    /// Begins every key of ours, without a slash at its end; `/registry` as kube-apiserver has it.
    pub prefix: String,
    /// Client certificate and authority; `None` for plain connections.
    pub tls: Option<Tls>,
    /// The past that stays readable: what is older than one to two of these is compacted. `None` leaves compaction to others.
    pub compaction: Option<Duration>,
    /// Told about every request.
    pub observer: Option<Observer>,
}

/// PEM texts for mutual TLS with etcd.
#[derive(Clone)]
pub struct Tls {
    /// Authorities that may sign etcd's certificate.
    pub authority: Vec<u8>,
    /// Our certificate chain.
    pub certificate: Vec<u8>,
    /// Its key: PKCS#8, PKCS#1 or SEC1.
    pub key: Vec<u8>,
}

/// An etcd cluster as a [`Log`].
pub struct Etcd {
    client: ArcSwap<Client>,
    settings: Settings,
    leases: lease::Leases,
}

impl Etcd {
    /// Prepares the connections. Does not wait for etcd.
    ///
    /// # Errors
    /// When the settings themselves are wrong: an endpoint that is no URL, a certificate or key that cannot be read.
    pub async fn connect(settings: Settings) -> Result<Self, StoreError> {
        let client = connect(&settings).await?;
        Ok(Self { client: ArcSwap::from_pointee(client), settings, leases: lease::Leases::default() })
    }

    /// Starts to feed `sink`, until `shutdown`: an etcd that cannot be reached is tried again.
    pub fn start(self, sink: Arc<dyn Sink>, shutdown: &Shutdown) -> Arc<Self> {
        let etcd = Arc::new(self);
        shutdown.spawn(follow::run(etcd.clone(), sink, shutdown.clone()));
        if let Some(interval) = etcd.settings.compaction {
            shutdown.spawn(compact::run(etcd.clone(), interval, shutdown.clone()));
        }
        etcd
    }

    /// Swaps the certificates for new ones; requests under way end on the old connections.
    ///
    /// # Errors
    /// When the new ones cannot be used; the old stay.
    pub async fn renew(&self, tls: Tls) -> Result<(), StoreError> {
        let settings = Settings { tls: Some(tls), ..self.settings.clone() };
        self.client.store(Arc::new(connect(&settings).await?));
        Ok(())
    }

    fn kv(&self) -> KvClient {
        self.client.load().kv_client().max_decoding_message_size(usize::MAX)
    }

    /// Runs one request under the deadline and tells the observer.
    async fn ask<T>(&self, operation: Operation, request: impl Future<Output = Result<T, Error>>) -> Result<T, Refusal> {
        let begun = Instant::now();
        let answer = match tokio::time::timeout(ATTEMPT, request).await {
            Ok(answer) => answer.map_err(|error| Refusal::from(&error)),
            Err(_) => Err(Refusal::Doubtful(format!("etcd did not answer within {} s", ATTEMPT.as_secs()))),
        };
        if let Some(observer) = &self.settings.observer {
            observer(operation, begun.elapsed(), if answer.is_ok() { Ending::Answered } else { Ending::Failed });
        }
        answer
    }
}

impl Log for Etcd {
    fn commit(&self, change: Change) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        Box::pin(commit::commit(self, change))
    }

    fn probe(&self) -> BoxFuture<'_, Result<Revision, StoreError>> {
        Box::pin(async {
            let mut kv = self.kv();
            let answer = self.ask(Operation::Probe, kv.get(PROBE, None)).await.map_err(StoreError::from)?;
            Ok(revision(answer.header()))
        })
    }

    fn compact(&self, before: Revision) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut kv = self.kv();
            let revision = i64::try_from(before.0).unwrap_or(i64::MAX);
            match self.ask(Operation::Compact, kv.compact(revision, None)).await {
                // Somebody else has done it already.
                Ok(_) | Err(Refusal::Compacted) => Ok(()),
                Err(refusal) => Err(refusal.into()),
            }
        })
    }
}

/// Why etcd did not do it, by what is known of the request's fate.
enum Refusal {
    /// It was not done.
    Definite(String),
    /// It may have been done.
    Doubtful(String),
    /// The value is over etcd's limit; it was not done.
    TooLarge,
    /// The revision asked for is compacted.
    Compacted,
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        let Error::GRpcStatus(status) = error else { return Self::Doubtful(error.to_string()) };
        let message = status.message();
        match status.code() {
            Code::InvalidArgument if message.contains("request is too large") => Self::TooLarge,
            Code::OutOfRange if message.contains("compacted") => Self::Compacted,
            // The gRPC layer's own limit answers like this before anything is proposed.
            Code::ResourceExhausted if message.contains("larger than max") => Self::TooLarge,
            Code::InvalidArgument
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition
            | Code::OutOfRange => Self::Definite(message.to_owned()),
            // Out of space, or too many requests: etcd refuses before it proposes.
            Code::ResourceExhausted => Self::Definite(message.to_owned()),
            _ => Self::Doubtful(format!("{:?}: {message}", status.code())),
        }
    }
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Definite(text) | Refusal::Doubtful(text) => Self::Unavailable(text),
            Refusal::TooLarge => Self::TooLarge,
            Refusal::Compacted => Self::Unavailable("the revision is compacted".to_owned()),
        }
    }
}

async fn connect(settings: &Settings) -> Result<Client, StoreError> {
    let mut options = ConnectOptions::new()
        .with_connect_timeout(Duration::from_secs(2))
        // etcd refuses pings more often than every five seconds.
        .with_keep_alive(Duration::from_secs(10), Duration::from_secs(5))
        .with_keep_alive_while_idle(true)
        .with_require_leader(true);
    if let Some(tls) = &settings.tls {
        let options_of_tls = TlsOptions::new()
            .ca_certificate(Certificate::from_pem(&tls.authority))
            .identity(Identity::from_pem(&tls.certificate, &tls.key));
        options = options.with_tls(options_of_tls);
    }
    Client::connect(&settings.endpoints, Some(options))
        .await
        .map_err(|error| StoreError::Unavailable(format!("etcd client: {error}")))
}

fn revision(header: Option<&etcd_client::ResponseHeader>) -> Revision {
    Revision(header.map_or(0, |header| u64::try_from(header.revision()).unwrap_or(0)))
}

//! The log over etcd.
//!
//! Keys and values are as kube-apiserver lays them. One watch over the whole key space feeds the sink, so that every revision has an
//! event and the view reaches any revision on any etcd version; keys outside the prefix only move the revision.
//!
//! - `member`: the connections, which member is asked, and when the next one is.
//! - `refusal`: what is known of a request that was not answered.
//! - `commit`, `lease`: writes. `load`, `follow`: what the sink is told. `compact`: giving up the past, together with others.

mod commit;
mod compact;
mod follow;
mod lease;
mod load;
mod member;
mod refusal;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use etcd_client::{Error, ResponseHeader};
use tokio::time::Instant;

use super::{BoxFuture, Change, Ending, Log, Observer, Operation, Outcome, Revision, Sink, StoreError};
use crate::shutdown::Shutdown;
use member::{Member, Members};
use refusal::Refusal;

/// Where etcd is and how to talk to it.
#[derive(Clone)]
pub struct Settings {
    /// `https://host:2379`, one or more members of one cluster.
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
#[derive(Clone, PartialEq, Eq)]
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
    members: ArcSwap<Members>,
    settings: Settings,
    leases: lease::Leases,
}

/// A wait between two attempts, longer every time.
struct Pause(Duration);

impl Etcd {
    /// Prepares the connections. Does not wait for etcd.
    ///
    /// # Errors
    /// When the settings themselves are wrong: an endpoint that is no URL, a certificate or key that cannot be read.
    pub async fn connect(settings: Settings) -> Result<Self, StoreError> {
        let members = Members::connect(&settings.endpoints, settings.tls.clone()).await?;
        Ok(Self { members: ArcSwap::from_pointee(members), settings, leases: lease::Leases::default() })
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

    /// Swaps the certificates for new ones: the watch and all requests to come use new connections, requests under way end on the
    /// old ones. Does nothing when they are the same.
    ///
    /// # Errors
    /// When the new ones cannot be read, or etcd refuses them though it takes the old ones: then the old ones stay.
    pub async fn renew(&self, tls: Tls) -> Result<(), StoreError> {
        let old = self.members.load_full();
        if old.tls() == Some(&tls) {
            return Ok(());
        }
        let new = Members::connect(&self.settings.endpoints, Some(tls)).await?;
        let until = Instant::now() + ATTEMPT;
        if let Err(refusal) = new.ask(until, probe).await
            && old.ask(Instant::now() + ATTEMPT, probe).await.is_ok()
        {
            return Err(refusal.into());
        }
        self.members.store(Arc::new(new));
        old.retire();
        Ok(())
    }

    /// Runs one request under the deadline and tells the observer.
    async fn ask<T, F>(&self, operation: Operation, until: Instant, request: impl Fn(&Member) -> F) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let begun = Instant::now();
        let members = self.members.load_full();
        let answer = members.ask(until, request).await;
        if let Some(observer) = &self.settings.observer {
            observer(operation, begun.elapsed(), if answer.is_ok() { Ending::Answered } else { Ending::Failed });
        }
        answer
    }

    /// The same again and again until it is answered, for requests that may be carried out twice.
    async fn insist<T, F>(&self, operation: Operation, request: impl Fn(&Member) -> F) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let until = Instant::now() + PATIENCE;
        let mut pause = Pause::short();
        loop {
            match self.ask(operation, until, &request).await {
                Err(Refusal::Unsent(_) | Refusal::Doubtful(_)) if pause.ends_before(until) => pause.wait().await,
                answer => return answer,
            }
        }
    }
}

impl Log for Etcd {
    fn commit(&self, change: Change) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        Box::pin(commit::commit(self, change))
    }

    fn probe(&self) -> BoxFuture<'_, Result<Revision, StoreError>> {
        Box::pin(async { Ok(self.insist(Operation::Probe, probe).await?.revision) })
    }

    fn compact(&self, before: Revision) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let request = |member: &Member| {
                let mut kv = member.kv.clone();
                async move { kv.compact(signed(before), None).await }
            };
            match self.insist(Operation::Compact, request).await {
                // Somebody else has done it already.
                Ok(_) | Err(Refusal::Compacted) => Ok(()),
                Err(refusal) => Err(refusal.into()),
            }
        })
    }
}

impl Pause {
    fn short() -> Self {
        Self(Duration::from_millis(25))
    }

    fn ends_before(&self, deadline: Instant) -> bool {
        Instant::now() + self.0 < deadline
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(Duration::from_secs(1));
    }
}

/// Which cluster answers, and its newest revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    cluster: u64,
    revision: Revision,
}

impl From<Option<&ResponseHeader>> for Place {
    fn from(header: Option<&ResponseHeader>) -> Self {
        let Some(header) = header else { return Self { cluster: 0, revision: Revision(0) } };
        Self { cluster: header.cluster_id(), revision: unsigned(header.revision()) }
    }
}

/// Reads nothing, linearizably.
fn probe(member: &Member) -> impl Future<Output = Result<Place, Error>> + use<> {
    let mut kv = member.kv.clone();
    async move { Ok(Place::from(kv.get(PROBE, None).await?.header())) }
}

fn signed(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

fn unsigned(revision: i64) -> Revision {
    Revision(u64::try_from(revision).unwrap_or(0))
}

/// How long one attempt of a request may take.
const ATTEMPT: Duration = Duration::from_secs(3);

/// How long a request is tried again before it has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A key that never exists: reading it linearizably tells the newest revision and nothing else.
const PROBE: &str = "portcullis/probe";

//! An etcd, its certificates, and logs over it that end when they are dropped.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
use portcullis::shutdown::Shutdown;
use portcullis::store::conformance::{Ground, Recorder};
use portcullis::store::etcd::{Etcd, Settings, Tls};
use portcullis::store::{BoxFuture, Change, Expect, Log, Outcome, Revision, Sink, StoreError};

use super::support::etcd::Etcd as Server;
use super::support::pki::Pki;

/// Begins the keys of all tests.
pub const PREFIX: &str = "/registry";

/// One etcd of one member, in a folder of its own.
pub struct Place {
    pub etcd: Server,
    pub pki: Pki,
    pub dir: tempfile::TempDir,
}

/// A log that stops following when it is dropped.
pub struct Open {
    pub etcd: Arc<Etcd>,
    shutdown: Shutdown,
}

impl Place {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With more arguments for etcd.
    pub fn with(more: &[&str]) -> Self {
        let place = Self::prepare(more);
        place.etcd.wait(&place.pki);
        place
    }

    /// Does not wait until etcd answers.
    pub fn prepare(more: &[&str]) -> Self {
        let (dir, pki) = certified();
        Self { etcd: Server::prepare(dir.path(), &pki, more), pki, dir }
    }

    pub fn settings(&self) -> Settings {
        settings(&self.pki, vec![self.etcd.endpoint()])
    }

    pub async fn open(&self, sink: Arc<dyn Sink>) -> Open {
        Open::new(self.settings(), sink).await
    }

    /// Somebody else's client of the same etcd.
    pub async fn other(&self) -> Client {
        client(&self.pki, &self.etcd.endpoint()).await
    }
}

impl Ground for Place {
    fn open(&self, sink: Arc<dyn Sink>) -> BoxFuture<'_, Arc<dyn Log>> {
        Box::pin(async { Arc::new(self.open(sink).await) as Arc<dyn Log> })
    }

    fn prefix(&self) -> String {
        format!("{PREFIX}/conformance/")
    }

    fn too_large(&self) -> usize {
        (3 << 20) / 2
    }
}

impl Open {
    pub async fn new(settings: Settings, sink: Arc<dyn Sink>) -> Self {
        let shutdown = Shutdown::new();
        let etcd = Etcd::connect(settings).await.expect("settings");
        Self { etcd: etcd.start(sink, &shutdown), shutdown }
    }

    pub async fn create(&self, name: &str, value: &str) -> Result<Outcome, StoreError> {
        self.commit(change(name, Expect::Absent, Some(value))).await
    }

    pub async fn update(&self, name: &str, at: Revision, value: &str) -> Result<Outcome, StoreError> {
        self.commit(change(name, Expect::At(at), Some(value))).await
    }

    pub async fn delete(&self, name: &str, at: Revision) -> Result<Outcome, StoreError> {
        self.commit(change(name, Expect::At(at), None)).await
    }

    /// What the recorder holds once it has been told of everything.
    pub async fn settle(&self, seen: &Recorder) -> std::collections::BTreeMap<Bytes, portcullis::store::Entry> {
        seen.reach(self.probe().await.expect("a revision")).await;
        seen.state()
    }
}

impl Log for Open {
    fn commit(&self, change: Change) -> BoxFuture<'_, Result<Outcome, StoreError>> {
        self.etcd.commit(change)
    }

    fn probe(&self) -> BoxFuture<'_, Result<Revision, StoreError>> {
        self.etcd.probe()
    }

    fn compact(&self, before: Revision) -> BoxFuture<'_, Result<(), StoreError>> {
        self.etcd.compact(before)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

/// A folder with an authority and etcd's certificate, which our clients use as well.
pub fn certified() -> (tempfile::TempDir, Pki) {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::new(&dir.path().join("pki"), "ca");
    pki.server("etcd");
    (dir, pki)
}

pub fn tls(pki: &Pki, name: &str) -> Tls {
    let read = |path: &Path| std::fs::read(path).unwrap();
    Tls {
        authority: pki.authority(),
        certificate: read(&pki.path(&format!("{name}.crt"))),
        key: read(&pki.path(&format!("{name}.key"))),
    }
}

pub fn settings(pki: &Pki, endpoints: Vec<String>) -> Settings {
    Settings { endpoints, prefix: PREFIX.to_owned(), tls: Some(tls(pki, "etcd")), compaction: None, observer: None }
}

pub async fn client(pki: &Pki, endpoint: &str) -> Client {
    let tls = tls(pki, "etcd");
    let options = TlsOptions::new()
        .ca_certificate(Certificate::from_pem(tls.authority))
        .identity(Identity::from_pem(tls.certificate, tls.key));
    Client::connect([endpoint], Some(ConnectOptions::new().with_tls(options))).await.expect("a client")
}

pub fn key(name: &str) -> Bytes {
    Bytes::from(format!("{PREFIX}/things/{name}"))
}

pub fn change(name: &str, expect: Expect, value: Option<&str>) -> Change {
    let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
    Change { key: key(name), expect, value, ttl: None, guard: None }
}

/// The revision of what must have been committed.
#[track_caller]
pub fn committed(outcome: Result<Outcome, StoreError>) -> Revision {
    match outcome {
        Ok(Outcome::Committed(revision)) => revision,
        other => panic!("not committed: {other:?}"),
    }
}

/// Waits for `what` to hold, 20 s at most.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

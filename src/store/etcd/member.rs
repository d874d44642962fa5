//! The members of the etcd cluster: the connections to them, and which of them is asked.
//!
//! All requests go to one member. When it cannot be reached or does not answer, the next has its turn, and keeps it for as long as it
//! answers: a balancer that asks at random would go on to fail a share of the requests.

use std::time::Duration;

use etcd_client::{
    Certificate, Channel, Client, ConnectOptions, Error, Identity, KvClient, LeaseClient, TlsOptions, WatchClient,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tonic::transport::Endpoint;

use super::super::StoreError;
use super::refusal::Refusal;
use super::{ATTEMPT, Tls};

/// The members, with one set of certificates.
pub(super) struct Members {
    members: Vec<Member>,
    /// Counts up; the member at its remainder is asked.
    turn: watch::Sender<usize>,
    tls: Option<Tls>,
}

/// One member. The watch and the reading of the state have a connection of their own: their bulk does not delay requests.
pub(super) struct Member {
    pub(super) kv: KvClient,
    pub(super) leases: LeaseClient,
    pub(super) bulk: KvClient,
    pub(super) watch: WatchClient,
}

impl Members {
    /// Prepares the connections. They are made when they are needed first.
    ///
    /// # Errors
    /// When an endpoint is no URL or a text cannot be read.
    pub(super) async fn connect(endpoints: &[String], tls: Option<Tls>) -> Result<Self, StoreError> {
        let options = tls.as_ref().map(options).transpose()?;
        let mut members = Vec::with_capacity(endpoints.len());
        for address in endpoints {
            let wrong = |why: String| StoreError::Unavailable(format!("etcd endpoint {address}: {why}"));
            let endpoint = endpoint(address, options.clone()).map_err(wrong)?;
            members.push(Member::new(&endpoint).await.map_err(|error| wrong(error.to_string()))?);
        }
        if members.is_empty() {
            return Err(StoreError::Unavailable("there is no etcd endpoint".to_owned()));
        }
        Ok(Self { members, turn: watch::Sender::new(0), tls })
    }

    pub(super) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Asks the member whose turn it is, and the others as long as a request has reached none of them.
    pub(super) async fn ask<T, F>(&self, until: Instant, request: impl Fn(&Member) -> F) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut untried = self.members.len();
        loop {
            let turn = self.turn();
            let deadline = until.min(Instant::now() + ATTEMPT);
            let answer = match timeout_at(deadline, request(self.member(turn))).await {
                Ok(answer) => answer.map_err(|error| Refusal::from(&error)),
                Err(_) => Err(Refusal::late()),
            };
            if matches!(answer, Err(Refusal::Unsent(_) | Refusal::Doubtful(_))) {
                self.pass(turn);
            }
            untried -= 1;
            if !matches!(answer, Err(Refusal::Unsent(_))) || untried == 0 || Instant::now() >= until {
                return answer;
            }
        }
    }

    pub(super) fn turn(&self) -> usize {
        *self.turn.borrow()
    }

    pub(super) fn member(&self, turn: usize) -> &Member {
        &self.members[turn % self.members.len()]
    }

    /// The member did not serve: the next has its turn, if nobody has said so before.
    pub(super) fn pass(&self, turn: usize) {
        if self.members.len() > 1 {
            self.turn.send_if_modified(|now| {
                let current = *now == turn;
                *now += usize::from(current);
                current
            });
        }
    }

    /// Others have taken over: whoever follows one of these members should leave it.
    pub(super) fn retire(&self) {
        self.turn.send_modify(|turn| *turn += 1);
    }

    /// Completes when it is no longer this turn.
    pub(super) async fn passed(&self, turn: usize) {
        let mut turns = self.turn.subscribe();
        let _ = turns.wait_for(|now| *now != turn).await;
    }
}

impl Member {
    async fn new(endpoint: &Endpoint) -> Result<Self, Error> {
        let options = ConnectOptions::new().with_require_leader(true);
        let client = Client::from_channel(Channel::Tonic(endpoint.connect_lazy()), Some(options.clone())).await?;
        let bulk = Client::from_channel(Channel::Tonic(endpoint.connect_lazy()), Some(options)).await?;
        Ok(Self {
            kv: client.kv_client().max_decoding_message_size(MESSAGE),
            leases: client.lease_client(),
            bulk: bulk.kv_client().max_decoding_message_size(MESSAGE),
            watch: bulk.watch_client().max_decoding_message_size(MESSAGE),
        })
    }
}

fn endpoint(address: &str, tls: Option<TlsOptions>) -> Result<Endpoint, String> {
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|error| error.to_string())?;
    let endpoint = endpoint
        .user_agent("portcullis")
        .map_err(|error| error.to_string())?
        .connect_timeout(CONNECT)
        // etcd refuses pings more often than every five seconds.
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true);
    match (endpoint.uri().scheme_str(), tls) {
        (Some("http"), None) => Ok(endpoint),
        (Some("https"), Some(tls)) => endpoint.tls_config(tls).map_err(|error| super::refusal::causes(&error)),
        (Some("http"), Some(_)) => Err("there are certificates, but the URL does not begin with https".to_owned()),
        (Some("https"), None) => Err("https needs certificates".to_owned()),
        _ => Err("the URL must begin with http:// or https://".to_owned()),
    }
}

fn options(tls: &Tls) -> Result<TlsOptions, StoreError> {
    if !CertificateDer::pem_slice_iter(&tls.authority).any(|certificate| certificate.is_ok()) {
        return Err(StoreError::Unavailable("no certificate in the text of etcd's authority".to_owned()));
    }
    Ok(TlsOptions::new()
        .ca_certificate(Certificate::from_pem(&tls.authority))
        .identity(Identity::from_pem(&tls.certificate, &tls.key))
        .timeout(CONNECT))
}

/// How long a connection, and then its TLS handshake, may take.
const CONNECT: Duration = Duration::from_secs(2);

/// The largest message taken: a watch that has fallen behind is sent a thousand revisions at once, and etcd must not split them.
const MESSAGE: usize = i32::MAX as usize;

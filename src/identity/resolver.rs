//! From a connection and its headers to a caller: certificate, then token, then nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use quick_cache::sync::Cache;

use super::certificate::{Authorities, CertificateError, Span, Verified, hex, sha256};
use super::claims::Claims;
use super::denylist::Denylist;
use super::facts::Facts;
use super::headers::{self, Bearer, Brought};
use super::keys::PublicKey;
use super::peer::{Peer, ProxyStanding, Standing};
use super::proxy::{FrontProxy, ProxyError};
use super::token::{TokenError, Verifier};
use super::{ANONYMOUS, Caller, Identity, Proof, UNAUTHENTICATED, admit};
use crate::live::Live;
use crate::request::{Attributes, Target};

/// Whom a cluster believes.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Whose certificates.
    pub authorities: Authorities,
    /// Who may speak for others; nobody when `None`.
    pub front_proxy: Option<FrontProxy>,
    /// Who is let in no more.
    pub denylist: Denylist,
    /// Whose signatures under tokens.
    pub keys: Vec<PublicKey>,
    /// Which issuers; the first is the one we write.
    pub issuers: Vec<String>,
    /// For whom tokens must be; when empty, the issuers.
    pub audiences: Vec<String>,
    /// What may be asked without any credential.
    pub anonymous: Anonymous,
}

/// Where a request without a credential is `system:anonymous` and not refused at once. Authorization still decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// Exactly these paths.
    Paths(Vec<String>),
    /// Everywhere.
    Everywhere,
}

/// Why a request has no caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 401, message `Unauthorized`; what it is goes to the log.
    #[error("unauthenticated: {0}")]
    Unauthenticated(#[from] Unauthenticated),
    /// 400 with this message: impersonation that cannot be read.
    #[error("{0}")]
    Impersonation(String),
}

/// Why nobody is believed to be asking.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// There is no credential, and the path wants one.
    #[error("there is no credential")]
    NoCredential,
    /// The certificate is not believed.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The front proxy is not heard.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The token is not believed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The identity that is spoken for, or acted as, stands on the denylist.
    #[error("the identity is denied: {0}")]
    Denied(&'static str),
    /// A header that should carry a token does not.
    #[error("{0}")]
    Header(&'static str),
}

/// A token that was reviewed for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewed {
    /// Whom it shows.
    pub identity: Arc<Identity>,
    /// For which of the asked audiences.
    pub audiences: Vec<String>,
}

/// Finds out who asks. Reads of trust and facts never wait.
pub struct Resolver {
    trust: Live<Installed>,
    generation: AtomicU64,
    facts: Arc<Live<Facts>>,
    tokens: Cache<[u8; 32], Arc<Believed>>,
    nobody: Arc<Identity>,
}

struct Installed {
    generation: u64,
    authorities: Authorities,
    front_proxy: Option<FrontProxy>,
    denylist: Denylist,
    verifier: Verifier,
    audiences: Vec<String>,
    anonymous: Anonymous,
}

/// A token whose signature was verified under a generation of trust. Its time and its life are checked at each use.
#[derive(Debug)]
pub(in crate::identity) struct Believed {
    generation: u64,
    claims: Claims,
    /// The id of the key that verified it.
    key: String,
    identity: Arc<Identity>,
}

impl Resolver {
    /// A resolver that believes `trust` and looks lives up in `facts`.
    pub fn new(trust: Trust, facts: Arc<Live<Facts>>) -> Self {
        let nobody =
            Identity::described(ANONYMOUS.to_owned(), String::new(), vec![UNAUTHENTICATED.to_owned()], Default::default());
        Self {
            trust: Live::new(Installed::new(trust, 0)),
            generation: AtomicU64::new(0),
            facts,
            tokens: Cache::new(TOKENS),
            nobody: Arc::new(nobody),
        }
    }

    /// Believes another trust from now on: every certificate and signature is verified again at its next request.
    pub fn install(&self, trust: Trust) {
        let generation = self.generation.fetch_add(1, Ordering::SeqCst) + 1;
        self.trust.swap(Installed::new(trust, generation));
    }

    /// How often the trust was replaced.
    pub fn generation(&self) -> u64 {
        self.trust.peek(|trust| trust.generation)
    }

    /// Takes the credentials off a request, and every header that claims an identity.
    pub fn take(headers: &mut HeaderMap) -> Brought {
        headers::take(headers)
    }

    /// Who asks.
    ///
    /// # Errors
    /// Nobody is believed to be asking, or the impersonation asked cannot be read.
    pub fn resolve(&self, peer: &Peer, brought: &Brought, attributes: &Attributes) -> Result<Caller, Refusal> {
        self.resolve_at(peer, brought, attributes, now())
    }

    /// Whether the credential of a caller is still good: for what goes on longer than a request.
    pub fn holds(&self, peer: &Peer, caller: &Caller) -> bool {
        self.holds_at(peer, caller, now())
    }

    /// Checks a token for somebody else, as for a TokenReview. No audiences ask for ours.
    ///
    /// # Errors
    /// The token is not good, or for none of the audiences.
    pub fn review(&self, token: &str, audiences: &[String]) -> Result<Reviewed, TokenError> {
        let trust = self.trust.load();
        let asked = if audiences.is_empty() { &trust.audiences } else { audiences };
        let believed = self.believe(&trust, token)?;
        let audiences = self.check(&believed, asked, now())?;
        Ok(Reviewed { identity: Arc::clone(&believed.identity), audiences })
    }

    fn resolve_at(&self, peer: &Peer, brought: &Brought, attributes: &Attributes, now: u64) -> Result<Caller, Refusal> {
        let trust = self.trust.load();
        let mut caller = if let Some(spoken_for) = self.of_proxy(&trust, (peer, brought), now)? {
            Caller::of(spoken_for)
        } else if !peer.chain().is_empty() {
            Caller::of(self.of_certificate(&trust, peer, now).map_err(Unauthenticated::from)?)
        } else {
            match &brought.bearer {
                Bearer::Token(token) => self.of_token(&trust, token, now).map_err(Unauthenticated::from)?,
                Bearer::Bad(fault) => return Err(Unauthenticated::Header(fault).into()),
                Bearer::None if trust.anonymous.includes(attributes) => Caller::of(Arc::clone(&self.nobody)),
                Bearer::None => return Err(Unauthenticated::NoCredential.into()),
            }
        };
        caller.asked = brought.asked.clone().map_err(Refusal::Impersonation)?.map(Arc::new);
        match caller.asked().and_then(|asked| trust.denylist.names(asked.user(), asked.groups())) {
            Some(what) => Err(Unauthenticated::Denied(what).into()),
            None => Ok(caller),
        }
    }

    fn holds_at(&self, peer: &Peer, caller: &Caller, now: u64) -> bool {
        let trust = self.trust.load();
        if caller.asked().is_some_and(|asked| trust.denylist.names(asked.user(), asked.groups()).is_some()) {
            return false;
        }
        match (&caller.real.proof, &caller.token) {
            (Proof::Anonymous | Proof::Internal, _) => true,
            (Proof::Certificate(_), _) => self.of_certificate(&trust, peer, now).is_ok(),
            (Proof::FrontProxy(_), _) => trust.front_proxy.as_ref().is_some_and(|front| {
                Self::proxy(&trust, (front, peer), now).is_ok_and(|proxy| front.speaks_for(&proxy, &caller.real))
                    && trust.denylist.names(&caller.real.user, &caller.real.groups).is_none()
            }),
            (Proof::Token(_), Some(token)) => trust.still_believes(token) && self.check(token, &trust.audiences, now).is_ok(),
            (Proof::Token(_), None) => false,
        }
    }

    fn of_certificate(&self, trust: &Installed, peer: &Peer, now: u64) -> Result<Arc<Identity>, CertificateError> {
        if let Some(standing) = peer.standing(trust.generation, now) {
            return standing.outcome.clone();
        }
        let verified = trust.authorities.verify(peer.chain(), now);
        let verified = verified.and_then(|verified| trust.denylist.certificate(&verified).map(|()| verified));
        // A refusal is remembered for the second, so that a flood of requests is no flood of signatures.
        let refused = (Span { from: now, until: now }, now);
        let (span, again) = verified.as_ref().map_or(refused, |verified| (verified.span, verified.again));
        let outcome = verified.map(|verified| Arc::new(Identity::from(verified)));
        peer.keep(Arc::new(Standing { generation: trust.generation, span, again, outcome: outcome.clone() }));
        outcome
    }

    /// The identity that a front proxy speaks for; `None` when it speaks for nobody, or is none.
    fn of_proxy(
        &self,
        trust: &Installed,
        (peer, brought): (&Peer, &Brought),
        now: u64,
    ) -> Result<Option<Arc<Identity>>, Unauthenticated> {
        let (Some(front), Some(remote)) = (&trust.front_proxy, &brought.remote) else { return Ok(None) };
        // A client that is no front proxy says nothing by these headers; they are removed.
        let Ok(proxy) = Self::proxy(trust, (front, peer), now) else { return Ok(None) };
        let identity = front.identity(&proxy, remote)?;
        match trust.denylist.names(&identity.user, &identity.groups) {
            Some(what) => Err(Unauthenticated::Denied(what)),
            None => Ok(Some(Arc::new(identity))),
        }
    }

    /// The peer's certificate as that of a front proxy.
    fn proxy(trust: &Installed, (front, peer): (&FrontProxy, &Peer), now: u64) -> Result<Arc<Verified>, CertificateError> {
        if peer.chain().is_empty() {
            return Err(CertificateError::Unwanted);
        }
        if let Some(standing) = peer.proxy(trust.generation, now) {
            return standing.outcome.clone();
        }
        let verified = front.authorities.verify(peer.chain(), now);
        let outcome = verified.and_then(|verified| trust.denylist.certificate(&verified).map(|()| Arc::new(verified)));
        let refused = (Span { from: now, until: now }, now);
        let (span, again) = outcome.as_ref().map_or(refused, |verified| (verified.span, verified.again));
        peer.keep_proxy(Arc::new(ProxyStanding { generation: trust.generation, span, again, outcome: outcome.clone() }));
        outcome
    }

    fn of_token(&self, trust: &Installed, token: &str, now: u64) -> Result<Caller, TokenError> {
        let believed = self.believe(trust, token)?;
        self.check(&believed, &trust.audiences, now)?;
        Ok(Caller { token: Some(Arc::clone(&believed)), ..Caller::of(Arc::clone(&believed.identity)) })
    }

    /// Verifies the signature, or remembers that it was verified.
    fn believe(&self, trust: &Installed, token: &str) -> Result<Arc<Believed>, TokenError> {
        let hash = sha256(token.as_bytes());
        if let Some(believed) = self.tokens.get(&hash).filter(|believed| believed.generation == trust.generation) {
            return Ok(believed);
        }
        let (claims, key) = trust.verifier.verify(token)?;
        let identity = Arc::new(claims.identity());
        trust.denylist.token(claims.id(), (identity.user(), identity.groups()))?;
        let believed = Arc::new(Believed { generation: trust.generation, claims, key, identity });
        self.tokens.insert(hash, Arc::clone(&believed));
        Ok(believed)
    }

    /// What no cache may answer: time, audience and life.
    fn check(&self, believed: &Believed, audiences: &[String], now: u64) -> Result<Vec<String>, TokenError> {
        believed.claims.check_time(now)?;
        let common = believed.claims.common_audiences(audiences);
        if common.is_empty() {
            return Err(TokenError::Audience);
        }
        self.facts.peek(|facts| believed.claims.check_life(facts, now))?;
        Ok(common)
    }
}

impl Refusal {
    /// Whether the refusal hangs on the facts: of those that are newer it might not come.
    pub fn hangs_on_facts(&self) -> bool {
        matches!(self, Self::Unauthenticated(Unauthenticated::Token(TokenError::Gone(_))))
    }
}

impl Installed {
    fn new(trust: Trust, generation: u64) -> Self {
        let audiences = if trust.audiences.is_empty() { trust.issuers.clone() } else { trust.audiences };
        let verifier = Verifier::new(&trust.keys, trust.issuers);
        Self {
            generation,
            authorities: trust.authorities,
            front_proxy: trust.front_proxy,
            denylist: trust.denylist,
            verifier,
            audiences,
            anonymous: trust.anonymous,
        }
    }
}

impl Installed {
    /// Whether a token would be believed again: an earlier trust may have believed it.
    fn still_believes(&self, token: &Believed) -> bool {
        let identity = (token.identity.user(), token.identity.groups());
        token.generation == self.generation
            || (self.verifier.believes(&token.claims.issuer, &token.key)
                && self.denylist.token(token.claims.id(), identity).is_ok())
    }
}

impl Anonymous {
    /// The setting as the configuration lists it: exact paths, or `*` for everywhere.
    pub fn of(paths: Vec<String>) -> Self {
        if paths.iter().any(|path| path == "*") { Self::Everywhere } else { Self::Paths(paths) }
    }

    fn includes(&self, attributes: &Attributes) -> bool {
        match (self, &attributes.target) {
            (Self::Everywhere, _) => true,
            (Self::Paths(paths), Target::Path(path)) => paths.contains(path),
            (Self::Paths(_), Target::Resource(_)) => false,
        }
    }
}

impl Default for Anonymous {
    /// Health and version.
    fn default() -> Self {
        Self::Paths(["/healthz", "/livez", "/readyz", "/version"].map(str::to_owned).into())
    }
}

impl From<Verified> for Identity {
    fn from(verified: Verified) -> Self {
        let Verified { subject, fingerprint, .. } = verified;
        let mut groups = subject.groups;
        admit(&mut groups);
        let credential = vec![format!("X509SHA256={}", hex(&fingerprint))];
        let extra = [("authentication.kubernetes.io/credential-id".to_owned(), credential)].into();
        Self { user: subject.user, uid: subject.uid, groups, extra, proof: Proof::Certificate(fingerprint) }
    }
}

/// Seconds since the epoch.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|elapsed| elapsed.as_secs()).unwrap_or_default()
}

/// How many verified tokens are remembered.
const TOKENS: usize = 10_000;

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;

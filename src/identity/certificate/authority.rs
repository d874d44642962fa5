//! Authorities: whose certificates are believed, whom each may name, and the verification of a chain.

use std::sync::Arc;

use bytes::Bytes;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, VerifiedPath};
use x509_parser::certificate::X509Certificate;

use super::revocation::Revocation;
use super::{CertificateError, Verified, certificates, check_key_size, read, serial, sha256, subject};

/// The authorities whose certificates are believed.
#[derive(Clone, Debug, Default)]
pub struct Authorities {
    anchors: Vec<Anchor>,
    revocation: Arc<Revocation>,
}

/// Whom an authority may name. Patterns are whole names, or end in `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// The users; anybody when empty.
    pub users: Vec<String>,
    /// The groups; none when empty.
    pub groups: Vec<String>,
}

#[derive(Clone, Debug)]
struct Anchor {
    trust: TrustAnchor<'static>,
    name: Vec<u8>,
    span: Span,
    limit: Option<Limit>,
}

/// Why a file of authorities is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The file is no PEM, or has no certificate.
    #[error("there is no certificate in it")]
    Empty,
    /// A certificate that cannot be read.
    #[error("certificate {0} cannot be read: {1}")]
    Unreadable(usize, String),
    /// A certificate that may not sign others.
    #[error("certificate {0} is not a certificate authority: {1}")]
    NoAuthority(usize, &'static str),
}

/// Seconds since the epoch; both ends are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::identity) struct Span {
    pub(in crate::identity) from: u64,
    pub(in crate::identity) until: u64,
}

/// `clientAuth`, or `anyExtendedKeyUsage`, or no such extension at all: what Go accepts.
struct ClientUse;

impl Authorities {
    /// Reads the certificates of a PEM file; other sections are skipped.
    ///
    /// # Errors
    /// There is none, or one of them may not sign others. An authority that is not valid now is taken; it is checked at each use.
    pub fn parse(pem: &[u8]) -> Result<Self, AuthorityError> {
        let ders = certificates(pem).ok_or(AuthorityError::Empty)?;
        let anchors = ders.into_iter().enumerate().map(|(index, der)| Anchor::read(index + 1, der));
        let anchors: Vec<_> = anchors.collect::<Result<_, _>>()?;
        if anchors.is_empty() { Err(AuthorityError::Empty) } else { Ok(Self { anchors, ..Self::default() }) }
    }

    /// No authorities: no certificate is believed.
    pub fn none() -> Self {
        Self::default()
    }

    /// The same authorities, each of which may name nobody else.
    #[must_use]
    pub fn limited(mut self, limit: &Limit) -> Self {
        for anchor in &mut self.anchors {
            anchor.limit = Some(limit.clone());
        }
        self
    }

    /// These and others. One that is in both keeps both limits.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.anchors.extend(others.anchors);
        self
    }

    /// The same authorities, but not what they have revoked.
    #[must_use]
    pub fn revoking(mut self, revocation: &Arc<Revocation>) -> Self {
        self.revocation = Arc::clone(revocation);
        self
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// The DER names, for the list of acceptable authorities that a TLS server sends.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.anchors.iter().map(|anchor| anchor.name.as_slice())
    }

    /// Verifies a chain, the client's own certificate first, and reads its subject.
    pub(in crate::identity) fn verify(&self, chain: &[Bytes], now: u64) -> Result<Verified, CertificateError> {
        if self.is_empty() {
            return Err(CertificateError::Unwanted);
        }
        let size: usize = chain.iter().map(Bytes::len).sum();
        if chain.len() > CHAIN_LIMIT || size > CHAIN_BYTES {
            return Err(CertificateError::TooLong);
        }
        let ders: Vec<CertificateDer<'_>> = chain.iter().map(|der| CertificateDer::from(der.as_ref())).collect();
        let (leaf, others) = ders.split_first().ok_or(CertificateError::Malformed)?;
        let end = EndEntityCert::try_from(leaf).map_err(untrusted)?;
        // webpki does not ask whether an anchor is still valid; Go does.
        let anchors: Vec<TrustAnchor<'_>> =
            self.anchors.iter().filter(|anchor| anchor.span.holds(now)).map(|anchor| anchor.trust.clone()).collect();
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
        let lists = self.revocation.lists();
        let path = end
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &anchors,
                others,
                time,
                ClientUse,
                self.revocation.options(&lists),
                None,
            )
            .map_err(untrusted)?;
        let certificate = read(leaf)?;
        check_key_size(&certificate)?;
        let subject = subject(certificate.subject())?;
        for limit in self.same(&path, now).filter_map(|anchor| anchor.limit.as_ref()) {
            limit.permit(&subject.user, &subject.groups).map_err(CertificateError::Beyond)?;
        }
        let (span, serial) = (self.span(&path, now)?, serial(certificate.raw_serial()));
        Ok(Verified { subject, fingerprint: sha256(leaf), serial, span, again: self.revocation.ends_after(now) })
    }

    /// The anchors that are the path's: several files may hold the same authority.
    fn same<'a>(&'a self, path: &'a VerifiedPath<'_>, now: u64) -> impl Iterator<Item = &'a Anchor> {
        let anchor = path.anchor();
        self.anchors.iter().filter(move |known| {
            known.trust.subject == anchor.subject
                && known.trust.subject_public_key_info == anchor.subject_public_key_info
                && known.span.holds(now)
        })
    }

    /// The time in which every certificate of the path is valid.
    fn span(&self, path: &VerifiedPath<'_>, now: u64) -> Result<Span, CertificateError> {
        let longest = self.same(path, now).map(|known| known.span).max_by_key(|span| span.until);
        let mut span = longest.ok_or(CertificateError::Malformed)?.and(Span::of(&read(&path.end_entity().der())?));
        for issuer in path.intermediate_certificates() {
            span = span.and(Span::of(&read(&issuer.der())?));
        }
        Ok(span)
    }
}

impl Anchor {
    fn read(number: usize, der: Vec<u8>) -> Result<Self, AuthorityError> {
        let unreadable = |error: &dyn std::fmt::Display| AuthorityError::Unreadable(number, error.to_string());
        let der = CertificateDer::from(der);
        let trust = webpki::anchor_from_trusted_cert(&der).map_err(|error| unreadable(&error))?.to_owned();
        let certificate = read(&der).map_err(|error| unreadable(&error))?;
        let constraints = certificate.basic_constraints().ok().flatten();
        if !constraints.is_some_and(|constraints| constraints.value.ca) {
            return Err(AuthorityError::NoAuthority(number, "its basic constraints do not say so"));
        }
        let usage = certificate.key_usage().map_err(|error| unreadable(&error))?;
        if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
            return Err(AuthorityError::NoAuthority(number, "its key usage does not allow it to sign certificates"));
        }
        Ok(Self { trust, name: certificate.subject().as_raw().to_vec(), span: Span::of(&certificate), limit: None })
    }
}

impl Limit {
    /// Whether they may be named; whom not.
    pub(in crate::identity) fn permit(&self, user: &str, groups: &[String]) -> Result<(), String> {
        if !self.users.is_empty() && !self.users.iter().any(|pattern| fits(pattern, user)) {
            return Err(format!("user {user:?}"));
        }
        match groups.iter().find(|group| !self.groups.iter().any(|pattern| fits(pattern, group))) {
            Some(group) => Err(format!("group {group:?}")),
            None => Ok(()),
        }
    }
}

impl Span {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let second = |time: i64| u64::try_from(time).unwrap_or_default();
        let validity = certificate.validity();
        Self { from: second(validity.not_before.timestamp()), until: second(validity.not_after.timestamp()) }
    }

    pub(in crate::identity) fn holds(self, now: u64) -> bool {
        self.from <= now && now <= self.until
    }

    fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }
}

impl ExtendedKeyUsageValidator for ClientUse {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut none = true;
        for purpose in purposes {
            none = false;
            let purpose = purpose?;
            if purpose == KeyPurposeId::new(CLIENT_AUTH) || purpose == KeyPurposeId::new(ANY_PURPOSE) {
                return Ok(());
            }
        }
        if none { Ok(()) } else { Err(wrong_purpose()) }
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

fn untrusted(error: webpki::Error) -> CertificateError {
    CertificateError::Untrusted(error.to_string())
}

#[allow(deprecated, reason = "the context of its successor cannot be built outside webpki")]
fn wrong_purpose() -> webpki::Error {
    webpki::Error::RequiredEkuNotFound
}

/// Certificates in a chain, the client's own included.
const CHAIN_LIMIT: usize = 8;
pub(super) const CHAIN_BYTES: usize = 64 * 1024;

/// 1.3.6.1.5.5.7.3.2
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
/// 2.5.29.37.0
const ANY_PURPOSE: &[u8] = &[0x55, 0x1d, 0x25, 0];

//! Revocation lists: certificates that their authorities take back.

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;
use webpki::{
    CertRevocationList, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

/// What authorities have revoked. A list counts for the authority whose signature it bears; one without a list revokes nothing.
#[derive(Debug, Default)]
pub struct Revocation {
    /// The newest first: of several lists of one authority the first one counts.
    lists: Vec<List>,
    expired: Expired,
}

#[derive(Debug)]
struct List {
    list: CertRevocationList<'static>,
    /// Seconds since the epoch.
    issued: i64,
    /// The next update; seconds since the epoch.
    ends: u64,
}

/// What becomes of the certificates of an authority whose list is past its next update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expired {
    /// They are refused until there is a newer list.
    #[default]
    Refuse,
    /// The old list goes on counting.
    Accept,
}

/// Why a file of revocation lists is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    /// The file is no PEM, or has no list.
    #[error("there is no X509 CRL in it")]
    Empty,
    /// A list that cannot be read.
    #[error("revocation list {0} cannot be read: {1}")]
    Unreadable(usize, String),
}

impl Revocation {
    /// No lists yet.
    pub fn new(expired: Expired) -> Self {
        Self { expired, ..Self::default() }
    }

    /// Adds the lists of a PEM file. Their signatures are verified at each use, against the authority of the certificate in question.
    ///
    /// # Errors
    /// There is none, or one of them cannot be read: nothing is added.
    pub fn add(&mut self, pem: &[u8]) -> Result<(), RevocationError> {
        let read = CertificateRevocationListDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let ders = read.ok().filter(|ders| !ders.is_empty()).ok_or(RevocationError::Empty)?;
        for list in ders.iter().enumerate().map(|(index, der)| List::read(index + 1, der)).collect::<Result<Vec<_>, _>>()? {
            self.lists.push(list);
        }
        self.lists.sort_by_key(|list| std::cmp::Reverse(list.issued));
        Ok(())
    }

    /// The lists, as [`Self::options`] takes them.
    pub(super) fn lists(&self) -> Vec<&CertRevocationList<'static>> {
        self.lists.iter().map(|list| &list.list).collect()
    }

    /// How a chain is checked; `None` when there are no lists. Every certificate of a chain is looked up.
    pub(super) fn options<'a>(&self, lists: &'a [&'a CertRevocationList<'static>]) -> Option<RevocationOptions<'a>> {
        let policy = match self.expired {
            Expired::Refuse => ExpirationPolicy::Enforce,
            Expired::Accept => ExpirationPolicy::Ignore,
        };
        let builder = RevocationOptionsBuilder::new(lists).ok()?;
        let builder = builder.with_depth(RevocationCheckDepth::Chain).with_status_policy(UnknownStatusPolicy::Allow);
        Some(builder.with_expiration_policy(policy).build())
    }

    /// Until when a verification holds: the next end of a list, where that matters.
    pub(super) fn ends_after(&self, now: u64) -> u64 {
        match self.expired {
            Expired::Accept => u64::MAX,
            Expired::Refuse => self.lists.iter().map(|list| list.ends).filter(|end| *end >= now).min().unwrap_or(u64::MAX),
        }
    }
}

impl List {
    fn read(number: usize, der: &[u8]) -> Result<Self, RevocationError> {
        let unreadable = |cause: &dyn std::fmt::Display| RevocationError::Unreadable(number, cause.to_string());
        let list = OwnedCertRevocationList::from_der(der).map_err(|cause| unreadable(&cause))?;
        let (_, parsed) = CertificateRevocationList::from_der(der).map_err(|cause| unreadable(&cause))?;
        let ends = parsed.next_update().map_or(u64::MAX, |time| u64::try_from(time.timestamp()).unwrap_or(0));
        Ok(Self { list: CertRevocationList::Owned(list), issued: parsed.last_update().timestamp(), ends })
    }
}

//! A small certificate authority: for `up`, for `pki`, and for tests. P-256 throughout.
//!
//! Writes certificates, never judges them; that is `identity`'s. Subjects may have several organizations, in order.

mod der;
mod file;
mod kubeconfig;
mod x509;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

pub use file::{make_dir, write_private, write_public};
pub use kubeconfig::{Credential, Kubeconfig};

use crate::identity::{certificates, issuer_parts};

/// An authority: its certificate and its key.
pub struct Authority {
    name: Vec<u8>,
    key_id: Option<Vec<u8>>,
    der: Vec<u8>,
    key: EcdsaKeyPair,
}

/// What a certificate is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The common name: the user.
    pub user: String,
    /// The organizations: the groups, in order.
    pub groups: Vec<String>,
    /// The user's uid, in Kubernetes' own attribute.
    pub uid: Option<String>,
    /// What it is for.
    pub usage: Usage,
    /// DNS names and IP addresses.
    pub names: Vec<String>,
    /// How long it is valid.
    pub lifetime: Duration,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Showing who a client is.
    Client,
    /// Showing who a server is.
    Server,
    /// Both, as etcd's members do among themselves.
    Both,
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Issued {
    /// DER.
    pub der: Vec<u8>,
    /// PKCS#8 DER. Secret.
    pub key: Vec<u8>,
}

/// Why nothing is issued.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The cryptographic library refuses.
    #[error("cannot {0}")]
    Crypto(&'static str),
    /// An authority's certificate that cannot be read.
    #[error("the authority's certificate cannot be read")]
    Certificate,
    /// An authority's key that cannot be read.
    #[error("the authority's key cannot be read; a P-256 key is needed")]
    Key,
    /// A key that belongs to another certificate.
    #[error("the authority's key does not belong to its certificate")]
    Mismatch,
    /// A name that is neither DNS name nor address.
    #[error("{0:?} is neither a DNS name nor an IP address")]
    Name(String),
    /// A file that cannot be read or written.
    #[error("{0}: {1}")]
    File(String, #[source] std::io::Error),
}

impl Authority {
    /// A new authority.
    ///
    /// # Errors
    /// The cryptographic library refuses.
    pub fn new(name: &str, lifetime: Duration) -> Result<Self, PkiError> {
        let key = generate()?;
        let spki = spki(&key)?;
        let (name, key_id) = (x509::name(name, &[], None), x509::key_id(&spki));
        let form = x509::Form {
            issuer: &name,
            subject: &name,
            spki: &spki,
            validity: validity(lifetime),
            extensions: x509::authority(&key_id),
        };
        let der = form.sign(&key)?;
        Ok(Self { name, key_id: Some(key_id), der, key })
    }

    /// An authority from its PEM files.
    ///
    /// # Errors
    /// They cannot be read, or do not belong together.
    pub fn parse(certificate: &[u8], key: &[u8]) -> Result<Self, PkiError> {
        let der = certificates(certificate).and_then(|ders| ders.into_iter().next()).ok_or(PkiError::Certificate)?;
        let parts = issuer_parts(&der).map_err(|_| PkiError::Certificate)?;
        let private = PrivateKeyDer::from_pem_slice(key).map_err(|_| PkiError::Key)?;
        let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, private.secret_der())
            .map_err(|_| PkiError::Key)?;
        if spki(&key)? != parts.spki {
            return Err(PkiError::Mismatch);
        }
        Ok(Self { name: parts.subject, key_id: parts.key_id, der, key })
    }

    /// The authority `STEM.crt`, `STEM.key` of a directory; a new one, written there, when neither is there.
    ///
    /// # Errors
    /// The files cannot be read or written.
    pub fn open(dir: &Path, stem: &str, name: &str, lifetime: Duration) -> Result<Self, PkiError> {
        let (certificate, key) = (dir.join(format!("{stem}.crt")), dir.join(format!("{stem}.key")));
        if certificate.exists() || key.exists() {
            return Self::parse(&file::read(&certificate)?, &file::read(&key)?);
        }
        let authority = Self::new(name, lifetime)?;
        write_private(&key, authority.key_pem()?.as_bytes())?;
        write_public(&certificate, authority.certificate_pem().as_bytes())?;
        Ok(authority)
    }

    /// Issues a certificate with a new key.
    ///
    /// # Errors
    /// A name is no name, or the cryptographic library refuses.
    pub fn issue(&self, order: &Order) -> Result<Issued, PkiError> {
        let key = generate()?;
        let der = self.certify(order, &spki(&key)?)?;
        Ok(Issued { der, key: pkcs8(&key)? })
    }

    /// Issues a certificate for a key whose DER `SubjectPublicKeyInfo` is given.
    ///
    /// # Errors
    /// A name is no name, or the cryptographic library refuses.
    pub fn certify(&self, order: &Order, spki: &[u8]) -> Result<Vec<u8>, PkiError> {
        let subject = x509::name(&order.user, &order.groups, order.uid.as_deref());
        let names = x509::alternative_names(&order.names)?;
        let extensions = x509::leaf(order.usage, names, spki, self.key_id.as_deref());
        self.sign(&subject, spki, validity(order.lifetime), extensions)
    }

    fn sign(
        &self,
        subject: &[u8],
        spki: &[u8],
        validity: (i64, i64),
        extensions: Vec<x509::Extension>,
    ) -> Result<Vec<u8>, PkiError> {
        x509::Form { issuer: &self.name, subject, spki, validity, extensions }.sign(&self.key)
    }

    /// Its certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its certificate, PEM.
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// Its key, PEM. Secret.
    ///
    /// # Errors
    /// The cryptographic library refuses.
    pub fn key_pem(&self) -> Result<String, PkiError> {
        Ok(pem("PRIVATE KEY", &pkcs8(&self.key)?))
    }
}

impl Order {
    /// A client's certificate.
    pub fn client(user: impl Into<String>, groups: &[&str], lifetime: Duration) -> Self {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Self { user: user.into(), groups, uid: None, usage: Usage::Client, names: Vec::new(), lifetime }
    }

    /// A server's certificate.
    pub fn server(user: impl Into<String>, names: &[&str], lifetime: Duration) -> Self {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Self { user: user.into(), groups: Vec::new(), uid: None, usage: Usage::Server, names, lifetime }
    }
}

impl Issued {
    /// The certificate, PEM.
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// The key, PEM. Secret.
    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }
}

/// A new key for signing tokens: PKCS#8 PEM, secret, and its public half, PEM.
///
/// # Errors
/// The cryptographic library refuses.
pub fn signing_key() -> Result<(String, String), PkiError> {
    let key = generate()?;
    Ok((pem("PRIVATE KEY", &pkcs8(&key)?), pem("PUBLIC KEY", &spki(&key)?)))
}

/// DER as a PEM section.
pub fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text + &format!("-----END {label}-----\n")
}

fn generate() -> Result<EcdsaKeyPair, PkiError> {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| PkiError::Crypto("generate a key"))
}

fn pkcs8(key: &EcdsaKeyPair) -> Result<Vec<u8>, PkiError> {
    key.to_pkcs8v1().map(|der| der.as_ref().to_vec()).map_err(|_| PkiError::Crypto("write a key"))
}

fn spki(key: &EcdsaKeyPair) -> Result<Vec<u8>, PkiError> {
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| PkiError::Crypto("write a public key"))?;
    Ok(der.as_ref().to_vec())
}

/// From a little before now, for clocks that are late.
fn validity(lifetime: Duration) -> (i64, i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let second = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    (second(now.saturating_sub(SKEW)), second(now.saturating_add(lifetime).min(END_OF_TIME)))
}

const SKEW: Duration = Duration::from_secs(60);

/// 9999-12-31T23:59:59Z, the last time that a certificate can name.
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_799);

#[cfg(test)]
#[path = "pki/tests.rs"]
pub(crate) mod tests;

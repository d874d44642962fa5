//! Certificates: who a verified chain is. The DER that webpki verified is the DER that is read.
//!
//! The only place that knows webpki and x509-parser.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use x509_parser::asn1_rs::{Any, FromDer as _, Integer, OctetString, Sequence};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use super::keys::Algorithm;
use super::text;

mod authority;
mod request;
mod revocation;

pub(super) use authority::Span;
pub use authority::{Authorities, AuthorityError, Limit};
pub use request::{Requested, is_certificate, request_fault, requested};
pub use revocation::{Expired, Revocation, RevocationError};

/// Why a client's certificate is refused. For the log; the client reads `Unauthorized`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// No authorities are configured.
    #[error("client certificates are not accepted here")]
    Unwanted,
    /// More than 8 certificates or 64 KiB.
    #[error("the certificate chain is too long")]
    TooLong,
    /// The DER cannot be read.
    #[error("the certificate cannot be read")]
    Malformed,
    /// The chain does not lead to an authority, or is not valid now, or not for this use.
    #[error("the certificate is not trusted: {0}")]
    Untrusted(String),
    /// The key is too weak or too large.
    #[error("the certificate's RSA key has {0} bits")]
    KeySize(usize),
    /// Its authority may not say so.
    #[error("the certificate's authority may not name the {0}")]
    Beyond(String),
    /// It stands on the denylist.
    #[error("the certificate is denied: {0}")]
    Denied(&'static str),
    /// The subject names nobody, or not one user.
    #[error("the certificate's subject is refused: {0}")]
    Subject(&'static str),
}

/// A verified client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verified {
    pub(super) subject: Subject,
    pub(super) fingerprint: [u8; 32],
    /// Lower-case hexadecimal, without leading zeros.
    pub(super) serial: String,
    pub(super) span: Span,
    /// When it must be verified again, though nothing was replaced: a revocation list ends.
    pub(super) again: u64,
}

/// Whom a subject names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) user: String,
    pub(super) uid: String,
    pub(super) groups: Vec<String>,
}

/// A public key as certificates and `PUBLIC KEY` files carry it.
pub(super) struct RawKey {
    /// What it signs tokens with; of a kind that signs none, its name.
    pub(super) algorithm: Result<Algorithm, String>,
    /// PKCS#1 for RSA, the point for elliptic curves.
    pub(super) key: Vec<u8>,
}

/// A certificate for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The subject, as an RFC 4514-like line.
    pub subject: String,
    /// The issuer, likewise.
    pub issuer: String,
    /// The user and groups Kubernetes sees, or why it sees none.
    pub identity: Result<(String, Vec<String>), CertificateError>,
    /// Lower-case hexadecimal.
    pub serial: String,
    /// Seconds since the epoch.
    pub not_before: i64,
    /// Seconds since the epoch.
    pub not_after: i64,
    /// SHA-256 of the DER.
    pub fingerprint: [u8; 32],
    /// Whether it may sign others.
    pub is_authority: bool,
    /// Key usages and extended key usages.
    pub usages: Vec<String>,
    /// Subject alternative names, like `DNS:localhost`.
    pub names: Vec<String>,
    /// The kind of its key.
    pub key: String,
}

/// What a certificate brings to those that it signs.
pub(crate) struct IssuerParts {
    /// The DER subject.
    pub(crate) subject: Vec<u8>,
    /// The DER `SubjectPublicKeyInfo`.
    pub(crate) spki: Vec<u8>,
    /// The subject key identifier.
    pub(crate) key_id: Option<Vec<u8>>,
}

/// The DER of all certificates in a PEM file; `None` when it is no PEM.
pub(crate) fn certificates(pem: &[u8]) -> Option<Vec<Vec<u8>>> {
    use rustls_pki_types::pem::PemObject as _;

    CertificateDer::pem_slice_iter(pem).map(|der| der.ok().map(|der| der.as_ref().to_vec())).collect()
}

/// Reads what a certificate brings to those that it signs, without verifying anything.
pub(crate) fn issuer_parts(der: &[u8]) -> Result<IssuerParts, CertificateError> {
    let certificate = read(der)?;
    let key_id = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    });
    Ok(IssuerParts { subject: certificate.subject().as_raw().to_vec(), spki: certificate.public_key().raw.to_vec(), key_id })
}

/// Reads a certificate for people, without verifying anything.
///
/// # Errors
/// The DER is no certificate.
pub fn summarise(der: &[u8]) -> Result<Summary, CertificateError> {
    let certificate = read(der)?;
    let identity = subject(certificate.subject()).map(|subject| (subject.user, subject.groups));
    let (usages, names) = extensions(&certificate);
    Ok(Summary {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        identity,
        serial: hex(certificate.raw_serial()),
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
        fingerprint: sha256(der),
        is_authority: certificate.is_ca(),
        usages,
        names,
        key: describe(certificate.public_key()),
    })
}

/// Reads a `SubjectPublicKeyInfo`.
pub(super) fn raw_key(spki: &[u8]) -> Result<RawKey, CertificateError> {
    let (rest, info) = SubjectPublicKeyInfo::from_der(spki).map_err(|_| CertificateError::Malformed)?;
    if !rest.is_empty() || info.subject_public_key.unused_bits != 0 {
        return Err(CertificateError::Malformed);
    }
    let algorithm = match info.parsed() {
        Ok(Parsed::RSA(key)) if !(RSA_BITS.contains(&key.key_size())) => Err(describe(&info)),
        Ok(Parsed::RSA(_)) => Ok(Algorithm::Rs256),
        Ok(Parsed::EC(_)) => match curve(&info).as_deref() {
            Some("1.2.840.10045.3.1.7") => Ok(Algorithm::Es256),
            Some("1.3.132.0.34") => Ok(Algorithm::Es384),
            _ => Err(describe(&info)),
        },
        _ => Err(describe(&info)),
    };
    Ok(RawKey { algorithm, key: info.subject_public_key.data.to_vec() })
}

/// The PKCS#1 key inside an RSA key in PKCS#8.
pub(super) fn pkcs1_of_pkcs8(der: &[u8]) -> Option<Vec<u8>> {
    let (_, sequence) = Sequence::from_der(der).ok()?;
    let (rest, _version) = Integer::from_der(sequence.content.as_ref()).ok()?;
    let (rest, _algorithm) = Sequence::from_der(rest).ok()?;
    let (_, key) = OctetString::from_der(rest).ok()?;
    Some(key.as_ref().to_vec())
}

/// SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// A serial number as the denylist and `openssl` write it, but in lower case: hexadecimal, without leading zeros.
fn serial(bytes: &[u8]) -> String {
    plain(&hex(bytes))
}

/// A hexadecimal number without leading zeros.
pub(super) fn plain(number: &str) -> String {
    let digits = number.trim_start_matches('0');
    if digits.is_empty() { "0".to_owned() } else { digits.to_owned() }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn read(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(CertificateError::Malformed),
    }
}

/// The TLS stack checks the signature of the handshake, not how weak the key is that made it.
fn check_key_size(certificate: &X509Certificate<'_>) -> Result<(), CertificateError> {
    match certificate.public_key().parsed() {
        Ok(Parsed::RSA(key)) if !RSA_BITS.contains(&key.key_size()) => Err(CertificateError::KeySize(key.key_size())),
        Ok(_) => Ok(()),
        Err(_) => Err(CertificateError::Malformed),
    }
}

/// Reads a subject as Go and kube-apiserver do, but refuses what they silently choose from: two common names.
fn subject(name: &X509Name<'_>) -> Result<Subject, CertificateError> {
    let mut subject = Subject::default();
    let (mut users, mut uids) = (0, 0);
    for attribute in name.iter_attributes() {
        let value = value(attribute.attr_value()).ok_or(CertificateError::Subject("an attribute cannot be decoded"))?;
        match attribute.attr_type().to_id_string().as_str() {
            COMMON_NAME => {
                users += 1;
                subject.user = value;
            }
            ORGANIZATION => subject.groups.push(value),
            UID if value.is_empty() => return Err(CertificateError::Subject("the uid is empty")),
            UID => {
                uids += 1;
                subject.uid = value;
            }
            _ => {}
        }
    }
    match (users, uids) {
        (0, _) => Err(CertificateError::Subject("there is no common name")),
        (2.., _) => Err(CertificateError::Subject("there are several common names")),
        (_, 2..) => Err(CertificateError::Subject("there are several uids")),
        _ if subject.user.is_empty() => Err(CertificateError::Subject("the common name is empty")),
        _ => Ok(subject),
    }
}

fn value(value: &Any<'_>) -> Option<String> {
    let plain = value.class() == x509_parser::asn1_rs::Class::Universal && !value.header.is_constructed();
    plain.then(|| text::decode(value.tag().0, value.data))?
}

fn curve(info: &SubjectPublicKeyInfo<'_>) -> Option<String> {
    let parameters = info.algorithm.parameters.as_ref()?;
    Some(parameters.as_oid().ok()?.to_id_string())
}

fn describe(info: &SubjectPublicKeyInfo<'_>) -> String {
    match info.parsed() {
        Ok(Parsed::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(Parsed::EC(_)) => match curve(info).as_deref() {
            Some("1.2.840.10045.3.1.7") => "EC P-256".to_owned(),
            Some("1.3.132.0.34") => "EC P-384".to_owned(),
            Some("1.3.132.0.35") => "EC P-521".to_owned(),
            Some(other) => format!("EC {other}"),
            None => "EC".to_owned(),
        },
        _ => match info.algorithm.algorithm.to_id_string().as_str() {
            "1.3.101.112" => "Ed25519".to_owned(),
            other => other.to_owned(),
        },
    }
}

fn extensions(certificate: &X509Certificate<'_>) -> (Vec<String>, Vec<String>) {
    let (mut usages, mut names) = (Vec::new(), Vec::new());
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::KeyUsage(usage) => usages.extend(usage.to_string().split(", ").map(str::to_owned)),
            ParsedExtension::ExtendedKeyUsage(usage) => {
                let known = [(usage.any, "any"), (usage.client_auth, "clientAuth"), (usage.server_auth, "serverAuth")];
                usages.extend(known.iter().filter(|(given, _)| *given).map(|(_, name)| (*name).to_owned()));
                usages.extend(usage.other.iter().map(ToString::to_string));
            }
            ParsedExtension::SubjectAlternativeName(alternatives) => {
                names.extend(alternatives.general_names.iter().map(general_name));
            }
            _ => {}
        }
    }
    (usages, names)
}

fn general_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => format!("DNS:{name}"),
        GeneralName::URI(name) => format!("URI:{name}"),
        GeneralName::RFC822Name(name) => format!("email:{name}"),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(v4), _) => format!("IP:{}", std::net::Ipv4Addr::from(v4)),
            (_, Ok(v6)) => format!("IP:{}", std::net::Ipv6Addr::from(v6)),
            _ => "IP:?".to_owned(),
        },
        other => other.to_string(),
    }
}

/// What is neither too weak nor a way to burn our time.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

const COMMON_NAME: &str = "2.5.4.3";
const ORGANIZATION: &str = "2.5.4.10";
/// Kubernetes' own attribute for the user's uid.
const UID: &str = "1.3.6.1.4.1.57683.2";

#[cfg(test)]
mod tests;

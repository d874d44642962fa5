//! X.509 certificates, written. A subject may have several organizations, which certificate libraries with maps for names cannot say.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::signature::EcdsaKeyPair;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::der::{BOOLEAN, GENERALIZED_TIME, OCTET_STRING, OID, SEQUENCE, SET, UTC_TIME, UTF8, bits, element, group, integer};
use super::{PkiError, Usage};

/// A certificate before it is signed.
pub(super) struct Form<'a> {
    /// A DER name.
    pub(super) issuer: &'a [u8],
    /// A DER name.
    pub(super) subject: &'a [u8],
    /// A DER `SubjectPublicKeyInfo`.
    pub(super) spki: &'a [u8],
    /// Seconds since the epoch; both ends are valid.
    pub(super) validity: (i64, i64),
    pub(super) extensions: Vec<Extension>,
}

/// One extension.
pub(super) struct Extension {
    pub(super) oid: &'static [u8],
    pub(super) weight: Weight,
    pub(super) value: Vec<u8>,
}

/// Whether who does not know an extension must refuse the certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Critical,
    Plain,
}

impl Form<'_> {
    /// The signed certificate, DER.
    pub(super) fn sign(&self, key: &EcdsaKeyPair) -> Result<Vec<u8>, PkiError> {
        let random = SystemRandom::new();
        let mut serial = [0; 16];
        random.fill(&mut serial).map_err(|_| PkiError::Crypto("draw a serial number"))?;
        serial[0] = serial[0] & 0x7f | 0x40;
        let algorithm = element(SEQUENCE, &element(OID, ECDSA_WITH_SHA256));
        let validity = group(SEQUENCE, &[&time(self.validity.0)?, &time(self.validity.1)?]);
        let extensions: Vec<u8> = self.extensions.iter().flat_map(Extension::der).collect();
        let version = element(0xa0, &integer(&[2]));
        let extensions = element(0xa3, &element(SEQUENCE, &extensions));
        let serial = integer(&serial);
        let body =
            group(SEQUENCE, &[&version, &serial, &algorithm, self.issuer, &validity, self.subject, self.spki, &extensions]);
        let signature = key.sign(&random, &body).map_err(|_| PkiError::Crypto("sign a certificate"))?;
        Ok(group(SEQUENCE, &[&body, &algorithm, &bits(0, signature.as_ref())]))
    }
}

impl Extension {
    fn der(&self) -> Vec<u8> {
        let critical = if self.weight == Weight::Critical { element(BOOLEAN, &[0xff]) } else { Vec::new() };
        group(SEQUENCE, &[&element(OID, self.oid), &critical, &element(OCTET_STRING, &self.value)])
    }
}

/// A name: organizations in order, then the common name, then the uid.
pub(super) fn name(common: &str, organizations: &[String], uid: Option<&str>) -> Vec<u8> {
    let organizations = organizations.iter().map(|organization| (ORGANIZATION, organization.as_str()));
    let attributes = organizations.chain([(COMMON_NAME, common)]).chain(uid.map(|uid| (UID, uid)));
    let parts: Vec<u8> = attributes.flat_map(|(oid, value)| attribute(oid, UTF8, value.as_bytes())).collect();
    element(SEQUENCE, &parts)
}

/// One relative name of one attribute.
pub(super) fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    element(SET, &group(SEQUENCE, &[&element(OID, oid), &element(tag, value)]))
}

/// An authority's extensions.
pub(super) fn authority(key_id: &[u8]) -> Vec<Extension> {
    let constraints = element(SEQUENCE, &element(BOOLEAN, &[0xff]));
    vec![
        Extension { oid: BASIC_CONSTRAINTS, weight: Weight::Critical, value: constraints },
        // keyCertSign and cRLSign
        Extension { oid: KEY_USAGE, weight: Weight::Critical, value: bits(1, &[0x06]) },
        Extension { oid: SUBJECT_KEY_ID, weight: Weight::Plain, value: element(OCTET_STRING, key_id) },
    ]
}

/// The extensions of a certificate that signs no others.
pub(super) fn leaf(usage: Usage, names: Option<Vec<u8>>, spki: &[u8], issuer: Option<&[u8]>) -> Vec<Extension> {
    let purposes: &[&[u8]] = match usage {
        Usage::Client => &[CLIENT_AUTH],
        Usage::Server => &[SERVER_AUTH],
        Usage::Both => &[SERVER_AUTH, CLIENT_AUTH],
    };
    let purposes: Vec<u8> = purposes.iter().flat_map(|oid| element(OID, oid)).collect();
    let plain = |oid, value| Extension { oid, weight: Weight::Plain, value };
    let mut extensions = vec![
        Extension { oid: BASIC_CONSTRAINTS, weight: Weight::Critical, value: element(SEQUENCE, &[]) },
        // digitalSignature
        Extension { oid: KEY_USAGE, weight: Weight::Critical, value: bits(7, &[0x80]) },
        plain(EXTENDED_KEY_USAGE, element(SEQUENCE, &purposes)),
        plain(SUBJECT_KEY_ID, element(OCTET_STRING, &key_id(spki))),
    ];
    extensions.extend(issuer.map(|id| plain(AUTHORITY_KEY_ID, element(SEQUENCE, &element(0x80, id)))));
    extensions.extend(names.map(|names| plain(ALTERNATIVE_NAMES, names)));
    extensions
}

/// The value of the alternative names; `None` when there are none.
pub(super) fn alternative_names(names: &[String]) -> Result<Option<Vec<u8>>, PkiError> {
    let mut parts = Vec::new();
    for name in names {
        parts.extend(match name.parse() {
            Ok(IpAddr::V4(address)) => element(0x87, &address.octets()),
            Ok(IpAddr::V6(address)) => element(0x87, &address.octets()),
            Err(_) if is_dns_name(name) => element(0x82, name.as_bytes()),
            Err(_) => return Err(PkiError::Name(name.clone())),
        });
    }
    Ok((!names.is_empty()).then(|| element(SEQUENCE, &parts)))
}

/// A key's identifier: the first 20 bytes of the hash of its public key info.
pub(super) fn key_id(spki: &[u8]) -> Vec<u8> {
    digest(&SHA256, spki).as_ref()[..20].to_vec()
}

fn is_dns_name(name: &str) -> bool {
    let labels = name.strip_prefix("*.").unwrap_or(name);
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    name.len() <= 253 && labels.split('.').all(label)
}

/// Up to 2049 in the short form, as RFC 5280 wants it.
fn time(seconds: i64) -> Result<Vec<u8>, PkiError> {
    let time = Timestamp::from_second(seconds).map_err(|_| PkiError::Crypto("write a time"))?.to_zoned(TimeZone::UTC);
    Ok(match time.year() {
        1950..=2049 => element(UTC_TIME, time.strftime("%y%m%d%H%M%SZ").to_string().as_bytes()),
        _ => element(GENERALIZED_TIME, time.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes()),
    })
}

/// 2.5.4.3
pub(super) const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// 2.5.4.10
pub(super) const ORGANIZATION: &[u8] = &[0x55, 4, 10];
/// 1.3.6.1.4.1.57683.2
pub(super) const UID: &[u8] = &[0x2b, 6, 1, 4, 1, 0x83, 0xc2, 0x53, 2];
/// 1.2.840.10045.4.3.2
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// 2.5.29.19, .15, .37, .14, .35, .17
pub(super) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
pub(super) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
pub(super) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 14];
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 17];
/// 1.3.6.1.5.5.7.3.1 and .2
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

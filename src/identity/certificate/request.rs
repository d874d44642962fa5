//! What certificate signing requests ask for, and whether their signatures are those of the keys in them.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1,
    ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_2048_8192_SHA384, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certification_request::X509CertificationRequest;

use super::{COMMON_NAME, ORGANIZATION, curve, read, value};

/// What a certificate is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requested {
    /// The common name; empty where there is none. Of several, the last, as Go reads them.
    pub common_name: String,
    /// The organizations, which become groups.
    pub organizations: Vec<String>,
}

/// Reads the subject of a PEM `CERTIFICATE REQUEST`, without verifying anything; `None` when it cannot be read.
pub fn requested(pem: &[u8]) -> Option<Requested> {
    let der = CertificateSigningRequestDer::from_pem_slice(pem).ok()?;
    let (rest, request) = X509CertificationRequest::from_der(der.as_ref()).ok()?;
    let mut requested = Requested::default();
    for attribute in request.certification_request_info.subject.iter_attributes() {
        match attribute.attr_type().to_id_string().as_str() {
            COMMON_NAME => requested.common_name = value(attribute.attr_value())?,
            ORGANIZATION => requested.organizations.push(value(attribute.attr_value())?),
            _ => {}
        }
    }
    rest.is_empty().then_some(requested)
}

/// Why the DER of a request is refused, in Go's words: it cannot be read, or its signature is not that of its key.
pub fn request_fault(der: &[u8]) -> Option<&'static str> {
    if let Some(fault) = outer_fault(der) {
        return Some(fault);
    }
    let Ok((_, request)) = X509CertificationRequest::from_der(der) else {
        return Some("asn1: structure error: sequence tag mismatch");
    };
    let key = &request.certification_request_info.subject_pki;
    let curve = curve(key).unwrap_or_default();
    let (algorithm, failure): (&dyn VerificationAlgorithm, _) =
        match (request.signature_algorithm.algorithm.to_id_string().as_str(), curve.as_str()) {
            ("1.2.840.10045.4.3.2", P256) => (&ECDSA_P256_SHA256_ASN1, ECDSA),
            ("1.2.840.10045.4.3.3", P256) => (&ECDSA_P256_SHA384_ASN1, ECDSA),
            ("1.2.840.10045.4.3.2", P384) => (&ECDSA_P384_SHA256_ASN1, ECDSA),
            ("1.2.840.10045.4.3.3", P384) => (&ECDSA_P384_SHA384_ASN1, ECDSA),
            ("1.2.840.10045.4.3.4", P521) => (&ECDSA_P521_SHA512_ASN1, ECDSA),
            ("1.2.840.113549.1.1.11", _) => (&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA),
            ("1.2.840.113549.1.1.12", _) => (&RSA_PKCS1_2048_8192_SHA384, RSA),
            ("1.2.840.113549.1.1.13", _) => (&RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, RSA),
            ("1.2.840.113549.1.1.10", _) => (&RSA_PSS_2048_8192_SHA256, RSA),
            ("1.3.101.112", _) => (&ED25519, "x509: Ed25519 verification failure"),
            ("1.2.840.113549.1.1.5", _) => return Some("x509: cannot verify signature: insecure algorithm SHA1-RSA"),
            ("1.2.840.10045.4.1", _) => return Some("x509: cannot verify signature: insecure algorithm ECDSA-SHA1"),
            _ => return Some("x509: cannot verify signature: algorithm unimplemented"),
        };
    let key = UnparsedPublicKey::new(algorithm, &key.subject_public_key.data);
    let verified = key.verify(request.certification_request_info.raw, &request.signature_value.data);
    verified.is_err().then_some(failure)
}

/// Whether the DER is that of a certificate.
pub fn is_certificate(der: &[u8]) -> bool {
    read(der).is_ok()
}

/// What is wrong with the outermost sequence.
fn outer_fault(der: &[u8]) -> Option<&'static str> {
    let (head, length) = match der {
        [] => return Some("asn1: syntax error: sequence truncated"),
        [0x30, length, ..] if *length < 0x80 => (2, usize::from(*length)),
        [0x30, 0x81, length, ..] => (3, usize::from(*length)),
        [0x30, 0x82, high, low, ..] => (4, usize::from(*high) << 8 | usize::from(*low)),
        [0x30, 0x83, high, middle, low, ..] => (5, usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low)),
        [0x30, ..] => return Some("asn1: syntax error: truncated base 128 integer"),
        _ => return Some("asn1: structure error: tags don't match"),
    };
    match der.len().cmp(&(head + length)) {
        std::cmp::Ordering::Less => Some("asn1: syntax error: data truncated"),
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some("asn1: syntax error: trailing data"),
    }
}

const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const P521: &str = "1.3.132.0.35";
const ECDSA: &str = "x509: ECDSA verification failure";
const RSA: &str = "crypto/rsa: verification error";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_forms() {
        for (der, expected) in [
            (&[0x30, 1, 0][..], Some("asn1: structure error: sequence tag mismatch")),
            (&[0x30, 9, 0], Some("asn1: syntax error: data truncated")),
            (&[0x30, 1, 0, 0], Some("asn1: syntax error: trailing data")),
            (&[], Some("asn1: syntax error: sequence truncated")),
            (&[0x31, 0], Some("asn1: structure error: tags don't match")),
        ] {
            assert_eq!(request_fault(der), expected, "{der:?}");
        }
    }
}

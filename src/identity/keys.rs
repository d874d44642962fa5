//! The keys that sign tokens: reading them from PEM, naming them as Kubernetes does.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use serde_json::{Value, json};

use super::certificate;

/// The signature algorithms of service-account tokens. Each belongs to one kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
}

impl Algorithm {
    /// `RS256`
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
        }
    }
}

/// A key that verifies tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    id: String,
    algorithm: Algorithm,
    key: Vec<u8>,
    spki: Vec<u8>,
}

/// A key that signs tokens.
#[derive(Clone)]
pub struct PrivateKey {
    public: PublicKey,
    /// PKCS#1 for RSA, PKCS#8 for elliptic curves.
    der: Vec<u8>,
}

/// Why a key file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The file is no PEM.
    #[error("it is not PEM")]
    NotPem,
    /// There is no key in it.
    #[error("there is no key in it")]
    Empty,
    /// A key that cannot be read.
    #[error("key {0} cannot be read")]
    Unreadable(usize),
    /// A key of a kind that signs no tokens here.
    #[error("key {0} is {1}; tokens are signed by RSA of 2048 to 8192 bits, EC P-256 or EC P-384")]
    Unsupported(usize, String),
}

impl PublicKey {
    /// Reads every key of a PEM file: `PUBLIC KEY`, `CERTIFICATE`, and private keys, whose public halves are taken.
    ///
    /// # Errors
    /// There is no key, or one that cannot be used.
    pub fn parse(pem: &[u8]) -> Result<Vec<Self>, KeyError> {
        let mut keys = Vec::new();
        for section in sections(pem)? {
            let number = keys.len() + 1;
            let key = match section {
                (SectionKind::PublicKey, der) => Self::of(&der, number)?,
                (SectionKind::Certificate, der) => {
                    let parts = certificate::issuer_parts(&der).map_err(|_| KeyError::Unreadable(number))?;
                    Self::of(&parts.spki, number)?
                }
                (kind, der) => match PrivateKey::of(kind, der, number)? {
                    Some(key) => key.public,
                    None => continue,
                },
            };
            keys.push(key);
        }
        if keys.is_empty() { Err(KeyError::Empty) } else { Ok(keys) }
    }

    /// The `kid`: the unpadded base64url of the SHA-256 of the DER `SubjectPublicKeyInfo`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The algorithm that it verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The DER `SubjectPublicKeyInfo`.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The key as RFC 7517 writes it.
    pub fn jwk(&self) -> Value {
        let (kty, first, second) = match self.algorithm {
            Algorithm::Rs256 => {
                let (modulus, exponent) = rsa_parts(&self.key).unwrap_or_default();
                ("RSA", ("n", modulus), ("e", exponent))
            }
            Algorithm::Es256 | Algorithm::Es384 => {
                let point = self.key.get(1..).unwrap_or_default();
                let (x, y) = point.split_at(point.len() / 2);
                ("EC", ("x", x), ("y", y))
            }
        };
        let mut jwk = json!({"use": "sig", "kty": kty, "kid": self.id, "alg": self.algorithm.name()});
        match self.algorithm {
            Algorithm::Rs256 => {}
            Algorithm::Es256 => jwk["crv"] = Value::from("P-256"),
            Algorithm::Es384 => jwk["crv"] = Value::from("P-384"),
        }
        for (name, bytes) in [first, second] {
            jwk[name] = Value::from(URL_SAFE_NO_PAD.encode(bytes));
        }
        jwk
    }

    /// PKCS#1 for RSA, the uncompressed point for elliptic curves.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    fn of(spki: &[u8], number: usize) -> Result<Self, KeyError> {
        let raw = certificate::raw_key(spki).map_err(|_| KeyError::Unreadable(number))?;
        let algorithm = raw.algorithm.map_err(|kind| KeyError::Unsupported(number, kind))?;
        let verifier: &'static dyn VerificationAlgorithm = match algorithm {
            Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
            Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
        };
        // Points off the curve and odd exponents are found here; and what comes out is the canonical form, which names the key.
        let parsed = ParsedPublicKey::new(verifier, &raw.key).map_err(|_| KeyError::Unreadable(number))?;
        let spki: PublicKeyX509Der<'_> = parsed.as_der().map_err(|_| KeyError::Unreadable(number))?;
        let spki = spki.as_ref().to_vec();
        let id = URL_SAFE_NO_PAD.encode(certificate::sha256(&spki));
        Ok(Self { id, algorithm, key: raw.key, spki })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?} {})", self.algorithm, self.id)
    }
}

impl PrivateKey {
    /// Reads the first private key of a PEM file: PKCS#8, PKCS#1 or SEC1.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub fn parse(pem: &[u8]) -> Result<Self, KeyError> {
        for (kind, der) in sections(pem)? {
            if let Some(key) = Self::of(kind, der, 1)? {
                return Ok(key);
            }
        }
        Err(KeyError::Empty)
    }

    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// `None` for sections that are no private keys.
    fn of(kind: SectionKind, der: Vec<u8>, number: usize) -> Result<Option<Self>, KeyError> {
        match kind {
            SectionKind::RsaPrivateKey => Self::of_rsa(der, number).map(Some),
            SectionKind::EcPrivateKey => Self::of_curve(&der, number).map(Some),
            SectionKind::PrivateKey => match certificate::pkcs1_of_pkcs8(&der) {
                Some(inner) if RsaKeyPair::from_pkcs8(&der).is_ok() => Self::of_rsa(inner, number).map(Some),
                _ => Self::of_curve(&der, number).map(Some),
            },
            _ => Ok(None),
        }
    }

    fn of_rsa(der: Vec<u8>, number: usize) -> Result<Self, KeyError> {
        let pair = RsaKeyPair::from_der(&der).map_err(|_| KeyError::Unreadable(number))?;
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| KeyError::Unreadable(number))?;
        Ok(Self { public: PublicKey::of(spki.as_ref(), number)?, der })
    }

    fn of_curve(der: &[u8], number: usize) -> Result<Self, KeyError> {
        let read = |curve: &'static EcdsaSigningAlgorithm| EcdsaKeyPair::from_private_key_der(curve, der).ok();
        let pair = read(&ECDSA_P256_SHA256_FIXED_SIGNING).or_else(|| read(&ECDSA_P384_SHA384_FIXED_SIGNING));
        let Some(pair) = pair else {
            return Err(match read(&ECDSA_P521_SHA512_FIXED_SIGNING) {
                Some(_) => KeyError::Unsupported(number, "EC P-521".to_owned()),
                None => KeyError::Unreadable(number),
            });
        };
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| KeyError::Unreadable(number))?;
        let der = pair.to_pkcs8v1().map_err(|_| KeyError::Unreadable(number))?;
        Ok(Self { public: PublicKey::of(spki.as_ref(), number)?, der: der.as_ref().to_vec() })
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(of {:?})", self.public)
    }
}

fn sections(pem: &[u8]) -> Result<Vec<(SectionKind, Vec<u8>)>, KeyError> {
    <(SectionKind, Vec<u8>)>::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| KeyError::NotPem)
}

/// Modulus and exponent of a PKCS#1 `RSAPublicKey`, without leading zeros.
fn rsa_parts(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, _) = element(der, 0x30)?;
    let (modulus, rest) = element(sequence, 0x02)?;
    let (exponent, _) = element(rest, 0x02)?;
    Some((trim(modulus), trim(exponent)))
}

fn trim(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// The content of a DER element with this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[own, short], rest) = der.split_first_chunk()?;
    if own != tag {
        return None;
    }
    let (length, rest) = match usize::from(short) {
        length @ ..0x80 => (length, rest),
        long => {
            let (bytes, rest) = rest.split_at_checked((long & 0x7f).min(4))?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;

//! TLS settings: our certificate, and a verifier that asks for the client's and judges nothing but possession of its key.
//!
//! No session is ever resumed: a resumed session would take over an identity that nobody has looked at again.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use tokio_rustls::TlsAcceptor;

/// Certificates that a client may present.
const CHAIN: usize = 8;
/// Bytes of them together.
const CHAIN_BYTES: usize = 64 << 10;

/// The settings that new connections are made with.
pub struct Tls(TlsAcceptor);

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate file.
    #[error("no certificate can be read from it: {0}")]
    Certificate(String),
    /// The key file.
    #[error("no private key can be read from it: {0}")]
    Key(String),
    /// Both, together.
    #[error("the key does not belong to the certificate")]
    Mismatch,
    /// Something that the library refuses.
    #[error("{0}")]
    Refused(String),
}

impl Tls {
    /// Settings with this certificate chain and key, both PEM. `hints` are the subjects (DER) of the authorities that clients are told of.
    ///
    /// # Errors
    /// [`TlsError`], by whose fault it is.
    pub fn new(certificate: &[u8], key: &[u8], hints: Vec<Vec<u8>>) -> Result<Self, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| TlsError::Certificate(error.to_string()))?;
        if chain.is_empty() {
            return Err(TlsError::Certificate("it holds no CERTIFICATE".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(Possession::new(&provider, hints));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| TlsError::Refused(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                Error::InconsistentKeys(_) => TlsError::Mismatch,
                other => TlsError::Refused(other.to_string()),
            })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// What shakes hands.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.0.clone()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// Asks for a certificate, takes any that is small enough, and checks that the client has its key.
#[derive(Debug)]
struct Possession {
    algorithms: WebPkiSupportedAlgorithms,
    hints: Vec<DistinguishedName>,
}

impl Possession {
    fn new(provider: &CryptoProvider, hints: Vec<Vec<u8>>) -> Self {
        // Of RSA these are keys of 2048 to 8192 bits only.
        Self {
            algorithms: provider.signature_verification_algorithms,
            hints: hints.into_iter().map(DistinguishedName::from).collect(),
        }
    }
}

impl ClientCertVerifier for Possession {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let bytes = others.iter().map(|one| one.len()).sum::<usize>() + own.len();
        if others.len() >= CHAIN || bytes > CHAIN_BYTES {
            return Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

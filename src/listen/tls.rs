//! TLS settings: our certificate, and a verifier that asks for the client's and judges nothing but possession of its key.
//!
//! No session is ever resumed: a resumed session would take over an identity that nobody has looked at again.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

#[cfg(test)]
pub(crate) mod client;

/// The settings that new connections are made with.
pub struct Tls(TlsAcceptor);

/// A connection after its handshake. Boxed: it is moved from hand to hand, and every hand would keep room for it.
pub(super) struct Secured(Box<TlsStream<TcpStream>>);

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

/// Names the library of cryptography for the whole process, unless somebody has. We need none: it is for clients in the same process, which
/// rustls leaves without one where two libraries are compiled in.
pub fn name_default() {
    // An error is that somebody has.
    let _ = aws_lc_rs::default_provider().install_default();
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
        let mut provider = aws_lc_rs::default_provider();
        // What is strong enough and cheapest comes first.
        provider.cipher_suites.sort_by_key(|suite| !format!("{:?}", suite.suite()).contains("AES_128_GCM"));
        let provider = Arc::new(provider);
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
        config.ignore_client_order = true;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Shakes hands.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<Secured> {
        self.0.accept(stream).await.map(|stream| Secured(Box::new(stream)))
    }
}

impl Secured {
    /// The certificates that the peer presented (DER, its own first); it has the key of the first.
    pub(super) fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.0.get_ref().1.peer_certificates().unwrap_or_default().iter().map(AsRef::as_ref)
    }

    /// Whether HTTP/2 was agreed.
    pub(super) fn is_http2(&self) -> bool {
        self.0.get_ref().1.alpn_protocol() == Some(b"h2")
    }

    /// The socket below.
    pub(super) fn socket(&mut self) -> &mut TcpStream {
        self.0.get_mut().0
    }
}

impl AsyncRead for Secured {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
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

/// Certificates that a client may present.
const CHAIN: usize = 8;
/// Bytes of them together.
const CHAIN_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pki::{Authority, Order};

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_certificate_wants_its_own_key() {
        let authority = Authority::new("serving", DAY).unwrap();
        let order = Order::server("localhost", &["localhost"], DAY);
        let (one, other) = (authority.issue(&order).unwrap(), authority.issue(&order).unwrap());
        let fault = |certificate: &str, key: &str| match Tls::new(certificate.as_bytes(), key.as_bytes(), Vec::new()) {
            Ok(_) => "good".to_owned(),
            Err(error) => error.to_string(),
        };
        let (good, key) = (one.certificate_pem(), one.key_pem());
        for (certificate, key, text) in [
            (good.as_str(), key.as_str(), "good"),
            (&good, &other.key_pem(), "the key does not belong to the certificate"),
            ("", &key, "no certificate can be read from it: it holds no CERTIFICATE"),
            (&key, &key, "no certificate can be read from it: it holds no CERTIFICATE"),
            (&good, "", "no private key can be read from it"),
            (&good, &good, "no private key can be read from it"),
            (&good[..good.len() / 2], &key, "no certificate can be read from it"),
        ] {
            let told = fault(certificate, key);
            assert!(told.starts_with(text), "{told}, not {text}");
        }
    }
}

//! A TLS client for tests: it trusts one authority, and presents what it is told to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What a test connects with.
#[derive(Clone)]
pub(crate) struct Client(Arc<ClientConfig>);

/// Which versions a client speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Speaks {
    Tls12,
    Tls13,
}

#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl Client {
    /// A client of servers that `authority` (DER) vouches for. `shown` is a chain and a key in PEM, which need not match.
    pub(crate) fn new(authority: &[u8], shown: Option<(&str, &str)>, (speaks, protocols): (Speaks, &[&str])) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(authority.to_vec())).unwrap();
        let versions: &[&SupportedProtocolVersion] = match speaks {
            Speaks::Tls12 => &[&rustls::version::TLS12],
            Speaks::Tls13 => &[&rustls::version::TLS13],
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
                builder.with_client_cert_resolver(Arc::new(Shows(Arc::new(CertifiedKey::new(chain, key)))))
            }
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Self(Arc::new(config))
    }

    /// A connection to `localhost`, wherever that is.
    pub(crate) async fn connect(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(self.0.clone()).connect(ServerName::try_from("localhost").unwrap(), stream).await
    }
}

/// Whether a connection began with a whole handshake, and the certificate of the server.
pub(crate) fn shaken(stream: &TlsStream<TcpStream>) -> (bool, Vec<u8>) {
    let connection = stream.get_ref().1;
    let whole = connection.handshake_kind() != Some(HandshakeKind::Resumed);
    (whole, connection.peer_certificates().unwrap()[0].to_vec())
}

impl ResolvesClientCert for Shows {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

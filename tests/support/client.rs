//! A plain HTTPS client over hyper: one connection, HTTP/1.1 or HTTP/2, with or without a client certificate.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::testing;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The protocol a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    /// As it stands in an answer.
    pub fn version(self) -> http::Version {
        match self {
            Self::Http1 => http::Version::HTTP_11,
            Self::Http2 => http::Version::HTTP_2,
        }
    }
}

/// PEM texts of a client: whom it trusts and what it shows.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    pub authority: Vec<u8>,
    pub certificate: Option<(Vec<u8>, Vec<u8>)>,
    pub token: Option<String>,
}

impl Credentials {
    /// The administrator of a server in this process.
    pub fn admin(server: &testing::Server) -> Self {
        Self::of(server, server.client_identity())
    }

    /// Somebody with a certificate.
    pub fn of(server: &testing::Server, who: &testing::Identity) -> Self {
        let certificate = Some((who.certificate_pem().into(), who.key_pem().into()));
        Self { certificate, ..Self::nobody(server) }
    }

    /// Somebody with a token.
    pub fn bearer(server: &testing::Server, token: String) -> Self {
        Self { token: Some(token), ..Self::nobody(server) }
    }

    /// Somebody who shows nothing.
    pub fn nobody(server: &testing::Server) -> Self {
        Self { authority: server.ca_pem().into(), ..Self::default() }
    }

    /// Connects.
    pub async fn connect(&self, server: &testing::Server, protocol: Protocol) -> Client {
        Client::connect(server.address(), tls(self, protocol), self.token.clone()).await.expect("a connection")
    }
}

/// One connection.
#[derive(Clone)]
pub struct Client {
    sender: Sender,
    token: Option<String>,
    host: String,
}

#[derive(Clone)]
enum Sender {
    Http1(Arc<tokio::sync::Mutex<http1::SendRequest<Full<Bytes>>>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }
}

/// The TLS settings of a client.
pub fn tls(credentials: &Credentials, protocol: Protocol) -> Arc<rustls::ClientConfig> {
    tls_of(credentials, protocol, rustls::DEFAULT_VERSIONS)
}

/// The same, with these versions of TLS only.
pub fn tls_of(
    credentials: &Credentials,
    protocol: Protocol,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(&credentials.authority) {
        roots.add(authority.expect("a certificate")).expect("an authority");
    }
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .expect("protocol versions")
        .with_root_certificates(roots);
    let mut config = match &credentials.certificate {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = CertificateDer::pem_slice_iter(chain).map(|one| one.expect("a certificate")).collect();
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key).expect("a key")).expect("a matching key")
        }
    };
    config.alpn_protocols = match protocol {
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
    };
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

impl Client {
    /// Connects with settings made by [`tls`].
    pub async fn connect(address: SocketAddr, config: Arc<rustls::ClientConfig>, token: Option<String>) -> std::io::Result<Self> {
        let protocol = if config.alpn_protocols == [b"h2".to_vec()] { Protocol::Http2 } else { Protocol::Http1 };
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TokioIo::new(TlsConnector::from(config).connect(name, stream).await?);
        let sender = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await.map_err(std::io::Error::other)?;
                tokio::spawn(connection.with_upgrades());
                Sender::Http1(Arc::new(tokio::sync::Mutex::new(sender)))
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .initial_stream_window_size(1 << 20)
                    .initial_connection_window_size(16 << 20)
                    .handshake(stream)
                    .await
                    .map_err(std::io::Error::other)?;
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        };
        Ok(Self { sender, token, host: format!("localhost:{}", address.port()) })
    }

    /// Sends a request and returns the head of the answer with its open body.
    pub async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> hyper::Result<http::Response<Incoming>> {
        let authority =
            if matches!(self.sender, Sender::Http2(_)) { format!("https://{}{path}", self.host) } else { path.to_owned() };
        let mut request = Request::builder().method(method).uri(authority).header("user-agent", "portcullis-test");
        if matches!(self.sender, Sender::Http1(_)) {
            request = request.header("host", &self.host);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        match &self.sender {
            Sender::Http1(sender) => {
                let mut sender = sender.lock().await;
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                let mut sender = sender.clone();
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// Sends a request and waits for the whole answer.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> hyper::Result<Answer> {
        let (head, body) = self.open(method, path, headers, body).await?.into_parts();
        Ok(Answer { status: head.status, headers: head.headers, body: body.collect().await?.to_bytes() })
    }

    /// GET, whole.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, &[], Bytes::new()).await.expect("an answer")
    }

    /// A JSON body, whole answer.
    pub async fn send(&self, method: Method, path: &str, body: &serde_json::Value) -> Answer {
        let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        self.request(method, path, &[("content-type", kind)], body.to_string()).await.expect("an answer")
    }

    /// Opens a watch and reads its lines.
    pub async fn watch(&self, path: &str) -> Lines {
        let answer = self.open(Method::GET, path, &[], Bytes::new()).await.expect("an answer");
        if answer.status() != StatusCode::OK {
            let status = answer.status();
            panic!("the watch {path} did not open: {status} {:?}", Lines::of(answer).next().await);
        }
        Lines::of(answer)
    }
}

/// The lines of an open body.
pub struct Lines {
    body: Incoming,
    rest: Vec<u8>,
}

impl Lines {
    /// The lines of this answer's body.
    pub fn of(answer: http::Response<Incoming>) -> Self {
        Self { body: answer.into_body(), rest: Vec::new() }
    }

    /// The next line as JSON; `None` at the clean end.
    pub async fn next(&mut self) -> Option<serde_json::Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("a line of JSON"));
            }
            let frame = self.body.frame().await?.expect("an open body");
            if let Ok(data) = frame.into_data() {
                self.rest.extend_from_slice(&data);
            }
        }
    }
}

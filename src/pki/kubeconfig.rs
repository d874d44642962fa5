//! Kubeconfig files, with everything embedded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What a kubeconfig says.
#[derive(Clone, Copy, Debug)]
pub struct Kubeconfig<'a> {
    /// The server's URL.
    pub server: &'a str,
    /// The PEM certificates of the authorities that sign for the server.
    pub authority: &'a str,
    /// The name of the cluster, and of the context.
    pub cluster: &'a str,
    /// The name of the user's entry.
    pub user: &'a str,
    /// What shows who the user is.
    pub credential: Credential<'a>,
}

/// What shows who a client is.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// A PEM certificate and its PEM key.
    Certificate {
        /// The certificate.
        certificate: &'a str,
        /// The key. Secret.
        key: &'a str,
    },
    /// A bearer token. Secret.
    Token(&'a str),
}

impl Kubeconfig<'_> {
    /// The file's content. Secret.
    pub fn render(&self) -> String {
        let credential = match self.credential {
            Credential::Certificate { certificate, key } => format!(
                "    client-certificate-data: {}\n    client-key-data: {}\n",
                STANDARD.encode(certificate),
                STANDARD.encode(key)
            ),
            Credential::Token(token) => format!("    token: {}\n", scalar(token)),
        };
        let (cluster, user) = (scalar(self.cluster), scalar(self.user));
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: {cluster}\n  cluster:\n    server: {}\n    certificate-authority-data: {}\n\
             users:\n- name: {user}\n  user:\n{credential}contexts:\n- name: {cluster}\n  context:\n    cluster: {cluster}\n    user: {user}\n\
             current-context: {cluster}\n",
            scalar(self.server),
            STANDARD.encode(self.authority),
        )
    }
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Certificate { .. } => "Certificate",
            Self::Token(_) => "Token",
        })
    }
}

/// A YAML scalar in JSON's quotes, which mean the same there.
fn scalar(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

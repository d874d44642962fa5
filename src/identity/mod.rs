//! Who asks: a certificate, a token, or nobody.
//!
//! Only this room builds a [`Caller`]. Credentials are taken off the request here. Knows nothing of policy.

mod asked;
mod certificate;
mod claims;
mod denylist;
mod facts;
mod headers;
mod keys;
mod peer;
mod proxy;
mod resolver;
mod text;
mod token;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use asked::{Asked, assert};
pub use certificate::{
    Authorities, AuthorityError, CertificateError, Expired, Limit, Requested, Revocation, RevocationError, Summary,
    is_certificate, request_fault, requested, summarise,
};
pub(crate) use certificate::{certificates, issuer_parts};
pub use denylist::Denylist;
pub use facts::{Facts, Holder, Life};
pub use headers::Brought;
pub use keys::{Algorithm, KeyError, PrivateKey, PublicKey};
pub use peer::Peer;
pub use proxy::{FrontProxy, ProxyError};
pub use resolver::{Anonymous, Refusal, Resolver, Reviewed, Trust, Unauthenticated};
pub use token::{Grant, Named, TokenError, TokenSigner};

/// One identity, as Kubernetes sees a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub(in crate::identity) user: String,
    pub(in crate::identity) uid: String,
    pub(in crate::identity) groups: Vec<String>,
    pub(in crate::identity) extra: BTreeMap<String, Vec<String>>,
    pub(in crate::identity) proof: Proof,
}

/// How the identity was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By nothing.
    Anonymous,
    /// By a client certificate; the SHA-256 of its DER.
    Certificate([u8; 32]),
    /// By a service-account token; its `jti`.
    Token(String),
    /// By the word of a front proxy; the SHA-256 of its certificate's DER.
    FrontProxy([u8; 32]),
    /// By being this process.
    Internal,
}

impl Identity {
    /// An identity that somebody describes, for reviews and explanations. Nothing proves it, and no [`Caller`] can be made of it.
    pub fn described(user: String, uid: String, groups: Vec<String>, extra: BTreeMap<String, Vec<String>>) -> Self {
        Self { user, uid, groups, extra, proof: Proof::Anonymous }
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The uid, empty where there is none.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// All groups, in the order of the credential, then those that authentication adds.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Further attributes, by key.
    pub fn extra(&self) -> &BTreeMap<String, Vec<String>> {
        &self.extra
    }

    /// How it was shown.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Whether `group` is among the groups.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|member| member == group)
    }
}

/// Who asks, and in whose name.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(in crate::identity) real: Arc<Identity>,
    pub(in crate::identity) asserted: Option<Arc<Identity>>,
    pub(in crate::identity) asked: Option<Arc<Asked>>,
    pub(in crate::identity) token: Option<Arc<resolver::Believed>>,
}

impl Caller {
    fn of(real: Arc<Identity>) -> Self {
        Self { real, asserted: None, asked: None, token: None }
    }

    /// The identity whose credential was shown.
    pub fn real(&self) -> &Arc<Identity> {
        &self.real
    }

    /// The identity that acts: the impersonated one, or the real one.
    pub fn effective(&self) -> &Arc<Identity> {
        self.asserted.as_ref().unwrap_or(&self.real)
    }

    /// The identity that the caller wants to act as and that has not been granted yet. While this is `Some`, nothing may be permitted:
    /// authorize each part, then [`assert()`].
    pub fn asked(&self) -> Option<&Arc<Asked>> {
        self.asked.as_ref()
    }

    /// A caller by certificate, for the tests of other rooms.
    #[cfg(test)]
    pub(crate) fn sample(user: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let identity = Identity {
            proof: Proof::Certificate([0; 32]),
            ..Identity::described(user.to_owned(), String::new(), groups, BTreeMap::new())
        };
        Self::of(Arc::new(identity))
    }

    /// The same, wanting to act as somebody else.
    #[cfg(test)]
    pub(crate) fn asking(mut self, headers: &[(&str, &str)]) -> Self {
        let mut map = http::HeaderMap::new();
        for (name, value) in headers {
            map.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        self.asked = Asked::read(&map).unwrap().map(Arc::new);
        self
    }
}

/// Adds the group that tells the authenticated from the others, unless the credential names one of the two itself.
fn admit(groups: &mut Vec<String>) {
    if !groups.iter().any(|group| group == AUTHENTICATED || group == UNAUTHENTICATED) {
        groups.push(AUTHENTICATED.to_owned());
    }
}

/// The namespace and name in a service account's user name.
pub fn service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    (is_dns_label(namespace) && is_dns_subdomain(name)).then_some((namespace, name))
}

fn service_account_groups(namespace: &str) -> [String; 2] {
    ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]
}

fn is_dns_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| plain(*byte) || *byte == b'-')
        && plain(bytes[0])
        && plain(bytes[bytes.len() - 1])
}

/// Unlike names in DNS, Kubernetes' names have no limit for their single parts.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let part = |part: &str| {
        let bytes = part.as_bytes();
        bytes.iter().all(|byte| plain(byte) || *byte == b'-')
            && bytes.first().is_some_and(plain)
            && bytes.last().is_some_and(plain)
    };
    text.len() <= 253 && text.split('.').all(part)
}

const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";
const ANONYMOUS: &str = "system:anonymous";

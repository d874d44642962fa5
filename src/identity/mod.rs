//! Who asks: a certificate, a token, or nobody.
//!
//! Only this room builds an [`Identity`] or a [`Caller`]. Credentials are taken off the request here. Knows nothing of policy.

use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// By being this process.
    Internal,
}

impl Identity {
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
}

impl Caller {
    /// The identity whose credential was shown.
    pub fn real(&self) -> &Arc<Identity> {
        &self.real
    }

    /// The identity that acts: the impersonated one, or the real one.
    pub fn effective(&self) -> &Arc<Identity> {
        self.asserted.as_ref().unwrap_or(&self.real)
    }
}

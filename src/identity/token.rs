//! Service-account tokens: verifying and signing them. The only place that knows jsonwebtoken.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey, Header};
use serde::Serialize;
use serde_json::Value;

use super::claims::{Claims, Strict};
use super::keys::{Algorithm, KeyError, PrivateKey, PublicKey};

/// Why a token is refused. For the log; the client reads `Unauthorized`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than 16 KiB.
    #[error("the token is too long")]
    TooLong,
    /// Not three parts, or a part that cannot be read.
    #[error("the token's {0} cannot be read")]
    Malformed(&'static str),
    /// Signed by somebody whom we do not believe.
    #[error("the token's issuer is not ours")]
    Issuer,
    /// Its `kid` names no key of ours.
    #[error("the token's key is unknown")]
    UnknownKey,
    /// No key verifies it.
    #[error("the token's signature is wrong")]
    Signature,
    /// A claim is missing or has the wrong form.
    #[error("the token's claim {0} is missing or wrong")]
    Claim(&'static str),
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYet,
    /// It is for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// What it is bound to exists no more.
    #[error("the token's {0} is gone")]
    Gone(&'static str),
    /// It stands on the denylist.
    #[error("the token is denied: {0}")]
    Denied(&'static str),
    /// It cannot be signed.
    #[error("the token cannot be signed")]
    Unsignable,
}

/// The keys and issuers that tokens are checked against.
#[derive(Default)]
pub(super) struct Verifier {
    keys: Vec<VerifyingKey>,
    issuers: Vec<String>,
}

/// A token taken apart.
struct Parts<'a> {
    /// Header and payload as they stand: what is signed.
    signed: &'a str,
    header: Vec<u8>,
    payload: Vec<u8>,
    signature: &'a str,
}

struct VerifyingKey {
    id: String,
    algorithm: jsonwebtoken::Algorithm,
    key: DecodingKey,
}

/// Signs service-account tokens as kube-apiserver does.
pub struct TokenSigner {
    issuer: String,
    header: Header,
    key: EncodingKey,
}

/// What a token is to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// The account's namespace.
    pub namespace: String,
    /// The account.
    pub account: Named,
    /// For whom the token is.
    pub audiences: Vec<String>,
    /// When it begins, seconds since the epoch.
    pub issued: u64,
    /// How long it lives, seconds.
    pub lifetime: u64,
    /// Seconds after which its use is warned of, when its life was prolonged for the sake of old clients.
    pub warn_after: Option<u64>,
    /// The pod it is bound to.
    pub pod: Option<Named>,
    /// The secret it is bound to.
    pub secret: Option<Named>,
    /// The node it is bound to, or its pod runs on.
    pub node: Option<Named>,
}

/// An object by name and uid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Verifier {
    pub(super) fn new(keys: &[PublicKey], issuers: Vec<String>) -> Self {
        Self { keys: keys.iter().map(VerifyingKey::new).collect(), issuers }
    }

    /// Checks form, issuer and signature; also the id of the key. Times, audiences and lives are for the caller to check, at every use.
    pub(super) fn verify(&self, token: &str) -> Result<(Claims, String), TokenError> {
        let parts = split(token)?;
        let claims = Claims::parse(&parts.payload)?;
        if !self.issuers.contains(&claims.issuer) {
            return Err(TokenError::Issuer);
        }
        let key = self.check_signature(&parts)?;
        Ok((claims, key.id.clone()))
    }

    /// Whether a token that this key has verified would be verified again.
    pub(super) fn believes(&self, issuer: &str, key: &str) -> bool {
        self.issuers.iter().any(|known| known == issuer) && self.keys.iter().any(|known| known.id == key)
    }

    /// A key that the header names is the only one tried; a name that is unknown tries none.
    fn check_signature(&self, parts: &Parts<'_>) -> Result<&VerifyingKey, TokenError> {
        let (algorithm, id) = read_header(&parts.header)?;
        let mut named = self.keys.iter().filter(|key| id.as_ref().is_none_or(|id| *id == key.id)).peekable();
        if named.peek().is_none() {
            return Err(TokenError::UnknownKey);
        }
        let mut verifying = named.filter(|key| key.algorithm == algorithm && key.verifies(parts.signed, parts.signature));
        verifying.next().ok_or(TokenError::Signature)
    }
}

impl VerifyingKey {
    fn new(key: &PublicKey) -> Self {
        let decoding = match key.algorithm() {
            Algorithm::Rs256 => DecodingKey::from_rsa_der(key.key()),
            Algorithm::Es256 | Algorithm::Es384 => DecodingKey::from_ec_der(key.key()),
        };
        Self { id: key.id().to_owned(), algorithm: key.algorithm().into(), key: decoding }
    }

    fn verifies(&self, signed: &str, signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &self.key, self.algorithm).unwrap_or(false)
    }
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 => Self::RS256,
            Algorithm::Es256 => Self::ES256,
            Algorithm::Es384 => Self::ES384,
        }
    }
}

impl TokenSigner {
    /// A signer with the private key of a PEM file; `issuer` is what the tokens say.
    ///
    /// # Errors
    /// There is no key, or one that signs no tokens.
    pub fn parse(pem: &[u8], issuer: impl Into<String>) -> Result<Self, KeyError> {
        Ok(Self::new(&PrivateKey::parse(pem)?, issuer))
    }

    /// A signer with this key.
    pub fn new(private: &PrivateKey, issuer: impl Into<String>) -> Self {
        let algorithm = private.public().algorithm();
        let key = match algorithm {
            Algorithm::Rs256 => EncodingKey::from_rsa_der(private.der()),
            Algorithm::Es256 | Algorithm::Es384 => EncodingKey::from_ec_der(private.der()),
        };
        let mut header = Header::new(algorithm.into());
        header.typ = None;
        header.kid = Some(private.public().id().to_owned());
        Self { issuer: issuer.into(), header, key }
    }

    /// The issuer that it writes.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Signs a token with a `jti` of its own.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn sign(&self, grant: &Grant) -> Result<String, TokenError> {
        let claims = Written {
            aud: &grant.audiences,
            exp: grant.issued.saturating_add(grant.lifetime),
            iat: grant.issued,
            iss: &self.issuer,
            jti: uuid::Uuid::new_v4().to_string(),
            private: Private {
                namespace: &grant.namespace,
                node: grant.node.as_ref(),
                pod: grant.pod.as_ref(),
                secret: grant.secret.as_ref(),
                serviceaccount: &grant.account,
                warnafter: grant.warn_after.map(|after| grant.issued.saturating_add(after)),
            },
            nbf: grant.issued,
            sub: format!("system:serviceaccount:{}:{}", grant.namespace, grant.account.name),
        };
        jsonwebtoken::encode(&self.header, &claims, &self.key).map_err(|_| TokenError::Unsignable)
    }
}

impl fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenSigner({} {:?})", self.issuer, self.header.kid)
    }
}

#[derive(Serialize)]
struct Written<'a> {
    aud: &'a [String],
    exp: u64,
    iat: u64,
    iss: &'a str,
    jti: String,
    #[serde(rename = "kubernetes.io")]
    private: Private<'a>,
    nbf: u64,
    sub: String,
}

#[derive(Serialize)]
struct Private<'a> {
    namespace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'a Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a Named>,
    serviceaccount: &'a Named,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnafter: Option<u64>,
}

fn split(token: &str) -> Result<Parts<'_>, TokenError> {
    if token.len() > LIMIT {
        return Err(TokenError::TooLong);
    }
    let malformed = || TokenError::Malformed("form");
    let (signed, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
    let (header, payload) = signed.split_once('.').ok_or_else(malformed)?;
    if signature.is_empty() || payload.contains('.') {
        return Err(malformed());
    }
    let decode = |part: &str, name| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed(name));
    Ok(Parts { signed, header: decode(header, "header")?, payload: decode(payload, "payload")?, signature })
}

/// The algorithm and the key's id. Keys that the header itself brings or points to are not looked at.
fn read_header(header: &[u8]) -> Result<(jsonwebtoken::Algorithm, Option<String>), TokenError> {
    let malformed = TokenError::Malformed("header");
    let Ok(Strict(Value::Object(header))) = serde_json::from_slice(header) else { return Err(malformed) };
    let algorithm = match header.get("alg").and_then(Value::as_str) {
        Some("RS256") => jsonwebtoken::Algorithm::RS256,
        Some("ES256") => jsonwebtoken::Algorithm::ES256,
        Some("ES384") => jsonwebtoken::Algorithm::ES384,
        _ => return Err(malformed),
    };
    if header.contains_key("crit") {
        return Err(malformed);
    }
    match header.get("kid") {
        None => Ok((algorithm, None)),
        Some(Value::String(id)) => Ok((algorithm, Some(id.clone()).filter(|id| !id.is_empty()))),
        Some(_) => Err(malformed),
    }
}

/// Bytes of the longest token that is looked at.
const LIMIT: usize = 16 * 1024;

#[cfg(test)]
#[path = "token_tests.rs"]
pub(in crate::identity) mod tests;

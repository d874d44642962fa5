//! What a service-account token says, read strictly: duplicate members are refused at every depth.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::facts::{self, Facts, Holder};
use super::token::TokenError;
use super::{AUTHENTICATED, Identity, Proof, service_account_groups};

/// The claims of a token whose signature has been verified, or is about to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) issuer: String,
    pub(super) audiences: Vec<String>,
    expires: i64,
    not_before: Option<i64>,
    issued: Option<i64>,
    id: String,
    namespace: String,
    account: Bound,
    pod: Option<Bound>,
    secret: Option<Bound>,
    node: Option<Bound>,
}

/// An object by name and uid, with its key in the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    name: String,
    uid: String,
    key: String,
}

/// JSON without duplicate members.
pub(super) struct Strict(pub(super) Value);

impl Claims {
    /// Reads the payload.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, TokenError> {
        let Strict(Value::Object(claims)) = serde_json::from_slice(payload).map_err(|_| TokenError::Malformed("payload"))? else {
            return Err(TokenError::Malformed("payload"));
        };
        let Some(Value::Object(private)) = claims.get("kubernetes.io") else { return Err(TokenError::Claim("kubernetes.io")) };
        let namespace = text(private, "namespace").ok_or(TokenError::Claim("namespace"))?;
        let bound = |claim: &'static str, namespace: &str| Bound::read(private, claim, namespace);
        let claims = Self {
            issuer: text(&claims, "iss").ok_or(TokenError::Claim("iss"))?,
            audiences: audiences(claims.get("aud")).ok_or(TokenError::Claim("aud"))?,
            expires: time(&claims, "exp")?.ok_or(TokenError::Claim("exp"))?,
            not_before: time(&claims, "nbf")?,
            issued: time(&claims, "iat")?,
            id: claims.get("jti").map_or(Some(String::new()), plain).ok_or(TokenError::Claim("jti"))?,
            account: bound("serviceaccount", &namespace)?.ok_or(TokenError::Claim("serviceaccount"))?,
            pod: bound("pod", &namespace)?,
            secret: bound("secret", &namespace)?,
            node: bound("node", "")?,
            namespace,
        }
        .named(text(&claims, "sub").ok_or(TokenError::Claim("sub"))?)?;
        Ok(claims)
    }

    /// The `jti`; empty where there is none.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    fn named(self, subject: String) -> Result<Self, TokenError> {
        let named = super::service_account(&subject) == Some((&self.namespace, &self.account.name));
        if named { Ok(self) } else { Err(TokenError::Claim("sub")) }
    }

    /// Whether the token is valid at this time, with a minute of leeway on each side.
    pub(super) fn check_time(&self, now: u64) -> Result<(), TokenError> {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let begins = self.not_before.into_iter().chain(self.issued).max();
        if now.saturating_sub(LEEWAY) > self.expires {
            return Err(TokenError::Expired);
        }
        if begins.is_some_and(|begins| now.saturating_add(LEEWAY) < begins) { Err(TokenError::NotYet) } else { Ok(()) }
    }

    /// The audiences that are both asked and given.
    pub(super) fn common_audiences(&self, asked: &[String]) -> Vec<String> {
        asked.iter().filter(|audience| self.audiences.contains(audience)).cloned().collect()
    }

    /// Whether everything that the token is bound to still exists.
    pub(super) fn check_life(&self, facts: &Facts, now: u64) -> Result<(), TokenError> {
        let alive = |holder, bound: &Bound| facts.is_alive(holder, &bound.key, &bound.uid, now);
        if !alive(Holder::Account, &self.account) {
            return Err(TokenError::Gone("service account"));
        }
        if self.secret.as_ref().is_some_and(|secret| !alive(Holder::Secret, secret)) {
            return Err(TokenError::Gone("secret"));
        }
        match (&self.pod, &self.node) {
            (Some(pod), _) if !alive(Holder::Pod, pod) => Err(TokenError::Gone("pod")),
            // The node of a pod's token is told, not checked: the pod's own life says enough.
            (None, Some(node)) if !alive(Holder::Node, node) => Err(TokenError::Gone("node")),
            _ => Ok(()),
        }
    }

    /// The user that the token shows.
    pub(super) fn identity(&self) -> Identity {
        let mut extra = BTreeMap::new();
        let mut tell =
            |key: &str, value: &str| extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value.to_owned()]);
        if let Some(pod) = &self.pod {
            tell("pod-name", &pod.name);
            tell("pod-uid", &pod.uid);
        }
        if let Some(node) = &self.node {
            tell("node-name", &node.name);
            if !node.uid.is_empty() {
                tell("node-uid", &node.uid);
            }
        }
        if !self.id.is_empty() {
            tell("credential-id", &format!("JTI={}", self.id));
        }
        let mut groups = Vec::from(service_account_groups(&self.namespace));
        groups.push(AUTHENTICATED.to_owned());
        Identity {
            user: format!("system:serviceaccount:{}:{}", self.namespace, self.account.name),
            uid: self.account.uid.clone(),
            groups,
            extra,
            proof: Proof::Token(self.id.clone()),
        }
    }
}

impl Bound {
    fn read(claims: &Map<String, Value>, claim: &'static str, namespace: &str) -> Result<Option<Self>, TokenError> {
        let bound = match claims.get(claim) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Object(bound)) => bound,
            Some(_) => return Err(TokenError::Claim(claim)),
        };
        let name = text(bound, "name").ok_or(TokenError::Claim(claim))?;
        // Kubernetes gives a node's uid only when it knows it, and only beside a pod.
        let uid = match bound.get("uid") {
            None if claim == "node" && claims.contains_key("pod") => String::new(),
            uid => uid.and_then(plain).ok_or(TokenError::Claim(claim))?,
        };
        let key = facts::key(namespace, &name);
        Ok(Some(Self { name, uid, key }))
    }
}

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Strict(value))) = members.next_entry::<String, Strict>()? {
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom("duplicate member"));
            }
        }
        Ok(Value::Object(map))
    }
}

fn plain(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// A string that is there and not empty.
fn text(claims: &Map<String, Value>, claim: &str) -> Option<String> {
    claims.get(claim).and_then(plain).filter(|text| !text.is_empty())
}

fn audiences(claim: Option<&Value>) -> Option<Vec<String>> {
    match claim? {
        Value::String(audience) => Some(vec![audience.clone()]),
        Value::Array(audiences) => audiences.iter().map(plain).collect(),
        _ => None,
    }
}

/// Seconds since the epoch; fractions are cut off.
fn time(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<i64>, TokenError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(seconds), _) => Ok(Some(seconds)),
            (None, Some(seconds)) if seconds.abs() < MAX_SECONDS => Ok(Some(seconds as i64)),
            _ => Err(TokenError::Claim(claim)),
        },
        Some(_) => Err(TokenError::Claim(claim)),
    }
}

/// Seconds by which clocks may differ, as in Kubernetes.
const LEEWAY: i64 = 60;

/// Above this a time is no time.
const MAX_SECONDS: f64 = 1e15;

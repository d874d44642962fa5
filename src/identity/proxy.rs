//! A front proxy: somebody trusted who says for whom he speaks (contract 5.3).
//!
//! His word counts only on a connection whose certificate is signed by an authority of front proxies and bears one of their names, and
//! only for those whom he may speak for.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName};

use super::certificate::{Authorities, Limit, Verified};
use super::{AUTHENTICATED, Identity, Proof, admit};

/// Who is believed to speak for others.
#[derive(Clone, Debug)]
pub struct FrontProxy {
    /// Whose certificates front proxies show. Authorities of their own: no client's.
    pub authorities: Authorities,
    /// The common names of their certificates. Nobody's, when empty.
    pub names: Vec<String>,
    /// For whom they may speak.
    pub limit: Limit,
}

/// Whom a request says it is sent for. Worth nothing before a [`FrontProxy`] has been recognised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Remote {
    user: String,
    uid: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

/// Why a recognised front proxy is not heard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Its name is none of those that count.
    #[error("the front proxy {0:?} is none of those whose word counts")]
    Name(String),
    /// A header that is no text, or a user or uid given twice.
    #[error("the front proxy's header {0} cannot be read")]
    Header(&'static str),
    /// It speaks for somebody for whom it may not.
    #[error("the front proxy may not speak for this identity: {0}")]
    Beyond(String),
}

impl FrontProxy {
    /// The identity that a proxy with this certificate speaks for.
    pub(super) fn identity(&self, proxy: &Verified, remote: &Result<Remote, &'static str>) -> Result<Identity, ProxyError> {
        let Remote { user, uid, mut groups, extra } = remote.clone().map_err(ProxyError::Header)?;
        self.check(proxy, &user, &groups)?;
        admit(&mut groups);
        Ok(Identity { user, uid, groups, extra, proof: Proof::FrontProxy(proxy.fingerprint) })
    }

    /// Whether its word would make this identity again.
    pub(super) fn speaks_for(&self, proxy: &Verified, identity: &Identity) -> bool {
        // What authentication has added was not the proxy's word.
        let said: Vec<String> = identity.groups.iter().filter(|group| *group != AUTHENTICATED).cloned().collect();
        self.check(proxy, &identity.user, &said).is_ok()
    }

    fn check(&self, proxy: &Verified, user: &str, groups: &[String]) -> Result<(), ProxyError> {
        if !self.names.contains(&proxy.subject.user) {
            return Err(ProxyError::Name(proxy.subject.user.clone()));
        }
        self.limit.permit(user, groups).map_err(ProxyError::Beyond)
    }
}

impl Remote {
    /// Reads `X-Remote-User`, `-Group`, `-Uid` and `-Extra-*`, exactly so spelled; `None` without a user.
    pub(super) fn read(headers: &HeaderMap) -> Option<Result<Self, &'static str>> {
        headers.get(USER)?;
        let read = || {
            let user = only(headers, USER)?;
            let uid = if headers.contains_key(UID) { only(headers, UID)? } else { String::new() };
            let groups = texts(headers, &HeaderName::from_static(GROUP), GROUP)?;
            let mut extra = BTreeMap::new();
            for name in headers.keys() {
                if let Some(key) = name.as_str().strip_prefix(EXTRA) {
                    let key = crate::request::unescape_segment(key).unwrap_or_else(|| key.to_owned()).to_lowercase();
                    extra.insert(key, texts(headers, name, "x-remote-extra")?);
                }
            }
            if user.is_empty() { Err(USER) } else { Ok(Self { user, uid, groups, extra }) }
        };
        Some(read())
    }
}

fn only(headers: &HeaderMap, name: &'static str) -> Result<String, &'static str> {
    let mut values = headers.get_all(name).iter();
    match (values.next().and_then(|value| text(value.as_bytes())), values.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(name),
    }
}

fn texts(headers: &HeaderMap, name: &HeaderName, shown: &'static str) -> Result<Vec<String>, &'static str> {
    headers.get_all(name).iter().map(|value| text(value.as_bytes()).ok_or(shown)).collect()
}

fn text(value: &[u8]) -> Option<String> {
    std::str::from_utf8(value).ok().map(str::to_owned)
}

const USER: &str = "x-remote-user";
const UID: &str = "x-remote-uid";
const GROUP: &str = "x-remote-group";
const EXTRA: &str = "x-remote-extra-";

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        map
    }

    #[test]
    fn reads_whom_it_speaks_for() {
        let whole = headers(&[
            ("X-Remote-User", "eve"),
            ("X-Remote-Uid", "7"),
            ("X-Remote-Group", "a"),
            ("X-Remote-Group", "b"),
            ("X-Remote-Extra-Scopes%2Fx", "1"),
            ("X-Remote-Extra-Scopes%2Fx", "2"),
        ]);
        let remote = Remote::read(&whole).unwrap().unwrap();
        assert_eq!((remote.user.as_str(), remote.uid.as_str()), ("eve", "7"));
        assert_eq!(remote.groups, ["a", "b"]);
        assert_eq!(remote.extra, BTreeMap::from([("scopes/x".to_owned(), vec!["1".to_owned(), "2".to_owned()])]));
        assert_eq!(Remote::read(&headers(&[("X-Remote-Group", "a")])), None);
        for wrong in [
            &[("X-Remote-User", "")][..],
            &[("X-Remote-User", "a"), ("X-Remote-User", "b")],
            &[("X-Remote-User", "a"), ("X-Remote-Uid", "1"), ("X-Remote-Uid", "2")],
        ] {
            assert!(Remote::read(&headers(wrong)).unwrap().is_err(), "{wrong:?}");
        }
        let mut bytes = HeaderMap::new();
        bytes.insert("x-remote-user", http::HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(Remote::read(&bytes).unwrap().is_err());
    }
}

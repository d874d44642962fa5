//! The `continue` token: where the next page begins, and at which version.

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::request::ListOptions;
use crate::status::Status;
use crate::store::Revision;

/// A token as it is written: base64url of this, as JSON.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    v: String,
    /// -1: the newest version.
    rv: i64,
    /// The first name of the next page, relative to the list's place.
    pub(super) start: String,
}

impl Token {
    /// The token of a request, if there is one.
    ///
    /// # Errors
    /// 400 for what is no token, and for a resourceVersion beside one.
    pub(super) fn of(options: &ListOptions) -> Result<Option<Self>, Status> {
        if options.continue_token.is_empty() {
            return Ok(None);
        }
        if !matches!(options.resource_version.as_str(), "" | "0") {
            return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
        }
        Self::decode(&options.continue_token)
            .map(Some)
            .map_err(|cause| Status::bad_request(format!("invalid continue token: continue key is not valid: {cause}")))
    }

    /// The token of the page after `last`, at the same version.
    pub(super) fn after(revision: Revision, last: &str) -> String {
        Self { v: VERSION.to_owned(), rv: i64::try_from(revision.0).unwrap_or(-1), start: format!("{last}\0") }.encode()
    }

    /// The token of the same place at the newest version.
    pub(super) fn inconsistent(&self) -> String {
        Self { v: VERSION.to_owned(), rv: -1, start: self.start.clone() }.encode()
    }

    /// The version to read at; `None` for the newest.
    pub(super) fn revision(&self) -> Option<Revision> {
        u64::try_from(self.rv).ok().map(Revision)
    }

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn decode(text: &str) -> Result<Self, String> {
        let bytes = URL_SAFE_NO_PAD.decode(text).or_else(|_| URL_SAFE.decode(text)).map_err(|cause| cause.to_string())?;
        let token: Self = serde_json::from_slice(&bytes).map_err(|cause| cause.to_string())?;
        if token.v != VERSION {
            return Err(format!("server does not recognize this encoded version {:?}", token.v));
        }
        if token.rv == 0 || token.rv < -1 {
            return Err("incorrect encoded start resourceVersion (version meta.k8s.io/v1)".to_owned());
        }
        if token.start.is_empty() {
            return Err("encoded start key empty (version meta.k8s.io/v1)".to_owned());
        }
        Ok(token)
    }
}

const VERSION: &str = "meta.k8s.io/v1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_odd() {
        let text = Token::after(Revision(42), "default/b");
        let token = Token::decode(&text).expect("a token");
        assert_eq!((token.revision(), token.start.as_str()), (Some(Revision(42)), "default/b\0"));
        assert_eq!(Token::decode(&token.inconsistent()).expect("a token").revision(), None);
        let odd = |json: &str| URL_SAFE_NO_PAD.encode(json);
        for text in [
            "garbage".to_owned(),
            "%%%".to_owned(),
            odd("{}"),
            odd(r#"{"v":"other","rv":1,"start":"a"}"#),
            odd(r#"{"v":"meta.k8s.io/v1","rv":0,"start":"a"}"#),
            odd(r#"{"v":"meta.k8s.io/v1","rv":-7,"start":"a"}"#),
            odd(r#"{"v":"meta.k8s.io/v1","rv":1,"start":""}"#),
        ] {
            assert!(Token::decode(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn excludes_a_version_beside_it() {
        let options = |version: &str| ListOptions {
            resource_version: version.to_owned(),
            continue_token: Token::after(Revision(1), "a"),
            ..ListOptions::default()
        };
        assert!(Token::of(&options("0")).is_ok());
        assert!(Token::of(&options("")).is_ok());
        assert_eq!(Token::of(&options("5")).map_err(|refusal| refusal.code.as_u16()), Err(400));
    }
}

//! Who is let in no more, though the credential is still good.

use std::collections::HashSet;

use serde::Deserialize;

use super::certificate::{CertificateError, Verified};
use super::service_account;
use super::token::TokenError;

/// Names and credentials that are refused, whoever vouches for them. In a file of its own, so that a revocation is one line and no
/// change of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Denylist {
    /// Users.
    pub users: HashSet<String>,
    /// Groups: whoever is in one of them.
    pub groups: HashSet<String>,
    /// Serial numbers of certificates: lower-case hexadecimal, without leading zeros.
    pub serials: HashSet<String>,
    /// SHA-256 of certificates: lower-case hexadecimal.
    pub fingerprints: HashSet<String>,
    /// Ids of tokens: their `jti`.
    pub token_ids: HashSet<String>,
    /// `namespace/name`
    pub service_accounts: HashSet<String>,
}

impl Denylist {
    /// The same with numbers in the form in which they are looked up: `0A:FF` is `aff`.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        let plain = |text: &String| text.replace(':', "").to_ascii_lowercase();
        self.fingerprints = self.fingerprints.iter().map(plain).collect();
        self.serials = self.serials.iter().map(|text| super::certificate::plain(&plain(text))).collect();
        self
    }

    /// The first fault of an entry, and where: a number that is none would deny nobody.
    pub fn fault(&self) -> Option<(&'static str, String)> {
        let hexadecimal = |text: &&String| text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let serial = self.serials.iter().find(hexadecimal).map(|text| ("serials", format!("{text:?} is no hexadecimal number")));
        let fingerprint = self.fingerprints.iter().find(|text| text.len() != 64 || hexadecimal(text));
        let fingerprint = fingerprint.map(|text| ("fingerprints", format!("{text:?} is no SHA-256 in hexadecimal")));
        let account = self.service_accounts.iter().find(|text| text.split('/').count() != 2);
        serial.or(fingerprint).or(account.map(|text| ("serviceAccounts", format!("{text:?} is no namespace/name"))))
    }

    /// Which entry names somebody.
    pub(super) fn names(&self, user: &str, groups: &[String]) -> Option<&'static str> {
        if self.users.contains(user) {
            return Some("its user");
        }
        let account = || service_account(user).map(|(namespace, name)| format!("{namespace}/{name}"));
        if !self.service_accounts.is_empty() && account().is_some_and(|name| self.service_accounts.contains(&name)) {
            return Some("its service account");
        }
        groups.iter().any(|group| self.groups.contains(group)).then_some("one of its groups")
    }

    pub(super) fn certificate(&self, verified: &Verified) -> Result<(), CertificateError> {
        let denied = if self.serials.contains(&verified.serial) {
            Some("its serial number")
        } else if self.fingerprints.contains(&super::certificate::hex(&verified.fingerprint)) {
            Some("its fingerprint")
        } else {
            self.names(&verified.subject.user, &verified.subject.groups)
        };
        denied.map_or(Ok(()), |what| Err(CertificateError::Denied(what)))
    }

    pub(super) fn token(&self, id: &str, (user, groups): (&str, &[String])) -> Result<(), TokenError> {
        let denied = if self.token_ids.contains(id) { Some("its id") } else { self.names(user, groups) };
        denied.map_or(Ok(()), |what| Err(TokenError::Denied(what)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_looked_up_as_people_write_them() {
        let set = |text: &str| HashSet::from([text.to_owned()]);
        let list = Denylist { serials: set("00:0A:FF"), fingerprints: set(&"AB".repeat(32)), ..Denylist::default() }.normalised();
        assert_eq!((list.serials.clone(), list.fingerprints.clone()), (set("aff"), set(&"ab".repeat(32))));
        assert_eq!(list.fault(), None);
        for wrong in [
            Denylist { serials: set("0x12"), ..Denylist::default() },
            Denylist { fingerprints: set("abc"), ..Denylist::default() },
            Denylist { service_accounts: set("app"), ..Denylist::default() },
        ] {
            assert!(wrong.fault().is_some(), "{wrong:?}");
        }
    }

    #[test]
    fn everybody_has_several_names() {
        let set = |text: &str| HashSet::from([text.to_owned()]);
        let user = "system:serviceaccount:shop:app";
        let groups = ["system:serviceaccounts".to_owned(), "system:serviceaccounts:shop".to_owned()];
        for (list, denied) in [
            (Denylist::default(), false),
            (Denylist { users: set(user), ..Denylist::default() }, true),
            (Denylist { service_accounts: set("shop/app"), ..Denylist::default() }, true),
            (Denylist { service_accounts: set("shop/other"), ..Denylist::default() }, false),
            (Denylist { groups: set("system:serviceaccounts:shop"), ..Denylist::default() }, true),
            (Denylist { users: set("shop/app"), ..Denylist::default() }, false),
        ] {
            assert_eq!(list.names(user, &groups).is_some(), denied, "{list:?}");
        }
    }
}

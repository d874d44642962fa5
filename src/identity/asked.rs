//! Impersonation: what the headers ask for, and the identity it becomes once every part is granted.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use super::{ANONYMOUS, Caller, Identity, UNAUTHENTICATED, admit, service_account, service_account_groups};
use crate::request::quote;

/// The identity a caller wants to act as. Only headers make it; it is worth nothing until each part is authorized.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    user: String,
    uid: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

impl Asked {
    /// Reads `Impersonate-User`, `-Group`, `-Uid` and `-Extra-*`. `None` when nothing is asked.
    ///
    /// # Errors
    /// The message of a 400: something is asked, but no user.
    pub(super) fn read(headers: &HeaderMap) -> Result<Option<Self>, String> {
        let mut asked =
            Self { user: first(headers, "impersonate-user")?, uid: first(headers, "impersonate-uid")?, ..Self::default() };
        for group in headers.get_all("impersonate-group") {
            asked.groups.push(text(group.as_bytes())?);
        }
        for name in headers.keys() {
            if let Some(key) = name.as_str().strip_prefix("impersonate-extra-") {
                asked.extra.insert(unescape(key), values(headers, name)?);
            }
        }
        if !asked.user.is_empty() {
            return Ok(Some(asked));
        }
        if asked == Self::default() { Ok(None) } else { Err(asked.complaint()) }
    }

    /// The user to be; for a service account authorize its namespace and name, see [`service_account`].
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The uid to have; empty when none is asked.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The groups to be in, as asked.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// The further attributes to have.
    pub fn extra(&self) -> &BTreeMap<String, Vec<String>> {
        &self.extra
    }

    fn complaint(&self) -> String {
        let list = |items: &[String]| match items {
            [] => "[]string(nil)".to_owned(),
            _ => format!("[]string{{{}}}", items.iter().map(|item| quote(item)).collect::<Vec<_>>().join(", ")),
        };
        let extra = match self.extra.len() {
            0 => "map[string][]string(nil)".to_owned(),
            _ => {
                let pairs: Vec<_> = self.extra.iter().map(|(key, values)| format!("{}:{}", quote(key), list(values))).collect();
                format!("map[string][]string{{{}}}", pairs.join(", "))
            }
        };
        format!(
            "requested &user.DefaultInfo{{Name:\"\", UID:{}, Groups:{}, Extra:{extra}}} without impersonating a user name",
            quote(&self.uid),
            list(&self.groups)
        )
    }
}

/// The caller acting as what it asked for. To be called when every part has been authorized; a caller that asked nothing stays as it is.
pub fn assert(mut caller: Caller) -> Caller {
    let Some(asked) = caller.asked.take() else { return caller };
    let mut groups = asked.groups.clone();
    if groups.is_empty()
        && let Some((namespace, _)) = service_account(&asked.user)
    {
        groups.extend(service_account_groups(namespace));
    }
    if asked.user != ANONYMOUS {
        admit(&mut groups);
    } else if !groups.iter().any(|group| group == UNAUTHENTICATED) {
        groups.push(UNAUTHENTICATED.to_owned());
    }
    let identity = Identity {
        user: asked.user.clone(),
        uid: asked.uid.clone(),
        groups,
        extra: asked.extra.clone(),
        proof: caller.real.proof.clone(),
    };
    caller.asserted = Some(Arc::new(identity));
    caller
}

fn first(headers: &HeaderMap, name: &str) -> Result<String, String> {
    headers.get(name).map_or(Ok(String::new()), |value| text(value.as_bytes()))
}

fn values(headers: &HeaderMap, name: &HeaderName) -> Result<Vec<String>, String> {
    headers.get_all(name).iter().map(|value| text(value.as_bytes())).collect()
}

fn text(value: &[u8]) -> Result<String, String> {
    String::from_utf8(value.to_vec()).map_err(|_| "an impersonation header is not UTF-8".to_owned())
}

/// Percent-decodes the key of an extra; one that cannot be decoded is taken as it stands.
fn unescape(key: &str) -> String {
    crate::request::unescape_segment(key).unwrap_or_else(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acting(headers: &[(&str, &str)]) -> String {
        let caller = assert(Caller::sample("admin", &["system:masters"]).asking(headers));
        let who = caller.effective();
        assert!(caller.asked().is_none());
        assert_eq!(caller.real().user(), "admin");
        format!("{} {} {} {:?}", who.user(), who.uid(), who.groups().join(","), who.extra())
    }

    #[test]
    fn becomes_what_is_asked() {
        #[rustfmt::skip]
        let rows: [(&[(&str, &str)], &str); 10] = [
            (&[], "admin  system:masters {}"),
            (&[("Impersonate-User", "")], "admin  system:masters {}"),
            (&[("Impersonate-User", "bob")], "bob  system:authenticated {}"),
            (&[("Impersonate-User", "bob"), ("Impersonate-User", "eve")], "bob  system:authenticated {}"),
            (&[("Impersonate-User", "bob"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b")], "bob  a,b,system:authenticated {}"),
            (&[("Impersonate-User", "bob"), ("Impersonate-Group", "system:unauthenticated")], "bob  system:unauthenticated {}"),
            (&[("Impersonate-User", "system:anonymous")], "system:anonymous  system:unauthenticated {}"),
            (&[("Impersonate-User", "system:serviceaccount:ns:x")], "system:serviceaccount:ns:x  system:serviceaccounts,system:serviceaccounts:ns,system:authenticated {}"),
            (&[("Impersonate-User", "system:serviceaccount:ns:x"), ("Impersonate-Group", "g")], "system:serviceaccount:ns:x  g,system:authenticated {}"),
            (&[("Impersonate-User", "bob"), ("Impersonate-Uid", "7"), ("Impersonate-Extra-Scopes%2fA", "s1"), ("Impersonate-Extra-Scopes%2fA", "s2"), ("Impersonate-Extra-%zz", "y")], "bob 7 system:authenticated {\"%zz\": [\"y\"], \"scopes/a\": [\"s1\", \"s2\"]}"),
        ];
        for (headers, expected) in rows {
            assert_eq!(acting(headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn parts_without_a_user_are_refused() {
        #[rustfmt::skip]
        let rows = [
            ("impersonate-group", "g1", r#"requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"g1"}, Extra:map[string][]string(nil)} without impersonating a user name"#),
            ("impersonate-uid", "7", r#"requested &user.DefaultInfo{Name:"", UID:"7", Groups:[]string(nil), Extra:map[string][]string(nil)} without impersonating a user name"#),
            ("impersonate-extra-a", "b", r#"requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string(nil), Extra:map[string][]string{"a":[]string{"b"}}} without impersonating a user name"#),
        ];
        for (name, value, expected) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(Asked::read(&headers).unwrap_err(), expected);
        }
    }
}

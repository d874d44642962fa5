//! One question: may this user do this? Borrowed views, so that asking allocates nothing.
//!
//! Knows no rule. A question can carry any verb (`impersonate`, `approve`), which a request cannot.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::identity::{self, Identity};
use crate::request::{Attributes, FieldSelector, Target};

/// Who is asked about: a live identity, or the user that an access review names.
#[derive(Clone, Copy, Debug)]
pub struct User<'a> {
    /// The user's name.
    pub name: &'a str,
    /// All groups.
    pub groups: &'a [String],
    /// Further attributes, where they are known.
    pub extra: Option<&'a BTreeMap<String, Vec<String>>>,
}

/// What is to be done to what.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub(super) verb: Word<'a>,
    pub(super) thing: Thing<'a>,
}

/// A verb, with its bit where it is one of those that most rules name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    pub(super) bit: u32,
}

/// The object of the question.
#[derive(Clone, Copy, Debug)]
pub(super) enum Thing<'a> {
    Resource(Parts<'a>),
    Path(&'a str),
}

/// A resource as rules see it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts<'a> {
    pub(super) group: &'a str,
    pub(super) resource: &'a str,
    pub(super) subresource: &'a str,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) field_selector: &'a str,
}

impl<'a> User<'a> {
    /// Whether `group` is among the groups.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|member| member == group)
    }

    /// The namespace and name of a service account's user name.
    pub fn service_account(&self) -> Option<(&'a str, &'a str)> {
        identity::service_account(self.name)
    }

    /// The node that a kubelet's user name names: literal text, and only where it is a DNS-1123 subdomain (contract 6.5).
    pub(super) fn node(&self) -> Option<&'a str> {
        let node = self.name.strip_prefix(NODE_PREFIX)?;
        (self.is_in(NODES) && is_subdomain(node)).then_some(node)
    }
}

impl<'a> From<&'a Identity> for User<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self { name: identity.user(), groups: identity.groups(), extra: Some(identity.extra()) }
    }
}

impl<'a> Ask<'a> {
    /// The question that a request is.
    pub fn of(attributes: &'a Attributes) -> Self {
        Self::new(attributes.verb.as_str(), &attributes.target)
    }

    /// The question whether `verb`, which need not be a request's, may be done to `target`.
    pub fn new(verb: &'a str, target: &'a Target) -> Self {
        let thing = match target {
            Target::Path(path) => Thing::Path(path),
            Target::Resource(resource) => Thing::Resource(Parts {
                group: &resource.group,
                resource: &resource.resource,
                subresource: &resource.subresource,
                namespace: &resource.namespace,
                name: &resource.name,
                field_selector: &resource.field_selector,
            }),
        };
        Self { verb: Word::new(verb), thing }
    }

    /// The same thing, done otherwise.
    pub(super) fn doing(self, verb: &'a str) -> Self {
        Self { verb: Word::new(verb), ..self }
    }

    /// The namespace asked about, empty for none.
    pub(super) fn namespace(&self) -> &'a str {
        match self.thing {
            Thing::Resource(parts) => parts.namespace,
            Thing::Path(_) => "",
        }
    }
}

impl<'a> Word<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, bit: bit(text) }
    }
}

impl<'a> Parts<'a> {
    /// The one name that the object must have: from the URL, or from a `metadata.name=` selector.
    pub(super) fn fixed_name(&self) -> Option<Cow<'a, str>> {
        if !self.name.is_empty() {
            return Some(Cow::Borrowed(self.name));
        }
        self.fixed("metadata.name")
    }

    /// The one value that the request's field selector leaves to `field`, by the reading with which it is served.
    pub(super) fn fixed(&self, field: &str) -> Option<Cow<'a, str>> {
        if self.field_selector.is_empty() {
            return None;
        }
        let selector = FieldSelector::parse(self.field_selector).ok()?;
        selector.requires_exact(field).map(|value| Cow::Owned(value.to_owned()))
    }
}

/// The bit of a common verb, 0 for any other.
pub(super) fn bit(verb: &str) -> u32 {
    match verb {
        "get" => 1,
        "list" => 1 << 1,
        "watch" => 1 << 2,
        "create" => 1 << 3,
        "update" => 1 << 4,
        "patch" => 1 << 5,
        "delete" => 1 << 6,
        "deletecollection" => 1 << 7,
        "impersonate" => 1 << 8,
        _ => 0,
    }
}

/// Whether `text` is a DNS-1123 subdomain, as Kubernetes checks it.
pub(super) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_part)
}

fn is_part(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = text.as_bytes();
    edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|byte| *byte == b'-' || edge(Some(byte)))
}

/// What a kubelet's user name begins with.
pub(super) const NODE_PREFIX: &str = "system:node:";
/// What a service account's user name begins with.
pub(super) const ACCOUNT_PREFIX: &str = "system:serviceaccount:";
/// The kubelets' group.
pub(super) const NODES: &str = "system:nodes";
/// The group that RBAC and Node never refuse.
pub(super) const MASTERS: &str = "system:masters";
/// The user without a credential.
pub(super) const ANONYMOUS: &str = "system:anonymous";
/// The group of those without a credential.
pub(super) const UNAUTHENTICATED: &str = "system:unauthenticated";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_names_are_literal_subdomains() {
        let groups = [NODES.to_owned()];
        let node = |name| User { name, groups: &groups, extra: None }.node();
        assert_eq!(node("system:node:node-1.a"), Some("node-1.a"));
        for odd in [
            "system:node:",
            "system:node:*",
            "system:node:A",
            "system:node:a/b",
            "system:node:a,b",
            "system:node:a..b",
            "system:node:-a",
        ] {
            assert_eq!(node(odd), None, "{odd}");
        }
        assert_eq!(User { name: "system:node:n", groups: &[], extra: None }.node(), None);
    }
}

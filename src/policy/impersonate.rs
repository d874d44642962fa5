//! Acting as somebody else: every part that is asked must be granted to the real identity, below its ceiling (contract 5.9).
//!
//! Since 1.36 there are two ways. The constrained modes ask twice, whether this may be done as somebody
//! (`impersonate-on:<mode>:<verb>`) and whether as this one (`impersonate:<mode>`); the old `impersonate` still suffices. The
//! first refusal is the one that is shown.

use super::Reach;
use super::ask::{Ask, MASTERS, NODE_PREFIX, User, is_subdomain};
use super::authorizer::{Authorizer, backend};
use super::denied::Denied;
use crate::identity::{self, Asked, Caller, service_account};
use crate::request::{Resource, Target};

/// How somebody may be impersonated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    AssociatedNode,
    ArbitraryNode,
    ServiceAccount,
    UserInfo,
    Legacy,
}

impl Authorizer {
    /// The caller as whom it asked to be; unchanged when it asked nothing.
    ///
    /// # Errors
    /// The first refusal, in kube-apiserver's words.
    pub(super) fn impersonate(&self, caller: Caller, ask: &Ask<'_>) -> Result<Caller, Denied> {
        let Some(asked) = caller.asked().cloned() else { return Ok(caller) };
        let mut first = None;
        for mode in modes(&caller, &asked) {
            match self.allows(&caller, &asked, (mode, ask)) {
                Ok(()) => return Ok(identity::assert(caller)),
                Err(denied) => first = first.or(Some(denied)),
            }
        }
        Err(first.unwrap_or_else(|| backend(&User::from(&**caller.real()), ask, String::new(), &"none".into())))
    }

    fn allows(&self, caller: &Caller, asked: &Asked, (mode, ask): (Mode, &Ask<'_>)) -> Result<(), Denied> {
        if let Some(name) = mode.name() {
            let verb = format!("impersonate-on:{name}:{}", ask.verb.text);
            self.check(caller, &ask.doing(&verb), "")?;
        }
        let verb = mode.verb();
        for (target, objection) in targets(asked, mode) {
            self.check(caller, &Ask::new(&verb, &target), objection)?;
        }
        Ok(())
    }

    fn check(&self, caller: &Caller, ask: &Ask<'_>, objection: &str) -> Result<(), Denied> {
        let real = User::from(&**caller.real());
        let component = self.capped(caller, ask, Reach::AsAsked)?;
        if !objection.is_empty() {
            return Err(backend(&real, ask, objection.to_owned(), &component));
        }
        self.granted(&real, ask).map(drop).map_err(|reason| backend(&real, ask, reason, &component))
    }
}

impl Mode {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::AssociatedNode => Some("associated-node"),
            Self::ArbitraryNode => Some("arbitrary-node"),
            Self::ServiceAccount => Some("serviceaccount"),
            Self::UserInfo => Some("user-info"),
            Self::Legacy => None,
        }
    }

    fn verb(self) -> String {
        self.name().map_or_else(|| "impersonate".to_owned(), |name| format!("impersonate:{name}"))
    }
}

/// The modes that apply, in the order in which they are tried.
fn modes(caller: &Caller, asked: &Asked) -> Vec<Mode> {
    let bare = asked.uid().is_empty() && asked.groups().is_empty() && asked.extra().is_empty();
    let mut modes = Vec::new();
    match (node_of(asked.user()), service_account(asked.user())) {
        (Some(node), _) if bare => {
            let of_node = caller.real().extra().get("authentication.kubernetes.io/node-name");
            let own = service_account(caller.real().user()).is_some() && of_node.is_some_and(|names| *names == [node]);
            modes.extend(own.then_some(Mode::AssociatedNode));
            modes.push(Mode::ArbitraryNode);
        }
        (None, Some(_)) if bare => modes.push(Mode::ServiceAccount),
        (None, None) => modes.push(Mode::UserInfo),
        _ => {}
    }
    modes.push(Mode::Legacy);
    modes
}

/// Everything that must be allowed, each with an objection that stands whatever is allowed; empty for none.
fn targets(asked: &Asked, mode: Mode) -> Vec<(Target, &'static str)> {
    let legacy = mode == Mode::Legacy;
    let core = if legacy { "" } else { AUTHENTICATION };
    let mut targets = Vec::new();
    let mut user = part(core, "users", asked.user());
    match (node_of(asked.user()), service_account(asked.user())) {
        (Some(node), _) if !legacy => user = part(core, "nodes", if mode == Mode::AssociatedNode { "*" } else { node }),
        (_, Some((namespace, name))) => {
            user = Resource { namespace: namespace.to_owned(), ..part(core, "serviceaccounts", name) }
        }
        _ => {}
    }
    // The groups of a node are not the credential's to give yet; only the old verb makes one.
    let of_node = if matches!(mode, Mode::AssociatedNode | Mode::ArbitraryNode) {
        "nodes are impersonated with the verb impersonate only"
    } else {
        ""
    };
    targets.push((user, of_node));
    if !asked.uid().is_empty() {
        targets.push((part(AUTHENTICATION, "uids", asked.uid()), ""));
    }
    for group in asked.groups() {
        let objection = match group.as_str() {
            "" if !legacy => "impersonating the empty string group is not allowed",
            MASTERS if !legacy => "impersonating the system:masters group is not allowed",
            _ => "",
        };
        targets.push((part(core, "groups", group), objection));
    }
    for (key, value) in asked.extra().iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value))) {
        let objection = match (key.as_str(), value.as_str()) {
            _ if legacy => "",
            ("", _) => "impersonating the empty string key in extra is not allowed",
            (_, "") => "impersonating the empty string value in extra is not allowed",
            (key, _) if !is_qualified(key) => "impersonating an invalid key in extra is not allowed",
            _ => "",
        };
        targets.push((Resource { subresource: key.clone(), ..part(AUTHENTICATION, "userextras", value) }, objection));
    }
    targets.into_iter().map(|(resource, objection)| (Target::Resource(resource), objection)).collect()
}

fn part(group: &str, resource: &str, name: &str) -> Resource {
    let version = "v1".to_owned();
    Resource { group: group.to_owned(), version, resource: resource.to_owned(), name: name.to_owned(), ..Resource::default() }
}

/// Whether a key is a lower-case path below a domain.
fn is_qualified(key: &str) -> bool {
    let is_path = |path: &str| !path.is_empty() && path.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase());
    key.split_once('/').is_some_and(|(domain, path)| is_subdomain(domain) && is_path(path))
}

fn node_of(user: &str) -> Option<&str> {
    user.strip_prefix(NODE_PREFIX).filter(|node| is_subdomain(node))
}

const AUTHENTICATION: &str = "authentication.k8s.io";

//! Ceilings: which component somebody is, and what that component may do at most.
//!
//! A ceiling never grants and caps everybody, `system:masters` too. Knows neither roles nor bindings that exist; see
//! [`super::facts`].

use std::sync::Arc;

use hashbrown::HashMap;

use super::Reach;
use super::ask::{ACCOUNT_PREFIX, ANONYMOUS, Ask, UNAUTHENTICATED, User};
use super::denied::{Refuser, Step};
use super::file;
use super::profile::{Effect, Profile};
use super::rule::Pattern;
use crate::identity::Proof;

/// All components of a configuration, compiled. Immutable.
#[derive(Debug)]
pub struct Ceilings {
    components: Vec<Component>,
    users: Index,
    groups: Index,
    patterns: Vec<(Who, usize)>,
    rest: Rest,
}

/// A component: somebody with a name, a credential of some kind and a ceiling.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) name: Arc<str>,
    pub(super) proof: file::Proof,
    pub(super) profile: Arc<Profile>,
}

/// Whom a component is.
#[derive(Debug)]
pub(super) enum Who {
    User(Pattern),
    Group(Pattern),
    /// A service account's namespace and name.
    Account(Pattern, Pattern),
}

/// The refusal of a ceiling and the verb it is about.
#[derive(Debug)]
pub(super) struct Capped<'a> {
    pub(super) refuser: Refuser,
    pub(super) verb: &'a str,
}

/// The components of those that no other names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    pub(super) workload: usize,
    pub(super) none: usize,
    pub(super) anonymous: usize,
}

type Index = HashMap<Box<str>, usize, foldhash::quality::RandomState>;

impl Ceilings {
    pub(super) fn new(rest: [Component; 3]) -> Self {
        let rest_places = Rest { workload: 0, none: 1, anonymous: 2 };
        Self {
            components: rest.into(),
            users: Index::default(),
            groups: Index::default(),
            patterns: Vec::new(),
            rest: rest_places,
        }
    }

    /// Adds a component after those added before: the first that means somebody wins.
    pub(super) fn add(&mut self, component: Component, whom: Vec<Who>) {
        let place = self.components.len();
        self.components.push(component);
        for who in whom {
            match who {
                Who::User(Pattern::Exact(user)) => {
                    self.users.entry(user).or_insert(place);
                }
                Who::Group(Pattern::Exact(group)) => {
                    self.groups.entry(group).or_insert(place);
                }
                Who::Account(Pattern::Exact(namespace), Pattern::Exact(name)) => {
                    self.users.entry(format!("{ACCOUNT_PREFIX}{namespace}:{name}").into()).or_insert(place);
                }
                who => self.patterns.push((who, place)),
            }
        }
    }

    /// The component's name for metrics and logs.
    pub fn component_of(&self, user: &User<'_>) -> Arc<str> {
        self.find(user).map_or_else(|| "none".into(), |component| Arc::clone(&component.name))
    }

    /// The names of all components, each once: the closed set of metric labels.
    pub fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.components.iter().map(|component| Arc::clone(&component.name)).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether all that `ask` can do stays below the ceiling of `user`: the component, and the rule that allows it.
    ///
    /// `proof` is the credential shown; `None` where none is expected of this identity (reviews, and the impersonated).
    pub(super) fn judge<'a>(
        &'a self,
        user: &User<'_>,
        proof: Option<&Proof>,
        ask: &Ask<'a>,
        reach: Reach,
    ) -> Result<(&'a Component, &'a str), Capped<'a>> {
        let capped = |name: &Arc<str>, step, rule: &str, verb| Capped {
            refuser: Refuser { step, component: Arc::clone(name), rule: rule.into() },
            verb,
        };
        let Some(component) = self.find(user) else {
            return Err(capped(&"none".into(), Step::Ceiling, "-", ask.verb.text));
        };
        if proof.is_some_and(|proof| !component.proof.accepts(proof)) {
            return Err(capped(&component.name, Step::Proof, "proof", ask.verb.text));
        }
        match component.profile.judge(ask, reach, user.node()) {
            Ok(rule) => Ok((component, rule)),
            Err(refused) => Err(capped(&component.name, refused.step, refused.rule, refused.verb)),
        }
    }

    /// Nobody without a credential is ever anything but `anonymous`; after that the order of the file decides.
    fn find(&self, user: &User<'_>) -> Option<&Component> {
        if user.name == ANONYMOUS || user.is_in(UNAUTHENTICATED) {
            return self.components.get(self.rest.anonymous);
        }
        let by_user = self.users.get(user.name).copied();
        let by_groups = user.groups.iter().filter_map(|group| self.groups.get(group.as_str()).copied());
        let by_pattern = self.patterns.iter().find(|(who, _)| who.means(user)).map(|(_, place)| *place);
        let rest = if user.service_account().is_some() { self.rest.workload } else { self.rest.none };
        let place = by_user.into_iter().chain(by_groups).chain(by_pattern).min().unwrap_or(rest);
        self.components.get(place)
    }
}

impl Default for Ceilings {
    /// The built-in components alone.
    fn default() -> Self {
        super::resolve::builtin()
    }
}

impl Who {
    fn means(&self, user: &User<'_>) -> bool {
        let like = |pattern: &Pattern, text: &str| pattern.matches(text, None).unwrap_or(false);
        match self {
            Self::User(pattern) => like(pattern, user.name),
            Self::Group(pattern) => user.groups.iter().any(|group| like(pattern, group)),
            Self::Account(namespace, name) => {
                user.service_account().is_some_and(|(own, account)| like(namespace, own) && like(name, account))
            }
        }
    }
}

impl file::Proof {
    fn accepts(self, shown: &Proof) -> bool {
        match self {
            Self::Any => true,
            Self::Certificate => matches!(shown, Proof::Certificate(_)),
            Self::Token => matches!(shown, Proof::Token(_)),
        }
    }
}

impl Effect {
    /// The list of the file.
    pub(super) fn list(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

//! The one who is asked: ceilings, then what grants.

use std::sync::Arc;

use super::ask::{Ask, MASTERS, User};
use super::ceiling::{Capped, Ceilings};
use super::denied::{Denied, Refuser, Step};
use super::facts::{Binding, Facts, Rules, aggregate};
use super::rbac;
use super::rule::Table;
use super::{Permit, Reach, Who, bootstrap, node};
use crate::identity::Caller;
use crate::live::Live;
use crate::request::{Attributes, Verb};

/// Decides, over the ceilings and the facts of the moment.
#[derive(Debug)]
pub struct Authorizer {
    /// The ceilings in force; a reload swaps them.
    pub ceilings: Live<Ceilings>,
    /// What the objects grant; the feeder swaps it.
    pub facts: Live<Facts>,
    mode: Mode,
    node_rules: Table,
}

/// What grants, below the ceilings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// RBAC and Node: the backend is ours.
    Builtin,
    /// Whoever answers: the ceilings alone are checked here.
    Upstream,
    /// Everything is allowed, the ceilings are not asked either. For tests.
    Open,
}

/// The answer to an access review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed.
    Allow {
        /// By what, in kube-apiserver's words; may be empty.
        reason: String,
    },
    /// Refused, whatever others would say.
    Deny {
        /// Why.
        reason: String,
    },
    /// Not allowed.
    NoOpinion {
        /// Why not; may be empty.
        reason: String,
    },
}

/// What granted.
pub(super) enum Granted {
    Always,
    Masters,
    Node,
    Binding(Arc<Binding>),
}

impl Authorizer {
    /// Decides over these ceilings and facts from now on.
    pub fn new(mode: Mode, ceilings: Ceilings, facts: Facts) -> Self {
        let bootstrap = bootstrap::load();
        let node = bootstrap.cluster_roles.iter().find(|role| role.metadata.name == "system:node");
        let node_rules = node.map(|role| rbac::compile(&role.rules)).unwrap_or_default();
        Self { ceilings: Live::new(ceilings), facts: Live::new(facts), mode, node_rules }
    }

    /// The permit for a request, impersonation included.
    ///
    /// # Errors
    /// The refusal: the ceiling of the real identity or of the impersonated one, or that nothing grants it.
    pub fn authorize(&self, caller: Caller, attributes: impl Into<Arc<Attributes>>, reach: Reach) -> Result<Permit, Denied> {
        let attributes = attributes.into();
        let ask = Ask::of(&attributes);
        let caller = self.impersonate(caller, &ask)?;
        let component = self.capped(&caller, &ask, reach)?;
        let effective = User::from(&**caller.effective());
        self.granted(&effective, &ask).map_err(|reason| backend(&effective, &ask, reason, &component))?;
        let creation = match attributes.verb {
            Verb::Update | Verb::Patch => self.creation(&caller, &ask.doing("create"), &component).map(Arc::new),
            _ => None,
        };
        Ok(Permit { who: Who::Caller(caller, component), attributes, creation })
    }

    /// Whether what was permitted to `caller` still is: for what goes on longer than a request.
    pub fn holds(&self, caller: Caller, permit: &Permit) -> bool {
        self.authorize(caller, Arc::clone(&permit.attributes), Reach::AsAsked).is_ok()
    }

    /// Whether somebody who is not here may: the ceiling of the user, then what grants. For SubjectAccessReview and for
    /// admission.
    pub fn decide(&self, user: &User<'_>, ask: &Ask<'_>) -> Decision {
        if self.mode != Mode::Open && self.ceilings.load().judge(user, None, ask, Reach::AsAsked).is_err() {
            return Decision::NoOpinion { reason: String::new() };
        }
        match self.granted(user, ask) {
            Ok(Granted::Binding(binding)) => Decision::Allow { reason: binding.reason(user) },
            Ok(_) => Decision::Allow { reason: String::new() },
            Err(reason) => Decision::NoOpinion { reason },
        }
    }

    /// Whether the one who has this permit may also do something else: like [`Self::decide`], under the ceiling of the real
    /// identity too.
    pub fn decide_for(&self, permit: &Permit, ask: &Ask<'_>) -> Decision {
        let Some(caller) = permit.caller() else { return Decision::Allow { reason: String::new() } };
        if self.capped(caller, ask, Reach::AsAsked).is_err() {
            return Decision::NoOpinion { reason: String::new() };
        }
        self.decide(&User::from(&**caller.effective()), ask)
    }

    /// What RBAC grants `user` in `namespace`, for SelfSubjectRulesReview.
    pub fn rules(&self, user: &User<'_>, namespace: &str) -> Rules {
        let mut rules = self.facts.load().rules_for(user, namespace);
        if node::is_node(user) {
            rules.incomplete = true;
            rules.errors.insert(0, "node authorizer does not support user rule resolution".to_owned());
        }
        rules
    }

    /// The component of the real identity, when both identities stay below their ceilings.
    pub(super) fn capped(&self, caller: &Caller, ask: &Ask<'_>, reach: Reach) -> Result<Arc<str>, Denied> {
        let real = User::from(&**caller.real());
        if self.mode == Mode::Open {
            return Ok("open".into());
        }
        let ceilings = self.ceilings.load();
        let refused =
            |user: &User<'_>, Capped { refuser, verb }: Capped<'_>| Denied::new(user, &ask.doing(verb), String::new(), refuser);
        let (component, _) =
            ceilings.judge(&real, Some(caller.real().proof()), ask, reach).map_err(|capped| refused(&real, capped))?;
        if !Arc::ptr_eq(caller.real(), caller.effective()) {
            let effective = User::from(&**caller.effective());
            ceilings.judge(&effective, None, ask, reach).map_err(|capped| refused(&effective, capped))?;
        }
        Ok(Arc::clone(&component.name))
    }

    /// What grants it, ceilings aside.
    ///
    /// # Errors
    /// The reasons of those who were asked, as kube-apiserver joins them.
    pub(super) fn granted(&self, user: &User<'_>, ask: &Ask<'_>) -> Result<Granted, String> {
        if self.mode != Mode::Builtin {
            return Ok(Granted::Always);
        }
        if user.is_in(MASTERS) {
            return Ok(Granted::Masters);
        }
        self.facts.peek(|facts| {
            let Err(node) = node::decide(&facts.nodes, &self.node_rules, user, ask) else { return Ok(Granted::Node) };
            let errors = match facts.find(user, ask) {
                Ok(binding) => return Ok(Granted::Binding(Arc::clone(binding))),
                Err(errors) => errors,
            };
            let rbac = if errors.is_empty() { String::new() } else { format!("RBAC: {}", aggregate(&errors)) };
            Err([node, rbac].into_iter().filter(|reason| !reason.is_empty()).collect::<Vec<_>>().join("\n"))
        })
    }

    /// The refusal of a creation, where an update may turn out to be one.
    fn creation(&self, caller: &Caller, ask: &Ask<'_>, component: &Arc<str>) -> Option<Denied> {
        let effective = User::from(&**caller.effective());
        let capped = self.capped(caller, ask, Reach::AsAsked).err();
        let refused = || self.granted(&effective, ask).err().map(|reason| backend(&effective, ask, reason, component));
        capped.or_else(refused).map(Denied::of_creation)
    }
}

/// The refusal of what grants.
pub(super) fn backend(user: &User<'_>, ask: &Ask<'_>, reason: String, component: &Arc<str>) -> Denied {
    let refuser = Refuser { step: Step::Backend, component: Arc::clone(component), rule: "-".into() };
    Denied::new(user, ask, reason, refuser)
}

#[cfg(test)]
#[path = "authorizer_tests.rs"]
mod tests;

//! What somebody may do at most: allow rules, deny rules, and the profiles that are known by name.
//!
//! A request is judged by all that it can do (see [`Profile::judge`]); a profile never grants anything.

use smallvec::SmallVec;

use super::Reach;
use super::ask::{Ask, Parts, Thing, Word};
use super::bootstrap::{self, Bootstrap};
use super::denied::Step;
use super::rbac;
use super::rule::{Grammar, Match, Pattern, Place, Rule, Table};

/// A ceiling's rules, compiled.
#[derive(Debug)]
pub(super) struct Profile {
    base: Base,
    allow: Table,
    deny: Table,
}

/// What holds where no rule says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// Nothing but what is allowed.
    Nothing,
    /// Everything but what is denied.
    Everything,
}

/// Why a profile refuses: who, by which rule, and the verb that was missing.
#[derive(Debug)]
pub(super) struct Refused<'r> {
    pub(super) step: Step,
    pub(super) rule: &'r str,
    pub(super) verb: &'r str,
}

/// A profile of the table, and whom it is for.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) component: String,
    pub(super) users: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) accounts: Vec<String>,
    pub(super) lines: Vec<Line>,
}

/// One rule of a profile before it is compiled.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) effect: Effect,
    pub(super) rule: rbac::Rule,
    pub(super) namespaces: Vec<String>,
    pub(super) field: Option<(String, String)>,
    pub(super) label: String,
}

/// Whether a rule allows or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

type Deeds<'a> = SmallVec<[Ask<'a>; 4]>;

impl Profile {
    /// Compiles the rules.
    pub(super) fn new(base: Base, lines: &[Line]) -> Self {
        let mut profile = Self { base, allow: Table::new(Grammar::Ceiling), deny: Table::new(Grammar::Ceiling) };
        for line in lines {
            let table = if line.effect == Effect::Deny { &mut profile.deny } else { &mut profile.allow };
            table.add(line.compile(), Place { resources: &line.rule.resources, paths: &line.rule.non_resource_urls });
        }
        profile
    }

    /// Whether all that the request can do stays below the ceiling; the label of the rule that allows it, `unlimited` where it is
    /// the base.
    ///
    /// # Errors
    /// The deny rule that one of the deeds meets, or the verb that no rule allows.
    pub(super) fn judge<'r>(&'r self, ask: &Ask<'r>, reach: Reach, node: Option<&str>) -> Result<&'r str, Refused<'r>> {
        if !self.deny.is_empty()
            && let Some(rule) = implied(ask, reach).iter().find_map(|deed| self.deny.find(deed, node, Match::Possibly))
        {
            return Err(Refused { step: Step::Deny, rule: &rule.label, verb: ask.verb.text });
        }
        if self.base == Base::Everything {
            return Ok("unlimited");
        }
        let allowed = self.allowed(ask, node).ok_or_else(|| missing(ask.verb.text))?;
        if let Some(deed) = needed(ask, reach) {
            self.allowed(&deed, node).ok_or_else(|| missing(deed.verb.text))?;
        }
        Ok(&allowed.label)
    }

    fn allowed(&self, deed: &Ask<'_>, node: Option<&str>) -> Option<&Rule> {
        let same = || self.allow.find(&same_by_another_name(deed)?, node, Match::Surely);
        self.allow.find(deed, node, Match::Surely).or_else(same)
    }
}

impl Line {
    /// A rule as RBAC writes it.
    pub(super) fn new(effect: Effect, rule: rbac::Rule, label: &str) -> Self {
        Self { effect, rule, namespaces: Vec::new(), field: None, label: label.to_owned() }
    }

    fn compile(&self) -> Rule {
        let mut rule = Rule::new(&self.rule.verbs, &self.rule.api_groups);
        rule.names = self.rule.resource_names.iter().map(|name| Pattern::parse(name)).collect();
        rule.namespaces = self.namespaces.iter().map(|namespace| Pattern::parse(namespace)).collect();
        rule.field = self.field.as_ref().map(|(field, value)| (field.clone(), Pattern::parse(value)));
        rule.label = self.label.as_str().into();
        rule
    }
}

/// The profiles of the table, in the order in which their components are tried.
pub(super) fn known() -> Vec<Known> {
    let bootstrap = bootstrap::load();
    let mut profiles: Vec<Known> = Vec::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["profile", name, words @ ..] => profiles.push(Known::read(name, words)),
            words => {
                if let Some(profile) = profiles.last_mut() {
                    profile.lines.extend(read_line(words, &profile.name, &bootstrap));
                }
            }
        }
    }
    profiles
}

/// The lines of `workload`: everything but the ways to become more than one is (DESIGN 7.1).
pub(super) fn workload() -> Vec<Line> {
    let rows = [
        ("impersonate", "impersonate * *"),
        ("impersonate", "impersonate * */*"),
        ("escalate", "escalate,bind * *"),
        ("nodes-proxy", "* - nodes/proxy"),
        ("csr-approval", "create,update,patch,delete certificates.k8s.io certificatesigningrequests/approval"),
        ("csr-signing", "create,update,patch,delete certificates.k8s.io certificatesigningrequests/status"),
        ("csr-signers", "approve,sign,attest certificates.k8s.io signers"),
    ];
    let deny = |(label, row): (&str, &str)| {
        let words: Vec<&str> = row.split_whitespace().collect();
        bootstrap::rule(&words).map(|rule| Line::new(Effect::Deny, rule, label))
    };
    rows.into_iter().filter_map(deny).collect()
}

/// The lines of `none`: what every authenticated user is granted anyway.
pub(super) fn none() -> Vec<Line> {
    of_roles("none", &["system:discovery", "system:public-info-viewer", "system:basic-user"])
}

/// The lines of `anonymous` where the file says nothing: health and version.
pub(super) fn anonymous() -> Vec<Line> {
    of_roles("anonymous", &["system:public-info-viewer"])
}

impl Known {
    fn read(name: &str, words: &[&str]) -> Self {
        let named = |key: &str| words.iter().filter_map(|word| word.strip_prefix(key)).map(str::to_owned).collect::<Vec<_>>();
        Self {
            name: name.to_owned(),
            component: named("component=").pop().unwrap_or_else(|| name.to_owned()),
            users: named("user="),
            groups: named("group="),
            accounts: named("account="),
            lines: Vec::new(),
        }
    }
}

fn of_roles(label: &str, roles: &[&str]) -> Vec<Line> {
    let bootstrap = bootstrap::load();
    roles.iter().flat_map(|role| role_lines(role, label, &bootstrap)).collect()
}

fn read_line(words: &[&str], profile: &str, bootstrap: &Bootstrap) -> Vec<Line> {
    match words {
        ["role", role] => role_lines(role, profile, bootstrap),
        ["deny", words @ ..] => {
            bootstrap::rule(words).map(|rule| Line::new(Effect::Deny, rule, &words.join(" "))).into_iter().collect()
        }
        [verbs, groups, resources, "-", namespaces] => {
            let line = bootstrap::rule(&[verbs, groups, resources]).map(|rule| Line::new(Effect::Allow, rule, profile));
            line.map(|line| Line { namespaces: bootstrap::list(namespaces), ..line }).into_iter().collect()
        }
        words => bootstrap::rule(words).map(|rule| Line::new(Effect::Allow, rule, profile)).into_iter().collect(),
    }
}

/// A bootstrap role's rules; those of a Role hold in its namespace only.
fn role_lines(role: &str, label: &str, bootstrap: &Bootstrap) -> Vec<Line> {
    let allow = |rule: &rbac::Rule| Line::new(Effect::Allow, rule.clone(), label);
    match role.split_once('/') {
        None => {
            let found = bootstrap.cluster_roles.iter().find(|known| known.metadata.name == role);
            found.into_iter().flat_map(|role| &role.rules).map(allow).collect()
        }
        Some((namespace, name)) => {
            let found = bootstrap.roles.iter().find(|known| known.metadata.name == name && known.metadata.namespace == namespace);
            let local = |rule| Line { namespaces: vec![namespace.to_owned()], ..allow(rule) };
            found.into_iter().flat_map(|role| &role.rules).map(local).collect()
        }
    }
}

/// Everything that the request can do, for denies: itself first.
///
/// A write that may create does; deleting many deletes each; an eviction deletes a pod; `bindings` is pods/binding; who lists or
/// watches gets; a stream into a container is the same whether it is opened by GET or by POST; constrained impersonation is
/// impersonation.
fn implied<'a>(ask: &Ask<'a>, reach: Reach) -> Deeds<'a> {
    let mut deeds = Deeds::from_slice(&[*ask]);
    deeds.extend(needed(ask, reach));
    deeds.extend(same_by_another_name(ask));
    let Thing::Resource(parts) = ask.thing else { return deeds };
    match ask.verb.text {
        "deletecollection" => deeds.push(ask.doing("delete")),
        "list" | "watch" => deeds.push(ask.doing("get")),
        "create" if is_stream(&parts) => deeds.push(ask.doing("get")),
        "create" if (parts.group, parts.resource, parts.subresource) == ("", "pods", "eviction") => {
            let pod = Parts { subresource: "", ..parts };
            deeds.push(Ask { verb: Word::new("delete"), thing: Thing::Resource(pod) });
        }
        verb if verb.starts_with("impersonate:") || verb.starts_with("impersonate-on:") => deeds.push(ask.doing("impersonate")),
        _ => {}
    }
    deeds
}

/// What must be allowed besides the request itself.
fn needed<'a>(ask: &Ask<'a>, reach: Reach) -> Option<Ask<'a>> {
    let Thing::Resource(parts) = ask.thing else { return None };
    match (reach, ask.verb.text) {
        (Reach::MayCreate, "update" | "patch") => Some(ask.doing("create")),
        (_, "get") if is_stream(&parts) => Some(ask.doing("create")),
        _ => None,
    }
}

fn is_stream(parts: &Parts<'_>) -> bool {
    parts.group.is_empty() && parts.resource == "pods" && matches!(parts.subresource, "exec" | "attach" | "portforward")
}

/// `create bindings` and `create pods/binding` do the same; the former names its pod in the body.
fn same_by_another_name<'a>(ask: &Ask<'a>) -> Option<Ask<'a>> {
    let Thing::Resource(parts) = ask.thing else { return None };
    let other = match (parts.group, parts.resource, parts.subresource, ask.verb.text) {
        ("", "bindings", "", "create") => Parts { resource: "pods", subresource: "binding", ..parts },
        ("", "pods", "binding", "create") => Parts { resource: "bindings", subresource: "", ..parts },
        _ => return None,
    };
    Some(Ask { thing: Thing::Resource(other), ..*ask })
}

fn missing(verb: &str) -> Refused<'_> {
    Refused { step: Step::Ceiling, rule: "-", verb }
}

const TABLE: &str = include_str!("profile.txt");

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;

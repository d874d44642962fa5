//! From the file to compiled ceilings, with all mistakes at once, each with its place.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ceiling::{Ceilings, Component, Who};
use super::file;
use super::profile::{self, Base, Effect, Known, Line, Profile};
use super::rbac;
use super::rule::{NODE, Pattern};

/// A compiled policy, and what is odd about the file but no mistake.
#[derive(Debug)]
pub struct Resolved {
    /// The ceilings.
    pub ceilings: Ceilings,
    /// Rules that say less than they seem to.
    pub warnings: Vec<Mistake>,
}

/// Something wrong in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where, below the policy: `components[2].allow[0].verbs`.
    pub path: String,
    /// What, in lower case.
    pub message: String,
}

impl file::Policy {
    /// The ceilings that the file describes, with the built-in components that it does not replace.
    ///
    /// # Errors
    /// All mistakes.
    pub fn resolve(&self) -> Result<Resolved, Vec<Mistake>> {
        let mut resolver = Resolver { file: self, known: profile::known().into(), mistakes: Vec::new(), warnings: Vec::new() };
        let ceilings = resolver.ceilings();
        if resolver.mistakes.is_empty() { Ok(Resolved { ceilings, warnings: resolver.warnings }) } else { Err(resolver.mistakes) }
    }
}

/// The built-in components alone.
pub(super) fn builtin() -> Ceilings {
    let file = file::Policy::default();
    Resolver { file: &file, known: profile::known().into(), mistakes: Vec::new(), warnings: Vec::new() }.ceilings()
}

struct Resolver<'f> {
    file: &'f file::Policy,
    known: Arc<[Known]>,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
}

/// A profile's rules before they are compiled.
struct Draft {
    base: Base,
    lines: Vec<Line>,
}

impl<'f> Resolver<'f> {
    fn ceilings(&mut self) -> Ceilings {
        self.check_names();
        let rest = [
            self.last("workload", Draft { base: Base::Everything, lines: profile::workload() }),
            self.last("none", Draft { base: Base::Nothing, lines: profile::none() }),
            self.last("anonymous", Draft { base: Base::Nothing, lines: profile::anonymous() }),
        ];
        let mut ceilings = Ceilings::new(rest);
        for (index, component) in self.file.components.iter().enumerate() {
            if let Some(whom) = component.matches.as_ref().filter(|_| !is_last(&component.name)) {
                let whom = self.whom(whom, &format!("components[{index}].match"));
                ceilings.add(self.component(component, index), whom);
            }
        }
        for known in Arc::clone(&self.known).iter() {
            match self.given(&known.component) {
                None => ceilings.add(builtin_component(&known.component, Base::Nothing, &known.lines), whom(known)),
                Some((index, component)) if component.matches.is_none() => {
                    ceilings.add(self.component(component, index), whom(known));
                }
                Some(_) => {}
            }
        }
        ceilings
    }

    fn given(&self, name: &str) -> Option<(usize, &'f file::Component)> {
        self.file.components.iter().enumerate().find(|(_, component)| component.name == name)
    }

    /// One of the three that always exist, as the file changes it or as it is.
    fn last(&mut self, name: &str, draft: Draft) -> Component {
        match self.given(name) {
            Some((index, component)) => self.component(component, index),
            None => builtin_component(name, draft.base, &draft.lines),
        }
    }

    fn component(&mut self, component: &file::Component, index: usize) -> Component {
        let path = format!("components[{index}]");
        if component.profile.is_none() && component.allow.is_empty() && !component.unlimited {
            self.mistake(&path, "say what it may do: profile, allow, or unlimited: true");
        }
        let rules = file::Profile {
            profile: component.profile.clone(),
            allow: component.allow.clone(),
            deny: component.deny.clone(),
            unlimited: component.unlimited,
        };
        let draft = self.profile(&rules, &path, &mut Vec::new());
        let profile = Arc::new(Profile::new(draft.base, &draft.lines));
        Component { name: component.name.as_str().into(), proof: component.proof, profile }
    }

    /// The rules of a profile and of those it extends; `seen` holds the names on the way.
    fn profile(&mut self, rules: &file::Profile, path: &str, seen: &mut Vec<String>) -> Draft {
        let mut draft = match &rules.profile {
            Some(name) => self.named(name, path, seen),
            None => Draft { base: Base::Nothing, lines: Vec::new() },
        };
        if rules.unlimited {
            draft.base = Base::Everything;
        }
        if rules.unlimited && !rules.allow.is_empty() {
            self.warn(&format!("{path}.allow"), "allows nothing that unlimited: true does not");
        }
        for (effect, list) in [(Effect::Allow, &rules.allow), (Effect::Deny, &rules.deny)] {
            for (index, rule) in list.iter().enumerate() {
                let path = format!("{path}.{}[{index}]", effect.list());
                draft.lines.push(self.line(effect, rule, &path));
            }
        }
        draft
    }

    fn named(&mut self, name: &str, path: &str, seen: &mut Vec<String>) -> Draft {
        if seen.iter().any(|known| known == name) {
            self.mistake(&format!("{path}.profile"), &format!("{name:?} extends itself"));
            return Draft { base: Base::Nothing, lines: Vec::new() };
        }
        if let Some(rules) = self.file.profiles.get(name) {
            seen.push(name.to_owned());
            return self.profile(rules, &format!("profiles.{name}"), seen);
        }
        match name {
            "workload" => Draft { base: Base::Everything, lines: profile::workload() },
            "none" => Draft { base: Base::Nothing, lines: profile::none() },
            "anonymous" => Draft { base: Base::Nothing, lines: profile::anonymous() },
            _ => match self.known.iter().find(|known| known.name == name) {
                Some(known) => Draft { base: Base::Nothing, lines: known.lines.clone() },
                None => {
                    let names: Vec<&str> =
                        self.known.iter().map(|known| known.name.as_str()).filter(|name| !name.contains(':')).collect();
                    let message = format!("there is no profile {name:?}; built in are {}", names.join(", "));
                    self.mistake(&format!("{path}.profile"), &message);
                    Draft { base: Base::Nothing, lines: Vec::new() }
                }
            },
        }
    }

    fn line(&mut self, effect: Effect, rule: &file::Rule, path: &str) -> Line {
        self.check_rule(rule, path);
        self.check_meaning(effect, rule, path);
        let field = rule.field_selector.as_ref().and_then(|selector| {
            let pair = selector
                .split_once('=')
                .filter(|(field, value)| !field.is_empty() && !field.ends_with('!') && !value.contains(['=', ',']));
            if pair.is_none() {
                self.mistake(&format!("{path}.fieldSelector"), "must be one field=value");
            }
            pair.map(|(field, value)| (field.to_owned(), value.to_owned()))
        });
        let label = rule.name.clone().unwrap_or_else(|| path.rsplit('.').next().unwrap_or(path).to_owned());
        let rbac = rbac::Rule {
            verbs: rule.verbs.clone(),
            api_groups: rule.api_groups.clone(),
            resources: rule.resources.clone(),
            resource_names: rule.names.clone(),
            non_resource_urls: rule.non_resource_urls.clone(),
        };
        Line { namespaces: rule.namespaces.clone(), field, ..Line::new(effect, rbac, &label) }
    }

    fn check_rule(&mut self, rule: &file::Rule, path: &str) {
        if rule.verbs.is_empty() {
            self.mistake(&format!("{path}.verbs"), "must not be empty");
        }
        match (rule.resources.is_empty(), rule.non_resource_urls.is_empty()) {
            (true, true) => self.mistake(path, "say on what: resources, or nonResourceURLs"),
            (false, false) => self.mistake(path, "resources and nonResourceURLs need a rule each"),
            (false, true) if rule.api_groups.is_empty() => {
                self.mistake(&format!("{path}.apiGroups"), "must not be empty: [\"\"] is the core group, [\"*\"] any");
            }
            (true, false) if !(rule.names.is_empty() && rule.namespaces.is_empty() && rule.field_selector.is_none()) => {
                self.mistake(path, "paths have neither names, namespaces nor fields");
            }
            _ => {}
        }
        for resource in &rule.resources {
            let star = resource.contains('*') && resource != "*" && !resource.starts_with("*/") && !resource.ends_with("/*");
            if resource.is_empty() || star {
                self.mistake(
                    &format!("{path}.resources"),
                    &format!("{resource:?} is no resource: pods, pods/log, pods/*, */scale or *"),
                );
            }
        }
        for url in &rule.non_resource_urls {
            if !(url == "*" || url.starts_with('/')) || url.trim_end_matches('*').contains('*') {
                self.mistake(&format!("{path}.nonResourceURLs"), &format!("{url:?} is no path: a * may only end it"));
            }
        }
        let texts = rule.names.iter().chain(&rule.namespaces).chain(&rule.field_selector);
        for text in texts {
            if text.replacen(NODE, "", 1).contains("${") {
                self.mistake(path, &format!("{text:?} holds an unknown placeholder: ${{node}} is the only one, once"));
            }
            if text.contains(NODE) && text.contains('*') {
                self.mistake(path, &format!("{text:?} mixes ${{node}} and *"));
            }
        }
    }

    /// Rules that are written well and yet do not say what they seem to.
    fn check_meaning(&mut self, effect: Effect, rule: &file::Rule, path: &str) {
        let has = |verb: &str| rule.verbs.iter().any(|have| have == verb || have == "*");
        let named = !rule.names.is_empty();
        if effect == Effect::Allow && named && has("create") && !rule.verbs.iter().any(|verb| verb == "*") {
            self.warn(path, "names never allow a POST: its URL does not fix the object's name");
        }
        if effect == Effect::Deny && has("update") != has("patch") {
            self.warn(path, "update and patch do the same: deny both");
        }
        if effect == Effect::Deny && rule.field_selector.is_some() {
            self.warn(path, "matches every request whose selector does not exclude the value, single objects too");
        }
    }

    fn whom(&mut self, whom: &file::Match, path: &str) -> Vec<Who> {
        if whom.users.is_empty() && whom.groups.is_empty() && whom.service_accounts.is_empty() {
            self.mistake(path, "names nobody: users, groups or serviceAccounts");
        }
        let mut found = Vec::new();
        found.extend(whom.users.iter().map(|user| Who::User(Pattern::parse(user))));
        found.extend(whom.groups.iter().map(|group| Who::Group(Pattern::parse(group))));
        for account in &whom.service_accounts {
            match account.split_once('/') {
                Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                    found.push(Who::Account(Pattern::parse(namespace), Pattern::parse(name)));
                }
                _ => self.mistake(&format!("{path}.serviceAccounts"), &format!("{account:?} is no namespace/name")),
            }
        }
        if whom.users.iter().chain(&whom.groups).chain(&whom.service_accounts).any(|text| text.is_empty() || text.contains("${"))
        {
            self.mistake(path, "holds an empty text or a placeholder");
        }
        found
    }

    fn check_names(&mut self) {
        let mut seen = BTreeSet::new();
        for (index, component) in self.file.components.iter().enumerate() {
            let path = format!("components[{index}]");
            let name = component.name.as_str();
            if name.is_empty() || name.len() > 63 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                self.mistake(&format!("{path}.name"), &format!("{name:?} is no name: letters, digits and -, at most 63"));
            }
            if !seen.insert(name) {
                self.mistake(&format!("{path}.name"), &format!("{name:?} is there twice"));
            }
            let builtin = is_last(name) || self.known.iter().any(|known| known.component == name);
            match (&component.matches, is_last(name)) {
                (Some(_), true) => {
                    self.mistake(&format!("{path}.match"), &format!("{name} is whoever is left; it takes no match"))
                }
                (None, _) if !builtin => self.mistake(&format!("{path}.match"), "is missing"),
                _ => {}
            }
        }
    }

    fn mistake(&mut self, path: &str, message: &str) {
        push(&mut self.mistakes, path, message);
    }

    fn warn(&mut self, path: &str, message: &str) {
        push(&mut self.warnings, path, message);
    }
}

fn push(list: &mut Vec<Mistake>, path: &str, message: &str) {
    let mistake = Mistake { path: path.to_owned(), message: message.to_owned() };
    if !list.contains(&mistake) {
        list.push(mistake);
    }
}

fn builtin_component(name: &str, base: Base, lines: &[Line]) -> Component {
    Component { name: name.into(), proof: file::Proof::Any, profile: Arc::new(Profile::new(base, lines)) }
}

fn whom(known: &Known) -> Vec<Who> {
    let users = known.users.iter().map(|user| Who::User(Pattern::parse(user)));
    let groups = known.groups.iter().map(|group| Who::Group(Pattern::parse(group)));
    let accounts = known.accounts.iter().filter_map(|account| account.split_once('/'));
    let accounts = accounts.map(|(namespace, name)| Who::Account(Pattern::parse(namespace), Pattern::parse(name)));
    users.chain(groups).chain(accounts).collect()
}

/// The components of those that no other names.
fn is_last(name: &str) -> bool {
    matches!(name, "workload" | "none" | "anonymous")
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;

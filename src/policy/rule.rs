//! One compiled rule and the table that finds it: what RBAC roles and ceilings have in common.
//!
//! A rule is matched in one of two ways. *Surely*: every object that the request can reach is covered; so an allow matches.
//! *Possibly*: some object that the request can reach may be covered; so a deny matches.

use std::hash::{Hash, Hasher};

use hashbrown::{Equivalent, HashMap};
use smallvec::SmallVec;

use super::ask::{Ask, Parts, Thing, Word, bit};

/// Rules, found by resource.
#[derive(Debug, Default)]
pub(super) struct Table {
    grammar: Grammar,
    rules: Vec<Rule>,
    resources: HashMap<Key, Places, foldhash::quality::RandomState>,
    everything: Places,
    paths: Vec<(Path, u32)>,
}

/// Whose patterns the rules are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Grammar {
    /// RBAC's: `pods/*` is a name like any other.
    #[default]
    Rbac,
    /// The ceilings': `pods/*` is every subresource of pods.
    Ceiling,
}

/// A rule, compiled.
#[derive(Debug, Default)]
pub(super) struct Rule {
    verbs: Verbs,
    groups: Groups,
    pub(super) names: Vec<Pattern>,
    pub(super) namespaces: Vec<Pattern>,
    pub(super) field: Option<(String, Pattern)>,
    /// What logs and metrics call it.
    pub(super) label: Box<str>,
}

/// Text to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// This text.
    Exact(Box<str>),
    /// `*` stands for any text.
    Glob(Box<str>),
    /// The caller's node between two texts.
    Node(Box<str>, Box<str>),
}

/// How much of what a request can reach must a rule cover?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// All of it.
    Surely,
    /// Anything.
    Possibly,
}

/// Where a rule stands: its resources or its paths, as RBAC writes them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) resources: &'a [String],
    pub(super) paths: &'a [String],
}

type Places = SmallVec<[u32; 4]>;

#[derive(Debug, Default)]
struct Verbs {
    bits: u32,
    any: bool,
    others: Vec<Box<str>>,
}

#[derive(Debug, Default)]
struct Groups {
    any: bool,
    listed: Vec<Box<str>>,
}

#[derive(Debug)]
enum Path {
    Any,
    Exact(Box<str>),
    Prefix(Box<str>),
}

#[derive(Debug, PartialEq, Eq)]
struct Key {
    resource: Box<str>,
    subresource: Box<str>,
}

struct Sought<'a>(&'a str, &'a str);

impl Table {
    /// A table without rules.
    pub(super) fn new(grammar: Grammar) -> Self {
        Self { grammar, ..Self::default() }
    }

    /// Adds a rule to what was added before.
    pub(super) fn add(&mut self, rule: Rule, place: Place<'_>) {
        let index = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        self.rules.push(rule);
        for resource in place.resources {
            if resource == "*" {
                self.everything.push(index);
                continue;
            }
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            self.resources.entry(Key { resource: resource.into(), subresource: subresource.into() }).or_default().push(index);
        }
        for path in place.paths {
            let path = match path.strip_suffix('*') {
                Some("") => Path::Any,
                Some(prefix) => Path::Prefix(prefix.into()),
                None => Path::Exact(path.as_str().into()),
            };
            self.paths.push((path, index));
        }
    }

    /// The first rule that matches; `node` is the caller's, for rules that name it.
    pub(super) fn find(&self, ask: &Ask<'_>, node: Option<&str>, how: Match) -> Option<&Rule> {
        match ask.thing {
            Thing::Path(path) => self.find_path(path, ask.verb),
            Thing::Resource(parts) => {
                let covers = |index: &u32| {
                    let rule = self.rules.get(*index as usize)?;
                    rule.covers(ask.verb, &parts, (node, how)).then_some(rule)
                };
                self.candidates(&parts).find_map(covers)
            }
        }
    }

    /// All rules of a resource. `*/sub` needs an asked subresource; a combined `res/sub` in the resource is only matched as a
    /// whole.
    fn candidates(&self, parts: &Parts<'_>) -> impl Iterator<Item = &u32> {
        let (resource, subresource) = match parts.resource.split_once('/') {
            Some((resource, rest)) if parts.subresource.is_empty() => (resource, rest),
            _ => (parts.resource, parts.subresource),
        };
        let exact = self.resources.get(&Sought(resource, subresource));
        let by_subresource = match parts.subresource {
            "" => None,
            _ if resource == "*" => None,
            wanted => self.resources.get(&Sought("*", wanted)),
        };
        let every_subresource = match subresource {
            "" | EVERY => None,
            _ if self.grammar == Grammar::Rbac => None,
            _ => self.resources.get(&Sought(resource, EVERY)),
        };
        self.everything.iter().chain([exact, by_subresource, every_subresource].into_iter().flatten().flatten())
    }

    fn find_path(&self, path: &str, verb: Word<'_>) -> Option<&Rule> {
        let on_path = self.paths.iter().filter(|(pattern, _)| pattern.matches(path));
        on_path.filter_map(|(_, index)| self.rules.get(*index as usize)).find(|rule| rule.verbs.have(verb))
    }

    /// Whether there is no rule at all.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl Rule {
    /// A rule of these verbs and API groups, limited by nothing else.
    pub(super) fn new(verbs: &[String], groups: &[String]) -> Self {
        let mut rule = Self::default();
        for verb in verbs {
            match bit(verb) {
                _ if verb == "*" => rule.verbs.any = true,
                0 => rule.verbs.others.push(verb.as_str().into()),
                bit => rule.verbs.bits |= bit,
            }
        }
        for group in groups {
            if group == "*" {
                rule.groups.any = true;
            } else {
                rule.groups.listed.push(group.as_str().into());
            }
        }
        rule
    }

    fn covers(&self, verb: Word<'_>, parts: &Parts<'_>, (node, how): (Option<&str>, Match)) -> bool {
        self.verbs.have(verb)
            && self.groups.have(parts.group)
            && (self.names.is_empty() || covers(&self.names, parts.fixed_name().as_deref(), (node, how)))
            && (self.namespaces.is_empty() || self.covers_namespace(verb, parts, (node, how)))
            && self.field.as_ref().is_none_or(|(field, pattern)| {
                let fixed = if field == "metadata.name" { parts.fixed_name() } else { parts.fixed(field) };
                covers(std::slice::from_ref(pattern), fixed.as_deref(), (node, how))
            })
    }

    /// A request without a namespace reaches all of them, or an object that is in none.
    fn covers_namespace(&self, verb: Word<'_>, parts: &Parts<'_>, (node, how): (Option<&str>, Match)) -> bool {
        if !parts.namespace.is_empty() {
            return covers(&self.namespaces, Some(parts.namespace), (node, how));
        }
        let one_object = !parts.name.is_empty() && !matches!(verb.text, "list" | "watch" | "deletecollection");
        how == Match::Possibly && !one_object && !is_cluster_scoped(parts)
    }
}

impl Verbs {
    fn have(&self, verb: Word<'_>) -> bool {
        self.any || self.bits & verb.bit != 0 || (verb.bit == 0 && self.others.iter().any(|other| **other == *verb.text))
    }
}

impl Groups {
    fn have(&self, group: &str) -> bool {
        self.any || self.listed.iter().any(|listed| **listed == *group)
    }
}

impl Pattern {
    /// Text in which `*` is a wildcard and `${node}` the caller's node.
    pub(super) fn parse(text: &str) -> Self {
        match text.split_once(NODE) {
            Some((before, after)) => Self::Node(before.into(), after.into()),
            None if text.contains('*') => Self::Glob(text.into()),
            None => Self::Exact(text.into()),
        }
    }

    /// Whether `text` is meant. `None` where that hangs on a node, and the caller has none.
    pub(super) fn matches(&self, text: &str, node: Option<&str>) -> Option<bool> {
        Some(match self {
            Self::Exact(exact) => **exact == *text,
            Self::Glob(glob) => is_like(glob.as_bytes(), text.as_bytes()),
            Self::Node(before, after) => {
                let node = node?;
                text.strip_prefix(&**before).and_then(|rest| rest.strip_suffix(&**after)) == Some(node)
            }
        })
    }
}

impl Path {
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => **exact == *path,
            Self::Prefix(prefix) => path.starts_with(&**prefix),
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Sought(&self.resource, &self.subresource).hash(state);
    }
}

impl Hash for Sought<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        self.1.hash(state);
    }
}

impl Equivalent<Key> for Sought<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.0 == &*key.resource && self.1 == &*key.subresource
    }
}

/// Whether one of the patterns means `value`. What is not fixed, or hangs on a node that is none, is possible but not sure.
fn covers(patterns: &[Pattern], value: Option<&str>, (node, how): (Option<&str>, Match)) -> bool {
    let unknown = how == Match::Possibly;
    let Some(value) = value else { return unknown };
    patterns.iter().any(|pattern| pattern.matches(value, node).unwrap_or(unknown))
}

/// Glob matching with `*` alone: greedy, with one place to come back to.
fn is_like(glob: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from, mut back) = (0, 0, None);
    while from < text.len() {
        match glob.get(at) {
            Some(b'*') => {
                back = Some((at + 1, from));
                at += 1;
            }
            Some(sign) if *sign == text[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((after, tried)) = back else { return false };
                back = Some((after, tried + 1));
                at = after;
                from = tried + 1;
            }
        }
    }
    glob[at..].iter().all(|sign| *sign == b'*')
}

/// Whether objects of a built-in resource are in no namespace. Others count as namespaced: a deny then covers more, never less.
fn is_cluster_scoped(parts: &Parts<'_>) -> bool {
    CLUSTER_SCOPED.contains(&(parts.group, parts.resource))
}

/// What stands for the caller's node in a rule.
pub(super) const NODE: &str = "${node}";

/// All subresources of one resource.
const EVERY: &str = "*";

const CLUSTER_SCOPED: [(&str, &str); 31] = [
    ("", "componentstatuses"),
    ("", "nodes"),
    ("", "persistentvolumes"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("apiregistration.k8s.io", "apiservices"),
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authentication.k8s.io", "tokenreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authorization.k8s.io", "subjectaccessreviews"),
    ("certificates.k8s.io", "certificatesigningrequests"),
    ("flowcontrol.apiserver.k8s.io", "flowschemas"),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
    ("networking.k8s.io", "ingressclasses"),
    ("networking.k8s.io", "ipaddresses"),
    ("networking.k8s.io", "servicecidrs"),
    ("node.k8s.io", "runtimeclasses"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("resource.k8s.io", "deviceclasses"),
    ("resource.k8s.io", "resourceslices"),
    ("scheduling.k8s.io", "priorityclasses"),
    ("storage.k8s.io", "csidrivers"),
    ("storage.k8s.io", "csinodes"),
    ("storage.k8s.io", "storageclasses"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (glob, text, like) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abbc", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXcYb", false),
            ("a", "ab", false),
            ("", "a", false),
            ("**", "x", true),
        ] {
            assert_eq!(is_like(glob.as_bytes(), text.as_bytes()), like, "{glob} {text}");
        }
    }
}

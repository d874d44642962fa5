//! The policy part of the configuration file, as written. Unknown keys are refused.
//!
//! Mirrors the YAML and checks nothing; [`Policy::resolve`] does.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Ceilings: who may do what at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Policy {
    /// Components, tried in this order before the built-in ones. One with a built-in name replaces it.
    pub components: Vec<Component>,
    /// Profiles that components name.
    pub profiles: BTreeMap<String, Profile>,
}

/// One component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Component {
    /// Its name, which is a label of metrics.
    pub name: String,
    /// Who it is. Absent for a built-in name: those who are it anyway.
    #[serde(default, rename = "match")]
    pub matches: Option<Match>,
    /// The credential it must show.
    #[serde(default)]
    pub proof: Proof,
    /// A profile, by name: one of the file, or a built-in one.
    #[serde(default)]
    pub profile: Option<String>,
    /// Allowed besides the profile.
    #[serde(default)]
    pub allow: Vec<Rule>,
    /// Refused, whatever else allows it.
    #[serde(default)]
    pub deny: Vec<Rule>,
    /// No ceiling but the denies.
    #[serde(default)]
    pub unlimited: bool,
}

/// Who a component is: any of these. `*` stands for any text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Match {
    /// User names.
    pub users: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
    /// Service accounts as `namespace/name`.
    pub service_accounts: Vec<String>,
}

/// The kind of credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Proof {
    /// Whichever.
    #[default]
    Any,
    /// A client certificate.
    Certificate,
    /// A token.
    Token,
}

/// Rules under a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Profile {
    /// The profile that this one extends.
    pub profile: Option<String>,
    /// Allowed.
    pub allow: Vec<Rule>,
    /// Refused, whatever else allows it.
    pub deny: Vec<Rule>,
    /// No ceiling but the denies.
    pub unlimited: bool,
}

/// One rule: verbs on resources, or verbs on paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// What metrics and logs call it.
    pub name: Option<String>,
    /// Verbs, or `*`.
    pub verbs: Vec<String>,
    /// API groups: `""` is the core group, `*` any.
    pub api_groups: Vec<String>,
    /// `pods`, `pods/log`, `pods/*`, `*/scale` or `*`.
    pub resources: Vec<String>,
    /// Object names; `*` and `${node}` are understood. Empty: any.
    pub names: Vec<String>,
    /// Namespaces, likewise.
    pub namespaces: Vec<String>,
    /// `field=value`: what the request's field selector must require; `${node}` is understood.
    pub field_selector: Option<String>,
    /// Paths; a `*` at the end stands for the rest.
    #[serde(rename = "nonResourceURLs")]
    pub non_resource_urls: Vec<String>,
}

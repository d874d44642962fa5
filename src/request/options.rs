//! The options of a request, read from its query; bodies of deletions fill the same type.

use super::fault::Fault;
use super::query::{BadQuery, Query};
use super::quote::{is_printable, quote};
use super::selector::{FieldSelector, LabelSelector, SelectorError};

/// The options of list, watch and deletecollection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Which labels; matches everything by default.
    pub label_selector: LabelSelector,
    /// Which fields; matches everything by default.
    pub field_selector: FieldSelector,
    /// Whether events are asked for.
    pub watch: bool,
    /// Whether the watcher takes bookmarks.
    pub allow_watch_bookmarks: bool,
    /// As given; empty, `0`, or a revision.
    pub resource_version: String,
    /// As given; empty, `Exact` or `NotOlderThan`.
    pub resource_version_match: String,
    /// Seconds after which a watch ends, or a list must.
    pub timeout_seconds: Option<i64>,
    /// The largest page; zero and less stand for none.
    pub limit: i64,
    /// The token of the next page.
    pub continue_token: String,
    /// Whether a watch begins with the state as events.
    pub send_initial_events: Option<bool>,
}

/// The options of get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetOptions {
    /// As given; empty, `0`, or a revision.
    pub resource_version: String,
}

/// The options of create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateOptions {
    /// All values of `dryRun`; only `All` is valid.
    pub dry_run: Vec<String>,
    /// Who changes; empty when it is to be made from the User-Agent.
    pub field_manager: String,
    /// As given; see [`FieldValidation::parse`].
    pub field_validation: String,
}

/// The options of update.
pub type UpdateOptions = CreateOptions;

/// The options of patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchOptions {
    /// What it shares with create and update.
    pub write: UpdateOptions,
    /// Whether an apply takes fields over from other managers.
    pub force: Option<bool>,
}

/// Whether a patch is an apply; they take different options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum PatchManner {
    Apply,
    Other,
}

/// The options of delete and deletecollection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Seconds; zero is at once.
    pub grace_period_seconds: Option<i64>,
    /// `Orphan`, `Background` or `Foreground` when valid.
    pub propagation_policy: Option<String>,
    /// The older form of the policy.
    pub orphan_dependents: Option<bool>,
    /// All values of `dryRun`; only `All` is valid.
    pub dry_run: Vec<String>,
    /// What must still be so.
    pub preconditions: Precondition,
}

/// What must hold for a deletion to happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition {
    /// The object's uid.
    pub uid: Option<String>,
    /// The object's version.
    pub resource_version: Option<String>,
}

/// What is done about unknown and duplicate fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

impl ListOptions {
    /// Reads a query. Numbers are read before selectors.
    ///
    /// # Errors
    /// A number or a selector that cannot be read.
    pub fn parse(query: &Query<'_>) -> Result<Self, BadQuery> {
        let timeout_seconds = query.number("timeoutSeconds")?;
        let limit = query.number("limit")?.unwrap_or_default();
        Ok(Self {
            label_selector: LabelSelector::parse(query.first("labelSelector").unwrap_or_default())?,
            field_selector: FieldSelector::parse(query.first("fieldSelector").unwrap_or_default())?,
            watch: query.flag("watch").unwrap_or_default(),
            allow_watch_bookmarks: query.flag("allowWatchBookmarks").unwrap_or_default(),
            resource_version: query.text("resourceVersion"),
            resource_version_match: query.text("resourceVersionMatch"),
            timeout_seconds,
            limit,
            continue_token: query.text("continue"),
            send_initial_events: query.flag("sendInitialEvents"),
        })
    }

    /// The combinations that are refused, as for `ListOptions.meta.k8s.io`. A watch has rules of its own.
    pub fn faults(&self) -> Vec<Fault> {
        if self.watch { self.watch_faults() } else { self.list_faults() }
    }

    fn list_faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let matching = self.resource_version_match.as_str();
        if !matching.is_empty() {
            if self.resource_version.is_empty() {
                faults.push(Fault::forbidden(MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
            }
            if !self.continue_token.is_empty() {
                faults.push(Fault::forbidden(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
            }
            if !matches!(matching, "Exact" | "NotOlderThan") {
                faults.push(Fault::unsupported(MATCH, &quote(matching), &["Exact", "NotOlderThan", ""]));
            }
            if matching == "Exact" && self.resource_version == "0" {
                let detail = r#"resourceVersionMatch "exact" is forbidden for resourceVersion "0""#;
                faults.push(Fault::forbidden(MATCH, detail));
            }
        }
        if self.send_initial_events.is_some() {
            faults.push(Fault::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        }
        faults
    }

    fn watch_faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let matching = self.resource_version_match.as_str();
        if self.send_initial_events.is_some() && matching != "NotOlderThan" {
            faults.push(Fault::forbidden(MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
        }
        if !matching.is_empty() {
            if self.send_initial_events.is_none() {
                let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                faults.push(Fault::forbidden(MATCH, detail));
            }
            if matching != "NotOlderThan" {
                faults.push(Fault::unsupported(MATCH, &quote(matching), &["NotOlderThan"]));
            }
            if !self.continue_token.is_empty() {
                faults.push(Fault::forbidden(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
            }
        }
        faults
    }
}

impl GetOptions {
    /// Reads a query.
    pub fn parse(query: &Query<'_>) -> Self {
        Self { resource_version: query.text("resourceVersion") }
    }
}

impl CreateOptions {
    /// Reads a query.
    pub fn parse(query: &Query<'_>) -> Self {
        Self {
            dry_run: query.all("dryRun").map(str::to_owned).collect(),
            field_manager: query.text("fieldManager"),
            field_validation: query.text("fieldValidation"),
        }
    }

    /// Whether nothing is to be stored.
    pub fn is_dry_run(&self) -> bool {
        !self.dry_run.is_empty()
    }

    /// The values that are refused, as for `CreateOptions.meta.k8s.io` and `UpdateOptions.meta.k8s.io`.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = manager_faults(&self.field_manager);
        faults.extend(dry_run_fault(&self.dry_run));
        if FieldValidation::parse(&self.field_validation).is_none() {
            let supported = ["", "Ignore", "Strict", "Warn"];
            faults.push(Fault::unsupported("fieldValidation", &quote(&self.field_validation), &supported));
        }
        faults
    }
}

impl PatchOptions {
    /// Reads a query.
    pub fn parse(query: &Query<'_>) -> Self {
        Self { write: UpdateOptions::parse(query), force: query.flag("force") }
    }

    /// The values that are refused, as for `PatchOptions.meta.k8s.io`.
    pub fn faults(&self, manner: PatchManner) -> Vec<Fault> {
        let mut faults = Vec::new();
        match manner {
            PatchManner::Apply if self.write.field_manager.is_empty() => {
                faults.push(Fault::required("fieldManager", "is required for apply patch"));
            }
            PatchManner::Other if self.force.is_some() => {
                faults.push(Fault::forbidden("force", "may not be specified for non-apply patch"));
            }
            PatchManner::Apply | PatchManner::Other => {}
        }
        faults.extend(self.write.faults());
        faults
    }
}

impl DeleteOptions {
    /// Reads a query; used when the body is empty.
    ///
    /// # Errors
    /// A number that cannot be read.
    pub fn parse(query: &Query<'_>) -> Result<Self, BadQuery> {
        Ok(Self {
            grace_period_seconds: query.number("gracePeriodSeconds")?,
            propagation_policy: query.first("propagationPolicy").map(str::to_owned),
            orphan_dependents: query.flag("orphanDependents"),
            dry_run: query.all("dryRun").map(str::to_owned).collect(),
            preconditions: Precondition {
                uid: query.first("uid").filter(|uid| !uid.is_empty()).map(str::to_owned),
                resource_version: None,
            },
        })
    }

    /// Whether nothing is to be stored.
    pub fn is_dry_run(&self) -> bool {
        !self.dry_run.is_empty()
    }

    /// The values that are refused, as for `DeleteOptions.meta.k8s.io`.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Some(policy) = &self.propagation_policy {
            if self.orphan_dependents.is_some() {
                let detail = "orphanDependents and deletionPropagation cannot be both set";
                faults.push(Fault::invalid("propagationPolicy", policy, detail));
            }
            if !matches!(policy.as_str(), "Foreground" | "Background" | "Orphan") {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                faults.push(Fault::unsupported("propagationPolicy", &quote(policy), &supported));
            }
        }
        faults.extend(dry_run_fault(&self.dry_run));
        faults
    }
}

impl FieldValidation {
    /// Reads the option; the empty value is `Warn`.
    pub fn parse(value: &str) -> Option<Self> {
        match value {
            "" | "Warn" => Some(Self::Warn),
            "Ignore" => Some(Self::Ignore),
            "Strict" => Some(Self::Strict),
            _ => None,
        }
    }
}

impl From<SelectorError> for BadQuery {
    fn from(error: SelectorError) -> Self {
        Self(error.to_string())
    }
}

fn manager_faults(manager: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    if manager.len() > MANAGER_LIMIT {
        faults.push(Fault::too_long("fieldManager", MANAGER_LIMIT));
    }
    for (position, char) in manager.char_indices().filter(|(_, char)| !is_printable(*char)).take(MANAGER_LIMIT) {
        let detail = format!("invalid character U+{:04X} (at position {position})", char as u32);
        faults.push(Fault::invalid("fieldManager", manager, &detail));
    }
    faults
}

fn dry_run_fault(values: &[String]) -> Option<Fault> {
    if values.iter().all(|value| value == "All") {
        return None;
    }
    let shown = serde_json::to_string(values).unwrap_or_default();
    Some(Fault::unsupported("dryRun", &shown, &["All"]))
}

const MATCH: &str = "resourceVersionMatch";

/// Bytes.
const MANAGER_LIMIT: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn show(faults: &[Fault]) -> String {
        let faults: Vec<_> = faults.iter().map(|fault| format!("{}: {}", fault.field, fault.message)).collect();
        faults.join(" | ")
    }

    #[test]
    fn list_combinations() {
        let unless = "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided";
        #[rustfmt::skip]
        let rows = [
            ("", String::new()),
            ("resourceVersion=5&resourceVersionMatch=Exact", String::new()),
            ("resourceVersionMatch=Exact", unless.to_owned()),
            ("resourceVersionMatch=NotOlderThan&sendInitialEvents=true", format!("{unless} | sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list")),
            ("resourceVersion=0&resourceVersionMatch=Exact", r#"resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0""#.to_owned()),
            ("resourceVersion=5&resourceVersionMatch=Exact&continue=x", "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided".to_owned()),
            ("resourceVersion=5&resourceVersionMatch=Newest", r#"resourceVersionMatch: Unsupported value: "Newest": supported values: "Exact", "NotOlderThan", """#.to_owned()),
            ("watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", String::new()),
            ("watch=1&sendInitialEvents=true", "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan".to_owned()),
            ("watch=1&resourceVersionMatch=NotOlderThan", "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided".to_owned()),
        ];
        for (query, expected) in rows {
            let options = ListOptions::parse(&Query::parse(query)).unwrap();
            assert_eq!(show(&options.faults()), expected, "{query}");
        }
    }

    #[test]
    fn lists_that_cannot_be_read() {
        #[rustfmt::skip]
        let rows = [
            ("limit=ten", r#"strconv.ParseInt: parsing "ten": invalid syntax"#),
            ("timeoutSeconds=&limit=ten", r#"strconv.ParseInt: parsing "": invalid syntax"#),
            ("labelSelector=a%3D%3D%3Db", "unable to parse requirement: found '=', expected: identifier"),
            ("fieldSelector=a", "invalid selector: 'a'; can't understand 'a'"),
        ];
        for (query, expected) in rows {
            assert_eq!(ListOptions::parse(&Query::parse(query)).unwrap_err().0, expected, "{query}");
        }
    }

    #[test]
    fn write_options() {
        let long = "x".repeat(129);
        #[rustfmt::skip]
        let rows = [
            ("dryRun=All&dryRun=All&fieldManager=kubectl&fieldValidation=Strict", PatchManner::Apply, ""),
            ("dryRun=Some", PatchManner::Other, r#"dryRun: Unsupported value: ["Some"]: supported values: "All""#),
            ("dryRun=", PatchManner::Other, r#"dryRun: Unsupported value: [""]: supported values: "All""#),
            ("fieldValidation=Maybe", PatchManner::Other, r#"fieldValidation: Unsupported value: "Maybe": supported values: "", "Ignore", "Strict", "Warn""#),
            ("", PatchManner::Apply, "fieldManager: Required value: is required for apply patch"),
            ("force=true", PatchManner::Other, "force: Forbidden: may not be specified for non-apply patch"),
            ("fieldManager=a%00", PatchManner::Other, r#"fieldManager: Invalid value: "a\x00": invalid character U+0000 (at position 1)"#),
            (&format!("fieldManager={long}"), PatchManner::Other, "fieldManager: Too long: may not be more than 128 bytes"),
        ];
        for (query, manner, expected) in rows {
            assert_eq!(show(&PatchOptions::parse(&Query::parse(query)).faults(manner)), expected, "{query}");
        }
    }

    #[test]
    fn delete_options() {
        let read = |query| DeleteOptions::parse(&Query::parse(query));
        let full = read("gracePeriodSeconds=0&propagationPolicy=Orphan&dryRun=All&uid=u").unwrap();
        assert_eq!(full.grace_period_seconds, Some(0));
        assert_eq!(full.preconditions.uid.as_deref(), Some("u"));
        assert!(full.is_dry_run() && full.faults().is_empty());
        let policy =
            r#"propagationPolicy: Unsupported value: "Whatever": supported values: "Foreground", "Background", "Orphan", "nil""#;
        assert_eq!(show(&read("propagationPolicy=Whatever").unwrap().faults()), policy);
        let both = r#"propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set"#;
        assert_eq!(show(&read("propagationPolicy=Orphan&orphanDependents=false").unwrap().faults()), both);
        assert!(read("gracePeriodSeconds=x").is_err());
    }
}

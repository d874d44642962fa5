//! Fields that a configuration would take from other managers.

use std::fmt::Write;

use super::managed::{Entry, Operation, Owner};
use super::set::{FieldSet, show};
use crate::schema::quote::quote;

/// A field that another manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Who owns it.
    pub owner: Owner<'static>,
    /// Of an update: the version it was written in. Empty for an apply.
    pub api_version: String,
    /// `.spec.template.spec.containers[name="a"].image`
    pub field: String,
}

/// All that stands against a configuration, grouped by manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflicts {
    conflicts: Vec<Conflict>,
}

/// The fields of one entry that would be taken.
pub(super) struct Clash {
    pub(super) identifier: String,
    pub(super) owner: Owner<'static>,
    pub(super) api_version: String,
    pub(super) fields: FieldSet<'static>,
}

impl Conflict {
    /// The message of its cause: `conflict with "kubectl" using apps/v1`. The reason of the cause is `FieldManagerConflict`.
    pub fn message(&self) -> String {
        format!("conflict with {}", self.who())
    }

    fn who(&self) -> String {
        let mut text = quote(&self.owner.manager);
        if !self.owner.subresource.is_empty() {
            text = format!("{text} with subresource {}", quote(&self.owner.subresource));
        }
        if self.owner.operation == Operation::Update {
            text = format!("{text} using {}", self.api_version);
        }
        text
    }
}

impl Conflicts {
    /// One by one, in the order of the message.
    pub fn iter(&self) -> impl Iterator<Item = &Conflict> {
        self.conflicts.iter()
    }

    /// The message of the Status.
    pub fn message(&self) -> String {
        if let [only] = &self.conflicts[..] {
            return format!("Apply failed with 1 conflict: {}: {}", only.message(), only.field);
        }
        let mut text = format!("Apply failed with {} conflicts: ", self.conflicts.len());
        for (place, group) in self.conflicts.chunk_by(|one, next| one.who() == next.who()).enumerate() {
            let between = if place > 0 { "\n" } else { "" };
            let _ = write!(text, "{between}conflicts with {}:", group[0].who());
            for conflict in group {
                let _ = write!(text, "\n- {}", conflict.field);
            }
        }
        text
    }

    pub(super) fn of(mut clashes: Vec<Clash>) -> Self {
        clashes.sort_by(|mine, theirs| mine.identifier.cmp(&theirs.identifier));
        let conflicts = clashes.iter().flat_map(|clash| {
            clash.fields.paths().into_iter().map(|path| Conflict {
                owner: clash.owner.clone(),
                api_version: clash.api_version.clone(),
                field: show(&path),
            })
        });
        Self { conflicts: conflicts.collect() }
    }
}

impl Clash {
    pub(super) fn of(entry: &Entry<'_>, fields: FieldSet<'_>) -> Self {
        let owner = &entry.owner;
        Self {
            identifier: entry.identifier(),
            owner: Owner {
                manager: owner.manager.to_string().into(),
                operation: owner.operation,
                subresource: owner.subresource.to_string().into(),
            },
            api_version: if owner.operation == Operation::Update { entry.api_version.to_string() } else { String::new() },
            fields: fields.into_owned(),
        }
    }
}

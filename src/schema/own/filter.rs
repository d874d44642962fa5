//! Which fields of a request are tracked at all: what a strategy resets, nobody can own through it.

use super::element::Element;
use super::set::FieldSet;

/// The fields that a resource or subresource lets its clients own.
#[derive(Clone, Debug, Default)]
pub enum Filter {
    /// All.
    #[default]
    All,
    /// All but these and what is below them: `.status` of a main resource, `.spec` of `/status`.
    Without(FieldSet<'static>),
    /// Only these and what is below them: `/resize`, `/ephemeralcontainers`.
    Only(Vec<Pattern>),
}

/// A path of names; `None` is any element.
pub type Pattern = &'static [Option<&'static str>];

impl Filter {
    /// All but these paths of names and what is below them.
    pub fn without(paths: &[&[&'static str]]) -> Self {
        if paths.is_empty() { Self::All } else { Self::Without(FieldSet::of(paths)) }
    }

    /// What of a set is tracked.
    #[must_use]
    pub fn apply<'a>(&self, mut set: FieldSet<'a>) -> FieldSet<'a> {
        match self {
            Self::All => set,
            Self::Without(fields) => set.recursive_difference(fields),
            Self::Only(patterns) => {
                only(&mut set, patterns);
                set
            }
        }
    }
}

/// Each pattern begins at this level of the set.
fn only(set: &mut FieldSet<'_>, patterns: &[&[Option<&str>]]) {
    set.retain(|entry| {
        let here = patterns.iter().filter_map(|pattern| pattern.split_first());
        let rest: Vec<_> = here.filter(|(step, _)| fits(step, &entry.element)).map(|(_, rest)| rest).collect();
        entry.member &= !rest.is_empty();
        if rest.iter().all(|rest| !rest.is_empty()) {
            only(&mut entry.children, &rest);
        }
    });
}

fn fits(step: &Option<&str>, element: &Element<'_>) -> bool {
    match (step, element) {
        (None, _) => true,
        (Some(name), Element::Field(field)) => field == name,
        _ => false,
    }
}

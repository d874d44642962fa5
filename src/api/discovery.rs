//! Discovery, plain and aggregated: documents made once from the catalogue.

use super::catalog::Catalog;

pub(super) struct Documents {}

impl Documents {
    pub(super) fn of(_catalog: &Catalog) -> Self {
        Self {}
    }
}

pub(super) fn knows(catalog: &Catalog, group: &str) -> bool {
    catalog.groups().iter().any(|known| known.name == group)
}

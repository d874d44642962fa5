//! For tests of kinds: the faults and warnings of an object as a client would be told.

use serde_json::{Value, json};

use super::{Part, check_create, check_update, default, prepare_update, warn};
use crate::api::catalog::Catalog;
use crate::api::error::FieldError;

/// The faults of a new object of `group/plural`, which needs no metadata.
pub(super) fn faults(kind: &str, fragment: Value) -> Vec<String> {
    let catalog = Catalog::builtin();
    let kind = find(&catalog, kind);
    let mut object = named(kind.namespaced, fragment);
    default(kind, &mut object);
    kind.schema.normalise(&mut object);
    texts(&check_create(kind, &object))
}

/// The faults of a change; those that all kinds have left out.
pub(super) fn changes(kind: &str, part: Part, new: Value, old: Value) -> Vec<String> {
    let catalog = Catalog::builtin();
    let kind = find(&catalog, kind);
    let [mut new, mut old] = [new, old].map(|fragment| {
        let mut object = named(kind.namespaced, fragment);
        object["metadata"]["resourceVersion"] = json!("1");
        default(kind, &mut object);
        kind.schema.normalise(&mut object);
        object
    });
    prepare_update(kind, part, &mut new, &old);
    for object in [&mut new, &mut old] {
        kind.schema.normalise(object);
    }
    texts(&check_update(kind, part, &new, &old))
}

/// The warnings of a new object.
pub(super) fn warnings(kind: &str, fragment: Value) -> Vec<String> {
    let catalog = Catalog::builtin();
    let kind = find(&catalog, kind);
    let mut object = named(kind.namespaced, fragment);
    default(kind, &mut object);
    kind.schema.normalise(&mut object);
    let mut warnings = Vec::new();
    warn(kind, &object, None, &mut warnings);
    warnings
}

fn find<'c>(catalog: &'c Catalog, kind: &str) -> &'c crate::api::catalog::Kind {
    let (group, plural) = kind.split_once('/').unwrap_or(("", kind));
    let version = ["v1", "v1beta1"].into_iter().find_map(|version| catalog.find(group, version, plural));
    version.unwrap_or_else(|| panic!("no {kind}"))
}

fn named(namespaced: bool, mut object: Value) -> Value {
    if object["metadata"]["name"].is_null() {
        object["metadata"]["name"] = json!("x");
    }
    if namespaced && object["metadata"]["namespace"].is_null() {
        object["metadata"]["namespace"] = json!("default");
    }
    object
}

fn texts(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

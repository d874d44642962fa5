//! Which objects of a space a list or watch is about.

use super::catalog::Kind;
use super::object::{BY_NAME, BY_NAMESPACE, BY_NODE, Object};
use super::route::Route;
use crate::request::{FieldSelector, LabelSelector, ListOptions};
use crate::status::Status;

/// Namespace, name, labels and fields that an object must have.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    /// Empty: any.
    namespace: String,
    /// Empty: any.
    name: String,
    labels: LabelSelector,
    fields: FieldSelector,
    /// For kinds served in another form than stored: selectable names as the stored form has them.
    aliases: Vec<(String, String)>,
}

impl Selection {
    /// What a route and the options of its list or watch select.
    ///
    /// # Errors
    /// 400 for fields that the kind cannot be selected by.
    pub(super) fn of(route: &Route, options: ListOptions) -> Result<Self, Status> {
        let kind = &route.kind;
        for term in options.field_selector.terms() {
            let known = matches!(term.field.as_str(), "metadata.name" | "metadata.namespace");
            if !known && !kind.habits.selectable.contains(&term.field) {
                return Err(unknown_field(kind, &term.field));
            }
        }
        let fixed = |field| options.field_selector.requires_exact(field).filter(|value| !value.is_empty()).map(str::to_owned);
        let asked = if kind.namespaced { fixed("metadata.namespace").unwrap_or_default() } else { String::new() };
        let namespace = if route.namespace.is_empty() { asked } else { route.namespace.clone() };
        let name = if route.name.is_empty() { fixed("metadata.name").unwrap_or_default() } else { route.name.clone() };
        let aliases = if kind.is_stored_form() { Vec::new() } else { aliases(kind) };
        Ok(Self { namespace, name, labels: options.label_selector, fields: options.field_selector, aliases })
    }

    /// Whether an object is selected. What cannot be decoded is, wherever its name fits: it must not disappear silently.
    pub(super) fn has(&self, object: &Object) -> bool {
        (self.namespace.is_empty() || object.namespace() == self.namespace)
            && (self.name.is_empty() || object.name() == self.name)
            && (object.fault().is_some() || self.matches(object))
    }

    /// Whether labels or fields are selected.
    pub(super) fn is_narrow(&self) -> bool {
        !self.labels.is_everything() || !self.fields.is_everything()
    }

    /// The one name within the space that can be selected.
    pub(super) fn single(&self, kind: &Kind) -> Option<String> {
        let fixed = !self.name.is_empty() && (!kind.namespaced || !self.namespace.is_empty());
        fixed.then(|| kind.name_in_space(&self.namespace, &self.name))
    }

    /// The beginning of all names within the space that can be selected: `default/`, or nothing.
    pub(super) fn prefix(&self) -> String {
        if self.namespace.is_empty() { String::new() } else { format!("{}/", self.namespace) }
    }

    /// The value that wakes a watcher of this selection, the most telling one.
    pub(super) fn trigger(&self, kind: &Kind) -> Option<(u8, String)> {
        if let Some(name) = self.single(kind) {
            return Some((BY_NAME, name));
        }
        let nodes =
            self.fields.terms().iter().filter(|term| term.equal && kind.is_stored_form() && kind.fields.is_trigger(&term.field));
        if let Some(node) = nodes.map(|term| term.value.clone()).next() {
            return Some((BY_NODE, node));
        }
        (!self.namespace.is_empty()).then(|| (BY_NAMESPACE, self.namespace.clone()))
    }

    fn matches(&self, object: &Object) -> bool {
        self.labels.matches(|key| object.label(key)) && self.fields.matches(|name| object.field(self.stored_name(name)))
    }

    fn stored_name<'n>(&'n self, name: &'n str) -> &'n str {
        self.aliases.iter().find(|(served, _)| served == name).map_or(name, |(_, stored)| stored)
    }
}

/// Served and stored names of the selectable fields, for the kinds where they differ (events of `events.k8s.io`).
fn aliases(kind: &Kind) -> Vec<(String, String)> {
    let stored = |name: &str| match name.strip_prefix("regarding.") {
        Some(rest) => Some(format!("involvedObject.{rest}")),
        None if name == "reportingController" => Some("reportingComponent".to_owned()),
        None => None,
    };
    kind.habits.selectable.iter().filter_map(|name| Some((name.clone(), stored(name)?))).collect()
}

/// 400, in the words of the kind.
fn unknown_field(kind: &Kind, field: &str) -> Status {
    Status::bad_request(match (kind.habits.selectable.is_empty(), kind.kind.as_str()) {
        (true, _) => format!("\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""),
        (false, "Job") => format!("field label \"{field}\" not supported for Job"),
        (false, _) => format!("field label not supported: {field}"),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::api::catalog::Catalog;
    use crate::api::route::Action;
    use crate::request::Query;
    use crate::store::Revision;

    fn selection(group: &str, plural: &str, namespace: &str, query: &str) -> Result<(Selection, Arc<Kind>), Status> {
        let catalog = Catalog::builtin();
        let kind = Arc::clone(catalog.find(group, "v1", plural).expect("a kind"));
        let options = ListOptions::parse(&Query::parse(query)).expect("options");
        let route = Route {
            kind: Arc::clone(&kind),
            action: Action::List,
            namespace: namespace.to_owned(),
            name: String::new(),
            subresource: String::new(),
            rest: String::new(),
        };
        Ok((Selection::of(&route, options)?, kind))
    }

    #[test]
    fn the_trigger_is_the_most_telling() {
        for (group, plural, namespace, query, wanted) in [
            ("", "pods", "", "", None),
            ("", "pods", "n", "", Some((BY_NAMESPACE, "n"))),
            ("", "pods", "", "fieldSelector=metadata.namespace%3Dn", Some((BY_NAMESPACE, "n"))),
            ("", "pods", "", "fieldSelector=spec.nodeName%3Dn-1", Some((BY_NODE, "n-1"))),
            ("", "pods", "", "fieldSelector=spec.host%3Dn-1", Some((BY_NODE, "n-1"))),
            ("", "pods", "", "fieldSelector=spec.nodeName!%3Dn-1", None),
            ("", "pods", "n", "fieldSelector=metadata.name%3Dp,spec.nodeName%3Dx", Some((BY_NAME, "n/p"))),
            ("", "pods", "", "fieldSelector=metadata.name%3Dp", None),
            ("", "nodes", "", "fieldSelector=metadata.name%3Dn-1", Some((BY_NAME, "n-1"))),
        ] {
            let (selection, kind) = selection(group, plural, namespace, query).expect("a selection");
            assert_eq!(selection.trigger(&kind), wanted.map(|(field, value)| (field, value.to_owned())), "{plural} {query}");
        }
    }

    #[test]
    fn unknown_fields_are_refused_in_the_words_of_the_kind() {
        for (group, plural, query, wanted) in [
            (
                "",
                "configmaps",
                "fieldSelector=a%3Db",
                "\"a\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
            ),
            ("", "pods", "fieldSelector=a%3Db", "field label not supported: a"),
            ("batch", "jobs", "fieldSelector=a%3Db", "field label \"a\" not supported for Job"),
        ] {
            assert_eq!(selection(group, plural, "", query).map(drop).map_err(|refusal| refusal.message), Err(wanted.to_owned()));
        }
    }

    #[test]
    fn events_are_selected_by_the_names_of_either_group() {
        let catalog = Catalog::builtin();
        let json = r#"{"kind":"Event","apiVersion":"v1","metadata":{"name":"e","namespace":"n"},"involvedObject":{"name":"p"},"reportingComponent":"r"}"#;
        let stored = catalog.find("", "v1", "events").expect("events");
        let event = Object::from_stored(stored, &Bytes::from_static(json.as_bytes()), Revision(1)).expect("an event");
        for (group, query, wanted) in [
            ("", "fieldSelector=involvedObject.name%3Dp,source%3Dr", true),
            ("events.k8s.io", "fieldSelector=regarding.name%3Dp,reportingController%3Dr", true),
            ("events.k8s.io", "fieldSelector=regarding.name%3Dq", false),
        ] {
            assert_eq!(selection(group, "events", "", query).expect("a selection").0.has(&event), wanted, "{query}");
        }
    }
}

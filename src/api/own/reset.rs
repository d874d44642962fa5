//! What nobody can own through a part of an object, because the part does not keep what is sent of it: kube-apiserver's reset fields.

use crate::api::catalog::Kind;
use crate::api::kinds::Part;
use crate::schema::own::{Filter, Pattern};

/// What of the fields of a write is tracked.
pub(super) fn filter(kind: &Kind, part: Part) -> Filter {
    match part {
        Part::Whole => whole(kind),
        Part::Status => status(kind),
        Part::Finalize => Filter::without(&[&["status"]]),
        Part::Approval => Filter::without(&[&["spec"], &["status", "certificate"]]),
        Part::Ephemeral => Filter::Only(EPHEMERAL.to_vec()),
        Part::Resize => Filter::Only(RESIZE.to_vec()),
        Part::Scale | Part::Binding => Filter::All,
    }
}

fn whole(kind: &Kind) -> Filter {
    match resource(kind) {
        // The spec of a signing request never changes, and kube-apiserver says so of its creation too.
        ("certificates.k8s.io", "certificatesigningrequests") => Filter::without(&[&["spec"], &["status"]]),
        // kube-apiserver names a version here that there is not.
        ("networking.k8s.io", "servicecidrs") => Filter::All,
        _ if kind.habits.status => Filter::without(&[&["status"]]),
        _ => Filter::All,
    }
}

fn status(kind: &Kind) -> Filter {
    match resource(kind) {
        ("", "pods") => Filter::without(&[&["spec"], &["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]]),
        ("apps", "deployments") => Filter::without(&[&["spec"], &["metadata", "labels"]]),
        ("certificates.k8s.io", "certificatesigningrequests") => Filter::without(&[&["spec"], &["status", "conditions"]]),
        ("networking.k8s.io", "servicecidrs") => Filter::All,
        ("storage.k8s.io", "volumeattachments")
        | (
            "admissionregistration.k8s.io"
            | "apiextensions.k8s.io"
            | "apiregistration.k8s.io"
            | "flowcontrol.apiserver.k8s.io"
            | "internal.apiserver.k8s.io"
            | "resource.k8s.io"
            | "storagemigration.k8s.io",
            _,
        ) => Filter::without(&[&["metadata"], &["spec"]]),
        _ => Filter::without(&[&["spec"]]),
    }
}

fn resource(kind: &Kind) -> (&str, &str) {
    (&kind.group, &kind.plural)
}

const EPHEMERAL: &[Pattern] = &[&[Some("spec"), Some("ephemeralContainers")]];

const RESIZE: &[Pattern] = &[
    &[Some("spec"), Some("containers"), None, Some("resources")],
    &[Some("spec"), Some("containers"), None, Some("resizePolicy")],
    &[Some("spec"), Some("initContainers"), None, Some("resources")],
    &[Some("spec"), Some("initContainers"), None, Some("resizePolicy")],
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::catalog::Catalog;
    use crate::api::own::Tracker;
    use crate::schema::own::Sent;

    /// What the creator of an object, or the writer of one of its parts, comes to own.
    #[test]
    fn parts_own_what_they_keep() {
        let catalog = Catalog::builtin();
        let rows = [
            (
                ("", "pods"),
                Part::Whole,
                json!({"spec": {"nodeName": "n"}, "status": {"phase": "x"}}),
                json!({"f:spec": {"f:nodeName": {}}}),
            ),
            (
                ("", "pods"),
                Part::Status,
                json!({"metadata": {"labels": {"a": "b"}, "ownerReferences": [{"uid": "u"}]}, "spec": {"nodeName": "n"}, "status": {"phase": "x"}}),
                json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:status": {"f:phase": {}}}),
            ),
            (
                ("", "pods"),
                Part::Resize,
                json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}}]}}),
                json!({"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:resources": {".": {}, "f:limits": {".": {}, "f:cpu": {}}}}}}}),
            ),
            (
                ("apps", "deployments"),
                Part::Status,
                json!({"metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}}, "status": {"replicas": 1}}),
                json!({"f:metadata": {"f:annotations": {".": {}, "f:a": {}}}, "f:status": {"f:replicas": {}}}),
            ),
            (
                ("certificates.k8s.io", "certificatesigningrequests"),
                Part::Whole,
                json!({"metadata": {"labels": {"a": "b"}}, "spec": {"request": "YQ==", "signerName": "s/s"}}),
                json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}}),
            ),
            (
                ("", "nodes"),
                Part::Whole,
                json!({"metadata": {"labels": {"a": "b"}}, "status": {"phase": "x"}}),
                json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}}),
            ),
        ];
        for ((group, plural), part, object, expected) in rows {
            let kind = catalog.find(group, "v1", plural).expect("a kind");
            let tracker = Tracker::of(&catalog, (kind, part), "me");
            let mut object = object;
            object["apiVersion"] = Value::from(kind.api_version());
            object["kind"] = Value::from(kind.kind.as_str());
            object["metadata"]["name"] = Value::from("x");
            kind.schema.normalise(&mut object);
            tracker.created(&mut object, Sent::Nothing);
            let entries = object["metadata"]["managedFields"].as_array().expect("entries");
            assert_eq!(entries.len(), 1, "{plural}");
            assert_eq!(entries[0]["fieldsV1"], expected, "{plural} {part:?}");
            assert_eq!(entries[0]["subresource"].as_str().unwrap_or(""), part.subresource());
        }
    }
}

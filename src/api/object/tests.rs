use super::*;
use crate::api::catalog::Catalog;

fn pods() -> Arc<Kind> {
    Arc::clone(Catalog::builtin().find("", "v1", "pods").expect("pods"))
}

fn stored(kind: &Kind, json: &str, revision: u64) -> Object {
    Object::from_stored(kind, &Bytes::copy_from_slice(json.as_bytes()), Revision(revision)).expect("an object")
}

const POD: &str = concat!(
    r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"n","uid":"u-1","labels":{"app":"web","x":"\u003c"},"#,
    r#""annotations":{"k":"{\"name\":\"other\"}"}},"spec":{"nodeName":"n-1","hostNetwork":true,"containers":[{"name":"c"}]},"#,
    r#""status":{"phase":"Pending","conditions":[]}}"#
);

#[test]
fn indexes_in_one_pass() {
    let pod = stored(&pods(), POD, 41);
    let expect = POD.replacen("\"metadata\":{", "\"metadata\":{\"resourceVersion\":\"41\",", 1);
    assert_eq!(std::str::from_utf8(pod.bytes()), Ok(expect.as_str()));
    assert_eq!((pod.name(), pod.namespace(), pod.uid()), ("a", "n", "u-1"));
    assert_eq!((pod.label("app"), pod.label("x"), pod.label("y")), (Some("web"), Some("<"), None));
    for (field, value) in [
        ("spec.nodeName", Some("n-1")),
        ("spec.host", Some("n-1")),
        ("spec.hostNetwork", Some("true")),
        ("status.phase", Some("Pending")),
        ("status.podIP", Some("")),
        ("status.podIPs", Some("")),
        ("metadata.name", Some("a")),
        ("metadata.namespace", Some("n")),
        ("spec.color", None),
    ] {
        assert_eq!(pod.field(field), value, "{field}");
    }
    assert!(pod.metadata().starts_with(b"{\"resourceVersion\":\"41\",") && pod.metadata().ends_with(b"}\"}}"));
    assert!(pod.item().starts_with(b"\"metadata\":{\"resourceVersion\""));
    assert!(!pod.is_deleting());
}

#[test]
fn another_version_moves_the_index_along() {
    let pod = stored(&pods(), POD, 9);
    for revision in [1, 10, 123_456_789] {
        let moved = pod.at(Revision(revision));
        let fresh = stored(&pods(), POD, revision);
        assert_eq!(moved.bytes(), fresh.bytes());
        assert_eq!((moved.name(), moved.label("x"), moved.field("status.phase")), ("a", Some("<"), Some("Pending")));
        assert_eq!((moved.revision(), moved.metadata()), (Revision(revision), fresh.metadata()));
    }
}

#[test]
fn defaults_of_absent_fields() {
    let catalog = Catalog::builtin();
    for (group, plural, json, field, value) in [
        ("", "nodes", r#"{"kind":"Node","apiVersion":"v1","metadata":{}}"#, "spec.unschedulable", "false"),
        ("", "pods", r#"{"kind":"Pod","apiVersion":"v1","metadata":{}}"#, "spec.hostNetwork", "false"),
        (
            "batch",
            "jobs",
            r#"{"kind":"Job","apiVersion":"batch/v1","metadata":{},"status":{"succeeded":3}}"#,
            "status.successful",
            "3",
        ),
        ("batch", "jobs", r#"{"kind":"Job","apiVersion":"batch/v1","metadata":{},"status":{}}"#, "status.successful", "0"),
        ("", "events", r#"{"kind":"Event","apiVersion":"v1","metadata":{},"reportingComponent":"r","source":{}}"#, "source", "r"),
        (
            "",
            "events",
            r#"{"kind":"Event","apiVersion":"v1","metadata":{},"reportingComponent":"r","source":{"component":"c"}}"#,
            "source",
            "c",
        ),
    ] {
        let kind = catalog.find(group, "v1", plural).expect("a kind");
        assert_eq!(stored(kind, json, 1).field(field), Some(value), "{json}");
    }
}

#[test]
fn refuses_what_is_no_json() {
    let catalog = Catalog::builtin();
    let kind = catalog.find("", "v1", "configmaps").expect("config maps");
    let head = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"}"#;
    for (tail, fine) in [
        ("}", true),
        (",\"data\":{\"a\":\"1\"}}\n", true),
        (",\"data\":{\"a\":\"1\"}", false),
        (",\"data\":{\"a\":\"1\"]}", false),
        (",\"data\":{\"a\":\"1\",}}", false),
        (",\"data\":{\"a\":\"\u{1}\"}}", false),
        (",\"data\":{\"a\":\"\\q\"}}", false),
        (",\"x\":[1,2.5e3,-0,true,null]}", true),
        (",\"x\":[01]}", false),
        (",\"x\":[tru]}", false),
        ("}}", false),
    ] {
        let found = read::canonical(kind, &Bytes::from(format!("{head}{tail}")), Revision(1));
        assert_eq!(found.is_some(), fine, "{tail}");
    }
    let deep = format!("{head},\"x\":{}{}}}", "[".repeat(500), "]".repeat(500));
    assert!(read::canonical(kind, &Bytes::from(deep), Revision(1)).is_none());
}

#[test]
fn cuts_the_version_wherever_it_stands() {
    for (with, without) in [
        (
            r#"{"kind":"A","apiVersion":"v1","metadata":{"resourceVersion":"1"}}"#,
            r#"{"kind":"A","apiVersion":"v1","metadata":{}}"#,
        ),
        (
            r#"{"kind":"A","apiVersion":"v1","metadata":{"name":"a","resourceVersion":"1"}}"#,
            r#"{"kind":"A","apiVersion":"v1","metadata":{"name":"a"}}"#,
        ),
        (
            r#"{"kind":"A","apiVersion":"v1","metadata":{"resourceVersion":"1","uid":"u"}}"#,
            r#"{"kind":"A","apiVersion":"v1","metadata":{"uid":"u"}}"#,
        ),
        (
            r#"{"kind":"A","apiVersion":"v1","metadata":{"name":"a"}}"#,
            r#"{"kind":"A","apiVersion":"v1","metadata":{"name":"a"}}"#,
        ),
    ] {
        assert_eq!(String::from_utf8(read::without_version(with.into())).as_deref(), Ok(without));
    }
}

#[test]
fn what_cannot_be_read_keeps_its_name() {
    let object = Object::undecodable(b"default/broken", &Bytes::from_static(b"garbage"), Revision(3), "no JSON");
    assert_eq!(object.fault(), Some(("default/broken", "no JSON")));
    assert_eq!((object.namespace(), object.name(), object.at(Revision(4)).revision()), ("default", "broken", Revision(4)));
}

#[test]
fn numbers_stay_to_their_last_digit() {
    let kind = Arc::clone(Catalog::builtin().find("apps", "v1", "controllerrevisions").expect("controllerrevisions"));
    let text = concat!(
        r#"{"kind":"ControllerRevision","apiVersion":"apps/v1","metadata":{"name":"a"},"#,
        r#""data":{"x":-9.223372036820369e+23},"revision":1}"#
    );
    let value = stored(&kind, text, 7).value();
    assert_eq!(value["data"].to_string(), r#"{"x":-9.223372036820369e+23}"#);
}

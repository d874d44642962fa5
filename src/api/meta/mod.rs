//! `ObjectMeta`: what the server fills in, what stays as it was, what is refused (contract 3.1-3.3).
//!
//! Knows no kind: the rule for names comes from the caller.

pub(crate) mod name;

use std::collections::HashSet;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::error::FieldError;
use crate::request::is_printable;
use crate::status::Status;

/// Tells the faults of a name.
pub(crate) type NameRule = fn(&str) -> Vec<String>;

/// A text of `metadata`, empty when absent.
pub(crate) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object["metadata"][key].as_str().unwrap_or("")
}

/// The members of `metadata`, made when absent.
pub(crate) fn members(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let metadata = &mut object["metadata"];
    if !metadata.is_object() {
        *metadata = Value::Object(Map::new());
    }
    match metadata {
        Value::Object(members) => members,
        _ => unreachable!("made an object above"),
    }
}

/// Sets or, when empty, removes a text of `metadata`.
pub(crate) fn set(object: &mut Value, key: &str, text: &str) {
    let members = members(object);
    if text.is_empty() {
        members.remove(key);
    } else {
        members.insert(key.to_owned(), Value::from(text));
    }
}

/// The finalizers.
pub(crate) fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Replaces the finalizers.
pub(crate) fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    let members = members(object);
    if finalizers.is_empty() {
        members.remove("finalizers");
    } else {
        members.insert("finalizers".to_owned(), Value::from(finalizers));
    }
}

/// Whether a deletion has begun.
pub(crate) fn is_deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// The generation, 0 where none is kept.
pub(crate) fn generation(object: &Value) -> i64 {
    object["metadata"]["generation"].as_i64().unwrap_or(0)
}

/// The moment, as Kubernetes writes times: UTC, whole seconds.
pub(crate) fn now() -> String {
    time(jiff::Timestamp::now())
}

/// A moment as Kubernetes writes it.
pub(crate) fn time(moment: jiff::Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Takes away what clients may not choose on a create.
pub(crate) fn wipe(object: &mut Value) {
    let members = members(object);
    for key in ["creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        members.remove(key);
    }
}

/// Gives a new object its uid and its time.
pub(crate) fn fill(object: &mut Value) {
    let members = members(object);
    members.insert("uid".to_owned(), Value::from(Uuid::new_v4().to_string()));
    members.insert("creationTimestamp".to_owned(), Value::from(now()));
}

/// Makes the body's namespace the URL's; empty for objects at the cluster's scope.
///
/// # Errors
/// 400 when the body names another.
pub(crate) fn match_namespace(object: &mut Value, namespace: &str) -> Result<(), Status> {
    let own = text(object, "namespace");
    if own == namespace {
        return Ok(());
    }
    if !own.is_empty() && !namespace.is_empty() {
        return Err(Status::bad_request("the namespace of the provided object does not match the namespace sent on the request"));
    }
    set(object, "namespace", namespace);
    Ok(())
}

/// Confirms that the body names the object of the URL.
///
/// # Errors
/// 400 when it does not.
pub(crate) fn match_name(object: &Value, name: &str, namespace: &str) -> Result<(), Status> {
    let (own, own_namespace) = (text(object, "name"), text(object, "namespace"));
    if own.is_empty() {
        let message = format!("the name of the object ({name} based on URL) was undeterminable: name must be provided");
        return Err(Status::bad_request(message));
    }
    if own != name {
        let message = format!("the name of the object ({own}) does not match the name on the URL ({name})");
        return Err(Status::bad_request(message));
    }
    if !namespace.is_empty() && !own_namespace.is_empty() && own_namespace != namespace {
        let message =
            format!("the namespace of the object ({own_namespace}) does not match the namespace on the request ({namespace})");
        return Err(Status::bad_request(message));
    }
    Ok(())
}

/// A name from `base`: at most 58 bytes of it, then five random characters.
pub(crate) fn generate(base: &str) -> String {
    let mut end = base.len().min(58);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{}", &base[..end], random(5))
}

/// Random characters that form no words; at most six.
pub(crate) fn random(count: usize) -> String {
    let bytes = Uuid::new_v4();
    bytes.as_bytes().iter().take(count.min(6)).map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

/// Drops owner references that say the same twice.
pub(crate) fn dedup_owners(object: &mut Value, when: &str) -> Option<String> {
    let owners = object.get_mut("metadata")?.get_mut("ownerReferences")?.as_array_mut()?;
    let mut known = HashSet::new();
    let mut kept: Vec<Value> = Vec::with_capacity(owners.len());
    let mut doubled: Vec<String> = Vec::new();
    for owner in owners.drain(..) {
        if !known.insert(owner.to_string()) {
            doubled.push(owner["uid"].as_str().unwrap_or("").to_owned());
        } else {
            kept.push(owner);
        }
    }
    *owners = kept;
    if doubled.is_empty() {
        return None;
    }
    Some(format!(
        ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may reject such \
         requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        doubled.join(", ")
    ))
}

/// What an update cannot change takes the stored object's value, where kube-apiserver does so silently.
pub(crate) fn keep(new: &mut Value, old: &Value) {
    let old = &old["metadata"];
    let members = members(new);
    members.remove("selfLink");
    let mut restore = |key: &str| match &old[key] {
        Value::Null => members.remove(key),
        value => members.insert(key.to_owned(), value.clone()),
    };
    restore("creationTimestamp");
    restore("generation");
    if old["deletionTimestamp"].is_string() {
        restore("deletionTimestamp");
    }
    if members.get("uid").is_none_or(|uid| uid == "") {
        members.insert("uid".to_owned(), old["uid"].clone());
    }
    if old["deletionGracePeriodSeconds"].is_number() && !members.contains_key("deletionGracePeriodSeconds") {
        members.insert("deletionGracePeriodSeconds".to_owned(), old["deletionGracePeriodSeconds"].clone());
    }
}

/// The faults of `metadata`. `namespaced` tells whether a namespace must or must not be there.
pub(crate) fn check(object: &Value, rule: NameRule, namespaced: bool) -> Vec<FieldError> {
    check_named(object, &rule, namespaced)
}

/// The same, where what a name must be depends on the object.
pub(crate) fn check_named(object: &Value, rule: &dyn Fn(&str) -> Vec<String>, namespaced: bool) -> Vec<FieldError> {
    let metadata = &object["metadata"];
    let mut errors = Vec::new();
    let base = text(object, "generateName");
    if !base.is_empty() {
        // A name goes on after it: kube-apiserver looks at it without its last two characters.
        let masked = match base.char_indices().rev().nth(1) {
            Some((end, _)) if base.ends_with('-') => format!("{}a", &base[..end]),
            _ => base.to_owned(),
        };
        errors.extend(rule(&masked).iter().map(|fault| FieldError::invalid_text("metadata.generateName", base, fault)));
    }
    match text(object, "name") {
        "" => errors.push(FieldError::required("metadata.name", "name or generateName is required")),
        own => errors.extend(rule(own).iter().map(|fault| FieldError::invalid_text("metadata.name", own, fault))),
    }
    check_namespace(text(object, "namespace"), namespaced, &mut errors);
    if generation(object) < 0 {
        errors.push(FieldError::invalid("metadata.generation", &metadata["generation"], "must be greater than or equal to 0"));
    }
    check_labels(&metadata["labels"], "metadata.labels", &mut errors);
    check_annotations(&metadata["annotations"], "metadata.annotations", &mut errors);
    check_owners(&metadata["ownerReferences"], &mut errors);
    check_finalizers(&metadata["finalizers"], &mut errors);
    check_managers(&metadata["managedFields"], &mut errors);
    errors
}

/// The faults of a change of `metadata`.
pub(crate) fn check_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let (new, old) = (&new["metadata"], &old["metadata"]);
    let mut errors = Vec::new();
    if old["deletionTimestamp"].is_string() {
        check_no_new_finalizers(&new["finalizers"], &old["finalizers"], &mut errors);
    }
    if new["resourceVersion"].as_str().is_none_or(str::is_empty) {
        errors.push(FieldError::invalid_text("metadata.resourceVersion", "", "must be specified for an update"));
    }
    if new["generation"].as_i64().unwrap_or(0) < old["generation"].as_i64().unwrap_or(0) {
        errors.push(FieldError::invalid("metadata.generation", &new["generation"], "must not be decremented"));
    }
    for key in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        if new[key] != old[key] {
            errors.push(FieldError::invalid(format!("metadata.{key}"), &new[key], "field is immutable"));
        }
    }
    check_labels(&new["labels"], "metadata.labels", &mut errors);
    check_annotations(&new["annotations"], "metadata.annotations", &mut errors);
    check_owners(&new["ownerReferences"], &mut errors);
    check_managers(&new["managedFields"], &mut errors);
    errors
}

/// The faults of a change of `metadata` as kinds look for them: once more, and with the names of finalizers.
pub(crate) fn check_change(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = check_update(new, old);
    check_finalizer_names(&new["metadata"]["finalizers"], &mut errors);
    errors
}

/// The faults of `metadata` that are the same for every kind: any segment of a path is a name.
pub(crate) fn check_any(object: &Value, namespaced: bool) -> Vec<FieldError> {
    check_leniently(object, name::segment, namespaced)
}

/// The faults of `metadata`, where a finalizer needs no domain.
pub(crate) fn check_leniently(object: &Value, rule: NameRule, namespaced: bool) -> Vec<FieldError> {
    let mut errors = check(object, rule, namespaced);
    let path = "metadata.finalizers[";
    errors.retain(|error| !error.field.starts_with(path));
    errors
}

/// The faults of a map of labels at `path`.
pub(crate) fn check_labels(labels: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        errors.extend(name::qualified(key).iter().map(|fault| FieldError::invalid_text(path, key, fault)));
        let value = value.as_str().unwrap_or("");
        errors.extend(name::label_value(value).iter().map(|fault| FieldError::invalid_text(path, value, fault)));
    }
}

/// The faults of a map of annotations at `path`.
pub(crate) fn check_annotations(annotations: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        let lower = key.to_lowercase();
        errors.extend(name::qualified(&lower).iter().map(|fault| FieldError::invalid_text(path, key, fault)));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATION_BYTES {
        errors.push(FieldError::too_long(path, ANNOTATION_BYTES));
    }
}

fn check_namespace(namespace: &str, namespaced: bool, errors: &mut Vec<FieldError>) {
    let path = "metadata.namespace";
    match (namespaced, namespace) {
        (true, "") => errors.push(FieldError::required(path, "")),
        (true, own) => errors.extend(name::label(own).iter().map(|fault| FieldError::invalid_text(path, own, fault))),
        (false, "") => {}
        (false, _) => errors.push(FieldError::forbidden(path, "not allowed on this type")),
    }
}

fn check_owners(owners: &Value, errors: &mut Vec<FieldError>) {
    let path = "metadata.ownerReferences";
    let mut controller: Option<String> = None;
    for owner in owners.as_array().into_iter().flatten() {
        let field = |key: &str| owner[key].as_str().unwrap_or("");
        let version = field("apiVersion").rsplit('/').next().unwrap_or("");
        for (key, empty, fault) in [
            ("apiVersion", version.is_empty(), "version must not be empty"),
            ("kind", field("kind").is_empty(), "must not be empty"),
            ("name", field("name").is_empty(), "must not be empty"),
            ("uid", field("uid").is_empty(), "must not be empty"),
        ] {
            if empty {
                errors.push(FieldError::invalid_text(format!("{path}.{key}"), field(key), fault));
            }
        }
        if (field("apiVersion"), field("kind")) == ("v1", "Event") {
            errors.push(FieldError::invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner"));
        }
        if owner["controller"] == true {
            let this = format!("{}/{}", field("kind"), field("name"));
            match &controller {
                None => controller = Some(this),
                Some(first) => {
                    let fault = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                    );
                    errors.push(FieldError::invalid(path, owners, &fault));
                }
            }
        }
    }
}

fn check_finalizers(finalizers: &Value, errors: &mut Vec<FieldError>) {
    let path = "metadata.finalizers";
    let list: Vec<&str> = finalizers.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for finalizer in &list {
        errors.extend(name::qualified(finalizer).iter().map(|fault| FieldError::invalid_text(path, finalizer, fault)));
    }
    if list.contains(&ORPHAN) && list.contains(&FOREGROUND) {
        let fault = format!("finalizer {ORPHAN} and {FOREGROUND} cannot be both set");
        errors.push(FieldError::invalid(path, finalizers, &fault));
    }
    check_finalizer_names(finalizers, errors);
}

fn check_finalizer_names(finalizers: &Value, errors: &mut Vec<FieldError>) {
    let path = "metadata.finalizers";
    for (index, finalizer) in finalizers.as_array().into_iter().flatten().filter_map(Value::as_str).enumerate() {
        if !finalizer.contains('/') && ![ORPHAN, FOREGROUND, "kubernetes"].contains(&finalizer) {
            let fault = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid_text(format!("{path}[{index}]"), finalizer, fault));
        }
    }
}

/// The server writes the entries itself; what clients wrote into one it took over may still be wrong.
fn check_managers(entries: &Value, errors: &mut Vec<FieldError>) {
    for (place, entry) in entries.as_array().into_iter().flatten().enumerate() {
        let text = |member: &str| entry[member].as_str().unwrap_or("");
        let path = |member: &str| format!("metadata.managedFields[{place}].{member}");
        let (manager, subresource) = (text("manager"), text("subresource"));
        if manager.len() > MANAGER_BYTES {
            errors.push(FieldError::too_long(path("manager"), MANAGER_BYTES));
        }
        for (position, character) in manager.char_indices().filter(|(_, character)| !is_printable(*character)).take(MANAGER_BYTES)
        {
            let fault = format!("invalid character U+{:04X} (at position {position})", character as u32);
            errors.push(FieldError::invalid_text(path("manager"), manager, &fault));
        }
        if subresource.len() > SUBRESOURCE_BYTES {
            errors.push(FieldError::too_long(path("subresource"), SUBRESOURCE_BYTES));
        }
    }
}

fn check_no_new_finalizers(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    fn list(value: &Value) -> impl Iterator<Item = &str> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str)
    }
    let known: HashSet<&str> = list(old).collect();
    let mut added: Vec<&str> = list(new).filter(|name| !known.contains(name)).collect();
    if added.is_empty() {
        return;
    }
    added.sort();
    added.dedup();
    let quoted: Vec<String> = added.iter().map(|name| super::error::quoted(name)).collect();
    let fault = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        quoted.join(", ")
    );
    errors.push(FieldError::forbidden("metadata.finalizers", &fault));
}

/// The finalizer that keeps an object until its dependents have been orphaned.
pub(crate) const ORPHAN: &str = "orphan";

/// The finalizer that keeps an object until its dependents are gone.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";

const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const ANNOTATION_BYTES: usize = 256 * 1024;

/// Of the name of a manager.
const MANAGER_BYTES: usize = 128;

/// Of the name of a subresource in managedFields.
const SUBRESOURCE_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn generated_names() {
        let name = generate("gen-");
        assert_eq!(name.len(), 9);
        assert!(name[4..].bytes().all(|byte| ALPHABET.contains(&byte)));
        assert_eq!(generate(&"a".repeat(80)).len(), 63);
        assert_ne!(generate("x"), generate("x"));
    }

    #[test]
    fn namespaces_match() {
        for (own, url, expected) in [("", "a", Some("a")), ("a", "a", Some("a")), ("a", "", Some("")), ("a", "b", None)] {
            let mut object = json!({"metadata": {"namespace": own}});
            let outcome = match_namespace(&mut object, url);
            assert_eq!(outcome.is_ok().then(|| text(&object, "namespace")), expected, "{own} {url}");
        }
    }

    #[test]
    fn faults_of_metadata() {
        let rows = [
            (json!({"name": "a", "namespace": "n"}), ""),
            (json!({"namespace": "n"}), "metadata.name: Required value: name or generateName is required"),
            (json!({"name": "a"}), "metadata.namespace: Required value"),
            (json!({"name": "a", "namespace": "n", "finalizers": ["x"]}), "name is neither a standard finalizer name"),
            (json!({"name": "a", "namespace": "n", "finalizers": ["orphan", "foregroundDeletion"]}), "cannot be both set"),
            (
                json!({"name": "a", "namespace": "n", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": ""}]}),
                "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty",
            ),
            (json!({"name": "a", "namespace": "n", "generateName": "a-"}), ""),
            (
                json!({"name": "a", "namespace": "n", "annotations": {"k": "x".repeat(262_144)}}),
                "Too long: may not be more than 262144",
            ),
            (json!({"name": "a", "namespace": "n", "annotations": {"UPPER.example.com/K": "v"}}), ""),
        ];
        for (metadata, expected) in rows {
            let errors = check(&json!({"metadata": metadata}), name::subdomain, true);
            let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(all.is_empty(), expected.is_empty(), "{all:?}");
            assert!(all.join(" ").contains(expected), "{all:?} lacks {expected}");
        }
    }

    #[test]
    fn what_an_update_keeps_and_refuses() {
        let old = json!({"metadata": {"name": "a", "uid": "u", "creationTimestamp": "t", "generation": 2, "resourceVersion": "5",
            "deletionTimestamp": "d", "deletionGracePeriodSeconds": 30, "finalizers": ["a/b"]}});
        let mut new = json!({"metadata": {"name": "a", "resourceVersion": "5", "generation": 1, "finalizers": ["a/b", "c/d"]}});
        keep(&mut new, &old);
        assert_eq!(new["metadata"]["uid"], "u");
        assert_eq!(new["metadata"]["generation"], 2);
        let errors: Vec<String> = check_update(&new, &old).iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            [
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers \
              []string{\"c/d\"}"
            ]
        );
        new["metadata"]["uid"] = json!("other");
        new["metadata"]["finalizers"] = json!(["a/b"]);
        let errors: Vec<String> = check_update(&new, &old).iter().map(ToString::to_string).collect();
        assert_eq!(errors, ["metadata.uid: Invalid value: \"other\": field is immutable"]);
    }

    #[test]
    fn owners_are_told_once() {
        let mut object = json!({"metadata": {"ownerReferences": [{"uid": "1"}, {"uid": "1"}, {"uid": "2"}]}});
        let warning = dedup_owners(&mut object, "").unwrap_or_default();
        assert!(warning.ends_with("duplicate UID(s) observed: 1"), "{warning}");
        assert_eq!(object["metadata"]["ownerReferences"].as_array().map(Vec::len), Some(2));
    }
}

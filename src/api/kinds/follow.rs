//! What the server itself says in the status of an object once it or what it refers to is written: flow schemas and API services.
//!
//! Done before the write is answered, so that whoever wrote finds it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Part;
use crate::api::catalog::Kind;
use crate::api::object::Object;
use crate::api::registry::Aim;
use crate::api::{Api, error, meta, own};
use crate::policy::Permit;
use crate::store::{Expect, Outcome};

/// A condition as it should be.
struct Verdict {
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
}

/// After a write of the object `name`, or its deletion.
pub(crate) async fn follow(api: &Api, aim: &Aim<'_>, name: &str) {
    if aim.dry_run || !matches!(aim.part, Part::Whole) {
        return;
    }
    match (aim.kind.group.as_str(), aim.kind.plural.as_str()) {
        (FLOW, "flowschemas") => settle(api, aim, (aim.kind, name), schema).await,
        (FLOW, "prioritylevelconfigurations") => {
            let refers = |schema: &Value| schema["spec"]["priorityLevelConfiguration"]["name"] == name;
            each(api, aim, (FLOW, "flowschemas", name), &refers).await;
        }
        (REGISTRATION, "apiservices") => settle(api, aim, (aim.kind, name), service).await,
        ("", "services") => {
            let refers = |own: &Value| {
                let service = &own["spec"]["service"];
                service["name"] == name && service["namespace"] == aim.namespace
            };
            each(api, aim, (REGISTRATION, "apiservices", name), &refers).await;
        }
        _ => {}
    }
}

/// Settles every flow schema and API service: who wrote them may have ended before the server said its part.
pub(crate) async fn follow_all(api: &Api, permit: &Permit) {
    let judges: [(&str, &str, Judge); 2] = [(FLOW, "flowschemas", schema), (REGISTRATION, "apiservices", service)];
    for (group, plural, judge) in judges {
        let Some(kind) = api.catalog.find(group, "v1", plural) else { continue };
        let Some(storage) = &kind.storage else { continue };
        let aim = Aim { permit, kind, part: Part::Status, namespace: "", name: "", dry_run: false };
        for object in api.store.view().root(storage.space).items.values() {
            settle(api, &aim, (kind, object.name()), judge).await;
        }
    }
}

/// The condition of a new flow schema whose level is there.
pub(crate) fn dangling(level: &str) -> Value {
    let mut object = json!({});
    level_is(level, true).change(&mut object);
    object["status"]["conditions"][0].take()
}

/// Settles all objects of a kind that refer to what was written.
async fn each(api: &Api, aim: &Aim<'_>, (group, plural, written): (&str, &str, &str), refers: &(dyn Fn(&Value) -> bool + Sync)) {
    let Some(kind) = api.catalog.find(group, "v1", plural) else { return };
    let Some(storage) = &kind.storage else { return };
    let judge = if plural == "apiservices" { service } else { schema };
    let all = api.store.view().root(storage.space).items;
    // The text is looked at before it is taken apart: most refer to nothing.
    let name = written.as_bytes();
    let mentions = |object: &&Arc<Object>| object.bytes().windows(name.len().max(1)).any(|part| part == name);
    for object in all.values().filter(mentions).map(|object| object.value()).filter(refers) {
        settle(api, aim, (kind, meta::text(&object, "name")), judge).await;
    }
}

/// Writes the condition that `judge` finds, if it is another than what the object says.
async fn settle(api: &Api, aim: &Aim<'_>, (kind, name): (&Arc<Kind>, &str), judge: Judge) {
    for _ in 0..ATTEMPTS {
        let Some(object) = api.seen(kind, "", name) else { return };
        let mut value = object.value();
        let Some(verdict) = judge(api, &value) else { return };
        let old = value.clone();
        if !verdict.change(&mut value) {
            return;
        }
        own::told(&api.catalog, kind, &old, &mut value);
        let own = Aim { kind, part: Part::Status, namespace: "", name, ..*aim };
        match api.put(&own, name, (Expect::At(object.revision()), Some(&value)), None).await {
            Ok((Outcome::Committed(_), _)) => return,
            Ok(_) => {}
            Err(cause) => return tracing::warn!(name, %cause, "a condition is not written"),
        }
    }
}

impl Verdict {
    /// Puts the condition in its place; false when it is there already.
    fn change(self, object: &mut Value) -> bool {
        let known = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let place = known.iter().position(|condition| condition["type"] == self.kind);
        let before = place.map_or(&Value::Null, |place| &known[place]);
        if before["status"] == self.status && before["reason"] == self.reason && before["message"] == self.message {
            return false;
        }
        let since = match before["lastTransitionTime"].as_str() {
            Some(since) if before["status"] == self.status => since.to_owned(),
            _ => meta::now(),
        };
        let own = json!({"type": self.kind, "status": self.status, "lastTransitionTime": since, "reason": self.reason, "message": self.message});
        let mut conditions = known.clone();
        match place {
            Some(place) => conditions[place] = own,
            None => conditions.push(own),
        }
        object["status"]["conditions"] = Value::from(conditions);
        true
    }
}

/// Whether the priority level that a flow schema names is there.
fn schema(api: &Api, object: &Value) -> Option<Verdict> {
    let level = object["spec"]["priorityLevelConfiguration"]["name"].as_str().unwrap_or("");
    let there = api.seen(api.catalog.find(FLOW, "v1", "prioritylevelconfigurations")?, "", level).is_some();
    Some(level_is(level, there))
}

fn level_is(level: &str, there: bool) -> Verdict {
    let head = format!("This FlowSchema references the PriorityLevelConfiguration object named {}", error::quoted(level));
    let (status, reason, tail) =
        if there { ("False", "Found", "and it exists") } else { ("True", "NotFound", "but there is no such object") };
    Verdict { kind: "Dangling", status, reason, message: format!("{head} {tail}") }
}

/// Whether who answers for a group and version is there.
fn service(api: &Api, object: &Value) -> Option<Verdict> {
    let verdict = |status, reason, message| Some(Verdict { kind: "Available", status, reason, message });
    let wanted = &object["spec"]["service"];
    if !wanted.is_object() {
        return verdict("True", "Local", "Local APIServices are always available".to_owned());
    }
    let text = |member: &str| wanted[member].as_str().unwrap_or("");
    let (namespace, name) = (text("namespace"), text("name"));
    let place = format!("service/{name} in {}", error::quoted(namespace));
    let Some(found) = api.seen(api.catalog.find("", "v1", "services")?, namespace, name) else {
        return verdict("False", "ServiceNotFound", format!("{place} is not present"));
    };
    let port = wanted["port"].as_i64().unwrap_or(443);
    let found = found.value();
    let listens = found["spec"]["ports"].as_array().into_iter().flatten().any(|own| own["port"] == port);
    if found["spec"]["type"] == "ClusterIP" && !listens {
        return verdict("False", "ServicePortError", format!("{place} is not listening on port {port}"));
    }
    // Who could ask the service is not built: nobody vouches for it.
    verdict("False", "FailedDiscoveryCheck", format!("{place} is not asked: this server does not aggregate"))
}

/// What the server says of an object.
type Judge = fn(&Api, &Value) -> Option<Verdict>;

const FLOW: &str = "flowcontrol.apiserver.k8s.io";
const REGISTRATION: &str = "apiregistration.k8s.io";
const ATTEMPTS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let verdict = |status, message: &str| Verdict { kind: "Dangling", status, reason: "R", message: message.to_owned() };
        let mut object = json!({"status": {}});
        assert!(verdict("False", "a").change(&mut object));
        object["status"]["conditions"][0]["lastTransitionTime"] = json!("2020-01-01T00:00:00Z");
        assert!(!verdict("False", "a").change(&mut object));
        assert!(verdict("False", "b").change(&mut object));
        assert_eq!(object["status"]["conditions"][0]["lastTransitionTime"], "2020-01-01T00:00:00Z");
        assert!(verdict("True", "b").change(&mut object));
        assert_ne!(object["status"]["conditions"][0]["lastTransitionTime"], "2020-01-01T00:00:00Z");
    }
}

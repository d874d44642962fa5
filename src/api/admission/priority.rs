//! Priority: the number and the preemption policy behind a pod's priority class.

use std::sync::Arc;

use serde_json::Value;

use super::{Operation, Review};
use crate::api::catalog::Kind;
use crate::api::kinds::is_empty;
use crate::api::object::Object;
use crate::api::{Api, meta};
use crate::status::Status;

pub(super) fn admit(api: &Api, review: &Review<'_>, pod: &mut Value) -> Result<(), Status> {
    if review.is("", "pods", Operation::Update) {
        keep(pod, review.old.unwrap_or(&Value::Null));
        return Ok(());
    }
    if !review.is("", "pods", Operation::Create) {
        return Ok(());
    }
    let named = pod["spec"]["priorityClassName"].as_str().unwrap_or("").to_owned();
    let class = match named.as_str() {
        "" => default_class(api),
        name => match kind(api).and_then(|kind| api.seen(kind, "", name)) {
            Some(class) => Some(class.value()),
            None => return Err(review.forbid(pod, format!("no PriorityClass with name {name} was found"))),
        },
    };
    let priority = class.as_ref().and_then(|class| class["value"].as_i64()).unwrap_or(0);
    let preemption = class.as_ref().and_then(|class| class["preemptionPolicy"].as_str()).unwrap_or("PreemptLowerPriority");
    let given = &pod["spec"]["priority"];
    if given.as_i64().is_some_and(|given| given != priority) {
        let cause = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {priority} \
             from the given PriorityClass name"
        );
        return Err(review.forbid(pod, cause));
    }
    let given = &pod["spec"]["preemptionPolicy"];
    if let Some(given) = given.as_str().filter(|given| *given != preemption) {
        let cause = format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed \
             {preemption} from the given PriorityClass name"
        );
        return Err(review.forbid(pod, cause));
    }
    pod["spec"]["preemptionPolicy"] = Value::from(preemption);
    pod["spec"]["priority"] = Value::from(priority);
    if let Some(class) = class.filter(|_| named.is_empty()) {
        pod["spec"]["priorityClassName"] = Value::from(meta::text(&class, "name"));
    }
    Ok(())
}

/// Only one class may be the default.
pub(super) fn check(api: &Api, review: &Review<'_>, object: Option<&Value>) -> Result<(), Status> {
    let Some(class) = object.filter(|_| review.kind.group == GROUP && review.kind.plural == CLASSES) else { return Ok(()) };
    if review.operation == Operation::Delete || class["globalDefault"] != true {
        return Ok(());
    }
    match default_class(api) {
        Some(other) if review.operation == Operation::Create || meta::text(&other, "name") != meta::text(class, "name") => {
            let name = meta::text(&other, "name");
            let cause = format!("PriorityClass {name} is already marked as default. Only one default can exist");
            Err(review.forbid(class, cause))
        }
        _ => Ok(()),
    }
}

/// What was resolved at creation stays where an update leaves it out.
fn keep(pod: &mut Value, old: &Value) {
    for member in ["priority", "preemptionPolicy"] {
        if is_empty(&pod["spec"][member]) && !old["spec"][member].is_null() {
            pod["spec"][member] = old["spec"][member].clone();
        }
    }
}

/// The class of pods that name none: the one with the lowest value, should there be several.
fn default_class(api: &Api) -> Option<Value> {
    let storage = kind(api)?.storage.as_ref()?;
    let root = api.store.view().root(storage.space);
    // Few classes say it, so few are parsed.
    let says_so = |class: &&Arc<Object>| memchr::memmem::find(class.bytes(), b"\"globalDefault\":true").is_some();
    let classes = root.items.values().filter(says_so).map(|class| class.value());
    classes.filter(|class| class["globalDefault"] == true).min_by_key(|class| class["value"].as_i64().unwrap_or(0))
}

fn kind(api: &Api) -> Option<&Arc<Kind>> {
    api.catalog.find(GROUP, "v1", CLASSES)
}

const GROUP: &str = "scheduling.k8s.io";
const CLASSES: &str = "priorityclasses";

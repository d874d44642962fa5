//! The annotation in which `kubectl apply` keeps what it applied last: kubectl may go over from there to server-side apply.

use serde_json::Value;

use super::apply::Apply;
use super::check::check;
use super::conflict::Clash;
use super::fields::{compare, set_of};
use super::set::FieldSet;
use super::version::Versions;

/// What of the conflicts of an apply stands. `None` when all of them are fields that kubectl applied before and that are unchanged since.
pub(super) fn still_conflicts<V: Versions>(apply: &Apply<'_, V>, clashes: Vec<Clash>) -> Option<Vec<Clash>> {
    if apply.context.manager.name != KUBECTL {
        return Some(clashes);
    }
    let last = annotation(apply.live).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let Some(allowed) = last.as_ref().and_then(|last| unchanged(apply, last)) else { return Some(clashes) };
    let clashes = clashes.into_iter().map(|clash| Clash { fields: clash.fields.difference(&allowed), ..clash });
    let left: Vec<_> = clashes.filter(|clash| !clash.fields.is_empty()).collect();
    (!left.is_empty()).then_some(left)
}

/// Writes the annotation anew, where kubectl applied to an object that has it.
pub(super) fn renew(object: &mut Value, manager: &str, config: &Value) {
    if manager != KUBECTL || annotation(object).is_none_or(str::is_empty) {
        return;
    }
    let mut applied = config.clone();
    if let Some(annotations) = applied.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    let text = html_escaped(&applied.to_string()) + "\n";
    let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) else { return };
    annotations.insert(LAST_APPLIED.to_owned(), Value::String(text));
    let size: usize = annotations.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len)).sum();
    if size > MOST_ANNOTATIONS {
        annotations.remove(LAST_APPLIED);
    }
}

/// The fields that were applied last and are in the object as they were.
fn unchanged<'a, V: Versions>(apply: &Apply<'a, V>, last: &'a Value) -> Option<FieldSet<'a>> {
    let context = apply.context;
    if last.get("apiVersion")?.as_str()? != context.manager.api_version || check(context.schema, last).is_err() {
        return None;
    }
    let set = set_of(context.schema, last).ok()?;
    let since = compare(context.schema, last, apply.live).ok()?;
    Some(set.difference(&since.modified).difference(&since.added).difference(&since.removed))
}

fn annotation(object: &Value) -> Option<&str> {
    object.pointer("/metadata/annotations")?.get(LAST_APPLIED)?.as_str()
}

/// Go's encoder escapes what HTML might take for its own. Outside of strings JSON has none of these.
fn html_escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => text.push_str(&format!("\\u{:04x}", character as u32)),
            _ => text.push(character),
        }
    }
    text
}

/// The one manager that has it.
const KUBECTL: &str = "kubectl";

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Bytes that all annotations of an object may have.
const MOST_ANNOTATIONS: usize = 256 * 1024;

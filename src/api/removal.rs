//! The deletion of one object: preconditions, grace, finalizers, and only then the end (contract 3.6).

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::admission::{self, Operation, Review};
use super::catalog::Kind;
use super::error::{self, Subject};
use super::object::Object;
use super::registry::{Aim, Round, Written};
use super::{Api, kinds, meta};
use crate::request::{DeleteOptions, Precondition};
use crate::status::Status;
use crate::store::{Expect, Outcome};

/// What a deletion has done.
pub(crate) enum Removed {
    /// The object is gone; this was it.
    Gone(Written),
    /// It goes later; this is it now.
    Pending(Written),
}

/// What a deletion has to do to an object.
#[derive(Debug)]
pub(crate) enum Plan {
    /// Nothing: its end is on its way already.
    Wait,
    /// Change it and leave the rest to others.
    Mark(Value),
    /// Change it, then remove it.
    MarkAndRemove(Value),
    /// Remove it as it is.
    Remove,
}

/// Deletes an object, as far as it may go now.
///
/// # Errors
/// The refusal, in kube-apiserver's words.
pub(crate) async fn remove(api: &Api, aim: &Aim<'_>, options: &DeleteOptions, round: &mut Round) -> Result<Removed, Status> {
    for _ in 0..ATTEMPTS {
        match attempt(api, aim, options).await {
            Ok(Attempt::Done(removed)) => return Ok(removed),
            Ok(Attempt::Lost) => {}
            Ok(Attempt::Nothing(object)) => {
                if !round.confirm(api).await? {
                    return Ok(Removed::Pending(Written::Stored(object)));
                }
            }
            Err(refusal) => {
                if !round.confirm(api).await? {
                    return Err(refusal);
                }
            }
        }
    }
    Err(error::stale(aim.resource()))
}

/// How one attempt ended.
enum Attempt {
    Done(Removed),
    /// Its end is on its way already; certain only if the view is.
    Nothing(Arc<Object>),
    /// Somebody else was faster.
    Lost,
}

async fn attempt(api: &Api, aim: &Aim<'_>, options: &DeleteOptions) -> Result<Attempt, Status> {
    let Some(current) = api.seen(aim.kind, aim.namespace, aim.name) else { return Err(error::not_found(aim.resource())) };
    let old = api.served(aim.kind, &current)?;
    check_preconditions(aim, &options.preconditions, &old)?;
    let plan = kinds::plan_deletion(aim.kind, options, &old).unwrap_or_else(|| plan(aim.kind, options, &old, Timestamp::now()));
    if !matches!(plan, Plan::Wait) {
        admit(api, aim, &old).await?;
    }
    let (value, then_remove) = match plan {
        Plan::Wait => return Ok(Attempt::Nothing(current)),
        Plan::Remove => return erase(api, aim, &current).await,
        Plan::Mark(value) => (value, false),
        Plan::MarkAndRemove(value) => (value, true),
    };
    if aim.dry_run {
        let written = Written::Loose(value);
        return Ok(Attempt::Done(if then_remove { Removed::Gone(written) } else { Removed::Pending(written) }));
    }
    if value == old {
        return Ok(Attempt::Nothing(current));
    }
    let expect = Expect::At(current.revision());
    let (outcome, bytes) = api.put(aim, aim.name, (expect, Some(&value)), None).await?;
    let (Outcome::Committed(revision), Some(bytes)) = (outcome, bytes) else { return Ok(Attempt::Lost) };
    let written = api.written(aim.kind, (aim.namespace, aim.name), (&bytes, revision))?;
    match written {
        Written::Stored(object) if then_remove => erase(api, aim, &object).await,
        written => Ok(Attempt::Done(Removed::Pending(written))),
    }
}

/// Removes an object that is still at its revision.
async fn erase(api: &Api, aim: &Aim<'_>, object: &Arc<Object>) -> Result<Attempt, Status> {
    if aim.dry_run {
        return Ok(Attempt::Done(Removed::Gone(Written::Stored(Arc::clone(object)))));
    }
    let (outcome, _) = api.put(aim, aim.name, (Expect::At(object.revision()), None), None).await?;
    let Outcome::Committed(revision) = outcome else { return Ok(Attempt::Lost) };
    kinds::release(api, aim, &api.served(aim.kind, object)?, None).await;
    kinds::follow(api, aim, aim.name).await;
    Ok(Attempt::Done(Removed::Gone(Written::Stored(Arc::new(object.at(revision))))))
}

async fn admit(api: &Api, aim: &Aim<'_>, old: &Value) -> Result<(), Status> {
    let review = Review {
        permit: aim.permit,
        kind: aim.kind,
        subresource: "",
        operation: Operation::Delete,
        namespace: aim.namespace,
        name: aim.name,
        old: Some(old),
        dry_run: aim.dry_run,
    };
    admission::validate(api, &review, None, &mut Vec::new()).await
}

/// Whether the object is the one that is meant.
///
/// # Errors
/// 409 when it is not.
pub(crate) fn check_preconditions(aim: &Aim<'_>, wanted: &Precondition, old: &Value) -> Result<(), Status> {
    let subject = Subject::kind(aim.kind, aim.name);
    let (uid, version) = (meta::text(old, "uid"), meta::text(old, "resourceVersion"));
    if let Some(wanted) = wanted.uid.as_deref().filter(|wanted| *wanted != uid) {
        let cause = format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have been deleted and \
             then recreated"
        );
        return Err(error::conflict(subject, cause));
    }
    if let Some(wanted) = wanted.resource_version.as_deref().filter(|wanted| *wanted != version) {
        let cause = format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({version}). The object \
             might have been modified"
        );
        return Err(error::conflict(subject, cause));
    }
    Ok(())
}

/// What kube-apiserver's generic deletion does. Pure.
fn plan(kind: &Kind, options: &DeleteOptions, old: &Value, now: Timestamp) -> Plan {
    let mut new = old.clone();
    let grace = match graceful(kind, options, &mut new, now) {
        Grace::Pending => return Plan::Wait,
        Grace::None => None,
        Grace::Seconds(seconds) => Some(seconds),
    };
    let finalizers = finalizers_for(kind, options, old);
    let changed = finalizers.is_some();
    if let Some(finalizers) = finalizers {
        meta::set_finalizers(&mut new, &finalizers);
    }
    let kept = meta::finalizers(&new).next().is_some();
    match grace {
        None if kept => {
            mark(&mut new, now);
            Plan::Mark(new)
        }
        None if changed => Plan::MarkAndRemove(new),
        None => Plan::Remove,
        Some(seconds) if kept || seconds > 0 => Plan::Mark(new),
        Some(_) => Plan::MarkAndRemove(new),
    }
}

enum Grace {
    /// The kind has none, or it is over.
    None,
    /// A deletion is on its way that this request does not shorten.
    Pending,
    Seconds(i64),
}

/// Gives a pod its time to end.
fn graceful(kind: &Kind, options: &DeleteOptions, new: &mut Value, now: Timestamp) -> Grace {
    if !(kind.group.is_empty() && kind.plural == "pods") {
        return Grace::None;
    }
    let asked = options.grace_period_seconds.map(|seconds| if seconds < 0 { 1 } else { seconds });
    if meta::is_deleting(new) {
        return shorten(asked, new, now);
    }
    let mut seconds = asked.or_else(|| new["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(0);
    let unscheduled = new["spec"]["nodeName"].as_str().is_none_or(str::is_empty);
    if unscheduled || matches!(new["status"]["phase"].as_str(), Some("Failed" | "Succeeded")) {
        seconds = 0;
    }
    if seconds < 0 {
        seconds = 1;
    }
    let generation = meta::generation(new);
    let members = meta::members(new);
    members.insert("deletionTimestamp".to_owned(), Value::from(meta::time(later(now, seconds))));
    members.insert("deletionGracePeriodSeconds".to_owned(), Value::from(seconds));
    if generation > 0 {
        members.insert("generation".to_owned(), Value::from(generation + 1));
    }
    Grace::Seconds(seconds)
}

/// A second deletion may only bring the end nearer.
fn shorten(asked: Option<i64>, new: &mut Value, now: Timestamp) -> Grace {
    let granted = new["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    if granted == 0 {
        return Grace::None;
    }
    let Some(asked) = asked.filter(|asked| *asked < granted) else { return Grace::Pending };
    let due = meta::text(new, "deletionTimestamp").parse().unwrap_or(now);
    let due = later(later(due, -granted), asked).max(now);
    let members = meta::members(new);
    members.insert("deletionTimestamp".to_owned(), Value::from(meta::time(due)));
    members.insert("deletionGracePeriodSeconds".to_owned(), Value::from(asked));
    Grace::Seconds(asked)
}

fn later(moment: Timestamp, seconds: i64) -> Timestamp {
    let most = SignedDuration::from_hours(24 * 365 * 100);
    let span = SignedDuration::from_secs(seconds).clamp(-most, most);
    moment.checked_add(span).unwrap_or(moment)
}

/// Marks an object that stays because of its finalizers.
fn mark(new: &mut Value, now: Timestamp) {
    let generation = meta::generation(new);
    let due: Option<Timestamp> = meta::text(new, "deletionTimestamp").parse().ok();
    let members = meta::members(new);
    if !members.get("deletionGracePeriodSeconds").is_some_and(Value::is_number) && generation > 0 {
        members.insert("generation".to_owned(), Value::from(generation + 1));
    }
    if due.is_none_or(|due| due > now) {
        members.insert("deletionTimestamp".to_owned(), Value::from(meta::time(now)));
    }
    members.insert("deletionGracePeriodSeconds".to_owned(), Value::from(0));
}

/// The finalizers that the asked propagation leaves, where they differ from the object's.
pub(crate) fn finalizers_for(kind: &Kind, options: &DeleteOptions, old: &Value) -> Option<Vec<String>> {
    let own: Vec<&str> = meta::finalizers(old).collect();
    let wished = wish(kind, options, &own);
    let mut new: Vec<String> =
        own.iter().filter(|name| **name != meta::ORPHAN && **name != meta::FOREGROUND).map(|name| (*name).to_owned()).collect();
    new.extend(wished.map(str::to_owned));
    let same = new.len() == own.len() && new.iter().all(|name| own.contains(&name.as_str()));
    (!same).then_some(new)
}

/// The finalizer that the propagation asks for: the options decide, else the object's finalizers, else the kind.
fn wish(kind: &Kind, options: &DeleteOptions, own: &[&str]) -> Option<&'static str> {
    if kind.plural == "events" {
        return None;
    }
    match (options.orphan_dependents, options.propagation_policy.as_deref()) {
        (Some(true), _) | (None, Some("Orphan")) => return Some(meta::ORPHAN),
        (None, Some("Foreground")) => return Some(meta::FOREGROUND),
        (Some(false), _) | (None, Some(_)) => return None,
        (None, None) => {}
    }
    for name in own {
        match *name {
            meta::ORPHAN => return Some(meta::ORPHAN),
            meta::FOREGROUND => return Some(meta::FOREGROUND),
            _ => {}
        }
    }
    kind.habits.orphan_by_default.then_some(meta::ORPHAN)
}

const ATTEMPTS: usize = 200;

#[cfg(test)]
#[path = "removal_tests.rs"]
mod tests;

//! Server-side apply: a configuration is laid over the object, and what its manager no longer names goes.

use std::borrow::Cow;

use serde_json::Value;

use super::check::check;
use super::conflict::{Clash, Conflicts};
use super::fields::{compare, equal, set_of};
use super::managed::{self, Entry, Managed, Operation};
use super::merge::merge;
use super::prune::prune;
use super::stored::Fields;
use super::update::{Change, reconcile_all, settle, strip, update};
use super::version::{Others, Typed, Versions};
use super::{BEFORE_FIRST_APPLY, Context, Manager, empty, last};
use crate::schema::Schema;

/// Whether fields of other managers may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// No: they are conflicts.
    No,
    /// Yes: the others lose them.
    Yes,
}

/// Why a configuration cannot be applied. The texts are kube-apiserver's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The request is wrong: 400, BadRequest.
    #[error("{0}")]
    Invalid(String),
    /// The configuration is not of its type, or the object is damaged: 500, without a reason, as kube-apiserver has it.
    #[error("{0}")]
    Failed(String),
    /// Other managers own what it would change: 409, Conflict.
    #[error("{}", .0.message())]
    Conflicts(Conflicts),
}

/// What an apply made.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The object with its managedFields; the values of the configuration are as the client wrote them: neither normalised nor defaulted.
    pub object: Value,
    /// Whether the object is another than before, not looking at managedFields.
    pub changed: bool,
}

/// An apply to be done.
pub(super) struct Apply<'a, V> {
    pub(super) context: &'a Context<'a, V>,
    /// Without managedFields; an empty object of the kind where there is none.
    pub(super) live: &'a Value,
    pub(super) config: &'a Value,
}

/// Applies a configuration to an object, or makes one of it.
///
/// # Errors
/// [`ApplyError`].
pub fn on_apply<V: Versions>(
    context: &Context<'_, V>,
    live: Option<&Value>,
    config: &Value,
    force: Force,
) -> Result<Applied, ApplyError> {
    let kind = kind_of(config);
    if kind != gvk(&context.schema.gvk().group, &context.schema.gvk().version, &context.schema.gvk().kind) {
        return Err(ApplyError::Invalid(format!("invalid object type: {kind}")));
    }
    let mut bare = live.cloned().unwrap_or_else(|| empty(context.schema));
    let stored = managed::take(&mut bare).unwrap_or_default();
    let managed = Managed::read(&stored).map_err(|why| ApplyError::Failed(format!("failed to decode managed fields: {why}")))?;
    let nothing = empty(context.schema);
    let nobody = Manager { name: BEFORE_FIRST_APPLY, ..*context.manager };
    let managed = if managed.is_empty() { first(context, &nobody, Change { old: &nothing, new: &bare })? } else { managed };
    let apply = Apply { context, live: &bare, config };
    let mut done = match apply.run(managed.clone(), force) {
        Err(Refused::Clashes(clashes)) => match last::still_conflicts(&apply, clashes) {
            Some(clashes) => return Err(ApplyError::Conflicts(Conflicts::of(clashes))),
            None => apply.run(managed, Force::Yes)?,
        },
        done => done?,
    };
    last::renew(&mut done.object, context.manager.name, config);
    let changed = done.changed || !equal(&bare, &done.object);
    done.managed.set(&mut done.object);
    Ok(Applied { object: done.object, changed })
}

/// Why an apply did not happen.
pub(super) enum Refused {
    Error(ApplyError),
    Clashes(Vec<Clash>),
}

/// What it made.
pub(super) struct Done<'a> {
    object: Value,
    managed: Managed<'a>,
    changed: bool,
}

impl From<Refused> for ApplyError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Error(error) => error,
            Refused::Clashes(clashes) => Self::Conflicts(Conflicts::of(clashes)),
        }
    }
}

impl<'a, V: Versions> Apply<'a, V> {
    fn run(&self, mut managed: Managed<'a>, force: Force) -> Result<Done<'a>, Refused> {
        let Context { schema, manager, filter, versions } = *self.context;
        self.checked().map_err(Refused::Error)?;
        let owner = manager.owner(Operation::Apply);
        let set = set_of(schema, self.config).map_err(failed("failed to get field set"))?;
        let merged = merge(schema, self.live, self.config).map_err(failed("failed to merge config"))?;

        let others = Others::of(&managed, manager.api_version, (self.live, self.live), versions);
        reconcile_all(&mut managed, (manager.api_version, schema), &others);
        let before = managed.take(&owner, manager.api_version);
        let since = before.as_ref().and_then(|entry| entry.time.clone());
        let set = filter.apply(set);
        let own =
            Entry { owner, api_version: manager.api_version.into(), time: since, fields: Fields::Set(set.clone()), place: None };
        managed.entries.push(own);
        let object =
            prune(Typed::new(schema, merged), &managed, before.as_ref(), versions).map_err(failed("failed to prune fields"))?;
        let own = managed.entries.pop();

        let failed = failed("failed to compare objects");
        let others = Others::of(&managed, manager.api_version, (self.live, &object), versions);
        let comparison = compare(schema, self.live, &object).map_err(&failed)?.filtered(filter);
        let differences = others.compare((manager.api_version, &comparison), filter).map_err(failed)?;
        let clashes = settle(&mut managed, &differences);
        if force == Force::No && !clashes.is_empty() {
            return Err(Refused::Clashes(clashes));
        }
        let changed = !equal(self.live, &object);
        managed.entries.extend(own.map(|own| {
            let time = if changed { Some(Cow::Borrowed(manager.time)) } else { own.time };
            Entry { time, fields: Fields::Set(strip(set)), ..own }
        }));
        managed.drop_empty();
        Ok(Done { object, managed, changed })
    }

    /// Whether the configuration can be applied at all.
    fn checked(&self) -> Result<(), ApplyError> {
        if self.config.pointer("/metadata/managedFields").is_some_and(Value::is_array) {
            return Err(ApplyError::Invalid("metadata.managedFields must be nil".to_owned()));
        }
        check(self.context.schema, self.config)
            .map_err(|why| ApplyError::Failed(format!("failed to create typed patch object ({}): {why}", name_of(self.config))))
    }
}

fn failed(what: &'static str) -> impl Fn(String) -> Refused {
    move |why| Refused::Error(ApplyError::Failed(format!("{what}: {why}")))
}

/// What there was before anybody applied belongs to a manager of its own.
fn first<'a, V: Versions>(
    context: &Context<'a, V>,
    manager: &'a Manager<'a>,
    change: Change<'a>,
) -> Result<Managed<'a>, ApplyError> {
    update(&Context { manager, ..*context }, change, Managed::default())
        .map_err(|why| ApplyError::Failed(format!("failed to create manager for existing fields: {why}")))
}

/// The object that an apply made, read as its type: the configuration in it is as the client wrote it.
///
/// # Errors
/// [`ApplyError::Failed`]: a value is of the right form, and yet not one that the type has.
pub fn typed(schema: &Schema, config: &Value, object: &Value) -> Result<Value, ApplyError> {
    schema.read_value(object).map(|reading| reading.value).map_err(|why| {
        let (name, kind, why) = (name_of(config), kind_of(config), converted(&why.to_string()));
        let what = "to proper version: unable to convert unstructured object to";
        ApplyError::Failed(format!("failed to convert new object ({name}) {what} {kind}: {why}"))
    })
}

/// What Go says of a number that was read before its type was known.
fn converted(why: &str) -> String {
    let kind = why.strip_prefix("json: cannot unmarshal number ").and_then(|rest| rest.rsplit_once(" of type "));
    kind.map_or_else(|| why.to_owned(), |(_, kind)| format!("cannot convert float64 to {kind}"))
}

/// `apps/v1, Kind=Deployment` of a configuration.
fn kind_of(config: &Value) -> String {
    let text = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("apiVersion").split('/').collect::<Vec<_>>()[..] {
        [version] => gvk("", version, text("kind")),
        [group, version] => gvk(group, version, text("kind")),
        _ => gvk("", "", ""),
    }
}

fn gvk(group: &str, version: &str, kind: &str) -> String {
    format!("{group}/{version}, Kind={kind}")
}

/// `default/web; apps/v1, Kind=Deployment`
fn name_of(config: &Value) -> String {
    let text = |path: &str| config.pointer(path).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}; {}", text("/metadata/namespace"), text("/metadata/name"), kind_of(config))
}

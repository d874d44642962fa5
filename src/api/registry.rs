//! The one way to write: read, change, admit, compare-and-set.
//!
//! The newest object of the view may start a write as a guess. A refusal, and the finding that nothing changes, are only said once the
//! view is known to hold everything acknowledged before the request; a lost race is answered by the store and begins the next round.
//! Knows no verb and no kind: what is to change comes from the verbs, what is special from `kinds` and `admission`.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::admission::{self, Operation, Review};
use super::catalog::Kind;
use super::error::{self, Subject};
use super::kinds::{self, Part};
use super::object::Object;
use super::text::Text;
use super::{Api, convert, meta, refusal};
use crate::policy::Permit;
use crate::schema::own;
use crate::status::Status;
use crate::store::{Change, Expect, Outcome, Revision};

/// What a write is about.
#[derive(Clone, Copy)]
pub(crate) struct Aim<'a> {
    /// Whose right it is.
    pub(crate) permit: &'a Permit,
    /// The resource, in the version that the client speaks.
    pub(crate) kind: &'a Arc<Kind>,
    /// The part of the object that may change.
    pub(crate) part: Part,
    /// The namespace; empty at the cluster's scope.
    pub(crate) namespace: &'a str,
    /// The name; empty for a create.
    pub(crate) name: &'a str,
    /// Whether nothing is to be stored.
    pub(crate) dry_run: bool,
}

/// The object after a write.
pub(crate) enum Written {
    /// As the view keeps it.
    Stored(Arc<Object>),
    /// As the client's version has it, because it is not (or no longer) stored.
    Loose(Value),
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// There was no such object.
    Created,
    /// It changed, or was as wished already.
    Updated,
    /// The update took away what had kept it from going.
    Deleted,
}

/// What the rounds of one write share.
#[derive(Default)]
pub(crate) struct Round {
    /// Whether the view holds everything acknowledged before the request.
    sure: bool,
    /// For the client.
    pub(crate) warnings: Vec<String>,
    kept: usize,
    large: Large,
    text: Text,
}

/// What becomes of an object that is too large for the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Large {
    /// It is stored without its managedFields, if that helps.
    #[default]
    Bare,
    /// It is refused.
    Refused,
}

/// A new object that has passed everything, and the namespace it was admitted under.
struct Draft {
    value: Value,
    guard: Option<(Bytes, Revision)>,
}

impl Aim<'_> {
    /// `pods "p"` in refusals.
    pub(crate) fn resource(&self) -> Subject<'_> {
        Subject::resource(self.kind, self.name)
    }

    fn review<'a>(&'a self, operation: Operation, name: &'a str, old: Option<&'a Value>) -> Review<'a> {
        Review {
            permit: self.permit,
            kind: self.kind,
            subresource: self.part.subresource(),
            operation,
            namespace: self.namespace,
            name,
            old,
            dry_run: self.dry_run,
        }
    }
}

impl Round {
    /// A round whose warnings so far stay.
    pub(crate) fn new(warnings: Vec<String>) -> Self {
        Self { kept: warnings.len(), warnings, ..Self::default() }
    }

    /// The same, of a write that brings text to be kept.
    pub(crate) fn with_text(self, text: Text) -> Self {
        Self { text, ..self }
    }

    /// The same, of a write that is not stored without its managedFields.
    pub(crate) fn whole(self) -> Self {
        Self { large: Large::Refused, ..self }
    }

    /// Begins again: what the last attempt warned of is forgotten.
    fn again(&mut self) {
        self.warnings.truncate(self.kept);
    }

    /// Stores an object, without managedFields where it is too large with them. `stored` is what was there.
    async fn put(
        &self,
        api: &Api,
        aim: &Aim<'_>,
        (name, value, stored): (&str, &Value, Option<&Object>),
        guard: Option<(Bytes, Revision)>,
    ) -> Result<(Outcome, Option<Bytes>), Status> {
        let expect = stored.map_or(Expect::Absent, |stored| Expect::At(stored.revision()));
        let encode = |value: &Value| {
            let bytes = api.encode(aim.kind, value)?;
            Ok::<Bytes, Status>(self.text.within(aim.kind, bytes, stored.map(|stored| &stored.bytes()[..])))
        };
        match api.commit(aim, name, (expect, Some(encode(value)?)), guard.clone()).await {
            Err(refusal)
                if refusal.code == http::StatusCode::PAYLOAD_TOO_LARGE
                    && self.large == Large::Bare
                    && !value["metadata"]["managedFields"].is_null() =>
            {
                let mut bare = value.clone();
                meta::members(&mut bare).remove("managedFields");
                api.commit(aim, name, (expect, Some(encode(&bare)?)), guard).await
            }
            outcome => outcome,
        }
    }

    /// Makes the view sure. False when it was already.
    pub(crate) async fn confirm(&mut self, api: &Api) -> Result<bool, Status> {
        if self.sure {
            return Ok(false);
        }
        api.store.latest().await.map_err(|cause| refusal::store(&cause))?;
        self.sure = true;
        Ok(true)
    }
}

impl Api {
    /// The newest object that the view knows: a guess.
    pub(crate) fn seen(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let storage = kind.storage.as_ref()?;
        self.store.view().item(storage.space, kind.name_in_space(namespace, name).as_bytes())
    }

    /// The object in the version of `kind`, with its resourceVersion.
    ///
    /// # Errors
    /// 500 for what cannot be read.
    pub(crate) fn served(&self, kind: &Kind, object: &Object) -> Result<Value, Status> {
        if let Some((name, cause)) = object.fault() {
            return Err(refusal::undecodable(name, cause));
        }
        let mut value = object.value();
        if let Some(stored) = self.stored_kind(kind).filter(|_| !kind.is_stored_form()) {
            convert::convert(gvk(stored), gvk(kind), &mut value).map_err(Status::internal)?;
        }
        Ok(value)
    }

    /// The kind in whose form objects of `kind` are stored.
    pub(crate) fn stored_kind(&self, kind: &Kind) -> Option<&Arc<Kind>> {
        self.catalog.stored(kind.storage.as_ref()?.space)
    }

    /// The bytes to store.
    fn encode(&self, kind: &Kind, value: &Value) -> Result<Bytes, Status> {
        let Some(stored) = self.stored_kind(kind).filter(|_| !kind.is_stored_form()) else {
            return Ok(Object::to_stored(value));
        };
        let mut value = value.clone();
        convert::convert(gvk(kind), gvk(stored), &mut value).map_err(Status::internal)?;
        stored.schema.normalise(&mut value);
        Ok(Object::to_stored(&value))
    }

    /// Puts one object under compare-and-set; `value` is in the version of the aim's kind, and `None` deletes.
    pub(crate) async fn put(
        &self,
        aim: &Aim<'_>,
        name: &str,
        (expect, value): (Expect, Option<&Value>),
        guard: Option<(Bytes, Revision)>,
    ) -> Result<(Outcome, Option<Bytes>), Status> {
        let value = value.map(|value| self.encode(aim.kind, value)).transpose()?;
        self.commit(aim, name, (expect, value), guard).await
    }

    /// The same with the bytes to store.
    async fn commit(
        &self,
        aim: &Aim<'_>,
        name: &str,
        (expect, value): (Expect, Option<Bytes>),
        guard: Option<(Bytes, Revision)>,
    ) -> Result<(Outcome, Option<Bytes>), Status> {
        let key = aim.kind.key(aim.namespace, name).ok_or_else(|| Status::internal("this resource is not stored"))?;
        // Events go by themselves.
        let ttl = (aim.kind.plural == "events").then_some(self.settings.event_ttl);
        let change = Change { key, expect, value: value.clone(), ttl, guard };
        let outcome = self.store.commit(change).await.map_err(|cause| refusal::store(&cause))?;
        Ok((outcome, value))
    }

    /// The object of a commit, shared with the view unless it has moved on.
    pub(crate) fn written(
        &self,
        kind: &Kind,
        name: (&str, &str),
        (bytes, revision): (&Bytes, Revision),
    ) -> Result<Written, Status> {
        if let Some(object) = self.seen(kind, name.0, name.1).filter(|object| object.revision() == revision) {
            return Ok(Written::Stored(object));
        }
        let stored = self.stored_kind(kind).ok_or_else(|| Status::internal("this resource is not stored"))?;
        let object = Object::from_stored(stored, bytes, revision).map_err(Status::internal)?;
        Ok(Written::Stored(Arc::new(object)))
    }
}

/// Creates an object: decoded, defaulted, in the URL's namespace.
///
/// # Errors
/// The refusal, in kube-apiserver's words.
pub(crate) async fn create(api: &Api, aim: &Aim<'_>, object: &Value, round: &mut Round) -> Result<Written, Status> {
    let mut names = 0;
    for _ in 0..ATTEMPTS {
        round.again();
        let draft = match draft(api, aim, object.clone(), round).await {
            Ok(draft) => draft,
            Err(refusal) if refusal.code.as_u16() == 422 => return Err(refusal),
            Err(refusal) => {
                if round.confirm(api).await? {
                    continue;
                }
                return Err(refusal);
            }
        };
        let name = meta::text(&draft.value, "name").to_owned();
        let found = if aim.dry_run {
            round.confirm(api).await?;
            match api.seen(aim.kind, aim.namespace, &name) {
                None => return Ok(Written::Loose(draft.value)),
                Some(object) => Some(object.is_deleting()),
            }
        } else {
            let (outcome, bytes) = round.put(api, aim, (&name, &draft.value, None), draft.guard).await?;
            match (outcome, bytes) {
                (Outcome::Committed(revision), Some(bytes)) => {
                    kinds::follow(api, aim, &name).await;
                    return api.written(aim.kind, (aim.namespace, &name), (&bytes, revision));
                }
                (Outcome::Unguarded, _) => {
                    api.store.latest().await.map_err(|cause| refusal::store(&cause))?;
                    continue;
                }
                _ => api.seen(aim.kind, aim.namespace, &name).map(|object| object.is_deleting()),
            }
        };
        kinds::release(api, aim, &draft.value, None).await;
        let subject = Subject::resource(aim.kind, &name);
        names += 1;
        match meta::text(object, "name") {
            "" if names >= NAMES => return Err(error::name_exhausted(subject)),
            "" => {}
            _ => return Err(exists(subject, found.unwrap_or(false))),
        }
    }
    Err(busy(aim))
}

/// Updates an object, or creates it where `change` makes one out of nothing. `change` may be called several times.
///
/// # Errors
/// The refusal, in kube-apiserver's words.
pub(crate) async fn update<F>(api: &Api, aim: &Aim<'_>, round: &mut Round, mut change: F) -> Result<(Done, Written), Status>
where
    F: FnMut(Option<&Value>) -> Result<Value, Status> + Send,
{
    for _ in 0..ATTEMPTS {
        round.again();
        let current = api.seen(aim.kind, aim.namespace, aim.name);
        let step = match &current {
            Some(object) => renew(api, aim, object, round, &mut change).await,
            None => establish(api, aim, round, &mut change).await,
        };
        match step {
            Ok(Step::Done(done, written)) => return Ok((done, written)),
            Ok(Step::Lost) => {}
            Ok(Step::Same(object)) => {
                let unchanged = |now: Option<Arc<Object>>| now.is_some_and(|now| now.revision() == object.revision());
                if !round.confirm(api).await? || unchanged(api.seen(aim.kind, aim.namespace, aim.name)) {
                    return Ok((Done::Updated, Written::Stored(object)));
                }
            }
            Err(refusal) => {
                if !round.confirm(api).await? {
                    return Err(refusal);
                }
            }
        }
    }
    Err(busy(aim))
}

/// How one attempt at an update ended.
enum Step {
    Done(Done, Written),
    /// The object is as wished; certain only if the view is.
    Same(Arc<Object>),
    /// Somebody else was faster; the view shows it.
    Lost,
}

async fn renew<F>(api: &Api, aim: &Aim<'_>, current: &Arc<Object>, round: &mut Round, change: &mut F) -> Result<Step, Status>
where
    F: FnMut(Option<&Value>) -> Result<Value, Status> + Send,
{
    let old = api.served(aim.kind, current)?;
    let mut new = change(Some(&old))?;
    admit_update(api, aim, (&mut new, &old, current.bytes()), round).await?;
    let expect = Expect::At(current.revision());
    if empties_finalizers(aim.kind, &new, &old) {
        if aim.dry_run {
            return Ok(Step::Done(Done::Deleted, Written::Loose(new)));
        }
        let (outcome, _) = api.put(aim, aim.name, (expect, None), None).await?;
        if !matches!(outcome, Outcome::Committed(_)) {
            return Ok(Step::Lost);
        }
        kinds::release(api, aim, &old, None).await;
        kinds::follow(api, aim, aim.name).await;
        return Ok(Step::Done(Done::Deleted, Written::Loose(new)));
    }
    if new == old {
        return Ok(Step::Same(Arc::clone(current)));
    }
    if aim.dry_run {
        return Ok(Step::Done(Done::Updated, Written::Loose(new)));
    }
    let (outcome, bytes) = round.put(api, aim, (aim.name, &new, Some(current)), None).await?;
    match (outcome, bytes) {
        (Outcome::Committed(revision), Some(bytes)) => {
            kinds::release(api, aim, &old, Some(&new)).await;
            kinds::follow(api, aim, aim.name).await;
            let written = api.written(aim.kind, (aim.namespace, aim.name), (&bytes, revision))?;
            Ok(Step::Done(Done::Updated, written))
        }
        _ => {
            kinds::release(api, aim, &new, Some(&old)).await;
            Ok(Step::Lost)
        }
    }
}

async fn establish<F>(api: &Api, aim: &Aim<'_>, round: &mut Round, change: &mut F) -> Result<Step, Status>
where
    F: FnMut(Option<&Value>) -> Result<Value, Status> + Send,
{
    let mut new = change(None)?;
    // What is not there has no version to compare with.
    meta::members(&mut new).remove("resourceVersion");
    let draft = draft(api, aim, new, round).await?;
    if aim.dry_run {
        round.confirm(api).await?;
        return Ok(match api.seen(aim.kind, aim.namespace, aim.name) {
            None => Step::Done(Done::Created, Written::Loose(draft.value)),
            Some(_) => Step::Lost,
        });
    }
    let (outcome, bytes) = round.put(api, aim, (aim.name, &draft.value, None), draft.guard).await?;
    match (outcome, bytes) {
        (Outcome::Committed(revision), Some(bytes)) => {
            kinds::follow(api, aim, aim.name).await;
            let written = api.written(aim.kind, (aim.namespace, aim.name), (&bytes, revision))?;
            Ok(Step::Done(Done::Created, written))
        }
        (Outcome::Unguarded, _) => {
            kinds::release(api, aim, &draft.value, None).await;
            api.store.latest().await.map_err(|cause| refusal::store(&cause))?;
            Ok(Step::Lost)
        }
        _ => {
            kinds::release(api, aim, &draft.value, None).await;
            Ok(Step::Lost)
        }
    }
}

/// Everything between decoding and writing of a new object, in kube-apiserver's order (contract 3.1).
async fn draft(api: &Api, aim: &Aim<'_>, mut new: Value, round: &mut Round) -> Result<Draft, Status> {
    let guard = guard(api, aim);
    let own = meta::text(&new, "name").to_owned();
    admission::mutate(api, &aim.review(Operation::Create, &own, None), &mut new).await?;
    round.warnings.extend(meta::dedup_owners(&mut new, " after mutating admission happens"));
    meta::fill(&mut new);
    if own.is_empty() && !meta::text(&new, "generateName").is_empty() {
        let name = meta::generate(meta::text(&new, "generateName"));
        meta::set(&mut new, "name", &name);
    }
    kinds::prepare_create(aim.kind, aim.permit, &mut new);
    kinds::allocate(api, aim, &mut new, None).await?;
    aim.kind.schema.normalise(&mut new);
    let outcome = settle(api, aim, &mut new, round).await;
    if let Err(refusal) = outcome {
        kinds::release(api, aim, &new, None).await;
        return Err(refusal);
    }
    Ok(Draft { value: new, guard })
}

async fn settle(api: &Api, aim: &Aim<'_>, new: &mut Value, round: &mut Round) -> Result<(), Status> {
    let name = meta::text(new, "name").to_owned();
    let errors = kinds::check_create(aim.kind, new);
    if !errors.is_empty() {
        return Err(error::invalid(Subject::kind(aim.kind, &name), &errors));
    }
    kinds::warn(aim.kind, new, None, &mut round.warnings);
    admission::validate(api, &aim.review(Operation::Create, &name, None), Some(new), &mut round.warnings).await?;
    match meta::text(new, "resourceVersion") {
        "" | "0" => {}
        _ => return Err(error::plain("resourceVersion should not be set on objects to be created")),
    }
    meta::members(new).remove("resourceVersion");
    Ok(())
}

/// The same for an update (contract 3.3).
async fn admit_update(
    api: &Api,
    aim: &Aim<'_>,
    (new, old, stored): (&mut Value, &Value, &[u8]),
    round: &mut Round,
) -> Result<(), Status> {
    let review = aim.review(Operation::Update, aim.name, Some(old));
    admission::mutate(api, &review, new).await?;
    round.warnings.extend(meta::dedup_owners(new, " after mutating admission happens"));
    own::keep_times(old, new);
    match_version(aim, new, old)?;
    meta::match_namespace(new, if aim.kind.namespaced { aim.namespace } else { "" })?;
    meta::keep(new, old);
    kinds::prepare_update(aim.kind, aim.part, new, old);
    kinds::allocate(api, aim, new, Some(old)).await?;
    aim.kind.schema.normalise(new);
    let mut errors = kinds::check_update(aim.kind, aim.part, new, old);
    if errors.iter().all(|error| error.field != "data") {
        errors.extend(round.text.fault(aim.kind, stored, new));
    }
    let outcome = if errors.is_empty() {
        kinds::warn(aim.kind, new, Some((aim.part, old)), &mut round.warnings);
        admission::validate(api, &review, Some(new), &mut round.warnings).await
    } else {
        Err(error::invalid(Subject::kind(aim.kind, aim.name), &errors))
    };
    if outcome.is_err() {
        kinds::release(api, aim, new, Some(old)).await;
    }
    outcome
}

/// Compares resourceVersions, or takes the stored one where the kind lets a client leave it out.
fn match_version(aim: &Aim<'_>, new: &mut Value, old: &Value) -> Result<(), Status> {
    let stored = meta::text(old, "resourceVersion");
    match meta::text(new, "resourceVersion") {
        "" | "0" if aim.kind.habits.conditional_update => {
            let fault =
                error::FieldError::invalid("metadata.resourceVersion", &Value::from(0), "must be specified for an update");
            Err(error::invalid(aim.resource(), &[fault]))
        }
        "" | "0" => {
            meta::set(new, "resourceVersion", stored);
            Ok(())
        }
        own if own == stored => Ok(()),
        _ => Err(error::stale(aim.resource())),
    }
}

/// Whether an update takes away the last that kept a deleted object.
fn empties_finalizers(kind: &Kind, new: &Value, old: &Value) -> bool {
    let grace = old["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    meta::finalizers(new).next().is_none() && meta::is_deleting(old) && grace == 0 && kinds::may_go(kind, new)
}

/// The namespace as the view has it: a create commits only while it is still this one.
fn guard(api: &Api, aim: &Aim<'_>) -> Option<(Bytes, Revision)> {
    if !aim.kind.namespaced {
        return None;
    }
    let namespaces = api.catalog.find("", "v1", "namespaces")?;
    let object = api.seen(namespaces, "", aim.namespace)?;
    Some((namespaces.key("", aim.namespace)?, object.revision()))
}

fn exists(subject: Subject<'_>, deleting: bool) -> Status {
    let mut status = error::already_exists(subject);
    if deleting {
        status.message.insert_str(0, "object is being deleted: ");
    }
    status
}

fn busy(aim: &Aim<'_>) -> Status {
    error::stale(aim.resource())
}

fn gvk(kind: &Kind) -> convert::Gvk<'_> {
    (&kind.group, &kind.version, &kind.kind)
}

const ATTEMPTS: usize = 200;
const NAMES: usize = 8;

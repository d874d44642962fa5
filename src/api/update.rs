//! PUT of an object, or of a part of it.

use http::StatusCode;
use serde_json::Value;

use super::accept::Accept;
use super::create::{refuse_faults, respond, validation};
use super::decode::{self, Expected};
use super::error::{self, Subject};
use super::kinds::{self, Part};
use super::own::{self, Tracker};
use super::registry::{self, Aim, Done, Round};
use super::text::Text;
use super::{Api, Call, meta};
use crate::body::Response;
use crate::request::{Query, UpdateOptions};
use crate::schema::own::Sent;
use crate::status::Status;

pub(super) async fn serve(api: &Api, call: Call<'_>) -> Result<Response, Status> {
    part(api, call, Part::Whole).await
}

/// Replaces one part of an object; the body is the whole object.
pub(super) async fn part(api: &Api, call: Call<'_>, part: Part) -> Result<Response, Status> {
    let accept = Accept::of(&call)?;
    let Call { permit, route, request } = call;
    let options = UpdateOptions::parse(&Query::parse(request.uri().query().unwrap_or("")));
    refuse_faults("UpdateOptions", &options.faults())?;
    let kind = &route.kind;
    let encoding = decode::encoding(request.headers())?;
    let tracker = Tracker::of(&api.catalog, (kind, part), own::manager(&options.field_manager, request.headers()));
    let body = decode::whole(request.into_body()).await?;
    let mut warnings = Vec::from_iter(kinds::deprecation(kind).map(str::to_owned));
    let expected = Expected { gvk: (&kind.group, &kind.version, &kind.kind), schema: &kind.schema };
    let mut object = decode::object(expected, &body, encoding, (validation(&options), &mut warnings))?;
    meta::match_namespace(&mut object, &route.namespace)?;
    meta::match_name(&object, &route.name, &route.namespace)?;
    warnings.extend(meta::dedup_owners(&mut object, ""));
    let sent = Sent::take(&mut object);
    kinds::default(kind, &mut object);
    kind.schema.normalise(&mut object);
    let aim = Aim { permit, kind, part, namespace: &route.namespace, name: &route.name, dry_run: options.is_dry_run() };
    let mut round = Round::new(warnings).with_text(Text::sent(kind, (&body, encoding), &object));
    let change = |old: Option<&Value>| {
        let mut new = replace(&aim, &object, old)?;
        match old {
            Some(old) => tracker.updated(old, &mut new, sent.clone()),
            None => tracker.created(&mut new, sent.clone()),
        }
        Ok(new)
    };
    let (done, written) = registry::update(api, &aim, &mut round, change).await?;
    let code = if done == Done::Created { StatusCode::CREATED } else { StatusCode::OK };
    respond(&aim, &accept, (code, written), &round.warnings)
}

/// The body as the new object, if its uid is the stored one's.
fn replace(aim: &Aim<'_>, object: &Value, old: Option<&Value>) -> Result<Value, Status> {
    let (own, stored) = (meta::text(object, "uid"), old.map_or("", |old| meta::text(old, "uid")));
    if !own.is_empty() && own != stored {
        return Err(other_uid(aim, own, stored));
    }
    if old.is_some() {
        return Ok(object.clone());
    }
    if !aim.kind.habits.create_on_update || aim.part != Part::Whole {
        return Err(error::not_found(aim.resource()));
    }
    may_create(aim)?;
    let mut new = object.clone();
    meta::wipe(&mut new);
    Ok(new)
}

/// Whether who may update may also make what is not there.
pub(super) fn may_create(aim: &Aim<'_>) -> Result<(), Status> {
    aim.permit.may_create().map_err(|denied| {
        let subject = Subject { group: denied.group(), what: denied.resource(), name: denied.name() };
        Status { message: denied.message(), ..error::forbidden(subject, "") }
    })
}

fn other_uid(aim: &Aim<'_>, own: &str, stored: &str) -> Status {
    let key = aim.kind.key(aim.namespace, aim.name).unwrap_or_default();
    let cause = format!(
        "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in \
         precondition: {own}, UID in object meta: {stored}",
        String::from_utf8_lossy(&key)
    );
    error::conflict(aim.resource(), cause)
}

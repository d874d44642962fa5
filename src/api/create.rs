//! POST of an object.

use http::StatusCode;
use serde_json::Value;

use super::accept::Accept;
use super::decode::{self, Expected};
use super::kinds::{self, Part};
use super::own::{self, Tracker};
use super::registry::{self, Aim, Round, Written};
use super::text::Text;
use super::{Api, Call, answer, meta, refusal};
use crate::body::Response;
use crate::request::{CreateOptions, Fault, FieldValidation, Query};
use crate::schema::own::Sent;
use crate::status::Status;

pub(super) async fn serve(api: &Api, call: Call<'_>) -> Result<Response, Status> {
    let accept = Accept::of(&call)?;
    let Call { permit, route, request } = call;
    let options = CreateOptions::parse(&Query::parse(request.uri().query().unwrap_or("")));
    refuse_faults("CreateOptions", &options.faults())?;
    let kind = &route.kind;
    let encoding = decode::encoding(request.headers())?;
    let manager = own::manager(&options.field_manager, request.headers());
    let body = decode::whole(request.into_body()).await?;
    let mut warnings = Vec::from_iter(kinds::deprecation(kind).map(str::to_owned));
    let expected = Expected { gvk: (&kind.group, &kind.version, &kind.kind), schema: &kind.schema };
    let mut object = decode::object(expected, &body, encoding, (validation(&options), &mut warnings))?;
    meta::wipe(&mut object);
    meta::match_namespace(&mut object, &route.namespace)?;
    warnings.extend(meta::dedup_owners(&mut object, ""));
    let sent = Sent::take(&mut object);
    kinds::default(kind, &mut object);
    kind.schema.normalise(&mut object);
    Tracker::of(&api.catalog, (kind, Part::Whole), manager).created(&mut object, sent);
    let aim = Aim {
        permit,
        kind,
        part: Part::Whole,
        namespace: &route.namespace,
        name: meta::text(&object, "name"),
        dry_run: options.is_dry_run(),
    };
    let mut round = Round::new(warnings).with_text(Text::sent(kind, (&body, encoding), &object));
    let written = registry::create(api, &aim, &object, &mut round).await?;
    respond(&aim, &accept, (StatusCode::CREATED, written), &round.warnings)
}

/// The answer of a write, with its warnings.
pub(super) fn respond(
    aim: &Aim<'_>,
    accept: &Accept,
    (code, written): (StatusCode, Written),
    warnings: &[String],
) -> Result<Response, Status> {
    let response = match written {
        Written::Stored(object) => answer::object(aim.kind, accept, code, &object)?,
        Written::Loose(value) => answer::value(aim.kind, accept, code, &value)?,
    };
    Ok(super::warning::attach(response, warnings))
}

/// The same for a value that is not the aim's kind, like a Status or a Scale.
pub(super) fn respond_value(
    aim: &Aim<'_>,
    accept: &Accept,
    (code, value): (StatusCode, &Value),
    warnings: &[String],
) -> Result<Response, Status> {
    Ok(super::warning::attach(answer::value(aim.kind, accept, code, value)?, warnings))
}

/// 422 when the options have faults.
pub(super) fn refuse_faults(kind: &str, faults: &[Fault]) -> Result<(), Status> {
    if faults.is_empty() { Ok(()) } else { Err(refusal::bad_options(kind, faults)) }
}

/// What is done about unknown fields. The options have no faults any more.
pub(super) fn validation(options: &CreateOptions) -> FieldValidation {
    FieldValidation::parse(&options.field_validation).unwrap_or_default()
}

//! PATCH of an object, or of a part of it (contract 3.11).

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::accept::Accept;
use super::create::{refuse_faults, respond, validation};
use super::error::{self, FieldError, Subject};
use super::kinds::{self, Part};
use super::registry::{self, Aim, Done, Round};
use super::{Api, Call, decode, meta};
use crate::body::Response;
use crate::request::{FieldValidation, PatchManner, PatchOptions, Query};
use crate::schema::patch::{self, PatchError};
use crate::schema::{self, Encoding, ReadError, Schema, write};
use crate::status::Status;

/// A patch as it was sent.
pub(super) enum Patch {
    /// RFC 6902.
    Json(Bytes),
    /// RFC 7386.
    Merge(Value),
    /// Kubernetes' strategic merge.
    Strategic(Value),
}

pub(super) async fn serve(api: &Api, call: Call<'_>) -> Result<Response, Status> {
    part(api, call, Part::Whole).await
}

/// Patches one part of an object; the patch speaks of the whole object.
pub(super) async fn part(api: &Api, call: Call<'_>, part: Part) -> Result<Response, Status> {
    let accept = Accept::of(&call)?;
    let Call { permit, route, request } = call;
    let media = media(request.headers())?;
    let options = PatchOptions::parse(&Query::parse(request.uri().query().unwrap_or("")));
    refuse_faults("PatchOptions", &options.faults(PatchManner::Other))?;
    let body = decode::whole(request.into_body()).await?;
    let kind = &route.kind;
    let patch = Patch::read(media, body)?;
    let aim = Aim { permit, kind, part, namespace: &route.namespace, name: &route.name, dry_run: options.write.is_dry_run() };
    let mut round = Round::new(Vec::from_iter(kinds::deprecation(kind).map(str::to_owned)));
    let mut faults = Vec::new();
    let manner = validation(&options.write);
    let change = |old: Option<&Value>| {
        let old = old.ok_or_else(|| error::not_found(aim.resource()))?;
        let mut new = patch.apply(&kind.schema, old, (manner, &mut faults), Subject::kind(kind, &route.name))?;
        meta::match_name(&new, &route.name, &route.namespace)?;
        kinds::default(kind, &mut new);
        kind.schema.normalise(&mut new);
        Ok(new)
    };
    let (done, written) = registry::update(api, &aim, &mut round, change).await?;
    let code = if done == Done::Created { StatusCode::CREATED } else { StatusCode::OK };
    round.warnings.extend(faults);
    respond(&aim, &accept, (code, written), &round.warnings)
}

/// The kinds of patches, by media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    Merge,
    Strategic,
}

/// The kind of patch that the headers announce.
///
/// # Errors
/// 415 for any other.
pub(super) fn media(headers: &HeaderMap) -> Result<Media, Status> {
    match decode::media_type(headers).as_str() {
        "application/json-patch+json" => Ok(Media::Json),
        "application/merge-patch+json" => Ok(Media::Merge),
        "application/strategic-merge-patch+json" => Ok(Media::Strategic),
        "application/apply-patch+yaml" => Err(error::unsupported_media(TYPES)),
        _ => Err(error::unrouted_media()),
    }
}

impl Patch {
    /// Reads a body.
    ///
    /// # Errors
    /// 400 when it is no JSON; a JSON patch is read when it is applied.
    pub(super) fn read(media: Media, body: Bytes) -> Result<Self, Status> {
        let object =
            |body: &[u8]| schema::parse(body).map_err(|cause| Status::bad_request(format!("error decoding patch: {cause}")));
        Ok(match media {
            Media::Json => Self::Json(body),
            Media::Merge => Self::Merge(object(&body)?),
            Media::Strategic => Self::Strategic(object(&body)?),
        })
    }

    /// The patched object, read again as a body would be. `faults` is what a lenient reading found.
    ///
    /// # Errors
    /// The refusal of the patch, or of what it made.
    pub(super) fn apply(
        &self,
        schema: &Schema,
        old: &Value,
        (validation, faults): (FieldValidation, &mut Vec<String>),
        subject: Subject<'_>,
    ) -> Result<Value, Status> {
        let patched = match self {
            Self::Json(patch) => patch::json(old, patch),
            Self::Merge(patch) => patch::merge(old, patch),
            Self::Strategic(patch) => patch::strategic(schema, old, patch),
        };
        let patched = patched.map_err(refuse)?;
        if !patched.is_object() {
            return Err(error::unfit());
        }
        let document = write(&patched);
        let reading = schema.read(&document, Encoding::Json).map_err(|error| {
            let (ReadError::Syntax(cause) | ReadError::Type(cause)) = error;
            let document = String::from_utf8_lossy(&document).into_owned();
            error::invalid(Subject { name: "", ..subject }, &[FieldError::invalid_text("patch", &document, &cause)])
        })?;
        *faults = match validation {
            FieldValidation::Ignore => Vec::new(),
            FieldValidation::Warn => reading.faults,
            FieldValidation::Strict if reading.faults.is_empty() => Vec::new(),
            FieldValidation::Strict => {
                let cause = format!("strict decoding error: {}", reading.faults.join(", "));
                let document = String::from_utf8_lossy(&document).into_owned();
                let fault = FieldError::invalid_text("patch", &document, &cause);
                return Err(error::invalid(Subject { name: "", ..subject }, &[fault]));
            }
        };
        let mut value = reading.value;
        for member in ["kind", "apiVersion"] {
            value[member] = old[member].clone();
        }
        Ok(value)
    }
}

fn refuse(error: PatchError) -> Status {
    match error {
        PatchError::Malformed(cause) => Status::bad_request(cause),
        PatchError::Inapplicable(cause) => error::unfit().because(cause),
        PatchError::TooLarge(cause) => error::too_large(cause),
        PatchError::Plain(cause) => error::plain(cause),
    }
}

const TYPES: &str = "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json";

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    use super::*;

    #[test]
    fn media_types() {
        for (sent, expected) in [
            ("application/json-patch+json", Ok(Media::Json)),
            ("application/merge-patch+json; charset=utf-8", Ok(Media::Merge)),
            ("application/strategic-merge-patch+json", Ok(Media::Strategic)),
            ("application/json", Err(415)),
            ("", Err(415)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(sent));
            assert_eq!(media(&headers).map_err(|refusal| refusal.code.as_u16()), expected, "{sent}");
        }
    }

    #[test]
    fn malformed_patches() {
        let refusal = Patch::read(Media::Merge, Bytes::from_static(b"{\"data\":")).err();
        assert_eq!(refusal.map(|refusal| refusal.code.as_u16()), Some(400));
    }
}

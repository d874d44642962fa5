//! PATCH of an object, or of a part of it (contract 3.11).

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::accept::Accept;
use super::create::{refuse_faults, respond, validation};
use super::error::{self, FieldError, Subject};
use super::kinds::{self, Part};
use super::own::{self, Tracker};
use super::registry::{self, Aim, Done, Round};
use super::text::Text;
use super::update::may_create;
use super::{Api, Call, decode, meta};
use crate::body::Response;
use crate::request::{FieldValidation, PatchManner, PatchOptions, Query};
use crate::schema::own::{Force, Sent};
use crate::schema::patch::{self, PatchError};
use crate::schema::{self, Configuration, Encoding, ReadError, Schema, write};
use crate::status::Status;

/// A patch as it was sent.
pub(super) enum Patch {
    /// RFC 6902.
    Json(Bytes),
    /// RFC 7386.
    Merge(Value),
    /// Kubernetes' strategic merge.
    Strategic(Value),
    /// Server-side apply.
    Apply(Box<Config>),
}

/// A configuration to be applied, whole or of a part of an object.
pub(super) struct Config {
    /// What cannot be read is only said once it is known that there is something to apply it to.
    body: Result<Configuration, ReadError>,
    force: Force,
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
    refuse_faults("PatchOptions", &options.faults(media.manner()))?;
    let kind = &route.kind;
    let tracker = Tracker::of(&api.catalog, (kind, part), own::manager(&options.write.field_manager, request.headers()));
    let body = decode::whole(request.into_body()).await?;
    let patch = Patch::read((media, &options), body, &kind.schema)?;
    let aim = Aim { permit, kind, part, namespace: &route.namespace, name: &route.name, dry_run: options.write.is_dry_run() };
    let warnings = Vec::from_iter(kinds::deprecation(kind).map(str::to_owned));
    let mut round = Round::new(warnings).with_text(Text::Anew);
    if media == Media::Apply {
        round = round.whole();
    }
    let mut faults = Vec::new();
    let manner = validation(&options.write);
    let change = |old: Option<&Value>| {
        if old.is_none() && (media != Media::Apply || part != Part::Whole) {
            return Err(error::not_found(aim.resource()));
        }
        let mut new = patch.laid(&tracker, old, (manner, &mut faults), Subject::kind(kind, &route.name))?;
        if old.is_none() {
            may_be(&aim, &mut new)?;
        }
        meta::match_namespace(&mut new, if kind.namespaced { &route.namespace } else { "" })?;
        meta::match_name(&new, &route.name, &route.namespace)?;
        Ok(new)
    };
    let (done, written) = registry::update(api, &aim, &mut round, change).await?;
    let code = if done == Done::Created { StatusCode::CREATED } else { StatusCode::OK };
    round.warnings.extend(faults);
    respond(&aim, &accept, (code, written), &round.warnings)
}

/// Whether an apply may make an object where there is none.
fn may_be(aim: &Aim<'_>, new: &mut Value) -> Result<(), Status> {
    let uid = meta::text(new, "uid");
    if !uid.is_empty() {
        let cause = format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
        return Err(error::conflict(aim.resource(), cause));
    }
    may_create(aim)?;
    meta::wipe(new);
    Ok(())
}

/// The kinds of patches, by media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl Media {
    /// Which options such a patch takes.
    pub(super) fn manner(self) -> PatchManner {
        if self == Self::Apply { PatchManner::Apply } else { PatchManner::Other }
    }
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
        "application/apply-patch+yaml" => Ok(Media::Apply),
        _ => Err(error::unrouted_media()),
    }
}

impl Patch {
    /// Reads a body.
    ///
    /// # Errors
    /// 400 when it is no JSON; a JSON patch is read when it is applied, and so is a configuration.
    pub(super) fn read((media, options): (Media, &PatchOptions), body: Bytes, schema: &Schema) -> Result<Self, Status> {
        let object =
            |body: &[u8]| schema::parse(body).map_err(|cause| Status::bad_request(format!("error decoding patch: {cause}")));
        Ok(match media {
            Media::Json => Self::Json(body),
            Media::Merge => Self::Merge(object(&body)?),
            Media::Strategic => Self::Strategic(object(&body)?),
            Media::Apply => {
                let force = if options.force == Some(true) { Force::Yes } else { Force::No };
                Self::Apply(Box::new(Config { body: schema.read_config(&body), force }))
            }
        })
    }

    /// The patched object: defaulted and normalised, with its managedFields. Only an apply makes one of nothing. `faults` is what a
    /// lenient reading found.
    ///
    /// # Errors
    /// The refusal of the patch, or of what it made.
    pub(super) fn laid(
        &self,
        tracker: &Tracker<'_>,
        old: Option<&Value>,
        (validation, faults): (FieldValidation, &mut Vec<String>),
        subject: Subject<'_>,
    ) -> Result<Value, Status> {
        let old = match (self, old) {
            (Self::Apply(config), old) => return config.laid(tracker, old, (validation, faults)),
            (_, Some(old)) => old,
            (_, None) => return Err(error::not_found(subject)),
        };
        let mut new = self.applied(tracker.schema(), old, (validation, faults), subject)?;
        let sent = Sent::take(&mut new);
        tracker.settle(&mut new);
        tracker.updated(old, &mut new, sent);
        Ok(new)
    }

    /// The patched object, read again as a body would be.
    fn applied(
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
            Self::Apply(_) => return Err(error::unfit()),
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

impl Config {
    /// The object with the configuration applied, or one made of it.
    fn laid(
        &self,
        tracker: &Tracker<'_>,
        old: Option<&Value>,
        (validation, faults): (FieldValidation, &mut Vec<String>),
    ) -> Result<Value, Status> {
        let body = self.body.as_ref().map_err(|cause| Status::bad_request(format!("error decoding YAML: {cause}")))?;
        let new = tracker.applied(old, &body.value, self.force)?;
        match (&body.fault, validation) {
            (None, _) | (_, FieldValidation::Ignore) => {}
            (Some(fault), FieldValidation::Strict) => {
                return Err(Status::bad_request(format!("error strict decoding YAML: {CONVERTING}{fault}")));
            }
            (Some(fault), FieldValidation::Warn) => {
                let lines = fault.strip_prefix("yaml: unmarshal errors:\n").unwrap_or(fault).split('\n');
                *faults = lines.map(|line| line.trim().to_owned()).collect();
            }
        }
        Ok(new)
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

const CONVERTING: &str = "error converting YAML to JSON: ";

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
            ("application/apply-patch+yaml", Ok(Media::Apply)),
            ("application/apply-patch+cbor", Err(415)),
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
        let schema = Schema::builtin("", "v1", "ConfigMap").expect("a type");
        let refusal = Patch::read((Media::Merge, &PatchOptions::default()), Bytes::from_static(b"{\"data\":"), &schema).err();
        assert_eq!(refusal.map(|refusal| refusal.code.as_u16()), Some(400));
    }
}

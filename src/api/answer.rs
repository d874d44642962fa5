//! Answers that are complete when they are made, in the negotiated form.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderValue, StatusCode};
use serde_json::Value;

use super::accept::{self, Accept, Form, Media};
use super::catalog::Kind;
use super::indent::Indenter;
use super::object::Object;
use super::refusal;
use super::render::{self, Render};
use super::table::Columns;
use crate::body::{Body, Response};
use crate::schema::{Encoding, Schema, protobuf_envelope};
use crate::status::Status;
use crate::store::Revision;

/// An object of `kind` as the view keeps it (in its stored form).
///
/// # Errors
/// 500 for what cannot be decoded, 406 for a transformation that does not fit.
pub fn object(kind: &std::sync::Arc<Kind>, accept: &Accept, code: StatusCode, object: &Object) -> Result<Response, Status> {
    if let Some((name, cause)) = object.fault() {
        return Err(refusal::undecodable(name, cause));
    }
    if matches!(accept.form, Form::MetadataList(_)) {
        let message =
            format!("you requested PartialObjectMetadataList, but the requested object is not a list (*{})", go_type(kind));
        return Err(accept::unacceptable(message));
    }
    let render = Render::new(kind, accept);
    if accept.media == Media::Protobuf {
        return whole(accept, code, render.binary(object));
    }
    let mut json = Vec::with_capacity(object.bytes().len() + 1);
    render.document(object, Some(Columns::of(kind)), &mut json);
    finish(accept, code, json)
}

/// A value in the form in which `kind` serves it: a dry run's outcome, a review, a `Status` (which is never transformed).
///
/// # Errors
/// 406 for a transformation that does not fit.
pub fn value(kind: &std::sync::Arc<Kind>, accept: &Accept, code: StatusCode, value: &Value) -> Result<Response, Status> {
    let whole = matches!(accept.form, Form::Whole | Form::Groups);
    let own = value["kind"] == kind.kind.as_str() && kind.storage.is_some();
    if !whole && value["kind"] == "Scale" {
        return finish(accept, code, render::scale(accept, value));
    }
    if whole || !own {
        return finish(accept, code, crate::schema::write(value));
    }
    let revision = value["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
    let made = Object::from_value(kind, value, Revision(revision)).map_err(Status::internal)?;
    object(kind, accept, code, &made)
}

/// A JSON document as it was asked for: indented, as YAML, as protobuf, compressed.
///
/// # Errors
/// 406 when there is no protobuf form.
pub fn finish(accept: &Accept, code: StatusCode, json: Vec<u8>) -> Result<Response, Status> {
    let body = match accept.media {
        Media::Json if accept.pretty => pretty(&json),
        Media::Json => line(json),
        Media::Yaml => crate::schema::yaml(&json).map_err(Status::internal)?,
        Media::Protobuf => protobuf(&json)?,
    };
    whole(accept, code, body)
}

/// A body in the negotiated encoding, compressed when it is large.
fn whole(accept: &Accept, code: StatusCode, body: Vec<u8>) -> Result<Response, Status> {
    let response = respond(code, accept.media.name(), Body::empty());
    Ok(if accept.gzip && body.len() > LARGE { compressed(response, &body)? } else { response.map(|_| Body::full(body)) })
}

/// A response of this type.
pub fn respond(code: StatusCode, media: &'static str, body: Body) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// Indented JSON, without a newline at its end.
pub(super) fn pretty(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Indenter::default().push(json, &mut out);
    out
}

/// The protobuf form of a document that says its own type.
pub(super) fn protobuf(json: &[u8]) -> Result<Vec<u8>, Status> {
    let (api_version, kind) = crate::schema::kind_of(json, Encoding::Json).map_err(Status::internal)?;
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
    // A document without a version is one of discovery.
    let schema = Schema::builtin(group, if version.is_empty() { "v1" } else { version }, &kind).ok_or_else(|| {
        accept::unacceptable(format!(
            "object {kind} does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message"
        ))
    })?;
    let mut message = Vec::with_capacity(json.len());
    schema.encode(json, &mut message).map_err(Status::internal)?;
    Ok(protobuf_envelope(&api_version, &kind, &message))
}

/// Go's name of the type: `v1.Pod`.
pub(super) fn go_type(kind: &Kind) -> String {
    format!("{}.{}", kind.version, kind.kind)
}

fn line(mut json: Vec<u8>) -> Vec<u8> {
    json.push(b'\n');
    json
}

fn compressed(response: Response, body: &[u8]) -> Result<Response, Status> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let bytes = encoder.write_all(body).and_then(|()| encoder.finish()).map_err(Status::internal)?;
    let mut response = response.map(|_| Body::full(bytes));
    mark_compressed(&mut response);
    Ok(response)
}

/// The headers of a compressed answer.
pub(super) fn mark_compressed(response: &mut Response) {
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// Bytes: smaller answers are never compressed.
pub(super) const LARGE: usize = 128 * 1024;

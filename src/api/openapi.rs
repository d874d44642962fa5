//! Serves the OpenAPI documents: made when first asked for, kept compressed (contract 2.7, 2.8).

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, ETAG, EXPIRES, IF_NONE_MATCH, LOCATION, VARY};
use http::{HeaderValue, StatusCode};

use super::accept::{Accept, Media, Place};
use super::answer;
use super::catalog::{Catalog, Kind};
use super::root::VERSION;
use crate::body::{Body, Request, Response};
use crate::request::Query;
use crate::schema::{Schema, openapi};
use crate::status::Status;

/// The documents of a catalogue. Making one takes milliseconds, so it is done off the reactor.
pub(super) struct Documents {
    catalog: Arc<Catalog>,
    names: Vec<String>,
    made: HashMap<String, OnceLock<Made>>,
    index: OnceLock<Made>,
    swagger: [OnceLock<Made>; 2],
}

/// The forms of the v2 document.
#[derive(Clone, Copy)]
enum Old {
    Json,
    Protobuf,
}

/// A document: gzip of it, and its hash.
#[derive(Clone)]
struct Made {
    packed: Bytes,
    hash: String,
}

impl Documents {
    pub(super) fn of(catalog: &Arc<Catalog>) -> Self {
        let names = described(catalog).documents();
        let made = names.iter().map(|name| (name.clone(), OnceLock::new())).collect();
        Self { catalog: Arc::clone(catalog), names, made, index: OnceLock::new(), swagger: Default::default() }
    }

    /// The index, or the document of a name after `/openapi/v3/`.
    ///
    /// 406 without a word when JSON is not acceptable.
    ///
    /// # Errors
    /// 500 when a document cannot be made.
    pub(super) async fn serve(documents: &Arc<Self>, name: &str, request: &Request) -> Result<Response, Status> {
        let query = request.uri().query().unwrap_or_default();
        if Accept::negotiate(request.headers(), query, Place::Document).map_or(Media::Yaml, |accept| accept.media) != Media::Json
        {
            return Ok(unacceptable());
        }
        let (own, wanted) = (Arc::clone(documents), name.to_owned());
        let made = tokio::task::spawn_blocking(move || own.find(&wanted)).await.map_err(Status::internal)?;
        let Some(made) = made else { return Ok(http::Response::new(Body::empty())) };
        let tag = HeaderValue::from_str(&format!("\"{}\"", made.hash)).map_err(Status::internal)?;
        let asked = Query::parse(query);
        let hash = asked.first("hash").filter(|hash| !hash.is_empty() && !name.is_empty());
        if hash.is_some_and(|hash| hash != made.hash) {
            return moved(name, &made.hash);
        }
        if let Some(known) = unchanged(request, &tag) {
            return Ok(known);
        }
        let mut response = made.respond(request, "application/json")?;
        let headers = response.headers_mut();
        headers.insert(ETAG, tag);
        headers.append(VARY, HeaderValue::from_static("Accept"));
        if hash.is_some() {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
            headers.insert(EXPIRES, HeaderValue::from_str(&http_date(YEAR)).map_err(Status::internal)?);
        }
        Ok(response)
    }

    /// The v2 document, as JSON or as protobuf; 406 without a body for anything else.
    ///
    /// # Errors
    /// 500 when it cannot be made.
    pub(super) async fn serve_old(documents: &Arc<Self>, request: &Request) -> Result<Response, Status> {
        let Some(form) = old_form(request) else { return Ok(unacceptable()) };
        let own = Arc::clone(documents);
        let made = tokio::task::spawn_blocking(move || own.old(form)).await.map_err(Status::internal)?;
        let tag = HeaderValue::from_str(&format!("\"{}\"", made.hash)).map_err(Status::internal)?;
        if let Some(known) = unchanged(request, &tag) {
            return Ok(known);
        }
        let media = match form {
            Old::Json => "application/json",
            Old::Protobuf => PROTOBUF,
        };
        let mut response = made.respond(request, media)?;
        response.headers_mut().insert(ETAG, tag);
        response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
        Ok(response)
    }

    fn old(&self, form: Old) -> Made {
        let document = || described(&self.catalog).swagger();
        match form {
            Old::Json => self.swagger[0].get_or_init(|| Made::of(&serde_json::to_vec(&document()).unwrap_or_default().into())),
            Old::Protobuf => self.swagger[1].get_or_init(|| Made::of(&openapi::message(&document()))),
        }
        .clone()
    }

    fn find(&self, name: &str) -> Option<Made> {
        if name.is_empty() {
            return Some(self.index.get_or_init(|| self.make_index()).clone());
        }
        let slot = self.made.get(name)?;
        Some(slot.get_or_init(|| Made::of(&described(&self.catalog).document(name).unwrap_or_default())).clone())
    }

    fn make_index(&self) -> Made {
        let described = described(&self.catalog);
        let hashes: Vec<(&str, String)> = self
            .names
            .iter()
            .filter_map(|name| {
                let made = self.made.get(name)?.get_or_init(|| Made::of(&described.document(name).unwrap_or_default()));
                Some((name.as_str(), made.hash.clone()))
            })
            .collect();
        Made::of(&openapi::index(hashes.iter().map(|(name, hash)| (*name, hash.as_str()))))
    }
}

impl Made {
    fn of(json: &Bytes) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        // Writing into a Vec cannot fail.
        let _ = encoder.write_all(json);
        Self { packed: encoder.finish().unwrap_or_default().into(), hash: openapi::hash(json) }
    }

    fn respond(&self, request: &Request, media: &'static str) -> Result<Response, Status> {
        let takes = request.headers().get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if takes.split(',').any(|token| token.trim() == "gzip") {
            let mut response = answer::respond(StatusCode::OK, media, Body::full(self.packed.clone()));
            answer::mark_compressed(&mut response);
            return Ok(response);
        }
        let mut json = Vec::new();
        GzDecoder::new(self.packed.as_ref()).read_to_end(&mut json).map_err(Status::internal)?;
        Ok(answer::respond(StatusCode::OK, media, Body::full(json)))
    }
}

fn unacceptable() -> Response {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_ACCEPTABLE;
    response
}

/// The first of the two forms that the client names; JSON when it names none.
fn old_form(request: &Request) -> Option<Old> {
    let named: Vec<&str> = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if named.is_empty() {
        return Some(Old::Json);
    }
    named.iter().flat_map(|value| value.split(',')).find_map(|media| match media.split(';').next().unwrap_or_default().trim() {
        "application/json" | "application/*" | "*/*" => Some(Old::Json),
        PROTOBUF | OLD_PROTOBUF => Some(Old::Protobuf),
        _ => None,
    })
}

/// 304 to whoever has this already.
fn unchanged(request: &Request, tag: &HeaderValue) -> Option<Response> {
    request.headers().get(IF_NONE_MATCH).filter(|known| *known == tag)?;
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().insert(ETAG, tag.clone());
    Some(response)
}

/// 301 to the document as it is now.
fn moved(name: &str, hash: &str) -> Result<Response, Status> {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    let place = format!("/openapi/v3/{name}?hash={hash}");
    response.headers_mut().insert(LOCATION, HeaderValue::from_str(&place).map_err(Status::internal)?);
    Ok(response)
}

fn described(catalog: &Catalog) -> openapi::Api {
    openapi::Api { version: VERSION.to_owned(), resources: catalog.all().iter().map(|kind| resource(kind)).collect() }
}

fn resource(kind: &Kind) -> openapi::Resource {
    let subresource = |it: &super::catalog::Subresource| {
        let (group, version, body) = &it.gvk;
        let stream = matches!(it.name.as_str(), "attach" | "exec" | "log" | "portforward" | "proxy");
        let mut gvk = kind.schema.gvk().clone();
        (gvk.group, gvk.version, gvk.kind) = (group.as_str().into(), version.as_str().into(), body.as_str().into());
        openapi::Subresource {
            name: it.name.clone(),
            gvk,
            verbs: it.verbs.clone(),
            schema: if stream { None } else { Schema::builtin(group, version, body) },
        }
    };
    openapi::Resource {
        gvk: kind.schema.gvk().clone(),
        plural: kind.plural.clone(),
        namespaced: kind.namespaced,
        verbs: kind.verbs.clone(),
        delete_answers_object: kind.habits.delete_answers_object,
        schema: kind.schema.clone(),
        subresources: kind.subresources.iter().map(subresource).collect(),
    }
}

/// The moment after this time from now, as headers have it.
fn http_date(from_now: Duration) -> String {
    let moment = jiff::Timestamp::now().saturating_add(from_now).unwrap_or(jiff::Timestamp::MAX);
    moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The v2 document as a message, and the name that clients before v1.27 have for it.
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
const OLD_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

//! How others verify our tokens: the issuer's metadata and its keys (contract 5.7).

use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::review::Tokens;
use super::{Api, answer, root};
use crate::body::{Body, Request, Response};
use crate::status::{Details, Status};

/// The document at a path without its outer slashes; `None` for other paths.
///
/// # Errors
/// 406 for those who take no key set.
pub(super) fn serve(api: &Api, name: &str, request: &Request) -> Option<Result<Response, Status>> {
    if name != CONFIGURATION && name != KEYS {
        return None;
    }
    let tokens = api.asking.as_ref().map(|asking| asking.tokens.load());
    let Some(tokens) = tokens.as_deref().and_then(Option::as_ref).filter(|tokens| tokens.signer.issuer().starts_with("https://"))
    else {
        return Some(Ok(root::not_found()));
    };
    if name == CONFIGURATION {
        return Some(Ok(document("application/json", &metadata(tokens))));
    }
    Some(if takes_keys(request) { Ok(document(KEY_SET, &keys(tokens))) } else { Err(not_acceptable()) })
}

fn metadata(tokens: &Tokens) -> Value {
    let mut algorithms: Vec<&str> = tokens.keys.iter().map(|key| key.algorithm().name()).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    json!({
        "issuer": tokens.signer.issuer(),
        "jwks_uri": tokens.keys_at,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
    })
}

fn keys(tokens: &Tokens) -> Value {
    json!({"keys": tokens.keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()})
}

fn takes_keys(request: &Request) -> bool {
    let mut ranges = request.headers().get_all(http::header::ACCEPT).iter().peekable();
    if ranges.peek().is_none() {
        return true;
    }
    let wanted = ["*/*", "application/*", KEY_SET];
    ranges.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|range| {
        let range = range.split(';').next().unwrap_or("").trim();
        range.is_empty() || wanted.contains(&range)
    })
}

fn not_acceptable() -> Status {
    let message = format!("406: Not Acceptable\n\nAvailable representations: {KEY_SET}");
    Status::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message).with_details(Details::default())
}

fn document(media: &'static str, value: &Value) -> Response {
    let body = Body::full(serde_json::to_vec(value).unwrap_or_default());
    let mut response = answer::respond(StatusCode::OK, media, body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

const CONFIGURATION: &str = ".well-known/openid-configuration";
const KEYS: &str = "openid/v1/jwks";
const KEY_SET: &str = "application/jwk-set+json";

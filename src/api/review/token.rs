//! TokenReview: whose a token is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Asking, user};
use crate::api::error;
use crate::identity::TokenError;
use crate::status::Status;

/// The status of a TokenReview.
///
/// # Errors
/// 400 without a token.
pub(super) fn review(asking: &Asking, review: &Value) -> Result<Value, Status> {
    let token = review["spec"]["token"].as_str().unwrap_or("");
    if token.is_empty() {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    }
    let asked = texts(&review["spec"]["audiences"]);
    let ours = || asking.tokens.peek(|tokens| tokens.as_ref().map(|tokens| tokens.audiences.clone()));
    Ok(match asking.resolver.review(token, &asked) {
        Ok(reviewed) => json!({"authenticated": true, "user": user::of(&reviewed.identity), "audiences": reviewed.audiences}),
        // Only of a token whose signature has been verified is it said whom it is for.
        Err(TokenError::Audience) => {
            let asked = if asked.is_empty() { ours() } else { Some(asked) };
            let (own, asked) = (list(&audiences(token)), list(&asked.unwrap_or_default()));
            let cause = format!("[{INVALID}, token audiences {own} is invalid for the target audiences {asked}]");
            json!({"error": cause, "user": {}})
        }
        Err(_) => json!({"error": INVALID, "user": {}}),
    })
}

/// The strings of a list.
pub(super) fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// What a token says of whom it is for.
fn audiences(token: &str) -> Vec<String> {
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&payload).unwrap_or_default();
    match &claims["aud"] {
        Value::String(one) => vec![one.clone()],
        many => texts(many),
    }
}

/// Go's `%q` of a list of strings.
fn list(items: &[String]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| error::quoted(item)).collect();
    format!("[{}]", quoted.join(" "))
}

const INVALID: &str = "invalid bearer token";

//! What is asked and never stored: who am I, whose is this token, what may somebody do (contract 5.12, 6.7).
//!
//! Knows neither rules nor keys: policy and identity are asked.

mod access;
mod token;
mod user;

use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use http_body_util::Full;
use serde_json::json;

use super::accept::Accept;
use super::create::{refuse_faults, validation};
use super::decode::{self, Expected};
use super::{Api, Call, answer, meta, subresource, warning};
use crate::body::{Inbound, Response};
use crate::identity::{PublicKey, Resolver, TokenSigner};
use crate::live::Live;
use crate::policy::Authorizer;
use crate::request::{CreateOptions, Query};
use crate::status::Status;

/// Whom reviews, token requests and admission ask.
#[derive(Clone)]
pub struct Asking {
    /// What somebody may do.
    pub authorizer: Arc<Authorizer>,
    /// Whose a token is.
    pub resolver: Arc<Resolver>,
    /// Who signs tokens; without one, none are given. A reload swaps it.
    pub tokens: Arc<Live<Option<Tokens>>>,
}

/// How tokens of service accounts are given.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Who signs them.
    pub signer: Arc<TokenSigner>,
    /// For whom a token is that names nobody: the API itself.
    pub audiences: Vec<String>,
    /// Seconds after which every token ends, whatever was asked.
    pub longest: Option<u64>,
    /// Every key that verifies them, and where they are published.
    pub keys: Vec<PublicKey>,
    /// The URL of the key set.
    pub keys_at: String,
    /// Whether the token of a pod that asks for Kubernetes' usual hour lives for a year and only warns after the hour.
    pub extended: bool,
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}

impl Api {
    /// Whom to ask.
    ///
    /// # Errors
    /// 500 when nobody was handed in: nothing is decided without.
    pub(super) fn asking(&self) -> Result<&Asking, Status> {
        self.asking.as_ref().ok_or_else(|| Status::internal("this server has nobody to ask"))
    }
}

pub(super) async fn serve(api: &Api, mut call: Call<'_>) -> Result<Response, Status> {
    if call.route.kind.plural == "bindings" {
        return subresource::legacy(api, call).await;
    }
    let accept = Accept::of(&call)?;
    let kind = Arc::clone(&call.route.kind);
    let options = CreateOptions::parse(&Query::parse(call.request.uri().query().unwrap_or("")));
    refuse_faults("CreateOptions", &options.faults())?;
    let encoding = decode::encoding(call.request.headers())?;
    let body = std::mem::replace(call.request.body_mut(), Inbound::Full(Full::default()));
    let body = decode::whole(body).await?;
    let expected = Expected { gvk: (&kind.group, &kind.version, &kind.kind), schema: &kind.schema };
    let mut warnings = Vec::new();
    let mut review = decode::object(expected, &body, encoding, (validation(&options), &mut warnings))?;
    meta::match_namespace(&mut review, &call.route.namespace)?;
    match kind.plural.as_str() {
        "selfsubjectreviews" => {
            review["metadata"] = json!({"creationTimestamp": meta::now()});
            review["status"] = json!({"userInfo": user::info(call.permit)});
        }
        "tokenreviews" => review["status"] = token::review(api.asking()?, &review)?,
        "selfsubjectrulesreviews" => {
            review["status"] = access::rules(api.asking()?, call.permit, &review)?;
            review["spec"] = json!({});
            review["metadata"] = json!({});
        }
        _ => {
            access::check(&kind, &review)?;
            review["status"] = access::decide(api.asking()?, (&kind, call.permit), &review);
        }
    }
    kind.schema.normalise(&mut review);
    Ok(warning::attach(answer::value(&kind, &accept, StatusCode::CREATED, &review)?, &warnings))
}

#[cfg(test)]
pub(super) mod tests;

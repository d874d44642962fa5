//! DELETE of an object and of a collection (contract 3.6, 3.7).

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::accept::Accept;
use super::catalog::Kind;
use super::create::refuse_faults;
use super::kinds::{self, Part};
use super::object::Object;
use super::registry::{Aim, Round, Written};
use super::removal::{self, Removed};
use super::select::Selection;
use super::walk::Walk;
use super::{Api, Call, answer, decode, list, meta, refusal, warning};
use crate::body::{Inbound, Response};
use crate::request::{DeleteOptions, ListOptions, Precondition, Query};
use crate::schema::{Encoding, ReadError, Schema};
use crate::status::Status;

pub(super) async fn serve(api: &Api, call: Call<'_>) -> Result<Response, Status> {
    let accept = Accept::of(&call)?;
    let Call { permit, route, request } = call;
    let (head, body) = request.into_parts();
    let body = decode::whole(body).await?;
    let options = options(&head.headers, &Query::parse(head.uri.query().unwrap_or("")), &body)?;
    let kind = &route.kind;
    let aim =
        Aim { permit, kind, part: Part::Whole, namespace: &route.namespace, name: &route.name, dry_run: options.is_dry_run() };
    let removed = removal::remove(api, &aim, &options, &mut Round::default()).await?;
    let warnings = Vec::from_iter(kinds::deprecation(kind).map(str::to_owned));
    let response = respond(api, &aim, &accept, (removed, &options))?;
    Ok(warning::attach(response, &warnings))
}

/// Deletes what a list shows, and answers with the list.
pub(super) async fn collection(api: &Api, mut call: Call<'_>) -> Result<Response, Status> {
    let accept = Accept::of(&call)?;
    let body = std::mem::replace(call.request.body_mut(), Inbound::Full(Full::default()));
    let body = decode::whole(body).await?;
    let wanted = list::options(&call)?;
    let query = Query::parse(call.request.uri().query().unwrap_or(""));
    let options = options(call.request.headers(), &query, &body)?;
    let kind = &call.route.kind;
    let stamp = api.store.latest().await.map_err(|cause| refusal::store(&cause))?;
    let met = select(api, &call, wanted).await?;
    for object in &met {
        let aim = Aim {
            permit: call.permit,
            kind,
            part: Part::Whole,
            namespace: object.namespace(),
            name: object.name(),
            dry_run: options.is_dry_run(),
        };
        match removal::remove(api, &aim, &options, &mut Round::default()).await {
            Err(refusal) if refusal.code != StatusCode::NOT_FOUND => return Err(refusal),
            _ => {}
        }
    }
    let warnings = Vec::from_iter(kinds::deprecation(kind).map(str::to_owned));
    Ok(warning::attach(list::of(api, &call, &accept, (stamp, met)).await?, &warnings))
}

/// The objects that the selectors name, at most `limit` where there is one.
async fn select(api: &Api, call: &Call<'_>, wanted: ListOptions) -> Result<Vec<Arc<Object>>, Status> {
    let Some(storage) = &call.route.kind.storage else { return Ok(Vec::new()) };
    let most = usize::try_from(wanted.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let selection = Selection::of(&call.route, wanted)?;
    let root = api.store.view().root(storage.space);
    let mut met = Vec::new();
    let mut walk = Walk::new(root, selection, None);
    while !walk.is_done() && met.len() < most {
        walk.advance(BUDGET, |_, object| {
            met.push(Arc::clone(object));
            if met.len() >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        tokio::task::yield_now().await;
    }
    Ok(met)
}

fn respond(api: &Api, aim: &Aim<'_>, accept: &Accept, outcome: (Removed, &DeleteOptions)) -> Result<Response, Status> {
    let (removed, options) = outcome;
    let gone = matches!(removed, Removed::Gone(_));
    let code = if !gone && options.orphan_dependents == Some(false) { StatusCode::ACCEPTED } else { StatusCode::OK };
    match removed {
        Removed::Gone(written) if !aim.kind.habits.delete_answers_object => {
            let status = success(api, aim.kind, &written)?;
            answer::value(aim.kind, accept, code, &status)
        }
        Removed::Gone(Written::Stored(object)) | Removed::Pending(Written::Stored(object)) => {
            answer::object(aim.kind, accept, code, &object)
        }
        Removed::Gone(Written::Loose(value)) | Removed::Pending(Written::Loose(value)) => {
            answer::value(aim.kind, accept, code, &value)
        }
    }
}

/// `Status` of a deletion that has happened.
fn success(api: &Api, kind: &Kind, written: &Written) -> Result<Value, Status> {
    let value = match written {
        Written::Stored(object) => api.served(kind, object)?,
        Written::Loose(value) => value.clone(),
    };
    let mut details = json!({"name": meta::text(&value, "name"), "kind": kind.plural, "uid": meta::text(&value, "uid")});
    if !kind.group.is_empty() {
        details["group"] = Value::from(kind.group.as_str());
    }
    Ok(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}))
}

/// The options: of the body, or of the query when there is no body.
pub(super) fn options(headers: &HeaderMap, query: &Query<'_>, body: &Bytes) -> Result<DeleteOptions, Status> {
    let options = if body.is_empty() {
        DeleteOptions::parse(query).map_err(|fault| Status::bad_request(fault.0))?
    } else {
        of_body(body, decode::encoding(headers)?)?
    };
    refuse_faults("DeleteOptions", &options.faults())?;
    Ok(options)
}

/// `DeleteOptions` of any group version.
fn of_body(body: &[u8], encoding: Encoding) -> Result<DeleteOptions, Status> {
    let schema = Schema::builtin("", "v1", "DeleteOptions").ok_or_else(|| Status::internal("no type DeleteOptions"))?;
    let refuse = |cause: &str| decode::cannot_be_handled(("DeleteOptions", "v1", "DeleteOptions"), cause);
    let reading = schema.read(body, encoding).map_err(|error| match error {
        ReadError::Syntax(cause) | ReadError::Type(cause) => refuse(&cause),
    })?;
    let value = reading.value;
    match value["kind"].as_str() {
        None | Some("" | "DeleteOptions") => Ok(of_value(&value)),
        Some(other) => {
            let (kind, version) = (other.to_owned(), value["apiVersion"].as_str().unwrap_or("v1").to_owned());
            let cause = "decoded object cannot be converted to DeleteOptions";
            Err(decode::cannot_be_handled((&kind, &version, "DeleteOptions"), cause))
        }
    }
}

pub(super) fn of_value(value: &Value) -> DeleteOptions {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let condition = &value["preconditions"];
    DeleteOptions {
        grace_period_seconds: value["gracePeriodSeconds"].as_i64(),
        propagation_policy: text(&value["propagationPolicy"]),
        orphan_dependents: value["orphanDependents"].as_bool(),
        dry_run: value["dryRun"].as_array().into_iter().flatten().filter_map(text).collect(),
        preconditions: Precondition { uid: text(&condition["uid"]), resource_version: text(&condition["resourceVersion"]) },
    }
}

/// Objects looked at before others get their turn.
const BUDGET: usize = 1000;

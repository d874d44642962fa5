//! GET of one object (contract 4.2).

use http::StatusCode;

use super::accept::Accept;
use super::list::Moment;
use super::{Api, Call, answer, refusal};
use crate::body::Response;
use crate::request::{GetOptions, Query};
use crate::status::Status;

pub(super) async fn serve(api: &Api, call: Call<'_>) -> Result<Response, Status> {
    let accept = Accept::of(&call)?;
    let route = &call.route;
    let query = Query::parse(call.request.uri().query().unwrap_or_default());
    let moment = Moment::since(&GetOptions::parse(&query).resource_version)?;
    let missing = || refusal::not_found(&route.kind, &route.name);
    let storage = route.kind.storage.as_ref().ok_or_else(missing)?;
    let name = route.kind.name_in_space(&route.namespace, &route.name);
    moment.wait(api).await?;
    let mut found = api.store.view().item(storage.space, name.as_bytes());
    if found.is_none() && moment != Moment::Newest {
        // An absence is only said of the newest state.
        Moment::Newest.wait(api).await?;
        found = api.store.view().item(storage.space, name.as_bytes());
    }
    answer::object(&route.kind, &accept, StatusCode::OK, &*found.ok_or_else(missing)?)
}

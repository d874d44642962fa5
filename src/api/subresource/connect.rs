//! Logs, commands and ports of pods, and the proxies: they need a way to kubelets, which this backend does not have yet.

use http::StatusCode;

use crate::api::{Api, Call, refusal};
use crate::body::Response;
use crate::status::Status;

pub(super) async fn serve(api: &Api, call: &Call<'_>) -> Result<Response, Status> {
    let route = &call.route;
    api.store.latest().await.map_err(|cause| refusal::store(&cause))?;
    let object = api.seen(&route.kind, &route.namespace, &route.name);
    let object = object.ok_or_else(|| refusal::not_found(&route.kind, &route.name))?;
    if route.kind.plural == "pods" && object.field("spec.nodeName").is_none_or(str::is_empty) {
        return Err(Status::bad_request(format!("pod {} does not have a host assigned", route.name)));
    }
    let message = format!("{}/{} is not supported by this server", route.kind.plural, route.subresource);
    Err(Status::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message))
}

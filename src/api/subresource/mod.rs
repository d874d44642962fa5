//! What hangs below an object: its status, its scale, a pod's node and end. One file each.

mod binding;
mod connect;
mod eviction;
mod scale;
mod token;

use super::kinds::Part;
use super::route::Action;
use super::{Api, Call, get, patch, refusal, update};
use crate::body::Response;
use crate::status::Status;

pub(super) use binding::legacy;

pub(super) async fn serve(api: &Api, call: Call<'_>) -> Result<Response, Status> {
    let part = match call.route.subresource.as_str() {
        "status" => Part::Status,
        "approval" => Part::Approval,
        "ephemeralcontainers" => Part::Ephemeral,
        "finalize" => Part::Finalize,
        "resize" => Part::Resize,
        "scale" => return scale::serve(api, call).await,
        "binding" => return binding::serve(api, call).await,
        "token" => return token::serve(api, call).await,
        "eviction" => return eviction::serve(api, call).await,
        "attach" | "exec" | "log" | "portforward" | "proxy" => return connect::serve(api, &call).await,
        _ => return Err(refusal::no_route()),
    };
    match call.route.action {
        Action::Get => get::serve(api, call).await,
        Action::Update => update::part(api, call, part).await,
        Action::Patch => patch::part(api, call, part).await,
        _ => Err(refusal::no_method()),
    }
}

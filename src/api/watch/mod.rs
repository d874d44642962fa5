//! WATCH: from a version, from now, or from the state as events (contract 4.5-4.7).

mod event;
mod stream;
mod websocket;

use std::time::Duration;

use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::accept::{self, Accept, Form, Media};
use super::list::{self, Moment};
use super::select::Selection;
use super::{Api, Call, answer, refusal};
use crate::body::{Body, Response};
use crate::request::{Fault, FaultKind, ListOptions, quote};
use crate::status::Status;
use crate::store::{Gone, Revision, Space};
use event::Encoder;
use stream::{Clock, Events};

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// With what happens after this version.
    After(Revision),
    /// With what happens from now on.
    Now(Moment),
    /// With the state, as events.
    State(Moment, Mark),
}

/// Whether a bookmark ends the initial events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Sent,
    Left,
}

pub(super) async fn serve(api: &Api, mut call: Call<'_>) -> Result<Response, Status> {
    let accept = Accept::of(&call)?;
    let kind = call.route.kind.clone();
    if matches!(accept.form, Form::MetadataList(_)) {
        let message = format!(
            "you requested PartialObjectMetadataList, but the requested object is not a list (*{})",
            answer::go_type(&kind)
        );
        return Err(accept::unacceptable(message));
    }
    let storage = kind.storage.as_ref().ok_or_else(refusal::no_method)?;
    let options = list::options(&call)?;
    let start = Start::of(&options)?;
    let clock = Clock::new(lifetime(&options), options.allow_watch_bookmarks);
    let selection = Selection::of(&call.route, options)?;
    let trigger = selection.trigger(&kind);
    let sent = api.metrics.as_ref().map(|metrics| metrics.watch_events(&kind.group, &kind.version, &kind.plural));
    let encoder = Encoder::new(&kind, &accept, sent);
    let events = match begin(api, storage.space, start, trigger.as_ref()).await? {
        Ok(begun) => Events::new(begun, (storage.space, trigger), selection, encoder, clock),
        Err(refused) => Events::refused(api.store.view(), refused, encoder, clock),
    };
    if websocket::is_asked(call.request.headers()) {
        return websocket::serve(&mut call.request, events, accept.media, &api.shutdown);
    }
    let mut response = answer::respond(StatusCode::OK, accept.media.name(), Body::stream(events));
    if accept.media == Media::Protobuf {
        let media = http::HeaderValue::from_static("application/vnd.kubernetes.protobuf;stream=watch");
        response.headers_mut().insert(CONTENT_TYPE, media);
    }
    Ok(response)
}

impl Start {
    /// The table of contract 4.5.
    fn of(options: &ListOptions) -> Result<Self, Status> {
        let moment = Moment::since(&options.resource_version).map_err(|_| bad_version(&options.resource_version))?;
        let mark = if options.allow_watch_bookmarks { Mark::Sent } else { Mark::Left };
        Ok(match (options.send_initial_events, moment) {
            (Some(true), moment) => Self::State(moment, mark),
            (_, Moment::NotBefore(revision) | Moment::Exactly(revision)) => Self::After(revision),
            (Some(false), moment) => Self::Now(moment),
            (None, moment) => Self::State(moment, mark),
        })
    }
}

/// Opens the watch. The inner error is what the stream says before it ends: such refusals come after the 200.
async fn begin(
    api: &Api,
    space: Space,
    start: Start,
    trigger: Option<&(u8, String)>,
) -> Result<Result<stream::Begun, Status>, Status> {
    let view = api.store.view();
    let open = |from| view.watch(space, from, trigger.cloned());
    let moment = match start {
        Start::After(revision) => Moment::NotBefore(revision),
        Start::Now(moment) | Start::State(moment, _) => moment,
    };
    if let Err(refused) = moment.wait(api).await {
        return if matches!(moment, Moment::NotBefore(_)) { Ok(Err(refused)) } else { Err(refused) };
    }
    let opened = match start {
        Start::After(revision) => open(revision).map(|watcher| (watcher, None)).map_err(|gone| too_old(revision, gone)),
        Start::Now(_) => {
            let now = view.revision();
            open(now).map(|watcher| (watcher, None)).map_err(|gone| too_old(now, gone))
        }
        Start::State(_, mark) => {
            let root = view.root(space);
            let from = root.revision;
            open(from).map(|watcher| (watcher, Some((root, mark == Mark::Sent)))).map_err(|gone| too_old(from, gone))
        }
    };
    Ok(opened.map(|(watcher, initial)| stream::Begun { view: view.clone(), watcher, initial }))
}

/// The 410 of a version that is no longer known.
fn too_old(asked: Revision, Gone(oldest): Gone) -> Status {
    refusal::expired(format!("too old resource version: {asked} ({oldest})"))
}

fn bad_version(version: &str) -> Status {
    let cause = format!("strconv.ParseUint: parsing {}: invalid syntax", quote(version));
    let message = format!("Invalid value: {}: {cause}", quote(version));
    refusal::bad_options("ListOptions", &[Fault { field: "resourceVersion", kind: FaultKind::Invalid, message }])
}

/// As asked, or somewhere between half an hour and an hour, so that not all watches end together.
fn lifetime(options: &ListOptions) -> Duration {
    match options.timeout_seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0) {
        Some(seconds) => Duration::from_secs(seconds.min(LONGEST)),
        None => Duration::from_secs(SHORTEST + u64::from(stream::chance()) % SHORTEST),
    }
}

/// Seconds.
const SHORTEST: u64 = 1800;

/// Seconds: a timer takes no more than this.
const LONGEST: u64 = 365 * 24 * 3600;

#[cfg(test)]
mod tests;

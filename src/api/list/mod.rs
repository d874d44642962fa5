//! LIST: which moment, which page, and the envelope around the slices (contract 4.3).

mod envelope;
mod moment;
mod stream;
mod token;

use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::{Value, json};

use super::accept::{self, Accept, Form, Media};
use super::object::Object;
use super::render::{Render, table_head};
use super::select::Selection;
use super::table::{self, Columns};
use super::walk::Walk;
use super::{Api, Call, answer, refusal};
use crate::body::Response;
use crate::request::{ListOptions, Query};
use crate::status::Status;
use crate::store::{Revision, Root};
pub(super) use moment::Moment;
use stream::{Envelope, Items, Pieces};
use token::Token;

pub(super) async fn serve(api: &Api, call: Call<'_>) -> Result<Response, Status> {
    let accept = Accept::of(&call)?;
    let kind = &call.route.kind;
    if matches!(accept.form, Form::Metadata(_)) {
        let message =
            format!("you requested PartialObjectMetadata, but the requested object is a list (*{}List)", answer::go_type(kind));
        return Err(accept::unacceptable(message));
    }
    let options = options(&call)?;
    let token = Token::of(&options)?;
    let moment = Moment::of(&options, token.as_ref())?;
    let limit = if moment.ignores_limit() { 0 } else { usize::try_from(options.limit).unwrap_or(0) };
    let selection = Selection::of(&call.route, options)?;
    let (root, stamp) = match &kind.storage {
        Some(storage) => match moment.root(api, storage.space, token.as_ref()).await? {
            Ok(found) => found,
            Err(refused) => return Ok(refused),
        },
        None => (
            Root { revision: Revision(0), items: imbl::OrdMap::new() },
            api.store.latest().await.map_err(|error| refusal::store(&error))?,
        ),
    };
    let narrow = selection.is_narrow();
    let after = token.map(|token| token.start);
    let list = List { api, call: &call, accept: &accept, stamp };
    if limit == 0 {
        list.whole(root, selection, after.as_deref()).await
    } else {
        list.page(root, selection, (after.as_deref(), limit, narrow)).await
    }
}

/// Reads and checks the options of a list or watch.
pub(super) fn options(call: &Call<'_>) -> Result<ListOptions, Status> {
    let query = Query::parse(call.request.uri().query().unwrap_or_default());
    let mut options = ListOptions::parse(&query).map_err(|bad| Status::bad_request(bad.0))?;
    options.watch = call.route.action == super::route::Action::Watch;
    let faults = options.faults();
    if faults.is_empty() { Ok(options) } else { Err(refusal::bad_options("ListOptions", &faults)) }
}

/// The list of objects that a deletion of a collection has met, as they were.
pub(super) async fn of(
    api: &Api,
    call: &Call<'_>,
    accept: &Accept,
    met: (Revision, Vec<Arc<Object>>),
) -> Result<Response, Status> {
    let (stamp, items) = met;
    List { api, call, accept, stamp }.answer(Items::Page(items.into_iter()), json!({})).await
}

/// A list that is about to be answered.
struct List<'a> {
    api: &'a Api,
    call: &'a Call<'a>,
    accept: &'a Accept,
    /// The list's own resourceVersion.
    stamp: Revision,
}

impl List<'_> {
    async fn whole(&self, root: Root<Object>, selection: Selection, after: Option<&str>) -> Result<Response, Status> {
        if self.api.catalog.undecodable() > 0 {
            look(Walk::new(root.clone(), selection.clone(), after)).await?;
        }
        if let Some(name) = selection.single(&self.call.route.kind) {
            let found = root.items.get(name.as_bytes()).filter(|object| selection.has(object)).cloned();
            return self.answer(Items::Page(found.into_iter().collect::<Vec<_>>().into_iter()), json!({})).await;
        }
        self.answer(Items::Walk(Box::new(Walk::new(root, selection, after))), json!({})).await
    }

    /// At most `limit` items, and a token when objects are left; how many, only where nothing was selected by labels or fields.
    async fn page(&self, root: Root<Object>, selection: Selection, at: (Option<&str>, usize, bool)) -> Result<Response, Status> {
        let (after, limit, narrow) = at;
        let prefix = selection.prefix();
        let mut walk = Walk::new(root.clone(), selection, after);
        let mut page: Vec<Arc<Object>> = Vec::new();
        let mut last = String::new();
        while !walk.is_done() && page.len() < limit {
            walk.advance(BUDGET, |name, object| {
                page.push(Arc::clone(object));
                last = String::from_utf8_lossy(&name[prefix.len()..]).into_owned();
                if page.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            tokio::task::yield_now().await;
        }
        if let Some((name, cause)) = page.iter().find_map(|object| object.fault()) {
            return Err(refusal::undecodable(name, cause));
        }
        let left = walk.left();
        let mut metadata = json!({});
        if left > 0 {
            if let Some(storage) = &self.call.route.kind.storage {
                self.api.store.view().keep(storage.space, &root);
            }
            metadata["continue"] = Token::after(self.stamp, &last).into();
            if !narrow {
                metadata["remainingItemCount"] = left.into();
            }
        }
        self.answer(Items::Page(page.into_iter()), metadata).await
    }

    async fn answer(&self, items: Items, mut metadata: Value) -> Result<Response, Status> {
        metadata["resourceVersion"] = self.stamp.to_string().into();
        let kind = &self.call.route.kind;
        let items = match (self.accept.form, table::order(kind)) {
            (Form::Table(_), Some(place)) => items.ordered(place),
            _ => items,
        };
        let render = Render::new(kind, self.accept);
        let envelope = match (self.accept.media, self.accept.form) {
            (Media::Json, _) => Envelope { head: self.head(&metadata), tail: b"]}".to_vec(), ..Envelope::default() },
            (Media::Yaml, form) => {
                let name = if matches!(form, Form::Table(_)) { "rows" } else { "items" };
                envelope::yaml_of(&[&self.head(&metadata)[..], b"]}"].concat(), name)?
            }
            (Media::Protobuf, form) => {
                let length = items.length(&render).await;
                let (kind, version) = match form {
                    Form::Metadata(version) | Form::MetadataList(version) => (METADATA_LIST.to_owned(), version.to_owned()),
                    _ => (format!("{}List", kind.kind), kind.api_version()),
                };
                envelope::protobuf((&version, &kind), &metadata, length)?
            }
        };
        Ok(Pieces::new(envelope, items, (render, self.accept.media)).answer(self.accept))
    }

    /// The JSON up to the bracket of the items.
    fn head(&self, metadata: &Value) -> Vec<u8> {
        let kind = &self.call.route.kind;
        let mut head = Vec::new();
        match self.accept.form {
            Form::Table(version) => table_head(version, metadata, Some(Columns::of(kind)), &mut head),
            Form::MetadataList(version) | Form::Metadata(version) => head_of((METADATA_LIST, version), metadata, &mut head),
            Form::Whole | Form::Groups => head_of((&format!("{}List", kind.kind), &kind.api_version()), metadata, &mut head),
        }
        head
    }
}

/// Refuses a list over something that cannot be decoded. Yields between pieces.
async fn look(mut walk: Walk) -> Result<(), Status> {
    let mut fault = None;
    while !walk.is_done() {
        walk.advance(BUDGET, |_, object| match object.fault() {
            Some((name, cause)) => {
                fault = Some(refusal::undecodable(name, cause));
                ControlFlow::Break(())
            }
            None => ControlFlow::Continue(()),
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn head_of((kind, api_version): (&str, &str), metadata: &Value, out: &mut Vec<u8>) {
    let head = format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{metadata},"items":["#);
    out.extend_from_slice(head.as_bytes());
}

/// Objects looked at before others get their turn.
const BUDGET: usize = 2048;

const METADATA_LIST: &str = "PartialObjectMetadataList";

#[cfg(test)]
mod tests;

//! At which version a read happens: any, the newest, not before one, or exactly one.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::token::Token;
use crate::api::object::Object;
use crate::api::{Api, answer, refusal};
use crate::body::{Body, Response};
use crate::request::{ListOptions, quote};
use crate::status::Status;
use crate::store::{Revision, Root, Space};

/// The version of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Moment {
    /// Whatever is there.
    Any,
    /// Everything acknowledged before the request.
    Newest,
    /// At least this version.
    NotBefore(Revision),
    /// This version.
    Exactly(Revision),
}

impl Moment {
    /// The table of contract 4.3.
    ///
    /// # Errors
    /// 400 for a version that is no number.
    pub(super) fn of(options: &ListOptions, token: Option<&Token>) -> Result<Self, Status> {
        if let Some(token) = token {
            return Ok(token.revision().map_or(Self::Newest, Self::Exactly));
        }
        let moment = Self::since(&options.resource_version)?;
        Ok(match (moment, options.resource_version_match.as_str()) {
            (Self::NotBefore(revision), "Exact") => Self::Exactly(revision),
            (Self::NotBefore(revision), "") if options.limit > 0 => Self::Exactly(revision),
            (moment, _) => moment,
        })
    }

    /// A version as get takes it.
    ///
    /// # Errors
    /// 400 for what is no number.
    pub(in crate::api) fn since(version: &str) -> Result<Self, Status> {
        match version {
            "" => Ok(Self::Newest),
            "0" => Ok(Self::Any),
            text => text.parse().map(|revision| Self::NotBefore(Revision(revision))).map_err(|_| {
                Status::bad_request(format!(
                    "invalid resource version: strconv.ParseUint: parsing {}: invalid syntax",
                    quote(text)
                ))
            }),
        }
    }

    /// Reads of any version are always whole.
    pub(super) fn ignores_limit(self) -> bool {
        self == Self::Any
    }

    /// Waits until the view holds this moment.
    ///
    /// # Errors
    /// 504 for a version that is still in the future after three seconds; what the store cannot do.
    pub(in crate::api) async fn wait(self, api: &Api) -> Result<(), Status> {
        let waited = match self {
            Self::Any => Ok(()),
            Self::Newest => api.store.latest().await.map(drop),
            Self::NotBefore(revision) | Self::Exactly(revision) => api.store.reach(revision, PATIENCE).await,
        };
        waited.map_err(|error| refusal::store(&error))
    }

    /// The state of a space at this moment, and the version to call it by. The inner error is an answer: the version is gone.
    pub(super) async fn root(
        self,
        api: &Api,
        space: Space,
        token: Option<&Token>,
    ) -> Result<Result<(Root<Object>, Revision), Response>, Status> {
        self.wait(api).await?;
        let view = api.store.view();
        let Self::Exactly(revision) = self else {
            let root = view.root(space);
            let revision = root.revision;
            return Ok(Ok((root, revision)));
        };
        match (view.root_at(space, revision), token) {
            (Ok(root), _) => Ok(Ok((root, revision))),
            (Err(_), None) => Err(refusal::expired("The resourceVersion for the provided list is too old.")),
            (Err(_), Some(token)) => Ok(Err(gone(token))),
        }
    }
}

/// 410 with a token that goes on at the newest version.
fn gone(token: &Token) -> Response {
    let status = refusal::expired(GONE);
    let mut body: Value = serde_json::from_slice(&status.to_json()).unwrap_or_default();
    body["metadata"]["continue"] = token.inconsistent().into();
    answer::respond(StatusCode::GONE, "application/json", Body::full(format!("{body}\n")))
}

const PATIENCE: Duration = Duration::from_secs(3);

const GONE: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without \
the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the \
provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was \
returned and now may show up in the list.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_table() {
        use Moment::{Any, Exactly, Newest, NotBefore};
        let seven = Revision(7);
        for (version, matching, limit, wanted) in [
            ("", "", 0, Newest),
            ("", "", 5, Newest),
            ("0", "", 5, Any),
            ("0", "NotOlderThan", 5, Any),
            ("7", "", 0, NotBefore(seven)),
            ("7", "", 5, Exactly(seven)),
            ("7", "NotOlderThan", 5, NotBefore(seven)),
            ("7", "Exact", 0, Exactly(seven)),
        ] {
            let options = ListOptions {
                resource_version: version.to_owned(),
                resource_version_match: matching.to_owned(),
                limit,
                ..ListOptions::default()
            };
            assert_eq!(Moment::of(&options, None).ok(), Some(wanted), "{version} {matching} {limit}");
        }
        assert_eq!(Moment::since("abc").map_err(|refusal| refusal.code.as_u16()), Err(400));
    }
}

//! Why etcd did not do it, by what is known of the request's fate.

use std::fmt::Write;

use etcd_client::Error;
use tonic::{Code, ConnectError, Status};

use super::super::StoreError;
use super::ATTEMPT;

/// Why etcd did not do it.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It was not done: the member could not be reached, or knows no leader. Another one, or the same later, may do it.
    Unsent(String),
    /// It may have been done.
    Doubtful(String),
    /// It was not done, and will not be for now.
    Definite(String),
    /// The value is over etcd's limit; it was not done.
    TooLarge,
    /// The revision asked for is compacted.
    Compacted,
    /// The lease is no longer there; it was not done.
    Unleased,
}

impl Refusal {
    /// No answer within [`ATTEMPT`].
    pub(super) fn late() -> Self {
        Self::Doubtful(format!("etcd did not answer within {} s", ATTEMPT.as_secs()))
    }

    fn of(status: &Status) -> Self {
        let text = text(status);
        match status.code() {
            _ if never_connected(status) || shut_out(&text) => Self::Unsent(text),
            Code::Unavailable if text.ends_with("no leader") => Self::Unsent(text),
            // The second is the gRPC layer's own limit. Both refuse before anything is proposed.
            Code::InvalidArgument if text.contains("request is too large") => Self::TooLarge,
            Code::ResourceExhausted if text.contains("larger than max") => Self::TooLarge,
            Code::OutOfRange if text.contains("compacted") => Self::Compacted,
            Code::NotFound if text.contains("lease not found") => Self::Unleased,
            // Out of space, too many requests: etcd refuses before it proposes, or the proposal changes nothing.
            Code::ResourceExhausted
            | Code::InvalidArgument
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition
            | Code::Unimplemented
            | Code::NotFound
            | Code::OutOfRange => Self::Definite(text),
            _ => Self::Doubtful(text),
        }
    }
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        match error {
            Error::GRpcStatus(status) => Self::of(status),
            other => Self::Doubtful(other.to_string()),
        }
    }
}

impl From<Refusal> for StoreError {
    /// For requests whose repetition changes nothing: doubt is no matter.
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unsent(text) | Refusal::Doubtful(text) | Refusal::Definite(text) => Self::Unavailable(text),
            Refusal::TooLarge => Self::TooLarge,
            Refusal::Compacted => Self::Unavailable("the revision is compacted".to_owned()),
            Refusal::Unleased => Self::Unavailable("etcd does not know the lease".to_owned()),
        }
    }
}

/// An error and its causes in one line.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            let _ = write!(text, ": {more}");
        }
        cause = inner.source();
    }
    text
}

fn text(status: &Status) -> String {
    let mut text = status.message().to_owned();
    if let Some(source) = std::error::Error::source(status) {
        let more = causes(source);
        if text.is_empty() || more.contains(&text) {
            text = more;
        } else if !text.contains(&more) {
            let _ = write!(text, ": {more}");
        }
    }
    if text.is_empty() { status.code().description().to_owned() } else { text }
}

/// Etcd refused our certificate. With TLS 1.3 that comes after the handshake, when a request is on its way already.
fn shut_out(text: &str) -> bool {
    let alert = text.split("received fatal alert: ").nth(1);
    alert.is_some_and(|alert| alert.contains("ertificate") || alert.starts_with("UnknownCA"))
}

fn never_connected(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_request_follows_from_the_answer() {
        for (code, message, expected) in [
            (Code::Unavailable, "etcdserver: no leader", "Unsent"),
            (Code::Unavailable, "etcdserver: request timed out", "Doubtful"),
            (Code::Unavailable, "etcdserver: request timed out, possibly due to previous leader failure", "Doubtful"),
            (Code::Unavailable, "etcdserver: leader changed", "Doubtful"),
            (Code::Unknown, "transport error: connection error: received fatal alert: BadCertificate", "Unsent"),
            (Code::Unknown, "transport error: connection error: received fatal alert: UnknownCA", "Unsent"),
            (Code::Unknown, "transport error: connection error: received fatal alert: InternalError", "Doubtful"),
            (Code::Cancelled, "operation was canceled", "Doubtful"),
            (Code::DeadlineExceeded, "context deadline exceeded", "Doubtful"),
            (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded", "Definite"),
            (Code::ResourceExhausted, "etcdserver: too many requests", "Definite"),
            (Code::ResourceExhausted, "grpc: received message larger than max (3000080 vs. 2097152)", "TooLarge"),
            (Code::InvalidArgument, "etcdserver: request is too large", "TooLarge"),
            (Code::PermissionDenied, "etcdserver: permission denied", "Definite"),
            (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted", "Compacted"),
            (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision", "Definite"),
            (Code::NotFound, "etcdserver: requested lease not found", "Unleased"),
        ] {
            let refusal = format!("{:?}", Refusal::of(&Status::new(code, message)));
            assert!(refusal.starts_with(expected), "{message}: {refusal}, not {expected}");
        }
        let refused = Status::from_error(Box::new(ConnectError("connection refused".into())));
        assert!(matches!(Refusal::of(&refused), Refusal::Unsent(text) if text.contains("refused")));
    }
}

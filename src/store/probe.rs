//! The shared probe of consistent reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Shared;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::{BoxFuture, Log, Revision, StoreError};

/// One probe is on its way at a time. Whoever comes before it is sent shares it; whoever comes later shares the next.
///
/// A cohort is a shared future: each of its waiters drives it, so none is needed in particular and any may go away.
#[derive(Default)]
pub(super) struct Probe {
    newest: Mutex<Option<Cohort>>,
}

/// What a probe found, and when it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) revision: Revision,
    pub(super) sent: Instant,
}

#[derive(Clone)]
struct Cohort {
    future: Shared<BoxFuture<'static, Result<Found, StoreError>>>,
    sent: Arc<AtomicBool>,
}

impl Probe {
    /// A revision not older than any commit acknowledged before the call, and the moment that is proof for.
    pub(super) async fn ask(&self, log: &Arc<dyn Log>, patience: Duration) -> Result<Found, StoreError> {
        let cohort = self.join(log, patience);
        cohort.future.await
    }

    fn join(&self, log: &Arc<dyn Log>, patience: Duration) -> Cohort {
        let mut newest = self.newest.lock();
        if let Some(cohort) = newest.as_ref().filter(|cohort| !cohort.sent.load(Ordering::Acquire)) {
            return cohort.clone();
        }
        let before = newest.take().map(|cohort| cohort.future).filter(|future| future.peek().is_none());
        let sent = Arc::new(AtomicBool::new(false));
        let (mark, log) = (sent.clone(), log.clone());
        let future: BoxFuture<'static, _> = Box::pin(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            // From here on nobody may join: the moment of proof is after every join, before the request leaves.
            mark.store(true, Ordering::Release);
            let sent = Instant::now();
            match timeout(patience, log.probe()).await {
                Ok(answer) => answer.map(|revision| Found { revision, sent }),
                Err(_) => Err(StoreError::Timeout("the log does not say what is newest".to_owned())),
            }
        });
        let cohort = Cohort { future: future.shared(), sent };
        *newest = Some(cohort.clone());
        cohort
    }
}

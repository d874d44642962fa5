//! A log and its view, joined: writes that can be read back, reads that are fresh.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::item::{Item, Reader, Space};
use super::pace::Pace;
use super::probe::Probe;
use super::view::{Limits, View};
use super::{Change, Ending, Expect, Log, Observer, Operation, Outcome, Revision, Sink, StoreError};

/// A log and its view.
pub struct Store<T: Item> {
    view: Arc<View<T>>,
    log: Arc<dyn Log>,
    probe: Probe,
    patience: Duration,
    opened: Instant,
    /// Milliseconds after `opened` for which the view is proven fresh; 0 when it never was.
    proven: AtomicU64,
    observer: OnceLock<Observer>,
    follower: OnceLock<(Vec<Space>, Arc<Pace>)>,
}

impl<T: Item> Store<T> {
    /// The view.
    pub fn view(&self) -> &Arc<View<T>> {
        &self.view
    }

    /// Commits, then waits until the view has applied what was committed (or the state that caused the conflict).
    ///
    /// # Errors
    /// Those of the log. A commit whose fate was unknown has been read back before this answers. [`StoreError::Timeout`] when
    /// the change has happened but the view does not follow in time.
    pub async fn commit(&self, change: Change) -> Result<Outcome, StoreError> {
        let operation = match (&change.value, change.expect) {
            (None, _) => Operation::Delete,
            (Some(_), Expect::Absent) => Operation::Create,
            (Some(_), Expect::At(_)) => Operation::Update,
        };
        let followed = self.is_followed(&change.key);
        let outcome = self.observed(operation, self.log.commit(change)).await?;
        let settled = match &outcome {
            Outcome::Committed(revision) if followed => self.followed(*revision).await,
            Outcome::Committed(revision) => self.follow(*revision).await,
            Outcome::Conflict(Some(entry)) => self.follow(entry.revision).await,
            // When the key or the guard went away is not told: the newest revision is late enough.
            Outcome::Conflict(None) | Outcome::Unguarded => self.latest().await.map(drop),
        };
        settled.map(|()| outcome)
    }

    /// Waits until the view holds every write acknowledged, by anyone, before the call. Waiters share one probe.
    ///
    /// # Errors
    /// When the log does not answer, or the view does not follow in time.
    pub async fn latest(&self) -> Result<Revision, StoreError> {
        let found = self.observed(Operation::Probe, self.probe.ask(&self.log, self.patience)).await?;
        self.follow(found.revision).await?;
        let proof = found.sent.saturating_duration_since(self.opened).as_millis();
        self.proven.fetch_max(u64::try_from(proof).unwrap_or(u64::MAX).max(1), Ordering::AcqRel);
        Ok(found.revision)
    }

    /// Waits until the view has reached `revision`, for `patience` at most.
    ///
    /// # Errors
    /// [`StoreError::Future`] when it has not.
    pub async fn reach(&self, revision: Revision, patience: Duration) -> Result<(), StoreError> {
        if self.view.revision() >= revision {
            return Ok(());
        }
        let late = |_| StoreError::Future(revision, self.view.revision());
        timeout(patience, self.view.tide.reached(revision)).await.map_err(late)
    }

    /// Makes a commit in one of these spaces wait for a follower too. Only the first follower is taken.
    pub fn wait_for(&self, spaces: Vec<Space>, pace: Arc<Pace>) {
        let _ = self.follower.set((spaces, pace));
    }

    /// Waits until the view, and the follower where there is one, have reached `revision`.
    ///
    /// # Errors
    /// [`StoreError::Timeout`] when they have not in time.
    pub async fn followed(&self, revision: Revision) -> Result<(), StoreError> {
        self.follow(revision).await?;
        let Some((_, pace)) = self.follower.get() else { return Ok(()) };
        let late = |_| StoreError::Timeout(format!("what hangs on {revision} is not in force yet"));
        timeout(self.patience, pace.reached(revision)).await.map_err(late)
    }

    /// Gives up the past before this revision.
    ///
    /// # Errors
    /// Those of the log.
    pub async fn compact(&self, before: Revision) -> Result<(), StoreError> {
        self.observed(Operation::Compact, self.log.compact(before)).await
    }

    /// How long ago the view was last proven to hold everything acknowledged; the time since the start when it never was.
    pub fn proven_fresh(&self) -> Duration {
        let proven = Duration::from_millis(self.proven.load(Ordering::Acquire));
        self.opened.elapsed().saturating_sub(proven)
    }

    /// Proves the view's freshness `every` so often, for as long as it is polled. Run it under the process' shutdown: without it
    /// only consistent reads are proof.
    pub async fn prove(&self, every: Duration) {
        loop {
            // A failure shows in `proven_fresh`.
            let _ = self.latest().await;
            tokio::time::sleep(every).await;
        }
    }

    /// Tells `observer` of every operation from now on. Only the first observer is taken.
    pub fn observe(&self, observer: Observer) {
        let _ = self.observer.set(observer);
    }

    fn is_followed(&self, key: &[u8]) -> bool {
        let Some((spaces, _)) = self.follower.get() else { return false };
        self.view.reader.place(key).is_some_and(|place| spaces.contains(&place.space))
    }

    async fn follow(&self, revision: Revision) -> Result<(), StoreError> {
        let late = |_| StoreError::Timeout(format!("the view is at {} and waits for {revision}", self.view.revision()));
        self.reach(revision, self.patience).await.map_err(late)
    }

    async fn observed<R>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<R, StoreError>>,
    ) -> Result<R, StoreError> {
        let Some(observer) = self.observer.get() else { return work.await };
        let begun = Instant::now();
        let result = work.await;
        let ending = if result.is_ok() { Ending::Answered } else { Ending::Failed };
        observer(operation, begun.elapsed(), ending);
        result
    }
}

/// Joins a log and a view: `connect` makes the log, given the sink it feeds. The view's revision is 0 until the log has told the
/// first state: the embedded log has done so when this returns, one over a network does it when it gets there.
///
/// # Errors
/// Those of `connect`.
pub fn open<T: Item, E>(
    reader: Arc<dyn Reader<T>>,
    limits: Limits,
    connect: impl FnOnce(Arc<dyn Sink>) -> Result<Arc<dyn Log>, E>,
) -> Result<Arc<Store<T>>, E> {
    let patience = limits.patience;
    let view = Arc::new(View::new(reader, limits));
    let log = connect(view.clone())?;
    Ok(Arc::new(Store {
        view,
        log,
        probe: Probe::default(),
        patience,
        opened: Instant::now(),
        proven: AtomicU64::new(0),
        observer: OnceLock::new(),
        follower: OnceLock::new(),
    }))
}

//! One signal to stop, and the proof that everything has stopped.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A cheap handle to the process' end: tasks are spawned on it, listen for it, and are awaited by [`Shutdown::finish`].
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// A handle on which nothing has stopped yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces the end to everybody who listens. Calling it twice is calling it once.
    pub fn begin(&self) {
        self.begun.cancel();
        self.tasks.close();
    }

    /// Whether the end has been announced.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Completes when the end is announced.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Runs `task` under this handle: [`Shutdown::finish`] waits for it.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(task);
    }

    /// Announces the end and waits for all tasks, for `deadline` at most. True when all of them ended in time.
    pub async fn finish(&self, deadline: Duration) -> bool {
        self.begin();
        tokio::time::timeout(deadline, self.tasks.wait()).await.is_ok()
    }
}

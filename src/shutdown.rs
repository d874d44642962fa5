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

    /// A signal that follows this one, and can also be given alone: the end of one stream.
    pub fn child(&self) -> CancellationToken {
        self.begun.child_token()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn finish_waits_for_every_task_but_not_for_ever() {
        let shutdown = Shutdown::new();
        let listener = shutdown.clone();
        shutdown.spawn(async move { listener.begun().await });
        assert!(!shutdown.has_begun());
        assert!(shutdown.finish(Duration::from_secs(1)).await);

        let stubborn = Shutdown::new();
        stubborn.spawn(std::future::pending());
        assert!(!stubborn.finish(Duration::from_secs(1)).await);
    }

    #[tokio::test]
    async fn a_child_ends_alone_or_with_all() {
        let shutdown = Shutdown::new();
        let (alone, other) = (shutdown.child(), shutdown.child());
        alone.cancel();
        assert!(alone.is_cancelled() && !other.is_cancelled() && !shutdown.has_begun());
        shutdown.begin();
        assert!(other.is_cancelled());
    }
}

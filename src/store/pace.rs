//! How far somebody follows the view, and waiting for them.

use tokio::sync::{Notify, watch};

use super::Revision;

/// The pace of one follower, who makes something of the view's events. Whoever waits for it asks it to look up.
#[derive(Debug, Default)]
pub struct Pace {
    reached: watch::Sender<Revision>,
    asked: Notify,
}

impl Pace {
    /// For the follower: everything up to here has been followed, and whatever hangs on it is in force.
    pub fn advance(&self, revision: Revision) {
        self.reached.send_if_modified(|reached| std::mem::replace(reached, revision.max(*reached)) < revision);
    }

    /// For the follower: completes when somebody waits, or has waited since the last time.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Completes when the follower has come so far.
    pub async fn reached(&self, revision: Revision) {
        let mut reached = self.reached.subscribe();
        if *reached.borrow_and_update() >= revision {
            return;
        }
        self.asked.notify_one();
        // The sender is this value's own.
        let _ = reached.wait_for(|reached| *reached >= revision).await;
    }
}

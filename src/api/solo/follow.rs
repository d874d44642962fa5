//! A space as a stream: what is there, then what happens. Begins again when it has fallen behind.

use std::sync::Arc;
use std::task::{Context, Poll};

use crate::api::Api;
use crate::api::object::Object;
use crate::store::{Happening, Space, Watcher};

/// What is told.
pub(in crate::api) enum News {
    /// Everything that is there; what is not among it is gone.
    All(Vec<Arc<Object>>),
    /// One change.
    Change(Arc<Happening<Object>>),
}

/// A place in the events of a space.
pub(in crate::api) struct Follower {
    api: Arc<Api>,
    space: Space,
    watcher: Option<Watcher<Object>>,
}

impl Follower {
    pub(in crate::api) fn new(api: Arc<Api>, space: Space) -> Self {
        Self { api, space, watcher: None }
    }

    /// The next piece of news.
    pub(in crate::api) async fn next(&mut self) -> News {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// The same for those who follow several spaces.
    pub(in crate::api) fn poll(&mut self, context: &mut Context<'_>) -> Poll<News> {
        if let Some(watcher) = &mut self.watcher {
            match watcher.poll_next(context) {
                Poll::Ready(Ok(happening)) => return Poll::Ready(News::Change(happening)),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => self.watcher = None,
            }
        }
        let view = self.api.store.view();
        let root = view.root(self.space);
        match view.watch(self.space, root.revision, None) {
            Ok(watcher) => {
                self.watcher = Some(watcher);
                Poll::Ready(News::All(root.items.values().cloned().collect()))
            }
            Err(_) => {
                // The ring has moved between the two calls: try again on the next turn.
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

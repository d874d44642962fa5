//! The body of a watch: polled by the connection, straight over the store's watcher. No task, no channel, no queue.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::{Instant, Sleep};

use super::event::Encoder;
use super::too_old;
use crate::api::object::Object;
use crate::api::object::frame::Change;
use crate::api::refusal;
use crate::api::select::Selection;
use crate::api::walk::Walk;
use crate::body::Source;
use crate::status::Status;
use crate::store::{Gone, Happening, Root, Space, View, Watcher};

/// What a watch has to begin with.
pub(super) struct Begun {
    pub(super) view: Arc<View<Object>>,
    pub(super) watcher: Watcher<Object>,
    /// The state to send first, and whether a bookmark ends it.
    pub(super) initial: Option<(Root<Object>, bool)>,
}

/// The events of one watch.
pub(super) struct Events {
    view: Arc<View<Object>>,
    space: Space,
    trigger: Option<(u8, String)>,
    selection: Selection,
    encoder: Encoder,
    clock: Clock,
    phase: Phase,
}

enum Phase {
    /// The state is being sent.
    Initial(Box<Initial>),
    /// Overtaken inside its initial events: the difference between two roots is being sent.
    Behind(Box<Behind>),
    /// The root is what was sent, until the watcher is known to follow it.
    Live(Box<Watcher<Object>>, Option<Box<Root<Object>>>),
    Refused(Box<Status>),
    Ended,
}

struct Initial {
    walk: Walk,
    root: Root<Object>,
    watcher: Watcher<Object>,
    marked: bool,
}

struct Behind {
    owed: VecDeque<Happening<Object>>,
    root: Root<Object>,
    watcher: Watcher<Object>,
}

/// When a watch ends, and when its next bookmark is due.
pub(super) struct Clock {
    deadline: Instant,
    bookmark: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

/// What is ready to be sent: one shared line, or several copied together.
#[derive(Default)]
struct Ready {
    first: Bytes,
    more: Vec<u8>,
}

impl Events {
    pub(super) fn new(
        begun: Begun,
        (space, trigger): (Space, Option<(u8, String)>),
        selection: Selection,
        encoder: Encoder,
        clock: Clock,
    ) -> Self {
        let phase = match begun.initial {
            None => Phase::Live(Box::new(begun.watcher), None),
            Some((root, marked)) => {
                let walk = Walk::new(root.clone(), selection.clone(), None);
                Phase::Initial(Box::new(Initial { walk, root, watcher: begun.watcher, marked }))
            }
        };
        Self { view: begun.view, space, trigger, selection, encoder, clock, phase }
    }

    /// A stream that says why it ends, and ends.
    pub(super) fn refused(view: &Arc<View<Object>>, refused: Status, encoder: Encoder, clock: Clock) -> Self {
        let phase = Phase::Refused(Box::new(refused));
        Self { view: Arc::clone(view), space: Space(0), trigger: None, selection: Selection::default(), encoder, clock, phase }
    }

    /// Whatever is ready; an empty answer leaves it to the phase to have arranged for waking.
    fn gather(&mut self, context: &mut Context<'_>) -> Ready {
        let mut ready = Ready::default();
        self.phase = match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Initial(initial) => self.initial(initial, &mut ready),
            Phase::Behind(behind) => self.behind(behind, &mut ready),
            Phase::Live(watcher, root) => self.live(watcher, root, &mut ready, context),
            Phase::Refused(status) => self.refuse(&status, &mut ready),
            Phase::Ended => Phase::Ended,
        };
        ready
    }

    fn initial(&mut self, mut initial: Box<Initial>, ready: &mut Ready) -> Phase {
        let (encoder, mut fault, mut sent) = (&mut self.encoder, None, 0);
        initial.walk.advance(BUDGET, |_, object| {
            if let Some((name, cause)) = object.fault() {
                fault = Some(refusal::undecodable(name, cause));
                return ControlFlow::Break(());
            }
            encoder.object(Change::Added.word(), object, &mut ready.more);
            sent += 1;
            if ready.more.len() < CHUNK { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        self.encoder.count(sent);
        if let Some(fault) = fault {
            return self.refuse(&fault, ready);
        }
        if !initial.walk.is_done() {
            return Phase::Initial(initial);
        }
        if initial.marked {
            ready.push(self.encoder.bookmark(initial.root.revision, true));
        }
        Phase::Live(Box::new(initial.watcher), Some(Box::new(initial.root)))
    }

    fn behind(&mut self, mut behind: Box<Behind>, ready: &mut Ready) -> Phase {
        while ready.len() < CHUNK {
            let Some(happening) = behind.owed.pop_front() else {
                return Phase::Live(Box::new(behind.watcher), Some(Box::new(behind.root)));
            };
            if let Err(fault) = self.tell(&happening, ready) {
                return self.refuse(&fault, ready);
            }
        }
        Phase::Behind(behind)
    }

    fn live(
        &mut self,
        mut watcher: Box<Watcher<Object>>,
        mut root: Option<Box<Root<Object>>>,
        ready: &mut Ready,
        context: &mut Context<'_>,
    ) -> Phase {
        for _ in 0..BUDGET {
            match watcher.poll_next(context) {
                Poll::Pending => {
                    if self.clock.rings(context) {
                        ready.push(self.encoder.bookmark(watcher.position(), false));
                    }
                    return Phase::Live(watcher, None);
                }
                Poll::Ready(Ok(happening)) => {
                    root = None;
                    if let Err(fault) = self.tell(&happening, ready) {
                        return self.refuse(&fault, ready);
                    }
                    if ready.len() >= CHUNK {
                        return Phase::Live(watcher, None);
                    }
                }
                Poll::Ready(Err(gone)) => return self.overtaken(watcher.position(), gone, root, ready),
            }
        }
        context.waker().wake_by_ref();
        Phase::Live(watcher, root)
    }

    /// The ring has passed the reader by. While what it knows is still at hand, it is told the difference.
    fn overtaken(
        &mut self,
        position: crate::store::Revision,
        gone: Gone,
        root: Option<Box<Root<Object>>>,
        ready: &mut Ready,
    ) -> Phase {
        let Some(known) = root else { return self.refuse(&too_old(position, gone), ready) };
        let root = self.view.root(self.space);
        match self.view.watch(self.space, root.revision, self.trigger.clone()) {
            Ok(watcher) => {
                let owed = known.difference(&root).into();
                Phase::Behind(Box::new(Behind { owed, root, watcher }))
            }
            Err(gone) => self.refuse(&too_old(position, gone), ready),
        }
    }

    /// Adds what an event is to this watcher: nothing, when it matched neither before nor after.
    fn tell(&mut self, happening: &Happening<Object>, ready: &mut Ready) -> Result<(), Status> {
        let matches = |object: &Option<Arc<Object>>| object.as_deref().is_some_and(|object| self.selection.has(object));
        let (before, after) = (matches(&happening.old), matches(&happening.new));
        let (change, carried) = match (before, after) {
            (false, false) => return Ok(()),
            (false, true) => (Change::Added, &happening.new),
            (true, true) => (Change::Modified, &happening.new),
            (true, false) => (Change::Deleted, &happening.old),
        };
        if let Some((name, cause)) = carried.as_deref().and_then(Object::fault) {
            return Err(refusal::undecodable(name, cause));
        }
        ready.push(self.encoder.happening(happening, change));
        self.encoder.count(1);
        Ok(())
    }

    fn refuse(&self, status: &Status, ready: &mut Ready) -> Phase {
        ready.push(self.encoder.error(status));
        Phase::Ended
    }
}

impl Source for Events {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if matches!(self.phase, Phase::Ended) || self.clock.is_over() {
                return Poll::Ready(None);
            }
            let catching_up = matches!(self.phase, Phase::Initial(_) | Phase::Behind(_));
            let ready = self.gather(context).take();
            if !ready.is_empty() {
                return Poll::Ready(Some(ready));
            }
            match self.phase {
                Phase::Ended => {}
                Phase::Live(..) if catching_up => {}
                Phase::Live(..) => return Poll::Pending,
                // A long look found nothing: others get their turn.
                Phase::Initial(_) | Phase::Behind(_) | Phase::Refused(_) => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    fn farewell(&mut self) -> Option<Bytes> {
        self.phase = Phase::Ended;
        let message = "the right to this watch has been withdrawn";
        Some(self.encoder.error(&Status::new(StatusCode::FORBIDDEN, "Forbidden", message)))
    }
}

impl Clock {
    /// Ends after `lifetime`; with bookmarks about every minute and two seconds before the end.
    pub(super) fn new(lifetime: Duration, bookmarks: bool) -> Self {
        let now = Instant::now();
        let deadline = now + lifetime;
        let mut clock = Self { deadline, bookmark: None, sleep: Box::pin(tokio::time::sleep_until(deadline)) };
        if bookmarks {
            clock.schedule(now);
        }
        clock
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Registers for the next moment that matters; true when a bookmark is due.
    fn rings(&mut self, context: &mut Context<'_>) -> bool {
        if self.sleep.as_mut().poll(context).is_pending() {
            return false;
        }
        let now = Instant::now();
        let due = self.bookmark.is_some_and(|bookmark| bookmark <= now) && now < self.deadline;
        if due {
            self.schedule(now);
        }
        // Registers the new moment; one that has passed already wakes at once.
        if self.sleep.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
        due
    }

    fn schedule(&mut self, now: Instant) {
        let last = self.deadline.checked_sub(BEFORE_END).filter(|last| *last > now);
        let jitter = Duration::from_millis(u64::from(chance()) % 5000);
        self.bookmark = last.map(|last| last.min(now + EVERY - jitter));
        self.sleep.as_mut().reset(self.bookmark.unwrap_or(self.deadline));
    }
}

impl Ready {
    fn push(&mut self, line: Bytes) {
        if self.first.is_empty() && self.more.is_empty() {
            self.first = line;
            return;
        }
        if self.more.is_empty() {
            self.more.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        self.more.extend_from_slice(&line);
    }

    fn len(&self) -> usize {
        self.first.len() + self.more.len()
    }

    fn take(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.into() }
    }
}

/// A number that differs from watch to watch.
pub(super) fn chance() -> u32 {
    (uuid::Uuid::new_v4().as_u128() >> 96) as u32
}

/// Bytes of a piece, about.
const CHUNK: usize = 64 * 1024;

/// Objects or events looked at before others get their turn.
const BUDGET: usize = 1024;

const EVERY: Duration = Duration::from_secs(60);
const BEFORE_END: Duration = Duration::from_secs(2);

//! The one thread that writes.
//!
//! A turn: take everything that waits, decide it against what is applied plus what is pending, write it in one transaction, and
//! only when that is durable apply, publish and answer. While a turn is at the disk, the next one gathers in the inbox.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hashbrown::HashMap;

use super::batch::{Batch, Latitude};
use super::disk::{Disk, Failure, Fate};
use super::inbox::{Answer, Job, stopped};
use super::index::Index;
use super::medium::Medium;
use super::record::{Meta, Record};
use super::{Condition, OpenError, Options, Shared};
use crate::store::{Ending, Entry, Event, Operation, Revision, Sink, StoreError};

/// The writer's side of the log.
pub(super) struct Writer {
    medium: Medium,
    options: Options,
    shared: Arc<Shared>,
    sink: Arc<dyn Sink>,
    index: Index,
    disk: State,
    compaction: Compaction,
    /// When to set space aside, or to try that again.
    reserve: Option<Instant>,
    /// After a failure, what nobody asks for waits until then.
    pause: Option<Instant>,
}

/// The disk as the writer sees it.
enum State {
    Open(Disk),
    /// It has failed and is opened again as soon as nobody holds what was open.
    Failed(Option<Disk>),
}

/// What is asked to be given up, and who waits for it.
#[derive(Default)]
pub(super) struct Compaction {
    before: u64,
    waiting: Vec<(u64, Answer<()>)>,
}

/// Abandons the inbox however the thread ends, so that nobody waits for ever.
struct Abandon(Arc<Shared>);

impl Drop for Abandon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.set_condition(Condition::Failed);
        }
        self.0.inbox.abandon();
    }
}

impl Writer {
    /// A writer that goes on where `index` ends.
    pub(super) fn new(place: (Medium, Options), shared: Arc<Shared>, sink: Arc<dyn Sink>, (disk, index): (Disk, Index)) -> Self {
        let (medium, options) = place;
        let compaction = Compaction::default();
        // Space is set aside a little later, not in the way of the start.
        let reserve = Some(Instant::now() + RETRY);
        Self { medium, options, shared, sink, index, disk: State::Open(disk), compaction, reserve, pause: None }
    }

    /// Works until the inbox is closed and empty.
    pub(super) fn run(mut self) {
        let _abandon = Abandon(self.shared.clone());
        loop {
            let Some(jobs) = self.shared.inbox.take(self.wake()) else { return };
            if matches!(self.disk, State::Failed(_)) && !self.is_paused() {
                self.reopen();
            }
            let idle = jobs.is_empty();
            match std::mem::replace(&mut self.disk, State::Failed(None)) {
                State::Open(disk) => self.turn(jobs, disk),
                failed @ State::Failed(_) => {
                    self.disk = failed;
                    jobs.into_iter().for_each(|job| job.refuse(StoreError::Unavailable("the disk has failed".to_owned())));
                }
            }
            self.keep_house(idle);
        }
    }

    /// When there is something to do that nobody asks for.
    fn wake(&self) -> Option<Instant> {
        let now = Instant::now();
        if self.is_paused() {
            return self.pause;
        }
        if matches!(self.disk, State::Failed(_)) || !self.dispensable().0.is_empty() {
            return Some(now);
        }
        [self.index.next_deadline(), self.reserve].into_iter().flatten().min()
    }

    fn is_paused(&self) -> bool {
        self.pause.is_some_and(|until| until > Instant::now())
    }

    fn turn(&mut self, jobs: Vec<Job>, disk: Disk) {
        let mut batch = Batch::new();
        let mut rooms = Vec::with_capacity(jobs.len());
        let latitude = if self.shared.condition() == Condition::Full { Latitude::Shrinking } else { Latitude::All };
        for job in jobs {
            match job {
                Job::Commit { change, answer, room } => {
                    let outcome = batch.decide(change, latitude, (&self.index, &disk));
                    batch.answers.push((answer, outcome));
                    rooms.push(room);
                }
                Job::Compact { before, answer } => self.compaction.ask(before.0.min(self.index.revision), answer),
            }
        }
        if !self.is_paused() {
            batch.expire(self.index.expired(Instant::now(), STEP), &self.index);
        }
        let (removed, compacted) = self.dispensable();
        if batch.records.is_empty() && removed.is_empty() {
            self.disk = State::Open(disk);
            return self.finish(batch);
        }
        let meta = (!removed.is_empty()).then(|| Meta { revision: batch.revision(&self.index), compacted });
        let begun = Instant::now();
        let written = disk.write(&batch.records, &removed, meta);
        self.observe(begun, if written.is_ok() { Ending::Answered } else { Ending::Failed });
        match written {
            Ok(()) => {
                self.disk = State::Open(disk);
                self.index.forget(removed.len(), compacted);
                self.finish(batch);
            }
            Err(failure) => {
                self.disk = State::Failed(Some(disk));
                self.fail(batch, &failure);
            }
        }
    }

    /// Applies, publishes and answers what is durable now.
    fn finish(&mut self, batch: Batch) {
        let now = Instant::now();
        for (revision, record) in &batch.records {
            self.index.apply(*revision, record, now);
        }
        if !batch.records.is_empty() {
            self.sink.apply(Revision(self.index.revision), batch.events());
            self.shared.publish(self.index.revision);
        }
        for (answer, outcome) in batch.answers {
            // The caller may have gone away.
            let _ = answer.send(outcome);
        }
        let done = self.index.dispensable(self.compaction.before, 1).0.is_empty();
        self.compaction.answer(self.index.compacted, done);
    }

    /// The whole group has failed. What is on the disk is read again before anything is said.
    fn fail(&mut self, batch: Batch, failure: &Failure) {
        tracing::error!(cause = %failure.message, full = failure.full, "the store's disk has failed a write");
        self.shared.withdraw_disk();
        self.shared.set_condition(if failure.full { Condition::Full } else { Condition::Failed });
        if failure.full {
            self.medium.give_back();
            self.reserve = Some(Instant::now() + ASIDE);
        }
        let newest = batch.revision(&self.index);
        self.reopen();
        // However well that went: what nobody asks for must not fail over and over.
        self.pause = Some(Instant::now() + RETRY);
        let open = matches!(self.disk, State::Open(_));
        let happened = !batch.records.is_empty() && open && self.index.revision >= newest;
        let known = open || failure.fate == Fate::Undone;
        for (answer, outcome) in batch.answers {
            let message = || format!("the disk has failed: {}", failure.message);
            let outcome = match outcome {
                Ok(_) if !happened && known => Err(StoreError::Unavailable(message())),
                Ok(_) if !happened => Err(StoreError::Timeout(message())),
                outcome => outcome,
            };
            let _ = answer.send(outcome);
        }
    }

    /// Opens the medium again and reads everything again. What turns out to be durable though its write failed is published.
    fn reopen(&mut self) {
        match self.reload() {
            Ok((disk, index, missed)) => {
                self.index = index;
                if !missed.is_empty() {
                    self.sink.apply(Revision(self.index.revision), missed);
                }
                self.shared.publish(self.index.revision);
                self.shared.lend_disk(&disk);
                self.disk = State::Open(disk);
                if self.shared.condition() == Condition::Failed {
                    self.shared.set_condition(Condition::Writable);
                }
                tracing::info!(revision = self.index.revision, "the store's disk has been read again");
            }
            Err(error) => {
                self.pause = Some(Instant::now() + RETRY);
                tracing::warn!(cause = %error, "the store cannot be opened again yet");
            }
        }
    }

    fn reload(&mut self) -> Result<(Disk, Index, Vec<Event>), OpenError> {
        if let State::Failed(held) = &mut self.disk {
            // A copy that is being made may still hold it: two databases on one medium would be two writers.
            if held.as_ref().is_some_and(|disk| !disk.is_last()) {
                return Err(OpenError::InUse);
            }
            *held = None;
        }
        let disk = Disk::open(&self.medium, self.options.cache_bytes)?;
        let published = self.shared.revision();
        let mut missed = Vec::new();
        let index = read(&disk, |revision, record| {
            if revision > published {
                missed.push(Event { key: record.key, value: record.value, revision: Revision(revision) });
            }
        })?;
        if index.revision < published {
            return Err(OpenError::Corrupt(format!("revision {published} was durable and is gone")));
        }
        Ok((disk, index, missed))
    }

    /// Sets space aside when there is time, and leaves the state of a full disk when that succeeds.
    fn keep_house(&mut self, idle: bool) {
        let full = self.shared.condition() == Condition::Full;
        if matches!(self.disk, State::Failed(_)) || !(idle || full) || self.reserve.is_none_or(|at| at > Instant::now()) {
            return;
        }
        match self.medium.set_aside(self.options.reserve_bytes) {
            Ok(()) => {
                self.reserve = None;
                if full {
                    self.shared.set_condition(Condition::Writable);
                    tracing::info!("the store's disk has room again");
                }
            }
            Err(error) => {
                tracing::warn!(cause = %error, "no space could be set aside for a full disk");
                self.reserve = Some(Instant::now() + ASIDE);
            }
        }
    }

    /// The next records to remove: what is asked for, what is too much, and on a full disk whatever can go.
    fn dispensable(&self) -> (Vec<u64>, u64) {
        if self.is_paused() {
            return (Vec::new(), self.index.compacted);
        }
        let excess = self.index.excess(self.options.history, STEP).unwrap_or(0);
        let mut before = self.compaction.before.max(excess);
        if self.shared.condition() == Condition::Full {
            before = self.index.revision;
        }
        self.index.dispensable(before, STEP)
    }

    fn observe(&self, begun: Instant, ending: Ending) {
        if let Some(observer) = &self.options.observer {
            observer(Operation::Batch, begun.elapsed(), ending);
        }
    }
}

impl Compaction {
    fn ask(&mut self, before: u64, answer: Answer<()>) {
        self.before = self.before.max(before);
        self.waiting.push((before, answer));
    }

    /// Answers whoever has got what was asked for.
    fn answer(&mut self, compacted: u64, done: bool) {
        for (_, answer) in self.waiting.extract_if(.., |(before, _)| done || *before <= compacted) {
            let _ = answer.send(Ok(()));
        }
    }
}

impl Job {
    fn refuse(self, error: StoreError) {
        // The caller may have gone away.
        let _ = match self {
            Self::Commit { answer, .. } => answer.send(Err(error)).is_ok(),
            Self::Compact { answer, .. } => answer.send(Err(error)).is_ok(),
        };
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Reads the whole log into an index, and shows every record on the way.
pub(super) fn read(disk: &Disk, mut each: impl FnMut(u64, Record)) -> Result<Index, OpenError> {
    let look = disk.look()?;
    let now = Instant::now();
    let mut index = Index::new(look.meta()?);
    look.each(|revision, record| {
        index.apply(revision, &record, now);
        each(revision, record);
    })?;
    Ok(index)
}

/// Reads the whole log and tells the sink: the state some revisions back, then what came after, so that watches that were open
/// before a restart find their place.
pub(super) fn tell(disk: &Disk, replay: u64, sink: &dyn Sink) -> Result<Index, OpenError> {
    let meta = disk.look()?.meta()?;
    let begin = meta.revision.saturating_sub(replay).max(meta.compacted);
    let mut state: HashMap<Bytes, Entry> = HashMap::new();
    let mut events = Vec::new();
    let index = read(disk, |revision, record| {
        let (key, revision) = (record.key, Revision(revision));
        match record.value {
            value if revision.0 > begin => events.push(Event { key, value, revision }),
            Some(value) => drop(state.insert(key, Entry { value, revision })),
            None => drop(state.remove(&key)),
        }
    })?;
    sink.reset(Revision(begin), state.into_iter().collect());
    if meta.revision > begin {
        sink.apply(Revision(meta.revision), events);
    }
    Ok(index)
}

/// The answer to a commit whose writer has gone.
pub(super) fn lost<R>(result: Result<Result<R, StoreError>, tokio::sync::oneshot::error::RecvError>) -> Result<R, StoreError> {
    result.unwrap_or_else(|_| Err(StoreError::Timeout(stopped().to_string())))
}

/// How many expired keys and superseded records one turn deletes at most.
const STEP: usize = 512;

/// How long to wait before trying again what failed, and before trying again to set space aside.
const RETRY: Duration = Duration::from_secs(1);
const ASIDE: Duration = Duration::from_secs(5);

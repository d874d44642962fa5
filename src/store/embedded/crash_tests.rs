//! Crashes, on images: a device notes every write and sync; every prefix of them, with the last writes torn, lost or out of order,
//! is a disk as a crash may leave it. Each is opened: everything acknowledged must be there, and the state must be exactly that
//! of the revision the log says it has.

use std::collections::BTreeMap;
use std::io;

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::tests::put;
use super::*;
use crate::store::conformance::Recorder;
use crate::store::{Entry, Expect};

/// What was done to the device.
#[derive(Clone, Debug)]
enum Step {
    Write(u64, Vec<u8>),
    Length(u64),
    Sync,
}

/// Memory that notes what is done to it.
#[derive(Debug, Default)]
struct Witness {
    memory: InMemoryBackend,
    steps: Mutex<Vec<Step>>,
}

impl Witness {
    fn note(&self, step: Step) {
        self.steps.lock().push(step);
    }
}

impl StorageBackend for Witness {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.note(Step::Length(len));
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.note(Step::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(Step::Write(offset, data.to_vec()));
        self.memory.write(offset, data)
    }
}

impl Device for Witness {}

type State = BTreeMap<Bytes, Entry>;

/// What was done, and what was promised when.
struct Story {
    steps: Vec<Step>,
    /// After so many steps, this revision was acknowledged.
    promises: Vec<(usize, u64)>,
    /// The state at each revision.
    states: BTreeMap<u64, State>,
}

/// Writes a story: creations, updates, deletions and compactions, with two closings in between.
async fn story(length: usize) -> Story {
    let device = Arc::new(Witness::default());
    let mut story = Story { steps: Vec::new(), promises: Vec::new(), states: BTreeMap::from([(1, State::new())]) };
    let mut state = State::new();
    for part in 0..3 {
        let medium = Medium::Device(device.clone());
        let log = Embedded::open_on(medium, Options::default(), Arc::new(Recorder::default())).expect("a log");
        story.promises.push((device.steps.lock().len(), log.revision().0));
        for step in 0..length {
            let key = format!("/registry/pods/default/{}", (step * 7 + part) % 11);
            let value = vec![step as u8; (step * 797) % 5000];
            let held = state.get(key.as_bytes()).map(|entry| entry.revision);
            let change = Change {
                value: (held.is_none() || step % 3 != 0).then(|| Bytes::from(value)),
                ..put(&key, held.map_or(Expect::Absent, Expect::At), b"")
            };
            let (key, value) = (change.key.clone(), change.value.clone());
            let Outcome::Committed(revision) = log.commit(change).await.expect("an outcome") else { panic!("a conflict") };
            match value {
                Some(value) => drop(state.insert(key, Entry { value, revision })),
                None => drop(state.remove(&key)),
            }
            story.promises.push((device.steps.lock().len(), revision.0));
            story.states.insert(revision.0, state.clone());
            if step % 10 == 9 {
                log.compact(Revision(revision.0 - 3)).await.expect("a compaction");
            }
        }
    }
    story.steps = device.steps.lock().clone();
    story
}

impl Story {
    /// The disk after the first `count` steps, of which those after the last sync went wrong in the way that `crash` says.
    fn image(&self, count: usize, crash: Crash) -> Vec<u8> {
        let steps = &self.steps[..count];
        let synced = steps.iter().rposition(|step| matches!(step, Step::Sync)).map_or(0, |last| last + 1);
        let mut image = Vec::new();
        let mut dice = (count as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Sync => {}
                Step::Length(length) => image.resize(*length as usize, 0),
                Step::Write(offset, data) => {
                    dice ^= dice << 13;
                    dice ^= dice >> 7;
                    dice ^= dice << 17;
                    let kept = match crash {
                        Crash::Torn if number + 1 == count => dice as usize % data.len(),
                        Crash::Scattered if number >= synced && dice.is_multiple_of(3) => 0,
                        Crash::Scattered if number >= synced && dice % 3 == 1 => data.len().min(512 * (dice as usize % 9)),
                        _ => data.len(),
                    };
                    let offset = *offset as usize;
                    // A lost change of the length leaves a shorter file, which the write lengthens again.
                    image.resize(image.len().max(offset + data.len()), 0);
                    image[offset..offset + kept].copy_from_slice(&data[..kept]);
                }
            }
        }
        image
    }

    /// The newest revision that had been acknowledged after so many steps.
    fn promised(&self, count: usize) -> u64 {
        self.promises.iter().filter(|(step, _)| *step <= count).map(|(_, revision)| *revision).max().unwrap_or(0)
    }

    async fn check(&self, count: usize, crash: Crash) {
        let promised = self.promised(count);
        let image = self.image(count, crash);
        let memory = InMemoryBackend::new();
        memory.set_len(image.len() as u64).expect("memory");
        memory.write(0, &image).expect("memory");
        let medium = Medium::Device(Arc::new(memory));
        let recorder = Arc::new(Recorder::default());
        let log = match Embedded::open_on(medium, Options::default(), recorder.clone()) {
            Ok(log) => log,
            // Before it was opened for the first time nothing is promised, not even that it opens.
            Err(_) if promised == 0 => return,
            Err(error) => panic!("after {count} steps, {crash:?}: {error}"),
        };
        let revision = log.revision().0;
        assert!(revision >= promised, "after {count} steps, {crash:?}: revision {revision}, but {promised} was acknowledged");
        assert_eq!(Some(&recorder.state()), self.states.get(&revision), "after {count} steps, {crash:?}: state of {revision}");
        assert!(recorder.breaches().is_empty(), "after {count} steps, {crash:?}");
        if count.is_multiple_of(16) {
            let Ok(Outcome::Committed(next)) = log.commit(put("/next", Expect::Absent, b"x")).await else { panic!("{count}") };
            assert_eq!(next.0, revision + 1);
        }
    }
}

/// How the writes after the last sync went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crash {
    /// Those there are are whole.
    Clean,
    /// The last one is torn.
    Torn,
    /// Some are missing, some are torn: nothing is in order between two syncs.
    Scattered,
}

#[tokio::test]
async fn every_crash_leaves_all_that_was_acknowledged() {
    let whole = std::env::var_os("PORTCULLIS_SOAK").is_some();
    let story = story(if whole { 250 } else { 40 }).await;
    let stride = if whole { 1 } else { story.steps.len().div_ceil(170) };
    let mut images = 0;
    for count in (0..=story.steps.len()).step_by(stride) {
        for crash in [Crash::Clean, Crash::Torn, Crash::Scattered] {
            story.check(count, crash).await;
            images += 1;
        }
    }
    println!("{images} images of {} steps", story.steps.len());
    assert!(images >= if whole { 10_000 } else { 400 }, "only {images} images");
}

//! The embedded log as a log, as a file, and on disks that fail.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::*;
use crate::store::conformance::{self, Ground, Recorder};
use crate::store::{Entry, Event, Expect};

/// A medium that is opened again and again.
struct Place(Medium, &'static str);

impl Ground for Place {
    fn open(&self, sink: Arc<dyn Sink>) -> BoxFuture<'_, Arc<dyn Log>> {
        let log = Embedded::open_on(self.0.clone(), options(), sink).expect("a log");
        Box::pin(std::future::ready(log as Arc<dyn Log>))
    }

    fn prefix(&self) -> String {
        format!("/registry/{}/", self.1)
    }

    fn too_large(&self) -> usize {
        options().value_bytes + 1
    }
}

/// Memory of a limited size, some of it a reserve, whose writes and syncs can be made to fail.
#[derive(Debug, Default)]
struct Frail {
    memory: InMemoryBackend,
    room: AtomicU64,
    failing: AtomicBool,
    syncing: AtomicBool,
    /// The next sync fails, those after it do not.
    hiccup: AtomicBool,
    reserved: AtomicBool,
}

impl StorageBackend for Frail {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.syncing.load(Ordering::SeqCst) || self.hiccup.swap(false, Ordering::SeqCst) {
            true => Err(io::Error::other("the sync failed")),
            false => Ok(()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.failing.load(Ordering::SeqCst) {
            return Err(io::Error::other("the write failed"));
        }
        let held = if self.reserved.load(Ordering::SeqCst) { RESERVE } else { 0 };
        if offset + data.len() as u64 + held > self.room.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.memory.write(offset, data)
    }
}

impl Device for Frail {
    fn set_aside(&self) -> io::Result<()> {
        if self.memory.len()? + RESERVE > self.room.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.reserved.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn give_back(&self) {
        self.reserved.store(false, Ordering::SeqCst);
    }
}

const RESERVE: u64 = 1 << 20;

fn options() -> Options {
    Options { reserve_bytes: 1 << 16, value_bytes: 2 << 20, ..Options::default() }
}

fn frail(room: u64) -> (Arc<Frail>, Medium) {
    let device = Arc::new(Frail::default());
    device.room.store(room, Ordering::SeqCst);
    device.reserved.store(true, Ordering::SeqCst);
    (device.clone(), Medium::Device(device))
}

pub(super) fn put(key: &str, expect: Expect, value: &[u8]) -> Change {
    let value = Some(Bytes::copy_from_slice(value));
    Change { key: Bytes::copy_from_slice(key.as_bytes()), expect, value, ttl: None, guard: None }
}

async fn create(log: &Embedded, key: &str, value: &[u8]) -> Result<Revision, StoreError> {
    match log.commit(put(key, Expect::Absent, value)).await? {
        Outcome::Committed(revision) => Ok(revision),
        other => panic!("{other:?}"),
    }
}

fn open(medium: &Medium) -> (Arc<Embedded>, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    (Embedded::open_on(medium.clone(), options(), recorder.clone()).expect("a log"), recorder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_in_memory() {
    conformance::all(&Place(Medium::memory(), "memory")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_on_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    conformance::all(&Place(Medium::File(directory.path().join("state")), "disk")).await;
}

#[tokio::test]
async fn a_store_is_open_once_and_private() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state");
    let first = Embedded::open(&path, options(), Arc::new(Recorder::default())).expect("a log");
    let second = Embedded::open(&path, options(), Arc::new(Recorder::default()));
    assert!(matches!(second, Err(OpenError::InUse)));
    assert!(matches!(check(&path), Err(CopyError::Open(OpenError::InUse))));
    assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    first.close();
    assert!(matches!(create(&first, "a", b"x").await, Err(StoreError::Unavailable(_))));
    assert!(Embedded::open(&path, options(), Arc::new(Recorder::default())).is_ok());
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state");
    let refuse = |content: &[u8]| {
        std::fs::write(&path, content).expect("a file");
        let refused = Embedded::open(&path, options(), Arc::new(Recorder::default()));
        assert_eq!(std::fs::read(&path).expect("a file"), content, "it is as it was");
        refused.err().map(|error| error.to_string())
    };
    for content in [&b"apiVersion: v1\n"[..], &[0; 4096], &[0xff; 100_000]] {
        let refusal = refuse(content).expect("a refusal");
        assert!(refusal.starts_with("the store's file is damaged or no store"), "{refusal}");
    }
    std::fs::remove_file(&path).expect("a file");
    let other: redb::TableDefinition<'_, u64, u64> = redb::TableDefinition::new("other");
    let database = redb::Database::create(&path).expect("a database");
    let transaction = database.begin_write().expect("a transaction");
    transaction.open_table(other).expect("a table").insert(1, 1).expect("a row");
    transaction.commit().expect("a commit");
    drop(database);
    assert!(matches!(Embedded::open(&path, options(), Arc::new(Recorder::default())), Err(OpenError::Foreign)));
    let nowhere = Embedded::open(&directory.path().join("no/where"), options(), Arc::new(Recorder::default()));
    assert!(matches!(nowhere, Err(OpenError::Io(_))));
}

#[tokio::test]
async fn a_flipped_bit_is_found_or_harmless() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state");
    let log = Embedded::open(&path, options(), Arc::new(Recorder::default())).expect("a log");
    for number in 0..40 {
        create(&log, &format!("{number}"), &[number; 700]).await.expect("a revision");
    }
    drop(log);
    let (sound, image) = (check(&path).expect("a summary"), std::fs::read(&path).expect("a file"));
    let mut found = 0;
    for step in 0..300 {
        let mut damaged = image.clone();
        let bit = step * (image.len() * 8 / 300) + step % 8;
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &damaged).expect("a file");
        match check(&path) {
            Err(_) => found += 1,
            Ok(summary) => assert_eq!(summary, sound, "bit {bit} changed the state unnoticed"),
        }
    }
    assert!(found > 50, "only {found} of 300 were found: most of the file is data");
}

#[tokio::test]
async fn after_a_start_the_sink_is_told_of_the_recent_past() {
    let medium = Medium::memory();
    let (log, _) = open(&medium);
    let first = create(&log, "a", b"1").await.expect("a revision");
    log.commit(put("a", Expect::At(first), b"2")).await.expect("an outcome");
    let newest = create(&log, "b", b"1").await.expect("a revision");
    drop(log);

    let (log, told) = open(&medium);
    assert_eq!(told.events().len(), 3, "every revision is told");
    log.compact(newest).await.expect("a compaction");
    drop(log);

    let (log, told) = open(&medium);
    assert!(told.events().is_empty(), "the past has been given up");
    assert_eq!((told.revision(), told.state().len()), (newest, 2));
    drop(log);

    let recorder = Arc::new(Recorder::default());
    let log = Embedded::open_on(medium, Options { replay: 0, ..options() }, recorder.clone()).expect("a log");
    assert_eq!((recorder.events().len(), recorder.state().len(), log.revision()), (0, 2, newest));
    assert!(recorder.breaches().is_empty());
}

#[tokio::test]
async fn the_past_is_bounded_without_being_asked() {
    let medium = Medium::memory();
    let log = Embedded::open_on(medium.clone(), Options { history: 100, ..options() }, Arc::new(Recorder::default()));
    let log = log.expect("a log");
    let mut revision = create(&log, "a", b"x").await.expect("a revision");
    for _ in 0..2000 {
        match log.commit(put("a", Expect::At(revision), b"x")).await.expect("an outcome") {
            Outcome::Committed(newer) => revision = newer,
            other => panic!("{other:?}"),
        }
    }
    drop(log);
    let (log, told) = open(&medium);
    assert!(told.events().len() < 1000, "{} are kept", told.events().len());
    assert_eq!(log.revision(), revision);
}

#[tokio::test]
async fn a_full_disk_takes_deletions_and_small_updates_and_recovers() {
    let (device, medium) = frail(3 << 20);
    let (log, told) = open(&medium);
    let lease = create(&log, "lease", &[0; 300]).await.expect("a revision");
    let mut held = Vec::new();
    let refused = loop {
        match create(&log, &format!("{}", held.len()), &[7; 60_000]).await {
            Ok(revision) => held.push(revision),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    assert_eq!(log.condition(), Condition::Full);
    assert!(matches!(create(&log, "one more", b"x").await, Err(StoreError::Unavailable(_))));
    let renewed = log.commit(put("lease", Expect::At(lease), &[1; 300])).await.expect("an outcome");
    assert!(matches!(renewed, Outcome::Committed(_)));
    for (number, revision) in held.iter().enumerate() {
        let change = Change { value: None, ..put(&format!("{number}"), Expect::At(*revision), b"") };
        assert!(matches!(log.commit(change).await.expect("an outcome"), Outcome::Committed(_)));
    }
    device.room.store(64 << 20, Ordering::SeqCst);
    let begun = Instant::now();
    while log.condition() != Condition::Writable {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    create(&log, "one more", &[7; 60_000]).await.expect("a revision");
    assert_eq!(told.state().len(), 2);
    assert!(told.breaches().is_empty());
}

#[tokio::test]
async fn a_failed_write_fails_its_group_and_is_read_back() {
    for write in [true, false] {
        let (device, medium) = frail(64 << 20);
        let (log, told) = open(&medium);
        let before = create(&log, "before", b"x").await.expect("a revision");
        let switch = if write { &device.failing } else { &device.syncing };
        switch.store(true, Ordering::SeqCst);
        let failed = create(&log, "during", b"x").await;
        assert!(matches!(failed, Err(StoreError::Timeout(_) | StoreError::Unavailable(_))), "{failed:?}");
        assert_eq!(log.condition(), Condition::Failed);
        assert!(matches!(create(&log, "meanwhile", b"x").await, Err(StoreError::Unavailable(_))));
        assert!(log.probe().await.is_ok_and(|revision| revision >= before), "what is read is still right");
        switch.store(false, Ordering::SeqCst);
        let begun = Instant::now();
        let after = loop {
            match create(&log, "after", b"x").await {
                Ok(revision) => break revision,
                Err(_) => assert!(begun.elapsed() < Duration::from_secs(20), "it does not recover"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(after > before);
        let state = told.state();
        drop(log);
        let (_log, reread) = open(&medium);
        assert_eq!(reread.state(), state, "the sink was told exactly what is on the disk");
        assert!(told.breaches().is_empty());
    }
}

#[tokio::test]
async fn the_fate_of_a_failed_group_is_read_from_the_disk() {
    let (device, medium) = frail(64 << 20);
    let (log, told) = open(&medium);
    for round in 0..5 {
        let key = format!("{round}");
        device.hiccup.store(true, Ordering::SeqCst);
        let said = log.commit(put(&key, Expect::Absent, b"x")).await;
        let held = told.state().get(key.as_bytes()).map(|entry| entry.revision);
        match said {
            Ok(Outcome::Committed(revision)) => assert_eq!(held, Some(revision)),
            Err(StoreError::Unavailable(_)) => assert_eq!(held, None, "said not to have happened"),
            other => panic!("{other:?}"),
        }
        assert_eq!(log.condition(), Condition::Writable, "the disk works again");
    }
    create(&log, "after", b"x").await.expect("a revision");
    let state = told.state();
    drop(log);
    assert_eq!(open(&medium).1.state(), state);
    assert!(told.breaches().is_empty());
}

/// A sink that holds the writer up.
struct Gate(mpsc::SyncSender<()>, Mutex<mpsc::Receiver<()>>);

impl Sink for Gate {
    fn reset(&self, _revision: Revision, _entries: Vec<(Bytes, Entry)>) {}

    fn apply(&self, _revision: Revision, _events: Vec<Event>) {
        let _ = self.0.send(());
        let _ = self.1.lock().recv();
    }
}

#[tokio::test]
async fn a_group_is_compared_against_what_is_pending() {
    let (entered, enter) = mpsc::sync_channel(1);
    let (release, released) = mpsc::sync_channel(10);
    let log = Embedded::open_on(Medium::memory(), options(), Arc::new(Gate(entered, Mutex::new(released)))).expect("a log");
    let spawn = |change: Change| {
        let log = log.clone();
        tokio::spawn(async move { log.commit(change).await })
    };
    let first = spawn(put("a", Expect::Absent, b"1"));
    tokio::task::yield_now().await;
    enter.recv().expect("the writer");
    // The writer stands in the sink: these come into one group.
    let group = [
        put("b", Expect::Absent, b"1"),
        put("b", Expect::Absent, b"2"),
        put("b", Expect::At(Revision(3)), b"3"),
        Change { value: None, ..put("b", Expect::At(Revision(4)), b"") },
        Change { guard: Some((Bytes::from_static(b"b"), Revision(4))), ..put("c", Expect::Absent, b"1") },
    ];
    let mut tasks = Vec::new();
    for change in group {
        tasks.push(spawn(change));
        tokio::task::yield_now().await;
    }
    for _ in 0..10 {
        let _ = release.try_send(());
    }
    assert_eq!(first.await.expect("a task").expect("an outcome"), Outcome::Committed(Revision(2)));
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.expect("a task").expect("an outcome"));
    }
    let pending = Entry { value: Bytes::from_static(b"1"), revision: Revision(3) };
    let expected = [
        Outcome::Committed(Revision(3)),
        Outcome::Conflict(Some(pending)),
        Outcome::Committed(Revision(4)),
        Outcome::Committed(Revision(5)),
        Outcome::Unguarded,
    ];
    assert_eq!(outcomes, expected);
}

#[tokio::test]
async fn a_copy_is_whole_and_never_overwrites() {
    let directory = tempfile::tempdir().expect("a directory");
    let [path, copied, restored] = ["state", "copy", "restored"].map(|name| directory.path().join(name));
    let log = Embedded::open(&path, options(), Arc::new(Recorder::default())).expect("a log");
    for number in 0..100_u8 {
        let created = create(&log, &format!("{}", number % 50), &[number]).await.expect("a revision");
        if number < 50 {
            let change = Change { value: None, ..put(&format!("{number}"), Expect::At(created), b"") };
            log.commit(change).await.expect("an outcome");
        }
    }
    let copy = log.snapshot(&copied).expect("a copy");
    assert_eq!((copy.keys, copy.superseded, copy.revision), (50, 0, log.revision()));
    assert!(matches!(log.snapshot(&copied), Err(CopyError::Exists(_))));
    create(&log, "later", b"x").await.expect("a revision");
    drop(log);

    assert_eq!(check(&copied).expect("a summary"), copy);
    assert!(matches!(restore(&copied, &path, Bump(0)), Err(CopyError::Exists(_))));
    let summary = restore(&copied, &restored, Bump(1000)).expect("a store");
    assert_eq!((summary.digest, summary.revision.0), (copy.digest, copy.revision.0 + 1000));
    let (log, told) = open(&Medium::File(restored));
    assert_eq!(told.state().len(), 50);
    assert!(create(&log, "new", b"x").await.expect("a revision").0 > copy.revision.0 + 1000, "clients meet no revision again");

    let offline = directory.path().join("offline");
    let summary = snapshot(&path, &offline).expect("a copy");
    assert_eq!((summary.keys, summary.digest), (51, check(&path).expect("a summary").digest));
    assert!(matches!(check(&directory.path().join("nothing")), Err(CopyError::Missing(_))));
    let left: Vec<_> = std::fs::read_dir(directory.path()).expect("a directory").filter_map(Result::ok).collect();
    assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().ends_with(".partial")));
}

#[tokio::test]
async fn the_reserve_is_written_and_given_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let medium = Medium::File(directory.path().join("state"));
    medium.set_aside(100_000).expect("room");
    let reserve = directory.path().join("state.reserve");
    assert_eq!(std::fs::metadata(&reserve).expect("a reserve").len(), 100_000);
    medium.give_back();
    assert!(!reserve.exists());
    medium.give_back();
}

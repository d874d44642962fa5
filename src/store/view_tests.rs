//! The view, fed by hand: exact roots, what is gone, buckets, several events of one revision, readers that are overtaken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::item::{Gone, Happening, Item, Place, Reader, Space, Trigger};
use super::view::{Limits, View};
use super::watcher::Watcher;
use super::{Entry, Event, Revision, Sink};

/// A value `node text`: the node is its trigger value.
#[derive(Debug)]
pub(super) struct Thing {
    pub(super) text: String,
    revision: Revision,
}

/// Keys are `/<space>/<name>`; `/pods/` is space 1, `/nodes/` space 2, anything else foreign.
pub(super) struct Plain;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Item for Thing {
    type Forms = ();

    fn weight(&self) -> usize {
        self.text.len()
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn triggers(&self, each: &mut dyn FnMut(Trigger<'_>)) {
        let value = self.text.split(' ').next().unwrap_or_default();
        each(Trigger { field: NODE, value });
        each(Trigger { field: 2, value: "all" });
    }
}

impl Reader<Thing> for Plain {
    fn place(&self, key: &[u8]) -> Option<Place> {
        let of = |prefix: &[u8], space| key.starts_with(prefix).then_some(Place { space, prefix: prefix.len() });
        of(b"/pods/", PODS).or_else(|| of(b"/nodes/", NODES))
    }

    fn read(&self, _space: Space, _key: &[u8], value: Bytes, revision: Revision) -> Thing {
        Thing { text: String::from_utf8_lossy(&value).into_owned(), revision }
    }
}

pub(super) const PODS: Space = Space(1);
const NODES: Space = Space(2);
const NODE: u8 = 1;

fn view(limits: Limits) -> Arc<View<Thing>> {
    let view = Arc::new(View::new(Arc::new(Plain), limits));
    view.reset(Revision(10), vec![entry("/pods/a", "n1 old", 5), entry("/nodes/n1", "n1 node", 7), entry("/other", "x", 9)]);
    view
}

pub(super) fn entry(key: &'static str, value: &'static str, revision: u64) -> (Bytes, Entry) {
    (Bytes::from_static(key.as_bytes()), Entry { value: Bytes::from_static(value.as_bytes()), revision: Revision(revision) })
}

pub(super) fn event(key: &str, value: Option<&str>, revision: u64) -> Event {
    let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
    Event { key: Bytes::copy_from_slice(key.as_bytes()), value, revision: Revision(revision) }
}

/// One event, applied by itself.
fn tell(view: &View<Thing>, key: &str, value: Option<&str>, revision: u64) {
    view.apply(Revision(revision), vec![event(key, value, revision)]);
}

fn watch(view: &Arc<View<Thing>>, from: u64, node: Option<&str>) -> Watcher<Thing> {
    view.watch(PODS, Revision(from), node.map(|node| (NODE, node.to_owned()))).unwrap_or_else(|gone| panic!("{gone:?}"))
}

fn show(happening: &Happening<Thing>) -> String {
    let text = |item: &Option<Arc<Thing>>| item.as_ref().map_or("-".to_owned(), |item| item.text.clone());
    let name = String::from_utf8_lossy(&happening.name).into_owned();
    format!("{} {name}: {} => {}", happening.revision, text(&happening.old), text(&happening.new))
}

/// Everything that is owed now; a search that pauses is taken up again.
fn drain(watcher: &mut Watcher<Thing>) -> Result<Vec<String>, Gone> {
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut events = Vec::new();
    loop {
        let woken = count.0.load(Ordering::Relaxed);
        match watcher.poll_next(&mut Context::from_waker(&waker)) {
            Poll::Ready(Ok(happening)) => events.push(show(&happening)),
            Poll::Ready(Err(gone)) => return Err(gone),
            Poll::Pending if count.0.load(Ordering::Relaxed) == woken => return Ok(events),
            Poll::Pending => {}
        }
    }
}

fn names(view: &View<Thing>, space: Space, revision: u64) -> Result<BTreeMap<String, String>, Gone> {
    let root = view.root_at(space, Revision(revision))?;
    assert_eq!(root.revision, Revision(revision));
    Ok(root.items.iter().map(|(name, item)| (String::from_utf8_lossy(name).into_owned(), item.text.clone())).collect())
}

#[test]
fn keys_find_their_space_and_foreign_keys_only_move_the_revision() {
    let view = view(Limits::default());
    assert_eq!(view.item(PODS, b"a").expect("an item").text, "n1 old");
    assert!(view.item(NODES, b"a").is_none());
    tell(&view, "/other", Some("y"), 11);
    view.apply(Revision(12), Vec::new());
    assert_eq!((view.revision(), view.root(PODS).revision), (Revision(12), Revision(12)));
    let stats = view.stats();
    assert_eq!(
        stats.spaces.iter().map(|space| (space.space, space.items, space.bytes)).collect::<Vec<_>>(),
        [(PODS, 1, 6), (NODES, 1, 7)]
    );
}

#[test]
fn a_watcher_gets_every_event_after_its_revision_in_order() {
    let view = view(Limits::default());
    let mut from_start = watch(&view, 10, None);
    tell(&view, "/pods/b", Some("n2 x"), 11);
    tell(&view, "/nodes/n2", Some("n2"), 12);
    tell(&view, "/pods/a", None, 13);
    tell(&view, "/pods/b", Some("n1 x"), 14);
    let expected = ["11 b: - => n2 x", "13 a: n1 old => -", "14 b: n2 x => n1 x"];
    assert_eq!(drain(&mut from_start).expect("events"), expected);
    assert_eq!(drain(&mut watch(&view, 11, None)).expect("events"), expected[1..]);
    assert_eq!(drain(&mut watch(&view, 14, None)).expect("events"), [""; 0]);
    assert!(view.watch(PODS, Revision(9), None).is_err_and(|gone| gone == Gone(Revision(10))));
}

#[test]
fn a_watcher_of_the_future_waits_for_it() {
    let view = view(Limits::default());
    let mut all = watch(&view, 12, None);
    let mut one = watch(&view, 12, Some("n1"));
    tell(&view, "/pods/a", Some("n1 11"), 11);
    tell(&view, "/pods/a", Some("n1 12"), 12);
    assert!(drain(&mut all).expect("events").is_empty() && drain(&mut one).expect("events").is_empty());
    assert_eq!(all.position(), Revision(12));
    tell(&view, "/pods/a", Some("n1 13"), 13);
    for watcher in [&mut all, &mut one] {
        assert_eq!(drain(watcher).expect("events"), ["13 a: n1 12 => n1 13"]);
    }
}

#[test]
fn events_that_were_applied_already_are_not_applied_again() {
    let view = view(Limits::default());
    let mut watcher = watch(&view, 10, None);
    view.apply(Revision(12), vec![event("/pods/b", Some("n1 11"), 11), event("/pods/b", Some("n1 12"), 12)]);
    view.apply(Revision(12), vec![event("/pods/b", Some("n1 11"), 11)]);
    view.apply(Revision(13), vec![event("/pods/b", Some("n1 12"), 12), event("/pods/b", None, 13)]);
    view.apply(Revision(14), vec![event("/pods/never", None, 14)]);
    assert_eq!(drain(&mut watcher).expect("events"), ["11 b: - => n1 11", "12 b: n1 11 => n1 12", "13 b: n1 12 => -"]);
}

#[test]
fn a_bucket_holds_what_has_its_value_before_or_after() {
    let view = view(Limits::default());
    tell(&view, "/pods/b", Some("n1 early"), 11);
    tell(&view, "/pods/c", Some("n2 early"), 12);
    // The first watcher opens the bucket and searches the past; the second finds the bucket open.
    let mut first = watch(&view, 10, Some("n1"));
    tell(&view, "/pods/b", Some("n2 moved"), 13);
    let mut second = watch(&view, 12, Some("n1"));
    tell(&view, "/pods/b", Some("n3 moved"), 14);
    tell(&view, "/pods/a", None, 15);
    let expected = ["11 b: - => n1 early", "13 b: n1 early => n2 moved", "15 a: n1 old => -"];
    assert_eq!(drain(&mut first).expect("events"), expected);
    assert_eq!(drain(&mut second).expect("events"), expected[1..]);
    assert_eq!(drain(&mut watch(&view, 10, Some("n1"))).expect("events"), expected, "a late one searches, then joins");
    assert_eq!(drain(&mut watch(&view, 10, Some("nowhere"))).expect("events"), [""; 0]);
    drop((first, second));
    tell(&view, "/pods/d", Some("n1 x"), 16);
    assert_eq!(
        drain(&mut watch(&view, 15, Some("n1"))).expect("events"),
        ["16 d: - => n1 x"],
        "the bucket was closed and is found empty"
    );
}

#[test]
fn only_the_watchers_of_a_value_are_woken() {
    let view = view(Limits::default());
    let mut watchers: Vec<_> = (0..5000)
        .map(|number| {
            let count = Arc::new(Count::default());
            let mut watcher = watch(&view, 10, Some(&format!("node-{number}")));
            let waker = Waker::from(count.clone());
            assert!(watcher.poll_next(&mut Context::from_waker(&waker)).is_pending());
            (watcher, count)
        })
        .collect();
    tell(&view, "/pods/x", Some("node-7 x"), 11);
    tell(&view, "/pods/x", Some("node-9 x"), 12);
    let woken: Vec<_> =
        watchers.iter().map(|(_, count)| count.0.load(Ordering::Relaxed)).enumerate().filter(|one| one.1 > 0).collect();
    assert_eq!(woken, [(7, 1), (9, 1)], "the second event of 7 finds it awake");
    assert_eq!(drain(&mut watchers[7].0).expect("events").len(), 2);
    assert_eq!(drain(&mut watchers[9].0).expect("events").len(), 1);
    assert_eq!(watchers[0].0.position(), Revision(12), "nothing is owed: the cursor moves on");
    assert_eq!(view.stats().spaces[0].watchers, 5000);
    drop(watchers);
    assert_eq!(view.stats().spaces[0].watchers, 0);
}

#[test]
fn a_watcher_that_goes_is_not_woken() {
    let view = view(Limits::default());
    for node in [None, Some("n1")] {
        let (stays, goes) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let mut staying = watch(&view, view.revision().0, node);
        let mut going = watch(&view, view.revision().0, node);
        for (watcher, count) in [(&mut staying, &stays), (&mut going, &goes)] {
            assert!(watcher.poll_next(&mut Context::from_waker(&Waker::from(count.clone()))).is_pending());
        }
        drop(going);
        assert_eq!(Arc::strong_count(&goes), 1, "its waker is gone too");
        tell(&view, "/pods/a", Some("n1 x"), view.revision().0 + 1);
        assert_eq!((stays.0.load(Ordering::Relaxed), goes.0.load(Ordering::Relaxed)), (1, 0));
    }
}

#[test]
fn several_events_of_one_revision_are_one_step() {
    let view = view(Limits::default());
    let mut watcher = watch(&view, 10, None);
    view.apply(
        Revision(12),
        vec![
            event("/pods/b", Some("n1 x"), 11),
            event("/nodes/n2", Some("n2 x"), 11),
            event("/pods/c", Some("n1 x"), 11),
            event("/pods/a", None, 12),
        ],
    );
    assert_eq!(watcher.position(), Revision(10));
    let mut positions = Vec::new();
    while watcher.poll_next(&mut Context::from_waker(Waker::noop())).is_ready() {
        positions.push(watcher.position().0);
    }
    assert_eq!(positions, [10, 11, 12], "a revision is passed with its last event");
    assert_eq!(names(&view, PODS, 11).expect("a root").keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(names(&view, PODS, 10).expect("a root").keys().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn positions_of_watchers_move_with_what_is_not_theirs() {
    let view = view(Limits::default());
    let (mut all, mut one) = (watch(&view, 10, None), watch(&view, 10, Some("n1")));
    assert_eq!((all.position(), one.position()), (Revision(10), Revision(10)));
    tell(&view, "/nodes/n1", None, 11);
    assert_eq!((all.position(), one.position()), (Revision(11), Revision(11)));
    tell(&view, "/pods/b", Some("n2 x"), 12);
    assert_eq!((all.position(), one.position()), (Revision(11), Revision(12)));
    tell(&view, "/pods/a", Some("n1 x"), 14);
    assert_eq!((all.position(), one.position()), (Revision(11), Revision(13)));
    drain(&mut all).and(drain(&mut one)).expect("events");
    assert_eq!((all.position(), one.position()), (Revision(14), Revision(14)));
}

#[test]
fn a_reader_that_is_overtaken_is_told_so_and_the_writer_never_waits() {
    let view = view(Limits { ring_bytes: 10_000, ..Limits::default() });
    let (mut slow, mut other, mut same) = (watch(&view, 10, None), watch(&view, 10, Some("n2")), watch(&view, 10, Some("n1")));
    tell(&view, "/pods/a", Some("n1 first"), 11);
    for revision in 12..200 {
        tell(&view, "/pods/b", Some("n3 x"), revision);
    }
    let floor = drain(&mut slow).expect_err("it was overtaken").0;
    assert!(floor > Revision(100));
    assert_eq!(drain(&mut same), Err(Gone(floor)), "what was owed to it has gone");
    assert_eq!(drain(&mut other).expect("nothing was owed to it"), [""; 0]);
    assert_eq!(other.position(), Revision(199));
    assert!(view.watch(PODS, Revision(floor.0 - 1), None).is_err());
    assert_eq!(drain(&mut watch(&view, floor.0, None)).expect("events").len() as u64, 199 - floor.0);
    let stats = view.stats().spaces[0];
    assert!(stats.ring_bytes <= 10_000 && stats.ring_events as u64 == 199 - floor.0, "{stats:?}");
}

#[test]
fn the_space_that_holds_most_pays_for_itself() {
    let view = view(Limits { ring_bytes: 20_000, ..Limits::default() });
    let mut quiet = view.watch(NODES, Revision(10), None).unwrap_or_else(|gone| panic!("{gone:?}"));
    tell(&view, "/nodes/n2", Some("n2"), 11);
    for revision in 12..500 {
        tell(&view, "/pods/b", Some("n3 x"), revision);
    }
    assert_eq!(drain(&mut quiet).expect("events").len(), 1);
    assert_eq!(names(&view, NODES, 10).expect("a root").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_revision_that_is_kept_is_rebuilt_exactly() {
    let view = view(Limits { ring_bytes: 30_000, ..Limits::default() });
    let mut model: BTreeMap<u64, BTreeMap<String, String>> = BTreeMap::new();
    let mut state = BTreeMap::from([("a".to_owned(), "n1 old".to_owned())]);
    model.insert(10, state.clone());
    let mut dice = 7_u64;
    for revision in 11..1000 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (name, value) = (format!("{}", (dice >> 33) % 20), format!("n{} {revision}", (dice >> 40) % 3));
        let value = (!(dice >> 50).is_multiple_of(4)).then_some(value);
        let key = if (dice >> 55).is_multiple_of(5) { "/other".to_owned() } else { format!("/pods/{name}") };
        tell(&view, &key, value.as_deref(), revision);
        if key != "/other" {
            match value {
                Some(value) => drop(state.insert(name, value)),
                None => drop(state.remove(&name)),
            }
        }
        model.insert(revision, state.clone());
        tokio::time::advance(Duration::from_millis(170)).await;
    }
    let stats = view.stats().spaces[0];
    assert!(stats.roots > 5, "{stats:?}");
    let mut missing = Vec::new();
    for (revision, state) in &model {
        match names(&view, PODS, *revision) {
            Ok(rebuilt) => assert_eq!(&rebuilt, state, "at {revision}"),
            Err(Gone(oldest)) => missing.push((*revision, oldest.0)),
        }
    }
    let newest = missing.last().copied().expect("something is gone");
    assert!(newest.0 < newest.1 && newest.1 < 900, "everything from the oldest on is there: {newest:?}");
    assert!(view.root_at(PODS, Revision(1000)).is_err(), "the future is not known");
}

#[tokio::test(start_paused = true)]
async fn a_promised_root_outlives_the_ring_but_not_its_budget_nor_its_time() {
    let limits = Limits { ring_bytes: 5000, roots_bytes: 200_000, keep: Duration::from_secs(300), ..Limits::default() };
    let view = view(limits);
    tell(&view, "/pods/b", Some("n1 b"), 11);
    let promised = view.root(PODS);
    view.keep(PODS, &promised);
    for revision in 12..60 {
        tell(&view, "/pods/b", Some("n1 later"), revision);
    }
    assert!(view.watch(PODS, Revision(11), None).is_err());
    assert_eq!(names(&view, PODS, 11).expect("it was promised")["b"], "n1 b");
    assert!(names(&view, PODS, 12).is_err(), "its neighbour was not");

    for revision in 60..400 {
        tell(&view, "/pods/b", Some(&"x".repeat(2000)), revision);
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    assert!(names(&view, PODS, 11).is_err(), "over the budget the oldest goes");
    let stats = view.stats().spaces[0];
    assert!(stats.roots_bytes <= 200_000, "{stats:?}");

    view.keep(PODS, &view.root(PODS));
    tell(&view, "/pods/b", Some("n1"), 400);
    tokio::time::advance(Duration::from_secs(599)).await;
    tell(&view, "/pods/b", Some("n2"), 401);
    assert!(names(&view, PODS, 399).is_ok() && names(&view, PODS, 398).is_err());
    tokio::time::advance(Duration::from_secs(6)).await;
    tell(&view, "/nodes/n1", Some("n2"), 402);
    assert!(names(&view, PODS, 399).is_err(), "twice the time of an event is over");
    assert_eq!(view.stats().spaces[0].ring_events, 1);
}

#[test]
fn after_a_reset_watchers_get_the_difference() {
    let view = view(Limits::default());
    tell(&view, "/pods/b", Some("n1 b"), 11);
    let (mut all, mut one) = (watch(&view, 11, None), watch(&view, 11, Some("n1")));
    let kept = view.item(PODS, b"b").expect("an item");
    view.reset(Revision(20), vec![entry("/pods/a", "n2 new", 15), entry("/pods/b", "n1 b", 11), entry("/pods/c", "n2 c", 18)]);
    assert!(Arc::ptr_eq(&kept, &view.item(PODS, b"b").expect("an item")), "what is the same is not read again");
    assert_eq!(drain(&mut all).expect("events"), ["20 a: n1 old => n2 new", "20 c: - => n2 c"]);
    assert_eq!(drain(&mut one).expect("events"), ["20 a: n1 old => n2 new"]);
    assert_eq!(all.position(), Revision(20));
    assert!(view.root(NODES).items.is_empty(), "what is not there any more is gone");
    assert_eq!(names(&view, PODS, 11).expect("a root")["a"], "n1 old");
    for missed in 12..20 {
        assert!(names(&view, PODS, missed).is_err(), "nobody knows {missed}");
        assert!(view.watch(PODS, Revision(missed), None).is_err_and(|gone| gone == Gone(Revision(20))));
    }
    assert_eq!(drain(&mut watch(&view, 11, None)).expect("events").len(), 2);
    view.reset(Revision(20), vec![entry("/pods/a", "n2 new", 15), entry("/pods/b", "n1 b", 11), entry("/pods/c", "n2 c", 18)]);
    assert!(drain(&mut all).expect("nothing has changed").is_empty());
}

#[test]
fn a_log_that_has_gone_back_overtakes_everybody() {
    let view = view(Limits::default());
    tell(&view, "/pods/b", Some("n1 b"), 30);
    let (mut all, mut one) = (watch(&view, 30, None), watch(&view, 10, Some("n1")));
    let count = Arc::new(Count::default());
    assert!(all.poll_next(&mut Context::from_waker(&Waker::from(count.clone()))).is_pending());
    view.reset(Revision(20), vec![entry("/pods/a", "n1 older", 4)]);
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "it is woken to be told");
    assert_eq!((drain(&mut all), drain(&mut one)), (Err(Gone(Revision(20))), Err(Gone(Revision(20)))));
    assert_eq!(view.revision(), Revision(20));
    assert_eq!(names(&view, PODS, 20).expect("a root").len(), 1);
    tell(&view, "/pods/a", Some("n1 x"), 21);
    assert_eq!(drain(&mut watch(&view, 20, Some("n1"))).expect("events").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_beside_a_writer_miss_nothing_and_sleep_through_nothing() {
    const LAST: u64 = 5000;
    let view = view(Limits::default());
    let mut readers = Vec::new();
    for number in 0..12_u64 {
        let view = view.clone();
        readers.push(tokio::spawn(async move {
            let node = (number % 3 != 0).then(|| format!("n{}", number % 3));
            let from = loop {
                // Some begin in the middle of things.
                match view.revision().0 {
                    revision if revision >= 10 + number * 100 => break revision - number,
                    _ => tokio::task::yield_now().await,
                }
            };
            let mut watcher = watch(&view, from.max(10), node.as_deref());
            let mut next = from.max(10) + 1;
            let mine = |revision: u64| node.is_none() || revision == LAST || revision % 3 == number % 3;
            while next <= LAST {
                if !mine(next) {
                    next += 1;
                    continue;
                }
                let owed = std::future::poll_fn(|context| watcher.poll_next(context));
                let happening = tokio::time::timeout(Duration::from_secs(20), owed).await.expect("a wake-up");
                let happening = happening.unwrap_or_else(|gone| panic!("{gone:?}"));
                assert_eq!(happening.revision, Revision(next), "reader {number}");
                next += 1;
            }
            drop(watcher);
        }));
    }
    let writer = tokio::task::spawn_blocking({
        let view = view.clone();
        move || {
            for revision in 11..LAST {
                tell(&view, &format!("/pods/x{}", revision % 3), Some(&format!("n{} x", revision % 3)), revision);
            }
        }
    });
    writer.await.expect("the writer");
    let last = ["/pods/y1", "/pods/y2"].map(|key| event(key, Some(&format!("n{} x", &key[7..])), LAST));
    view.apply(Revision(LAST), last.to_vec());
    for reader in readers {
        reader.await.expect("a reader");
    }
    assert_eq!(view.stats().spaces[0].watchers, 0);
}

#[test]
fn a_search_of_a_long_past_lets_others_in_between() {
    let view = view(Limits::default());
    for revision in 11..3000 {
        tell(&view, "/pods/b", Some(if revision % 1000 == 0 { "n7 x" } else { "n3 x" }), revision);
    }
    let mut watcher = watch(&view, 10, Some("n7"));
    assert!(watcher.poll_next(&mut Context::from_waker(Waker::noop())).is_pending(), "it does not search to the end at once");
    let searched = watcher.position();
    assert!(searched > Revision(100) && searched < Revision(1000));
    assert_eq!(drain(&mut watcher).expect("events").len(), 4, "each in and out");
    assert_eq!(watcher.position(), Revision(2999));
}

#[test]
fn the_difference_of_two_roots_leads_from_one_to_the_other() {
    let view = view(Limits::default());
    let before = view.root(PODS);
    tell(&view, "/pods/b", Some("n1 b"), 11);
    tell(&view, "/pods/z", Some("n1 z"), 12);
    tell(&view, "/pods/a", Some("n1 a"), 13);
    tell(&view, "/pods/z", None, 14);
    let after = view.root(PODS);
    let shown = |happenings: Vec<Happening<Thing>>| happenings.iter().map(show).collect::<Vec<_>>();
    assert_eq!(shown(before.difference(&after)), ["14 a: n1 old => n1 a", "14 b: - => n1 b"]);
    assert_eq!(shown(after.difference(&before)), ["10 a: n1 a => n1 old", "10 b: n1 b => -"]);
    assert!(after.difference(&after.clone()).is_empty());
}

#[test]
fn equal_states_have_equal_digests() {
    let (one, other) = (view(Limits::default()), view(Limits::default()));
    assert_eq!(one.digest(PODS), other.digest(PODS));
    tell(&one, "/pods/b", Some("n1 b"), 11);
    assert_ne!(one.digest(PODS).1, other.digest(PODS).1);
    tell(&other, "/pods/b", Some("n1 b"), 11);
    assert_eq!(one.digest(PODS), other.digest(PODS));
    tell(&one, "/pods/b", Some("n1 b"), 12);
    assert_ne!(one.digest(PODS).1, other.digest(PODS).1, "the revision counts");
}

#[test]
fn an_idle_watcher_is_small() {
    // Besides itself: its label, its bucket with one waker, and their place in the map.
    assert!(size_of::<Watcher<Thing>>() <= 128, "{}", size_of::<Watcher<Thing>>());
    let beside = size_of::<super::bucket::Label>() * 2 + size_of::<super::bucket::Bucket<Thing>>() + 4 * size_of::<Waker>();
    assert!(size_of::<Watcher<Thing>>() + beside + 2 * 64 < 500, "{beside}");
}

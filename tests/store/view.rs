//! What readers of the view see when the line to etcd is cut and the past is given up meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{Compare, CompareOp, KeyValue, Txn, TxnOp};
use portcullis::shutdown::Shutdown;
use portcullis::store::conformance::Recorder;
use portcullis::store::etcd::{Etcd, Settings};
use portcullis::store::{self, Item, Limits, Log, Outcome, Place as Spot, Reader, Revision, Space, Store, Trigger, Watcher};
use tokio::time::{sleep, timeout};

use super::ground::{Open, Place, change, committed, key, settings, until};
use super::relay::Relay;

struct Thing {
    value: Bytes,
    revision: Revision,
}

impl Item for Thing {
    type Forms = ();

    fn weight(&self) -> usize {
        self.value.len()
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn triggers(&self, _: &mut dyn FnMut(Trigger<'_>)) {}
}

struct Plain;

impl Reader<Thing> for Plain {
    fn place(&self, name: &[u8]) -> Option<Spot> {
        name.starts_with(&key("")).then(|| Spot { space: THINGS, prefix: key("").len() })
    }

    fn read(&self, _: Space, _: &[u8], value: Bytes, revision: Revision) -> Thing {
        Thing { value, revision }
    }
}

const THINGS: Space = Space(1);

type State = BTreeMap<Bytes, (Bytes, Revision)>;

async fn open(settings: Settings, shutdown: &Shutdown) -> Arc<Store<Thing>> {
    let etcd = Etcd::connect(settings).await.unwrap();
    let limits = Limits { patience: Duration::from_secs(3), ..Limits::default() };
    store::open(Arc::new(Plain), limits, |sink| Ok::<_, ()>(etcd.start(sink, shutdown) as Arc<dyn Log>)).unwrap()
}

fn state(store: &Store<Thing>) -> State {
    let of = |(name, item): (&Bytes, &Arc<Thing>)| (name.clone(), (item.value.clone(), item.revision));
    store.view().root(THINGS).items.iter().map(of).collect()
}

/// Follows until the watcher is at `end`; what it was told, upon `state`, and how many events.
async fn follow(watcher: &mut Watcher<Thing>, end: Revision, state: &mut State) -> usize {
    let mut count = 0;
    while watcher.position() < end {
        let next = std::future::poll_fn(|context| watcher.poll_next(context));
        let event = timeout(Duration::from_secs(10), next).await.expect("an event in time").expect("not overtaken");
        count += 1;
        match &event.new {
            Some(item) => drop(state.insert(event.name.clone(), (item.value.clone(), item.revision))),
            None => assert!(state.remove(&event.name).is_some(), "the deletion of what is not there"),
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_get_the_difference_of_what_was_compacted_while_the_line_was_cut() {
    let place = Place::start();
    let relay = Relay::to(&place.etcd.endpoint()).await;
    let shutdown = Shutdown::new();
    let store = open(settings(&place.pki, vec![relay.endpoint()]), &shutdown).await;
    let mut names = BTreeMap::new();
    for name in ["kept", "changed", "gone"] {
        let outcome = store.commit(change(name, store::Expect::Absent, Some("1"))).await;
        names.insert(name, committed(outcome));
    }
    let start = store.latest().await.expect("fresh");
    let before = state(&store);
    let mut watcher = store.view().watch(THINGS, start, None).unwrap();

    relay.cut();
    let stale = store.latest().await;
    assert!(stale.is_err(), "a consistent read without etcd: {stale:?}");
    assert_eq!(state(&store), before, "what was known stays");
    let seen = Arc::new(Recorder::default());
    let direct = place.open(seen.clone()).await;
    let changed = committed(direct.update("changed", names["changed"], "2").await);
    committed(direct.delete("gone", names["gone"]).await);
    for round in 0..20 {
        let made = committed(direct.create("fleeting", &round.to_string()).await);
        committed(direct.delete("fleeting", made).await);
    }
    committed(direct.create("new", "1").await);
    direct.compact(direct.probe().await.unwrap()).await.unwrap();
    relay.mend();

    let newest = timeout(Duration::from_secs(10), async {
        loop {
            match store.latest().await {
                Ok(revision) => break revision,
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    });
    let newest = newest.await.expect("followed again");
    assert_eq!(state(&store).keys().map(|name| &name[..]).collect::<Vec<_>>(), [&b"changed"[..], b"kept", b"new"]);
    let mut told = before;
    assert_eq!(follow(&mut watcher, newest, &mut told).await, 3, "changed, gone, new");
    assert_eq!(told, state(&store));
    assert!(store.view().watch(THINGS, changed, None).is_err(), "what came after this revision is not known");
    assert!(store.view().root_at(THINGS, changed).is_err());
    assert!(store.view().watch(THINGS, start, None).is_ok());

    // And on it goes.
    let outcome = store.commit(change("last", store::Expect::Absent, Some("1"))).await;
    let last = committed(outcome);
    assert_eq!(follow(&mut watcher, last, &mut told).await, 1);
    assert_eq!(told, state(&store));
    assert!(shutdown.finish(Duration::from_secs(1)).await, "the follower did not end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_cut_again_and_again_loses_no_event() {
    let place = Place::start();
    let relay = Relay::to(&place.etcd.endpoint()).await;
    let seen = Arc::new(Recorder::default());
    let log = Open::new(settings(&place.pki, vec![relay.endpoint()]), seen.clone()).await;
    log.settle(&seen).await;
    let mut other = place.other().await;
    let writer = tokio::spawn(async move {
        for round in 0..400 {
            // Several keys in one revision: they must be told together.
            let put = |name: &str| TxnOp::put(&*key(name), round.to_string(), None);
            other.txn(Txn::new().and_then([put("a"), put("b"), put("c")])).await.unwrap();
        }
    });
    while !writer.is_finished() {
        sleep(Duration::from_millis(60)).await;
        relay.cut();
        sleep(Duration::from_millis(10)).await;
        relay.mend();
    }
    writer.await.unwrap();
    let begun = std::time::Instant::now();
    let newest = loop {
        match log.probe().await {
            Ok(revision) => break revision,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(10), "{error}"),
        }
    };
    seen.reach(newest).await;
    assert_eq!(seen.breaches(), Vec::<String>::new());
    let told: Vec<_> = seen.events().into_iter().map(|event| (event.key, event.value.unwrap())).collect();
    let expected = (0..400).flat_map(|round| ["a", "b", "c"].map(|name| (key(name), Bytes::from(round.to_string()))));
    assert_eq!(told, expected.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_is_shared_with_other_servers() {
    let interval = Duration::from_millis(300);
    let place = Place::start();
    let mut other = place.other().await;
    let sinks = [Arc::new(Recorder::default()), Arc::new(Recorder::default())];
    let one = Open::new(Settings { compaction: Some(interval), ..place.settings() }, sinks[0].clone()).await;
    let two = Open::new(Settings { compaction: Some(interval), ..place.settings() }, sinks[1].clone()).await;
    let begun = std::time::Instant::now();
    let mut at = committed(one.create("a", "0").await);
    let first = at;
    let mut compacted = false;
    for round in 0.. {
        at = committed(if round % 2 == 0 { &two } else { &one }.update("a", at, &round.to_string()).await);
        sleep(Duration::from_millis(20)).await;
        let options = etcd_client::GetOptions::new().with_revision(i64::try_from(first.0).unwrap());
        compacted |= other.get("x", Some(options)).await.is_err();
        if begun.elapsed() > interval * 6 {
            break;
        }
    }
    assert!(compacted, "nothing was given up");
    let pair = mark(&mut other).await;
    assert!((2..=7).contains(&pair.version()), "two servers took {} turns in six intervals", pair.version());
    let given_up: u64 = std::str::from_utf8(pair.value()).unwrap().parse().expect("decimal text");
    assert!(given_up > 0 && given_up < at.0);

    // kube-apiserver takes every turn: ours see that and give up nothing themselves.
    let quiet = mark(&mut other).await;
    let taken = tokio::spawn(async move {
        let mut version = quiet.version();
        for _ in 0..40 {
            let condition = Compare::version(MARK, CompareOp::Equal, version);
            let take = Txn::new().when([condition]).and_then([TxnOp::put(MARK, "1", None)]).or_else([TxnOp::get(MARK, None)]);
            version = match other.txn(take).await.unwrap().succeeded() {
                true => version + 1,
                false => mark(&mut other).await.version(),
            };
            sleep(Duration::from_millis(25)).await;
        }
        (other, version - quiet.version())
    });
    let (mut other, turns) = taken.await.unwrap();
    assert!(turns >= 40, "{turns}");
    assert_eq!(mark(&mut other).await.value(), b"1", "a turn was taken from the server that had it");
    for sink in sinks {
        sink.reach(at).await;
        assert_eq!(sink.breaches(), Vec::<String>::new());
    }
    assert!(matches!(one.update("a", at, "last").await, Ok(Outcome::Committed(_))));
    until("both have seen it", || true).await;
}

async fn mark(client: &mut etcd_client::Client) -> KeyValue {
    client.get(MARK, None).await.unwrap().take_kvs().remove(0)
}

const MARK: &str = "compact_rev_key";

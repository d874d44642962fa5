//! The one watch: the state first, then every change in revision order.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{EventType, WatchOptions, WatchResponse, WatchStream};
use tokio::time::{Instant, timeout};

use super::super::{Event, Operation, Revision, Sink};
use super::member::Members;
use super::refusal::Refusal;
use super::{ATTEMPT, Etcd, Pause, Place, load, probe, signed, unsigned};
use crate::shutdown::Shutdown;

/// Feeds `sink` until the shutdown.
pub(super) async fn run(etcd: Arc<Etcd>, sink: Arc<dyn Sink>, shutdown: Shutdown) {
    let mut follower = Follower { etcd, sink, place: None, pause: Pause::short(), trouble: Trouble::default() };
    tokio::select! {
        () = shutdown.begun() => {}
        () = follower.follow() => {}
    }
}

struct Follower {
    etcd: Arc<Etcd>,
    sink: Arc<dyn Sink>,
    /// Up to where the sink has been told; `None` when the state must be read.
    place: Option<Place>,
    pause: Pause,
    trouble: Trouble,
}

/// Why the watch ended.
enum End {
    /// What comes next is not to be had: the state must be read anew.
    Lost(String),
    /// It goes on where it was, elsewhere.
    Moved,
    /// It goes on where it was, after a pause.
    Broken(String),
}

/// Tells of trouble when it begins, from time to time while it lasts, and when it is over.
#[derive(Default)]
struct Trouble {
    begun: Option<Instant>,
    told: Option<Instant>,
}

impl Follower {
    async fn follow(&mut self) {
        loop {
            let place = match self.place {
                Some(place) => place,
                None => match self.reset().await {
                    Ok(place) => place,
                    Err(why) => {
                        self.trouble.tell("etcd cannot be read", &why);
                        self.pause.wait().await;
                        continue;
                    }
                },
            };
            match self.watch(place).await {
                End::Moved => {}
                End::Broken(why) => self.trouble.tell("the watch on etcd broke", &why),
                End::Lost(why) => {
                    tracing::warn!(why, "etcd does not have what comes next; reading the whole state again");
                    self.place = None;
                }
            }
            self.pause.wait().await;
        }
    }

    async fn reset(&mut self) -> Result<Place, String> {
        let begun = Instant::now();
        let (place, entries) = load::load(&self.etcd).await.map_err(text)?;
        let (sink, keys) = (self.sink.clone(), entries.len());
        // To decode a large state takes seconds.
        let told = tokio::task::spawn_blocking(move || sink.reset(place.revision, entries)).await;
        told.map_err(|error| error.to_string())?;
        tracing::info!(keys, revision = place.revision.0, took = ?begun.elapsed(), "the state of etcd is read");
        self.place = Some(place);
        Ok(place)
    }

    /// Follows every change after `place`.
    async fn watch(&mut self, place: Place) -> End {
        let members = self.etcd.members.load_full();
        let (turn, begun) = (members.turn(), Instant::now());
        let end = tokio::select! {
            () = members.passed(turn) => End::Moved,
            end = self.stream(place, (&members, turn)) => end,
        };
        if matches!(end, End::Broken(_)) {
            members.pass(turn);
        }
        if begun.elapsed() >= STEADY {
            self.pause = Pause::short();
        }
        end
    }

    async fn stream(&mut self, place: Place, (members, turn): (&Members, usize)) -> End {
        // An etcd that was set back, or another one, would tell another story.
        match self.etcd.ask(Operation::Probe, Instant::now() + ATTEMPT, probe).await {
            Ok(now) if now.cluster != place.cluster => return End::Lost("it is another etcd cluster".to_owned()),
            Ok(now) if now.revision < place.revision => return End::Lost(format!("etcd went back to revision {}", now.revision)),
            Ok(_) => {}
            Err(refusal) => return End::Broken(text(refusal)),
        }
        let mut client = members.member(turn).watch.clone();
        let options = WatchOptions::new().with_all_keys().with_start_revision(signed(Revision(place.revision.0 + 1)));
        let mut stream = match timeout(ATTEMPT, client.watch("", Some(options))).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return End::Broken(text(Refusal::from(&error))),
            Err(_) => return End::Broken(text(Refusal::late())),
        };
        self.drain(&mut stream, place).await
    }

    async fn drain(&mut self, stream: &mut WatchStream, mut place: Place) -> End {
        loop {
            let message = match stream.message().await {
                Ok(Some(message)) => message,
                Ok(None) => return End::Broken("etcd ended the stream".to_owned()),
                Err(error) => return End::Broken(text(Refusal::from(&error))),
            };
            if message.compact_revision() > 0 {
                return End::Lost(format!("compacted up to {}", message.compact_revision()));
            }
            if message.canceled() {
                return End::Broken(message.cancel_reason().to_owned());
            }
            self.trouble.over();
            place.revision = self.publish(&message, place.revision).await;
            self.place = Some(place);
        }
    }

    /// Hands over the message's events after `known`, and returns the revision of the last. The header's revision is not used: it may
    /// be ahead of the events. All events of one revision are in one message.
    async fn publish(&mut self, message: &WatchResponse, known: Revision) -> Revision {
        let mut batch = Vec::new();
        let mut last = known;
        for event in message.events() {
            let Some(pair) = event.kv() else { continue };
            let revision = unsigned(pair.mod_revision());
            if revision <= known {
                continue;
            }
            if revision > last && batch.len() >= BATCH {
                self.sink.apply(last, std::mem::take(&mut batch));
                self.place = self.place.map(|place| Place { revision: last, ..place });
                tokio::task::yield_now().await;
            }
            last = revision;
            if inside(&self.etcd.settings.prefix, pair.key()) {
                let value = (event.event_type() == EventType::Put).then(|| Bytes::copy_from_slice(pair.value()));
                batch.push(Event { key: Bytes::copy_from_slice(pair.key()), value, revision });
            }
        }
        if last > known {
            self.sink.apply(last, batch);
        }
        last
    }
}

impl Trouble {
    fn tell(&mut self, what: &'static str, why: &str) {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        if self.told.is_none_or(|told| told.elapsed() >= AGAIN) {
            self.told = Some(Instant::now());
            tracing::warn!(why, since = ?begun.elapsed(), "{what}; trying again");
        }
    }

    fn over(&mut self) {
        if let Some(begun) = std::mem::take(self).begun {
            tracing::info!(after = ?begun.elapsed(), "etcd is followed again");
        }
    }
}

fn inside(prefix: &str, key: &[u8]) -> bool {
    key.strip_prefix(prefix.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'/'))
}

fn text(refusal: Refusal) -> String {
    match refusal {
        Refusal::Unsent(text) | Refusal::Doubtful(text) | Refusal::Definite(text) => text,
        other => super::StoreError::from(other).to_string(),
    }
}

/// So many events are handed over before others have a turn.
const BATCH: usize = 128;

/// A watch that held for so long is taken up again at once.
const STEADY: Duration = Duration::from_secs(1);

/// How often lasting trouble is told again.
const AGAIN: Duration = Duration::from_secs(30);

//! The one watch: the state first, then every change in revision order.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{EventType, GetOptions, KvClient, WatchOptions, WatchResponse};

use super::super::{Event, Operation, Revision, Sink};
use super::{Etcd, Refusal, commit, revision};
use crate::shutdown::Shutdown;

/// Keys per page while the state is read.
const PAGE: i64 = 2_000;

/// Why the watch ended.
enum End {
    /// What comes next is compacted: the state must be read anew.
    Lost,
    /// The connection broke: it goes on where it was.
    Broken(String),
}

/// Feeds `sink` until the shutdown.
pub(super) async fn run(etcd: Arc<Etcd>, sink: Arc<dyn Sink>, shutdown: Shutdown) {
    tokio::select! {
        () = shutdown.begun() => {}
        () = feed(&etcd, &*sink) => {}
    }
}

async fn feed(etcd: &Etcd, sink: &dyn Sink) {
    let mut pause = Duration::from_millis(50);
    loop {
        let mut at = match load(etcd, sink).await {
            Ok(at) => at,
            Err(why) => {
                tracing::warn!(why, "etcd cannot be read; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
                continue;
            }
        };
        pause = Duration::from_millis(50);
        while let End::Broken(why) = watch(etcd, sink, &mut at).await {
            tracing::warn!(why, revision = at.0, "the watch on etcd broke; going on where it was");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
        tracing::warn!(revision = at.0, "etcd no longer has what comes next; reading the whole state again");
    }
}

/// Reads all keys under the prefix at one revision.
async fn load(etcd: &Etcd, sink: &dyn Sink) -> Result<Revision, String> {
    let end = format!("{}0", etcd.settings.prefix);
    let mut start = format!("{}/", etcd.settings.prefix).into_bytes();
    let mut entries = Vec::new();
    let mut at = None;
    loop {
        let mut options = GetOptions::new().with_range(end.clone()).with_limit(PAGE);
        if let Some(Revision(at)) = at {
            options = options.with_revision(i64::try_from(at).unwrap_or(i64::MAX));
        }
        let mut page = page(etcd, etcd.kv(), start, options).await?;
        let at = *at.get_or_insert(revision(page.header()));
        for pair in page.take_kvs() {
            let key = Bytes::copy_from_slice(pair.key());
            entries.push((key, commit::entry(pair)));
        }
        match entries.last() {
            Some((last, _)) if page.more() => {
                start = last.to_vec();
                start.push(0);
            }
            _ => {
                sink.reset(at, entries);
                return Ok(at);
            }
        }
    }
}

async fn page(etcd: &Etcd, mut kv: KvClient, start: Vec<u8>, options: GetOptions) -> Result<etcd_client::GetResponse, String> {
    etcd.ask(Operation::List, kv.get(start, Some(options))).await.map_err(|refusal| match refusal {
        Refusal::Compacted => "compacted while the state was read".to_owned(),
        Refusal::Definite(text) | Refusal::Doubtful(text) => text,
        Refusal::TooLarge => "a page is too large".to_owned(),
    })
}

/// Follows every change after `at`, moving it along.
async fn watch(etcd: &Etcd, sink: &dyn Sink, at: &mut Revision) -> End {
    let mut client = etcd.client.load().watch_client().max_decoding_message_size(usize::MAX);
    let next = i64::try_from(at.0 + 1).unwrap_or(i64::MAX);
    let options = WatchOptions::new().with_all_keys().with_start_revision(next);
    let mut stream = match client.watch("", Some(options)).await {
        Ok(stream) => stream,
        Err(error) => return End::Broken(error.to_string()),
    };
    loop {
        match stream.message().await {
            Ok(Some(message)) if message.compact_revision() > 0 => return End::Lost,
            Ok(Some(message)) if message.canceled() => return End::Broken(message.cancel_reason().to_owned()),
            Ok(Some(message)) => publish(&etcd.settings.prefix, &message, sink, at),
            Ok(None) => return End::Broken("etcd ended the stream".to_owned()),
            Err(error) => return End::Broken(error.to_string()),
        }
    }
}

/// Hands over the message's events, revision by revision. The header's revision is not used: it may be ahead of the events.
fn publish(prefix: &str, message: &WatchResponse, sink: &dyn Sink, at: &mut Revision) {
    // After a broken stream etcd may tell again what is known already.
    let known = *at;
    let mut batch = Vec::new();
    for event in message.events() {
        let revision = event.kv().map_or(known, |pair| Revision(u64::try_from(pair.mod_revision()).unwrap_or(0)));
        if revision <= known {
            continue;
        }
        if revision > *at && *at > known {
            sink.apply(*at, std::mem::take(&mut batch));
        }
        *at = revision;
        batch.extend(ours(prefix, event, revision));
    }
    if *at > known {
        sink.apply(*at, batch);
    }
}

fn ours(prefix: &str, event: &etcd_client::Event, revision: Revision) -> Option<Event> {
    let pair = event.kv()?;
    let inside = pair.key().strip_prefix(prefix.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'/'));
    let value = match event.event_type() {
        EventType::Put => Some(Bytes::copy_from_slice(pair.value())),
        EventType::Delete => None,
    };
    inside.then(|| Event { key: Bytes::copy_from_slice(pair.key()), value, revision })
}

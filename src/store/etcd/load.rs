//! Reading the whole state at one revision.

use bytes::Bytes;
use etcd_client::{GetOptions, GetResponse};

use super::super::{Entry, Operation};
use super::member::Member;
use super::refusal::Refusal;
use super::{Etcd, Place, commit, signed};

/// Reads all keys under the prefix, a page at a time. What is compacted meanwhile is an error: it must be begun anew.
pub(super) async fn load(etcd: &Etcd) -> Result<(Place, Vec<(Bytes, Entry)>), Refusal> {
    let end = format!("{}0", etcd.settings.prefix);
    let mut start = format!("{}/", etcd.settings.prefix).into_bytes();
    let mut entries = Vec::new();
    let mut place: Option<Place> = None;
    let mut limit = FIRST;
    loop {
        let options = GetOptions::new().with_range(end.clone()).with_limit(limit);
        let options = match place {
            Some(place) => options.with_revision(signed(place.revision)),
            None => options,
        };
        let mut page = page(etcd, &start, &options).await?;
        let place = *place.get_or_insert(Place::from(page.header()));
        let pairs = page.take_kvs();
        limit = next_limit(limit, pairs.iter().map(|pair| pair.value().len()).sum());
        if entries.is_empty() && page.more() {
            entries.reserve(usize::try_from(page.count()).unwrap_or(0).min(MANY));
        }
        entries.extend(pairs.into_iter().map(commit::entry));
        match entries.last() {
            Some((last, _)) if page.more() => {
                start = last.to_vec();
                start.push(0);
            }
            _ => return Ok((place, entries)),
        }
    }
}

async fn page(etcd: &Etcd, start: &[u8], options: &GetOptions) -> Result<GetResponse, Refusal> {
    let request = |member: &Member| {
        let (mut kv, start, options) = (member.bulk.clone(), start.to_vec(), options.clone());
        async move { kv.get(start, Some(options)).await }
    };
    etcd.insist(Operation::List, request).await
}

/// Keys for the next page, so that it has about [`PAGE`] bytes.
fn next_limit(limit: i64, bytes: usize) -> i64 {
    let fitting = i64::try_from(PAGE).unwrap_or(i64::MAX).saturating_mul(limit) / i64::try_from(bytes.max(1)).unwrap_or(i64::MAX);
    fitting.clamp(1, limit * 4).min(MOST)
}

/// Keys of the first page, whose size is unknown: 150 MiB when all of them are as large as etcd takes.
const FIRST: i64 = 100;

/// Keys of a page at most.
const MOST: i64 = 10_000;

/// Bytes of values that a page should have.
const PAGE: usize = 2 << 20;

/// Entries for which room is made in advance, at most.
const MANY: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_grow_and_shrink_with_what_is_in_them() {
        let kib = 1 << 10;
        for (limit, bytes, next) in [
            (100, 0, 400),
            (100, 100 * kib, 400),
            (4_000, 400 * kib, MOST),
            (4_000, 8_000 * kib, 1_024),
            (100, 150_000 * kib, 1),
            (2, 3_000 * kib, 1),
            (1, 1_500 * kib, 1),
            (1, 64 << 20, 1),
        ] {
            assert_eq!(next_limit(limit, bytes), next, "{limit} keys with {bytes} bytes");
        }
    }
}

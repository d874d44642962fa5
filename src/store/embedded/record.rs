//! One change as the file keeps it.
//!
//! ```text
//!   form  flags  key length  [expires  ttl]  key  value  check
//!   u8    u8     u32         [u64      u64]  ...  ...    u64       little endian; times in milliseconds, expires since 1970
//! ```
//! Record 0 is none of a change: it keeps what the records themselves can no longer tell once the past is given up.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

/// A change, without its revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: Bytes,
    /// `None` for a deletion.
    pub(super) value: Option<Bytes>,
    pub(super) lease: Option<Lease>,
}

/// When a record goes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    /// Milliseconds since 1970.
    pub(super) expires: u64,
    /// The whole time it was given, in milliseconds.
    pub(super) ttl: u64,
}

/// What record 0 says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meta {
    /// The newest revision when this was written.
    pub(super) revision: u64,
    /// The oldest revision whose state is still complete.
    pub(super) compacted: u64,
}

impl Record {
    /// Bytes of the encoded form.
    pub(super) fn len(&self) -> usize {
        let value = self.value.as_ref().map_or(0, Bytes::len);
        HEAD + self.lease.map_or(0, |_| LEASE) + self.key.len() + value + CHECK
    }

    /// Encodes into `out`, which is [`Record::len`] long.
    pub(super) fn write(&self, revision: u64, out: &mut [u8]) {
        let mut rest = &mut out[..];
        let mut put = |bytes: &[u8]| {
            let (head, tail) = std::mem::take(&mut rest).split_at_mut(bytes.len());
            head.copy_from_slice(bytes);
            rest = tail;
        };
        let flags = self.value.as_ref().map_or(0, |_| VALUE) | self.lease.map_or(0, |_| LEASED);
        put(&[FORM, flags]);
        put(&(self.key.len() as u32).to_le_bytes());
        if let Some(lease) = self.lease {
            put(&lease.expires.to_le_bytes());
            put(&lease.ttl.to_le_bytes());
        }
        put(&self.key);
        put(self.value.as_deref().unwrap_or_default());
        let end = out.len() - CHECK;
        let check = check(revision, &out[..end]);
        out[end..].copy_from_slice(&check.to_le_bytes());
    }

    /// Decodes; `None` when this is no record of this revision.
    pub(super) fn read(revision: u64, bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<CHECK>()?;
        if u64::from_le_bytes(*sum) != check(revision, body) {
            return None;
        }
        let ([FORM, flags], rest) = body.split_first_chunk::<2>()? else { return None };
        let (length, mut rest) = rest.split_first_chunk::<4>()?;
        let mut lease = None;
        if flags & LEASED != 0 {
            let (expires, tail) = rest.split_first_chunk::<8>()?;
            let (ttl, tail) = tail.split_first_chunk::<8>()?;
            lease = Some(Lease { expires: u64::from_le_bytes(*expires), ttl: u64::from_le_bytes(*ttl) });
            rest = tail;
        }
        let (key, value) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let value = (flags & VALUE != 0).then(|| Bytes::copy_from_slice(value));
        Some(Self { key: Bytes::copy_from_slice(key), value, lease })
    }
}

impl Lease {
    /// A lease that begins now.
    pub(super) fn new(ttl: Duration) -> Self {
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        Self { expires: now().saturating_add(ttl), ttl }
    }

    /// What is left of it by the wall clock, which may have been set: never more than the whole.
    pub(super) fn left(self) -> Duration {
        Duration::from_millis(self.expires.saturating_sub(now()).min(self.ttl))
    }
}

impl Meta {
    pub(super) fn write(self) -> [u8; META] {
        let mut out = [0; META];
        out[0] = FORM;
        out[1..9].copy_from_slice(&self.revision.to_le_bytes());
        out[9..17].copy_from_slice(&self.compacted.to_le_bytes());
        let check = check(0, &out[..17]);
        out[17..].copy_from_slice(&check.to_le_bytes());
        out
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<CHECK>()?;
        let (revision, compacted) = body.strip_prefix(&[FORM])?.split_first_chunk::<8>()?;
        let compacted: &[u8; 8] = compacted.try_into().ok()?;
        let sound = u64::from_le_bytes(*sum) == check(0, body);
        sound.then(|| Self { revision: u64::from_le_bytes(*revision), compacted: u64::from_le_bytes(*compacted) })
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A checksum over eight bytes at a time. Every step is a bijection of the state, so a change within one word always shows.
fn check(revision: u64, bytes: &[u8]) -> u64 {
    let mut state = revision.wrapping_mul(STIR) ^ bytes.len() as u64;
    let mut step = |word: [u8; 8]| state = (state ^ u64::from_le_bytes(word)).wrapping_mul(STIR).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().for_each(|word| step(*word));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    step(last);
    state
}

const FORM: u8 = 1;
const VALUE: u8 = 1;
const LEASED: u8 = 2;
const HEAD: usize = 6;
const LEASE: usize = 16;
const CHECK: usize = 8;
const META: usize = 25;
const STIR: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let lease = Some(Lease { expires: 1 << 40, ttl: 3_600_000 });
        [
            (&b"/registry/pods/default/nginx"[..], Some(&b"{}"[..]), None),
            (b"k", Some(b""), lease),
            (b"/registry/pods/default/nginx", None, None),
            (b"\x00\xff", Some(b"seventeen bytes.."), lease),
        ]
        .map(|(key, value, lease)| Record { key: Bytes::from_static(key), value: value.map(Bytes::from_static), lease })
        .to_vec()
    }

    #[test]
    fn what_is_written_is_read() {
        for record in records() {
            let mut bytes = vec![0; record.len()];
            record.write(7, &mut bytes);
            assert_eq!(Record::read(7, &bytes), Some(record.clone()));
            assert_eq!(Record::read(8, &bytes), None, "the revision is part of the check");
            let meta = Meta { revision: 9, compacted: 4 };
            assert_eq!(Meta::read(&meta.write()), Some(meta));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        for record in records() {
            let mut bytes = vec![0; record.len()];
            record.write(7, &mut bytes);
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Record::read(7, &bytes), None, "bit {bit} of {record:?}");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            for end in 0..bytes.len() {
                assert_eq!(Record::read(7, &bytes[..end]), None, "cut at {end}");
            }
        }
    }

    #[test]
    fn a_clock_set_back_does_not_prolong_a_lease() {
        let ahead = Lease { expires: now() + 86_400_000, ttl: 1000 };
        assert_eq!(ahead.left(), Duration::from_secs(1));
        assert_eq!(Lease { expires: 5, ttl: 1000 }.left(), Duration::ZERO);
    }
}

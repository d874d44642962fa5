//! Copies of a store, and looking one over.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hashbrown::HashMap;

use super::OpenError;
use super::disk::Disk;
use super::medium::{Medium, beside, settle};
use super::record::{Meta, Record};
use crate::store::Revision;
use crate::store::digest::Digest;

/// Why a copy was not made.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is something at the place already; it is not overwritten.
    #[error("{0} exists already")]
    Exists(PathBuf),
    /// There is nothing to copy from.
    #[error("{0} does not exist")]
    Missing(PathBuf),
    /// The source or the copy cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The copy cannot be written.
    #[error("the copy cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// By how much a restored store's revision is ahead of its snapshot's. Clients that have seen later revisions than the snapshot
/// must not meet them again: take more than there can have been changes since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bump(pub u64);

/// What a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The newest revision.
    pub revision: Revision,
    /// The oldest revision whose state is complete.
    pub compacted: Revision,
    /// Keys.
    pub keys: u64,
    /// Bytes of the keys and their values.
    pub bytes: u64,
    /// Records of the past.
    pub superseded: u64,
    /// A digest of all keys, their revisions and their values: equal states have equal digests.
    pub digest: u64,
}

/// Copies the store at `from`, which is not running, to `to`, which must not exist. Blocks.
///
/// # Errors
/// [`CopyError`]; nothing is left behind at `to`.
pub fn snapshot(from: &Path, to: &Path) -> Result<Summary, CopyError> {
    copy(&open(from)?, to, Bump(0))
}

/// Makes a store at `to`, where there must be none, from a snapshot. Blocks.
///
/// # Errors
/// [`CopyError`]; nothing is left behind at `to`.
pub fn restore(from: &Path, to: &Path, bump: Bump) -> Result<Summary, CopyError> {
    copy(&open(from)?, to, bump)
}

/// Reads a store or a snapshot that is not running from end to end and says what it holds. Blocks.
///
/// # Errors
/// [`CopyError`] with the damage that was found.
pub fn check(path: &Path) -> Result<Summary, CopyError> {
    Ok(summarize(&open(path)?)?)
}

/// Copies what exists, without the past.
pub(super) fn copy(disk: &Disk, to: &Path, bump: Bump) -> Result<Summary, CopyError> {
    if to.try_exists()? {
        return Err(CopyError::Exists(to.to_owned()));
    }
    let partial = beside(to, ".partial");
    // What an earlier attempt has left.
    let _ = std::fs::remove_file(&partial);
    let copied = fill(disk, &partial, bump).and_then(|summary| {
        settle(&partial, to).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => CopyError::Exists(to.to_owned()),
            _ => CopyError::Io(error),
        })?;
        Ok(summary)
    });
    let _ = std::fs::remove_file(&partial);
    copied
}

fn open(path: &Path) -> Result<Disk, CopyError> {
    if !path.try_exists()? {
        return Err(CopyError::Missing(path.to_owned()));
    }
    if std::fs::metadata(path)?.len() == 0 {
        return Err(CopyError::Open(OpenError::Corrupt("the file is empty".to_owned())));
    }
    Ok(Disk::open(&Medium::File(path.to_owned()), CACHE)?)
}

fn fill(disk: &Disk, partial: &Path, bump: Bump) -> Result<Summary, CopyError> {
    let look = disk.look()?;
    let meta = look.meta()?;
    let mut newest: HashMap<Bytes, u64> = HashMap::new();
    look.each(|revision, record| match record.value {
        Some(_) => drop(newest.insert(record.key, revision)),
        None => drop(newest.remove(&record.key)),
    })?;
    let copy = Disk::open(&Medium::File(partial.to_owned()), CACHE)?;
    let mut group: Vec<(u64, Record)> = Vec::new();
    let mut bytes = 0;
    let mut written = Ok(());
    let write = |group: &mut Vec<(u64, Record)>, meta: Option<Meta>| {
        let result = copy.write(group, &[], meta);
        group.clear();
        result.map_err(|failure| CopyError::Io(io::Error::other(failure.message)))
    };
    look.each(|revision, record| {
        if written.is_err() || newest.get(&record.key) != Some(&revision) {
            return;
        }
        bytes += record.len();
        group.push((revision, record));
        if bytes > GROUP {
            bytes = 0;
            written = write(&mut group, None);
        }
    })?;
    written?;
    let revision = meta.revision.saturating_add(bump.0);
    write(&mut group, Some(Meta { revision, compacted: revision }))?;
    Ok(summarize(&copy)?)
}

fn summarize(disk: &Disk) -> Result<Summary, OpenError> {
    let look = disk.look()?;
    let meta = look.meta()?;
    let mut records = 0;
    let mut held: BTreeMap<Bytes, (u64, u64, u64)> = BTreeMap::new();
    look.each(|revision, record| {
        records += 1;
        match record.value {
            None => drop(held.remove(&record.key)),
            Some(value) => {
                let mut digest = Digest::default();
                digest.add(&value);
                held.insert(record.key, (revision, value.len() as u64, digest.value()));
            }
        }
    })?;
    let mut digest = Digest::default();
    let mut bytes = 0;
    for (key, (revision, len, value)) in &held {
        digest.add(key);
        digest.add(&revision.to_le_bytes());
        digest.add(&value.to_le_bytes());
        bytes += key.len() as u64 + len;
    }
    let keys = held.len() as u64;
    let (revision, compacted) = (Revision(meta.revision), Revision(meta.compacted));
    Ok(Summary { revision, compacted, keys, bytes, superseded: records - keys, digest: digest.value() })
}

/// Memory for pages while copying, and bytes written at once.
const CACHE: usize = 8 << 20;
const GROUP: usize = 8 << 20;

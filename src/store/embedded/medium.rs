//! Where the store's bytes lie: a file, or something that behaves like one.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database, StorageBackend};

use super::OpenError;

/// Where the bytes lie. It can be opened again after a failure.
#[derive(Clone, Debug)]
pub enum Medium {
    /// A file, and beside it the reserve `<file>.reserve`.
    File(PathBuf),
    /// Something else, like memory.
    Device(Arc<dyn Device>),
}

/// A store's bytes that are not in a file.
pub trait Device: StorageBackend {
    /// Sets space aside for when the device is full.
    ///
    /// # Errors
    /// When there is no room.
    fn set_aside(&self) -> io::Result<()> {
        Ok(())
    }

    /// Gives the space back that was set aside.
    fn give_back(&self) {}
}

impl Device for InMemoryBackend {}

/// A device as the database takes it: closing the database leaves the device as it is.
#[derive(Debug)]
struct Handle(Arc<dyn Device>);

impl Medium {
    /// Bytes in memory, gone with the last handle.
    pub fn memory() -> Self {
        Self::Device(Arc::new(InMemoryBackend::new()))
    }

    /// Opens the database, a fresh one if there is none, for this process alone.
    pub(super) fn open(&self, cache: usize) -> Result<Database, OpenError> {
        let mut builder = Builder::new();
        // Every page is checked: a file that was damaged while it was closed is refused instead of trusted.
        builder.set_cache_size(cache).set_check_integrity_on_open(true);
        match self {
            Self::Device(device) => Ok(builder.create_with_backend(Handle(device.clone()))?),
            Self::File(path) => {
                if !path.try_exists()? {
                    make(&builder, path)?;
                }
                let file = OpenOptions::new().read(true).write(true).open(path)?;
                Ok(builder.create_with_backend(FileBackend::new(file)?)?)
            }
        }
    }

    /// Sets space aside for a full disk; does nothing when that is done already.
    pub(super) fn set_aside(&self, bytes: u64) -> io::Result<()> {
        match self {
            Self::Device(device) => device.set_aside(),
            Self::File(path) => set_aside(&reserve(path), bytes),
        }
    }

    /// Gives the space back.
    pub(super) fn give_back(&self) {
        match self {
            Self::Device(device) => device.give_back(),
            Self::File(path) => {
                // Nothing is lost when it was not there.
                let _ = std::fs::remove_file(reserve(path));
            }
        }
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

/// Gives a finished file its name, durably. Never takes the place of a file that is there.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] and others; the file keeps its old name then.
pub(super) fn settle(finished: &Path, name: &Path) -> io::Result<()> {
    match std::fs::hard_link(finished, name) {
        Ok(()) => std::fs::remove_file(finished)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        // Not every file system knows links. Renaming would replace a file that comes in this moment.
        Err(_) if name.try_exists()? => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => std::fs::rename(finished, name)?,
    }
    let parent = name.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// The path with something behind its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes an empty database, under another name until it is finished: half a database could never be opened again.
fn make(builder: &Builder, path: &Path) -> Result<(), OpenError> {
    let draft = beside(path, &format!(".{}.new", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    let made = builder.create_with_backend(FileBackend::new(file)?).map(drop).map_err(OpenError::from);
    let settled = made.and_then(|()| {
        File::open(&draft)?.sync_all()?;
        match settle(&draft, path) {
            // Somebody else was quicker: then there is one.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            settled => Ok(settled?),
        }
    });
    // Gone already when all went well.
    let _ = std::fs::remove_file(&draft);
    settled
}

fn reserve(path: &Path) -> PathBuf {
    beside(path, ".reserve")
}

fn set_aside(path: &Path, bytes: u64) -> io::Result<()> {
    if bytes == 0 || std::fs::metadata(path).is_ok_and(|held| held.len() == bytes) {
        return Ok(());
    }
    let fill = || {
        // Written, not only lengthened: a hole in a file holds no space.
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let piece = vec![0; 1 << 16];
        let mut left = bytes;
        while left > 0 {
            let part = left.min(piece.len() as u64);
            file.write_all(&piece[..part as usize])?;
            left -= part;
        }
        file.sync_all()
    };
    fill().inspect_err(|_| drop(std::fs::remove_file(path)))
}

//! Files of a PKI: keys are never readable by others, not even for a moment.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::PkiError;

/// Makes a directory, and those above it, for its owner only. One that is there stays as it is.
///
/// # Errors
/// It cannot be made.
pub fn make_dir(path: &Path) -> Result<(), PkiError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| failed(path, error))
}

/// Writes a secret: mode 0600 from the start, whole or not at all.
///
/// # Errors
/// It cannot be written.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), PkiError> {
    write(path, content, 0o600).map_err(|error| failed(path, error))
}

/// Writes what everybody may read, whole or not at all.
///
/// # Errors
/// It cannot be written.
pub fn write_public(path: &Path, content: &[u8]) -> Result<(), PkiError> {
    write(path, content, 0o644).map_err(|error| failed(path, error))
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, PkiError> {
    fs::read(path).map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: io::Error) -> PkiError {
    PkiError::File(path.display().to_string(), error)
}

/// A new file beside the old one takes its place, so that its mode holds and no reader sees half of it.
fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.new", uuid::Uuid::new_v4().simple()));
    let new = path.with_file_name(name);
    let written = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    let placed = written.and_then(|()| fs::rename(&new, path));
    if placed.is_err() {
        // What failed is what the caller hears of; the rest of it is only litter.
        let _ = fs::remove_file(&new);
    }
    placed
}

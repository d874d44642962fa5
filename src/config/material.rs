//! Certificates and keys that the configuration names, read and looked at.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The largest file of certificates or keys that is read.
const LIMIT: u64 = 1 << 20;

/// A file and what was in it when the configuration was read. Its content is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    /// Where it is.
    pub path: PathBuf,
    /// What it holds: PEM.
    pub pem: Vec<u8>,
}

impl Material {
    /// Reads a certificate, an authority or a public key.
    ///
    /// # Errors
    /// In words, when it cannot be read, is empty or far too large.
    pub fn public(path: &Path) -> Result<Self, String> {
        let refuse = |why: &dyn fmt::Display| format!("cannot read {}: {why}", path.display());
        let size = std::fs::metadata(path).map_err(|error| refuse(&error))?.len();
        if size > LIMIT {
            return Err(refuse(&format!("it is larger than {LIMIT} bytes")));
        }
        let pem = std::fs::read(path).map_err(|error| refuse(&error))?;
        if pem.is_empty() {
            return Err(refuse(&"it is empty"));
        }
        Ok(Self { path: path.to_owned(), pem })
    }

    /// Reads a private key, which nobody but its owner and group may read.
    ///
    /// # Errors
    /// In words, as above, or when everybody may read it.
    pub fn private(path: &Path) -> Result<Self, String> {
        let read = Self::public(path)?;
        let mode =
            std::fs::metadata(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?.permissions().mode();
        if mode & 0o007 != 0 {
            let mode = mode & 0o777;
            return Err(format!("{} is a private key that everybody may read (mode {mode:04o}); chmod 600 it", path.display()));
        }
        Ok(read)
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Material({})", self.path.display())
    }
}

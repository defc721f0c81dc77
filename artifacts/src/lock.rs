//! `lock.json`: what is in the directory of a version set, and where it came from.

use crate::{
    Architecture, ProgramName, Sha256, Version, VersionSet,
    store::{self, StoreError},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Size and time of last change of a file: what tells, without reading it, that it is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Its size.
    pub size_bytes: u64,
    /// When its contents were last changed, in nanoseconds since 1970.
    pub modified_ns: i64,
}

impl Stamp {
    /// The stamp of a regular file; `None` if there is none.
    pub(crate) fn of(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(found) if found.is_file() => Ok(Some(Self {
                size_bytes: found.size(),
                modified_ns: found
                    .mtime()
                    .saturating_mul(1_000_000_000)
                    .saturating_add(found.mtime_nsec()),
            })),
            Ok(_) => Ok(None),
            Err(e) if absent(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

pub(crate) fn absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Where a program came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Source {
    /// Copied from a file of this machine.
    File {
        /// The file.
        path: PathBuf,
        /// Its stamp when it was copied.
        stamp: Stamp,
    },
    /// Downloaded, checksum verified.
    Download {
        /// The address.
        url: String,
    },
    /// Built here.
    Build {
        /// The Go that built it.
        go: Version,
    },
}

/// One program of a version set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockEntry {
    /// Its version.
    pub version: Version,
    /// Where it came from.
    pub source: Source,
    /// The checksum of its contents.
    pub sha256: Sha256,
    /// What the file must still look like.
    pub stamp: Stamp,
}

/// The contents of `lock.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// The versions of the set.
    pub versions: VersionSet,
    /// For which processors.
    pub architecture: Architecture,
    /// The programs that are in place.
    pub programs: BTreeMap<ProgramName, LockEntry>,
}

/// A lock file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The file or a program beside it cannot be read.
    #[error("cannot read {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It is not what this crate writes.
    #[error("cannot read {}; remove it, and its programs are obtained again", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The cause, with line and column.
        #[source]
        source: serde_json::Error,
    },
}

impl Lock {
    /// The name of the file in the directory of a set.
    pub const FILE: &'static str = "lock.json";

    /// Reads the lock of the set in `dir`; `None` if there is none yet.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or was not written by this crate.
    pub fn read(dir: &Path) -> Result<Option<Self>, LockError> {
        let path = dir.join(Self::FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if absent(&e) => return Ok(None),
            Err(source) => return Err(LockError::Io { path, source }),
        };
        match serde_json::from_slice(&text) {
            Ok(lock) => Ok(Some(lock)),
            Err(source) => Err(LockError::Json { path, source }),
        }
    }

    /// Writes the lock of the set in `dir`, in one piece.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), StoreError> {
        store::write_json(&dir.join(Self::FILE), self)
    }

    /// The programs whose files in `dir` still look as recorded. Reads no contents: some microseconds each.
    ///
    /// # Errors
    ///
    /// The directory cannot be examined. A file that is missing or changed is *not* an error: it is left out.
    pub fn intact(&self, dir: &Path) -> Result<Vec<ProgramName>, LockError> {
        let mut intact = Vec::new();
        for (program, entry) in &self.programs {
            let path = dir.join(program.as_str());
            let found = Stamp::of(&path).map_err(|source| LockError::Io { path, source })?;
            if found == Some(entry.stamp) {
                intact.push(*program);
            }
        }
        Ok(intact)
    }

    /// The programs whose contents do *not* have the recorded checksum: the thorough check. Blocks, a second per 500 MB.
    ///
    /// # Errors
    ///
    /// A program cannot be read, also because it is missing.
    pub fn altered(&self, dir: &Path) -> Result<Vec<ProgramName>, LockError> {
        let mut altered = Vec::new();
        for (program, entry) in &self.programs {
            let path = dir.join(program.as_str());
            let found = Sha256::of_file(&path).map_err(|source| LockError::Io { path, source })?;
            if found != entry.sha256 {
                altered.push(*program);
            }
        }
        Ok(altered)
    }
}

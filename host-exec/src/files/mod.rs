//! Files as values, and the question which of them differ on a host.

pub(crate) mod rooted;

use crate::{FileError, Host};
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf};
use zeroize::Zeroizing;

/// The permission bits of a file, 0 to 0o7777.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mode(u32);

impl Mode {
    /// Readable by everybody: 0644.
    pub const PUBLIC: Self = Self(0o644);
    /// Readable by the owner only: 0600.
    pub const SECRET: Self = Self(0o600);
    /// An executable for everybody: 0755.
    pub const EXECUTABLE: Self = Self(0o755);

    /// The permission bits out of `bits`; the file type and anything above is cut off.
    pub const fn new(bits: u32) -> Self {
        Self(bits & 0o7777)
    }

    /// The bits as a number.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// What a file holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Contents {
    /// Anybody may see it in a plan.
    Public(Vec<u8>),
    /// Nobody may: keys, kubeconfigs, tokens. Cleared when dropped.
    Secret(Zeroizing<Vec<u8>>),
}

impl Contents {
    /// The bytes themselves.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Public(bytes) => bytes,
            Self::Secret(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public(bytes) => write!(f, "Public({:?})", String::from_utf8_lossy(bytes)),
            Self::Secret(_) => f.write_str("Secret(..)"),
        }
    }
}

/// A file that a host has to have, owned by the user that writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Absolute path on the host.
    pub path: PathBuf,
    /// Permission bits from the first byte on.
    pub mode: Mode,
    /// The whole contents.
    pub contents: Contents,
}

impl File {
    /// A file with mode 0644.
    pub fn public(path: impl Into<PathBuf>, contents: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            mode: Mode::PUBLIC,
            contents: Contents::Public(contents.into()),
        }
    }

    /// A file with mode 0600 whose contents are never shown.
    pub fn secret(path: impl Into<PathBuf>, contents: impl Into<Vec<u8>>) -> Self {
        let contents = Contents::Secret(Zeroizing::new(contents.into()));
        Self {
            path: path.into(),
            mode: Mode::SECRET,
            contents,
        }
    }

    /// The same file with another mode.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }
}

/// How a file on a host differs from what it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Drift {
    /// It is not there.
    Missing,
    /// It holds something else.
    Contents,
    /// It holds the right bytes with the wrong permission bits.
    Mode,
}

/// Which of `files` differ on `host`, in the order given; changes nothing.
///
/// # Errors
///
/// The first file that cannot be examined; one that is missing is *not* an error.
pub async fn observe<'f>(
    host: &dyn Host,
    files: &'f [File],
) -> Result<Vec<(&'f File, Drift)>, FileError> {
    let drifts = host.compare(files).await?;
    let pairs = files.iter().zip(drifts);
    Ok(pairs
        .filter_map(|(file, drift)| Some((file, drift?)))
        .collect())
}

/// How each of `files` differs on `host`: one after the other, and only as much as it takes.
pub(crate) async fn compare_each<H: Host + ?Sized>(
    host: &H,
    files: &[File],
) -> Result<Vec<Option<Drift>>, FileError> {
    let mut drifts = Vec::with_capacity(files.len());
    for file in files {
        drifts.push(match host.read_file(&file.path).await? {
            None => Some(Drift::Missing),
            Some(bytes) if bytes != file.contents.bytes() => Some(Drift::Contents),
            Some(_) if host.file_mode(&file.path).await? != Some(file.mode) => Some(Drift::Mode),
            Some(_) => None,
        });
    }
    Ok(drifts)
}

/// Writes those of `files` that differ and returns their paths, in the order given.
///
/// # Errors
///
/// A file that cannot be examined, then none is written; one that cannot be written, then others may be.
pub async fn ensure(host: &dyn Host, files: &[File]) -> Result<Vec<PathBuf>, FileError> {
    let drifted = observe(host, files).await?;
    let drifted: Vec<&File> = drifted.into_iter().map(|(file, _)| file).collect();
    host.write_files(&drifted).await?;
    Ok(drifted.iter().map(|file| file.path.clone()).collect())
}

/// Writes `file` on this machine at once, without a host: for programs that keep their own state in files.
///
/// # Errors
///
/// As [`Host::write_file`].
pub fn write_here(file: &File) -> std::io::Result<()> {
    rooted::write(std::path::Path::new("/"), file)
}

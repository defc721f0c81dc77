//! Pass phrases from files, so that none is ever an argument of a command.

use std::path::{Path, PathBuf};

use crate::disk::read_secret;
use crate::store::ReadError;
use crate::x509::{Passphrase, PassphraseError};

/// A file that gives no pass phrase.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseFileError {
    /// It cannot be read, or others may read it.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is not there.
    #[error("there is no pass phrase file {}; write one with mode 0600", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// What it holds is none.
    #[error("the pass phrase file {}", path.display())]
    Passphrase {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: PassphraseError,
    },
}

impl Passphrase {
    /// Reads a file whose text is a pass phrase. One line break at its end does not belong to it, as with OpenSSL's
    /// `-passin file:`.
    ///
    /// # Errors
    /// The file is missing or can be read by others, or its text is no pass phrase, see [`Passphrase::new`]. No error
    /// repeats it.
    pub fn from_file(path: &Path) -> Result<Self, PassphraseFileError> {
        let text = read_secret(path)?.ok_or_else(|| PassphraseFileError::Missing {
            path: path.to_owned(),
        })?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        Self::new(line).map_err(|source| PassphraseFileError::Passphrase {
            path: path.to_owned(),
            source,
        })
    }
}

//! Why a file did not arrive.

use crate::{FileError, HostName, RunError, Sha256Hex};
use std::{io, path::PathBuf};

/// A file that did not arrive on a host.
#[derive(Debug, thiserror::Error)]
#[error("{host}: cannot upload {} to {}", .local.display(), .to.display())]
#[non_exhaustive]
pub struct UploadError {
    /// The host that was to have it.
    pub host: HostName,
    /// The file of this machine.
    pub local: PathBuf,
    /// The file there.
    pub to: PathBuf,
    /// The cause.
    #[source]
    pub kind: Box<UploadErrorKind>,
}

/// The cause of an [`UploadError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadErrorKind {
    /// The file of this machine cannot be read.
    #[error("cannot read the file on this machine")]
    Local(#[source] io::Error),
    /// The place there is no absolute path to a file.
    #[error("the place on the host is not an absolute path to a file")]
    Path,
    /// A command there failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The file there could not be examined.
    #[error(transparent)]
    File(#[from] FileError),
    /// Something else arrived than was promised.
    #[error(
        "what arrived has the SHA-256 {found}, not {expected}, and was removed; the file on this machine is not the one \
         that was meant, or changed while it was sent"
    )]
    Checksum {
        /// What was promised.
        expected: Sha256Hex,
        /// What arrived.
        found: Sha256Hex,
    },
    /// The host's answer makes no sense.
    #[error("cannot read this answer of the host: {0:?}")]
    Unread(String),
}

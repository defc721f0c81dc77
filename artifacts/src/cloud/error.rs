//! Why an image was not obtained.

use super::InvalidImageUrl;
use crate::{Checksum, DownloadError, StoreError};
use std::{io, path::PathBuf};
use tokio::task::JoinError;

/// Any error of a [`Convert`](super::Convert).
pub type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// An image that was not obtained. What was downloaded is kept for the next run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloudImageError {
    /// It cannot be downloaded, or is not what its checksum says.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The mirror of the catalogue is no address.
    #[error("the place of Debian's images is no address")]
    Mirror(#[from] InvalidImageUrl),
    /// The user's file cannot be read.
    #[error("cannot read the image {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The user's file is not what its checksum says.
    #[error(
        "{} has the wrong checksum, {found} instead of {expected}: give the right file, or the checksum of this one if it is", .path.display()
    )]
    WrongChecksum {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        expected: Checksum,
        /// What it has.
        found: Checksum,
    },
    /// No raw disk comes of it.
    #[error("cannot make a raw disk of {image}")]
    Convert {
        /// The image.
        image: String,
        /// The cause.
        #[source]
        source: BoxedError,
    },
    /// The cache cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread of this program ended early.
    #[error("a background task failed")]
    Task(#[from] JoinError),
}

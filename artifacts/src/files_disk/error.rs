//! Why a disk of files was not made.

use super::FileName;
use std::{io, path::PathBuf};

/// A disk of files that was not laid out or not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesDiskError {
    /// FAT compares names without regard to case.
    #[error(
        "the disk would have both {name} and {other}, which are one name for FAT: rename one of them"
    )]
    Twice {
        /// A name.
        name: FileName,
        /// The same but for the case of its letters.
        other: FileName,
    },
    /// A file cannot be read.
    #[error("cannot read {}, which is to go onto the disk", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Directories and devices have no place on the disk.
    #[error("{} is no regular file: only files go onto the disk", .path.display())]
    NoFile {
        /// What it is.
        path: PathBuf,
    },
    /// FAT has 32 bits for the size of a file.
    #[error("{} has {bytes} bytes: a file of the disk has less than 4 GiB", .path.display())]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A directory has 65,536 entries of 32 bytes at most.
    #[error(
        "the names of all files need {slots} entries of a directory, which has {most}: use fewer or shorter names"
    )]
    TooManyFiles {
        /// What is needed.
        slots: u64,
        /// What there is.
        most: u64,
    },
    /// The disk has 32 bits for the number of its sectors.
    #[error("all files together do not fit on a FAT32 disk of 2 TiB: leave some out")]
    DiskTooLarge,
    /// Somebody writes to a file while it is copied.
    #[error("{} changed its size while it was copied: try again when nobody writes to it", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The disk cannot be written.
    #[error("cannot write the disk")]
    Write(#[source] io::Error),
}

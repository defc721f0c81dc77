//! Why a directory of a lab cannot be used.

use super::FORMAT;
use std::{io, path::PathBuf};

/// A directory of a lab that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The system refuses.
    #[error("cannot {what} {}", .path.display())]
    Io {
        /// `read`, `write` or `make`.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another run works on this lab.
    #[error("another `lab` is at work on this lab (it holds {}); wait for it or end it", .path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// Made by another version of this program.
    #[error(
        "{} has format {found}, and this program knows format {FORMAT}; \
        use the version of `lab` that made it, or remove the lab with that version's `lab down`",
        .path.display()
    )]
    Format {
        /// The record.
        path: PathBuf,
        /// What it says.
        found: u64,
    },
    /// A file that this program wrote and cannot read any more.
    #[error("{} is damaged: {problem}; `lab down` removes the lab, `lab up` makes it anew", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The machines of this name belong to another directory.
    #[error("a lab of this name runs from {}; use that --state-dir, or another --name", .path.display())]
    Elsewhere {
        /// The directory that it belongs to.
        path: PathBuf,
    },
    /// The directory holds something that is not a lab.
    #[error("{} is not a directory of a lab (it has no lab.json); choose another --state-dir", .path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
}

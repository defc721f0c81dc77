//! Why a text is not a lock.

use thiserror::Error;

use super::text::HEADER;

/// Why a text is not a lock; `line` counts from 1.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LockError {
    /// The first line is not one of this version.
    #[error(
        "line 1 of the network lock is {found:?} instead of {HEADER:?}: it was not written by this version; restore the lock, or take the lab down and remove it"
    )]
    Version {
        /// The first line.
        found: String,
    },
    /// A merge that is not finished.
    #[error(
        "line {line} of the network lock is {found:?}, a mark of a merge conflict: remove the marks, keep one line about each thing, and sort them (LC_ALL=C sort)"
    )]
    Conflict {
        /// Its number.
        line: usize,
        /// The line.
        found: String,
    },
    /// A line that is not what belongs there.
    #[error("line {line} of the network lock is {found:?}: expected {expected}; restore the line")]
    Line {
        /// Its number.
        line: usize,
        /// The line.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// Lines out of order, or twice the same.
    #[error(
        "line {line} of the network lock does not sort behind the line before it: sort the lines between the first and the last (LC_ALL=C sort -u)"
    )]
    Order {
        /// The number of the second line.
        line: usize,
    },
    /// Two lines about one thing, as after a merge.
    #[error("line {line} of the network lock is the second about {id}: keep one of the two")]
    Twice {
        /// The number of the second line.
        line: usize,
        /// What both are about.
        id: String,
    },
    /// A line was changed without its checksum.
    #[error(
        "line {line} of the network lock ends in #{found}, its text has #{expected}: restore the line, or write the latter if the edit was meant"
    )]
    Checksum {
        /// The number of the line.
        line: usize,
        /// The checksum as written.
        found: String,
        /// The checksum of the text.
        expected: String,
    },
    /// A line that every lock has is not there.
    #[error("the network lock has no line `{missing}`: it is not whole, restore it")]
    Missing {
        /// How that line begins.
        missing: &'static str,
    },
    /// Something follows the end.
    #[error(
        "line {line} of the network lock follows its line `end`: remove it, or the `end` before it"
    )]
    Trailing {
        /// The number of the line.
        line: usize,
    },
}

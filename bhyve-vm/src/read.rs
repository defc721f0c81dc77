//! Strict readers of the two forms in which bhyve takes a VM.
//!
//! They are written from bhyve's rules, not from our printers, so that each finds the other's mistakes.

mod arguments;
mod devices;
mod options;
mod values;

pub use arguments::Arguments;

use crate::{KeyError, KeyTree, Release};
use std::collections::BTreeMap;

/// A line or word that bhyve would refuse, ignore, or take for something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A line of a file has no key or no value; bhyve would stop with status 4.
    #[error("line {line}: {text:?} is not KEY=VALUE")]
    NotAPair {
        /// Counted from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// A line of a file sets what it may not.
    #[error("line {line}: {source}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// The cause.
        source: KeyError,
    },
    /// A word of an argument list is not understood.
    #[error("argument {number}, {word:?}: {problem}")]
    Word {
        /// Counted from 1, without the program's name.
        number: usize,
        /// The word.
        word: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No single line or word is at fault.
    #[error(transparent)]
    Whole(#[from] KeyError),
}

/// Where a key was set.
#[derive(Debug, Clone)]
enum Placed {
    Line(usize),
    Word(usize, String),
}

impl Placed {
    fn error(self, source: KeyError) -> ReadError {
        match self {
            Self::Line(line) => ReadError::Line { line, source },
            Self::Word(number, word) => ReadError::Word {
                number,
                word,
                problem: source.to_string(),
            },
        }
    }
}

/// Reads a `-k` file for a host of `release`.
///
/// As bhyve does: a line is skipped if it is empty or its first byte is `#`, cut at the first `=`, and never
/// trimmed. Stricter than bhyve in all that it would silently accept: unknown keys, keys set twice, `%`.
///
/// # Errors
///
/// The first line that bhyve would refuse or ignore, or that contradicts another ([`KeyTree::check`]).
/// That a VM has no name, memory or firmware is *not* an error.
pub fn parse_config_file(text: &str, release: Release) -> Result<KeyTree, ReadError> {
    let mut keys = KeyTree::new(release);
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    // Not `lines()`: that would take away the '\r' that bhyve keeps as a part of the value.
    for (i, text) in text.split('\n').enumerate() {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let line = i + 1;
        let pair = text
            .split_once('=')
            .filter(|(key, value)| !key.is_empty() && !value.is_empty());
        let Some((key, value)) = pair else {
            return Err(ReadError::NotAPair {
                line,
                text: text.to_owned(),
            });
        };
        keys.set(key, value)
            .map_err(|source| Placed::Line(line).error(source))?;
        lines.insert(key.to_owned(), line);
    }
    keys.check()
        .map_err(|source| match lines.get(source.key()) {
            Some(line) => Placed::Line(*line).error(source),
            None => ReadError::Whole(source),
        })?;
    Ok(keys)
}

/// Reads an argument list, without the program's name, into the key tree that bhyve of `release` makes of it:
/// [`Arguments::parse`] and [`Arguments::keys`] in one.
///
/// # Errors
///
/// Those of both.
pub fn parse_argv(words: &[String], release: Release) -> Result<KeyTree, ReadError> {
    Arguments::parse(words)?.keys(release)
}

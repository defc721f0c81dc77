//! Lists of checksums as distributions publish them.

use super::{Digest, InvalidDigest, digest::Kind};
use std::collections::BTreeMap;

/// The checksums of a `SHA256SUMS`, `SHA512SUMS` or `CHECKSUM` file by file name.
///
/// Lines may have the form of GNU (`DIGEST  NAME`, `DIGEST *NAME`) or of BSD (`SHA256 (NAME) = DIGEST`). Empty lines
/// and comments are passed over, and so is the armour of a text signed with OpenPGP (RFC 9580, section 7): the
/// signature is *not* checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksums {
    by_name: BTreeMap<String, Digest>,
}

/// A list that cannot be used, or that lacks a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChecksumError {
    /// A line has neither form. A page with an error message instead of a list ends here.
    #[error("line {line}: {text:?} is neither `DIGEST  NAME` nor `SHA256 (NAME) = DIGEST`")]
    Line {
        /// Counted from 1.
        line: usize,
        /// Its beginning.
        text: String,
    },
    /// A line has a form, but no checksum.
    #[error("line {line}")]
    Digest {
        /// Counted from 1.
        line: usize,
        /// What stands in its place.
        #[source]
        source: InvalidDigest,
    },
    /// A line says SHA256 and has a SHA-512 checksum, or the other way round.
    #[error("line {line}: a checksum of {name} is not as long as its kind {kind} says")]
    Kind {
        /// Counted from 1.
        line: usize,
        /// The file.
        name: String,
        /// What it is called.
        kind: String,
    },
    /// Two different checksums of one file: one of them is of something else.
    #[error("line {line}: {name} has another checksum than in a line before")]
    Contradiction {
        /// Counted from 1.
        line: usize,
        /// The file.
        name: String,
    },
    /// The list does not name the file.
    #[error("the list of checksums has none of {name:?}; it has {count} of other files")]
    Missing {
        /// The file.
        name: String,
        /// How many there are.
        count: usize,
    },
}

impl Checksums {
    /// Reads a list.
    ///
    /// # Errors
    ///
    /// A line that is none of a list, or two different checksums of one kind for one file. A file that is named twice
    /// with the same checksum, or with one of each kind, is *not* an error: the longer one counts.
    pub fn parse(text: &str) -> Result<Self, ChecksumError> {
        let mut by_name = BTreeMap::new();
        for (number, line) in payload(text) {
            let Some((name, digest)) = entry(number, line)? else {
                continue;
            };
            let known: Option<&Digest> = by_name.get(name);
            match known.map(|known| (known.kind().cmp(&digest.kind()), *known == digest)) {
                Some((std::cmp::Ordering::Equal, false)) => {
                    let name = name.to_owned();
                    return Err(ChecksumError::Contradiction { line: number, name });
                }
                Some((std::cmp::Ordering::Greater, _)) => {}
                _ => drop(by_name.insert(name.to_owned(), digest)),
            }
        }
        Ok(Self { by_name })
    }

    /// The checksum of a file.
    ///
    /// # Errors
    ///
    /// The list does not name it.
    pub fn of(&self, name: &str) -> Result<&Digest, ChecksumError> {
        self.by_name
            .get(name)
            .ok_or_else(|| ChecksumError::Missing {
                name: name.to_owned(),
                count: self.by_name.len(),
            })
    }
}

/// The lines with their numbers, without the armour around them.
fn payload(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let signed = text.starts_with("-----BEGIN PGP SIGNED MESSAGE-----");
    let mut headers = signed;
    text.lines()
        .zip(1..)
        .map(|(line, number)| (number, line.trim_end()))
        .take_while(move |(_, line)| !(signed && *line == "-----BEGIN PGP SIGNATURE-----"))
        .filter(move |(_, line)| {
            let skipped = headers;
            headers &= !line.is_empty();
            !skipped
        })
}

fn entry(number: usize, line: &str) -> Result<Option<(&str, Digest)>, ChecksumError> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (kind, name, digits) = bsd(line).or_else(|| gnu(line)).ok_or_else(|| {
        let text = line.chars().take(80).collect();
        ChecksumError::Line { line: number, text }
    })?;
    let digest: Digest = digits.parse().map_err(|source| ChecksumError::Digest {
        line: number,
        source,
    })?;
    match kind {
        Some((kind, word)) if kind != digest.kind() => Err(ChecksumError::Kind {
            line: number,
            name: name.to_owned(),
            kind: word.to_owned(),
        }),
        _ => Ok(Some((name, digest))),
    }
}

/// The kind and its word if the line has them, the name, the digits.
type Parts<'a> = (Option<(Kind, &'a str)>, &'a str, &'a str);

fn bsd(line: &str) -> Option<Parts<'_>> {
    let (word, rest) = line.split_once(" (")?;
    let (name, digits) = rest.rsplit_once(") = ")?;
    let kind = match word {
        "SHA256" => Kind::Sha256,
        "SHA512" => Kind::Sha512,
        _ => return None,
    };
    (!name.is_empty()).then_some((Some((kind, word)), name, digits))
}

/// A digest, a blank, a blank or a star for the mode of reading, and the name.
fn gnu(line: &str) -> Option<Parts<'_>> {
    let (digits, rest) = line.split_once(' ')?;
    let name = rest.strip_prefix([' ', '*'])?;
    (!name.is_empty()).then_some((None, name, digits))
}

//! Names that are the same on the disk and in a shell: no blanks, no quotes, nothing that FAT reserves.

use std::{fmt, str::FromStr};

/// The name of a file on a disk: 1 to 100 ASCII letters, digits, `.`, `_` and `-`, the first a letter or digit, the last
/// no dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName(String);

/// A text that is no [`FileName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "file name {text:?} cannot be on the disk: use 1 to 100 letters, digits, `.`, `_` and `-`, \
    with a letter or digit in front and no dot at the end"
)]
pub struct InvalidFileName {
    text: String,
}

impl FileName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FileName {
    type Err = InvalidFileName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let valid = text.len() <= 100
            && text.bytes().all(known)
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && !text.ends_with('.');
        if valid {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidFileName {
            text: text.chars().take(120).collect(),
        })
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The label of a disk, by which it is mounted: 1 to 11 capital letters, digits, `_` and `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskLabel([u8; DiskLabel::BYTES]);

/// A text that is no [`DiskLabel`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("disk label {text:?} has to be 1 to 11 capital letters, digits, `_` and `-`")]
pub struct InvalidDiskLabel {
    text: String,
}

impl DiskLabel {
    /// The label of the disk with the programs of a lab: `LABPROGS`.
    pub const PROGRAMS: Self = Self(*b"LABPROGS   ");

    const BYTES: usize = 11;

    /// As FAT has it: filled up with blanks.
    pub(super) fn field(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl FromStr for DiskLabel {
    type Err = InvalidDiskLabel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        if text.is_empty() || text.len() > Self::BYTES || !text.bytes().all(known) {
            return Err(InvalidDiskLabel {
                text: text.chars().take(120).collect(),
            });
        }
        let mut field = [b' '; Self::BYTES];
        field[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self(field))
    }
}

impl fmt::Display for DiskLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.0.iter().copied().map(char::from).collect();
        f.write_str(text.trim_end())
    }
}

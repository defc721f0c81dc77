//! Version numbers of programs.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A released version, `MAJOR.MINOR.PATCH`, without pre-release or build suffix.
///
/// `Display` has no `v`; [`Version::tag`] has one, as Git tags, Go modules and Kubernetes itself write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// Incompatible generations.
    pub major: u32,
    /// Releases with new features; for Kubernetes three a year.
    pub minor: u32,
    /// Corrections.
    pub patch: u32,
}

/// A text that is not a [`Version`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("version {text:?} is not of the form 1.37.2")]
pub struct InvalidVersion {
    text: String,
}

impl Version {
    /// The version with these three numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// With a `v` in front: `v1.37.2`.
    pub fn tag(self) -> String {
        format!("v{self}")
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    /// Reads `1.37.2` or `v1.37.2`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text
            .strip_prefix('v')
            .unwrap_or(text)
            .split('.')
            .map(number);
        match (
            numbers.next(),
            numbers.next(),
            numbers.next(),
            numbers.next(),
        ) {
            (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) => {
                Ok(Self::new(major, minor, patch))
            }
            _ => Err(InvalidVersion {
                text: text.to_owned(),
            }),
        }
    }
}

/// A number as versions have them: digits only, no sign, no needless zero in front.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// The first version that stands in `text`, at the start of a word or after a letter such as `v` or `go`.
/// What follows the third number (`-dirty`, `~ds1`) is not looked at; a missing third number counts as 0.
pub(crate) fn first_version_in(text: &str) -> Option<Version> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.'))
        .filter(|word| word.contains('.'))
        .find_map(|word| {
            let mut numbers = word.split('.').map(number);
            let (major, minor) = (numbers.next()??, numbers.next()??);
            Some(Version::new(
                major,
                minor,
                numbers.next().flatten().unwrap_or(0),
            ))
        })
}

impl TryFrom<String> for Version {
    type Error = InvalidVersion;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

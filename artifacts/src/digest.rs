//! Checksums of files and bytes, as lower-case hexadecimal text.

use ring::digest::{Algorithm, Context, SHA256, SHA512};
use serde::{Deserialize, Serialize};
use std::{fmt, fs::File, io, io::Read, path::Path, str::FromStr};

/// A SHA-256 checksum: 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(String);

/// A text that is not a [`Sha256`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a SHA-256 checksum of 64 hexadecimal digits")]
pub struct InvalidSha256 {
    text: String,
}

impl Sha256 {
    /// The checksum of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The checksum of a file's contents. Blocks; about a second for 500 MB.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        Ok(Self(digits_of_file(path, &SHA256)?))
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits: enough to tell versions of one file apart in a path.
    pub(crate) fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for Sha256 {
    type Err = InvalidSha256;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(InvalidSha256 {
            text: text.chars().take(80).collect(),
        })
    }
}

impl TryFrom<String> for Sha256 {
    type Error = InvalidSha256;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> Self {
        digest.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A checksum as publishers of images have it: SHA-256 or SHA-512 (FIPS 180-4), 64 or 128 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Checksum(String);

/// A text that is not a [`Checksum`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a checksum of 64 (SHA-256) or 128 (SHA-512) hexadecimal digits")]
pub struct InvalidChecksum {
    text: String,
}

impl Checksum {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The checksum of a file's contents, of the same kind as this one. Blocks; about a second for 500 MB.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn of_same_kind(&self, path: &Path) -> io::Result<Self> {
        let algorithm = match self.0.len() {
            64 => &SHA256,
            _ => &SHA512,
        };
        Ok(Self(digits_of_file(path, algorithm)?))
    }

    /// If it is one, the SHA-256.
    pub(crate) fn sha256(&self) -> Option<Sha256> {
        (self.0.len() == 64).then(|| Sha256(self.0.clone()))
    }
}

impl FromStr for Checksum {
    type Err = InvalidChecksum;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if matches!(text.len(), 64 | 128) && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(InvalidChecksum {
            text: text.chars().take(140).collect(),
        })
    }
}

impl TryFrom<String> for Checksum {
    type Error = InvalidChecksum;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Checksum> for String {
    fn from(checksum: Checksum) -> Self {
        checksum.0
    }
}

impl From<Sha256> for Checksum {
    fn from(digest: Sha256) -> Self {
        Self(digest.0)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn digits_of_file(path: &Path, algorithm: &'static Algorithm) -> io::Result<String> {
    let mut hasher = Hasher(Context::new(algorithm));
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.digits()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// A checksum in the making; SHA-256 by default.
pub(crate) struct Hasher(Context);

impl Default for Hasher {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Sha256 {
        Sha256(self.digits())
    }

    fn digits(self) -> String {
        let digest = self.0.finish();
        digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
    }
}

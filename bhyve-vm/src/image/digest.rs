//! The checksum of a file, of either length that distributions publish.

use ring::digest::{self, Algorithm, Context};
use std::{
    fmt,
    io::{self, Read},
    str::FromStr,
};

/// A SHA-256 or SHA-512 checksum (FIPS 180-4): 64 or 128 hexadecimal digits in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

/// A text that is no [`Digest`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a checksum of 64 (SHA-256) or 128 (SHA-512) hexadecimal digits")]
pub struct InvalidDigest {
    text: String,
}

/// Which of both; the shorter one sorts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Sha256,
    Sha512,
}

impl Digest {
    /// The SHA-256 checksum of some bytes.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of_output(&digest::digest(&digest::SHA256, bytes))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The checksum of all that `source` has from here on, of the same kind as this one.
    ///
    /// # Errors
    ///
    /// The source cannot be read.
    pub fn of_same_kind(&self, source: &mut impl Read) -> io::Result<Self> {
        let algorithm = match self.kind() {
            Kind::Sha256 => &digest::SHA256,
            Kind::Sha512 => &digest::SHA512,
        };
        Ok(Self::of_output(&hash(algorithm, source)?))
    }

    pub(super) fn kind(&self) -> Kind {
        if self.0.len() == 64 {
            Kind::Sha256
        } else {
            Kind::Sha512
        }
    }

    fn of_output(output: &digest::Digest) -> Self {
        let bytes = output.as_ref().iter();
        Self(bytes.map(|byte| format!("{byte:02x}")).collect())
    }
}

fn hash(algorithm: &'static Algorithm, source: &mut impl Read) -> io::Result<digest::Digest> {
    let mut context = Context::new(algorithm);
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(context.finish()),
            Ok(count) => context.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if matches!(text.len(), 64 | 128) && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(InvalidDigest {
            text: text.chars().take(140).collect(),
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

//! The checksum by which a file here and a file there are compared.

use sha2::{Digest, Sha256};
use std::{fmt, fs, io, path::Path, str::FromStr};

/// A SHA-256 checksum (FIPS 180-4): 64 hexadecimal digits in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Hex(String);

/// A text that is no [`Sha256Hex`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no SHA-256 checksum of 64 hexadecimal digits")]
pub struct InvalidSha256Hex {
    text: String,
}

impl Sha256Hex {
    /// The checksum of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::written(&Sha256::digest(bytes))
    }

    /// The checksum of a file of this machine, which is read piece by piece.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let mut sum = Sha256::new();
        io::copy(&mut fs::File::open(path)?, &mut sum)?;
        Ok(Self::written(&sum.finalize()))
    }

    fn written(digest: &[u8]) -> Self {
        Self(digest.iter().map(|b| format!("{b:02x}")).collect())
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Sha256Hex {
    type Err = InvalidSha256Hex;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(InvalidSha256Hex {
            text: text.chars().take(80).collect(),
        })
    }
}

impl fmt::Display for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_digits_and_nothing_else() {
        // FIPS 180-4's own example, "abc".
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Sha256Hex::of(b"abc").as_str(), abc);
        assert_eq!(
            abc.to_uppercase().parse::<Sha256Hex>().unwrap().as_str(),
            abc
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "abc").unwrap();
        assert_eq!(Sha256Hex::of_file(file.path()).unwrap().as_str(), abc);
        for bad in ["", &abc[1..], &format!("{abc}0"), &abc.replace('b', "$")] {
            assert!(bad.parse::<Sha256Hex>().is_err(), "{bad}");
        }
    }
}

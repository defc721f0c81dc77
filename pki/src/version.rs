//! Kubernetes versions, exact to the patch.

use std::fmt;
use std::str::FromStr;

/// An exact Kubernetes version; some groups changed in patch releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubernetesVersion {
    /// Always 1 so far.
    pub major: u16,
    /// The release, as 28 in 1.28.3.
    pub minor: u16,
    /// The patch, as 3 in 1.28.3.
    pub patch: u16,
}

impl KubernetesVersion {
    /// A version from its three numbers.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }
}

/// A text that is not a full Kubernetes version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Kubernetes version `{text}` is not MAJOR.MINOR.PATCH, as 1.28.3")]
pub struct VersionError {
    /// The text as given.
    pub text: String,
}

impl FromStr for KubernetesVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let bad = || VersionError {
            text: text.to_owned(),
        };
        let numbers: Vec<u16> = text
            .strip_prefix('v')
            .unwrap_or(text)
            .split('.')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| bad())?;
        match numbers[..] {
            [major, minor, patch] => Ok(Self {
                major,
                minor,
                patch,
            }),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

//! Versions of etcd, as far as Kubernetes asks for one.

use std::{fmt, str::FromStr};

/// An exact etcd version. This crate forms no etcd, so it has a number only to compare with a floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EtcdVersion {
    /// Always 3.
    pub major: u16,
    /// The release line, as 7 in 3.7.3.
    pub minor: u16,
    /// The patch, as 3 in 3.7.3.
    pub patch: u16,
}

/// A text that is not a full etcd version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("etcd version {text:?} is not MAJOR.MINOR.PATCH, as 3.7.3")]
pub struct InvalidEtcdVersion {
    /// The text as given.
    pub text: String,
}

impl EtcdVersion {
    /// A version from its three numbers.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }
}

impl FromStr for EtcdVersion {
    type Err = InvalidEtcdVersion;

    /// Reads `3.7.3` or `v3.7.3`: what etcd says at `/version` as `etcdserver`.
    fn from_str(text: &str) -> Result<Self, InvalidEtcdVersion> {
        let plain = text.strip_prefix('v').unwrap_or(text);
        let numbers: Option<Vec<u16>> = plain
            .split('.')
            .map(|number| {
                let digits = number.bytes().all(|byte| byte.is_ascii_digit());
                digits.then(|| number.parse().ok()).flatten()
            })
            .collect();
        match numbers.as_deref() {
            Some([major, minor, patch]) => Ok(Self::new(*major, *minor, *patch)),
            _ => Err(InvalidEtcdVersion {
                text: text.to_owned(),
            }),
        }
    }
}

impl fmt::Display for EtcdVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_three_numbers() {
        let read = |text: &str| text.parse::<EtcdVersion>();
        assert_eq!(read("3.7.3"), Ok(EtcdVersion::new(3, 7, 3)));
        assert_eq!(read("v3.5.24").unwrap().to_string(), "3.5.24");
        assert!(EtcdVersion::new(3, 5, 9) < EtcdVersion::new(3, 5, 24));
        for bad in ["", "3.7", "3.7.3.1", "3.7.+3", "3.7.x", "3.7.3-0"] {
            assert_eq!(
                read(bad).unwrap_err().to_string(),
                format!("etcd version {bad:?} is not MAJOR.MINOR.PATCH, as 3.7.3")
            );
        }
    }
}

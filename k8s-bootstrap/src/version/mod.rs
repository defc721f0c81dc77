//! The Kubernetes releases that this crate knows, as data.

mod etcd;
mod releases;
pub mod skew;

pub use etcd::{EtcdVersion, InvalidEtcdVersion};
pub use releases::{
    ByPatch, ConfigApi, ConfigFile, ProbePaths, ProxyMode, RELEASES, Release, Stage,
};

use pki::KubernetesVersion;
use std::{fmt, str::FromStr};

/// A Kubernetes version and the row of [`RELEASES`] by which it is rendered: its own, unless somebody has asked for
/// [`SupportedVersion::unsupported`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupportedVersion {
    version: KubernetesVersion,
    release: &'static Release,
}

/// A version that is newer than the table and taken all the same. `Display` is the warning for its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsupportedVersion {
    /// What was asked for.
    pub version: KubernetesVersion,
    /// The minor whose rules are followed.
    pub rules: u16,
}

impl fmt::Display for UnsupportedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, rules } = self;
        write!(
            f,
            "Kubernetes {version} is newer than 1.{rules}, the newest release known here. It is brought up by the \
             rules of 1.{rules}: flags that it has dropped keep programs from starting, and what is new in it is \
             missing. Nobody has tested this"
        )
    }
}

/// A version that this crate cannot bring up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// Not a version at all.
    #[error(transparent)]
    Malformed(#[from] pki::VersionError),
    /// Older than the oldest row of the table.
    #[error(
        "Kubernetes {version} is older than 1.{oldest}, the oldest supported release; ask for 1.{oldest} to 1.{newest}"
    )]
    TooOld {
        /// What was asked for.
        version: KubernetesVersion,
        /// The first minor supported.
        oldest: u16,
        /// The last minor supported.
        newest: u16,
    },
    /// Newer than the newest row of the table: its changes are not known yet.
    #[error(
        "Kubernetes {version} is newer than 1.{newest}, the newest release known here; ask for 1.{oldest} to 1.{newest}"
    )]
    TooNew {
        /// What was asked for.
        version: KubernetesVersion,
        /// The first minor supported.
        oldest: u16,
        /// The last minor supported.
        newest: u16,
    },
}

impl SupportedVersion {
    /// Looks the release up.
    ///
    /// # Errors
    ///
    /// The minor is outside [`RELEASES`]. An unknown patch of a known minor is *not* an error.
    pub fn new(version: KubernetesVersion) -> Result<Self, VersionError> {
        let found = RELEASES
            .iter()
            .find(|release| version.major == 1 && release.minor == version.minor);
        if let Some(release) = found {
            return Ok(Self { version, release });
        }
        let (oldest, newest) = (RELEASES[0].minor, NEWEST.minor);
        Err(if (version.major, version.minor) < (1, oldest) {
            VersionError::TooOld {
                version,
                oldest,
                newest,
            }
        } else {
            VersionError::TooNew {
                version,
                oldest,
                newest,
            }
        })
    }

    /// As [`SupportedVersion::new`], and a minor newer than the table follows the rules of the newest row. Whoever
    /// calls this has been asked to by the user, and shows [`SupportedVersion::warning`].
    ///
    /// # Errors
    ///
    /// The minor is older than the table, or the major version is not 1.
    pub fn unsupported(version: KubernetesVersion) -> Result<Self, VersionError> {
        match Self::new(version) {
            Err(VersionError::TooNew { .. }) if version.major == 1 => Ok(Self {
                version,
                release: NEWEST,
            }),
            known => known,
        }
    }

    /// What the user has to know about a version that is newer than the table; none about any other.
    pub fn warning(self) -> Option<UnsupportedVersion> {
        let (version, rules) = (self.version, self.release.minor);
        (version.minor != rules).then_some(UnsupportedVersion { version, rules })
    }

    /// The full version.
    pub fn version(self) -> KubernetesVersion {
        self.version
    }

    /// The row of the table that it follows.
    pub fn release(self) -> &'static Release {
        self.release
    }

    /// The tag of CoreDNS in kubeadm of this version, as `v1.14.6`.
    pub fn coredns(self) -> &'static str {
        self.by_patch(self.release.coredns_tags)
    }

    /// The tag of the etcd image in kubeadm of this version, as `3.7.0-0`.
    pub fn etcd_image_tag(self) -> &'static str {
        self.by_patch(self.release.etcd_image_tags)
    }

    /// The oldest external etcd for this version.
    pub fn etcd_floor(self) -> EtcdVersion {
        self.by_patch(self.release.etcd_floors)
    }

    /// Of a version newer than the table nobody knows which patch brought what: the last value counts.
    fn by_patch<T: Copy>(self, values: ByPatch<T>) -> T {
        let known = self.warning().is_none();
        let reached = values
            .iter()
            .rev()
            .find(|(since, _)| !known || *since <= self.version.patch);
        reached.expect("every list begins with patch 0").1
    }
}

/// The last row of the table.
const NEWEST: &Release = &RELEASES[RELEASES.len() - 1];

impl FromStr for SupportedVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        Self::new(text.parse()?)
    }
}

impl fmt::Display for SupportedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.version.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_releases_differ() {
        let version = |text: &str| text.parse::<SupportedVersion>().unwrap();
        for (text, image, floor, coredns) in [
            ("1.28.3", "3.5.9-0", "3.4.13", "v1.10.1"),
            ("1.28.15", "3.5.15-0", "3.4.13", "v1.10.1"),
            ("1.30.4", "3.5.12-0", "3.4.13", "v1.11.1"),
            ("1.30.14", "3.5.15-0", "3.4.13", "v1.11.3"),
            ("1.33.5", "3.5.21-0", "3.5.11", "v1.12.0"),
            ("1.33.6", "3.5.24-0", "3.5.24", "v1.12.0"),
            ("1.34.1", "3.6.4-0", "3.5.21", "v1.12.1"),
            ("1.37.2", "3.7.0-0", "3.5.24", "v1.14.6"),
        ] {
            let version = version(text);
            let found = (version.etcd_image_tag(), version.coredns());
            assert_eq!(found, (image, coredns), "{text}");
            assert_eq!(version.etcd_floor().to_string(), floor, "{text}");
            assert_eq!(version.warning(), None);
        }
    }

    #[test]
    fn a_newer_version_is_taken_with_a_warning_when_asked_for() {
        let unsupported = |text: &str| SupportedVersion::unsupported(text.parse().unwrap());
        let newer = unsupported("1.39.0").unwrap();
        assert_eq!(
            (newer.release().minor, newer.to_string()),
            (37, "1.39.0".into())
        );
        assert_eq!(newer.coredns(), "v1.14.6");
        let warning = newer.warning().unwrap().to_string();
        assert!(
            warning.starts_with("Kubernetes 1.39.0 is newer than 1.37"),
            "{warning}"
        );
        assert_eq!(unsupported("1.28.3").unwrap(), "1.28.3".parse().unwrap());
        for refused in ["1.27.9", "2.0.0", "0.9.0"] {
            assert!(unsupported(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn versions_outside_the_table_are_named_with_the_range() {
        assert_eq!(
            "v1.28.3".parse::<SupportedVersion>().unwrap().to_string(),
            "1.28.3"
        );
        let message = |text: &str| text.parse::<SupportedVersion>().unwrap_err().to_string();
        assert!(
            message("1.27.9").contains("older than 1.28"),
            "{}",
            message("1.27.9")
        );
        assert!(
            message("1.38.0").contains("newer than 1.37"),
            "{}",
            message("1.38.0")
        );
        assert!(message("2.0.0").contains("newer"), "{}", message("2.0.0"));
        assert!(
            message("1.28").contains("MAJOR.MINOR.PATCH"),
            "{}",
            message("1.28")
        );
    }
}

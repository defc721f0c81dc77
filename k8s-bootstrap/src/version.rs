//! The Kubernetes releases that this crate knows, as data.

use pki::KubernetesVersion;
use std::{fmt, str::FromStr};

/// One minor release and what differs in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// The minor number, as 37 in 1.37.
    pub minor: u16,
    /// The CoreDNS that kubeadm of this release installs.
    pub coredns: &'static str,
    /// The pause image's tag in kubeadm of this release.
    pub pause: &'static str,
    /// How kube-proxy programs the kernel.
    pub proxy_mode: ProxyMode,
    /// The kubelet's configuration has `failCgroupV1` (kubernetes KEP-4569).
    pub has_fail_cgroup_v1: bool,
    /// The Corefile keeps answers about cluster names out of the cache (kubernetes#128359).
    pub corefile_disables_cluster_cache: bool,
}

/// The way kube-proxy turns Services into kernel rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyMode {
    /// Through iptables (iptables-nft where the distribution has that).
    Iptables,
    /// Through nftables directly: general availability in 1.33 (KEP-3866).
    Nftables,
}

impl ProxyMode {
    /// The word in `KubeProxyConfiguration.mode`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Iptables => "iptables",
            Self::Nftables => "nftables",
        }
    }
}

const V1_28: Release = Release {
    minor: 28,
    coredns: "v1.10.1",
    pause: "3.9",
    proxy_mode: ProxyMode::Iptables,
    has_fail_cgroup_v1: false,
    corefile_disables_cluster_cache: false,
};

const V1_31: Release = Release {
    minor: 31,
    coredns: "v1.11.1",
    pause: "3.10",
    has_fail_cgroup_v1: true,
    ..V1_28
};

const V1_33: Release = Release {
    minor: 33,
    coredns: "v1.12.0",
    proxy_mode: ProxyMode::Nftables,
    corefile_disables_cluster_cache: true,
    ..V1_31
};

/// Every release known, oldest first. Image versions are those of kubeadm's own constants.
pub const RELEASES: &[Release] = &[
    V1_28,
    Release {
        minor: 29,
        coredns: "v1.11.1",
        ..V1_28
    },
    Release {
        minor: 30,
        coredns: "v1.11.1",
        ..V1_28
    },
    V1_31,
    Release {
        minor: 32,
        coredns: "v1.11.3",
        corefile_disables_cluster_cache: true,
        ..V1_31
    },
    V1_33,
    Release {
        minor: 34,
        coredns: "v1.12.1",
        pause: "3.10.1",
        ..V1_33
    },
    Release {
        minor: 35,
        coredns: "v1.13.1",
        pause: "3.10.1",
        ..V1_33
    },
    Release {
        minor: 36,
        coredns: "v1.14.2",
        pause: "3.10.2",
        ..V1_33
    },
    Release {
        minor: 37,
        coredns: "v1.14.6",
        pause: "3.10.2",
        ..V1_33
    },
];

/// A Kubernetes version whose release is in [`RELEASES`]; nothing else can be rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupportedVersion {
    version: KubernetesVersion,
    release: &'static Release,
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
        let (oldest, newest) = (RELEASES[0].minor, RELEASES[RELEASES.len() - 1].minor);
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

    /// The full version.
    pub fn version(self) -> KubernetesVersion {
        self.version
    }

    /// The row of the table about its minor.
    pub fn release(self) -> &'static Release {
        self.release
    }
}

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
    fn the_table_has_no_gaps() {
        for pair in RELEASES.windows(2) {
            assert_eq!(pair[0].minor + 1, pair[1].minor);
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

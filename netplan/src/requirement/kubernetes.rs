//! The ranges of a Kubernetes cluster.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::addresses::Families;
use crate::decimal::decimal;
use crate::names::NetworkName;
use crate::net::{Family, Net};

/// A Kubernetes cluster on the lab's machines: what its pods and services need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubernetesSpec {
    /// The version; the rules for ranges depend on it.
    pub version: KubernetesVersion,
    /// The network on which nodes talk to each other and to the API.
    pub network: NetworkName,
    /// The families of pods and services; each must be one of the network's.
    #[serde(default)]
    pub families: Families,
    /// The family that comes first where both are named; the API server's advertise address must
    /// be of it.
    #[serde(default = "first_family")]
    pub primary: Family,
    /// The most nodes that there may ever be; the pod range is sized for it.
    #[serde(default = "default_nodes")]
    pub nodes: u32,
    /// The most pods on one node (kubelet's `maxPods`); its range is sized for twice as many, so
    /// that an address is not reused at once.
    #[serde(default = "default_pods_per_node")]
    pub pods_per_node: u32,
    /// The most services.
    #[serde(default = "default_services")]
    pub services: u32,
    /// Prefix lengths, instead of those that follow from the numbers above.
    #[serde(default)]
    pub sizes: RangeSizes,
    /// The pod range, instead of one that is placed.
    #[serde(default)]
    pub pods_v4: Option<Net>,
    /// The pod range, instead of one that is placed.
    #[serde(default)]
    pub pods_v6: Option<Net>,
    /// The service range, instead of one that is placed.
    #[serde(default)]
    pub services_v4: Option<Net>,
    /// The service range, instead of one that is placed.
    #[serde(default)]
    pub services_v6: Option<Net>,
}

const fn first_family() -> Family {
    Family::V4
}

const fn default_nodes() -> u32 {
    128
}

const fn default_pods_per_node() -> u32 {
    110
}

const fn default_services() -> u32 {
    4096
}

impl KubernetesSpec {
    /// A dual-stack cluster with room for 128 nodes of 110 pods and for 4,096 services.
    #[must_use]
    pub fn new(version: KubernetesVersion, network: NetworkName) -> Self {
        Self {
            version,
            network,
            families: Families::Dual,
            primary: first_family(),
            nodes: default_nodes(),
            pods_per_node: default_pods_per_node(),
            services: default_services(),
            sizes: RangeSizes::default(),
            pods_v4: None,
            pods_v6: None,
            services_v4: None,
            services_v6: None,
        }
    }

    /// The prefix length of the services of this family.
    #[must_use]
    pub fn services_len(&self, family: Family) -> u8 {
        let explicit = self.explicit_services(family).map(Net::prefix_len);
        match family {
            Family::V4 => {
                let asked = explicit.or(self.sizes.services_v4);
                asked.unwrap_or_else(|| 32_u8.saturating_sub(bits_for(self.services)))
            }
            // Accepted by every version: older API servers keep a bitmap of at most 20 bits, and
            // use no more than 16 of them.
            Family::V6 => explicit.or(self.sizes.services_v6).unwrap_or(112),
        }
    }

    /// The prefix length of one node's pods.
    #[must_use]
    pub fn node_pods_len(&self, family: Family) -> u8 {
        match family {
            Family::V4 => self.sizes.node_pods_v4.unwrap_or_else(|| {
                32_u8.saturating_sub(bits_for(self.pods_per_node.saturating_mul(2)))
            }),
            Family::V6 => self.sizes.node_pods_v6.unwrap_or(64),
        }
    }

    /// The prefix length of all pods; of IPv6 rounded to a whole hexadecimal digit. Where that
    /// would be all of the lab's own network, a plan does not round.
    #[must_use]
    pub fn pods_len(&self, family: Family) -> u8 {
        let needed = self.needed_pods_len(family);
        let rounded = family.pick(needed, needed & !3);
        self.asked_pods_len(family).unwrap_or(rounded)
    }

    /// The same in this network of the lab.
    pub(crate) fn pods_len_inside(&self, supernet: Net) -> u8 {
        let family = supernet.family();
        let len = self.pods_len(family);
        if len > supernet.prefix_len() || self.asked_pods_len(family).is_some() {
            len
        } else {
            self.needed_pods_len(family)
        }
    }

    fn asked_pods_len(&self, family: Family) -> Option<u8> {
        let explicit = self.explicit_pods(family).map(Net::prefix_len);
        explicit.or(family.pick(self.sizes.pods_v4, self.sizes.pods_v6))
    }

    fn needed_pods_len(&self, family: Family) -> u8 {
        let one = self.node_pods_len(family);
        one.saturating_sub(bits_for(self.nodes))
    }

    pub(crate) fn explicit_pods(&self, family: Family) -> Option<Net> {
        family.pick(self.pods_v4, self.pods_v6)
    }

    pub(crate) fn explicit_services(&self, family: Family) -> Option<Net> {
        family.pick(self.services_v4, self.services_v6)
    }
}

/// The bits that tell `count` things apart.
fn bits_for(count: u32) -> u8 {
    let bits = u32::BITS - count.saturating_sub(1).leading_zeros();
    bits.to_le_bytes()[0]
}

/// Prefix lengths of the Kubernetes ranges, where they are not to follow from numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RangeSizes {
    /// Service addresses, IPv4.
    pub services_v4: Option<u8>,
    /// Service addresses, IPv6.
    pub services_v6: Option<u8>,
    /// All pods, IPv4.
    pub pods_v4: Option<u8>,
    /// All pods, IPv6.
    pub pods_v6: Option<u8>,
    /// The pods of one node, IPv4.
    pub node_pods_v4: Option<u8>,
    /// The pods of one node, IPv6.
    pub node_pods_v6: Option<u8>,
}

/// A minor version of Kubernetes 1; a patch level in its text is read and dropped, since no rule
/// for networks depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KubernetesVersion {
    minor: u16,
}

/// A text that is no version of Kubernetes 1.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{text:?} is not a version of Kubernetes: write 1.MINOR or 1.MINOR.PATCH, like 1.37 or 1.28.3"
)]
pub struct VersionError {
    /// The text as given.
    pub text: String,
}

impl KubernetesVersion {
    /// Version 1.`minor`.
    #[must_use]
    pub const fn new(minor: u16) -> Self {
        Self { minor }
    }

    /// The number behind `1.`.
    #[must_use]
    pub const fn minor(self) -> u16 {
        self.minor
    }
}

impl FromStr for KubernetesVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let parts: Vec<&str> = text.split('.').collect();
        let minor = match parts.as_slice() {
            ["1", minor] => decimal(minor),
            ["1", minor, patch] => decimal::<u16>(patch).and_then(|_| decimal(minor)),
            _ => None,
        };
        let minor = minor.ok_or_else(|| VersionError {
            text: text.to_owned(),
        })?;
        Ok(Self { minor })
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("1.{}", self.minor))
    }
}

impl TryFrom<String> for KubernetesVersion {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<KubernetesVersion> for String {
    fn from(version: KubernetesVersion) -> Self {
        version.to_string()
    }
}

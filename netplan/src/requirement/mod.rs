//! What is asked for: the only types of this crate that are read from a file.

mod kubernetes;
mod reference;

use serde::{Deserialize, Serialize};

pub use kubernetes::{KubernetesSpec, KubernetesVersion, RangeSizes, VersionError};
pub use reference::{ETCD_NETWORK, KUBE_NETWORK, MachineCounts};

use crate::addresses::Families;
use crate::names::{ClassName, InterfaceName, LabName, NetworkName};
use crate::net::{Family, Net};

/// Everything that decides a plan, besides the state of the host and the lock.
///
/// ```
/// let text = r#"{
///     "lab": "demo", "seed": 7,
///     "networks": [{ "name": "front" }, { "name": "store", "families": "v4" }],
///     "classes": [
///         { "name": "web", "count": 2, "networks": ["front"] },
///         { "name": "db", "count": 3, "networks": ["store", "front"] }
///     ]
/// }"#;
/// let requirement: netplan::Requirement = serde_json::from_str(text)?;
/// let plan = netplan::plan(&requirement, &netplan::HostFacts::default(), None)?;
/// assert_eq!(plan.machines.len(), 5);
/// assert!(plan.machine("db-0").unwrap().address("store").unwrap().v6.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// The lab's name; the IPv4 network and the names of interfaces follow from it.
    pub lab: LabName,
    /// A random number, drawn once by the caller: the Global ID of the ULA network is made from
    /// it (RFC 4193, 3.2). Where there is a lock, the lock's seed counts instead.
    pub seed: u64,
    /// The IPv4 network for the whole lab, instead of one that is chosen (a /16, or what the
    /// networks need).
    #[serde(default)]
    pub v4: Option<Net>,
    /// The IPv6 network for the whole lab, instead of a ULA /48 made from the seed. A routed
    /// prefix of the provider is written here.
    #[serde(default)]
    pub v6: Option<Net>,
    /// The networks.
    pub networks: Vec<NetworkSpec>,
    /// The machines, by class.
    pub classes: Vec<ClassSpec>,
    /// The ranges of a Kubernetes cluster on these machines.
    #[serde(default)]
    pub kubernetes: Option<KubernetesSpec>,
    /// Who routes between the networks.
    #[serde(default)]
    pub router: RouterSpec,
    /// How IPv4 leaves the lab.
    #[serde(default)]
    pub v4_mode: V4Mode,
    /// How IPv6 leaves the lab.
    #[serde(default)]
    pub v6_mode: V6Mode,
    /// Findings of [`lint`](crate::lint()) that are meant so.
    #[serde(default)]
    pub allow: Vec<Allow>,
}

impl Requirement {
    pub(crate) fn explicit(&self, family: Family) -> Option<Net> {
        family.pick(self.v4, self.v6)
    }
}

/// A network that machines are on: one link, routed to the others by the lab's router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// Its name; the place of its addresses is remembered under it.
    pub name: NetworkName,
    /// The name that it had before, so that it stays where it is.
    #[serde(default)]
    pub renamed_from: Option<NetworkName>,
    /// The families that it has.
    #[serde(default)]
    pub families: Families,
    /// Its IPv4 network, instead of one that is sized and placed.
    #[serde(default)]
    pub v4: Option<Net>,
    /// Its IPv6 /64, instead of one that is placed.
    #[serde(default)]
    pub v6: Option<Net>,
    /// Where it prefers to be inside the lab's networks, counted in /24 of IPv4 and /64 of IPv6.
    /// Without one the place follows from a hash of its name.
    #[serde(default)]
    pub slot: Option<u16>,
}

impl NetworkSpec {
    /// A dual-stack network that is placed by its name.
    #[must_use]
    pub fn new(name: NetworkName) -> Self {
        Self {
            name,
            renamed_from: None,
            families: Families::Dual,
            v4: None,
            v6: None,
            slot: None,
        }
    }

    pub(crate) fn explicit(&self, family: Family) -> Option<Net> {
        family.pick(self.v4, self.v6)
    }
}

/// Machines of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassSpec {
    /// Its name; the machines are `NAME-0`, `NAME-1` and so on.
    pub name: ClassName,
    /// The name that it had before, so that its machines keep their addresses.
    #[serde(default)]
    pub renamed_from: Option<ClassName>,
    /// What its machines are in a cluster; the policy follows from it.
    #[serde(default)]
    pub role: Role,
    /// How many machines.
    pub count: u32,
    /// How many there may ever be: networks are sized for it. Twice the count without it, at
    /// least 8, rounded up to a power of two.
    #[serde(default)]
    pub room: Option<u32>,
    /// The host number of its first machine on each of its networks; the others count up from
    /// there. Without one it is chosen, from 16 up, after those of classes before it by name.
    #[serde(default)]
    pub first: Option<u32>,
    /// The networks that each machine has an interface on, in this order.
    pub networks: Vec<NetworkName>,
    /// The one of them that the default routes go out on; the last of the list without it.
    #[serde(default)]
    pub default_route: Option<NetworkName>,
}

impl ClassSpec {
    /// A class of this many machines on these networks, without a role.
    #[must_use]
    pub fn new(name: ClassName, count: u32, networks: Vec<NetworkName>) -> Self {
        Self {
            name,
            renamed_from: None,
            role: Role::Other,
            count,
            room: None,
            first: None,
            networks,
            default_route: None,
        }
    }

    /// How many machines the networks are sized for.
    #[must_use]
    pub fn room(&self) -> u32 {
        self.room.unwrap_or_else(|| {
            let twice = self.count.saturating_mul(2).max(8);
            twice.checked_next_power_of_two().unwrap_or(twice)
        })
    }

    /// The network of the default routes.
    #[must_use]
    pub fn default_network(&self) -> Option<&NetworkName> {
        self.default_route.as_ref().or(self.networks.last())
    }
}

/// What a machine is in a cluster.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A member of the etcd cluster; reached by control planes only.
    Etcd,
    /// A Kubernetes control plane; a node, and a client of etcd.
    ControlPlane,
    /// A Kubernetes worker; a node.
    Worker,
    /// Anything else.
    #[default]
    Other,
}

impl Role {
    /// Whether such machines are Kubernetes nodes and run pods.
    #[must_use]
    pub const fn is_node(self) -> bool {
        matches!(self, Self::ControlPlane | Self::Worker)
    }

    /// The role as it is written in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
            Self::Other => "other",
        }
    }

    /// The role that is written so.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Etcd, Self::ControlPlane, Self::Worker, Self::Other]
            .into_iter()
            .find(|role| role.as_str() == word)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who routes between the networks and to the outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouterSpec {
    /// A network namespace of the lab's own, between the networks, a link to the host, and a
    /// simulated internet: nothing of the host changes.
    #[default]
    Namespace,
    /// The host itself.
    Host {
        /// Its interface to the outside.
        uplink: InterfaceName,
    },
}

/// How IPv4 leaves the lab.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum V4Mode {
    /// With the router's own address on its uplink (RFC 3022).
    #[default]
    Nat,
}

/// How IPv6 leaves the lab, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum V6Mode {
    /// As it is: the other side has a route back.
    #[default]
    Routed,
    /// Prefix for prefix: hosts keep their interface identifiers. As in RFC 6296, but with state
    /// where the firewall keeps it.
    Npt {
        /// The prefix outside, as long as the lab's own.
        outside: Net,
    },
    /// All behind one address. Dual-stack clients then prefer IPv4 (RFC 6724).
    Nat66 {
        /// The address outside.
        address: std::net::Ipv6Addr,
    },
    /// Not at all: IPv6 works inside the lab only.
    UlaOnly,
}

/// A lint that is meant so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// The name of the lint.
    pub lint: String,
    /// Why it may stay; shown beside the finding.
    pub reason: String,
}

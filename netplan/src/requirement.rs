//! What is asked for: the only types of this crate that are read from a file.

use serde::{Deserialize, Serialize};

use crate::names::LabName;
use crate::net::Net;

/// Everything that decides a plan, besides the state of the host and the lock.
///
/// ```
/// let text = r#"{ "lab": "demo", "seed": 7, "machines": { "etcd": 3, "control_planes": 1, "workers": 2 } }"#;
/// let requirement: netplan::Requirement = serde_json::from_str(text)?;
/// assert_eq!(requirement.sizes.services_v4, 20);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// The lab's name; the IPv4 network and the MAC addresses follow from it.
    pub lab: LabName,
    /// A random number, drawn once by the caller: the Global ID of the ULA network is made from
    /// it (RFC 4193, 3.2). Where there is a lock, the lock's seed counts instead.
    pub seed: u64,
    /// The IPv4 /16 for the whole lab, instead of one that is chosen.
    #[serde(default)]
    pub v4: Option<Net>,
    /// The IPv6 ULA /48 for the whole lab, instead of one made from the seed.
    #[serde(default)]
    pub v6: Option<Net>,
    /// How many machines of each class.
    #[serde(default)]
    pub machines: MachineCounts,
    /// Prefix lengths of the Kubernetes ranges.
    #[serde(default)]
    pub sizes: RangeSizes,
    /// Networks inside the lab's own that must be where they are told.
    #[serde(default)]
    pub networks: ExplicitNetworks,
}

impl Requirement {
    /// The reference lab (three etcd members, one control plane, one worker) of this name.
    #[must_use]
    pub fn new(lab: LabName, seed: u64) -> Self {
        Self {
            lab,
            seed,
            v4: None,
            v6: None,
            machines: MachineCounts::default(),
            sizes: RangeSizes::default(),
            networks: ExplicitNetworks::default(),
        }
    }
}

/// How many machines of each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MachineCounts {
    /// etcd members: on the network `etcd` only. 1 to 20.
    pub etcd: u16,
    /// Control planes: on `etcd` and `kube`. 1 to 20.
    pub control_planes: u16,
    /// Workers: on `kube` only. 0 to 205, as far as the pod range reaches.
    pub workers: u16,
}

impl Default for MachineCounts {
    /// The reference lab.
    fn default() -> Self {
        Self {
            etcd: 3,
            control_planes: 1,
            workers: 1,
        }
    }
}

/// Prefix lengths of the Kubernetes ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RangeSizes {
    /// Service addresses, IPv4. 17 to 27.
    pub services_v4: u8,
    /// Service addresses, IPv6. 108 to 123: older API servers keep a bitmap of at most 20 bits.
    pub services_v6: u8,
    /// All pods, IPv4. 17 to 28.
    pub pods_v4: u8,
    /// All pods, IPv6. 49 to 124.
    pub pods_v6: u8,
    /// The pods of one node, IPv4; at most 16 bits longer than `pods_v4`.
    pub node_pods_v4: u8,
    /// The pods of one node, IPv6; at most 16 bits longer than `pods_v6`.
    pub node_pods_v6: u8,
}

impl Default for RangeSizes {
    /// Sizes that every Kubernetes version since dual stack accepts, for 128 nodes.
    fn default() -> Self {
        Self {
            services_v4: 20,
            services_v6: 112,
            pods_v4: 17,
            pods_v6: 56,
            node_pods_v4: 24,
            node_pods_v6: 64,
        }
    }
}

/// Networks inside the lab's own that must be where they are told; the rest is placed around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExplicitNetworks {
    /// The network of the etcd members, a /24.
    pub etcd_v4: Option<Net>,
    /// The network of the etcd members, a /64.
    pub etcd_v6: Option<Net>,
    /// The network of the nodes, a /24.
    pub kube_v4: Option<Net>,
    /// The network of the nodes, a /64.
    pub kube_v6: Option<Net>,
    /// The service range, of the length in [`RangeSizes`].
    pub services_v4: Option<Net>,
    /// The service range, of the length in [`RangeSizes`].
    pub services_v6: Option<Net>,
    /// The range of all pods, of the length in [`RangeSizes`].
    pub pods_v4: Option<Net>,
    /// The range of all pods, of the length in [`RangeSizes`].
    pub pods_v6: Option<Net>,
}

/// What the machine that runs the lab uses already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Networks of its routes and addresses, in any order, overlapping or not. Leave out what the
    /// lab itself made, or a second plan would move away from the first. Add the networks of
    /// labs that are down but should come back.
    pub occupied: Vec<Occupied>,
}

/// A network that the host uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupied {
    /// The network.
    pub net: Net,
    /// By what, for error messages: `route via eth0`.
    pub by: String,
}

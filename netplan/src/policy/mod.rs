//! Who may reach whom: one typed model, from which every printer and every answer is made.

mod evaluate;
mod nft;
mod pf;
mod reachability;
mod standard;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

pub use evaluate::{Decision, Endpoint, Probe, Protocol};
pub use nft::{NftRuleset, ROUTER_LINK, ROUTER_UPLINK};
pub use pf::PfAnchor;
pub use reachability::{Expectation, reachability};

use crate::net::{Family, Net};
use crate::plan::AddressPair;

/// Where a packet comes from or goes to, as the interface it passes tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Zone {
    /// Behind the router's uplink.
    Internet,
    /// The machine that runs the lab, behind the link.
    Host,
    /// The network `etcd`.
    Etcd,
    /// The network `kube`: nodes and their pods.
    Kube,
}

/// A named set of addresses of both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AddressSet {
    /// Everything of the lab.
    Lab,
    /// The network `etcd`.
    EtcdNetwork,
    /// The network `kube` and the pods.
    KubeNetwork,
    /// The etcd members.
    EtcdMembers,
    /// The control planes' addresses on `etcd`.
    ControlPlanes,
    /// Where administration comes from: the host's side of the link, and the gateways.
    Administration,
}

/// A place where packets are judged. A flow is allowed when every point on its way allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Point {
    /// The router, for packets between its interfaces.
    RouterForward,
    /// The router, for packets to itself.
    RouterInput,
    /// An etcd member: machines of one network reach it without passing the router.
    EtcdInput,
    /// An etcd member, for packets to be forwarded: it is no router.
    EtcdForward,
    /// A control plane, for packets to itself.
    ControlPlaneInput,
    /// A control plane, for packets to be forwarded. Kubernetes needs forwarding, so without a
    /// guard a control plane is a way around the router from `kube` into `etcd`.
    ControlPlaneForward,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RouterForward => "the router's forwarding",
            Self::RouterInput => "the router's input",
            Self::EtcdInput => "the etcd member's input",
            Self::EtcdForward => "the etcd member's forwarding",
            Self::ControlPlaneInput => "the control plane's input",
            Self::ControlPlaneForward => "the control plane's forwarding",
        })
    }
}

impl Point {
    /// What happens to a packet that no rule matches. On control planes the rules only guard the
    /// network `etcd`; the rest is left to Kubernetes.
    #[must_use]
    pub const fn default_verdict(self) -> Verdict {
        match self {
            Self::ControlPlaneInput | Self::ControlPlaneForward => Verdict::Allow,
            _ => Verdict::Drop,
        }
    }

    /// Whether replies to allowed flows pass before any rule. Not in the control planes' forward
    /// guard: no reply has a reason to pass there.
    #[must_use]
    pub const fn is_stateful(self) -> bool {
        !matches!(self, Self::ControlPlaneForward | Self::EtcdForward)
    }
}

/// Kinds of packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Traffic {
    /// All.
    Any,
    /// TCP to these ports.
    Tcp(Vec<u16>),
    /// UDP to these ports.
    Udp(Vec<u16>),
    /// All of ICMP and ICMPv6.
    Icmp,
    /// Echo requests.
    Echo,
    /// The ICMP errors that must pass for connections to work (RFC 4890, 4.3.1).
    IcmpErrors,
    /// Neighbour and multicast listener discovery, without which IPv6 stops (RFC 4890, 4.4.1).
    Neighbours,
}

/// What is done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It passes.
    Allow,
    /// It vanishes.
    Drop,
    /// It is answered with an error, so that the sender need not wait.
    Refuse,
}

/// Membership of the source address in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Source {
    /// In the set.
    In(AddressSet),
    /// Not in the set.
    NotIn(AddressSet),
}

/// One rule; at a point the first that matches decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name, in comments and labels of what is printed and in explanations.
    pub name: &'static str,
    /// Where it applies.
    pub point: Point,
    /// Zones the packet enters from; empty: any.
    pub entering: Vec<Zone>,
    /// Zones the packet leaves to; empty: any.
    pub leaving: Vec<Zone>,
    /// The source address; `None`: any.
    pub from: Option<Source>,
    /// The kind of packet.
    pub traffic: Traffic,
    /// What is done.
    pub verdict: Verdict,
}

/// How IPv4 leaves the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum V4Mode {
    /// With the router's own address on its uplink.
    Masquerade,
}

/// How IPv6 leaves the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum V6Mode {
    /// As it is: the other side has a route back.
    Routed,
}

/// The API servers behind the router's address on the link, for the user's own kubectl.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiExposure {
    /// The router's addresses on the link.
    pub at: AddressPair,
    /// The API servers that connections are spread over.
    pub servers: Vec<AddressPair>,
    /// The port, the same on both sides.
    pub port: u16,
}

/// The policy of one lab. [`Policy::standard`] makes it; the printers are
/// [`Policy::nft_router`], [`Policy::nft_etcd_member`], [`Policy::nft_control_plane`] and
/// [`Policy::pf_anchor`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Policy {
    /// The members of each set.
    pub sets: BTreeMap<AddressSet, Vec<Net>>,
    /// All rules; those of one point in the order in which they are tried.
    pub rules: Vec<Rule>,
    /// How IPv4 leaves.
    pub v4: V4Mode,
    /// How IPv6 leaves.
    pub v6: V6Mode,
    /// The API over the link.
    pub api: ApiExposure,
}

impl Policy {
    /// The rules of one point, in order.
    pub fn rules_at(&self, point: Point) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.point == point)
    }

    /// The members of a set, of one family.
    pub(crate) fn members(&self, set: AddressSet, family: Family) -> impl Iterator<Item = Net> {
        self.sets
            .get(&set)
            .into_iter()
            .flatten()
            .copied()
            .filter(move |net| net.family() == family)
    }
}

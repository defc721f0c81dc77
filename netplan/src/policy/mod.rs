//! Who may reach whom: one typed model, from which every printer and every answer is made.

mod evaluate;
mod flow;
mod guests;
mod nft;
pub mod pf;
mod reachability;
mod route;
mod rule;
mod sender;
mod sets;
mod standard;
mod views;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

pub use evaluate::Decision;
pub use flow::{Endpoint, Probe, ProbeError, Protocol};
pub use nft::{NftRuleset, ROUTER_LINK, ROUTER_UPLINK};
pub use reachability::{Expectation, reachability};
pub(crate) use views::{Party, edges};
pub use views::{dot, matrix_table, mermaid};

use crate::addresses::Addresses;
use crate::names::{ClassName, NetworkName};
use crate::net::{Family, Net};
use crate::requirement::{Role, V4Mode, V6Mode};

/// Where a packet comes from or goes to, as the interface it passes tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Zone {
    /// Behind the router's uplink.
    Internet,
    /// The machine that runs the lab, behind the link; not there when it is the router itself.
    Host,
    /// A network of the lab. The pods are in the network of the nodes.
    Network(NetworkName),
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Internet => "internet",
            Self::Host => "host",
            Self::Network(name) => name.as_str(),
        })
    }
}

/// A named set of addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
#[non_exhaustive]
pub enum AddressSet {
    /// Everything of the lab.
    Lab,
    /// A network; the nodes' network with the pods.
    Network(NetworkName),
    /// The machines of a role on a network, with their addresses there.
    Members(Role, NetworkName),
    /// Where administration comes from: the host's side of the link, and the gateways.
    Administration,
}

impl fmt::Display for AddressSet {
    /// One word of letters, digits and `_`, at most 30 bytes: fit for the name of a set of nft(8)
    /// and of a table of pf.conf(5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Lab => "lab".to_owned(),
            Self::Network(network) => format!("{network}_net"),
            Self::Members(role, network) => {
                format!("{}_on_{network}", role.as_str().replace('-', "_"))
            }
            Self::Administration => "administration".to_owned(),
        };
        f.pad(&text)
    }
}

impl From<AddressSet> for String {
    fn from(set: AddressSet) -> Self {
        set.to_string()
    }
}

/// A place where packets are judged. A flow is allowed when every point on its way allows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Point {
    /// The router, for packets between its interfaces.
    RouterForward,
    /// The router, for packets to itself.
    RouterInput,
    /// Each machine of a class, for packets to itself: machines of one network reach each other
    /// without passing the router.
    GuestInput(ClassName),
    /// Each machine of a class, for packets to be forwarded. Kubernetes needs forwarding, so
    /// without a guard a control plane is a way around the router.
    GuestForward(ClassName),
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::RouterForward => "the router's forwarding".to_owned(),
            Self::RouterInput => "the router's input".to_owned(),
            Self::GuestInput(class) => format!("the input of class {class}"),
            Self::GuestForward(class) => format!("the forwarding of class {class}"),
        };
        f.pad(&text)
    }
}

/// Kinds of packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Traffic {
    /// All.
    Any,
    /// What belongs to a flow that was allowed: the first rule of a filter that keeps state. A
    /// printer for a filter with implicit state leaves it out.
    Replies,
    /// What claims to belong to a flow that there is not. Left out like [`Traffic::Replies`].
    Invalid,
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

/// Membership of the source address in a set. A set without members of the packet's family has
/// no address of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// In the set.
    In(AddressSet),
    /// Not in the set.
    NotIn(AddressSet),
}

impl Source {
    /// The set, in which the source is or is not.
    #[must_use]
    pub const fn set(&self) -> &AddressSet {
        match self {
            Self::In(set) | Self::NotIn(set) => set,
        }
    }
}

/// One rule; at a point the first that matches decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name, in comments and labels of what is printed and in explanations: a-z, 0-9, '-'.
    pub name: String,
    /// Zones the packet enters from; empty: any.
    pub entering: Vec<Zone>,
    /// Zones the packet leaves to; empty: any.
    pub leaving: Vec<Zone>,
    /// The family; `None`: both.
    pub family: Option<Family>,
    /// The source address; `None`: any.
    pub from: Option<Source>,
    /// The set that the destination address is in, after translation; `None`: any.
    pub to: Option<AddressSet>,
    /// The kind of packet.
    pub traffic: Traffic,
    /// What is done.
    pub verdict: Verdict,
}

/// The rules of one point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chain {
    /// Where it applies.
    pub point: Point,
    /// The rules, in the order in which they are tried.
    pub rules: Vec<Rule>,
    /// What happens to a packet that no rule matches. A guard beside Kubernetes allows, and
    /// leaves the rest to it.
    pub default: Verdict,
}

/// The API servers behind an address of the router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiExposure {
    /// Where connections come from.
    pub entering: Zone,
    /// The router's addresses that they are for; `None`: any of its own.
    pub at: Option<Addresses>,
    /// The network that the API servers are on.
    pub network: NetworkName,
    /// The API servers that connections are spread over.
    pub servers: Vec<Addresses>,
    /// The port, the same on both sides.
    pub port: u16,
}

/// The policy of one lab, made by [`Policy::standard`].
///
/// On a router that is the host itself, the chains of the router judge only what enters from a
/// network of the lab or leaves to one; a printer has to see to that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Policy {
    /// The members of each set.
    pub sets: BTreeMap<AddressSet, Vec<Net>>,
    /// The rules of every point that has some: the router's first, then by class.
    pub chains: Vec<Chain>,
    /// How IPv4 leaves.
    pub v4: V4Mode,
    /// How IPv6 leaves.
    pub v6: V6Mode,
    /// The ways to the API from outside.
    pub exposures: Vec<ApiExposure>,
}

impl Policy {
    /// The chain of one point; `None` where nothing is judged.
    #[must_use]
    pub fn chain(&self, point: &Point) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.point == *point)
    }

    /// The members of a set, of one family.
    pub fn members(&self, set: &AddressSet, family: Family) -> impl Iterator<Item = Net> {
        let members = self.sets.get(set).into_iter().flatten().copied();
        members.filter(move |net| net.family() == family)
    }
}

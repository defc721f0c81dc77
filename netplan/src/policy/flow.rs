//! A flow: who begins it, to whom, and how that is found from addresses.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;
use thiserror::Error;

use crate::addresses::Addresses;
use crate::names::MachineName;
use crate::net::{Family, Net};
use crate::plan::Plan;
use crate::requirement::RouterSpec;

/// Where a flow begins or ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Endpoint {
    /// A machine.
    Machine(MachineName),
    /// A pod on this node, with an address of the pod range.
    PodOn(MachineName),
    /// The machine that runs the lab; the same as the router where it routes itself.
    Host,
    /// The router itself.
    Router,
    /// The internet.
    Internet,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(name) => f.pad(name.as_str()),
            Self::PodOn(node) => f.pad(&format!("pod on {node}")),
            Self::Host => f.pad("host"),
            Self::Router => f.pad("router"),
            Self::Internet => f.pad("internet"),
        }
    }
}

/// The protocol of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// An echo request of ICMP or ICMPv6; it has no port.
    Echo,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Echo => "echo",
        })
    }
}

/// A flow to be tried: its first packet, and the way that it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// Who begins.
    pub from: Endpoint,
    /// Who should answer.
    pub to: Endpoint,
    /// The source address; the family of the flow is its family.
    pub source: IpAddr,
    /// The destination address.
    pub destination: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// The destination port; 0 where the protocol has none.
    pub port: u16,
    /// A machine of several networks that the sender uses as a router instead of the lab's.
    pub via: Option<MachineName>,
}

/// Two addresses between which no flow passes the lab.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// One address is IPv4 and the other IPv6.
    #[error("{from} is {} and {to} is {}: name two addresses of one family", Family::of(*from), Family::of(*to))]
    Families {
        /// The source.
        from: IpAddr,
        /// The destination.
        to: IpAddr,
    },
    /// The lab has the network, but nobody has the address.
    #[error("nobody in lab {lab} has {address}, which is in its {net}: name a machine's address")]
    Unassigned {
        /// The address.
        address: IpAddr,
        /// The lab.
        lab: String,
        /// The network of the lab that it is in.
        net: Net,
    },
    /// The address is neither the lab's nor one that packets of the internet have.
    #[error("{address} is not in lab {lab} and is {kind}: name a machine's or a global address")]
    Nowhere {
        /// The address.
        address: IpAddr,
        /// The lab.
        lab: String,
        /// What it is.
        kind: &'static str,
    },
    /// A service's address is translated on the node and never seen on the wire.
    #[error(
        "{address} is in the service range {net}, which no packet on a network has: name a pod's or machine's address"
    )]
    Service {
        /// The address.
        address: IpAddr,
        /// The range.
        net: Net,
    },
    /// Both addresses are on the internet.
    #[error("{from} and {to} are both outside lab {lab}: name an address of it")]
    Outside {
        /// The source.
        from: IpAddr,
        /// The destination.
        to: IpAddr,
        /// The lab.
        lab: String,
    },
}

impl Probe {
    /// The flow between two addresses, whose owners are looked up in the plan. The port is not
    /// read for [`Protocol::Echo`].
    ///
    /// # Errors
    /// When the families differ, an address belongs to nobody, or both are outside the lab. It is
    /// not an error that the flow is forbidden.
    pub fn between(
        plan: &Plan,
        source: IpAddr,
        destination: IpAddr,
        protocol: Protocol,
        port: u16,
    ) -> Result<Self, ProbeError> {
        if Family::of(source) != Family::of(destination) {
            let (from, to) = (source, destination);
            return Err(ProbeError::Families { from, to });
        }
        let (from, to) = (owner(plan, source)?, owner(plan, destination)?);
        if from == Endpoint::Internet && to == from {
            return Err(ProbeError::Outside {
                from: source,
                to: destination,
                lab: plan.lab.to_string(),
            });
        }
        let port = if protocol == Protocol::Echo { 0 } else { port };
        Ok(Self {
            from,
            to,
            source,
            destination,
            protocol,
            port,
            via: None,
        })
    }

    /// The family.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.source)
    }
}

/// Whose address it is.
fn owner(plan: &Plan, address: IpAddr) -> Result<Endpoint, ProbeError> {
    let family = Family::of(address);
    if let Some(endpoint) = machine_or_pod(plan, address) {
        return Ok(endpoint);
    }
    if let Some(endpoint) = outside_machines(plan, address) {
        return Ok(endpoint);
    }
    let services = plan.kubernetes.as_ref();
    let services = services.and_then(|kubernetes| kubernetes.services.nets.of(family));
    if let Some(net) = services.filter(|net| net.contains(address)) {
        return Err(ProbeError::Service { address, net });
    }
    let lab = plan.lab.to_string();
    if let Some(net) = plan.supernet.of(family).filter(|net| net.contains(address)) {
        return Err(ProbeError::Unassigned { address, lab, net });
    }
    match not_global(address) {
        None => Ok(Endpoint::Internet),
        Some(kind) => Err(ProbeError::Nowhere { address, lab, kind }),
    }
}

fn outside_machines(plan: &Plan, address: IpAddr) -> Option<Endpoint> {
    let is = |addresses: Addresses| addresses.of(Family::of(address)) == Some(address);
    let routers = plan.networks.iter().map(|network| network.gateway);
    let routers = routers.chain(plan.link.map(|link| link.router));
    let mut routers = routers.chain(plan.internet.map(|internet| internet.router));
    if routers.any(is) {
        return Some(match plan.router {
            RouterSpec::Namespace => Endpoint::Router,
            RouterSpec::Host { .. } => Endpoint::Host,
        });
    }
    if plan.link.is_some_and(|link| is(link.host)) {
        return Some(Endpoint::Host);
    }
    if plan
        .internet
        .is_some_and(|net| is(net.internet) || is(net.server))
    {
        return Some(Endpoint::Internet);
    }
    None
}

fn machine_or_pod(plan: &Plan, address: IpAddr) -> Option<Endpoint> {
    let family = Family::of(address);
    plan.machines.iter().find_map(|machine| {
        let mut nics = machine.nics.iter();
        if nics.any(|nic| nic.address.of(family) == Some(address)) {
            return Some(Endpoint::Machine(machine.name.clone()));
        }
        let pods = machine.pods?.of(family)?;
        pods.contains(address)
            .then(|| Endpoint::PodOn(machine.name.clone()))
    })
}

/// What an address is that packets on the internet do not have.
fn not_global(address: IpAddr) -> Option<&'static str> {
    let (loopback, unspecified, multicast) = (
        address.is_loopback(),
        address.is_unspecified(),
        address.is_multicast(),
    );
    let (private, link_local) = match address {
        IpAddr::V4(v4) => (v4.is_private() || v4.is_broadcast(), v4.is_link_local()),
        IpAddr::V6(v6) => (v6.is_unique_local(), v6.is_unicast_link_local()),
    };
    [
        (loopback, "a loopback address"),
        (unspecified, "the unspecified address"),
        (multicast, "a multicast address"),
        (private, "a private address"),
        (link_local, "a link-local address"),
    ]
    .into_iter()
    .find_map(|(is, kind)| is.then_some(kind))
}

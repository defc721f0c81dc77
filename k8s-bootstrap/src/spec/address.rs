//! Networks and addresses of both families.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network of each family. IPv4 is the primary one throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DualNet {
    /// The IPv4 network.
    pub v4: Ipv4Net,
    /// The IPv6 network.
    pub v6: Ipv6Net,
}

/// An address of each family. IPv4 is the primary one throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DualAddress {
    /// The IPv4 address.
    pub v4: Ipv4Addr,
    /// The IPv6 address.
    pub v6: Ipv6Addr,
}

impl DualNet {
    /// The networks of these two.
    pub fn new(v4: Ipv4Net, v6: Ipv6Net) -> Self {
        Self { v4, v6 }
    }

    /// Both networks as Kubernetes flags take them: `V4,V6`.
    pub fn list(&self) -> String {
        format!("{},{}", self.v4.trunc(), self.v6.trunc())
    }

    /// Both, IPv4 first.
    pub fn both(&self) -> [IpNet; 2] {
        [self.v4.trunc().into(), self.v6.trunc().into()]
    }

    /// The addresses number `index` of both networks, counted from the network address.
    pub(crate) fn nth(&self, index: u8) -> DualAddress {
        DualAddress {
            v4: Ipv4Addr::from_bits(self.v4.network().to_bits() | u32::from(index)),
            v6: Ipv6Addr::from_bits(self.v6.network().to_bits() | u128::from(index)),
        }
    }
}

impl DualAddress {
    /// The loopback of a machine, for a control plane that nobody else is to reach.
    pub const LOOPBACK: Self = Self {
        v4: Ipv4Addr::LOCALHOST,
        v6: Ipv6Addr::LOCALHOST,
    };

    /// Both addresses as Kubernetes flags take them: `V4,V6`.
    pub fn list(&self) -> String {
        format!("{},{}", self.v4, self.v6)
    }

    /// Both, IPv4 first.
    pub fn both(&self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }
}

/// A route that a node needs to reach the pods of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The pods of the other node.
    pub to: IpNet,
    /// That node's address, on a link both share.
    pub via: IpAddr,
}

//! Networks and addresses that exist once for each address family.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::net::{Family, Net};

/// The address families that something has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Families {
    /// IPv4 and IPv6.
    #[default]
    Dual,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Families {
    /// Whether this family is one of them.
    #[must_use]
    pub const fn has(self, family: Family) -> bool {
        matches!(
            (self, family),
            (Self::Dual, _) | (Self::V4, Family::V4) | (Self::V6, Family::V6)
        )
    }

    /// Each of them, IPv4 first.
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::BOTH
            .into_iter()
            .filter(move |family| self.has(*family))
    }
}

impl fmt::Display for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dual => "dual",
            Self::V4 => "v4",
            Self::V6 => "v6",
        })
    }
}

/// At most one network of each family; at least one in everything that a plan has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Nets {
    /// The IPv4 network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v4: Option<Net>,
    /// The IPv6 network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v6: Option<Net>,
}

impl Nets {
    /// The one of this family.
    #[must_use]
    pub const fn of(self, family: Family) -> Option<Net> {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }

    /// Those that there are, IPv4 first.
    pub fn iter(self) -> impl Iterator<Item = Net> {
        self.v4.into_iter().chain(self.v6)
    }

    /// The addresses at this distance from the first; a family whose network ends before is left out.
    #[must_use]
    pub fn nth(self, index: u128) -> Addresses {
        let mut addresses = Addresses::default();
        for address in self.iter().filter_map(|net| net.nth(index)) {
            addresses.insert(address);
        }
        addresses
    }

    pub(crate) fn insert(&mut self, net: Net) {
        match net.family() {
            Family::V4 => self.v4 = Some(net),
            Family::V6 => self.v6 = Some(net),
        }
    }

    pub(crate) fn remove(&mut self, family: Family) -> Option<Net> {
        match family {
            Family::V4 => self.v4.take(),
            Family::V6 => self.v6.take(),
        }
    }
}

/// At most one address of each family; at least one in everything that a plan has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// The IPv4 address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v4: Option<Ipv4Addr>,
    /// The IPv6 address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v6: Option<Ipv6Addr>,
}

impl Addresses {
    /// The one of this family.
    #[must_use]
    pub fn of(self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4.map(IpAddr::V4),
            Family::V6 => self.v6.map(IpAddr::V6),
        }
    }

    /// Those that there are, IPv4 first.
    pub fn iter(self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.v4.map(IpAddr::V4);
        v4.into_iter().chain(self.v6.map(IpAddr::V6))
    }

    /// Each as a network of its own: /32 and /128.
    pub(crate) fn as_nets(self) -> Nets {
        Nets {
            v4: self.v4.map(|address| Net::host(address.into())),
            v6: self.v6.map(|address| Net::host(address.into())),
        }
    }

    pub(crate) fn insert(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => self.v4 = Some(v4),
            IpAddr::V6(v6) => self.v6 = Some(v6),
        }
    }
}

//! [`Net`]: a network that never carries host bits.

mod algebra;
mod hosts;
mod text;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

pub use algebra::{Subnets, SubnetsError, SummarizeError, aggregate, summarize};
pub use hosts::Hosts;
pub use text::NetError;

/// The address family of a network or pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4, 32 bits.
    V4,
    /// IPv6, 128 bits.
    V6,
}

impl Family {
    /// Both families, IPv4 first.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// The length of an address in bits, which is also the longest prefix length.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The one of two that belongs to this family.
    pub(crate) fn pick<T>(self, v4: T, v6: T) -> T {
        match self {
            Self::V4 => v4,
            Self::V6 => v6,
        }
    }

    /// How fields of this family are named: `v4` or `v6`.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        }
    }

    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// A network in its canonical form: all bits behind the prefix are zero.
///
/// `ipnet`'s own types keep host bits and compare them, so `10.0.0.5/24` differs from
/// `10.0.0.0/24` there. Here equality is equality of networks, and the order is family, address,
/// length: a network sorts directly before what it contains.
///
/// # Text
/// Written as ADDRESS/LENGTH in the canonical form: no host bits, IPv6 as in RFC 5952. What is
/// read may be any form of an IPv6 address (RFC 4291, 2.2), but not host bits, leading zeros, a
/// zone or white space. A network in `::ffff:0:0/96` is refused in favour of the IPv4 network
/// that it means; only that block itself is read, because FreeBSD has a route for it. All others
/// come back from their text as they were.
///
/// ```
/// use netplan::Net;
///
/// let net: Net = "FD5C:0:0::/48".parse()?;
/// assert_eq!(net.to_string(), "fd5c::/48");
/// let error = "::ffff:10.0.0.0/104".parse::<Net>().expect_err("IPv4 in IPv6 notation");
/// assert!(error.to_string().ends_with("write 10.0.0.0/8"));
/// # Ok::<(), netplan::NetError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Net(IpNet);

impl Net {
    /// A network from its first address and its length.
    ///
    /// # Errors
    /// When the length exceeds the family's, or when bits behind the prefix are set; the error
    /// then carries the mended network. Use [`Net::containing`] to drop the bits on purpose.
    pub fn new(address: IpAddr, prefix_len: u8) -> Result<Self, NetError> {
        let mended = Self::containing(address, prefix_len)?;
        if mended.address() == address {
            Ok(mended)
        } else {
            Err(NetError::HostBits {
                address,
                prefix_len,
                mended,
            })
        }
    }

    /// The network of this length that contains the address.
    ///
    /// # Errors
    /// When the length exceeds the family's.
    pub fn containing(address: IpAddr, prefix_len: u8) -> Result<Self, NetError> {
        IpNet::new(address, prefix_len)
            .map(|net| Self(net.trunc()))
            .map_err(|_| NetError::Length {
                prefix_len,
                family: Family::of(address),
            })
    }

    /// The network of one address: /32 or /128.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        Self(IpNet::from(address))
    }

    /// A fixed IPv4 network of this crate; host bits are a mistake that the tests would show.
    pub(crate) const fn fixed_v4(octets: [u8; 4], prefix_len: u8) -> Self {
        let [a, b, c, d] = octets;
        Self(IpNet::V4(Ipv4Net::new_assert(
            Ipv4Addr::new(a, b, c, d),
            prefix_len,
        )))
    }

    /// A fixed IPv6 network of this crate, from its upper 64 bits.
    pub(crate) const fn fixed_v6(upper: u64, prefix_len: u8) -> Self {
        let address = Ipv6Addr::from_bits((upper as u128) << 64);
        Self(IpNet::V6(Ipv6Net::new_assert(address, prefix_len)))
    }

    /// A fixed IPv6 network of this crate, from its eight groups.
    pub(crate) const fn fixed_v6_groups(groups: [u16; 8], prefix_len: u8) -> Self {
        let [a, b, c, d, e, f, g, h] = groups;
        let address = Ipv6Addr::new(a, b, c, d, e, f, g, h);
        Self(IpNet::V6(Ipv6Net::new_assert(address, prefix_len)))
    }

    /// The network of `prefix_len` that begins with `bits`; the caller has masked them.
    pub(crate) fn from_bits(family: Family, bits: u128, prefix_len: u8) -> Self {
        let address = address_from_bits(family, bits);
        Self(IpNet::new_assert(address, prefix_len))
    }

    /// The first address.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.0.addr()
    }

    /// The last address: IPv4's directed broadcast where there is one.
    #[must_use]
    pub fn last_address(self) -> IpAddr {
        self.0.broadcast()
    }

    /// The length of the prefix in bits.
    #[must_use]
    pub fn prefix_len(self) -> u8 {
        self.0.prefix_len()
    }

    /// The family.
    #[must_use]
    pub fn family(self) -> Family {
        Family::of(self.address())
    }

    /// Whether the address lies in this network; never true across families.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether the other network is this one or lies inside it.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.0.contains(&other.0)
    }

    /// Whether the two share an address: one of them then covers the other.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// The address at this distance from the first, or `None` behind the end.
    #[must_use]
    pub fn nth(self, index: u128) -> Option<IpAddr> {
        let bits = bits_of(self.address()).checked_add(index)?;
        if self.family() == Family::V4 && bits > u128::from(u32::MAX) {
            return None;
        }
        let address = address_from_bits(self.family(), bits);
        self.contains(address).then_some(address)
    }

    /// The same network as `ipnet` has it.
    #[must_use]
    pub fn as_ipnet(self) -> IpNet {
        self.0
    }

    /// The first address as a number; IPv4 in the low 32 bits.
    pub(crate) fn bits(self) -> u128 {
        bits_of(self.address())
    }
}

/// An address as a number; IPv4 in the low 32 bits.
pub(crate) fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The inverse of [`bits_of`].
#[expect(
    clippy::cast_possible_truncation,
    reason = "an IPv4 number has 32 bits"
)]
fn address_from_bits(family: Family, bits: u128) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
        Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    }
}

impl From<IpNet> for Net {
    /// Drops host bits.
    fn from(net: IpNet) -> Self {
        Self(net.trunc())
    }
}

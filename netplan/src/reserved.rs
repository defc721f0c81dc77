//! The addresses that no host may have, as data.

use std::ops::RangeInclusive;

use crate::net::{Family, Net};

/// Addresses of a network that no host may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// The addresses.
    pub net: Net,
    /// What they are for: the name of the rule.
    pub reason: &'static str,
    /// Where that is written.
    pub rfc: &'static str,
}

/// One rule on the addresses that hosts must not have; see [`RESERVED_RULES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedRule {
    /// What the addresses are for, or why there are none.
    pub name: &'static str,
    /// Where that is written, with the section.
    pub rfc: &'static str,
    /// The family of the segments that it applies to.
    pub family: Family,
    /// The prefix lengths of the segments that it applies to.
    pub lengths: RangeInclusive<u8>,
    /// The addresses.
    pub place: ReservedPlace,
}

/// Where in a segment the addresses of a [`ReservedRule`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservedPlace {
    /// There are none: all addresses of such a segment are for hosts.
    None,
    /// The first address.
    First,
    /// The highest addresses, two to the power of `host_bits` of them.
    Last {
        /// Zero for the last address alone.
        host_bits: u8,
    },
    /// A fixed block of 64-bit interface identifiers.
    InterfaceId {
        /// The first identifier.
        first: u64,
        /// The number of free bits behind the block's prefix.
        host_bits: u8,
    },
}

/// All rules. Every length of both families has at least one.
///
/// RFC 2526 reserves "within each subnet, the highest 128 interface identifier values". Where
/// identifiers have the EUI-64 form, which is in a /64, their universal/local bit is zero; where
/// they have not, all bits but the last seven are one. The second form is applied to all other
/// lengths up to /120: a /112 and a /120 are subnets like others. It is not applied to /121 to
/// /126, which would be left without any host.
pub static RESERVED_RULES: [ReservedRule; 11] = [
    ReservedRule {
        name: "network address",
        rfc: "RFC 1122, 3.2.1.3",
        family: Family::V4,
        lengths: 0..=30,
        place: ReservedPlace::First,
    },
    ReservedRule {
        name: "directed broadcast",
        rfc: "RFC 919, 7",
        family: Family::V4,
        lengths: 0..=30,
        place: ReservedPlace::Last { host_bits: 0 },
    },
    ReservedRule {
        name: "point-to-point link",
        rfc: "RFC 3021",
        family: Family::V4,
        lengths: 31..=31,
        place: ReservedPlace::None,
    },
    ReservedRule {
        name: "single address",
        rfc: "RFC 4632, 3.1",
        family: Family::V4,
        lengths: 32..=32,
        place: ReservedPlace::None,
    },
    ReservedRule {
        name: "subnet-router anycast",
        rfc: "RFC 4291, 2.6.1",
        family: Family::V6,
        lengths: 0..=126,
        place: ReservedPlace::First,
    },
    ReservedRule {
        name: "IANA's Ethernet block",
        rfc: "RFC 5453",
        family: Family::V6,
        lengths: 64..=64,
        place: ReservedPlace::InterfaceId {
            first: 0x0200_5eff_fe00_0000,
            host_bits: 24,
        },
    },
    ReservedRule {
        name: "subnet anycast, EUI-64 form",
        rfc: "RFC 2526, 2",
        family: Family::V6,
        lengths: 64..=64,
        place: ReservedPlace::InterfaceId {
            first: 0xfdff_ffff_ffff_ff80,
            host_bits: 7,
        },
    },
    ReservedRule {
        name: "subnet anycast",
        rfc: "RFC 2526, 2",
        family: Family::V6,
        lengths: 0..=63,
        place: ReservedPlace::Last { host_bits: 7 },
    },
    ReservedRule {
        name: "subnet anycast",
        rfc: "RFC 2526, 2",
        family: Family::V6,
        lengths: 65..=120,
        place: ReservedPlace::Last { host_bits: 7 },
    },
    ReservedRule {
        name: "inter-router link",
        rfc: "RFC 6164",
        family: Family::V6,
        lengths: 127..=127,
        place: ReservedPlace::None,
    },
    ReservedRule {
        name: "single address",
        rfc: "RFC 4291, 2.3",
        family: Family::V6,
        lengths: 128..=128,
        place: ReservedPlace::None,
    },
];

impl ReservedRule {
    /// Whether the rule is about such a segment.
    #[must_use]
    pub fn applies_to(&self, segment: Net) -> bool {
        segment.family() == self.family && self.lengths.contains(&segment.prefix_len())
    }

    /// The addresses in a segment that the rule applies to.
    fn addresses(&self, segment: Net) -> Option<Net> {
        let bits = self.family.bits();
        match self.place {
            ReservedPlace::None => None,
            ReservedPlace::First => Some(Net::host(segment.address())),
            ReservedPlace::Last { host_bits } => Some(
                Net::containing(segment.last_address(), bits - host_bits)
                    .expect("the rules' lengths fit their family"),
            ),
            ReservedPlace::InterfaceId { first, host_bits } => Some(Net::from_bits(
                self.family,
                segment.bits() | u128::from(first),
                bits - host_bits,
            )),
        }
    }
}

/// The addresses that hosts in `segment` must not have: those of all [`RESERVED_RULES`] that
/// apply, disjoint and inside the segment.
///
/// Nothing is reserved in /31 (RFC 3021), /127 (RFC 6164), /32 and /128: all their addresses are
/// for hosts.
///
/// ```
/// let reserved = netplan::reserved("10.77.0.0/24".parse()?);
/// assert_eq!(reserved[1].net.to_string(), "10.77.0.255/32");
/// assert!(netplan::reserved("10.77.0.0/31".parse()?).is_empty());
/// # Ok::<(), netplan::NetError>(())
/// ```
#[must_use]
pub fn reserved(segment: Net) -> Vec<Reserved> {
    RESERVED_RULES
        .iter()
        .filter(|rule| rule.applies_to(segment))
        .filter_map(|rule| {
            Some(Reserved {
                net: rule.addresses(segment)?,
                reason: rule.name,
                rfc: rule.rfc,
            })
        })
        .collect()
}

//! The addresses that no host may have, as data.

use crate::net::{Family, Net};

/// Addresses of a network that no host may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// The addresses.
    pub net: Net,
    /// What they are for, with the source.
    pub reason: &'static str,
}

/// The addresses that hosts in `segment` must not have.
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
    let len = segment.prefix_len();
    let first = Net::host(segment.address());
    match segment.family() {
        _ if len + 1 >= segment.family().bits() => Vec::new(),
        Family::V4 => vec![
            Reserved {
                net: first,
                reason: "network address",
            },
            Reserved {
                net: Net::host(segment.last_address()),
                reason: "directed broadcast (RFC 919)",
            },
        ],
        Family::V6 => {
            let mut all = vec![Reserved {
                net: first,
                reason: "subnet-router anycast (RFC 4291, 2.6.1)",
            }];
            if len == 64 {
                all.extend(INTERFACE_IDS.map(|(id, len, reason)| Reserved {
                    net: Net::from_bits(Family::V6, segment.bits() | id, len),
                    reason,
                }));
            }
            all
        }
    }
}

/// The reserved interface identifiers of a /64 (RFC 5453 and its registry).
const INTERFACE_IDS: [(u128, u8, &str); 2] = [
    (
        0x0200_5eff_fe00_0000,
        104,
        "IANA's Ethernet block (RFC 5453)",
    ),
    (0xfdff_ffff_ffff_ff80, 121, "subnet anycast (RFC 2526)"),
];

//! Whether a plan may hand out addresses of a network.

use std::fmt;

use super::{Special, lookup};
use crate::net::Net;

/// Whether a plan may allocate from a network; the answer of [`allocatable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocatable {
    /// Private addresses, free for everybody: `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`
    /// (RFC 1918) and `fd00::/8` (RFC 4193).
    ByDefault,
    /// Only if somebody asks for exactly this.
    OptIn {
        /// What to know before asking for it.
        reason: &'static str,
    },
    /// Not at all.
    Never {
        /// The block in the way.
        row: &'static Special,
        /// How it is in the way.
        reason: &'static str,
    },
}

impl fmt::Display for Allocatable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByDefault => f.write_str("private addresses"),
            Self::OptIn { reason } => f.write_str(reason),
            Self::Never { row, reason } => {
                write!(f, "{reason} {}, {} ({})", row.block, row.name, row.rfc)
            }
        }
    }
}

/// Unique local addresses (RFC 4193, 3.1). The other half of `fc00::/7` is undefined.
pub(crate) const ULA: Net = Net::fixed_v6(0xfd00_0000_0000_0000, 8);

/// What everybody may use without asking.
const BY_DEFAULT: [Net; 4] = [
    Net::fixed_v4([10, 0, 0, 0], 8),
    Net::fixed_v4([172, 16, 0, 0], 12),
    Net::fixed_v4([192, 168, 0, 0], 16),
    ULA,
];

/// What has a use that a lab may share, knowing of it.
const OPT_IN: [(Net, &str); 3] = [
    (
        Net::fixed_v4([100, 64, 0, 0], 10),
        "addresses shared with the provider's translators and with Tailscale (RFC 6598)",
    ),
    (
        Net::fixed_v4([198, 18, 0, 0], 15),
        "addresses of benchmarks (RFC 2544)",
    ),
    (
        Net::fixed_v6(0x2001_0002_0000_0000, 48),
        "addresses of benchmarks (RFC 5180)",
    ),
];

const GLOBAL: &str = "global addresses, which must be the user's own and routed to the host";

/// Whether a plan may allocate from `net`. A network has to be of one kind: one that contains or
/// touches a block of another kind is refused with that block.
///
/// Global unicast addresses are opt-in. Nothing here can know whose they are.
///
/// ```
/// use netplan::special::{Allocatable, allocatable};
///
/// assert_eq!(allocatable("fd5c:1b2a:9e10::/48".parse()?), Allocatable::ByDefault);
/// let never = allocatable("192.0.0.0/16".parse()?);
/// assert_eq!(
///     never.to_string(),
///     "the network contains 192.0.0.0/24, IETF Protocol Assignments (RFC 6890, 2.1)"
/// );
/// # Ok::<(), netplan::NetError>(())
/// ```
#[must_use]
pub fn allocatable(net: Net) -> Allocatable {
    if BY_DEFAULT.iter().any(|range| range.covers(net)) {
        return Allocatable::ByDefault;
    }
    if let Some((_, reason)) = OPT_IN.iter().find(|(range, _)| range.covers(net)) {
        return Allocatable::OptIn { reason };
    }
    // Of the rows inside the network the widest says most; around it, the most specific one. The
    // row of all unique local addresses says nothing against its default half.
    let (inside, around): (Vec<&Special>, Vec<&Special>) =
        lookup(net).partition(|row| row.block != net && net.covers(row.block));
    let against = |row: &&Special| !BY_DEFAULT.iter().any(|range| row.block.covers(*range));
    let widest = inside.into_iter().min_by_key(|row| row.block.prefix_len());
    match (around.into_iter().find(against), widest) {
        (Some(row), _) => Allocatable::Never {
            row,
            reason: "the network lies in",
        },
        (None, Some(row)) => Allocatable::Never {
            row,
            reason: "the network contains",
        },
        (None, None) => Allocatable::OptIn { reason: GLOBAL },
    }
}

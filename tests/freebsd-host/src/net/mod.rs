//! The host's network: what its programs share, and what of it is real.
//!
//! Bridges, addresses, routes and packets are the kernel's own, in the network namespace of the host. What Linux has
//! no word for lies in the world: taps that nobody holds, descriptions, groups, flags of neighbour discovery, settings.

pub(crate) mod interfaces;
pub(crate) mod kernel;
pub(crate) mod modules;
pub(crate) mod pf;
mod program;
pub(crate) mod said;
mod taps;

pub(crate) use program::main;
pub(crate) use taps::{close_tap, open_tap};

use said::Answer;

/// Makes the calling network namespace behave as FreeBSD's, once, before any of its programs runs.
///
/// # Errors
///
/// A setting that the kernel has and does not take.
pub(crate) fn prepare() -> Answer<()> {
    for (name, value) in SETTINGS {
        kernel::set(name, value)?;
    }
    Ok(())
}

/// Settings of a network namespace, where those of Linux differ from FreeBSD's.
const SETTINGS: [(&str, &str); 18] = [
    // pfil_member=0: what stays inside a bridge passes by the filter.
    ("bridge/bridge-nf-call-iptables", "0"),
    ("bridge/bridge-nf-call-ip6tables", "0"),
    ("bridge/bridge-nf-call-arptables", "0"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/conf/default/send_redirects", "0"),
    // Interfaces that are made have no IPv6 until it is asked for.
    ("ipv6/conf/default/disable_ipv6", "1"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/all/accept_ra", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    // So that the filter knows the refusals that it makes itself (net::pf).
    ("ipv4/fwmark_reflect", "1"),
    ("ipv6/fwmark_reflect", "1"),
    // Refusals are as many as are asked for: FreeBSD has 200 a second for all, Linux one for each peer.
    ("ipv4/icmp_ratelimit", "0"),
    ("ipv4/icmp_msgs_per_sec", "10000"),
    ("ipv4/icmp_msgs_burst", "10000"),
    ("ipv6/icmp/ratelimit", "0"),
    ("ipv4/ip_forward", "0"),
];

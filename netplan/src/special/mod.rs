//! Blocks of addresses with a special purpose, whether a plan may allocate from them, and the
//! networks that other programs take by habit.
//!
//! ```
//! use netplan::special;
//!
//! let net = "100.64.3.0/24".parse()?;
//! let row = special::lookup(net).next().expect("a row");
//! assert_eq!((row.name, row.rfc), ("Shared Address Space", "RFC 6598"));
//! assert!(matches!(special::allocatable(net), special::Allocatable::OptIn { .. }));
//! assert!(special::habits(net).any(|habit| habit.who == "Tailscale"));
//! # Ok::<(), netplan::NetError>(())
//! ```

mod allocatable;
mod habits;
mod registry;

use std::cmp::Reverse;

use crate::net::Net;

pub(crate) use allocatable::ULA;
pub use allocatable::{Allocatable, allocatable};
pub use habits::{HABITS, Habit, habits};
pub use registry::{OTHER, V4, V6};

/// A block of addresses with a special purpose, as IANA's registries describe it (RFC 6890,
/// 2.2.1, and RFC 8190).
///
/// The five properties are `None` where the registry says "N/A" or, for a terminated block,
/// nothing, and in [`OTHER`], whose registries do not have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Special {
    /// The block.
    pub block: Net,
    /// IANA's name for it.
    pub name: &'static str,
    /// The RFC that asked for it.
    pub rfc: &'static str,
    /// Year and month of the allocation, like `1996-02`; `None` in [`OTHER`].
    pub allocated: Option<&'static str>,
    /// Year and month of the end of the allocation.
    pub terminated: Option<&'static str>,
    /// Whether a packet that transits two devices may come from it.
    pub source: Option<bool>,
    /// Whether a packet that transits two devices may go to it.
    pub destination: Option<bool>,
    /// Whether routers may forward packets to it.
    pub forwardable: Option<bool>,
    /// Whether packets to it may leave an administrative domain.
    pub globally_reachable: Option<bool>,
    /// Whether the protocol itself treats it specially.
    pub reserved_by_protocol: Option<bool>,
}

/// The rows of [`V4`], [`V6`] and [`OTHER`] that share an address with `net`, the most specific
/// one first. Rows inside `net` are among them.
pub fn lookup(net: Net) -> impl Iterator<Item = &'static Special> {
    let mut rows: Vec<&Special> = V4
        .iter()
        .chain(&V6)
        .chain(&OTHER)
        .filter(|row| row.block.overlaps(net))
        .collect();
    rows.sort_by_key(|row| Reverse(row.block.prefix_len()));
    rows.into_iter()
}

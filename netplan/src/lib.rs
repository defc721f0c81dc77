//! IPv4 and IPv6 subnet and address allocation, NAT and firewall plan; not Canonical's Netplan

mod net;
mod pool;
mod trie;

pub use net::{Family, Net, NetError};
pub use pool::{AllocateError, ClaimError, Fit, Pool, ReleaseError};

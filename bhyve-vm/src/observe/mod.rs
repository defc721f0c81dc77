//! What a FreeBSD host says about its VMs: readers of the output of its commands, and the state that follows.
//!
//! Each reader names the command whose output it takes. The samples in their documentation are written after the
//! manual pages and sources of FreeBSD 14 and 15; none was captured on a host.

mod commands;
mod network;
mod state;

pub use commands::{
    Dataset, Interface, ObserveError, Process, ReleaseLevel, parse_datasets, parse_interfaces,
    parse_modules, parse_nodes, parse_processes, parse_sysctls, parse_version,
};
pub use network::{HostRoute, parse_resolvers, parse_routes};
pub use state::{Contradiction, Facts, Observed, Parts, observe};

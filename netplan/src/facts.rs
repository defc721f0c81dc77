//! What the machine that runs the lab uses already.

use std::net::IpAddr;

use crate::net::Net;

/// What the machine that runs the lab uses already, observed by the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Networks of its routes and addresses, in any order, overlapping or not. Leave out what the
    /// lab itself made, or a second plan would move away from the first. Add the networks of
    /// labs that are down but should come back.
    pub occupied: Vec<Occupied>,
    /// The next hops of its default routes.
    pub next_hops: Vec<IpAddr>,
    /// The name servers that it asks.
    pub resolvers: Vec<IpAddr>,
}

/// A network that the host uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupied {
    /// The network.
    pub net: Net,
    /// By what, for error messages: `route via eth0`.
    pub by: String,
}

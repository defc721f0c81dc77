//! Allocates IPv4 and IPv6 networks and addresses for a lab of machines, and prints the NAT and
//! firewall rules that belong to them. Not Canonical's Netplan, and no relation to its YAML.
//!
//! ```
//! use netplan::{Family, HostFacts, LabName, Lock, NetworkName, Policy, Requirement, plan};
//!
//! // What is wanted: the reference lab. The seed is random, drawn once by the caller.
//! let mut requirement = Requirement::new(LabName::new("demo")?, 0x5eed_cafe_f00d_beef);
//! let first = plan(&requirement, &HostFacts::default(), None)?;
//! let worker = first.machine("worker-0").expect("one worker by default");
//! let address = worker.address(NetworkName::Kube).expect("workers are on kube");
//! assert_eq!(address.v4.octets()[2..], [1, 50]);
//!
//! // The lock keeps everything where it is when the lab grows.
//! let text = first.lock().to_text();
//! requirement.machines.workers = 2;
//! let second = plan(&requirement, &HostFacts::default(), Some(&Lock::from_text(&text)?))?;
//! assert_eq!(second.machine("worker-0").map(|m| &m.nics), Some(&worker.nics));
//!
//! // The rules for the router, as text for `nft -f -`, and who can reach whom because of them.
//! let policy = Policy::standard(&second);
//! assert!(policy.nft_router().load.starts_with("table inet lab\n"));
//! let matrix = netplan::reachability(&second, &policy);
//! assert!(matrix.iter().any(|row| row.family == Family::V6 && row.allowed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Pool`] and [`HostPool`] are useful by themselves: an allocator of any prefix length out of
//! one network, its own registry, with nothing of labs in it.
//!
//! # What this crate does not do
//! It reads no routes, configures no interface, loads no rule and draws no random number: facts
//! and seed are parameters, and what comes out is data and text. It translates no IPv6 (NPT,
//! NAT66) and plans no networks beside the lab's two. Whether a host really runs what was
//! printed is for the caller to prove; [`reachability`] says what to try.
//!
//! # Invariants
//! - The networks of a plan are disjoint and inside its /16 and its /48; no two interfaces share
//!   an address or a MAC address; no host has a reserved address.
//! - The same requirement, facts and lock give the same plan. What is in the lock never moves: a
//!   requirement that contradicts it is an error.
//! - A [`Pool`]'s state depends on the set of its allocations, not on their history.
//! - Each printed rule set touches only its own table or anchor, and can be loaded again.
//!
//! # Sources
//! RFC 1918, 3021, 4193, 4291, 4890, 5453, 6164; nft(8), pf.conf(5); Kubernetes KEP-563 (dual
//! stack), KEP-3070 (static service addresses).

mod hash;
mod host_pool;
mod lock;
mod map;
mod names;
mod net;
mod plan;
mod policy;
mod pool;
mod requirement;
mod reserved;
mod trie;

pub use host_pool::{
    Band, BandAllocateError, BandError, HostClaimError, HostPool, HostReleaseError,
};
pub use lock::{Lock, LockError};
pub use map::map_text;
pub use names::{InterfaceName, LabName, Mac, MachineName, NameError};
pub use net::{Family, Net, NetError};
pub use plan::{
    AddressPair, Class, Internet, Link, Machine, NetPair, Network, NetworkName, Nic, Plan,
    PlanError, Route, Services, plan,
};
pub use policy::{
    AddressSet, ApiExposure, Decision, Endpoint, Expectation, NftRuleset, PfAnchor, Point, Policy,
    Probe, Protocol, ROUTER_LINK, ROUTER_UPLINK, Rule, Source, Traffic, V4Mode, V6Mode, Verdict,
    Zone, reachability,
};
pub use pool::{
    AllocateError, Allocated, ClaimError, Fit, Free, OwnedClaimError, Pool, Registry, ReleaseError,
};
pub use requirement::{
    ExplicitNetworks, HostFacts, MachineCounts, Occupied, RangeSizes, Requirement,
};
pub use reserved::{Reserved, reserved};

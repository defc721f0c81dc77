//! IPv4 and IPv6 subnet and address allocation, NAT and firewall plan; not Canonical's Netplan

mod hash;
mod lock;
mod map;
mod names;
mod net;
mod plan;
mod policy;
mod pool;
mod requirement;
mod segment;
mod trie;

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
    Probe, Protocol, Rule, Source, Traffic, V4Mode, V6Mode, Verdict, Zone, reachability,
};
pub use pool::{AllocateError, ClaimError, Fit, Pool, ReleaseError};
pub use requirement::{
    ExplicitNetworks, HostFacts, MachineCounts, Occupied, RangeSizes, Requirement,
};
pub use segment::{HostPool, Reserved, reserved};

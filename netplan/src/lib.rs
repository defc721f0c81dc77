//! Allocates IPv4 and IPv6 networks and addresses for a lab of machines, and prints the NAT and
//! firewall rules that belong to them. Not Canonical's Netplan, and no relation to its YAML.
//!
//! ```
//! use netplan::{
//!     HostFacts, KubernetesVersion, LabName, Lock, MachineCounts, Requirement, plan,
//! };
//!
//! // What is wanted: the reference lab. The seed is random, drawn once by the caller.
//! let (lab, seed) = (LabName::new("demo")?, 0x5eed_cafe_f00d_beef);
//! let version = KubernetesVersion::new(37);
//! let mut requirement = Requirement::reference(lab, seed, version, MachineCounts::default());
//! let first = plan(&requirement, &HostFacts::default(), None)?;
//! let worker = first.machine("worker-0").expect("one worker by default");
//! let address = worker.address("kube").and_then(|both| both.v4).expect("workers are on kube");
//! assert_eq!(address.octets()[2..], [1, 50]);
//!
//! // The lock keeps everything where it is when the lab grows.
//! let text = first.lock().to_text();
//! *requirement.count_mut("worker").expect("a class") = 2;
//! let second = plan(&requirement, &HostFacts::default(), Some(&Lock::from_text(&text)?))?;
//! assert_eq!(second.machine("worker-0").map(|m| &m.nics), Some(&worker.nics));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! From a plan follow [`lint`](fn@lint) (what Kubernetes or the host would mind), [`Policy`] (who may reach
//! whom, printed as nftables and as a [pf anchor](mod@pf), explained by rule, and to be proven with
//! packets by [`reachability`]), files and commands for guests ([`networkd_files`],
//! [`network_config_v2`]) and hosts ([`HostRouter`]), pictures ([`picture_svg`]), and what an edit
//! changes ([`diff`](mod@diff)).
//!
//! [`Pool`], [`Registry`] and [`HostPool`] are useful by themselves: an allocator of any prefix length
//! out of one network, its own registry, with nothing of labs in it. So is [`special`], IANA's
//! special-purpose addresses as data.
//!
//! # What this crate does not do
//! It reads no routes, configures no interface, loads no rule and draws no random number: facts
//! and seed are parameters, and what comes out is data and text. Whether a host really runs what
//! was printed is for the caller to prove; [`reachability`] says what to try.
//!
//! # Invariants
//! - The networks of a plan are disjoint and inside its supernet of their family; no two interfaces
//!   share an address or a MAC address; no host has a reserved address.
//! - The same requirement, facts and lock give the same plan. What is in the lock never moves: a
//!   requirement that contradicts it is an error, and what has to be larger grows where it is.
//! - A [`Pool`]'s state depends on the set of its allocations, not on their history.
//! - Each printed rule set touches only its own table or anchor, and can be loaded again.
//!
//! # Sources
//! RFC 1918, 2526, 3021, 4193, 4291, 4890, 5453, 5952, 6164, 6296, 6724, 6890, 8190; nft(8), pf.conf(5); Kubernetes KEP-563 (dual
//! stack), KEP-3070 (static service addresses); systemd.network(5), systemd.link(5), cloud-init's
//! network configuration version 2, hosts(5); rc.conf(5), ip-link(8).

mod addresses;
mod columns;
mod decimal;
pub mod diff;
mod facts;
mod guest;
mod hash;
mod host;
mod host_pool;
mod lint;
mod lock;
mod map;
mod names;
mod net;
mod picture;
mod plan;
mod policy;
mod pool;
mod requirement;
mod reserved;
pub mod special;
mod trie;

pub use addresses::{Addresses, Families, Nets};
pub use diff::{Diff, diff};
pub use facts::{HostFacts, Occupied};
pub use guest::{NETWORKD_DIRECTORY, NetworkdFile, hosts_file, network_config_v2, networkd_files};
pub use host::{Effect, HostRouter, HostStep, RcKnob, Sysctl};
pub use host_pool::{
    Band, BandAllocateError, BandError, HostClaimError, HostPool, HostReleaseError,
};
pub use lint::{Finding, LINTS, Lint, Severity, lint};
pub use lock::{HostNumbers, Lock, LockError, LockedClass};
pub use map::map_text;
pub use names::{ClassName, InterfaceName, LabName, Mac, MachineName, NameError, NetworkName};
pub use net::{
    Family, Hosts, Net, NetError, Subnets, SubnetsError, SummarizeError, aggregate, summarize,
};
pub use picture::{picture_mermaid, picture_svg};
pub use plan::{
    Class, Internet, Kubernetes, Link, Machine, Network, Nic, Plan, PlanError, Route, Services,
    plan,
};
pub use policy::pf;
pub use policy::{
    AddressSet, ApiExposure, Chain, Decision, Endpoint, Expectation, NftRuleset, Point, Policy,
    Probe, ProbeError, Protocol, ROUTER_LINK, ROUTER_UPLINK, Rule, Source, Traffic, Verdict, Zone,
    dot, matrix_table, mermaid, reachability,
};
pub use pool::{
    AllocateError, Allocated, ClaimError, Fit, Free, OwnedClaimError, Pool, Registry, ReleaseError,
};
pub use requirement::{
    Allow, ClassSpec, ETCD_NETWORK, KUBE_NETWORK, KubernetesSpec, KubernetesVersion, MachineCounts,
    NetworkSpec, RangeSizes, Requirement, Role, RouterSpec, V4Mode, V6Mode, VersionError,
};
pub use reserved::{RESERVED_RULES, Reserved, ReservedPlace, ReservedRule, reserved};

/// The program of the README, compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

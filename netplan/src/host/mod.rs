//! What a host does that routes for the lab itself: as steps to run now, and as lines for the
//! files that it reads at boot.

mod freebsd;
mod linux;
mod rc_conf;

use std::net::{IpAddr, Ipv6Addr};

use serde::Serialize;

pub use rc_conf::{RcKnob, Sysctl};

use crate::names::InterfaceName;
use crate::net::Family;
use crate::plan::{Network, Plan, Route};
use crate::requirement::RouterSpec;

/// The router's address on each network that has IPv6, beside the gateway's own.
const LINK_LOCAL_GATEWAY: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// The host as the lab's router: bridges with the gateways' addresses, forwarding, and routes to
/// the pods of nodes. What may be forwarded is for the firewall to say; load its rules first.
///
/// ```
/// use netplan::{
///     HostFacts, HostRouter, HostStep, InterfaceName, KubernetesVersion, LabName, MachineCounts,
///     Requirement, RouterSpec,
/// };
///
/// let (lab, version) = (LabName::new("lab0")?, KubernetesVersion::new(37));
/// let mut requirement = Requirement::reference(lab, 7, version, MachineCounts::default());
/// requirement.router = RouterSpec::Host { uplink: InterfaceName::new("em0")? };
/// let plan = netplan::plan(&requirement, &HostFacts::default(), None)?;
/// let router = HostRouter::of(&plan).expect("the host routes");
///
/// let steps = router.linux_steps();
/// assert_eq!(steps[0].argv[..5], ["ip", "link", "add", "name", "lab0-etcd"]);
/// let undo: Vec<_> = HostStep::undo_all(&steps).collect();
/// assert_eq!(undo.last().unwrap().join(" "), "ip link delete dev lab0-etcd");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HostRouter<'a> {
    plan: &'a Plan,
    uplink: &'a InterfaceName,
}

impl<'a> HostRouter<'a> {
    /// The host of this plan; `None` when the plan's router is a namespace, which leaves the host
    /// as it is.
    #[must_use]
    pub fn of(plan: &'a Plan) -> Option<Self> {
        match &plan.router {
            RouterSpec::Host { uplink } => Some(Self { plan, uplink }),
            RouterSpec::Namespace => None,
        }
    }

    fn has(self, family: Family) -> bool {
        self.plan.supernet.of(family).is_some()
    }

    /// Switches forwarding on for the families of the lab, by the settings for IPv4 and IPv6.
    fn forwarding(self, v4: &str, v6: &str) -> impl Iterator<Item = HostStep> {
        let names = [(Family::V4, v4.to_owned()), (Family::V6, v6.to_owned())];
        let names = names.into_iter();
        names
            .filter(move |(family, _)| self.has(*family))
            .map(|(_, name)| setting(&[], name, "1", "the host routes between its networks"))
    }
}

/// The gateway's addresses of a network, each with the network's prefix length.
fn gateways(network: &Network) -> impl Iterator<Item = (IpAddr, u8)> + '_ {
    network.gateway.iter().filter_map(|address| {
        let net = network.nets.of(Family::of(address))?;
        Some((address, net.prefix_len()))
    })
}

/// One command on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostStep {
    /// The program and its arguments; no shell is meant to see them.
    pub argv: Vec<String>,
    /// The command that takes it back. Where there is none, either the undo of an earlier step
    /// takes this one with it, or [`Effect::Setting`] says what to look up beforehand: what it was
    /// before is not known here, and others may rely on it by now.
    pub undo: Option<Vec<String>>,
    /// What is there afterwards; where it is already, the step is not needed.
    pub effect: Effect,
    /// Whether the command succeeds where the effect is there already. Others have to be left out
    /// then.
    pub repeatable: bool,
    /// What it is for.
    pub why: &'static str,
}

/// What is there after a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Effect {
    /// An interface of this name.
    Interface(InterfaceName),
    /// This interface is up.
    Up(InterfaceName),
    /// An address.
    Address {
        /// The interface that has it.
        interface: InterfaceName,
        /// The address.
        address: IpAddr,
        /// The prefix length that it has there.
        prefix_len: u8,
    },
    /// A route.
    Route(Route),
    /// A kernel setting, sysctl(8).
    Setting(Sysctl),
    /// Properties of this interface, which the step's arguments name. They are not worth a look
    /// beforehand: the step can always be run again.
    Properties(InterfaceName),
}

impl HostStep {
    /// What takes these steps back, last one first.
    pub fn undo_all(steps: &[Self]) -> impl Iterator<Item = &[String]> {
        steps.iter().rev().filter_map(|step| step.undo.as_deref())
    }
}

fn setting(flags: &[&str], name: String, value: &'static str, why: &'static str) -> HostStep {
    let setting = Sysctl { name, value };
    let mut argv = vec!["sysctl".to_owned()];
    argv.extend(flags.iter().map(|flag| (*flag).to_owned()));
    argv.push(setting.to_string());
    HostStep {
        argv,
        undo: None,
        effect: Effect::Setting(setting),
        repeatable: true,
        why,
    }
}

/// An argument list from a line whose words have no spaces in them.
fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

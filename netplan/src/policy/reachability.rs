//! The matrix of who reaches whom, to be proven with packets.

use std::net::IpAddr;

use serde::Serialize;

use crate::net::Family;
use crate::plan::{Class, Machine, Nic, Plan};
use crate::policy::guests::{ETCD_CLIENT_PORT, ETCD_PEER_PORT};
use crate::policy::sender::{Matrix, Sender};
use crate::policy::standard::{API_PORT, DNS_PORT, SSH_PORT};
use crate::policy::{Decision, Endpoint, Policy, Probe, Protocol, Zone};
use crate::requirement::{Role, RouterSpec};

/// A flow, and whether it must get through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expectation {
    /// The flow.
    pub probe: Probe,
    /// Its family.
    pub family: Family,
    /// Whether the destination must answer.
    pub allowed: bool,
    /// The deciding rule and where it stands.
    pub why: String,
}

/// The port on which the simulated internet's server answers.
const WEB_PORT: u16 = 80;
/// The kubelet's port.
const KUBELET_PORT: u16 = 10250;
/// Stands for all ports that no rule names.
pub(crate) const OTHER_PORT: u16 = 20_000;

/// Every promise of the policy as TCP flows of each family that there is: from a machine of each
/// class, a pod on each kind of node, the host and the internet; to each class on each of its
/// networks, to pods, the router, the host and the internet; and through each machine of several
/// networks as router. All etcd members are tried, and all control planes as a way around.
/// Derived from the rules, so it holds what they say. Left out is what a CNI plugin decides: the
/// way of a pod over its node's default routes, where these are on another network than the pods;
/// and what has no route there or back.
#[must_use]
pub fn reachability(plan: &Plan, policy: &Policy) -> Vec<Expectation> {
    let rows = Family::BOTH.into_iter().flat_map(|family| {
        let matrix = Matrix { plan, family };
        let mut probes = matrix.to_machines();
        probes.extend(matrix.to_pods());
        probes.extend(matrix.to_router_and_host(policy));
        probes.extend(matrix.to_internet());
        probes.extend(matrix.detours());
        let probes = probes.into_iter();
        let rows = probes.map(|probe| expectation(plan, policy, probe));
        let rows = rows.filter(|row| !row.allowed || matrix.is_answered(&row.probe));
        rows.collect::<Vec<_>>()
    });
    rows.collect()
}

fn expectation(plan: &Plan, policy: &Policy, probe: Probe) -> Expectation {
    let decisions = policy.explain(plan, &probe);
    let allowed = Decision::all_allow(&decisions);
    let why = match decisions.last() {
        None => "nothing is filtered on this way".to_owned(),
        Some(last) => format!("rule {} at {}", last.rule, last.point),
    };
    Expectation {
        family: probe.family(),
        probe,
        allowed,
        why,
    }
}

impl Matrix<'_> {
    fn probe(&self, sender: Sender<'_>, to: &(Endpoint, IpAddr), port: u16) -> Option<Probe> {
        let (to, destination) = to.clone();
        let from = sender.endpoint();
        let source = self.source(sender, &to, destination)?;
        let has_way = from != to && self.has_way_back(&to, &from, source);
        has_way.then_some(Probe {
            from,
            to,
            source,
            destination,
            protocol: Protocol::Tcp,
            port,
            via: None,
        })
    }

    fn to_machines(&self) -> Vec<Probe> {
        let mut probes = Vec::new();
        for class in &self.plan.classes {
            for network in &class.networks {
                for sender in self.senders() {
                    if self.is_worth_trying(sender, class, network.as_str()) {
                        probes.extend(self.to_class(sender, class, network.as_str()));
                    }
                }
            }
        }
        probes
    }

    /// Beside its own machines only the host and etcd's clients have something to seek on a
    /// network that is not the class's main one.
    fn is_worth_trying(&self, sender: Sender<'_>, class: &Class, network: &str) -> bool {
        let is_main = class.default_route.as_str() == network || class.role == Role::Etcd;
        let is_on_it = |machine: &Machine| machine.nic(network).is_some();
        let is_host = matches!(sender, Sender::Host);
        is_main || is_host || sender.machine().is_some_and(is_on_it)
    }

    /// To the first machine of a class that is another than the sender; to etcd's own port of
    /// every member.
    fn to_class(&self, sender: Sender<'_>, class: &Class, network: &str) -> Vec<Probe> {
        let own = match sender {
            Sender::Machine(machine) => Some(&machine.name),
            _ => None,
        };
        let mut probes = Vec::new();
        let others = self.plan.of_class(&class.name);
        let others = others.filter(|machine| Some(&machine.name) != own);
        for (at, machine) in others.enumerate() {
            let address = machine.address(network);
            let Some(address) = address.and_then(|address| address.of(self.family)) else {
                continue;
            };
            let to = (Endpoint::Machine(machine.name.clone()), address);
            let ports = match (at, class.role) {
                (0, Role::ControlPlane) if network != class.default_route.as_str() => {
                    &[API_PORT, SSH_PORT]
                }
                (0, role) => ports(role),
                (_, Role::Etcd) => &[ETCD_CLIENT_PORT],
                _ => &[],
            };
            let ports = ports.iter();
            probes.extend(ports.filter_map(|port| self.probe(sender, &to, *port)));
        }
        probes
    }

    fn to_pods(&self) -> Vec<Probe> {
        let nodes = self.first_of_each();
        let pods = nodes.filter_map(|node| {
            let address = self.pod(node)?;
            Some((Endpoint::PodOn(node.name.clone()), address))
        });
        pods.flat_map(|to| {
            let senders = self.senders().into_iter();
            senders
                .filter_map(|sender| self.probe(sender, &to, OTHER_PORT))
                .collect::<Vec<_>>()
        })
        .collect()
    }

    /// What guests may ask of the router, what they may not, and the API behind it.
    fn to_router_and_host(&self, policy: &Policy) -> Vec<Probe> {
        let router = match self.plan.router {
            RouterSpec::Namespace => Endpoint::Router,
            RouterSpec::Host { .. } => Endpoint::Host,
        };
        let mut probes = Vec::new();
        for sender in self.guests() {
            let Some(machine) = sender.machine() else {
                continue;
            };
            let gateway = machine
                .main_nic()
                .map(|nic| self.plan.network_of(nic).gateway);
            if let Some(gateway) = gateway.and_then(|gateway| gateway.of(self.family)) {
                let to = (router.clone(), gateway);
                let ports = [DNS_PORT, SSH_PORT].into_iter();
                probes.extend(ports.filter_map(|port| self.probe(sender, &to, port)));
            }
            let host = self.plan.link.and_then(|link| link.host.of(self.family));
            let host = host.map(|host| (Endpoint::Host, host));
            probes.extend(host.and_then(|to| self.probe(sender, &to, SSH_PORT)));
        }
        for exposure in &policy.exposures {
            let sender = match exposure.entering {
                Zone::Host => Sender::Host,
                _ => Sender::Internet,
            };
            let mut servers = exposure.servers.iter();
            let server = servers.find_map(|server| server.of(self.family));
            let at = exposure
                .at
                .and_then(|at| at.of(self.family))
                .filter(|_| server.is_some());
            let to = at.map(|at| (router.clone(), at));
            probes.extend(to.and_then(|to| self.probe(sender, &to, exposure.port)));
        }
        probes
    }

    fn to_internet(&self) -> Vec<Probe> {
        let to = self.internet().map(|address| (Endpoint::Internet, address));
        let probes = to.map(|to| {
            let guests = self.guests().into_iter();
            guests.filter_map(move |sender| self.probe(sender, &to, WEB_PORT))
        });
        probes.into_iter().flatten().collect()
    }

    /// From one network into another through a machine that is on both.
    fn detours(&self) -> Vec<Probe> {
        let mut probes = Vec::new();
        for class in self.plan.classes.iter().filter(|c| c.is_multi_homed()) {
            for (at, router) in self.plan.of_class(&class.name).enumerate() {
                for nic in &router.nics {
                    let found = self.detours_into(nic, router);
                    // Of every further machine one is enough to see that its guard is there.
                    let most = if at == 0 { usize::MAX } else { 1 };
                    probes.extend(found.into_iter().take(most));
                }
            }
        }
        probes
    }

    fn detours_into(&self, into: &Nic, router: &Machine) -> Vec<Probe> {
        let network = into.network.as_str();
        let is_on_it = |machine: &Machine| machine.nic(network).is_some();
        let targets = self.plan.machines.iter();
        let targets = targets.filter(|machine| is_on_it(machine) && machine.name != router.name);
        // Best one that has no other network in common with the router.
        let target = targets.min_by_key(|machine| {
            let nics = machine.nics.iter();
            let shared = nics.filter(|nic| router.nic(nic.network.as_str()).is_some());
            shared.count()
        });
        let to = target.and_then(|machine| {
            let address = machine.address(network)?.of(self.family)?;
            let to = (Endpoint::Machine(machine.name.clone()), address);
            Some((to, ports(machine.role)[0]))
        });
        let Some((to, port)) = to else {
            return Vec::new();
        };
        let is_beside = |machine: &Machine| {
            let mut shared = machine.nics.iter().filter(|nic| {
                let own = router.nic(nic.network.as_str());
                own.is_some_and(|own| own.address.of(self.family).is_some())
            });
            !is_on_it(machine) && machine.name != router.name && shared.next().is_some()
        };
        let senders = self.guests().into_iter();
        let senders = senders.filter(|sender| sender.machine().is_some_and(is_beside));
        let probes = senders.filter_map(|sender| self.probe(sender, &to, port));
        let via = Some(router.name.clone());
        probes
            .map(|probe| Probe {
                via: via.clone(),
                ..probe
            })
            .collect()
    }
}

/// What machines of a role are asked for; the most important first.
fn ports(role: Role) -> &'static [u16] {
    match role {
        Role::Etcd => &[ETCD_CLIENT_PORT, ETCD_PEER_PORT, SSH_PORT, OTHER_PORT],
        Role::ControlPlane => &[API_PORT, KUBELET_PORT, SSH_PORT, OTHER_PORT],
        Role::Worker => &[KUBELET_PORT, SSH_PORT, OTHER_PORT],
        Role::Other => &[SSH_PORT, OTHER_PORT],
    }
}

//! The matrix of who reaches whom, to be proven with packets.

use std::net::IpAddr;

use serde::Serialize;

use crate::net::Family;
use crate::plan::{Class, Machine, NetworkName, Plan};
use crate::policy::standard::{API_PORT, ETCD_CLIENT_PORT, ETCD_PEER_PORT};
use crate::policy::{Endpoint, Policy, Probe, Protocol, Verdict};

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
const SSH_PORT: u16 = 22;

/// Every promise of the standard policy as a flow of each family: etcd's two ports, the API, the
/// router itself, and the way out; from each class, pods, the host and the internet, and through
/// a control plane as router. Derived from the rules, so it holds what they say, and what they
/// should say is held by this crate's tests.
#[must_use]
pub fn reachability(plan: &Plan, policy: &Policy) -> Vec<Expectation> {
    let matrix = Matrix { plan, policy };
    Family::BOTH
        .into_iter()
        .flat_map(|family| {
            let mut probes = matrix.to_etcd(family);
            probes.extend(matrix.to_api(family));
            probes.extend(matrix.outwards(family));
            probes
        })
        .map(|probe| matrix.expectation(probe))
        .collect()
}

struct Matrix<'a> {
    plan: &'a Plan,
    policy: &'a Policy,
}

impl Matrix<'_> {
    fn expectation(&self, probe: Probe) -> Expectation {
        let decisions = self.policy.explain(self.plan, &probe);
        let allowed = decisions
            .iter()
            .all(|decision| decision.verdict == Verdict::Allow);
        let why = match decisions.last() {
            None => "on one network, and nothing filters there".to_owned(),
            Some(last) => format!("rule {} at {}", last.rule, last.point),
        };
        Expectation {
            family: Family::of(probe.source),
            probe,
            allowed,
            why,
        }
    }

    fn to_etcd(&self, family: Family) -> Vec<Probe> {
        let mut probes = Vec::new();
        for member in self.plan.class(Class::Etcd) {
            let Some(target) = member.address(NetworkName::Etcd) else {
                continue;
            };
            let to = (Endpoint::Machine(member.name.clone()), target.of(family));
            for from in self.senders(NetworkName::Etcd, family) {
                if from.0 == to.0 {
                    continue;
                }
                for port in [ETCD_CLIENT_PORT, ETCD_PEER_PORT] {
                    probes.push(probe(&from, &to, port));
                }
                if self.is_on_kube_only(&from.0) {
                    let router = self.plan.class(Class::ControlPlane).next();
                    let via = router.map(|machine| machine.name.clone());
                    probes.push(Probe {
                        via,
                        ..probe(&from, &to, ETCD_CLIENT_PORT)
                    });
                }
            }
        }
        probes
    }

    fn to_api(&self, family: Family) -> Vec<Probe> {
        let mut probes = Vec::new();
        for plane in self.plan.class(Class::ControlPlane) {
            for nic in &plane.nics {
                let to = (
                    Endpoint::Machine(plane.name.clone()),
                    nic.address.of(family),
                );
                for from in self.senders(NetworkName::Kube, family) {
                    // Over `etcd` only who is there can send without leaving by the default route.
                    let relevant = nic.network == NetworkName::Kube || self.is_etcd(&from.0);
                    if from.0 != to.0 && relevant {
                        probes.push(probe(&from, &to, API_PORT));
                    }
                }
            }
        }
        let host = (Endpoint::Host, self.plan.link.host.of(family));
        let link = (Endpoint::Router, self.plan.link.router.of(family));
        probes.push(probe(&host, &link, API_PORT));
        probes
    }

    fn outwards(&self, family: Family) -> Vec<Probe> {
        let server = (Endpoint::Internet, self.plan.internet.server.of(family));
        let mut probes = Vec::new();
        for from in self.senders(NetworkName::Kube, family) {
            if matches!(from.0, Endpoint::Host | Endpoint::Internet) {
                continue;
            }
            probes.push(probe(&from, &server, WEB_PORT));
            let near = if self.is_etcd(&from.0) {
                NetworkName::Etcd
            } else {
                NetworkName::Kube
            };
            let gateway = self.plan.network(near).gateway.of(family);
            probes.push(probe(&from, &(Endpoint::Router, gateway), SSH_PORT));
        }
        probes
    }

    /// Who tries: all etcd members and control planes, one worker, one pod on each kind of node,
    /// the host, the internet. `prefer` is the network that a control plane sends from.
    fn senders(&self, prefer: NetworkName, family: Family) -> Vec<(Endpoint, IpAddr)> {
        let first = |class| self.plan.class(class).take(1);
        let machines = self
            .plan
            .class(Class::Etcd)
            .chain(self.plan.class(Class::ControlPlane));
        let sender = |machine: &Machine| {
            let nic = machine.nic(prefer).or(machine.nics.first())?;
            Some((
                Endpoint::Machine(machine.name.clone()),
                nic.address.of(family),
            ))
        };
        let mut senders: Vec<_> = machines
            .chain(first(Class::Worker))
            .filter_map(sender)
            .collect();
        for node in first(Class::ControlPlane).chain(first(Class::Worker)) {
            // The first addresses of a pod range are the bridge's; a CNI gives the next ones.
            let pod = node.pods.and_then(|pods| pods.of(family).nth(2));
            senders.extend(pod.map(|pod| (Endpoint::PodOn(node.name.clone()), pod)));
        }
        senders.push((Endpoint::Host, self.plan.link.host.of(family)));
        senders.push((Endpoint::Internet, self.plan.internet.server.of(family)));
        senders
    }

    fn is_etcd(&self, endpoint: &Endpoint) -> bool {
        let is_etcd = |machine: &Machine| machine.class == Class::Etcd;
        match endpoint {
            Endpoint::Machine(name) => self.plan.machine(name.as_str()).is_some_and(is_etcd),
            _ => false,
        }
    }

    fn is_on_kube_only(&self, endpoint: &Endpoint) -> bool {
        let kube_only = |machine: &Machine| machine.nic(NetworkName::Etcd).is_none();
        match endpoint {
            Endpoint::Machine(name) | Endpoint::PodOn(name) => {
                self.plan.machine(name.as_str()).is_some_and(kube_only)
            }
            _ => false,
        }
    }
}

fn probe(from: &(Endpoint, IpAddr), to: &(Endpoint, IpAddr), port: u16) -> Probe {
    Probe {
        from: from.0.clone(),
        to: to.0.clone(),
        source: from.1,
        destination: to.1,
        protocol: Protocol::Tcp,
        port,
        via: None,
    }
}

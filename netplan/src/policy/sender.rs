//! Who sends in the matrix, with which address, and whether an answer comes back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::addresses::Addresses;
use crate::names::MachineName;
use crate::net::Family;
use crate::plan::{Machine, Nic, Plan};
use crate::policy::{Endpoint, Probe};

/// Stands for the internet where none is simulated (RFC 5737, RFC 3849).
const INTERNET: Addresses = Addresses {
    v4: Some(Ipv4Addr::new(198, 51, 100, 1)),
    v6: Some(Ipv6Addr::new(0x2001, 0xdb8, 0xfeed, 0, 0, 0, 0, 1)),
};

/// One family of the matrix.
pub(super) struct Matrix<'a> {
    pub(super) plan: &'a Plan,
    pub(super) family: Family,
}

/// Who sends.
#[derive(Clone, Copy)]
pub(super) enum Sender<'a> {
    Machine(&'a Machine),
    PodOn(&'a Machine),
    Host,
    Internet,
}

impl Sender<'_> {
    pub(super) fn endpoint(self) -> Endpoint {
        match self {
            Self::Machine(machine) => Endpoint::Machine(machine.name.clone()),
            Self::PodOn(node) => Endpoint::PodOn(node.name.clone()),
            Self::Host => Endpoint::Host,
            Self::Internet => Endpoint::Internet,
        }
    }

    /// The machine whose routes its packets follow.
    pub(super) fn machine(&self) -> Option<&Machine> {
        match self {
            Self::Machine(machine) | Self::PodOn(machine) => Some(machine),
            Self::Host | Self::Internet => None,
        }
    }
}

impl<'a> Matrix<'a> {
    pub(super) fn first_of_each(&self) -> impl Iterator<Item = &'a Machine> {
        let classes = self.plan.classes.iter();
        classes.filter_map(|class| self.plan.of_class(&class.name).next())
    }

    /// One of each kind, in this order: machines, pods, the host, the internet.
    pub(super) fn senders(&self) -> Vec<Sender<'a>> {
        let mut senders = self.guests();
        senders.extend([Sender::Host, Sender::Internet]);
        senders
    }

    pub(super) fn guests(&self) -> Vec<Sender<'a>> {
        let machines = self.first_of_each().map(Sender::Machine);
        let nodes = self.first_of_each().filter(|node| self.pod(node).is_some());
        machines.chain(nodes.map(Sender::PodOn)).collect()
    }

    /// The first addresses of a pod range are the bridge's; a CNI gives the next ones.
    pub(super) fn pod(&self, node: &Machine) -> Option<IpAddr> {
        node.pods?.of(self.family)?.nth(2)
    }

    /// The address with which a sender turns to a destination, as routes and prefixes choose it;
    /// `None` when it has no way there in this family.
    pub(super) fn source(
        &self,
        sender: Sender<'_>,
        to: &Endpoint,
        address: IpAddr,
    ) -> Option<IpAddr> {
        match sender {
            Sender::Machine(machine) => {
                let nic = self.leaving(machine, to, address)?;
                nic.address.of(self.family)
            }
            Sender::PodOn(node) => {
                let nic = self.leaving(node, to, address)?;
                nic.address.of(self.family)?;
                let is_decided_by_cni = nic.default_route && !self.has_pods(nic);
                self.pod(node).filter(|_| !is_decided_by_cni)
            }
            Sender::Internet => self.internet(),
            Sender::Host => match self.plan.link {
                Some(link) => link.host.of(self.family),
                None => self.nearest_gateway(address),
            },
        }
    }

    /// The interface that a machine sends on: that on the network of the address, or of the
    /// other nodes for their pods, else that of the default routes.
    fn leaving<'m>(&self, machine: &'m Machine, to: &Endpoint, address: IpAddr) -> Option<&'m Nic> {
        let to_node = machine.pods.is_some() && matches!(to, Endpoint::PodOn(_));
        let mut nics = machine.nics.iter();
        let connected = nics.find(|nic| {
            let net = self.plan.network_of(nic).nets.of(self.family);
            net.is_some_and(|net| net.contains(address)) || (to_node && self.has_pods(nic))
        });
        connected.or(machine.main_nic())
    }

    /// Whether a destination has a route to the sender in this family.
    pub(super) fn has_way_back(&self, to: &Endpoint, sender: &Endpoint, source: IpAddr) -> bool {
        let (Endpoint::Machine(name) | Endpoint::PodOn(name)) = to else {
            return true;
        };
        let machine = self.plan.machine(name.as_str());
        let nic = machine.and_then(|machine| self.leaving(machine, sender, source));
        nic.is_some_and(|nic| nic.address.of(self.family).is_some())
    }

    /// Whether the answer to a pod comes back the way that its packet took. A machine that is no
    /// node has its only route to pods through the router, which knows of no packet that went by
    /// a network directly.
    pub(super) fn is_answered(&self, probe: &Probe) -> bool {
        let (Endpoint::PodOn(node), Endpoint::Machine(name)) = (&probe.from, &probe.to) else {
            return true;
        };
        let machine = |name: &MachineName| self.plan.machine(name.as_str());
        let (Some(node), Some(machine)) = (machine(node), machine(name)) else {
            return true;
        };
        let there = self.leaving(node, &probe.to, probe.destination);
        let back = self.leaving(machine, &probe.from, probe.source);
        let network = |nic: Option<&Nic>| nic.map(|nic| nic.network.clone());
        let arrival = machine.nics.iter().find(|nic| {
            let address = nic.address.of(self.family);
            address == Some(probe.destination)
        });
        let is_direct = network(there) == network(arrival) && node.name != machine.name;
        !is_direct || network(back) == network(arrival)
    }

    /// Whether pods are reached over the network of an interface.
    fn has_pods(&self, nic: &Nic) -> bool {
        let kubernetes = self.plan.kubernetes.as_ref();
        kubernetes.is_some_and(|kubernetes| kubernetes.network == nic.network)
    }

    /// What a host that routes itself sends with.
    fn nearest_gateway(&self, to: IpAddr) -> Option<IpAddr> {
        let mut networks = self.plan.networks.iter();
        let network = networks.find(|network| {
            let net = network.nets.of(self.family);
            net.is_some_and(|net| net.contains(to))
        });
        let pods = || {
            self.plan
                .network(self.plan.kubernetes.as_ref()?.network.as_str())
        };
        network.or_else(pods)?.gateway.of(self.family)
    }

    pub(super) fn internet(&self) -> Option<IpAddr> {
        let simulated = self.plan.internet.map(|internet| internet.server);
        simulated.unwrap_or(INTERNET).of(self.family)
    }
}

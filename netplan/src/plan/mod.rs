//! [`Plan`]: every network, address and route of a lab, and how it comes about.

mod bands;
mod build;
mod check;
mod error;
mod lengths;
mod machines;
mod networks;
mod numbers;
mod place;
mod pods;
mod supernet;

use std::net::IpAddr;

use serde::Serialize;

pub use build::plan;
pub use error::PlanError;

use crate::addresses::{Addresses, Nets};
use crate::lock::{HostNumbers, Lock, LockedClass};
use crate::names::{ClassName, InterfaceName, LabName, Mac, MachineName, NetworkName};
use crate::net::{Family, Net};
use crate::requirement::{KubernetesVersion, Role, RouterSpec, V4Mode, V6Mode};

/// What the lock keeps for names that are no longer asked for, with those names.
pub(crate) type Gone = Vec<(String, Net)>;

/// A network with its router's side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Which one it is.
    pub name: NetworkName,
    /// Its addresses; IPv6 is a /64.
    pub nets: Nets,
    /// The router's addresses on it, `.1` and `::1`.
    pub gateway: Addresses,
    /// The bridge on the router. On a host that carries other labs too its name has the lab's.
    pub bridge: InterfaceName,
}

/// A class of machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Class {
    /// Its name, the first part of its machines' names.
    pub name: ClassName,
    /// What its machines are in a cluster.
    pub role: Role,
    /// The host numbers of its machines.
    pub band: HostNumbers,
    /// The networks that each machine has an interface on, in this order.
    pub networks: Vec<NetworkName>,
    /// The one of them that the default routes go out on. On a machine of several networks there
    /// is one only: a second default route would lead around the firewall.
    pub default_route: NetworkName,
}

impl Class {
    /// Whether its machines are on more than one network, and so could route between them.
    #[must_use]
    pub fn is_multi_homed(&self) -> bool {
        self.networks.len() > 1
    }
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Its name and host name.
    pub name: MachineName,
    /// The class that it is of.
    pub class: ClassName,
    /// What it is in a cluster.
    pub role: Role,
    /// Its interfaces, in the order of the class's networks.
    pub nics: Vec<Nic>,
    /// The addresses of its pods, when it is a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<Nets>,
}

impl Machine {
    /// Its interface on the network of this name.
    #[must_use]
    pub fn nic(&self, network: &str) -> Option<&Nic> {
        self.nics.iter().find(|nic| nic.network.as_str() == network)
    }

    /// Its addresses on the network of this name.
    #[must_use]
    pub fn address(&self, network: &str) -> Option<Addresses> {
        self.nic(network).map(|nic| nic.address)
    }

    /// The interface that its default routes go out on.
    #[must_use]
    pub fn main_nic(&self) -> Option<&Nic> {
        self.nics.iter().find(|nic| nic.default_route)
    }

    /// Its addresses on the network that its default routes go out on.
    #[must_use]
    pub fn main_address(&self) -> Option<Addresses> {
        self.main_nic().map(|nic| nic.address)
    }
}

/// An interface of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Nic {
    /// The network that it is on; prefix lengths and gateway are the network's.
    pub network: NetworkName,
    /// Its name inside the machine: `etcd0` or `kube0`.
    pub name: InterfaceName,
    /// The name of its other end, in the bridge: a veth, or a tap.
    pub port: InterfaceName,
    /// Its Ethernet address. It follows from the address, IPv4 where there is one, so it stays when
    /// names change.
    pub mac: Mac,
    /// Its addresses.
    pub address: Addresses,
    /// Whether the machine's default routes go out here.
    pub default_route: bool,
}

/// A static route; the outgoing interface follows from `via`, which is on a connected network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// The destination; `0.0.0.0/0` and `::/0` are written out.
    pub to: Net,
    /// The next hop.
    pub via: IpAddr,
}

/// The point-to-point network between the machine that runs the lab and the lab's router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// A /30 and a /126.
    pub nets: Nets,
    /// The router's side, `.1` and `::1`.
    pub router: Addresses,
    /// The side of the machine that runs the lab, `.2` and `::2`.
    pub host: Addresses,
}

/// The ranges of a Kubernetes cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kubernetes {
    /// The version that the ranges are made for.
    pub version: KubernetesVersion,
    /// The network on which nodes talk to each other and to the API.
    pub network: NetworkName,
    /// The family that comes first where both are named.
    pub primary: Family,
    /// The service ranges.
    pub services: Services,
    /// The range that the pod ranges of all nodes are taken from.
    pub pods: Nets,
    /// An address of that network for the API as a whole, which moves between control planes: kept
    /// free from the first day, so that certificates name it before there are several. Empty
    /// where a class counts through its number.
    pub endpoint: Addresses,
}

/// The Kubernetes service ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Services {
    /// The ranges for `--service-cluster-ip-range`.
    pub nets: Nets,
    /// The service `kubernetes`: the first address, which the API server takes by itself.
    pub api: Addresses,
    /// The cluster's DNS: the tenth address, as kubeadm has it; inside the band that the
    /// allocator leaves to fixed addresses (KEP-3070).
    pub dns: Addresses,
}

/// A namespace that plays the internet, with addresses of the documentation ranges (RFC 5737,
/// RFC 3849), so that egress can be proven without leaving the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Internet {
    /// The network between router and internet.
    pub nets: Nets,
    /// The router's side, on its interface [`ROUTER_UPLINK`](crate::ROUTER_UPLINK).
    pub router: Addresses,
    /// The internet's side: the router's default gateway.
    pub internet: Addresses,
    /// A server further away, on the internet's side.
    pub server: Addresses,
}

/// Everything that is decided about the network of one lab. Made by [`plan`] only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The lab's name.
    pub lab: LabName,
    /// The seed that it was planned with.
    pub seed: u64,
    /// The networks that all else lies in, one of each family that the lab has.
    pub supernet: Nets,
    /// The networks, in the order of the requirement.
    pub networks: Vec<Network>,
    /// The classes of machines, in the order of the requirement.
    pub classes: Vec<Class>,
    /// The machines, by class and number.
    pub machines: Vec<Machine>,
    /// The ranges of the Kubernetes cluster, if there is one.
    pub kubernetes: Option<Kubernetes>,
    /// Who routes.
    pub router: RouterSpec,
    /// How IPv4 leaves.
    pub v4_mode: V4Mode,
    /// How IPv6 leaves.
    pub v6_mode: V6Mode,
    /// The link to the machine that runs the lab, when the router is a namespace.
    pub link: Option<Link>,
    /// The simulated internet, when the router is a namespace.
    pub internet: Option<Internet>,
    /// Routes of the router: to the pods of each node, and in a namespace the default ones.
    pub router_routes: Vec<Route>,
    /// Routes of the simulated internet: back to the lab's IPv6 where that is routed. IPv4 needs
    /// none, it comes with the router's own address.
    pub internet_routes: Vec<Route>,
    /// Routes of the machine that runs the lab: the whole lab is behind the link.
    pub host_routes: Vec<Route>,
    /// What the lock keeps for names that are no longer asked for.
    #[serde(skip)]
    pub(crate) gone: Gone,
}

impl Plan {
    /// The network of this name.
    #[must_use]
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks
            .iter()
            .find(|network| network.name.as_str() == name)
    }

    /// The network of an interface.
    ///
    /// # Panics
    /// When the interface is not one of this plan.
    #[must_use]
    pub fn network_of(&self, nic: &Nic) -> &Network {
        self.network(nic.network.as_str())
            .expect("an interface of a plan is on one of its networks")
    }

    /// The class of this name.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes
            .iter()
            .find(|class| class.name.as_str() == name)
    }

    /// The machine of this name.
    #[must_use]
    pub fn machine(&self, name: &str) -> Option<&Machine> {
        self.machines
            .iter()
            .find(|machine| machine.name.as_str() == name)
    }

    /// The machines of one class, by number.
    pub fn of_class(&self, class: &ClassName) -> impl Iterator<Item = &Machine> {
        self.machines
            .iter()
            .filter(move |machine| machine.class == *class)
    }

    /// The machines of one role, by class and number.
    pub fn role(&self, role: Role) -> impl Iterator<Item = &Machine> {
        self.machines
            .iter()
            .filter(move |machine| machine.role == role)
    }

    /// The machines of one role that are on this network, with their addresses there.
    pub fn addresses(&self, role: Role, network: &str) -> impl Iterator<Item = Addresses> {
        self.role(role)
            .filter_map(move |machine| machine.address(network))
    }

    /// Routes of a machine beside the connected and the default ones: to the pods of the other
    /// nodes, when it is a node itself.
    #[must_use]
    pub fn routes_of(&self, machine: &Machine) -> Vec<Route> {
        if machine.pods.is_none() {
            return Vec::new();
        }
        self.machines
            .iter()
            .filter(|other| other.name != machine.name)
            .flat_map(|other| self.pod_routes(other))
            .collect()
    }

    /// Routes to the pods of a node, over its address on the nodes' network.
    pub(crate) fn pod_routes(&self, node: &Machine) -> impl Iterator<Item = Route> {
        let network = self.kubernetes.as_ref().map(|own| own.network.as_str());
        let address = network.and_then(|network| node.address(network));
        let pods = node.pods.into_iter().flat_map(Nets::iter);
        pods.filter_map(move |to| {
            let via = address?.of(to.family())?;
            Some(Route { to, via })
        })
    }

    /// What to keep so that the next plan moves nobody.
    #[must_use]
    pub fn lock(&self) -> Lock {
        let mut lock = Lock::new(self.lab.clone(), self.seed);
        lock.insert("supernet".to_owned(), self.supernet);
        for network in &self.networks {
            lock.insert(format!("network/{}", network.name), network.nets);
        }
        if let Some(link) = self.link {
            lock.insert("range/link".to_owned(), link.nets);
        }
        if let Some(kubernetes) = &self.kubernetes {
            lock.insert("range/services".to_owned(), kubernetes.services.nets);
            lock.insert("range/pods".to_owned(), kubernetes.pods);
        }
        for machine in &self.machines {
            if let Some(pods) = machine.pods {
                lock.insert(format!("pods/{}", machine.name), pods);
            }
            for nic in &machine.nics {
                let id = format!("address/{}/{}", nic.network, machine.name);
                lock.insert(id, nic.address.as_nets());
            }
        }
        for class in &self.classes {
            let (role, band) = (class.role, class.band);
            lock.insert_class(class.name.to_string(), LockedClass { role, band });
        }
        for (id, net) in &self.gone {
            lock.insert_gone(id, *net);
        }
        lock
    }
}

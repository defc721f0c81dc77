//! [`Plan`]: every network, address and route of a lab, and how it comes about.

mod build;
mod check;
mod error;
mod machines;
mod place;
mod ranges;
mod supernet;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

pub use build::plan;
pub use error::PlanError;

use crate::lock::Lock;
use crate::names::{InterfaceName, LabName, Mac, MachineName};
use crate::net::{Family, Net};

/// One network of each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NetPair {
    /// The IPv4 network.
    pub v4: Net,
    /// The IPv6 network.
    pub v6: Net,
}

impl NetPair {
    /// The one of this family.
    #[must_use]
    pub fn of(self, family: Family) -> Net {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }

    /// Both, IPv4 first.
    #[must_use]
    pub fn both(self) -> [Net; 2] {
        [self.v4, self.v6]
    }
}

/// One address of each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AddressPair {
    /// The IPv4 address.
    pub v4: Ipv4Addr,
    /// The IPv6 address.
    pub v6: Ipv6Addr,
}

impl AddressPair {
    /// The one of this family.
    #[must_use]
    pub fn of(self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.v4.into(),
            Family::V6 => self.v6.into(),
        }
    }

    /// Both, IPv4 first.
    #[must_use]
    pub fn both(self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }
}

/// A network that machines are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum NetworkName {
    /// etcd members and control planes; controlled by the firewall.
    Etcd,
    /// Control planes and workers.
    Kube,
}

impl NetworkName {
    /// The name as it is part of interface names and lock lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Kube => "kube",
        }
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a machine is for; it decides the networks that the machine is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A member of the etcd cluster: on `etcd`.
    Etcd,
    /// A Kubernetes control plane: on `etcd` and `kube`, with the default route on `kube`.
    ControlPlane,
    /// A Kubernetes worker: on `kube`.
    Worker,
}

impl Class {
    /// All classes, in the order of the machines in a plan.
    pub const ALL: [Self; 3] = [Self::Etcd, Self::ControlPlane, Self::Worker];

    /// What machine names of this class begin with: `etcd-0`, `cp-0`, `worker-0`.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ControlPlane => "cp",
            Self::Worker => "worker",
        }
    }

    /// The networks that machines of this class are on.
    #[must_use]
    pub const fn networks(self) -> &'static [NetworkName] {
        match self {
            Self::Etcd => &[NetworkName::Etcd],
            Self::ControlPlane => &[NetworkName::Etcd, NetworkName::Kube],
            Self::Worker => &[NetworkName::Kube],
        }
    }

    /// Whether machines of this class are Kubernetes nodes and run pods.
    #[must_use]
    pub const fn is_node(self) -> bool {
        !matches!(self, Self::Etcd)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Etcd => "etcd",
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
        })
    }
}

/// A network with its router's side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Which one it is.
    pub name: NetworkName,
    /// Its addresses: a /24 and a /64.
    pub nets: NetPair,
    /// The router's addresses on it, `.1` and `::1`.
    pub gateway: AddressPair,
    /// The bridge inside a router namespace, where the name need not be unique on the host.
    pub bridge: InterfaceName,
    /// The bridge on a host that is the router itself and may carry other labs.
    pub host_bridge: InterfaceName,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Its name and host name.
    pub name: MachineName,
    /// What it is for.
    pub class: Class,
    /// Its interfaces, in the order of [`Class::networks`].
    pub nics: Vec<Nic>,
    /// The addresses of its pods, when it is a node.
    pub pods: Option<NetPair>,
    /// Routes beside the connected and the default ones: to the pods of the other nodes.
    pub routes: Vec<Route>,
}

impl Machine {
    /// Its interface on this network.
    #[must_use]
    pub fn nic(&self, network: NetworkName) -> Option<&Nic> {
        self.nics.iter().find(|nic| nic.network == network)
    }

    /// Its addresses on this network.
    #[must_use]
    pub fn address(&self, network: NetworkName) -> Option<AddressPair> {
        self.nic(network).map(|nic| nic.address)
    }
}

/// An interface of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Nic {
    /// The network that it is on; prefix lengths and gateway are the network's.
    pub network: NetworkName,
    /// Its name inside the machine: `etcd0` or `kube0`.
    pub name: InterfaceName,
    /// The name of its other end, in the bridge.
    pub port: InterfaceName,
    /// Its Ethernet address.
    pub mac: Mac,
    /// Its addresses.
    pub address: AddressPair,
    /// Whether the machine's default routes of both families go out here. On a machine with two
    /// networks that is `kube` only: a second one on `etcd` would lead around the firewall.
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
    pub nets: NetPair,
    /// The router's side, `.1` and `::1`.
    pub router: AddressPair,
    /// The side of the machine that runs the lab, `.2` and `::2`.
    pub host: AddressPair,
}

/// The Kubernetes service ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Services {
    /// The ranges for `--service-cluster-ip-range`.
    pub nets: NetPair,
    /// The service `kubernetes`: the first address, which the API server takes by itself.
    pub api: AddressPair,
    /// The cluster's DNS: the tenth address, as kubeadm has it; inside the band that the
    /// allocator leaves to fixed addresses (KEP-3070).
    pub dns: AddressPair,
}

/// A namespace that plays the internet, with addresses of the documentation ranges (RFC 5737,
/// RFC 3849), so that egress can be proven without leaving the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Internet {
    /// The network between router and internet.
    pub nets: NetPair,
    /// The router's side, on its interface [`ROUTER_UPLINK`](crate::ROUTER_UPLINK).
    pub router: AddressPair,
    /// The internet's side: the router's default gateway.
    pub internet: AddressPair,
    /// A server further away, on the internet's side.
    pub server: AddressPair,
}

/// Everything that is decided about the network of one lab. Made by [`plan`] only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The lab's name.
    pub lab: LabName,
    /// The seed that it was planned with.
    pub seed: u64,
    /// The /16 and the /48 that all else lies in.
    pub supernet: NetPair,
    /// The networks, `etcd` first.
    pub networks: Vec<Network>,
    /// The machines: etcd members, control planes, workers.
    pub machines: Vec<Machine>,
    /// The link to the machine that runs the lab.
    pub link: Link,
    /// The service ranges.
    pub services: Services,
    /// The range that the pod ranges of all nodes are taken from.
    pub pods: NetPair,
    /// The simulated internet.
    pub internet: Internet,
    /// Routes of the router: to the pods of each node, and the default ones.
    pub router_routes: Vec<Route>,
    /// Routes of the simulated internet: back to the lab's IPv6, which is routed. IPv4 needs none,
    /// it comes with the router's own address.
    pub internet_routes: Vec<Route>,
    /// Routes of the machine that runs the lab: the whole lab is behind the link.
    pub host_routes: Vec<Route>,
}

impl Plan {
    /// The network of this name.
    #[must_use]
    pub fn network(&self, name: NetworkName) -> &Network {
        self.networks
            .iter()
            .find(|network| network.name == name)
            .expect("a plan has every network")
    }

    /// The machine of this name.
    #[must_use]
    pub fn machine(&self, name: &str) -> Option<&Machine> {
        self.machines
            .iter()
            .find(|machine| machine.name.as_str() == name)
    }

    /// The machines of one class, by number.
    pub fn class(&self, class: Class) -> impl Iterator<Item = &Machine> {
        self.machines
            .iter()
            .filter(move |machine| machine.class == class)
    }

    /// The addresses of a class on a network, by number of the machine.
    pub fn addresses(
        &self,
        class: Class,
        network: NetworkName,
    ) -> impl Iterator<Item = AddressPair> {
        self.class(class)
            .filter_map(move |machine| machine.address(network))
    }

    /// What to keep so that the next plan moves nobody.
    #[must_use]
    pub fn lock(&self) -> Lock {
        let mut lock = Lock::new(self.lab.clone(), self.seed);
        let mut insert = |id: String, nets: NetPair| {
            lock.insert(id.clone(), nets.v4);
            lock.insert(id, nets.v6);
        };
        insert("supernet".to_owned(), self.supernet);
        for network in &self.networks {
            insert(format!("network/{}", network.name), network.nets);
        }
        insert("network/link".to_owned(), self.link.nets);
        insert("network/services".to_owned(), self.services.nets);
        insert("network/pods".to_owned(), self.pods);
        for machine in &self.machines {
            if let Some(pods) = machine.pods {
                insert(format!("pods/{}", machine.name), pods);
            }
            for nic in &machine.nics {
                let [v4, v6] = nic.address.both().map(Net::host);
                insert(
                    format!("address/{}/{}", nic.network, machine.name),
                    NetPair { v4, v6 },
                );
            }
        }
        lock
    }
}

//! The interfaces, addresses and routes that a group wants, per network namespace.

use crate::{Group, Route, name::short_hash};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};

/// The namespace of the router, after the group's prefix.
pub(crate) const ROUTER: &str = "router";
/// The namespace that plays the internet, after the group's prefix.
pub(crate) const INTERNET: &str = "internet";

/// A network namespace: one of ours by name, or the host's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    Host,
    Named(String),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("ip"),
            Self::Named(name) => write!(f, "ip -n {name}"),
        }
    }
}

/// Two interfaces that are the ends of one wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Veth {
    pub(crate) near: (Scope, String),
    pub(crate) far: (Scope, String),
    /// The Ethernet address of the near end.
    pub(crate) mac: Option<String>,
}

/// What an interface must have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LinkWanted {
    pub(crate) bridge: bool,
    pub(crate) master: Option<String>,
    pub(crate) addresses: Vec<IpNet>,
}

/// What a namespace must have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NamespaceWanted {
    pub(crate) links: BTreeMap<String, LinkWanted>,
    pub(crate) routes: BTreeSet<Route>,
}

/// All wires of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    pub(crate) namespaces: BTreeMap<Scope, NamespaceWanted>,
    pub(crate) veths: Vec<Veth>,
}

impl Wanted {
    fn link(&mut self, scope: &Scope, name: &str) -> &mut LinkWanted {
        let namespace = self.namespaces.entry(scope.clone()).or_default();
        namespace.links.entry(name.to_owned()).or_default()
    }

    fn route(&mut self, scope: &Scope, route: Route) {
        self.namespaces
            .entry(scope.clone())
            .or_default()
            .routes
            .insert(route);
    }

    fn veth(&mut self, near: (&Scope, &str), far: (&Scope, &str), mac: Option<String>) {
        let own = |(scope, name): (&Scope, &str)| (scope.clone(), name.to_owned());
        self.veths.push(Veth {
            near: own(near),
            far: own(far),
            mac,
        });
    }
}

/// The wires that `group` wants.
pub(crate) fn wanted(group: &Group) -> Wanted {
    let mut wanted = Wanted::default();
    let router = Scope::Named(group.name.netns(ROUTER));
    wanted.link(&router, "lo");
    for (bridge, addresses) in &group.router.bridges {
        let link = wanted.link(&router, bridge.as_str());
        link.bridge = true;
        link.addresses.clone_from(addresses);
    }
    for route in &group.router.routes {
        wanted.route(&router, *route);
    }
    machines(group, &router, &mut wanted);
    internet(group, &router, &mut wanted);
    if let Some(link) = &group.router.host_link {
        let here = group.name.host_link();
        wanted.veth((&Scope::Host, &here), (&router, link.name.as_str()), None);
        wanted
            .link(&Scope::Host, &here)
            .addresses
            .clone_from(&link.host_addresses);
        wanted
            .link(&router, link.name.as_str())
            .addresses
            .clone_from(&link.router_addresses);
        for route in &link.host_routes {
            wanted.route(&Scope::Host, *route);
        }
    }
    wanted
}

fn machines(group: &Group, router: &Scope, wanted: &mut Wanted) {
    for machine in &group.machines {
        let scope = Scope::Named(group.name.netns(machine.name.as_str()));
        // A machine without interfaces has a namespace all the same.
        wanted.namespaces.entry(scope.clone()).or_default();
        for (index, nic) in machine.nics.iter().enumerate() {
            let port = port_name(machine.name.as_str(), index);
            wanted.veth(
                (&scope, nic.name.as_str()),
                (router, &port),
                Some(nic.mac.to_string()),
            );
            wanted
                .link(&scope, nic.name.as_str())
                .addresses
                .clone_from(&nic.addresses);
            wanted.link(router, &port).master = Some(nic.bridge.as_str().to_owned());
            for via in &nic.gateways {
                wanted.route(
                    &scope,
                    Route {
                        to: default_of(*via),
                        via: *via,
                    },
                );
            }
        }
    }
}

fn internet(group: &Group, router: &Scope, wanted: &mut Wanted) {
    let Some(internet) = &group.router.internet else {
        return;
    };
    let scope = Scope::Named(group.name.netns(INTERNET));
    wanted.veth((router, internet.uplink.as_str()), (&scope, "uplink"), None);
    wanted
        .link(router, internet.uplink.as_str())
        .addresses
        .clone_from(&internet.router_addresses);
    wanted
        .link(&scope, "uplink")
        .addresses
        .clone_from(&internet.addresses);
    wanted.link(&scope, "lo").addresses =
        internet.servers.iter().copied().map(IpNet::from).collect();
    for address in &internet.addresses {
        let via = address.addr();
        wanted.route(
            router,
            Route {
                to: default_of(via),
                via,
            },
        );
    }
    for route in &internet.routes {
        wanted.route(&scope, *route);
    }
}

/// The router's end of a machine's wire, at most 15 bytes (`IFNAMSIZ`).
fn port_name(machine: &str, index: usize) -> String {
    let readable = format!("{machine}.{index}");
    if readable.len() <= 15 {
        return readable;
    }
    format!("p{:08x}.{index}", short_hash(machine))
}

/// All addresses of the family of `via`.
pub(super) fn default_of(via: IpAddr) -> IpNet {
    match via {
        IpAddr::V4(_) => IpNet::V4(ipnet::Ipv4Net::default()),
        IpAddr::V6(_) => IpNet::V6(ipnet::Ipv6Net::default()),
    }
}

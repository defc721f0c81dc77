//! What is wanted: a router, machines, and the wires between them.

use crate::{GroupName, IfName, MacAddr, Places};
use host_exec::{File, HostName, systemd::UnitName};
use ipnet::IpNet;
use serde::Serialize;
use std::{net::IpAddr, path::PathBuf};

/// A set of machines with one router between them, on this host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The name from which all others are made.
    pub name: GroupName,
    /// Where its files are kept.
    pub places: Places,
    /// What connects the machines.
    pub router: RouterSpec,
    /// The machines. Their names differ, and none is `router` or `internet`.
    pub machines: Vec<MachineSpec>,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineSpec {
    /// Its host name.
    pub name: HostName,
    /// Its network interfaces.
    pub nics: Vec<Nic>,
    /// Directories of this host that it sees.
    pub binds: Vec<Bind>,
    /// Directories that must lie on a real file system and survive a reboot.
    pub data: Vec<DataDir>,
    /// What it finds when it boots for the first time; see [`FirstBoot`].
    #[serde(skip)]
    pub first_boot: FirstBoot,
}

/// What a machine has before its systemd first looks around, as cloud-init's `write_files` gives it to a guest.
///
/// Later boots keep what the machine made of it. A unit that is there at the first boot needs no `daemon-reload`,
/// which costs a second while five machines boot on two cores.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FirstBoot {
    /// Files, with their modes.
    pub files: Vec<File>,
    /// Units among them that `multi-user.target` starts.
    pub enabled: Vec<UnitName>,
}

/// A network interface of a machine, wired to a bridge of the router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Nic {
    /// Its name inside the machine.
    pub name: IfName,
    /// The bridge it is wired to.
    pub bridge: IfName,
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Its addresses with the length of their network.
    pub addresses: Vec<IpNet>,
    /// The next hops of default routes through it, at most one per family.
    pub gateways: Vec<IpAddr>,
}

/// A directory of this host that a machine sees, read-only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bind {
    /// The directory here.
    pub source: PathBuf,
    /// The directory in the machine.
    pub target: PathBuf,
}

/// A directory of the machine that is kept outside its overlay: container runtimes make overlays of their own
/// below it, and an overlay cannot lie on an overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DataDir {
    /// The directory in the machine, such as `/var/lib/containerd`.
    pub target: PathBuf,
}

impl DataDir {
    /// The name of the directory below the machine's own: the target with `-` for `/`.
    pub(crate) fn slug(&self) -> String {
        self.target
            .to_string_lossy()
            .trim_matches('/')
            .replace('/', "-")
    }
}

/// What connects the machines: bridges with addresses, routes, a firewall, and ways out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouterSpec {
    /// Bridges with the router's own addresses on them.
    pub bridges: Vec<(IfName, Vec<IpNet>)>,
    /// Routes to networks behind machines.
    pub routes: Vec<Route>,
    /// nftables rules (`nft -f`), loading them twice must be the same as once. Empty: no rules.
    pub rules: String,
    /// A namespace that plays the internet.
    pub internet: Option<Internet>,
    /// A wire to the host itself.
    pub host_link: Option<HostLink>,
}

impl RouterSpec {
    /// A router that has these bridges and nothing else.
    pub fn with_bridges(bridges: impl IntoIterator<Item = (IfName, Vec<IpNet>)>) -> Self {
        Self {
            bridges: bridges.into_iter().collect(),
            routes: Vec::new(),
            rules: String::new(),
            internet: None,
            host_link: None,
        }
    }
}

/// A route: packets to `to` go to the next hop `via`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Route {
    /// Where to.
    pub to: IpNet,
    /// The next hop, of the same family.
    pub via: IpAddr,
}

/// A namespace behind the router's uplink that plays the internet: the default route leads there, and what
/// arrives can be looked at from its side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Internet {
    /// The router's interface to it.
    pub uplink: IfName,
    /// The router's addresses on the uplink.
    pub router_addresses: Vec<IpNet>,
    /// The other end's addresses on the uplink: the router's default gateways.
    pub addresses: Vec<IpNet>,
    /// Further addresses that answer there, as hosts do that are far away.
    pub servers: Vec<IpAddr>,
    /// Networks that the internet routes back to the router (those that are not translated).
    pub routes: Vec<Route>,
}

/// A wire between the host and the router: so that programs of the host reach the machines through the router.
/// It adds one interface to the host, with these addresses and routes, and nothing else; they go with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostLink {
    /// The router's interface to the host.
    pub name: IfName,
    /// The router's addresses on it.
    pub router_addresses: Vec<IpNet>,
    /// The host's addresses on it.
    pub host_addresses: Vec<IpNet>,
    /// The host's routes over it. Without one, what the host sends to the machines would leave by its default
    /// route, for strangers to answer.
    pub host_routes: Vec<Route>,
}
